//! A call that was answered, for [`RuleSet::answer`](crate::RuleSet::answer).

use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::CallAnswer;

/// A call of a rule with its answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AnsweredCall {
    /// The rule that called.
    pub rule: String,
    /// The event that began it; `None` where there was none.
    pub event: Option<NativeEvent>,
    /// As [`RuleEffects::key`](crate::RuleEffects::key) of the effects that had the call.
    pub key: Option<Json>,
    /// The hop of the call: one more than that of the effects that had it.
    pub hop: usize,
    /// The target.
    pub target: String,
    /// The operation.
    pub operation: String,
    /// The parameters.
    pub parameters: Json,
    /// The answer.
    pub answer: CallAnswer,
}

impl AnsweredCall {
    /// The answer to a call of a rule on an event, without a key: the first hop.
    pub fn new(
        rule: impl Into<String>,
        event: Option<NativeEvent>,
        target: impl Into<String>,
        operation: impl Into<String>,
        parameters: impl Into<Json>,
        answer: CallAnswer,
    ) -> Self {
        Self {
            rule: rule.into(),
            event,
            key: None,
            hop: 1,
            target: target.into(),
            operation: operation.into(),
            parameters: parameters.into(),
            answer,
        }
    }

    /// The same with the key of the effects that had the call.
    #[must_use]
    pub fn with_key(self, key: Option<Json>) -> Self {
        Self { key, ..self }
    }

    /// The same at another hop.
    #[must_use]
    pub fn with_hop(self, hop: usize) -> Self {
        Self { hop, ..self }
    }
}
