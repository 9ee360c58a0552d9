//! The effects of a reaction: data; nothing has been delivered or stored yet.

use jiff::Timestamp;
use reflexarc_event::{Event, Json};

use crate::Action;

/// The effects of one run, each kind in the order of the calls.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// Changes to the rule's own state, at most one for each key.
    pub changes: Vec<StateChange>,
    /// Emitted events, which all rules evaluate.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// The reason given to `skip`; there are no actions and emitted events then.
    pub skipped: Option<String>,
}

/// A change to the state of a rule.
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
}
