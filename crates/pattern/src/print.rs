//! Writes a tree as text in either notation. Parsing the text gives the same tree.

// A text that fits is written on one line; otherwise it is broken at the outermost connective or
// bracket, and each part is laid out the same way.

pub(crate) mod expression;
pub(crate) mod expression_comments;
pub(crate) mod json;
pub(crate) mod json_comments;

use reflexarc_event::Json;

/// The target width of a line, in columns.
const WIDTH: usize = 100;

/// The deepest indentation in columns. A tree of 128 levels would otherwise be mostly white space,
/// and printing it would take quadratic memory.
const DEEPEST_INDENT: usize = 32;

/// A string literal with escapes.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
