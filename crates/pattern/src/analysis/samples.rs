//! Strings that are likely to satisfy a formula.

use super::atoms::Atom;
use crate::{Predicate, TextOp};

/// The most strings.
const MAX_SAMPLES: usize = 64;

/// Strings made of the texts of the predicates: each text, and each beginning with each end.
// Most conditions can be met, and one of these strings meets them, so that the search through
// automata is rarely needed: `starts with "eni-" and ends with "1"` is met by "eni-1".
pub(super) fn samples<'a>(atoms: impl Iterator<Item = &'a Atom>) -> Vec<String> {
    let mut samples = vec!["~".to_owned(), String::new()];
    let (mut beginnings, mut ends) = (vec![""], vec![""]);
    for atom in atoms.take(MAX_SAMPLES) {
        match &atom.predicate {
            Predicate::Text(op, text) | Predicate::TextIgnoringCase(op, text) => {
                samples.push(text.to_string());
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
                samples.push(wildcard.pieces.concat());
                samples.push(wildcard.pieces.join("~"));
                beginnings.extend(wildcard.pieces.first().map(|piece| &**piece));
                ends.extend(wildcard.pieces.last().map(|piece| &**piece));
            }
            _ => {}
        }
    }
    for beginning in &beginnings {
        for end in &ends {
            if samples.len() + 2 > 2 * MAX_SAMPLES {
                return samples;
            }
            samples.push(format!("{beginning}{end}"));
            samples.push(format!("{beginning}~{end}"));
        }
    }
    samples
}
