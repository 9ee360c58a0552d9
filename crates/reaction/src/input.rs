//! What a run of a script reads, besides the state.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::{CallInput, Json, Level, ScriptEvent, WindowInput};

/// What a script and its messages know of their rule.
///
/// ```
/// use reflexarc_reaction::{Level, RuleInfo};
///
/// let rule = RuleInfo::named("failed").with_level(Level::Warn).with_description("Failures");
/// assert_eq!((rule.name.as_str(), rule.level), ("failed", Level::Warn));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RuleInfo {
    /// The rule's name, which is also the name of its state.
    pub name: String,
    /// The severity of its messages, unless the script sets another.
    pub level: Level,
    /// Its purpose; empty when the rule has none.
    pub description: String,
    /// Its labels: what it belongs to, such as a team.
    pub labels: BTreeMap<String, String>,
}

// A function and not a time, because this crate has no clock: the service passes one in, `run` and
// rule tests do not, and only so their results are repeatable.
/// Returns the reading of a monotonic clock, from any fixed point in time.
pub type Stopwatch<'a> = &'a dyn Fn() -> Duration;

/// The input of one run.
///
/// ```
/// use std::time::Instant;
///
/// use reflexarc_reaction::{Event, Input, RuleInfo, ScriptEvent, Timestamp};
///
/// let event = ScriptEvent::new(&Event::from_json("{}")?);
/// let rule = RuleInfo::named("failed");
/// let start = Instant::now();
/// let stopwatch = || start.elapsed();
/// let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH).with_stopwatch(&stopwatch);
/// assert!(input.stopwatch.is_some() && input.window.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Input<'a> {
    /// The event, as `event` in the script, which is `()` without one.
    pub event: Option<&'a ScriptEvent>,
    /// The rule, as `rule` in the script: a map of `name`, `level`, `description` and `labels`.
    pub rule: &'a RuleInfo,
    /// The time, as `now` in the script: milliseconds since 1970-01-01T00:00:00Z.
    pub now: Timestamp,
    /// Holds the run to [`ReactionLimits::deadline`](crate::ReactionLimits::deadline). Only whether
    /// a run fails can depend on it, never its effects. Without it,
    /// [`ReactionLimits::operations`](crate::ReactionLimits::operations) alone bounds the run, and
    /// the result is the same every time.
    pub stopwatch: Option<Stopwatch<'a>>,
    /// The rows that the lookups of the rule have found, as `lookup` in the script, by the name of
    /// the lookup; null where there is none.
    pub lookup: Option<&'a Json>,
    /// The match of the rule's time window, for scripts of a [`VariableScope`] with a window.
    ///
    /// [`VariableScope`]: crate::VariableScope
    pub window: Option<&'a WindowInput<'a>>,
    /// The call that was answered, for scripts of [`VariableScope::Answered`].
    ///
    /// [`VariableScope::Answered`]: crate::VariableScope::Answered
    pub call: Option<&'a CallInput<'a>>,
}

impl RuleInfo {
    /// A rule with this name, of level info, without description.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The same with another severity of its messages.
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same with labels.
    ///
    /// ```
    /// use reflexarc_reaction::RuleInfo;
    ///
    /// let rule = RuleInfo::named("failed").with_labels([("team", "network")]);
    /// assert_eq!(rule.labels["team"], "network");
    /// ```
    #[must_use]
    pub fn with_labels<K: Into<String>, V: Into<String>>(
        self,
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let labels = labels.into_iter();
        Self {
            labels: labels
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            ..self
        }
    }

    /// The same with a description.
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..self
        }
    }
}

impl<'a> Input<'a> {
    /// The input of a run without stopwatch.
    pub fn new(event: &'a ScriptEvent, rule: &'a RuleInfo, now: Timestamp) -> Self {
        Self {
            event: Some(event),
            rule,
            now,
            stopwatch: None,
            lookup: None,
            window: None,
            call: None,
        }
    }

    /// The input of a run in which `event` is `()`, because none has come: of a rule that reacts
    /// to the absence of events.
    pub fn without_event(rule: &'a RuleInfo, now: Timestamp) -> Self {
        Self {
            event: None,
            rule,
            now,
            stopwatch: None,
            lookup: None,
            window: None,
            call: None,
        }
    }

    /// The same with a call that was answered; see there for an example.
    #[must_use]
    pub fn with_call(self, call: &'a CallInput<'a>) -> Self {
        Self {
            call: Some(call),
            ..self
        }
    }

    /// The same with a match of the rule's time window; see there for an example.
    #[must_use]
    pub fn with_window(self, window: &'a WindowInput<'a>) -> Self {
        Self {
            window: Some(window),
            ..self
        }
    }

    /// The same with the rows that lookups have found.
    ///
    /// ```
    /// use reflexarc_reaction::{
    ///     Event, Input, Json, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent,
    ///     ScriptVariables, Timestamp,
    /// };
    ///
    /// let variables = ScriptVariables::default().with_lookups(true);
    /// let script = "log(lookup.vswitch?.id)";
    /// let reaction = Reaction::compile_in(script, variables, &ReactionLimits::DEFAULT)?;
    /// let event = ScriptEvent::new(&Event::from_json("{}")?);
    /// let rule = RuleInfo::named("storm");
    /// let rows = Json::parse(r#"{"vswitch": {"id": "vsw-1"}}"#)?;
    /// let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH).with_lookup(&rows);
    /// assert_eq!(reaction.run(&input, &NoState)?.log, ["vsw-1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_lookup(self, rows: &'a Json) -> Self {
        Self {
            lookup: Some(rows),
            ..self
        }
    }

    /// The same with a stopwatch.
    #[must_use]
    pub fn with_stopwatch(self, stopwatch: Stopwatch<'a>) -> Self {
        Self {
            stopwatch: Some(stopwatch),
            ..self
        }
    }
}
