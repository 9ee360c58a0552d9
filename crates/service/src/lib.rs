//! Making it happen: accepts events durably, evaluates them, and delivers what the rules ask for, for certain.
//!
//! This crate must not know how filters match or scripts run; it stores, schedules and sends.

#![allow(
    clippy::disallowed_methods,
    reason = "the service is the rim: clock, files, network and processes are its trade"
)]

mod delivery;
mod dispatch;
mod incoming;
mod limits;
mod log;
mod metrics;
mod outbound;
mod record;
mod retry;
mod store;
mod target;

pub use delivery::{Delivery, DeliveryId, EventName, NotADeliveryId, Receipt, SendError};
pub use dispatch::{Exchange, Queue, serve};
pub use incoming::Incoming;
pub use limits::Limits;
pub use log::{Redactor, start as start_logging};
pub use metrics::Metrics;
pub use outbound::{Forbidden, Reach};
pub use record::{action_from_json, action_to_json, evaluation_to_json};
pub use retry::{Decision, RetryPolicy, Waits};
pub use store::{
    Accepted, Archived, Attempt, Entry, Retention, Selection, Status, Store, StoreError, StoreOptions, Tried, Verdict,
};
pub use target::{
    Command, DingTalk, Email, Format, Lines, Pace, Protection, Sending, Server, Target, TemplateError, Templates,
    Webhook, signing_key,
};
