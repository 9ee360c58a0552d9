//! Formats an expression with comments.

// The parts of the top-level `and` or `or` are written one per line. A comment goes before the part
// that it was written before or in, or at the end of the line of the part that it followed:
//
//     a==1 // one            a == 1  // one
//     and ( b == 2 # in      # in
//      or c==3 )             and (b == 2 or c == 3)

use reflexarc_diagnostic::Span;

use super::expression;
use crate::spanned::{Kind, SpannedNode};

/// The tree as an expression with the comments of `source`, whose spans are `comments`.
pub(crate) fn print(tree: &SpannedNode, source: &str, comments: &[Span]) -> String {
    let (connective, parts) = match &tree.kind {
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
        let mut line = format!("{}{test}", if i > 0 { connective } else { "" });
        // The span of a part in parentheses ends before the closing one, so only a line break
        // between the part and the comment tells that the comment is on another line.
        if let Some(span) = rest.next_if(|span| !source[part.span.end..span.start].contains('\n')) {
            line.push_str("  ");
            line.push_str(&comment(span));
        }
        lines.push(line);
    }
    lines.extend(rest.map(comment));
    lines.join("\n")
}
