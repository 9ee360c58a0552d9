//! Deliveries and attempts, as the store returns them.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{Decision, Delivery, DeliveryId};

use crate::DeadLetterReport;

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// In the outbox; attempted when it is due.
    Pending,
    /// Accepted by its receiver.
    Delivered,
    /// A dead letter: undeliverable until an operator redrives or drops it.
    Dead,
    /// Cancelled by an operator or a rule before it was delivered, or replaced.
    Cancelled,
    /// A dead letter that an operator dropped.
    Dropped,
    /// A call that has got its answer, and the answer was processed.
    Answered,
    /// A call that will not be sent (again): its answer, which says so, is processed next.
    Withdrawn,
    /// Kept back by a silence or an inhibition; pending again when that ends.
    Withheld,
    /// Ended by a silence before it was delivered, and never sent.
    Silenced,
}

/// A delivery with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// Its status.
    pub status: DeliveryStatus,
    /// When it is attempted next, while pending.
    pub due: Timestamp,
    /// When it left the outbox.
    pub finished: Option<Timestamp>,
    /// Why it became a dead letter, was cancelled, dropped or withdrawn; of an answered call, code
    /// and message of an answer that is not ok.
    pub reason: Option<String>,
    /// Archive position of its event.
    pub seq: i64,
    /// Whether it waits for an earlier delivery of its order key, however long that takes.
    pub waits: bool,
    /// The incident whose firing, acknowledgement or end it reports.
    pub incident: Option<i64>,
}

/// The pending deliveries of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueDepth {
    /// The name of the target.
    pub target: String,
    /// How many may be attempted, or wait for a retry or for others.
    pub waiting: u64,
    /// How many are delayed, and not due yet.
    pub delayed: u64,
    /// When the oldest of those that wait was created; for one that was delayed, when it became
    /// due. `None` if none waits.
    pub oldest: Option<Timestamp>,
}

/// What the store keeps of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleUse {
    /// The name of the rule.
    pub rule: String,
    /// Number of its pending deliveries.
    pub pending: u64,
    /// Number of its state entries, those included that have expired and are not pruned.
    pub entries: u64,
    /// Number of its matches in time, those included that have expired and are not pruned.
    pub matches: u64,
}

/// A pause of a target by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPause {
    /// When it began.
    pub since: Timestamp,
    /// The operator.
    pub by: String,
    /// The operator's reason, if one was given.
    pub reason: Option<String>,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, from 1, over all series of attempts of this delivery.
    pub number: u32,
    /// When it started.
    pub started: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// `delivered`, `partly`, `failed`, `throttled`, `misconfigured` or `refused`; of a call also
    /// `answered`, and `unknown` for an attempt that may have been executed.
    pub outcome: String,
    /// The receiver's response, or the error.
    pub answer: String,
    /// The digest that carried the delivery; `None` if it was sent alone.
    pub digest: Option<DeliveryId>,
    /// The attempts after this one that were folded into it, if there are many. The duration,
    /// outcome, answer and digest are those of the last of them.
    pub folded: Option<FoldedAttempts>,
}

/// Attempts in a row that are kept as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoldedAttempts {
    /// How many there were, the first included.
    pub count: u32,
    /// When the last of them started.
    pub last: Timestamp,
}

/// How much a claim takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLimit {
    /// Largest number of deliveries.
    pub deliveries: usize,
    /// Largest number of deliveries of one run.
    pub run: usize,
    /// Nothing more is taken once what was taken is this large, by [`Delivery::bytes`]; one
    /// delivery is taken whatever its size.
    pub bytes: usize,
    /// Whether deliveries that have failed before come first.
    pub retries_first: bool,
    /// Whether only one node may send to the target at a time: while another one does, nothing is
    /// claimed.
    pub sends_alone: bool,
}

/// The outcome of a claim.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Claimed {
    /// What was claimed, in the order of its events. Each is a delivery that may be sent now, with
    /// those that follow it in the order of its key: each of these may be sent when the one before
    /// it was delivered, and must be released otherwise.
    pub runs: Vec<Vec<Delivery>>,
    /// Deliveries that cannot be read and became dead letters.
    pub unreadable: Vec<DeadLetterReport>,
    /// How many deliveries were withheld or silenced instead of claimed.
    pub kept_back: usize,
    /// Who may send to the target.
    pub sender: Sender,
}

/// Which node sends to a target that only one may send to at a time, see
/// [`ClaimLimit::sends_alone`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Sender {
    /// This one, as before.
    #[default]
    Own,
    /// This one from now on: what others have sent is in [`Store::submit_recent_calls`].
    ///
    /// [`Store::submit_recent_calls`]: crate::Store::submit_recent_calls
    TakenOver,
    /// Another one, which works.
    Other,
}

/// What followed from a settled attempt.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settled {
    /// A report, if the delivery became a dead letter.
    pub dead_letter: Option<DeadLetterReport>,
    /// Whether another delivery has been waiting for this one and may be claimed now.
    pub next_is_due: bool,
}

/// The outcome of an attempt, to be recorded.
#[derive(Debug, Clone)]
pub struct AttemptOutcome {
    /// When it started.
    pub started: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// As in [`Attempt::outcome`].
    pub outcome: &'static str,
    /// As in [`Attempt::answer`].
    pub answer: String,
    /// The parts that were delivered, if only some were.
    pub delivered_parts: Vec<String>,
}

/// An attempt to deliver that has ended, to be settled.
#[derive(Debug, Clone)]
pub struct EndedAttempt {
    /// The delivery as it was claimed.
    pub delivery: Delivery,
    /// How the attempt ended.
    pub outcome: AttemptOutcome,
    /// What becomes of the delivery.
    pub decision: Decision,
}

impl DeliveryStatus {
    pub(crate) const ALL: [Self; 9] = [
        Self::Pending,
        Self::Delivered,
        Self::Dead,
        Self::Cancelled,
        Self::Dropped,
        Self::Answered,
        Self::Withdrawn,
        Self::Withheld,
        Self::Silenced,
    ];

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
            Self::Answered => "answered",
            Self::Withdrawn => "withdrawn",
            Self::Withheld => "withheld",
            Self::Silenced => "silenced",
        }
    }

    /// Its number in the file, in the order of the variants.
    pub(crate) fn number(self) -> i64 {
        // The numbers are in the files of all installations: a new status must be added at the end.
        self as i64
    }
}
