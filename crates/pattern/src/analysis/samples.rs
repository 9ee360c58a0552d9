//! Strings that are likely to satisfy a formula.

use super::atoms::Atom;
use crate::{Predicate, TextOp};

/// The most strings. Not a bound on the work, which the budget is: a formula that none of so many
/// strings meets is probably met by none.
const SAMPLES: usize = 128;

/// Strings made of the texts of the predicates: each text, and each beginning with each end.
// Most conditions can be met, and one of these strings meets them, so that the search through
// automata is rarely needed: `starts with "eni-" and ends with "1"` is met by "eni-1".
pub(super) fn samples<'a>(atoms: impl Iterator<Item = &'a Atom>) -> impl Iterator<Item = String> {
    let mut texts = vec!["~".to_owned(), String::new()];
    let (mut beginnings, mut ends) = (vec![""], vec![""]);
    for atom in atoms.take(SAMPLES) {
        match &atom.predicate {
            Predicate::Text(op, text) | Predicate::TextIgnoringCase(op, text) => {
                texts.push(text.to_string());
                match op {
                    TextOp::Prefix => beginnings.push(text),
                    TextOp::Suffix => ends.push(text),
                    TextOp::Contains => {
                        beginnings.push(text);
                        ends.push(text);
                    }
                    TextOp::Equals => {}
                }
            }
            Predicate::Wildcard { wildcard, .. } => {
                texts.push(wildcard.pieces.concat());
                texts.push(wildcard.pieces.join("~"));
                beginnings.extend(wildcard.pieces.first().map(|piece| &**piece));
                ends.extend(wildcard.pieces.last().map(|piece| &**piece));
            }
            _ => {}
        }
    }
    let joined = beginnings.into_iter().flat_map(move |beginning| {
        let ends = ends.clone().into_iter();
        ends.flat_map(move |end| [format!("{beginning}{end}"), format!("{beginning}~{end}")])
    });
    texts.into_iter().chain(joined).take(SAMPLES)
}
