//! Lints: valid patterns that are probably mistakes.

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::spanned::{SpannedField, SpannedNode, SpannedPredicate};
use crate::{Path, Predicate};

/// Hints: conditions that are often misread. `holds_one_value` says of which fields it is known
/// that they are no arrays.
pub(crate) fn hints(
    tree: &SpannedNode,
    holds_one_value: &dyn Fn(&Path) -> bool,
) -> Vec<Diagnostic> {
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
            ] if !holds_one_value(&field.path) => Some((span.clone(), field.path.clone())),
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
