//! What a reaction asks for: data, nothing happens yet.

use jiff::Timestamp;
use reflexarc_event::{Event, Json, Level};

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

/// One thing to deliver to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A message for people.
    Notify {
        /// The target's name in the configuration.
        target: String,
        /// What to say.
        message: Message,
    },
    /// A JSON document for machines.
    Send {
        /// The target's name in the configuration.
        target: String,
        /// The document.
        payload: Json,
    },
}

impl Action {
    /// The target's name.
    pub fn target(&self) -> &str {
        match self {
            Action::Notify { target, .. } | Action::Send { target, .. } => target,
        }
    }
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line; empty when the script gave only a text.
    pub title: String,
    /// The body, in plain text or Markdown.
    pub text: String,
    /// How much it weighs: the script's word, else the rule's level.
    pub level: Level,
    /// Whom to mention: mobile numbers or user ids as the target knows them, `all` for everybody.
    pub at: Vec<String>,
    /// Where to read more.
    pub link: Option<String>,
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
