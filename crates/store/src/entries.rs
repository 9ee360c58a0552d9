//! Lists of entries of the archive, the newest first, as people look for them.

use jiff::Timestamp;
use reflexarc_delivery::EventRef;

use crate::{DamagedEvent, DeliveryStatus, EntryKind};

/// Selects entries of the archive. What is `None` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The id of the event.
    pub id: Option<String>,
    /// The source of the event.
    pub source: Option<String>,
    /// Its `name` or `type`; of an entry that is no event, the name of its kind.
    pub name: Option<String>,
    /// A rule that has matched, or failed.
    pub rule: Option<String>,
    /// What the entry is.
    pub kind: Option<EntryKind>,
    /// Accepted at this time or after it.
    pub from: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
}

/// An entry of the archive without the event itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntrySummary {
    /// Archive position.
    pub seq: i64,
    /// Whether it is an event, or what else it is.
    pub kind: EntryKind,
    /// Source and id; those of the event that it is about, if it is none itself.
    pub event: EventRef,
    /// Its `name` or `type`; if it is no event, the name of its kind.
    pub name: String,
    /// The resource that it is about; empty without one.
    pub resource: String,
    /// When it was accepted.
    pub received: Timestamp,
    /// The size of the event in bytes.
    pub size: u64,
    /// The rules that have matched or failed, each once; `None` if the evaluation cannot be read,
    /// or is larger than [`MAX_SUMMARY_EVALUATION`].
    pub rules: Option<Vec<String>>,
    /// How many of them have failed.
    pub failures: u64,
    /// The numbers of its deliveries by status, those that are not zero; of the first
    /// [`MAX_COUNTED_DELIVERIES`] deliveries.
    pub deliveries: Vec<(DeliveryStatus, u64)>,
}

/// A part of such a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryPage {
    /// The entries, the newest first. There may be none although others follow.
    pub entries: Vec<EntrySummary>,
    /// What would be in the page too, or may be, but cannot be read.
    pub damaged: Vec<DamagedEvent>,
    /// The archive position before which the next page begins; `None` at the end of the list.
    pub next: Option<i64>,
    /// When the last entry was accepted that was looked at: a page that ends before its limits are
    /// reached has searched until there. `None` at the end of the list.
    pub searched_until: Option<Timestamp>,
}

/// An evaluation that is larger than this, in bytes, is not read for a summary.
pub const MAX_SUMMARY_EVALUATION: usize = 1 << 20;

/// Deliveries that a summary counts.
pub const MAX_COUNTED_DELIVERIES: u64 = 1_000;
