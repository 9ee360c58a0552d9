//! Expression notation: conditions with the value first, `"x" in a` and `"x" == a`.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic};

use super::Rule;
use super::json::{is_literal, span_of};
use crate::keywords::is_keyword;

/// The diagnostic for a condition whose path is a quoted string or literal and whose operand is a
/// word: other languages write the value first.
// Quoting the word would make a value of the path and a path of the value: `"x" in ["a"]`.
pub(super) fn diagnostic(
    source: &str,
    path: &Pair<'_, Rule>,
    conditions: &Pair<'_, Rule>,
) -> Option<Diagnostic> {
    let mut keys = path.clone().into_inner();
    let (key, None) = (keys.next()?, keys.next()) else {
        return None;
    };
    let value = key.as_str();
    if !value.starts_with('"') && !is_literal(value) {
        return None;
    }
    let operator = operator(conditions)?;
    let negations = conditions
        .clone()
        .into_inner()
        .filter(|part| part.as_rule() == Rule::negation)
        .count();
    let span = span_of(path).start..span_of(conditions).end;
    let word = operator.as_str().split_whitespace().next()?;
    let end = span_of(conditions).end;
    let condition = match (word, operator.as_rule()) {
        // `"x" in a.b`: the grammar reads `in a` as words and `.b` as the operand.
        ("in", Rule::words) => {
            let start = span_of(&operator).start + word.len();
            let field = source[start..end].trim();
            format!("{} == {value}", field_path(field)?)
        }
        ("==" | "=" | "===", Rule::symbol) if needs_no_quotes(value) => {
            let field = source[span_of(&operator).end..end].trim();
            format!("{} == {value}", field_path(field)?)
        }
        ("!=" | "<>" | "!==", Rule::symbol) if needs_no_quotes(value) => {
            let field = source[span_of(&operator).end..end].trim();
            format!("{} != {value}", field_path(field)?)
        }
        _ => return None,
    };
    let is_negative = negations % 2 == 1;
    let fix = if is_negative {
        format!("not ({condition})")
    } else {
        condition
    };
    let message = format!("expected a path before `{word}`, found a value");
    Some(
        Diagnostic::error(Code::SYNTAX, span_of(path), message)
            .with_help(format!("write the path first: `{fix}`"))
            .with_fix(span, fix),
    )
}

/// The operator of conditions that are only one.
pub(super) fn operator<'i>(conditions: &Pair<'i, Rule>) -> Option<Pair<'i, Rule>> {
    conditions
        .clone()
        .into_inner()
        .find(|part| part.as_rule() == Rule::predicate)?
        .into_inner()
        .next()
}

/// The text, if it is a path of plain keys.
fn field_path(text: &str) -> Option<&str> {
    let is_key = |key: &str| {
        key.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '@'))
            && key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@'))
            && !is_keyword(key)
            && !is_literal(key)
    };
    text.split('.').all(is_key).then_some(text)
}

/// Whether the value would need no quotes if it were meant as a path: then it is none. A key such
/// as `"odd key"` has to be quoted.
fn needs_no_quotes(value: &str) -> bool {
    is_literal(value) || field_path(value.trim_matches('"')).is_some()
}
