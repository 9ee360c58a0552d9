//! What a rule keeps of a match in time, as a store keeps it.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_event::NativeEvent;

/// The state of one key of a rule with a time window: which events it has seen, what it waits for,
/// and until when.
///
/// What the data means, only the engine that wrote it knows. A store keeps it as it is, finds those
/// that are due, and keeps the events that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptMatch {
    /// The data.
    pub data: Arc<str>,
    /// When it has to be looked at, even if no event comes.
    pub due: Option<Timestamp>,
    /// When it is worth nothing any more; never when absent.
    pub expires: Option<Timestamp>,
    /// Whether it waits for something. Those that do not are kept for events that are late, or
    /// until what they have reported is resolved.
    pub is_pending: bool,
    /// The positions of the events that it refers to, ascending.
    pub positions: Vec<u64>,
}

/// An event that a match refers to, with its position: its place among all that was kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptEvent {
    /// Its position.
    pub position: u64,
    /// The event.
    pub event: NativeEvent,
}

impl KeptMatch {
    /// A match with this data that waits for nothing and refers to no event.
    pub fn new(data: impl Into<Arc<str>>) -> Self {
        Self {
            data: data.into(),
            due: None,
            expires: None,
            is_pending: false,
            positions: Vec::new(),
        }
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

impl KeptEvent {
    /// An event at a position.
    pub fn new(position: u64, event: NativeEvent) -> Self {
        Self { position, event }
    }
}

impl PartialEq for KeptEvent {
    fn eq(&self, other: &Self) -> bool {
        self.position == other.position && self.event.bytes() == other.event.bytes()
    }
}

impl Eq for KeptEvent {}
