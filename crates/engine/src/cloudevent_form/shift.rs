//! Predicates on texts that one form writes with a prefix: `ecs:Disk:Stalled` for `Disk:Stalled`.

use reflexarc_pattern::tree::{Regexp, Wildcard};
use reflexarc_pattern::{Alternative, Predicate, TextOp};

/// Converts each predicate of an alternative. One predicate may become several alternatives;
/// predicates that have to hold together are multiplied out:
///
/// ```text
/// (a and b)  with a → a1 or a2  gives  (a1 and b) or (a2 and b)
/// ```
pub(super) fn convert(
    Alternative(together): &Alternative,
    predicates: &impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Vec<Alternative>, String> {
    let mut combined: Vec<Vec<Predicate>> = vec![Vec::new()];
    for predicate in together {
        let choices = match predicate {
            Predicate::AnythingBut(refused) => {
                let refused = refused.iter().map(predicates);
                let refused = refused.collect::<Result<Vec<_>, _>>()?.concat();
                vec![Predicate::AnythingBut(refused)]
            }
            Predicate::Missing | Predicate::Exists | Predicate::Null => vec![predicate.clone()],
            other => predicates(other)?,
        };
        // Each alternative so far is combined with each choice for this predicate.
        combined = combined
            .iter()
            .flat_map(|before| {
                choices
                    .iter()
                    .map(move |choice| [before.as_slice(), std::slice::from_ref(choice)].concat())
            })
            .collect();
    }
    Ok(combined.into_iter().map(Alternative).collect())
}

/// The predicate of a text with `prefix` for that of the text without it.
///
/// With `acs.` the text is a product: in capitals in the native form and small letters in
/// CloudEvents.
pub(super) fn predicate(predicate: &Predicate, prefix: &str) -> Result<Vec<Predicate>, String> {
    let is_product = prefix == "acs.";
    let text = |text: &str| -> Result<String, String> {
        if !is_product {
            return Ok(text.to_owned());
        }
        if text != text.to_uppercase() {
            return Err(format!(
                "products are in capitals; write `{}`",
                text.to_uppercase()
            ));
        }
        Ok(text.to_lowercase())
    };
    let with_prefix = |operand: &str| Ok::<_, String>(format!("{prefix}{}", text(operand)?).into());
    Ok(vec![match predicate {
        Predicate::Text(op @ (TextOp::Equals | TextOp::Prefix), operand) => {
            Predicate::Text(*op, with_prefix(operand)?)
        }
        Predicate::TextIgnoringCase(op @ (TextOp::Equals | TextOp::Prefix), operand) => {
            Predicate::TextIgnoringCase(*op, with_prefix(&operand.to_uppercase())?)
        }
        Predicate::Text(op, operand) => part(*op, &text(operand)?, prefix, false),
        Predicate::TextIgnoringCase(op, operand) => {
            part(*op, &text(&operand.to_uppercase())?, prefix, true)
        }
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        } => {
            let pieces = wildcard.pieces.iter().enumerate().map(|(at, piece)| {
                let piece = text(piece)?;
                Ok(if at == 0 {
                    format!("{prefix}{piece}").into()
                } else {
                    piece.into()
                })
            });
            Predicate::Wildcard {
                wildcard: Wildcard {
                    pieces: pieces.collect::<Result<_, String>>()?,
                },
                ignoring_case: *ignoring_case,
            }
        }
        Predicate::Regexp { .. } if is_product => {
            return Err("a regular expression of products is not converted".to_owned());
        }
        Predicate::Regexp {
            regexp,
            ignoring_case,
        } => Predicate::Regexp {
            regexp: Regexp(format!("{}(?:{})", escaped(prefix), regexp.0).into()),
            ignoring_case: *ignoring_case,
        },
        // Neither form has anything but texts there.
        other => other.clone(),
    }])
}

/// The predicate of the end or of any part of a text.
fn part(op: TextOp, text: &str, prefix: &str, ignoring_case: bool) -> Predicate {
    let pieces: Vec<&str> = match op {
        _ if text.is_empty() => vec![prefix, ""],
        TextOp::Suffix if reaches_into(prefix, text, op) => vec![prefix, text],
        TextOp::Contains if reaches_into(prefix, text, op) => vec![prefix, text, ""],
        _ if ignoring_case => return Predicate::TextIgnoringCase(op, text.into()),
        _ => return Predicate::Text(op, text.into()),
    };
    Predicate::Wildcard {
        wildcard: Wildcard {
            pieces: pieces.into_iter().map(Into::into).collect(),
        },
        ignoring_case,
    }
}

/// Whether a text with the prefix may have the operand although the text without it does not:
/// `ecs:Disk:Stalled` contains `s:Disk`, and `Disk:Stalled` does not.
fn reaches_into(prefix: &str, operand: &str, op: TextOp) -> bool {
    let (prefix, operand) = (prefix.to_lowercase(), operand.to_lowercase());
    let ends = prefix.char_indices().map(|(at, _)| &prefix[at..]);
    let mut rests = ends.filter_map(|end| operand.strip_prefix(end));
    match op {
        // A name has two parts, so the rest after `:` is a whole name only if it has them both.
        TextOp::Suffix => rests.any(|rest| prefix == "acs." || rest.contains(':')),
        _ => prefix.contains(&operand) || rests.next().is_some(),
    }
}

/// A text as a regular expression.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
