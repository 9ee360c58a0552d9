//! How much work is with the workers and the store at one time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much work, in events of up to 1 KiB, is with the workers and the store at one time.
#[derive(Debug)]
pub(super) struct Window {
    workers: u64,
    /// The moving average of the time that the evaluation of an event takes, in nanoseconds.
    average: AtomicU64,
}

/// What is with the workers and the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    batches: usize,
    work: u64,
}

impl InFlight {
    /// A batch with so much work was handed over.
    pub(super) fn add(&mut self, work: u64) {
        self.batches += 1;
        self.work = self.work.saturating_add(work);
    }

    /// One of them is done.
    pub(super) fn remove(&mut self, work: u64) {
        self.batches = self.batches.saturating_sub(1);
        self.work = self.work.saturating_sub(work);
    }
}

impl Window {
    /// Enough for a transaction that is being synced and the next one, which is being evaluated.
    const LARGEST: u64 = 1_000;
    /// So many batches are in flight whatever their sizes, for the same reason.
    const BATCHES: usize = 2;
    /// So many that no worker has nothing to do.
    const SMALLEST: u64 = 64;
    /// How long the workers may take for it: what a small batch waits for in a flood.
    const TIME: Duration = Duration::from_millis(100);

    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: u64::try_from(workers).unwrap_or(1),
            average: AtomicU64::new(0),
        }
    }

    /// Whether a batch with so much work may be added to what is in flight.
    pub(super) fn admits(&self, in_flight: InFlight, work: u64) -> bool {
        in_flight.batches < Self::BATCHES || in_flight.work.saturating_add(work) <= self.size()
    }

    fn size(&self) -> u64 {
        // With scripts of 20 ms, 1,000 events are 10 s on two workers.
        let time = u64::try_from(Self::TIME.as_nanos()).unwrap_or(u64::MAX);
        let average = self.average.load(Ordering::Relaxed).max(1);
        let events = (self.workers * time) / average;
        events.clamp(Self::SMALLEST, Self::LARGEST)
    }

    /// Takes into account how long the evaluation of an event took.
    pub(super) fn observe(&self, evaluation: Duration) {
        let sample = u64::try_from(evaluation.as_nanos()).unwrap_or(u64::MAX);
        let average = self.average.load(Ordering::Relaxed);
        // Two workers may overwrite each other: it is an average all the same.
        let next = average - average / 16 + sample / 16;
        self.average.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_smaller_for_slow_rules() {
        let window = Window::new(2);
        assert_eq!(window.size(), Window::LARGEST);
        let sizes = [50, 1_000, 20_000].map(|micros| {
            for _ in 0..200 {
                window.observe(Duration::from_micros(micros));
            }
            window.size()
        });
        assert_eq!(sizes[0], Window::LARGEST);
        assert!((195..=205).contains(&sizes[1]), "{sizes:?}");
        assert_eq!(sizes[2], Window::SMALLEST);
    }
}
