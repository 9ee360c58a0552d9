//! What leaves the control plane: the outcome of a request with the completion event, notifications
//! about other changes, and the buses that deliver events to accounts.

mod bus;
mod event_bridge;
mod notification;
mod outcome;

pub use bus::{Bus, BusEnvelope};
pub use notification::Notification;
pub use outcome::{NoEventReason, PublishedEvent, RequestOutcome};
