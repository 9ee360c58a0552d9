//! The clock of a queue.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The time of a queue: the wall clock when it began, and what passed since. The wall clock may be
/// set meanwhile; neither the age of a delivery nor a rate limit depends on that.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueClock {
    zero: Instant,
    wall: Timestamp,
}

impl QueueClock {
    pub(super) fn start() -> Self {
        Self {
            zero: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// The time since it began.
    pub(super) fn elapsed(&self) -> SignedDuration {
        SignedDuration::try_from(self.zero.elapsed()).unwrap_or(SignedDuration::MAX)
    }

    /// The time as retry policies compare it.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.wall.saturating_add(self.elapsed());
        now.unwrap_or(Timestamp::MAX)
    }

    /// A time of [`QueueClock::now`] as one to sleep until.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        instant_after(at.duration_since(self.now()))
    }
}

/// The time after this pause.
pub(super) fn instant_after(pause: SignedDuration) -> Instant {
    // Longer than any delay of a retry policy.
    let pause = pause.clamp(SignedDuration::ZERO, SignedDuration::from_hours(48));
    Instant::now() + pause.unsigned_abs()
}
