//! The language reference, `REFERENCE.md`, as a constant. Its examples are run by the tests.

/// The language reference as Markdown. `reflexarc help pattern` prints it.
///
/// ```
/// assert!(reflexarc_pattern::REFERENCE.starts_with("# The filter language"));
/// ```
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
