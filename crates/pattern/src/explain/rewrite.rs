//! A condition close to the author's that matches the value.

// Generate and test, like `suggestion`, but on the other side: the value stays and one predicate is
// replaced. A hint is given only for a condition that has been found to match.

use crate::print::expression;
use crate::regexp::CompiledRegexp;
use crate::tree::{Regexp, Wildcard};
use crate::value::{CompiledPredicate, Scalar};
use crate::{Alternative, Field, Node, Path, Predicate, TextOp};

use super::hint::Hint;

/// Longest condition in a hint, in bytes: a longer one is no help.
const LONGEST: usize = 200;
/// Shortest text for which a comparison of a part is suggested.
const SHORTEST_PART: usize = 3;

/// The hint with a condition that matches the value, if the alternative has one predicate that the
/// value does not meet, and a common mistake explains it.
pub(crate) fn instead(path: &Path, alternative: &Alternative, value: &Scalar) -> Option<Hint> {
    let meets = |predicate: &Predicate| CompiledPredicate::new(predicate).matches(value);
    let mut unmet = (0..alternative.0.len()).filter(|&i| !meets(&alternative.0[i]));
    let (at, None) = (unmet.next()?, unmet.next()) else {
        return None;
    };
    let candidates = match value {
        Scalar::String(text) => candidates(&alternative.0[at], text),
        other => of_type(&alternative.0[at], other).into_iter().collect(),
    };
    let (reason, predicate) = candidates
        .into_iter()
        .find(|(_, candidate)| meets(candidate))?;
    let mut predicates = alternative.0.clone();
    predicates[at] = predicate;
    let field = Field {
        path: path.clone(),
        alternatives: vec![Alternative(predicates)],
    };
    would_match(reason, &Node::Field(field))
}

/// The hint that a condition would match, unless it is too long.
pub(crate) fn would_match(reason: &'static str, condition: &Node) -> Option<Hint> {
    let condition = expression::print(condition);
    (condition.len() <= LONGEST && !condition.contains('\n'))
        .then_some(Hint::WouldMatch { reason, condition })
}

/// The equality with a value that is not a text, in place of one with its text.
fn of_type(predicate: &Predicate, value: &Scalar) -> Option<(&'static str, Predicate)> {
    let Predicate::Text(TextOp::Equals, text) = predicate else {
        return None;
    };
    Some(match value {
        Scalar::Number(number) if text.parse().as_ref() == Ok(number) => {
            ("the value is a number", Predicate::Number(number.clone()))
        }
        Scalar::Bool(value) if **text == *value.to_string() => {
            ("the value is no text", Predicate::Bool(*value))
        }
        Scalar::Null if &**text == "null" => ("the value is no text", Predicate::Null),
        _ => return None,
    })
}

const STAR: &str = "`*` is a wildcard in `like` only";
const PERCENT: &str = "the wildcard is `*`, not `%`";
const SPACE: &str = "the condition has leading or trailing white space";

/// What the author of a predicate may have meant, with the reason why it does not match.
type Candidates = Vec<(&'static str, Predicate)>;

/// The candidates for a predicate that a text does not meet.
fn candidates(predicate: &Predicate, value: &str) -> Candidates {
    let is_same_text = match predicate {
        Predicate::Number(number) => value.trim().parse().as_ref() == Ok(number),
        Predicate::Bool(wanted) => value == wanted.to_string(),
        Predicate::Null => value == "null",
        _ => false,
    };
    match predicate {
        Predicate::Text(op, text) => for_text(*op, text, value),
        Predicate::TextIgnoringCase(op, text) => {
            let trimmed = text.trim();
            let is_trimmed = trimmed != &**text && !trimmed.is_empty();
            let without_space =
                is_trimmed.then(|| (SPACE, Predicate::TextIgnoringCase(*op, trimmed.into())));
            let with_star = text.contains('*').then(|| like(text, STAR, true)).flatten();
            without_space.into_iter().chain(with_star).collect()
        }
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        } => for_wildcard(&wildcard.to_string(), *ignoring_case),
        Predicate::Regexp {
            regexp: Regexp(text),
            ignoring_case,
        } => for_regexp(text, *ignoring_case),
        _ if is_same_text => {
            vec![(
                "the value is a text",
                Predicate::Text(TextOp::Equals, value.into()),
            )]
        }
        _ => Vec::new(),
    }
}

fn for_text(op: TextOp, text: &str, value: &str) -> Candidates {
    let mut found = Vec::new();
    let trimmed = text.trim();
    if trimmed != text && !trimmed.is_empty() {
        found.push((SPACE, Predicate::Text(op, trimmed.into())));
    }
    let (before, after) = match op {
        TextOp::Equals => ("", ""),
        TextOp::Prefix => ("", "*"),
        TextOp::Suffix => ("*", ""),
        TextOp::Contains => ("*", "*"),
    };
    if text.contains('*') {
        found.extend(like(&format!("{before}{text}{after}"), STAR, false));
    }
    if text.contains('%') {
        let text = text.replace('%', "*");
        found.extend(like(&format!("{before}{text}{after}"), PERCENT, false));
    }
    if op == TextOp::Equals {
        found.extend(regexp(text, "a regular expression needs `matches`", false));
        found.extend(part(text, value).map(|op| {
            (
                "`==` compares the whole text",
                Predicate::Text(op, text.into()),
            )
        }));
    }
    found
}

fn for_wildcard(text: &str, ignoring_case: bool) -> Candidates {
    let mut found = Vec::new();
    if text.contains('%') {
        found.extend(like(&text.replace('%', "*"), PERCENT, ignoring_case));
    }
    if text.contains('?') {
        let reason = "`?` is an ordinary character; the wildcard is `*`";
        found.extend(like(&text.replace('?', "*"), reason, ignoring_case));
    }
    if text.trim() != text {
        found.extend(like(text.trim(), SPACE, ignoring_case));
    }
    let whole = "`like` compares the whole text";
    for around in [format!("{text}*"), format!("*{text}"), format!("*{text}*")] {
        found.extend(like(&around, whole, ignoring_case));
    }
    found
}

fn for_regexp(text: &str, ignoring_case: bool) -> Candidates {
    let mut found = Vec::new();
    // `eni-*` is a wildcard rather than a regular expression.
    if text.contains('*') && !text.contains(['.', '\\', ']', ')']) {
        found.extend(like(text, STAR, ignoring_case));
    }
    let inner = if text.contains('|') {
        format!("({text})")
    } else {
        text.to_owned()
    };
    for around in [
        format!("{inner}.*"),
        format!(".*{inner}"),
        format!(".*{inner}.*"),
        format!("(?s).*{inner}.*"),
    ] {
        found.extend(regexp(
            &around,
            "`matches` compares the whole text",
            ignoring_case,
        ));
    }
    if text.trim() != text {
        found.extend(regexp(text.trim(), SPACE, ignoring_case));
    }
    found
}

fn like(
    text: &str,
    reason: &'static str,
    ignoring_case: bool,
) -> Option<(&'static str, Predicate)> {
    // `x*` with a star in front of a star would be invalid.
    let text = text.replace("**", "*");
    let wildcard: Wildcard = Wildcard::parse(&text).ok()?;
    Some((
        reason,
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        },
    ))
}

fn regexp(
    text: &str,
    reason: &'static str,
    ignoring_case: bool,
) -> Option<(&'static str, Predicate)> {
    let is_regexp = text.contains(['\\', '^', '$', '+', '|', '[', '(', '*']);
    if !is_regexp || CompiledRegexp::new(text, ignoring_case).is_err() {
        return None;
    }
    Some((
        reason,
        Predicate::Regexp {
            regexp: Regexp(text.into()),
            ignoring_case,
        },
    ))
}

/// The comparison of a part of the value that the text meets.
fn part(text: &str, value: &str) -> Option<TextOp> {
    if text.chars().count() < SHORTEST_PART {
        return None;
    }
    [TextOp::Prefix, TextOp::Suffix, TextOp::Contains]
        .into_iter()
        .find(|op| crate::value::text(*op, text, value))
}
