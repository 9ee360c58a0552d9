//! Events of the archive.

use jiff::Timestamp;
use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, Json};

/// One archived event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Archived {
    /// Archive position, counted in the order of acceptance.
    pub seq: i64,
    /// Source and id.
    pub name: EventRef,
    /// Its `name` or `type`.
    pub kind: String,
    /// The resource that it is about.
    pub resource: String,
    /// When it was accepted; also the `now` of its evaluation.
    pub received: Timestamp,
    /// The event as it was received.
    pub event: Event,
    /// Its evaluation as [`evaluation_to_json`](crate::evaluation_to_json) writes it; `None` if no
    /// rule matched.
    pub evaluation: Option<Json>,
}

/// An event of the archive that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("event {seq} of the archive is damaged: {reason}")]
pub struct DamagedEvent {
    /// Its archive position.
    pub seq: i64,
    /// What is wrong.
    pub reason: String,
}

/// Selects events of the archive. An absent bound selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Accepted before this instant.
    pub to: Option<Timestamp>,
    /// Events with this id.
    pub id: Option<String>,
}

/// The result of [`Store::verify_archive`](crate::Store::verify_archive).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Number of events that were read.
    pub events: u64,
    /// Their uncompressed size in bytes.
    pub bytes: u64,
    /// The events that cannot be read back.
    pub damaged: Vec<DamagedEvent>,
}
