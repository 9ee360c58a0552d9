//! How long operations take.

use jiff::SignedDuration;
use reflexarc_event::Operation;

use crate::FaultMode;

/// How long each operation takes from its reply to its completion.
///
/// ```
/// use jiff::SignedDuration;
/// use reflexarc_eni::{Cloud, Timing};
///
/// let slow = Timing { attach: SignedDuration::from_mins(2), ..Timing::default() };
/// let start = "2026-01-01T00:00:00Z".parse()?;
/// let cloud = Cloud::new("cn-hangzhou", 7, start).with_timing(slow);
/// assert_eq!(cloud.now(), start);
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A creation. Zero by default: it is documented as synchronous, its reply has the status
    /// Available.
    pub create: SignedDuration,
    /// An attachment; 2 s by default.
    pub attach: SignedDuration,
    /// A detachment; 2 s by default.
    pub detach: SignedDuration,
    /// A deletion; 1 s by default.
    pub delete: SignedDuration,
    /// The delay between the reply to a creation, with the status Creating, and its failure; 1 s by
    /// default.
    pub late_failure: SignedDuration,
    /// The start of an instance, from Starting to Running; 5 s by default.
    pub start: SignedDuration,
    /// The stop of an instance, from Stopping to Stopped; 5 s by default.
    pub stop: SignedDuration,
}

impl Timing {
    /// The time between the reply to a request and its completion.
    pub(crate) fn duration_of(
        &self,
        operation: Operation,
        fault: Option<FaultMode>,
    ) -> SignedDuration {
        match (operation, fault) {
            (Operation::Create, None) => self.create,
            // A creation that fails within its own call could only be refused, and refused requests
            // make no event. So a failing creation takes some time even where `create` is zero.
            (Operation::Create, Some(_)) => self.create.max(self.late_failure),
            (Operation::Attach, _) => self.attach,
            (Operation::Detach, _) => self.detach,
            (Operation::Delete, _) => self.delete,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        // The service documents that these operations are asynchronous, not how long they take. A
        // few seconds keep a status on the way visible in a timeline.
        let seconds = SignedDuration::from_secs;
        Self {
            create: seconds(0),
            attach: seconds(2),
            detach: seconds(2),
            delete: seconds(1),
            late_failure: seconds(1),
            start: seconds(5),
            stop: seconds(5),
        }
    }
}
