//! What to write instead of a condition in the spelling of another language.

use reflexarc_diagnostic::{Code, Span};

/// What to write instead of a clause.
pub(in crate::syntax) struct Suggestion {
    /// Where the mistake is.
    pub(in crate::syntax) span: Span,
    pub(in crate::syntax) code: Code,
    pub(in crate::syntax) message: String,
    /// Has `right` in it.
    pub(in crate::syntax) help: String,
    /// The right spelling; `None` if there is none.
    pub(in crate::syntax) right: Option<String>,
    /// Whether `right` has the meaning of the original for every event.
    pub(in crate::syntax) is_exact: bool,
    /// Whether the grammar takes the words for something else, such as a function for a path.
    pub(in crate::syntax) is_misread: bool,
    pub(in crate::syntax) mistake: Mistake,
    /// How many clauses it is about, this one included.
    pub(in crate::syntax) clauses: usize,
}

/// What remains wrong when only the errors of the grammar are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Mistake {
    /// Nothing: it is about the spelling.
    Spelling,
    /// The order of values that have none here: `time > 2024-01-01`.
    Order,
    /// Placeholders of SQL, which are plain characters here: `like '%x%'`.
    Placeholders,
}

impl Suggestion {
    /// A suggestion about a spelling, for one clause, whose `right` is a guess.
    pub(super) fn new(
        span: &Span,
        code: Code,
        message: String,
        help: String,
        right: Option<String>,
    ) -> Self {
        Self {
            span: span.clone(),
            code,
            message,
            help,
            right,
            is_exact: false,
            is_misread: false,
            mistake: Mistake::Spelling,
            clauses: 1,
        }
    }
}
