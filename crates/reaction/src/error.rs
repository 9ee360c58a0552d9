//! How a run goes wrong.

use crate::Place;

/// Why a reaction failed. It then asks for nothing: no actions, no changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReactionError {
    /// The script did something that makes no sense, or threw.
    #[error("{}{message}", prefix(.at.as_ref()))]
    Script {
        /// What went wrong; it names the function and what that wanted, where one was called.
        message: String,
        /// Where in the source.
        at: Option<Place>,
        /// The script's own function it happened in, the innermost one.
        function: Option<String>,
    },
    /// The script wanted more than it may have. No `catch` stops this.
    #[error("{}{message} (limit `{limit}`)", prefix(.at.as_ref()))]
    Limit {
        /// The field of [`Limits`](crate::Limits).
        limit: &'static str,
        /// What went wrong; it names the bound's value.
        message: String,
        /// Where in the source.
        at: Option<Place>,
        /// The script's own function it happened in, the innermost one.
        function: Option<String>,
    },
}

impl ReactionError {
    /// What went wrong, without the place.
    pub fn message(&self) -> &str {
        match self {
            Self::Script { message, .. } | Self::Limit { message, .. } => message,
        }
    }

    /// Where in the source.
    pub fn at(&self) -> Option<Place> {
        match self {
            Self::Script { at, .. } | Self::Limit { at, .. } => *at,
        }
    }
}

fn prefix(at: Option<&Place>) -> String {
    at.map(|place| format!("{place}: ")).unwrap_or_default()
}
