//! Where batches wait for their turn: each goes on as a whole, and none overtakes another that shares a lane with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Batches of events, each event being worked on in some lane. `T` is what comes of an event, `R` what belongs to a batch.
pub(super) struct Line<T, R> {
    next: u64,
    batches: BTreeMap<u64, Batch<T, R>>,
    /// For each lane the batches that have events in it, in the order in which they joined.
    lanes: Vec<VecDeque<u64>>,
}

struct Batch<T, R> {
    done: Vec<Option<T>>,
    missing: usize,
    lanes: BTreeSet<usize>,
    rest: R,
}

impl<T, R> Line<T, R> {
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            next: 0,
            batches: BTreeMap::new(),
            lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Lets a batch join, with the lane of each of its events (at least one); its number. Events must go into their lanes in
    /// the order in which their batches joined.
    pub(super) fn join(&mut self, lanes: &[usize], rest: R) -> u64 {
        let number = self.next;
        self.next += 1;
        let distinct: BTreeSet<usize> = lanes.iter().copied().collect();
        for lane in &distinct {
            self.lanes[*lane].push_back(number);
        }
        let done = lanes.iter().map(|_| None).collect();
        self.batches.insert(
            number,
            Batch {
                done,
                missing: lanes.len(),
                lanes: distinct,
                rest,
            },
        );
        number
    }

    /// One event of a batch is done: gives every batch whose turn has come with that, in order.
    pub(super) fn done(&mut self, number: u64, place: usize, outcome: T) -> Vec<(Vec<T>, R)> {
        if let Some(batch) = self.batches.get_mut(&number)
            && batch.done[place].replace(outcome).is_none()
        {
            batch.missing -= 1;
        }
        let (mut ready, mut asked) = (Vec::new(), BTreeSet::from([number]));
        while let Some(number) = asked.pop_first() {
            if !self.turn_of(number) {
                continue;
            }
            let Some(batch) = self.batches.remove(&number) else {
                continue;
            };
            for lane in batch.lanes {
                self.lanes[lane].pop_front();
                asked.extend(self.lanes[lane].front());
            }
            ready.push((batch.done.into_iter().flatten().collect(), batch.rest));
        }
        ready
    }

    fn turn_of(&self, number: u64) -> bool {
        let first = |lane: &usize| self.lanes[*lane].front() == Some(&number);
        self.batches
            .get(&number)
            .is_some_and(|batch| batch.missing == 0 && batch.lanes.iter().all(first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_waits_for_its_last_event_and_for_those_before_it_in_its_lanes() {
        let mut line = Line::new(3);
        let (a, b, c) = (
            line.join(&[0, 1], "a"),
            line.join(&[1], "b"),
            line.join(&[2], "c"),
        );
        assert!(line.done(b, 0, 1).is_empty(), "a is before it in lane 1");
        assert_eq!(
            line.done(c, 0, 2),
            [(vec![2], "c")],
            "it shares no lane with anybody"
        );
        assert!(line.done(a, 1, 4).is_empty());
        assert_eq!(line.done(a, 0, 3), [(vec![3, 4], "a"), (vec![1], "b")]);
        assert!(line.batches.is_empty() && line.lanes.iter().all(VecDeque::is_empty));
    }

    proptest! {
        #[test]
        fn every_batch_comes_out_whole_and_in_the_order_of_each_lane(
            batches in prop::collection::vec(prop::collection::vec(0_usize..4, 1..6), 1..20),
            turns in prop::collection::vec(0_usize..4, 0..200),
        ) {
            let mut line = Line::new(4);
            let mut queues: Vec<VecDeque<(u64, usize)>> = vec![VecDeque::new(); 4];
            for lanes in &batches {
                let number = line.join(lanes, lanes.clone());
                for (place, lane) in lanes.iter().enumerate() {
                    queues[*lane].push_back((number, place));
                }
            }
            // Lanes work at whatever pace, at last all to the end.
            let (mut out, mut last) = (0, [None; 4]);
            for lane in turns.into_iter().chain((0..4).cycle().take(4 * 200)) {
                let Some((number, place)) = queues[lane].pop_front() else { continue };
                for (done, lanes) in line.done(number, place, (number, place)) {
                    out += 1;
                    let number = done[0].0;
                    prop_assert_eq!(&done, &(0..lanes.len()).map(|place| (number, place)).collect::<Vec<_>>());
                    for lane in lanes {
                        prop_assert!(last[lane].is_none_or(|before| before <= number));
                        last[lane] = Some(number);
                    }
                }
            }
            prop_assert_eq!(out, batches.len());
        }
    }
}
