//! Errors of a run.

use crate::SourceLocation;

/// Why a reaction failed. A failed reaction has no effects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReactionError {
    /// The script made an error, or threw one.
    #[error("{}{message}", prefix(.at.as_ref()))]
    Script {
        /// The error; for a call it names the function and the arguments that it expects.
        message: String,
        /// The location in the source.
        at: Option<SourceLocation>,
        /// The innermost function of the script in which it happened.
        function: Option<String>,
    },
    /// The script exceeded a limit. It cannot catch this error.
    #[error("{}{message} (limit `{limit}`)", prefix(.at.as_ref()))]
    Limit {
        /// The field of [`ReactionLimits`](crate::ReactionLimits).
        limit: &'static str,
        /// The error, with the value of the limit.
        message: String,
        /// The location in the source.
        at: Option<SourceLocation>,
        /// The innermost function of the script in which it happened.
        function: Option<String>,
    },
}

impl ReactionError {
    /// The error without its location.
    pub fn message(&self) -> &str {
        match self {
            Self::Script { message, .. } | Self::Limit { message, .. } => message,
        }
    }

    /// The location in the source.
    pub fn at(&self) -> Option<SourceLocation> {
        match self {
            Self::Script { at, .. } | Self::Limit { at, .. } => *at,
        }
    }
}

fn prefix(at: Option<&SourceLocation>) -> String {
    at.map(|location| format!("{location}: "))
        .unwrap_or_default()
}
