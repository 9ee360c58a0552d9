//! The clock of the service: the wall clock, without jumps that are not confirmed.
//!
//! A wall clock that jumps by a day ages every waiting delivery into the dead letters, ends every
//! window of `once` and `throttle`, and makes every token expire; at a start it prunes the archive.
//! So a jump of more than a minute against the clock that counts since the boot is reported, and
//! time goes on as before until the jump has lasted ten minutes or an operator accepts it. Then
//! deadlines are moved by as much ([`ClockTime::accepted`]).
//!
//! [`ServiceClock::now`] is the time of everything that is compared with stored times:
//!
//! | what | why |
//! |---|---|
//! | acceptance: `received`, `now` in scripts, expiry of state, `once`, `throttle`, duplicates | a window must not end, or last longer, because of a jump |
//! | outbox: due times, claims, retries, attempts, ages, dead letters | all are compared with each other |
//! | expiry of tokens | a sender would be refused, and would not send again |
//!
//! The wall clock itself is used for what others compare with theirs: signatures (ours and those of
//! EventBridge), dates in headers, times in logs, traces and `/status`.
//!
//! When the machine was off, nothing counts, and a clock that is ahead of the last known time looks
//! the same as hours without power. Then `now` is the wall clock, for that is the usual case, and
//! only [`ServiceClock::aging_now`], by which things are removed, is held back.

mod check;
mod record;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

pub(crate) use self::check::SuspectedJump;
use self::check::{ClockCheck, Reading};
use self::record::{ClockRecord, boot_id};

/// How often the time is recorded, so that the next process knows it.
// Deadlines that passed while no process ran wait for the repeats of senders, and those of the
// last seconds are fired at once: so the end of the process before has to be known that well.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The clock of a service. Clones share it.
#[derive(Clone)]
pub struct ServiceClock {
    state: Arc<Mutex<ClockState>>,
}

/// The time of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockTime {
    /// The time.
    pub(crate) now: Timestamp,
    /// The sum of all jumps that were accepted since the start.
    pub(crate) accepted: SignedDuration,
}

struct ClockState {
    check: ClockCheck,
    /// The time in the record of the process before.
    before: Option<Timestamp>,
    /// The file that keeps the time for the next process.
    record: Option<PathBuf>,
    /// When it was written, on the clock of [`Reading::elapsed`].
    recorded: Option<Duration>,
    /// As much of the accepted jumps as the times of delayed deliveries have moved by; `None` where
    /// nothing moves them.
    adopted: Option<SignedDuration>,
}

impl ServiceClock {
    /// Trusts the wall clock now, unless it is more than an hour away from `newest`, the time of
    /// the newest event in the store.
    pub fn new(newest: Option<Timestamp>) -> Self {
        Self::open(None, newest)
    }

    /// As [`ServiceClock::new`], but compares with what an earlier process has recorded in the
    /// file `record`, if it has, and goes on recording there.
    pub(crate) fn open(record: Option<PathBuf>, newest: Option<Timestamp>) -> Self {
        let last = record.as_deref().and_then(ClockRecord::read);
        let state = ClockState {
            before: last.as_ref().map(|last| last.at.wall),
            check: ClockCheck::start(read(), last.as_ref(), &boot_id(), newest),
            record,
            recorded: None,
            adopted: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The time of the service: the wall clock, without a jump that is suspected.
    pub fn now(&self) -> Timestamp {
        self.lock().check.observe(read())
    }

    /// The time of the service, and by how much it was set.
    pub(crate) fn time(&self) -> ClockTime {
        let mut state = self.lock();
        ClockTime {
            now: state.check.observe(read()),
            accepted: state.check.accepted(),
        }
    }

    /// The time by which the outbox says what is due: [`ServiceClock::now`], without a jump that was
    /// accepted as long as delayed deliveries have not moved by as much.
    //
    // The clock is set by 25 hours, and a moment later all due times are moved by 25 hours. A claim
    // in between would take what is due tomorrow.
    pub(crate) fn outbox_now(&self) -> Timestamp {
        let mut state = self.lock();
        let now = state.check.observe(read());
        let accepted = state.check.accepted();
        let ahead = accepted.saturating_sub(state.adopted.unwrap_or(accepted));
        now.saturating_sub(ahead).unwrap_or(now)
    }

    /// Records by how much of the accepted jumps delayed deliveries have moved.
    pub(crate) fn set_adopted(&self, accepted: SignedDuration) {
        self.lock().adopted = Some(accepted);
    }

    /// When a process before this one last recorded the time.
    pub(crate) fn recorded_before(&self) -> Option<Timestamp> {
        self.lock().before
    }

    /// The time by which ages are computed: [`ServiceClock::now`], without hours in which the
    /// machine may have been off.
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
    /// assert!(newest.duration_until(clock.now()) >= month);
    /// ```
    pub fn aging_now(&self) -> Timestamp {
        self.lock().check.observe_age(read())
    }

    /// The jump that is suspected now.
    pub(crate) fn suspected(&self) -> Option<SuspectedJump> {
        let mut state = self.lock();
        state.check.observe(read());
        state.check.suspected()
    }

    /// Trusts the wall clock as it is. Returns the jump that this accepts, if there was one.
    pub(crate) fn confirm(&self) -> Option<SuspectedJump> {
        let mut state = self.lock();
        let accepted = state.check.confirm(read());
        state.write(read());
        accepted
    }

    /// Records the time for the next process, if the last record is some seconds old. Blocks.
    pub(crate) fn record(&self) {
        let mut state = self.lock();
        let now = read();
        let is_due = |recorded| now.elapsed.saturating_sub(recorded) >= RECORD_INTERVAL;
        if state.recorded.is_none_or(is_due) {
            state.write(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClockState {
    fn write(&mut self, now: Reading) {
        let Some(path) = &self.record else { return };
        let wall = self.check.observe(now);
        let record = ClockRecord {
            boot: boot_id(),
            at: Reading { wall, ..now },
        };
        // A disk that is full has its own problem; the record before is good until the next boot.
        if record.write(path).is_ok() {
            self.recorded = Some(now.elapsed);
        }
    }
}

impl Default for ServiceClock {
    fn default() -> Self {
        Self::new(None)
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
mod tests {
    use super::*;

    #[test]
    fn the_outbox_follows_a_jump_when_its_deliveries_have_moved() {
        let clock = ServiceClock::default();
        let behind = || clock.outbox_now().duration_until(clock.now());
        let is_near = |time: SignedDuration, hours| {
            (time - SignedDuration::from_hours(hours)).abs() < SignedDuration::from_mins(1)
        };
        // Nothing moves them.
        assert!(is_near(behind(), 0));
        // As if a jump of 25 hours was accepted, or one of 3 hours back.
        clock.set_adopted(SignedDuration::from_hours(-25));
        assert!(is_near(behind(), 25));
        clock.set_adopted(SignedDuration::from_hours(3));
        assert!(is_near(behind(), -3));
        clock.set_adopted(SignedDuration::ZERO);
        assert!(is_near(behind(), 0));
    }
}
