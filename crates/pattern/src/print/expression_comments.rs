//! An expression with the comments of its text: each stands before the part of the top-level join that it was written
//! before or in, or behind the part whose line it ended.

use reflexarc_diagnostic::Span;

use super::expression;
use crate::spanned::{Kind, SpannedNode};

/// The tree as an expression, one part of its top-level join a line, with the comments of `source` in their places.
pub(crate) fn print(tree: &SpannedNode, source: &str, comments: &[Span]) -> String {
    let (word, parts) = match &tree.kind {
        Kind::All(parts) => ("and ", parts.as_slice()),
        Kind::Any(parts) => ("or ", parts.as_slice()),
        Kind::Not(_) | Kind::Field(_) => ("", std::slice::from_ref(tree)),
    };
    let mut lines: Vec<String> = Vec::new();
    let mut rest = comments.iter().peekable();
    let comment = |span: &Span| source[span.clone()].trim_end().to_owned();
    for (i, part) in parts.iter().enumerate() {
        while let Some(span) = rest.next_if(|span| span.start < part.span.end) {
            lines.push(comment(span));
        }
        let test = if parts.len() == 1 {
            expression::print(&part.to_node())
        } else {
            expression::part(&part.to_node())
        };
        let mut line = format!("{}{test}", if i > 0 { word } else { "" });
        // What a part says ends before its closing parentheses, so a comment behind those ends its line, too.
        if let Some(span) = rest.next_if(|span| !source[part.span.end..span.start].contains('\n')) {
            line.push_str("  ");
            line.push_str(&comment(span));
        }
        lines.push(line);
    }
    lines.extend(rest.map(comment));
    lines.join("\n")
}
