//! The wall clock, checked before anything is dropped because of its age.
//!
//! A wall clock that jumps by a day ages every waiting delivery into the dead letters, and at a
//! start prunes the archive. So jumps of more than an hour, against the clock that counts since
//! the boot or against the newest event in the store, are reported, and ages are computed with the
//! time before the jump until it has lasted half an hour or an operator confirms it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// A jump by more than this is suspected.
// Time zones and summer time do not change the wall clock; corrections of a running NTP client are
// far smaller.
const LIMIT: SignedDuration = SignedDuration::from_hours(1);
/// A jump that lasts this long is accepted.
const PERIOD: Duration = Duration::from_secs(30 * 60);

/// The clock of a service. Clones share it.
#[derive(Clone)]
pub struct ServiceClock {
    check: Arc<Mutex<ClockCheck>>,
}

/// A jump that is neither over nor accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuspectedJump {
    /// How far the wall clock is ahead.
    pub(crate) offset: SignedDuration,
    /// When it is accepted if it lasts, on the clock of [`Reading::elapsed`].
    until: Duration,
}

/// Two clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    wall: Timestamp,
    /// Since the boot, suspended time included: a machine that slept for a day has not jumped.
    elapsed: Duration,
}

/// The decision, without clocks.
#[derive(Debug)]
struct ClockCheck {
    /// The last reading at which the wall clock was trusted.
    anchor: Reading,
    jump: Option<SuspectedJump>,
}

impl ServiceClock {
    /// Trusts the wall clock now, unless it is more than an hour away from `newest`, the time of
    /// the newest event in the store.
    pub fn new(newest: Option<Timestamp>) -> Self {
        Self {
            check: Arc::new(Mutex::new(ClockCheck::new(read(), newest))),
        }
    }

    /// The time by which ages are computed: the wall clock, without a jump that is suspected.
    ///
    /// ```
    /// use jiff::{SignedDuration, Timestamp};
    /// use reflexarc_service::ServiceClock;
    ///
    /// // The clock has jumped by a month since the last event, or the service was stopped.
    /// let month = SignedDuration::from_hours(24 * 30);
    /// let newest = Timestamp::now() - month;
    /// let clock = ServiceClock::new(Some(newest));
    /// assert!(newest.duration_until(clock.aging_now()) < SignedDuration::from_mins(1));
    /// ```
    pub fn aging_now(&self) -> Timestamp {
        self.lock().observe(read())
    }

    /// The jump that is suspected now.
    pub(crate) fn suspected(&self) -> Option<SuspectedJump> {
        let mut check = self.lock();
        check.observe(read());
        check.jump
    }

    /// Trusts the wall clock as it is. Returns the jump that this accepts, if there was one.
    pub(crate) fn confirm(&self) -> Option<SuspectedJump> {
        let mut check = self.lock();
        check.observe(read());
        let accepted = check.jump.take();
        check.anchor = read();
        accepted
    }

    fn lock(&self) -> MutexGuard<'_, ClockCheck> {
        self.check.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ServiceClock {
    fn default() -> Self {
        Self::new(None)
    }
}

impl SuspectedJump {
    /// A sentence for operators.
    pub(crate) fn message(&self) -> String {
        let direction = if self.offset.is_negative() {
            "behind"
        } else {
            "ahead of"
        };
        format!(
            "the wall clock is {:#} {direction} the time that is expected; nothing is dropped or \
             pruned because of its age until this has lasted {:#} or is confirmed",
            SignedDuration::from_secs(self.offset.as_secs().saturating_abs()),
            SignedDuration::try_from(PERIOD).unwrap_or(SignedDuration::MAX)
        )
    }
}

impl ClockCheck {
    fn new(now: Reading, newest: Option<Timestamp>) -> Self {
        let trusted = Self {
            anchor: now,
            jump: None,
        };
        let Some(newest) = newest else {
            return trusted;
        };
        // A service that was stopped for two hours looks the same as a clock that jumped by two
        // hours; then ages wait for half an hour, which harms nothing.
        let mut check = Self {
            anchor: Reading {
                wall: newest,
                elapsed: now.elapsed,
            },
            jump: None,
        };
        check.observe(now);
        if check.jump.is_some() { check } else { trusted }
    }

    /// Looks at both clocks; returns the time for ages.
    fn observe(&mut self, now: Reading) -> Timestamp {
        let since = now.elapsed.saturating_sub(self.anchor.elapsed);
        let expected = self.anchor.wall.saturating_add(since);
        let expected = expected.unwrap_or(Timestamp::MAX);
        let offset = now.wall.duration_since(expected);
        let is_near = |difference: SignedDuration| difference.abs() <= LIMIT;
        if is_near(offset) {
            self.jump = None;
            // Not at each reading: ten jumps of 50 minutes each would pass unnoticed.
            if since >= PERIOD {
                self.anchor = now;
            }
            return now.wall;
        }
        match self.jump {
            Some(jump) if is_near(offset.saturating_sub(jump.offset)) => {
                if now.elapsed < jump.until {
                    return expected;
                }
                (self.anchor, self.jump) = (now, None);
                now.wall
            }
            // A first jump, or another one: what agrees for half an hour begins here.
            _ => {
                self.jump = Some(SuspectedJump {
                    offset,
                    until: now.elapsed.saturating_add(PERIOD),
                });
                expected
            }
        }
    }
}

fn read() -> Reading {
    // macOS has no CLOCK_BOOTTIME; its monotonic clock goes on while it sleeps.
    #[cfg(target_os = "linux")]
    let boot = clock_gettime(ClockId::Boottime);
    #[cfg(not(target_os = "linux"))]
    let boot = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(boot.tv_nsec).unwrap_or_default();
    Reading {
        wall: Timestamp::now(),
        elapsed: Duration::new(seconds, nanoseconds),
    }
}

#[cfg(test)]
mod tests;
