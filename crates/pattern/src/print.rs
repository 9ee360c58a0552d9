//! From the tree to text, in both notations. A short text stands on one line, a longer one is broken at its joints.

pub(crate) mod expression;
pub(crate) mod expression_comments;
pub(crate) mod json;
pub(crate) mod json_comments;

use reflexarc_event::Json;

/// Columns that a line should not exceed.
const WIDTH: usize = 100;

/// Columns that lines are indented by at most, so that a deep tree does not become mostly space.
const DEEPEST_INDENT: usize = 32;

/// Text in double quotes, with escapes.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
