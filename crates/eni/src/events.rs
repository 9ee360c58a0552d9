//! What leaves the control plane: the outcome of a request with the completion event, notifications
//! about other changes, and the buses that deliver events to accounts.

mod bus;
mod event_bridge;
mod notification;
mod outcome;

pub(crate) use bus::rule_callback;
pub use bus::{Bus, BusEnvelope};
pub(crate) use event_bridge::{DEFAULT_BUS, Publication};
pub use notification::Notification;
pub use outcome::{NoEventReason, PublishedEvent, RequestOutcome};
