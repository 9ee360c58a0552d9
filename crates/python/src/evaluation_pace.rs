//! How long evaluations take, which decides whether they are made on several threads.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::batch_matching::threads;

/// Measures batches that are evaluated on one thread.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The average time of an event, over the last hundred or so, in microseconds.
    micros: f64,
    /// Batches that are evaluated on several threads before the next one is measured.
    unmeasured: usize,
}

/// Time of an event, in microseconds, from which on several threads are faster.
// Handing an event over costs some microseconds: memory that another thread allocated, and larger
// batches. A short script takes less than ten.
const WORTH_THREADS: f64 = 30.0;

/// Events of the past that count as much as those of a batch of the same number.
const PAST_EVENTS: f64 = 64.0;

/// Batches on several threads between two that are measured: the events of a source change.
const UNMEASURED: usize = 16;

impl Pace {
    /// Records a batch of so many events. `elapsed` is the time that [`thread_time`] went on by.
    pub(crate) fn add(&mut self, events: usize, elapsed: Duration) {
        if self.unmeasured > 0 {
            self.unmeasured -= 1;
            return;
        }
        let events = f64::from(u32::try_from(events).unwrap_or(u32::MAX));
        if events > 0.0 {
            let micros = elapsed.as_secs_f64() * 1e6 / events;
            self.micros += (micros - self.micros) * events / (events + PAST_EVENTS);
        }
        if self.micros > WORTH_THREADS && threads() > 1 {
            self.unmeasured = UNMEASURED;
        }
    }

    /// Whether several threads would evaluate the next batch faster.
    pub(crate) fn is_worth_threads(&self) -> bool {
        self.unmeasured > 0
    }
}

/// The time that the processor has spent on this thread.
// On a busy machine the time of a clock on the wall is mostly that of other programs.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
