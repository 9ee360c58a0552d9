//! Clauses without a path, which go on with the one before them: `a == "x" or "y"`.

use reflexarc_diagnostic::Code;

use super::condition::Condition;
use super::operator::Meaning;
use super::token::{Kind, Token};
use super::value::{Value, ValueKind};
use super::{Clause, Suggestion, reader, values};
use crate::foreign_path::ForeignPath;

/// `a == "x" or "y"`, `a > 5 and < 10`: clauses that go on with the path of the one before them.
pub(super) fn suggestion(
    clauses: &[Clause<'_, '_>],
    before: &Clause<'_, '_>,
) -> Option<Suggestion> {
    let first = clauses.first()?;
    let subject = reader::condition(before.tokens)?.condition;
    let mut values = subject.values.clone();
    let mut parts = vec![subject.clone()];
    let mut words = Vec::new();
    for clause in clauses {
        let Some(connective) = clause.connective else {
            break;
        };
        let Some(next) = continued(clause.tokens, &subject) else {
            break;
        };
        let is_and = connective.is_word("and") || connective.text.starts_with('&');
        words.push(if is_and { "and" } else { "or" });
        values.extend(next.values.iter().cloned());
        parts.push(next);
    }
    if parts.len() < 2 {
        return None;
    }
    let starts_with_operator = reader::operator(first.tokens).is_some();
    let is_or = words.iter().all(|word| *word == "or");
    let negated = subject.operator.negated;
    // `a == "x" or "y"` and `a != "x" and "y"` are lists; `a contains "x" and "y"` is two
    // conditions, because a list after `contains` requires only one of its values.
    let lists = match subject.operator.meaning {
        Meaning::Equals | Meaning::In => is_or || negated,
        Meaning::Prefix
        | Meaning::Suffix
        | Meaning::Contains
        | Meaning::InNetwork
        | Meaning::Wildcard => is_or && !negated,
        _ => false,
    };
    // `a > 5 and < 10` goes on with the path only, and keeps its operators in parentheses.
    let right = if starts_with_operator {
        let tests: Option<Vec<String>> = parts.iter().map(Condition::after_path).collect();
        let mut joined = String::new();
        for (i, test) in tests?.iter().enumerate() {
            if i > 0 {
                joined.push_str(&format!(" {} ", words[i - 1]));
            }
            joined.push_str(test);
        }
        format!("{} ({joined})", subject.path)
    } else if lists {
        Condition { values, ..subject }.spell()?
    } else {
        let mut joined = String::new();
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                joined.push_str(&format!(" {} ", words[i - 1]));
            }
            joined.push_str(&part.spell()?);
        }
        joined
    };
    let token = first.tokens.first()?;
    let message = format!("expected a condition, found `{}`", token.text);
    let help = format!("each condition starts with a path; write `{right}`");
    Some(Suggestion {
        clauses: parts.len() - 1,
        ..Suggestion::new(&token.span, Code::SYNTAX, message, help, Some(right))
    })
}

/// A clause without a path, with the path and perhaps the operator of another one.
fn continued(tokens: &[Token], subject: &Condition) -> Option<Condition> {
    if let Some((meaning, count)) = reader::operator(tokens) {
        let starts_with_path = tokens.first().is_some_and(|token| token.kind == Kind::Word)
            && reader::operator(&tokens[1..]).is_some();
        return (!starts_with_path)
            .then(|| {
                reader::with_values(
                    &ForeignPath::read(&subject.path)?,
                    meaning,
                    &tokens[count..],
                )
            })
            .flatten();
    }
    let is_value = match tokens {
        [only] => {
            matches!(only.kind, Kind::Quoted | Kind::Bare)
                || only.kind == Kind::Word && !only.text.contains('.')
        }
        _ => false,
    };
    if !is_value || subject.values.is_empty() {
        return None;
    }
    let values = values::values(tokens)?;
    // `a == 1 and true` has a condition that is always true, and no other value.
    let is_literal = |value: &Value| value.kind == ValueKind::Literal;
    if values.iter().any(is_literal) && !subject.values.iter().all(is_literal) {
        return None;
    }
    Some(Condition {
        values,
        ..subject.clone()
    })
}
