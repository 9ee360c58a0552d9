//! What an evaluation was made of, as far as explanations need it.

use reflexarc::{Rule, RuleSet};
use reflexarc_event::{Event, NativeEvent};

use crate::explanation::PyExplanation;

/// The rules and the event of an evaluation.
pub(crate) struct EvaluationOrigin {
    /// `None` for an evaluation that was pickled: rules are much larger than what they do.
    pub(crate) rules: Option<RuleSet>,
    /// The event, or that of the call that was answered; `None` where only deadlines fired.
    pub(crate) event: Option<NativeEvent>,
}

impl EvaluationOrigin {
    /// Why a rule matches the event or not. One that does not match it but reacted to another
    /// event, `other`, is explained by that one. `None` without an event, and without the rule.
    pub(crate) fn explain(&self, rule: &str, other: Option<&Event>) -> Option<PyExplanation> {
        let event = self.event.as_ref();
        let rules = self.rules.as_ref()?;
        let explain = |event: &NativeEvent| PyExplanation::of_rule(rules, event, rule);
        let explained = event.and_then(explain);
        let Some(other) = other else {
            return explained;
        };
        explained
            .filter(PyExplanation::is_match)
            .or_else(|| explain(&NativeEvent::as_is(other.clone())))
    }

    /// The names of the rules, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(RuleSet::rules).map(Rule::name)
    }
}
