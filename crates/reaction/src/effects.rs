//! What a reaction asks for: data, nothing happens yet.

use jiff::Timestamp;
use reflexarc_event::{Event, Json};

use crate::Action;

/// Everything that one run of one reaction asks for, in the order it asked.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Messages and documents to deliver.
    pub actions: Vec<Action>,
    /// Changes to the rule's own state, the last one of a key counts.
    pub changes: Vec<StateChange>,
    /// Derived events for the rules to see.
    pub emitted: Vec<Event>,
    /// Lines of `log`.
    pub log: Vec<String>,
    /// Why the script ended early with `skip`; there are no actions then.
    pub skipped: Option<String>,
}

/// One change to a rule's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// The key holds this value from now on.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: Json,
        /// When it is forgotten; never when absent.
        expires: Option<Timestamp>,
    },
    /// The key is forgotten.
    Remove {
        /// The key.
        key: String,
    },
}
