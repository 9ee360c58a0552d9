#![doc = include_str!("../REFERENCE.md")]

/// The language reference as Markdown, as `reflexarc help pattern` prints it.
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
