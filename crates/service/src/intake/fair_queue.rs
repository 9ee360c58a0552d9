//! A queue in which sources take turns, by the work that each brings.
//!
//! Self-clocked fair queueing: a batch gets the number at which it would end if its source had the
//! queue to itself, counted in units of work, and the batch with the lowest number goes first. An
//! example with a source L that has brought three batches of 500 before S brings one of 1:
//!
//! ```text
//! L 500, L 1000, L 1500        L 500 is taken: the clock is at 500
//! L 1000, L 1500, S 501        S 501 is taken, although it came last
//! ```
//!
//! So what a source waits for is its own work, and a share of that of the others; a source with
//! more batches, or larger ones, gains nothing.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The largest number of sources whose work in the past is remembered, besides those that wait.
const MAX_REMEMBERED: usize = 1_024;

/// Batches that wait. `S` is a source, `B` a batch.
#[derive(Debug)]
pub(super) struct FairQueue<S, B> {
    /// The number of the batch that was taken last.
    clock: u64,
    /// The number of the last batch of each source.
    last: HashMap<S, u64>,
    /// By number; equal numbers in the order in which they came.
    waiting: BTreeMap<(u64, u64), (u64, B)>,
    arrivals: u64,
}

impl<S: Eq + Hash, B> FairQueue<S, B> {
    pub(super) fn new() -> Self {
        Self {
            clock: 0,
            last: HashMap::new(),
            waiting: BTreeMap::new(),
            arrivals: 0,
        }
    }

    /// Adds a batch with this much work.
    pub(super) fn push(&mut self, source: S, work: u64, batch: B) {
        if self.last.len() >= MAX_REMEMBERED {
            // Work that ended before now is no debt. What is left belongs to batches that wait.
            self.last.retain(|_, number| *number > self.clock);
        }
        let last = self.last.entry(source).or_insert(0);
        // A source that was idle begins now: it cannot save up turns.
        let number = self.clock.max(*last).saturating_add(work);
        *last = number;
        self.waiting.insert((number, self.arrivals), (work, batch));
        self.arrivals += 1;
    }

    /// The work of the batch that is next.
    pub(super) fn next_work(&self) -> Option<u64> {
        let (_, (work, _)) = self.waiting.first_key_value()?;
        Some(*work)
    }

    /// Takes the batch that is next.
    pub(super) fn pop(&mut self) -> Option<B> {
        let ((number, _), (_, batch)) = self.waiting.pop_first()?;
        if self.waiting.is_empty() {
            // No source is ahead of another: begin again, so that the numbers stay small.
            (self.clock, self.arrivals) = (0, 0);
            self.last.clear();
        } else {
            self.clock = number;
        }
        Some(batch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_source_goes_before_what_a_large_one_has_queued() {
        let mut queue = FairQueue::new();
        for number in 0..5 {
            queue.push("large", 500, number);
        }
        assert_eq!(queue.pop(), Some(0));
        queue.push("small", 1, 100);
        queue.push("small", 1, 101);
        assert_eq!(queue.next_work(), Some(1));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [100, 101, 1, 2, 3, 4]);
        assert!(queue.is_empty() && queue.last.is_empty());
    }

    #[test]
    fn equal_sources_take_turns_however_much_they_queue() {
        let mut queue = FairQueue::new();
        for number in 0..100 {
            queue.push("a", 10, ("a", number));
        }
        for number in 0..10 {
            queue.push("b", 10, ("b", number));
        }
        let first: Vec<_> = (0..20)
            .filter_map(|_| queue.pop())
            .map(|(source, _)| source)
            .collect();
        assert_eq!(first.iter().filter(|source| **source == "b").count(), 10);
    }

    #[test]
    fn remembered_sources_are_bounded() {
        let mut queue = FairQueue::new();
        queue.push(0, 1, 0);
        for source in 1..10_000 {
            queue.push(source, 1, source);
            queue.pop();
        }
        assert!(queue.last.len() <= MAX_REMEMBERED, "{}", queue.last.len());
    }

    proptest! {
        /// Nothing is lost, each source keeps its order, and while two sources both wait, neither
        /// gets more than the other but for one batch.
        #[test]
        fn turns_are_fair_and_in_order(
            pushes in prop::collection::vec((0_usize..4, 1_u64..50), 1..80),
            pops in prop::collection::vec(any::<bool>(), 80),
        ) {
            let mut queue = FairQueue::new();
            let mut left = vec![0_usize; 4];
            let mut next = [0_usize; 4];
            let mut popped = [0_usize; 4];
            let largest = pushes.iter().map(|(_, work)| *work).max().unwrap_or(0);
            // What each source got since all four began to wait together.
            let mut shares: Option<[u64; 4]> = None;
            let mut check = |queue: &mut FairQueue<usize, (usize, usize, u64)>,
                             left: &mut Vec<usize>| {
                if left.contains(&0) {
                    shares = None;
                } else {
                    shares.get_or_insert([0; 4]);
                }
                let Some((source, number, work)) = queue.pop() else { return Ok(()) };
                prop_assert_eq!(number, popped[source]);
                popped[source] += 1;
                left[source] -= 1;
                if let Some(shares) = &mut shares {
                    shares[source] += work;
                    let most = shares.iter().max().unwrap_or(&0);
                    let least = shares.iter().min().unwrap_or(&0);
                    prop_assert!(most - least <= 2 * largest, "{:?}", shares);
                }
                Ok(())
            };
            for ((source, work), pop) in pushes.iter().zip(&pops) {
                queue.push(*source, *work, (*source, next[*source], *work));
                next[*source] += 1;
                left[*source] += 1;
                if *pop {
                    check(&mut queue, &mut left)?;
                }
            }
            while !queue.is_empty() {
                check(&mut queue, &mut left)?;
            }
            prop_assert_eq!(popped, next);
        }
    }
}
