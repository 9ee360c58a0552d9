//! The result of evaluating one event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Action, StateChange};

/// The effects and failures of all the rules that matched one event. It is data: nothing has been
/// delivered or stored yet. An evaluation never fails as a whole.
///
/// ```
/// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
///
/// let rules = RuleSet::compile([
///     ("count.toml", "when = 'id exists'\nthen = 'add(\"n\", 1)'"),
///     ("broken.toml", "when = 'id exists'\nthen = 'throw \"no\"'"),
///     ("other.toml", "when = 'name exists'\nnotify = ['team']"),
/// ])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
/// assert!(evaluation.matched().eq(["count"]));
/// assert_eq!(evaluation.failures[0].rule, "broken");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// A list of effects by rule, not one merged set: traces show which rule did what, and a failure
// must remove the effects of one rule only.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Evaluation {
    /// The effects of each rule that matched: by hop, then in the order in which the events were
    /// emitted, then by rule name.
    pub rules: Vec<RuleEffects>,
    /// Reactions that failed, in the same order; they have no actions and no state changes.
    pub failures: Vec<Failure>,
    /// The size of the effects of all rules, as
    /// [`RuleSetLimits::effect_bytes`](crate::RuleSetLimits::effect_bytes) counts it.
    pub effect_bytes: usize,
}

/// The effects of one rule.
///
/// ```
/// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
///
/// let rules = RuleSet::compile([
///     ("first.toml", "when = 'id exists'\nthen = 'emit(#{name: \"second\"})'"),
///     ("second.toml", "when = 'name == \"second\"'\nthen = 'log(\"seen\")'"),
/// ])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
/// let second = &evaluation.rules[1];
/// assert_eq!((second.rule.as_str(), second.hop), ("second", 1));
/// assert_eq!(second.causes, ["first"]);
/// assert_eq!(second.log, ["seen"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RuleEffects {
    /// The rule's name.
    pub rule: String,
    /// The rule's labels.
    pub labels: BTreeMap<String, String>,
    /// The number of `emit`s between the original event and the one that this rule matched; 0 for
    /// the original event.
    pub hop: usize,
    /// The rules whose `emit`s led here, first to last; empty at hop 0.
    pub causes: Vec<String>,
    /// The emitted event that this rule matched, or the event of the match that fired because its
    /// time had come; `None` where it is the event that was evaluated.
    pub event: Option<Event>,
    /// The match of the rule's time window that made it react; `None` for a rule without one, and
    /// for an event that only became part of a match.
    pub firing: Option<MatchFiring>,
    /// The key of the event or match: the value at the path of `by`, for several paths an array of
    /// them. `None` for a rule without `by`, for an event without the value, and where there are
    /// neither actions nor names in [`RuleEffects::cancelled`].
    pub key: Option<Json>,
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// The names that the script gave to `cancel`: what waits under them, of this rule and with
    /// this key, is cancelled before the actions are delivered or begin to wait.
    pub cancelled: Vec<String>,
    /// Changes to the rule's own state.
    pub changes: Vec<StateChange>,
    /// Emitted events; the rules have evaluated them one hop later in this same evaluation.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// Why the rule has no actions, if that was deliberate: `skip`, `throttle` or `once`.
    pub skipped: Option<String>,
    /// What became of the match of each key of the rule's time window: opened, continued, closed.
    pub steps: Vec<String>,
    /// What did not stop the rule but may not be as intended: a gate whose key the event lacks,
    /// a log line that was cut.
    pub notes: Vec<String>,
}

/// A match of a time window that has fired.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatchFiring {
    /// Whether it fired or was resolved.
    pub reason: FiringReason,
    /// Whose match it is: the value at the path of `by`, for several paths an array of them, and
    /// an empty text without `by`.
    pub key: Json,
    /// The time of the opening event.
    pub opened: Timestamp,
    /// The end of the time that was waited; `None` where an event completed the match.
    pub deadline: Option<Timestamp>,
    /// The number of its events.
    pub count: u64,
    /// Whether one of them came later than `grace` allows.
    pub late: bool,
    /// Of a resolved match, whether what is reported goes to the targets that got what was
    /// reported when it fired: so it is for the message of `resolved`; a script decides itself.
    pub to_opening: bool,
}

impl MatchFiring {
    /// Of a match that an event completed: the only one, in time.
    pub fn new(reason: FiringReason, key: Json, opened: Timestamp) -> Self {
        Self {
            reason,
            key,
            opened,
            deadline: None,
            count: 1,
            late: false,
            to_opening: false,
        }
    }
}

/// Why the reaction of a rule with a time window ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FiringReason {
    /// The match is complete, or its time has passed: `then` or `notify`.
    Fired,
    /// What it had reported is over: `resolved`.
    Resolved,
}

/// A reaction that failed.
///
/// ```
/// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
///
/// let text = "when = 'id exists'\nthen = 'throw \"no\"'";
/// let rules = RuleSet::compile([("rules/broken.toml", text)])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
/// assert_eq!(evaluation.failures[0].message, "rules/broken.toml:2:9: no");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The rule's name.
    pub rule: String,
    /// As in [`RuleEffects::hop`].
    pub hop: usize,
    /// The error in one line, with the location in the rule file if it is an error of the script.
    pub message: String,
    /// Whether the reaction ran.
    pub cause: FailureCause,
}

/// Why a reaction failed.
///
/// ```
/// use reflexarc::{Failure, FailureCause};
///
/// assert_eq!(Failure::new("a", "unknown variable").cause, FailureCause::Reaction);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureCause {
    /// It ran, and failed or exceeded a limit of one run.
    #[default]
    Reaction,
    /// It did not run: its rule has used up its [`ReactionBudget`](crate::ReactionBudget).
    Budget,
}

impl RuleEffects {
    /// A rule that matched the original event, without effects.
    pub fn new(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            ..Self::default()
        }
    }

    /// All that is to be said of the rule besides its effects: [`RuleEffects::steps`], then
    /// [`RuleEffects::notes`].
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        let remarks = self.steps.iter().chain(&self.notes);
        remarks.map(String::as_str)
    }
}

impl Failure {
    /// A failure at the original event.
    pub fn new(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            hop: 0,
            message: message.into(),
            cause: FailureCause::default(),
        }
    }
}

impl Evaluation {
    /// The names of the rules that matched the event itself or one emitted for it, in the order of
    /// [`Evaluation::rules`]. Rules whose reaction failed are in [`Evaluation::failures`] instead;
    /// one with a time window is here for each key whose match has changed, also if it failed.
    pub fn matched(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|effects| effects.rule.as_str())
    }

    /// The state changes of each rule, with its name, in the order in which to apply them.
    ///
    /// ```
    /// use reflexarc::{MemoryState, NativeEvent, RuleSet, State, Timestamp};
    ///
    /// let text = "when = 'id exists'\nthen = 'add(\"n\", 1)'";
    /// let rules = RuleSet::compile([("count.toml", text)])?;
    /// let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// for json in [r#"{"id": 1}"#, r#"{"id": 2}"#] {
    ///     let evaluation = rules.evaluate(&NativeEvent::from_json(json)?, &state, now);
    ///     for (rule, changes) in evaluation.changes() {
    ///         state.apply(rule, changes);
    ///     }
    /// }
    /// let entry = state.get("count", "n", now).ok_or("no entry")?;
    /// assert_eq!(entry.value.as_i64(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes(&self) -> impl Iterator<Item = (&str, &[StateChange])> {
        // In the order of evaluation: a rule that also matches an emitted event is here once for
        // each, and what its later run wrote has to be applied last.
        let rules = self.rules.iter();
        rules.map(|effects| (effects.rule.as_str(), effects.changes.as_slice()))
    }

    /// Every action with the effects that it is part of and its index there, in order.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id exists'\nnotify = ['x', 'y']")])?;
    /// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
    /// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
    /// let targets: Vec<_> = evaluation
    ///     .actions()
    ///     .map(|(effects, index, action)| (effects.rule.as_str(), index, action.target()))
    ///     .collect();
    /// assert_eq!(targets, [("a", 0, "x"), ("a", 1, "y")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
