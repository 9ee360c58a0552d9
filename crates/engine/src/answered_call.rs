//! A call that was answered, for [`RuleSet::answer`](crate::RuleSet::answer).

use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{Action, CallAnswer};

use crate::RuleEffects;

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

    /// The answer to a call among the actions of these effects, which are of the evaluation of
    /// `event`. `None` for an action that is no call.
    ///
    /// ```
    /// use reflexarc::{AnsweredCall, CallAnswer, Json, NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("start.toml", r#"
    ///     when = 'state == "Stopped"'
    ///     then = 'call("ecs", "StartInstance", #{ InstanceId: event.id })'
    ///     answered = 'notify("team", `${event.id}: ${answer.ok}`)'
    /// "#)])?;
    /// let event = NativeEvent::from_json(r#"{"state": "Stopped", "id": "i-1"}"#)?;
    /// let now = Timestamp::UNIX_EPOCH;
    /// let evaluation = rules.evaluate(&event, &NoState, now);
    /// let (effects, action) = (&evaluation.rules[0], &evaluation.rules[0].actions[0]);
    ///
    /// let answer = CallAnswer::ok(200, Json::Null);
    /// let call = AnsweredCall::of(effects, action, Some(&event), answer).ok_or("no call")?;
    /// assert_eq!((call.operation.as_str(), call.hop), ("StartInstance", 1));
    /// assert_eq!(rules.answer(&call, &NoState, now).actions().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(
        effects: &RuleEffects,
        action: &Action,
        event: Option<&NativeEvent>,
        answer: CallAnswer,
    ) -> Option<Self> {
        let Action::Call {
            target,
            operation,
            parameters,
            ..
        } = action
        else {
            return None;
        };
        // That of effects was converted when it was evaluated.
        let own = effects.event.clone().map(NativeEvent::as_is);
        Some(Self {
            rule: effects.rule.clone(),
            event: own.or_else(|| event.cloned()),
            key: effects.key.clone(),
            hop: effects.hop + 1,
            target: target.clone(),
            operation: operation.clone(),
            parameters: parameters.clone(),
            answer,
        })
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
