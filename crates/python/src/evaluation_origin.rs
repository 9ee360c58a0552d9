//! What an evaluation was made of, as far as explanations need it.

use reflexarc::{Rule, RuleSet};
use reflexarc_event::{Event, NativeEvent};

use crate::explanation::PyExplanation;

/// The rules and the event of an evaluation.
pub(crate) struct EvaluationOrigin {
    pub(crate) rules: RuleSet,
    /// The event, or that of the call that was answered; `None` where only deadlines fired.
    pub(crate) event: Option<NativeEvent>,
}

impl EvaluationOrigin {
    /// Why a rule matches the event or not. One that does not match it but reacted to another
    /// event, `other`, is explained by that one. `None` without an event, and without the rule.
    pub(crate) fn explain(&self, rule: &str, other: Option<&Event>) -> Option<PyExplanation> {
        let event = self.event.as_ref();
        let explained = event.and_then(|event| explain(&self.rules, event, rule));
        let Some(other) = other else {
            return explained;
        };
        explained
            .filter(PyExplanation::is_match)
            .or_else(|| explain(&self.rules, &NativeEvent::as_is(other.clone()), rule))
    }

    /// The names of the rules, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.rules().map(Rule::name)
    }
}

/// Why a rule matches an event or not; `None` if the rule is unknown.
pub(crate) fn explain(rules: &RuleSet, event: &NativeEvent, rule: &str) -> Option<PyExplanation> {
    let explanation = rules.explain(event, rule)?;
    let lookups = rules.explain_lookups(event, rule);
    Some(PyExplanation::with_lookups(explanation, lookups))
}
