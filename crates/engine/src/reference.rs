#![doc = include_str!("../REFERENCE.md")]

/// The reference of rule files in Markdown, as `reflexarc help rule` prints it.
///
/// ```
/// assert!(reflexarc::REFERENCE.contains("`when`"));
/// ```
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
