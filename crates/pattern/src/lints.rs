//! Lints: valid patterns that are probably mistakes.

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::Predicate;
use crate::spanned::{SpannedField, SpannedNode, SpannedPredicate};

/// Hints: conditions that are often misread.
pub(crate) fn hints(tree: &SpannedNode) -> Vec<Diagnostic> {
    let not_equals = |field: &SpannedField| {
        let [alternative] = field.alternatives.as_slice() else {
            return None;
        };
        match alternative.predicates.as_slice() {
            [
                SpannedPredicate {
                    predicate: Predicate::AnythingBut(_),
                    span,
                },
            ] => Some((span.clone(), field.path.clone())),
            _ => None,
        }
    };
    // One hint per pattern: it explains the operator, not the particular condition.
    let first = tree.fields().into_iter().find_map(not_equals);
    let hint = first.map(|(span, path)| {
        let path = crate::print::expression::path(&path);
        let message = format!("this condition requires a value of `{path}` that differs");
        Diagnostic::hint(Code::NOT_EQUALS, span, message).with_help(format!(
            "one differing array element is enough, and a missing field does not match; \
             to require that no value is equal, write `not ({path} == …)`"
        ))
    });
    hint.into_iter().collect()
}
