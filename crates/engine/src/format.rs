//! Formatting the filters of a rule.

use std::cmp::Reverse;

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_pattern::{Dialect, Node, Pattern};

use crate::{InvalidFiles, Rule, RuleSet, Tables};

/// Longer lines are broken.
const WIDTH: usize = 100;
const INDENT: &str = "    ";

/// The text of a rule file with its filters, `when` and those of its time window, each in the
/// canonical form of the notation that it is written in. Everything else stays as it is; comments
/// stay beside what they refer to.
///
/// # Errors
/// When the file is not a valid rule.
///
/// ```
/// use reflexarc::format_rule;
///
/// let text = "when = 'id==1   and name exists'  # both\nnotify = ['team']\n";
/// assert_eq!(
///     format_rule("a.toml", text)?,
///     "when = 'id == 1 and name exists'  # both\nnotify = ['team']\n"
/// );
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
pub fn format_rule(name: &str, text: &str) -> Result<String, InvalidFiles> {
    // Filters do not depend on tables.
    let rules = RuleSet::compile_with_tables([(name, text)], &Tables::open())?;
    let formatted = rules.rules().next().map(|rule| format(rule, text));
    Ok(formatted.unwrap_or_else(|| text.to_owned()))
}

fn format(rule: &Rule, text: &str) -> String {
    let mut filters: Vec<(&EmbeddedText, &Pattern)> = rule.filters().collect();
    // From the end of the file, so that the places of the others stay valid.
    filters.sort_by_key(|(source, _)| Reverse(source.span().start));
    let mut text = text.to_owned();
    for (source, pattern) in filters {
        // Only the string is replaced: other keys, their order and all comments of the file stay.
        if let Some(literal) = format_filter(pattern) {
            text.replace_range(source.span(), &literal);
        }
    }
    text
}

/// The filter as a TOML string.
fn format_filter(pattern: &Pattern) -> Option<String> {
    let node = pattern.node();
    let canonical = if pattern.is_json() || pattern.has_comments() {
        pattern.format()
    } else {
        lay_out(node, true)
    };
    // A safety net under the printers: whatever they do, the file must not change its meaning.
    let is_equivalent =
        Pattern::parse(&canonical, Dialect::Reflexarc).is_ok_and(|again| again.node() == node);
    if !is_equivalent {
        return None;
    }
    literal(&canonical)
}

/// The text as a TOML literal string; `None` if no literal string can hold it.
fn literal(text: &str) -> Option<String> {
    // A literal string has no escapes at all.
    if text.contains("'''") || text.chars().any(|c| c.is_control() && c != '\n') {
        return None;
    }
    let is_multiline = text.contains('\n') || text.contains('\'');
    Some(if is_multiline {
        format!("'''\n{text}\n'''")
    } else {
        format!("'{text}'")
    })
}

/// An expression on one line if it fits, else with one line for each operand. `is_top` is false
/// inside another expression, where `or` needs parentheses.
fn lay_out(node: &Node, is_top: bool) -> String {
    let line = Pattern::from_node(node.clone()).to_expression();
    if line.chars().count() <= WIDTH {
        return line;
    }
    // `and` binds tighter than `or`. Example with short lines:
    //
    //     name == "x"
    //     and (
    //         content.result == "failed"
    //         or content.result == "timeout"
    //     )
    //     and not (
    //         level == "INFO"
    //     )
    match node {
        Node::All(parts) => parts
            .iter()
            .map(|part| operand(part, true))
            .collect::<Vec<_>>()
            .join("\nand "),
        Node::Any(parts) if is_top => parts
            .iter()
            .map(|part| operand(part, false))
            .collect::<Vec<_>>()
            .join("\nor "),
        Node::Any(_) => parenthesised(node),
        Node::Not(part) => format!("not {}", parenthesised(part)),
        Node::Field(_) => line,
    }
}

/// An operand of `and` (`in_and`) or `or`, in parentheses where it needs them.
fn operand(node: &Node, in_and: bool) -> String {
    let line = Pattern::from_node(node.clone()).to_expression();
    // 4 for the keyword and its space, `and `.
    let fits = line.chars().count() + 4 <= WIDTH;
    match node {
        Node::Any(_) | Node::All(_) if fits && (in_and || matches!(node, Node::Any(_))) => {
            format!("({line})")
        }
        Node::Any(_) => parenthesised(node),
        Node::All(_) if in_and => parenthesised(node),
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
