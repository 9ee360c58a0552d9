//! Events that are about no operation of an interface.

use jiff::Timestamp;
use reflexarc_event::Event;

/// An event that is about no operation of an interface, such as an assigned address, and its only
/// recipient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Notification {
    /// When it was published.
    pub at: Timestamp,
    /// The id of the account whose bus gets the event.
    pub recipient: String,
    /// The event in its native form.
    pub event: Event,
}
