//! The result of evaluating one event.

use reflexarc_event::Event;
use reflexarc_reaction::{Action, StateChange};

/// The effects and failures of all the rules that matched one event. It is data: nothing has been
/// delivered or stored yet. An evaluation never fails as a whole.
// A list of effects by rule, not one merged set: traces show which rule did what, and a failure
// must remove the effects of one rule only.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// The effects of each rule that matched: by hop, then in the order in which the events were
    /// emitted, then by rule name.
    pub rules: Vec<RuleEffects>,
    /// Reactions that failed, in the same order; they have no actions and no state changes.
    pub failures: Vec<Failure>,
}

/// The effects of one rule.
#[derive(Debug, Clone)]
pub struct RuleEffects {
    /// The rule's name.
    pub rule: String,
    /// The number of `emit`s between the original event and the one that this rule matched; 0 for
    /// the original event.
    pub hop: usize,
    /// The rules whose `emit`s led here, first to last; empty at hop 0.
    pub causes: Vec<String>,
    /// The emitted event that this rule matched; `None` at hop 0.
    pub event: Option<Event>,
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// Changes to the rule's own state.
    pub changes: Vec<StateChange>,
    /// Emitted events; the rules have evaluated them one hop later in this same evaluation.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// Why the rule has no actions, if that was deliberate: `skip`, `throttle` or `once`.
    pub skipped: Option<String>,
}

/// A reaction that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule's name.
    pub rule: String,
    /// As in [`RuleEffects::hop`].
    pub hop: usize,
    /// The error in one line, with the location in the rule file if it is an error of the script.
    pub message: String,
}

impl Evaluation {
    /// The names of the rules that matched the event itself or one emitted for it, in the order of
    /// [`Evaluation::rules`]. Rules whose reaction failed are in [`Evaluation::failures`] instead.
    pub fn matched(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|effects| effects.rule.as_str())
    }

    /// Every action with the effects that it is part of and its index there, in order.
    pub fn actions(&self) -> impl Iterator<Item = (&RuleEffects, usize, &Action)> {
        self.rules.iter().flat_map(|effects| {
            effects
                .actions
                .iter()
                .enumerate()
                .map(move |(i, action)| (effects, i, action))
        })
    }

    /// Whether no rule matched.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.failures.is_empty()
    }
}
