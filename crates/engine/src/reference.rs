#![doc = include_str!("../REFERENCE.md")]

/// The reference of rule files in Markdown, as `reflexarc help rule` prints it.
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
