//! The commit sequencer: the ordering half of intake.
//!
//! Evaluation workers (`worker.rs`) finish events in any order. The sequencer releases a batch when
//! its last event is evaluated and no earlier batch that shares a worker with it is left, so that
//! batches stay whole and events of one resource stay in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Batches that wait for their commit. `T` is the result of evaluating one event, `C` what a batch
/// carries besides its events.
pub(super) struct CommitSequencer<T, C> {
    next_batch: u64,
    // Bounded by admission: every batch in it holds a permit.
    batches: BTreeMap<u64, PendingBatch<T, C>>,
    /// For each worker the batches that have events there, in the order in which they were queued.
    queues: Vec<VecDeque<u64>>,
}

struct PendingBatch<T, C> {
    results: Vec<Option<T>>,
    missing: usize,
    workers: BTreeSet<usize>,
    context: C,
}

impl<T, C> CommitSequencer<T, C> {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            next_batch: 0,
            batches: BTreeMap::new(),
            queues: (0..workers).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Queues a batch, given the worker of each of its events (at least one), and returns its
    /// number. Events must be sent to their workers in the order in which batches are queued.
    pub(super) fn enqueue(&mut self, workers: &[usize], context: C) -> u64 {
        let number = self.next_batch;
        self.next_batch += 1;
        // A batch is in a worker's queue once, however many events it has there.
        let distinct: BTreeSet<usize> = workers.iter().copied().collect();
        for worker in &distinct {
            self.queues[*worker].push_back(number);
        }
        let batch = PendingBatch {
            results: workers.iter().map(|_| None).collect(),
            missing: workers.len(),
            workers: distinct,
            context,
        };
        self.batches.insert(number, batch);
        number
    }

    /// Records the result of one event and returns every batch that can be committed now, in order.
    ///
    /// Example with two workers: batch 0 has events on workers 0 and 1, batch 1 on worker 1 only.
    /// The queues are `0: [0]`, `1: [0, 1]`. When batch 1 is evaluated first, nothing is released:
    /// batch 0 is before it on worker 1. When the last event of batch 0 is evaluated, batch 0 is at
    /// the front of both queues and is released; that moves batch 1 to the front of queue 1, and it
    /// is released in the same call.
    pub(super) fn complete(&mut self, number: u64, position: usize, result: T) -> Vec<(Vec<T>, C)> {
        if let Some(batch) = self.batches.get_mut(&number)
            // Counted once, even if a result were reported twice.
            && batch.results[position].replace(result).is_none()
        {
            batch.missing -= 1;
        }
        // Releasing a batch can only unblock those that follow it directly in a queue, so only they
        // are examined. The lowest number goes first, which keeps the order of the queues.
        let (mut ready, mut candidates) = (Vec::new(), BTreeSet::from([number]));
        while let Some(number) = candidates.pop_first() {
            if !self.is_ready(number) {
                continue;
            }
            let Some(batch) = self.batches.remove(&number) else {
                continue;
            };
            for worker in batch.workers {
                self.queues[worker].pop_front();
                candidates.extend(self.queues[worker].front());
            }
            ready.push((batch.results.into_iter().flatten().collect(), batch.context));
        }
        ready
    }

    fn is_ready(&self, number: u64) -> bool {
        let first = |worker: &usize| self.queues[*worker].front() == Some(&number);
        self.batches
            .get(&number)
            .is_some_and(|batch| batch.missing == 0 && batch.workers.iter().all(first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_waits_for_its_events_and_for_earlier_batches() {
        let mut sequencer = CommitSequencer::new(3);
        let (a, b, c) = (
            sequencer.enqueue(&[0, 1], "a"),
            sequencer.enqueue(&[1], "b"),
            sequencer.enqueue(&[2], "c"),
        );
        let released = sequencer.complete(b, 0, 1);
        assert!(released.is_empty(), "a is before it on worker 1");
        let released = sequencer.complete(c, 0, 2);
        assert_eq!(released, [(vec![2], "c")], "it shares no worker");
        assert!(sequencer.complete(a, 1, 4).is_empty());
        let released = sequencer.complete(a, 0, 3);
        assert_eq!(released, [(vec![3, 4], "a"), (vec![1], "b")]);
        assert!(sequencer.batches.is_empty());
        assert!(sequencer.queues.iter().all(VecDeque::is_empty));
    }

    proptest! {
        #[test]
        fn batches_are_released_whole_and_in_worker_order(
            batches in prop::collection::vec(prop::collection::vec(0_usize..4, 1..6), 1..20),
            turns in prop::collection::vec(0_usize..4, 0..200),
        ) {
            let mut sequencer = CommitSequencer::new(4);
            let mut queues: Vec<VecDeque<(u64, usize)>> = vec![VecDeque::new(); 4];
            for workers in &batches {
                let number = sequencer.enqueue(workers, workers.clone());
                for (position, worker) in workers.iter().enumerate() {
                    queues[*worker].push_back((number, position));
                }
            }
            // Workers run at any speed; in the end all of them have finished.
            let (mut released, mut last) = (0, [None; 4]);
            for worker in turns.into_iter().chain((0..4).cycle().take(4 * 200)) {
                let Some((number, position)) = queues[worker].pop_front() else { continue };
                let ready = sequencer.complete(number, position, (number, position));
                for (results, workers) in ready {
                    released += 1;
                    let number = results[0].0;
                    let whole: Vec<_> = (0..workers.len()).map(|i| (number, i)).collect();
                    prop_assert_eq!(&results, &whole);
                    for worker in workers {
                        prop_assert!(last[worker].is_none_or(|before| before <= number));
                        last[worker] = Some(number);
                    }
                }
            }
            prop_assert_eq!(released, batches.len());
        }
    }
}
