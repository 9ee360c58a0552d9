//! Delivery of actions: rendering, targets, retry policy, rate limits and outbound HTTP.
//!
//! ```
//! use jiff::Timestamp;
//! use reflexarc_delivery::{Decision, Delivery, DeliveryId, EventName, RetryPolicy, SendError};
//! use reflexarc_event::{EventIdentity, Json};
//! use reflexarc_reaction::Action;
//!
//! let event = EventIdentity {
//!     source: "acs.ecs".into(),
//!     id: "8B2A".into(),
//!     ..EventIdentity::default()
//! };
//! let now = Timestamp::UNIX_EPOCH;
//! let delivery = Delivery {
//!     id: DeliveryId::derive(&event, "attach-failed", 0, None),
//!     event: EventName::from(&event),
//!     resource: String::new(),
//!     rule: "attach-failed".into(),
//!     target: "inventory".into(),
//!     action: Action::Send { target: "inventory".into(), payload: Json::from(7) },
//!     created: now,
//!     replay: None,
//!     attempt: 1,
//!     since: now,
//!     taken: Vec::new(),
//! };
//! let outcome = Err(SendError::later("HTTP 503"));
//! let decision = RetryPolicy::default().decide(&delivery, &outcome, now);
//! assert!(matches!(decision, Decision::RetryAt(at) if at > now));
//! ```
//!
//! This crate must not know where deliveries are stored, how rules are evaluated, or any HTTP server.

#![allow(
    clippy::disallowed_methods,
    reason = "delivery is at the rim: it uses the clock, files, the network and processes"
)]

mod delivery;
pub mod outbound;
mod pacing;
mod retry;
mod target;

pub use delivery::{Delivery, DeliveryId, EventName, NotADeliveryId, Receipt, SendError};
pub use outbound::{Forbidden, Reach};
pub use pacing::{Pacing, judged};
pub use retry::{Decision, RetryPolicy, Waits};
pub use target::{
    Command, DingTalk, Email, Format, Lines, Pace, Preview, Protection, Sending, Server, Target,
    TemplateError, Templates, Webhook, shorten, signing_key,
};
