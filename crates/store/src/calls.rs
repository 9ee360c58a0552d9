//! Calls that wait for their answer, and the changes that they make.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_delivery::{Delivery, DeliveryId};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{CallAnswer, OwnCode};

/// A call that has got its answer, with what the rule sees beside it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaitingCall {
    /// Its delivery.
    pub delivery: Delivery,
    /// The event that led to it, in native form: the one that its rule saw. `None` for a firing
    /// without an event.
    pub event: Option<NativeEvent>,
    /// The number of `emit`s, calls and answers between the original event and the call.
    pub hop: usize,
    /// Its answer: the one that was given. Where that says that the call was not sent, but how an
    /// attempt ended is not known, it is [`OwnCode::OutcomeUnknown`] instead.
    pub answer: CallAnswer,
    /// Whether another delivery has been waiting for this one and may be claimed now.
    pub next_is_due: bool,
}

/// A call that will not be sent (again), and waits for its answer to be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithdrawnCall {
    /// Its delivery.
    pub id: DeliveryId,
    /// The rule that called.
    pub rule: String,
    /// The code of its answer.
    pub code: OwnCode,
    /// The message of its answer.
    pub reason: String,
}

/// Called after each commit that has withdrawn a call, on the writer's thread: it must not wait.
pub type WithdrawnCallObserver = Arc<dyn Fn() + Send + Sync>;

/// Whether a call may be sent that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeReservation {
    /// It may: it counts from now on.
    Reserved,
    /// It has been reserved before, and how that attempt ended is not known: its process was
    /// killed, or there was no response. It may have been executed.
    SentBefore,
    /// It must not: it was withdrawn or answered meanwhile. Its claim is to be released.
    Withdrawn,
    /// It must not: the target has made as many changes as it may, now or before, and makes no more
    /// until it is resumed.
    LimitReached {
        /// Which limit.
        per: ChangePeriod,
    },
}

/// The time within which changes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangePeriod {
    /// Any 60 seconds.
    Minute,
    /// Any 24 hours.
    Day,
}

/// A target that makes no more changes until it is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeStop {
    /// When it reached its limit.
    pub since: Timestamp,
    /// Which limit.
    pub per: ChangePeriod,
    /// How many changes that limit allowed.
    pub limit: u32,
}

impl ChangePeriod {
    /// `minute` or `day`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }

    /// In microseconds.
    pub(crate) fn micros(self) -> i64 {
        match self {
            Self::Minute => 60_000_000,
            Self::Day => 86_400_000_000,
        }
    }
}
