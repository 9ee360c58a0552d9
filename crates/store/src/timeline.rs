//! What a store offers to what happens in time: entries of the archive that are no events, and the
//! matches whose deadlines have come.

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::{DeliveryId, EventRef};
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::CallAnswer;

use crate::{Accepted, AttemptOutcome, StateReader, StoreError, WaitingCall, WithdrawnCall};

/// What happens in time, decided by the program that has the rules.
///
/// A store calls [`Timeline::advance`] inside each transaction that accepts events, before the
/// events, so that deadlines come first: an event never changes a match whose time was up before.
pub trait Timeline: Send + Sync {
    /// Applies what is due by `now`, and decides which time the events have.
    ///
    /// # Errors
    /// If the store fails; then nothing of the transaction is stored.
    fn advance(
        &self,
        transaction: &mut dyn TimeTransaction,
        now: Timestamp,
    ) -> Result<Advanced, StoreError>;
}

/// How far a timeline has come in a transaction.
pub struct Advanced {
    /// The time of the events: an earlier one than was given if the clock was set back since.
    pub now: Timestamp,
    /// Runs after the commit.
    pub after_commit: Option<AfterCommit>,
}

/// Runs once a transaction is committed, and not at all if it is not.
pub type AfterCommit = Box<dyn FnOnce() + Send>;

/// Whether the rules have a window: the name of its rule, and its fingerprint.
pub type LiveWindow<'a> = &'a dyn Fn(&str, u64) -> bool;

/// Work in a transaction of its own.
pub type TimeWork =
    Box<dyn FnOnce(&mut dyn TimeTransaction) -> Result<Option<AfterCommit>, StoreError> + Send>;

/// An open transaction that adds entries to the archive and changes matches.
pub trait TimeTransaction: StateReader {
    /// The matches that are due by `to`, at most `limit`: by deadline, then rule, then key. In a store
    /// that is shared only those of windows that `live` knows: another node may have the others.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn due(
        &self,
        to: Timestamp,
        limit: usize,
        live: LiveWindow<'_>,
    ) -> Result<Vec<DueMatch>, StoreError>;

    /// Whether another node that works runs other rules than those with this hash.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn has_other_rules(&self, hash: &str) -> Result<bool, StoreError>;

    /// When another node last worked, as far as is known.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn others_worked(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Stores an entry with its evaluation: state changes and deliveries, which are created `now`.
    ///
    /// # Errors
    /// If the store fails.
    fn add(
        &mut self,
        entry: NewEntry,
        evaluation: &Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError>;

    /// Lets the matches that are due by `to` wait until the time that `settled` has for their rule;
    /// rules for which it has none are left alone. Returns how many there were.
    ///
    /// # Errors
    /// If the store fails.
    fn postpone_due(
        &mut self,
        to: Timestamp,
        settled: &dyn Fn(&str) -> Option<Timestamp>,
    ) -> Result<u64, StoreError>;

    /// Ends a call with its answer, and records the attempt that led to it, if one did. `None` if
    /// it was answered before or does not exist: every call has exactly one answer. It is `None`
    /// too if what is kept of the call is damaged: then it becomes a dead letter, which is
    /// reported.
    ///
    /// The answer of the API is the answer also of a call that was to be withdrawn while it was
    /// being sent. What the rule gets is [`WaitingCall::answer`].
    ///
    /// # Errors
    /// If the store fails.
    fn settle_call(
        &mut self,
        id: DeliveryId,
        attempt: Option<&AttemptOutcome>,
        answer: &CallAnswer,
        now: Timestamp,
    ) -> Result<Option<WaitingCall>, StoreError>;

    /// The first calls that were withdrawn and have no answer yet, at most `limit`, in the order in
    /// which they were withdrawn: to be settled with [`TimeTransaction::settle_call`].
    ///
    /// # Errors
    /// If the store cannot be read.
    fn withdrawn_calls(&self, limit: usize) -> Result<Vec<WithdrawnCall>, StoreError>;

    /// Moves the deadlines of matches, the ends of delays, the times from which waiting calls
    /// expire and those of counted changes by `offset`, because the clock was set by as much.
    /// Returns how many matches and delayed deliveries there were.
    ///
    /// # Errors
    /// If the store fails.
    fn shift_times(&mut self, offset: SignedDuration) -> Result<(u64, u64), StoreError>;

    /// Closes the matches of rules, or of windows of rules, that `keep` does not know, and ends their
    /// incidents at `now`. Returns how many of each rule were pending.
    ///
    /// # Errors
    /// If the store fails.
    fn close_matches(
        &mut self,
        keep: LiveWindow<'_>,
        now: Timestamp,
    ) -> Result<Vec<(String, u64)>, StoreError>;

    /// The time and the description of the newest entry of a kind.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn newest(&self, kind: EntryKind) -> Result<Option<(Timestamp, Json)>, StoreError>;
}

/// A match whose time has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueMatch {
    /// Its deadline.
    pub at: Timestamp,
    /// The rule.
    pub rule: String,
    /// The key, as JSON.
    pub key: String,
}

/// What an entry of the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// An event, as it was received.
    Event,
    /// An event that a rule emitted and a match refers to.
    Emitted,
    /// A match whose deadline came.
    Firing,
    /// Nothing had fired deadlines for a while: those that had passed were moved.
    Resumed,
    /// The clock was set: deadlines were moved by as much.
    Clock,
    /// The rules or tables changed.
    Reload,
    /// An operator closed a match.
    Closed,
    /// The answer to a call.
    Answer,
    /// A program has written the state.
    State,
}

/// An entry that is no event.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Its kind.
    pub kind: EntryKind,
    /// Its time.
    pub at: Timestamp,
    /// What distinguishes its deliveries from those of all other entries.
    pub identity: EventIdentity,
    /// The event by which people find it and its deliveries; the opening event of a match.
    pub event: EventRef,
    /// The resource of that event.
    pub resource: String,
    /// What happened, as JSON: its body in the archive.
    pub detail: Json,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Event,
        Self::Emitted,
        Self::Firing,
        Self::Resumed,
        Self::Clock,
        Self::Reload,
        Self::Closed,
        Self::Answer,
        Self::State,
    ];

    /// Its number in the file.
    // The numbers are in the files of all installations: a new kind must be added at the end.
    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Emitted => "emitted",
            Self::Firing => "firing",
            Self::Resumed => "resumed",
            Self::Clock => "clock",
            Self::Reload => "reload",
            Self::Closed => "closed",
            Self::Answer => "answer",
            Self::State => "state",
        }
    }
}
