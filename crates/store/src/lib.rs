//! The durable store of an event service: archive, event identities, rule state, outbox and dead
//! letters.
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use reflexarc::RuleSet;
//! use reflexarc_event::Event;
//! use reflexarc_reaction::NoState;
//! use reflexarc_store::{Incoming, SqliteStore, Store, StoreOptions};
//!
//! let rule = "when = 'level == \"WARN\"'\nthen = 'send(\"inventory\", event.id);'";
//! let rules = RuleSet::compile([("warnings.toml", rule)]).expect("the rule is valid");
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("reflexarc.db");
//! let store = SqliteStore::open(&path, &StoreOptions::default())?;
//!
//! let incoming = Incoming::new(Event::from_json(r#"{"id": "1", "level": "WARN"}"#)?)?;
//! let now = Timestamp::UNIX_EPOCH;
//! let evaluation = rules.evaluate(&incoming.native, &NoState, now);
//! let accepted = store.accept(incoming, evaluation, now)?;
//!
//! let claimed = store.claim("inventory", now, SignedDuration::from_secs(60), 10)?;
//! assert_eq!(accepted.deliveries, [claimed[0].id]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Store`] is what every backend promises; the tests of this crate hold these promises as one
//! suite that runs on each backend. [`SqliteStore`] keeps one SQLite file; `PostgresStore` is in a
//! PostgreSQL server that several processes share (feature `cluster`).
//!
//! Types of other crates in the public API: times and durations are those of [`jiff`]; evaluations,
//! events, state entries and deliveries are those of `reflexarc`, `reflexarc-event`,
//! `reflexarc-reaction` and `reflexarc-delivery`.
//!
//! This crate must not know HTTP, the protocols of targets, or a clock: every time is an argument.

#![allow(
    clippy::disallowed_methods,
    reason = "a store is at the rim: it uses files and threads"
)]

mod accepted;
mod archived;
mod audit;
mod calls;
mod check;
mod copy;
mod database;
mod database_store;
mod dead_letters;
mod engine;
mod entries;
mod error;
mod evaluation_json;
mod filters;
mod incidents;
mod incoming;
mod matches;
mod nodes;
mod options;
mod page;
mod phase;
#[cfg(feature = "cluster")]
mod postgres;
mod recorded_change;
mod records;
mod reply;
mod retention;
mod silences;
mod sqlite;
mod state;
mod store;
mod timeline;
mod tree;
mod version;

pub use accepted::{Accepted, ReplayAccepted};
pub use archived::{Archived, DamagedEvent, EventPage, Selection, VerifyReport};
pub use audit::{AuditEntry, AuditFilter, AuditLimits, AuditOutcome, AuditVia, NewAuditEntry};
pub use calls::{
    ChangePeriod, ChangeReservation, ChangeStop, WaitingCall, WithdrawnCall, WithdrawnCallObserver,
};
pub use check::{Damage, MAX_LISTED_DAMAGE, StoreCheck};
pub use copy::{
    CopyError, CopyPhase, CopyProgress, CopyReport, CopySource, CopyTarget, copy_store,
};
pub use dead_letters::{DeadLetter, DeadLetterObserver, DeadLetterReport, MAX_LISTED};
pub use entries::{
    EntryPage, EntrySummary, EventFilter, MAX_COUNTED_DELIVERIES, MAX_SUMMARY_EVALUATION,
};
pub use error::StoreError;
pub use evaluation_json::evaluation_to_json;
pub use filters::{BulkChange, BulkStep, DeliveryFilter, SelectedChange};
pub use incidents::{Acknowledged, Acknowledgement, Incident, IncidentEnd, IncidentFilter};
pub use incoming::Incoming;
pub use matches::{
    ClosedBy, DamagedMatch, DueCursor, DuePage, MatchCount, MatchCursor, MatchFilter, MatchPage,
    PendingMatch,
};
pub use nodes::{Beat, NewNode, Node, NodeSetup, NodeState, Note, NoteObserver};
pub use options::StoreOptions;
pub use page::{
    DamagedDelivery, DeliveryPage, EventDeliveries, InvalidPageCursor, PageCursor, PageLimits,
};
pub use phase::phase_of;
#[cfg(feature = "cluster")]
pub use postgres::PostgresStore;
pub use recorded_change::{RecordedChange, RecordedValue, recorded_changes};
pub use records::{
    Attempt, AttemptOutcome, ClaimLimit, Claimed, DeliveryRecord, DeliveryStatus, EndedAttempt,
    FoldedAttempts, QueueDepth, RuleUse, Sender, Settled, TargetPause,
};
pub use reply::{Reply, ReplySender};
pub use retention::{Pruned, Retention};
pub use silences::{
    ActiveSilence, ActiveWithholding, Candidate, InhibitingIncident, MAX_INHIBITING_INCIDENTS,
    NewSilence, ReleaseStep, Silence, SilenceEnd, WithheldBy, WithheldPeriod, Withholding,
    WithholdingDecision,
};
pub use sqlite::SqliteStore;
pub use state::{EvaluateInTransaction, ReadSet, StateReader, StoredState};
pub use store::{Store, StoreLock};
pub use timeline::{
    Advanced, AfterCommit, DueMatch, EntryKind, LiveWindow, NewEntry, TimeTransaction, TimeWork,
    Timeline,
};
pub use version::StoreVersion;

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
