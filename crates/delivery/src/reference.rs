//! The reference of targets that take calls, `REFERENCE.md`, as a constant. Its configurations are
//! read by the tests.

/// The keys of these targets, and what they make of calls and answers.
///
/// ```
/// assert!(reflexarc_delivery::REFERENCE.starts_with("# Targets that take calls"));
/// ```
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
