//! Delivery of actions to targets: rendering, sending, retries and rate limits.
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use reflexarc_delivery::{
//!     Decision, Delivery, FileTarget, RetryPolicy, SendError, Target, settle,
//! };
//! use reflexarc_event::{EventIdentity, Json};
//! use reflexarc_reaction::Action;
//!
//! let event = EventIdentity {
//!     source: "acs.ecs".into(),
//!     id: "8B2A".into(),
//!     ..EventIdentity::default()
//! };
//! let action = Action::send("inventory", Json::from(7));
//! let now = Timestamp::UNIX_EPOCH;
//! let deliveries = Delivery::for_actions(&event, [("attach-failed", &action)], now);
//!
//! let target = FileTarget::stdout();
//! let preview = target.preview(&deliveries)?;
//! assert_eq!(preview.body.get("send"), Some(&Json::from(7)));
//!
//! let outcome = Err(SendError::transient("disk full"));
//! let settlement = settle(&RetryPolicy::default(), &deliveries[0], &outcome, 1, now);
//! let Decision::RetryAt(due) = settlement.decision else { panic!("no retry") };
//! assert!(due.duration_since(now) <= SignedDuration::from_secs(1));
//! # Ok::<(), SendError>(())
//! ```
//!
//! An action becomes a [`Delivery`]; a [`Target`] renders and sends it, several at a time where its
//! [`CallSchedule`] merges them; the outcome is a [`Receipt`] or a [`SendError`]; and [`settle`]
//! turns that into "delivered", "next part", "retry" or "dead letter" by the [`RetryPolicy`]. A
//! [`CircuitBreaker`] stops the calls of a target while its receiver fails.
//!
//! Types of other crates in the public API: times and durations are those of [`jiff`], networks
//! those of [`ipnet`], URLs, headers and the HTTP client those of [`reqwest`], mailboxes those of
//! [`lettre`], secrets those of [`secrecy`]; events, JSON and actions are those of
//! `reflexarc-event` and `reflexarc-reaction`.
//!
//! This crate must not know where deliveries are stored, how rules are evaluated, or any HTTP
//! server.

#![allow(
    clippy::disallowed_methods,
    reason = "delivery is at the rim: it uses the clock, files, the network and processes"
)]

mod answer_policy;
mod batch;
mod call;
mod call_schedule;
mod circuit_breaker;
pub mod config;
mod delivery;
mod digest;
mod direct_dispatch;
mod flood_control;
pub mod http;
#[cfg(feature = "cluster")]
pub mod nats;
mod operation_patterns;
mod outcome;
mod phase;
mod readable_time;
mod reference;
mod rendering;
mod retry;
mod settle;
mod target;

pub use answer_policy::AnswerPolicy;
pub use batch::{Batch, WaitingDeliveries};
pub use call::{
    CallAdmission, CallApi, CallError, CallFuture, CallRequest, CallSettings, ChangeLimit,
};
pub use call_schedule::CallSchedule;
pub use circuit_breaker::{
    BreakerChange, BreakerPolicy, BreakerState, CallTicket, CircuitBreaker, NextCall,
};
pub use delivery::{
    ArchivePosition, Delivery, DeliveryId, EventRef, InvalidDeliveryId, number_actions,
};
pub use digest::{DigestKind, MAX_KEYS};
pub use direct_dispatch::{DirectDispatch, DirectOutcome, Dispatched, Redact};
pub use flood_control::{Admission, FiringLimit, FloodControl};
pub use operation_patterns::OperationPatterns;
pub use outcome::{Receipt, SendError};
pub use phase::Phase;
pub use reference::{REFERENCE, TARGETS};
pub use rendering::shorten;
pub use retry::{DeadLetterCause, Decision, RetryDelays, RetryPolicy};
pub use settle::{Settlement, settle};
#[cfg(feature = "cluster")]
pub use target::jetstream;
pub use target::{CallTarget, CommandTarget, FileTarget, Preview, RateLimit, SendFuture, Target};
pub use target::{alibaba, chat, dingtalk, email, http_api, pagerduty, webhook};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
