//! What a rule keeps of a match in time, as a store keeps it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::NativeEvent;

/// The state of one key of a rule with a time window: which events it has seen, what it waits for,
/// and until when.
///
/// What the data means, only the engine that wrote it knows. A store keeps it as it is, finds those
/// that are due, and keeps the events that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptMatch {
    /// The window that it is a match of: another number means that the rule has another one now.
    pub window: u64,
    /// The data.
    pub data: Arc<str>,
    /// When it has to be looked at, even if no event comes.
    pub due: Option<Timestamp>,
    /// The earliest time of `due`: after a restart, the repeats of senders come first.
    pub not_before: Option<Timestamp>,
    /// By how much the clock was set since the times in the data were taken.
    pub shift: SignedDuration,
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
            window: 0,
            data: data.into(),
            due: None,
            not_before: None,
            shift: SignedDuration::ZERO,
            expires: None,
            is_pending: false,
            positions: Vec::new(),
        }
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }

    /// The same match after the clock was set by `offset`: what it waits for comes as much later,
    /// or earlier.
    #[must_use]
    pub fn shifted(mut self, offset: SignedDuration) -> Self {
        let moved = |at: Timestamp| at.saturating_add(offset).unwrap_or(at);
        self.due = self.due.map(moved);
        self.not_before = self.not_before.map(moved);
        self.expires = self.expires.map(moved);
        self.shift = self.shift.saturating_add(offset);
        self
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
