//! Connectives as functions: `and(a == 1, eq(b, 2))`, `any(a == 1, b == 2)`.

use reflexarc_diagnostic::Code;

use super::token::{Kind, Token};
use super::{Suggestion, reader};

/// What to write instead of an expression that is one connective with its conditions as arguments.
pub(in crate::syntax) fn suggestion(tokens: &[Token]) -> Option<Suggestion> {
    let (right, is_exact) = joined(tokens)?;
    let name = tokens.first()?;
    let message = format!("expected a condition, found the function `{}`", name.text);
    let help = format!("`and` and `or` stand between conditions: `{right}`");
    Some(Suggestion {
        is_exact,
        is_misread: true,
        ..Suggestion::new(&name.span, Code::SYNTAX, message, help, Some(right))
    })
}

/// The conditions joined, and whether each of them has the meaning of the original.
// The nesting of brackets is bounded before, by the scan.
fn joined(tokens: &[Token]) -> Option<(String, bool)> {
    let [name, open, arguments @ .., _] = tokens else {
        return None;
    };
    let connective = match name.text.to_lowercase().as_str() {
        "and" | "all" | "allof" | "all_of" => " and ",
        "or" | "any" | "anyof" | "any_of" => " or ",
        _ => return None,
    };
    let is_call = name.kind == Kind::Word && open.is("(");
    if !is_call || reader::closing(tokens, 1) != Some(tokens.len() - 1) {
        return None;
    }
    let mut is_exact = true;
    let mut conditions = Vec::new();
    for argument in arguments_of(arguments) {
        let (condition, is_same) = if let Some((inner, is_same)) = joined(argument) {
            (format!("({inner})"), is_same)
        } else {
            let condition = reader::condition(argument)?.condition;
            (condition.spell()?, condition.is_exact())
        };
        is_exact &= is_same;
        conditions.push(condition);
    }
    // `any(a == 1)` has nothing to join.
    (conditions.len() > 1).then(|| (conditions.join(connective), is_exact))
}

/// The tokens between the commas that are in no brackets of their own.
fn arguments_of<'t, 's>(tokens: &'t [Token<'s>]) -> Vec<&'t [Token<'s>]> {
    let (mut at, mut start) = (0, 0);
    let mut arguments = Vec::new();
    while let Some(token) = tokens.get(at) {
        if token.is("(") || token.is("[") {
            at = reader::closing(tokens, at).unwrap_or(at);
        } else if token.is(",") {
            arguments.push(&tokens[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    arguments.push(&tokens[start..]);
    arguments
}
