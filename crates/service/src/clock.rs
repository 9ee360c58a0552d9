//! The clock of the service: the wall clock, without jumps that are not confirmed.
//!
//! A wall clock that jumps by a day ages every waiting delivery into the dead letters, ends every
//! window of `once` and `throttle`, and makes every token expire; at a start it prunes the archive.
//! So a jump of more than a minute against the clock that counts since the boot is reported, and
//! time goes on as before until the jump has lasted ten minutes or an operator accepts it. Then all
//! deadlines are moved by as much, and with that the time is the new one ([`Adoption`]): nothing
//! compares a time of one clock with one of the other.
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
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    shared: Arc<SharedState>,
}

/// The change to a clock that was set. While it lasts, whatever needs the time waits.
pub(crate) struct Adoption {
    shared: Arc<SharedState>,
    /// The time from then on.
    pub(crate) now: Timestamp,
    /// By how much it differs from the time before.
    pub(crate) offset: SignedDuration,
    is_finished: bool,
}

struct SharedState {
    state: Mutex<ClockState>,
    /// Signalled when [`ClockState::is_changing`] becomes false.
    changed: Condvar,
    read: ReadClock,
}

/// By how much another clock is ahead of that of this machine, by which the service goes then.
/// Clones share it.
#[derive(Clone, Default)]
pub(crate) struct ClockOffset(Arc<AtomicI64>);

/// Reads the wall clock and the time since the boot.
type ReadClock = Box<dyn Fn() -> Reading + Send + Sync>;

struct ClockState {
    check: ClockCheck,
    /// Between two clocks: see [`Adoption`].
    is_changing: bool,
    /// The time in the record of the process before.
    before: Option<Timestamp>,
    /// The file that keeps the time for the next process.
    record: Option<PathBuf>,
    /// When it was written, on the clock of [`Reading::elapsed`].
    recorded: Option<Duration>,
}

impl ServiceClock {
    /// Trusts the wall clock now, unless it is more than an hour away from `newest`, the time of
    /// the newest event in the store.
    pub fn new(newest: Option<Timestamp>) -> Self {
        Self::open(None, newest, ClockOffset::default())
    }

    /// As [`ServiceClock::new`], but compares with what an earlier process has recorded in the
    /// file `record`, if it has, and goes on recording there. The wall clock is that of this machine
    /// with this offset.
    pub(crate) fn open(
        record: Option<PathBuf>,
        newest: Option<Timestamp>,
        offset: ClockOffset,
    ) -> Self {
        let read = move || {
            let Reading { wall, elapsed } = read();
            let wall = wall.saturating_add(offset.get()).unwrap_or(wall);
            Reading { wall, elapsed }
        };
        let last = record.as_deref().and_then(ClockRecord::read);
        let state = ClockState {
            before: last.as_ref().map(|last| last.at.wall),
            check: ClockCheck::start(read(), last.as_ref(), &boot_id(), newest),
            is_changing: false,
            record,
            recorded: None,
        };
        Self::with_state(state, Box::new(read))
    }

    /// A clock that reads the wall clock and the time since the boot from a test.
    #[cfg(test)]
    pub(crate) fn controlled(
        read: impl Fn() -> (Timestamp, Duration) + Send + Sync + 'static,
    ) -> Self {
        let read = move || {
            let (wall, elapsed) = read();
            Reading { wall, elapsed }
        };
        let state = ClockState {
            check: ClockCheck::new(read()),
            is_changing: false,
            before: None,
            record: None,
            recorded: None,
        };
        Self::with_state(state, Box::new(read))
    }

    fn with_state(state: ClockState, read: ReadClock) -> Self {
        let shared = SharedState {
            state: Mutex::new(state),
            changed: Condvar::new(),
            read,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The time of the service: the wall clock, without a jump that is suspected.
    pub fn now(&self) -> Timestamp {
        self.lock().check.observe(self.read())
    }

    /// Whether a jump is accepted, and deadlines are not moved yet.
    pub(crate) fn has_accepted(&self) -> bool {
        let mut state = self.lock();
        state.check.observe(self.read());
        state.check.has_accepted()
    }

    /// Begins to adopt a jump that is accepted. Until the adoption is finished or dropped, all that
    /// ask for the time wait.
    pub(crate) fn begin_adoption(&self) -> Option<Adoption> {
        let mut state = self.lock();
        // Of a copy: until the end, the time is the one before.
        let (now, offset) = state.check.clone().adopt(self.read())?;
        state.is_changing = true;
        Some(Adoption {
            shared: self.shared.clone(),
            now,
            offset,
            is_finished: false,
        })
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
        self.lock().check.observe_age(self.read())
    }

    /// The jump that is suspected now.
    pub(crate) fn suspected(&self) -> Option<SuspectedJump> {
        let mut state = self.lock();
        state.check.observe(self.read());
        state.check.suspected()
    }

    /// Accepts the wall clock as it is. Returns the jump that this accepts, if there was one; it is
    /// the time when it is adopted.
    pub(crate) fn confirm(&self) -> Option<SuspectedJump> {
        self.lock().check.confirm(self.read())
    }

    /// Records the time for the next process, if the last record is some seconds old. Blocks.
    pub(crate) fn record(&self) {
        let mut state = self.lock();
        let now = self.read();
        let is_due = |recorded| now.elapsed.saturating_sub(recorded) >= RECORD_INTERVAL;
        if state.recorded.is_none_or(is_due) {
            state.write(now);
        }
    }

    fn read(&self) -> Reading {
        (self.shared.read)()
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        let SharedState { state, changed, .. } = &*self.shared;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_while(state, |state| state.is_changing);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClockOffset {
    pub(crate) fn get(&self) -> SignedDuration {
        SignedDuration::from_micros(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, offset: SignedDuration) {
        let micros = i64::try_from(offset.as_micros()).unwrap_or(0);
        self.0.store(micros, Ordering::Relaxed);
    }
}

impl Adoption {
    /// Makes the new clock the time: deadlines are moved.
    pub(crate) fn finish(mut self) {
        self.is_finished = true;
    }
}

impl Drop for Adoption {
    /// Goes on, by the new clock if the adoption was finished, else by the one before.
    fn drop(&mut self) {
        let SharedState { state, changed, .. } = &*self.shared;
        {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_finished {
                // Again, because it took a while.
                state.check.adopt((self.shared.read)());
                state.write((self.shared.read)());
            }
            state.is_changing = false;
        }
        changed.notify_all();
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
