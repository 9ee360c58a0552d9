//! Processor time of this thread, for deadlines and budgets.
//!
//! Not the time that passes: on a busy machine a script of 20 µs may be suspended for 50 ms. It
//! would exceed its deadline, and its rule its budget, because others are slow.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Measures about how long this thread has run since the start.
pub(crate) struct ThreadStopwatch {
    started: Instant,
    thread_started: Duration,
    /// How long the thread is known to have been suspended.
    suspended: Cell<Duration>,
    /// The reading when this was last found out.
    checked: Cell<Duration>,
}

/// After so much time it is found out how long the thread was suspended; the readings are too large
/// by less than this.
// The time of the thread costs 300 ns, in which a script does five operations, and the time that
// passes 30 ns. Deadlines are looked at every few operations.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

impl ThreadStopwatch {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            thread_started: thread_time(),
            suspended: Cell::default(),
            checked: Cell::default(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        let passed = self.started.elapsed();
        let elapsed = passed.saturating_sub(self.suspended.get());
        if elapsed < self.checked.get() + CHECK_INTERVAL {
            return elapsed;
        }
        let elapsed = thread_time().saturating_sub(self.thread_started);
        self.suspended.set(passed.saturating_sub(elapsed));
        self.checked.set(elapsed);
        elapsed
    }
}

/// The processor time that this thread has used.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_does_not_count_and_work_does() {
        let stopwatch = ThreadStopwatch::start();
        std::thread::sleep(Duration::from_millis(100));
        let slept = stopwatch.elapsed();
        assert!(slept < Duration::from_millis(50), "{slept:?}");
        let begun = thread_time();
        let mut reading = slept;
        while thread_time() < begun + Duration::from_millis(60) {
            reading = stopwatch.elapsed();
        }
        assert!(reading >= Duration::from_millis(55), "{reading:?}");
        assert!(reading < slept + Duration::from_millis(80), "{reading:?}");
    }
}
