//! A bound on the number of diagnostics about one text.

use crate::{Code, Diagnostic};

/// Keeps at most `most` diagnostics, errors before warnings before hints, and sorts them by their
/// spans. If some are left out, one more says how many.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic, keep_most_severe};
///
/// let hint = |at: usize| Diagnostic::hint(Code::NOT_EQUALS, at..at + 1, "a hint");
/// let error = Diagnostic::error(Code::SYNTAX, 2..3, "an error");
/// let mut found = vec![hint(0), hint(1), error];
/// keep_most_severe(&mut found, 2);
/// let messages: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
/// assert_eq!(messages, ["a hint", "an error", "1 more diagnostics are not shown"]);
/// ```
pub fn keep_most_severe(found: &mut Vec<Diagnostic>, most: usize) {
    let span = |diagnostic: &Diagnostic| (diagnostic.span.start, diagnostic.span.end);
    let others = found.len().saturating_sub(most);
    if others > 0 {
        found.sort_by_key(|diagnostic| (diagnostic.severity, span(diagnostic)));
        found.truncate(most);
    }
    found.sort_by_key(span);
    if others > 0 {
        let end = found.last().map_or(0, |last| last.span.end);
        let message = format!("{others} more diagnostics are not shown");
        found.push(Diagnostic::hint(Code::TOO_MANY_FINDINGS, end..end, message));
    }
}
