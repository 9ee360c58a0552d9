//! What a rule set makes of one event.

use reflexarc_event::Event;
use reflexarc_reaction::{Action, StateChange};

/// Everything that follows from one event: data, nothing has happened yet. Evaluating never fails as a whole.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// What each rule that matched asks for: by hop, then by the order in which the events were derived, then by rule
    /// name.
    pub rules: Vec<RuleEffects>,
    /// Reactions that went wrong, in the same order; their rules contribute no actions and no changes.
    pub failures: Vec<Failure>,
}

/// What one rule asks for after one event.
#[derive(Debug, Clone)]
pub struct RuleEffects {
    /// The rule's name.
    pub rule: String,
    /// How many `emit`s lie between the event that came and the one this rule saw; 0 for the event itself.
    pub hop: usize,
    /// The rules whose `emit`s led here, first to last; empty at hop 0.
    pub causes: Vec<String>,
    /// The derived event this rule saw; `None` at hop 0.
    pub seen: Option<Event>,
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// Changes to the rule's own state.
    pub changes: Vec<StateChange>,
    /// Derived events, which the rules have seen one hop later in this same evaluation.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// Why it ended without actions, if it did so on purpose: `skip`, a throttle, `once`.
    pub skipped: Option<String>,
}

/// A reaction that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The rule's name.
    pub rule: String,
    /// As in [`RuleEffects::hop`].
    pub hop: usize,
    /// What went wrong, in one line, with line and column of the rule file where the script is to blame.
    pub message: String,
}

impl Evaluation {
    /// The names of the rules that matched the event itself or one derived from it, in the order of [`Evaluation::rules`];
    /// rules whose reaction failed are in [`Evaluation::failures`] instead.
    pub fn matched(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|effects| effects.rule.as_str())
    }

    /// Every action with the rule that asked for it and its number within that rule and hop, in order.
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
