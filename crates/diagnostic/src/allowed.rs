//! Findings that an author or an operator has decided not to see.

use std::collections::BTreeSet;

use crate::{Code, Diagnostic, Severity};

/// Removes the warnings and hints whose codes are allowed, and returns these codes. Errors stay:
/// what has one is not accepted, whatever its author thinks of it.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic, remove_allowed};
///
/// let hint = Diagnostic::hint(Code::NOT_EQUALS, 0..1, "a hint");
/// let error = Diagnostic::error(Code::SYNTAX, 2..3, "an error");
/// let mut found = vec![hint, error.clone()];
/// let removed = remove_allowed(&mut found, |_| true);
/// assert_eq!(found, [error]);
/// assert!(removed.into_iter().eq([Code::NOT_EQUALS]));
/// ```
pub fn remove_allowed(
    found: &mut Vec<Diagnostic>,
    is_allowed: impl Fn(Code) -> bool,
) -> BTreeSet<Code> {
    let mut removed = BTreeSet::new();
    found.retain(|diagnostic| {
        let is_removed = diagnostic.severity != Severity::Error && is_allowed(diagnostic.code);
        if is_removed {
            removed.insert(diagnostic.code);
        }
        !is_removed
    });
    removed
}
