//! The canonical spelling of a rule's filter.

use std::ops::Range;

use reflexarc_pattern::{Dialect, Node, Pattern};

use crate::{FileDiagnostics, Rule, RuleSet};

/// Longest line that is not broken.
const WIDTH: usize = 100;
const INDENT: &str = "    ";

/// The text of a rule file with its `when` in the canonical spelling of the notation it is written in, and everything else
/// as it was. Comments stay with what they speak of.
///
/// # Errors
/// When the file is no rule.
pub fn format_rule(name: &str, text: &str) -> Result<String, Vec<FileDiagnostics>> {
    let rules = RuleSet::compile([(name, text)])?;
    let formatted = rules.rules().next().and_then(|rule| format(rule, text));
    Ok(formatted.unwrap_or_else(|| text.to_owned()))
}

fn format(rule: &Rule, text: &str) -> Option<String> {
    let pattern = rule.pattern();
    let node = pattern.node();
    let canonical = if pattern.is_json() || pattern.has_comments() {
        pattern.format()
    } else {
        lay_out(node, true)
    };
    // Whatever the printer did: it must not change what the rule means.
    let same =
        Pattern::parse(&canonical, Dialect::Reflexarc).is_ok_and(|again| again.node() == node);
    if !same {
        return None;
    }
    let literal = literal(&canonical)?;
    let Range { start, end } = rule.when.span();
    Some(format!("{}{literal}{}", &text[..start], &text[end..]))
}

/// A TOML literal string; text that no literal string can hold is left to its author.
fn literal(text: &str) -> Option<String> {
    if text.contains("'''") || text.chars().any(|c| c.is_control() && c != '\n') {
        return None;
    }
    let lines = text.contains('\n') || text.contains('\'');
    Some(if lines {
        format!("'''\n{text}\n'''")
    } else {
        format!("'{text}'")
    })
}

/// An expression on one line if it fits, else a line for each part. `top` is whether nothing stands around it.
fn lay_out(node: &Node, top: bool) -> String {
    let line = Pattern::from_node(node.clone()).to_expression();
    if line.chars().count() <= WIDTH {
        return line;
    }
    match node {
        Node::All(parts) => parts
            .iter()
            .map(|part| operand(part, true))
            .collect::<Vec<_>>()
            .join("\nand "),
        Node::Any(parts) if top => parts
            .iter()
            .map(|part| operand(part, false))
            .collect::<Vec<_>>()
            .join("\nor "),
        Node::Any(_) => parenthesised(node),
        Node::Not(part) => format!("not {}", parenthesised(part)),
        Node::Field(_) => line,
    }
}

/// A part of `and` or `or`, in parentheses where it needs them.
fn operand(node: &Node, of_and: bool) -> String {
    let line = Pattern::from_node(node.clone()).to_expression();
    let fits = line.chars().count() + 4 <= WIDTH;
    match node {
        Node::Any(_) | Node::All(_) if fits && (of_and || matches!(node, Node::Any(_))) => {
            format!("({line})")
        }
        Node::Any(_) => parenthesised(node),
        Node::All(_) if of_and => parenthesised(node),
        _ => indented(&lay_out(node, false)).trim_start().to_owned(),
    }
}

fn parenthesised(node: &Node) -> String {
    format!("(\n{}\n)", indented(&lay_out(node, true)))
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("{INDENT}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
