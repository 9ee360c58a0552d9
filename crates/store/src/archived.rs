//! Entries of the archive.

use std::fmt;

use jiff::Timestamp;
use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, Json};

use crate::EntryKind;

/// One archived event, or another entry of the archive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Archived {
    /// Archive position, counted in the order of acceptance.
    pub seq: i64,
    /// Whether it is an event, or what else it is.
    pub entry: EntryKind,
    /// Source and id; those of the event that it is about, if it is none itself.
    pub name: EventRef,
    /// Its `name` or `type`; if it is no event, the name of its kind.
    pub kind: String,
    /// The resource that it is about.
    pub resource: String,
    /// When it was accepted; also the `now` of its evaluation.
    pub received: Timestamp,
    /// The event as it was received; of an entry that is none, what happened.
    pub event: Event,
    /// Its evaluation as [`evaluation_to_json`](crate::evaluation_to_json) writes it; `None` if no
    /// rule matched.
    pub evaluation: Option<Json>,
}

/// An event of the archive that cannot be read back, or all that may be at positions in a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct DamagedEvent {
    /// Its archive position, or the first one.
    pub seq: i64,
    /// The last position; `i64::MAX` if the damage reaches to the end of the archive.
    pub last: i64,
    /// What is wrong.
    pub reason: String,
}

/// A part of the archive.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EventPage {
    /// The selected events, in order of acceptance. There may be none although others follow.
    pub events: Vec<Result<Archived, DamagedEvent>>,
    /// The archive position after which the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// Selects entries of the archive. An absent bound selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Accepted before this instant.
    pub to: Option<Timestamp>,
    /// Events with this id, and entries about them.
    pub id: Option<String>,
    /// Entries of this kind.
    pub kind: Option<EntryKind>,
}

impl DamagedEvent {
    /// One event.
    pub(crate) fn one(seq: i64, reason: String) -> Self {
        Self {
            seq,
            last: seq,
            reason,
        }
    }
}

impl fmt::Display for DamagedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, last, reason } = self;
        if seq == last {
            return write!(f, "event {seq} of the archive is damaged: {reason}");
        }
        // Positions, not events: some of them may have been pruned.
        f.write_str("the events of the archive at the positions ")?;
        match *last {
            i64::MAX => write!(f, "from {seq} on cannot be read: {reason}"),
            last => write!(f, "{seq} to {last} cannot be read: {reason}"),
        }
    }
}

/// The result of [`Store::verify_archive`](crate::Store::verify_archive).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Number of events that were read.
    pub events: u64,
    /// Number of other entries that were read.
    pub others: u64,
    /// The uncompressed size of all of them in bytes.
    pub bytes: u64,
    /// The events that cannot be read back.
    pub damaged: Vec<DamagedEvent>,
    /// What is wrong with the structure of the store, if anything is.
    pub structure: Option<String>,
}
