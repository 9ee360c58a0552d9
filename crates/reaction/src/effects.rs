//! The effects of a reaction: data; nothing has been delivered or stored yet.

use jiff::Timestamp;
use reflexarc_event::{Event, Json};

use crate::{Action, KeptEvent, KeptMatch};

/// The effects of one run, each kind in the order of the calls.
///
/// ```
/// # use reflexarc_event::Event;
/// # use reflexarc_reaction::{Input, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent};
/// use jiff::Timestamp;
///
/// let script = r#"add("failures", 1); log("counted"); skip("not the third failure yet")"#;
/// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
/// # let event = ScriptEvent::new(&Event::from_json("{}")?);
/// # let rule = RuleInfo::named("failed");
/// let effects = reaction.run(&Input::new(&event, &rule, Timestamp::UNIX_EPOCH), &NoState)?;
/// assert_eq!(effects.changes.len(), 1);
/// assert_eq!(effects.log, ["counted"]);
/// assert_eq!(effects.skipped.as_deref(), Some("not the third failure yet"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Effects {
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// The names that were cancelled, each once: to be applied before the actions. An action of the
    /// same run under one of them came later.
    pub cancelled: Vec<String>,
    /// Changes to the rule's own state, at most one for each key.
    pub changes: Vec<StateChange>,
    /// Emitted events, which all rules evaluate.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// The reason given to `skip`; there are no actions and emitted events then.
    pub skipped: Option<String>,
    /// What did not stop the script but may not be as intended: a log line that was cut.
    pub notes: Vec<String>,
    /// The size of actions, state changes and emitted events, as `effect_bytes` of
    /// [`ReactionLimits`](crate::ReactionLimits) counts it, and of the lines of `log`.
    pub bytes: usize,
}

/// A change to the state of a rule.
///
/// ```
/// use reflexarc_reaction::{Json, StateChange};
///
/// let change = StateChange::Set { key: "failures".into(), value: Json::from(3), expires: None };
/// assert_eq!(change.key(), "failures");
/// ```
// Exhaustive on purpose: a store of state must apply every change with all its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// Sets the value of a key.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: Json,
        /// When the entry expires; never when absent.
        expires: Option<Timestamp>,
    },
    /// Removes a key.
    Remove {
        /// The key.
        key: String,
    },
    /// Sets the match of a key of the rule's time window.
    SetMatch {
        /// The key: JSON.
        key: String,
        /// What is kept of the match.
        kept: KeptMatch,
        /// The event of the evaluation, if the match refers to it.
        event: Option<KeptEvent>,
    },
    /// Removes the match of a key.
    RemoveMatch {
        /// The key: JSON.
        key: String,
    },
}

impl StateChange {
    /// The key that is set or removed.
    pub fn key(&self) -> &str {
        match self {
            Self::Set { key, .. }
            | Self::Remove { key }
            | Self::SetMatch { key, .. }
            | Self::RemoveMatch { key } => key,
        }
    }
}
