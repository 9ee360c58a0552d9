//! What leaves the control plane when a request ends: its outcome, the completion event, and the
//! buses that deliver events to accounts.

mod bus;
mod outcome;

pub use bus::{Bus, BusEnvelope};
pub use outcome::{NoEventReason, PublishedEvent, RequestOutcome};
