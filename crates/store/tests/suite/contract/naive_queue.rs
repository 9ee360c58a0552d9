//! The order of deliveries, compared with a queue that follows its definition.

use std::cell::RefCell;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_store::{ClaimLimit, Store};

use super::Backend;
use super::order::{accept, settle};
use crate::samples::{at, dead_letter};

/// One thing that happens to a store.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An event of this interface (0: of none) with so many actions.
    Accept(usize, usize),
    Claim(usize, usize),
    /// One of the claimed runs gets an answer for its first delivery.
    Answer(prop::sample::Index, Answer),
    Pass(i64),
    /// The process is killed; the next one releases its claims.
    Kill,
    Cancel(prop::sample::Index),
    Redrive(prop::sample::Index),
    OrderWait(i64),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Delivered,
    Part,
    Refused,
    /// Attempted again after so many seconds.
    Failed(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let answer = prop_oneof![
        4 => Just(Answer::Delivered),
        1 => Just(Answer::Part),
        1 => Just(Answer::Refused),
        3 => (1..40_i64).prop_map(Answer::Failed),
    ];
    prop_oneof![
        6 => (0..4_usize, 1..4_usize).prop_map(|(eni, count)| Step::Accept(eni, count)),
        6 => (1..9_usize, 1..4_usize).prop_map(|(most, run)| Step::Claim(most, run)),
        12 => (index(), answer).prop_map(|(index, answer)| Step::Answer(index, answer)),
        4 => (1..30_i64).prop_map(Step::Pass),
        1 => Just(Step::Kill),
        1 => index().prop_map(Step::Cancel),
        1 => index().prop_map(Step::Redrive),
        1 => prop::sample::select(vec![0, 10, 60]).prop_map(Step::OrderWait),
    ]
}

/// A delivery of the naive queue, which stores neither heads nor due times.
#[derive(Debug, Clone)]
struct Naive {
    id: DeliveryId,
    key: Option<usize>,
    is_pending: bool,
    is_claimed: bool,
    not_before: i64,
    failed: Option<i64>,
}

/// Deliveries in the order in which they were committed.
#[derive(Debug, Default)]
struct NaiveQueue {
    all: Vec<Naive>,
    wait: i64,
}

impl NaiveQueue {
    fn one(&mut self, id: DeliveryId) -> &mut Naive {
        self.all.iter_mut().find(|one| one.id == id).unwrap()
    }

    /// The definition: nothing pending is before it, or that has failed long enough ago.
    fn may_be_sent(&self, place: usize, now: i64) -> bool {
        let one = &self.all[place];
        let before = self.all[..place]
            .iter()
            .rfind(|other| other.is_pending && one.key.is_some() && other.key == one.key);
        before.is_none_or(|before| before.failed.is_some_and(|at| now >= at + self.wait))
    }

    fn claimable(&self, now: i64) -> Vec<DeliveryId> {
        let claimable = |(place, one): &(usize, &Naive)| {
            let is_due = one.is_pending && !one.is_claimed && one.not_before <= now;
            is_due && self.may_be_sent(*place, now)
        };
        let found = self.all.iter().enumerate().filter(claimable);
        found.map(|(_, one)| one.id).collect()
    }

    /// The pending delivery after this one of its key.
    fn next(&self, id: DeliveryId) -> Option<DeliveryId> {
        let place = self.all.iter().position(|one| one.id == id).unwrap();
        let key = self.all[place].key?;
        let mut behind = self.all[place + 1..].iter();
        let next = behind.find(|one| one.is_pending && one.key == Some(key));
        next.map(|one| one.id)
    }
}

/// Whatever happens, claims take what the naive queue allows, and nothing is sent before it may be.
pub(super) fn the_order_is_that_of_the_naive_queue(backend: &dyn Backend) {
    let cases = backend.cases(60);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let store = RefCell::new(Some(backend.open()));
    let clock = RefCell::new(0_i64);
    let property = |steps: Vec<Step>| {
        // What the case before has left is gone.
        *clock.borrow_mut() += 1;
        let now = *clock.borrow();
        let gone =
            store
                .borrow()
                .as_deref()
                .unwrap()
                .dead_letter_target("t", String::new(), at(now));
        prop_assert!(gone.is_ok());
        let wait = SignedDuration::from_secs(60);
        let set = store
            .borrow()
            .as_deref()
            .unwrap()
            .submit_order_wait("t", wait, at(now))
            .wait();
        prop_assert_eq!(set, Ok(false));
        let mut run = OrderRun::new(&store, &clock);
        for step in steps {
            run.take(backend, step)?;
        }
        Ok(())
    };
    TestRunner::new(config)
        .run(&vec(step(), 1..80), property)
        .unwrap();
}

/// A store and the naive queue side by side.
struct OrderRun<'a> {
    store: &'a RefCell<Option<Box<dyn Store>>>,
    clock: &'a RefCell<i64>,
    naive: NaiveQueue,
    runs: Vec<Vec<Delivery>>,
    dead: Vec<DeliveryId>,
}

impl<'a> OrderRun<'a> {
    fn new(store: &'a RefCell<Option<Box<dyn Store>>>, clock: &'a RefCell<i64>) -> Self {
        Self {
            store,
            clock,
            naive: NaiveQueue {
                all: Vec::new(),
                wait: 60,
            },
            runs: Vec::new(),
            dead: Vec::new(),
        }
    }

    fn take(&mut self, backend: &dyn Backend, step: Step) -> Result<(), TestCaseError> {
        let now = *self.clock.borrow();
        match step {
            Step::Accept(eni, actions) => self.accept(eni, actions, now),
            Step::Claim(most, run) => return self.claim(most, run, now),
            Step::Answer(index, answer) if !self.runs.is_empty() => {
                let run = self.runs.remove(index.index(self.runs.len()));
                return self.answer(run, answer, now);
            }
            Step::Pass(seconds) => *self.clock.borrow_mut() += seconds,
            Step::Kill => {
                // Dropped first: one process at a time has the file.
                drop(self.store.borrow_mut().take());
                *self.store.borrow_mut() = Some(backend.open());
                self.release_all(now);
            }
            Step::Cancel(index) if !self.naive.all.is_empty() => {
                let place = index.index(self.naive.all.len());
                let one = &mut self.naive.all[place];
                let (id, was_pending) = (one.id, std::mem::take(&mut one.is_pending));
                let store = self.store.borrow();
                let cancelled = store.as_deref().unwrap().cancel(id, at(now)).unwrap();
                prop_assert_eq!(cancelled, was_pending);
            }
            Step::Redrive(index) if !self.dead.is_empty() => {
                let id = self.dead.remove(index.index(self.dead.len()));
                let store = self.store.borrow();
                prop_assert!(store.as_deref().unwrap().redrive(id, at(now)).unwrap());
                let one = self.naive.one(id);
                (one.is_pending, one.is_claimed) = (true, false);
                (one.key, one.failed, one.not_before) = (None, None, now);
            }
            Step::OrderWait(seconds) => {
                // A reload: the queue before has ended and its claims are released.
                self.release_all(now);
                let wait = SignedDuration::from_secs(seconds);
                let store = self.store.borrow();
                let store = store.as_deref().unwrap();
                prop_assert!(!store.submit_order_wait("t", wait, at(now)).wait().unwrap());
                self.naive.wait = seconds;
                if seconds == 0 {
                    let pending = self.naive.all.iter_mut().filter(|one| one.is_pending);
                    pending.for_each(|one| one.key = None);
                }
            }
            // Nothing to answer, cancel or redrive.
            Step::Answer(..) | Step::Cancel(_) | Step::Redrive(_) => {}
        }
        Ok(())
    }

    fn accept(&mut self, eni: usize, actions: usize, now: i64) {
        let store = self.store.borrow();
        let store = store.as_deref().unwrap();
        // Unique over all cases, which share a store: each begins at a later time.
        let id = format!("{now}-{}", self.naive.all.len());
        let name = if eni == 0 {
            String::new()
        } else {
            format!("eni-{eni}")
        };
        for id in accept(store, &id, &name, actions, now) {
            self.naive.all.push(Naive {
                id,
                key: (eni > 0 && self.naive.wait > 0).then_some(eni),
                is_pending: true,
                is_claimed: false,
                not_before: now,
                failed: None,
            });
        }
    }

    fn claim(&mut self, most: usize, run: usize, now: i64) -> Result<(), TestCaseError> {
        let expected = self.naive.claimable(now);
        let limit = ClaimLimit {
            deliveries: most,
            run,
            bytes: usize::MAX,
            retries_first: now % 2 == 0,
            sends_alone: false,
        };
        // Longer than a case lasts.
        let lease = SignedDuration::from_hours(24);
        let claimed = {
            let store = self.store.borrow();
            let store = store.as_deref().unwrap();
            store
                .submit_claim("t", at(now), lease, limit)
                .wait()
                .unwrap()
        };
        let runs = claimed.runs;
        prop_assert_eq!(runs.len(), most.min(expected.len()), "{:?}", self.naive);
        prop_assert!(runs.iter().map(Vec::len).sum::<usize>() <= most);
        for claimed in &runs {
            prop_assert!(claimed.len() <= run && expected.contains(&claimed[0].id));
            for pair in claimed.windows(2) {
                prop_assert_eq!(self.naive.next(pair[0].id), Some(pair[1].id));
            }
        }
        for delivery in runs.iter().flatten() {
            let one = self.naive.one(delivery.id);
            prop_assert!(one.is_pending && !one.is_claimed && one.not_before <= now);
            one.is_claimed = true;
        }
        self.runs.extend(runs);
        Ok(())
    }

    fn answer(
        &mut self,
        mut run: Vec<Delivery>,
        answer: Answer,
        now: i64,
    ) -> Result<(), TestCaseError> {
        let delivery = run.remove(0);
        let place = self.naive.all.iter().position(|one| one.id == delivery.id);
        let place = place.unwrap();
        // A cancelled delivery may be on its way.
        if self.naive.all[place].is_pending {
            prop_assert!(self.naive.may_be_sent(place, now), "{:?}", self.naive);
        }
        let decision = match answer {
            Answer::Delivered => Decision::Delivered,
            Answer::Part => Decision::NextPart,
            Answer::Refused => dead_letter("no"),
            Answer::Failed(seconds) => Decision::RetryAt(at(now + seconds)),
        };
        let before = self.naive.claimable(now);
        let store = self.store.borrow();
        let store = store.as_deref().unwrap();
        let next_is_due = settle(store, &delivery, decision, now);
        let one = &mut self.naive.all[place];
        one.is_claimed = false;
        let was_pending = one.is_pending;
        match answer {
            Answer::Part => one.not_before = now,
            Answer::Failed(seconds) if was_pending => {
                one.not_before = now + seconds;
                one.failed = one.failed.or(Some(now));
            }
            Answer::Failed(_) => {}
            Answer::Refused => {
                one.is_pending = false;
                if was_pending {
                    self.dead.push(delivery.id);
                }
            }
            Answer::Delivered => one.is_pending = false,
        }
        // The queue is woken for what may be sent now.
        let after = self.naive.claimable(now);
        let new = after
            .iter()
            .any(|id| !before.contains(id) && *id != delivery.id);
        prop_assert!(!new || next_is_due);
        if matches!(answer, Answer::Delivered) && !run.is_empty() {
            self.runs.push(run);
        } else {
            let ids: Vec<_> = run.iter().map(|delivery| delivery.id).collect();
            for id in &ids {
                self.naive.one(*id).is_claimed = false;
            }
            store.submit_release(ids, at(now)).wait().unwrap();
        }
        Ok(())
    }

    fn release_all(&mut self, now: i64) {
        let store = self.store.borrow();
        store.as_deref().unwrap().release_claims(at(now)).unwrap();
        self.runs.clear();
        for one in &mut self.naive.all {
            one.is_claimed = false;
        }
    }
}
