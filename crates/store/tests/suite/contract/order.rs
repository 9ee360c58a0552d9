//! Promises about the order of deliveries: see `Store::submit_claim`.

use std::cell::RefCell;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_store::{AttemptOutcome, ClaimLimit, Selection, Store};

use super::Backend;
use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, incoming_of, send};

/// Accepts an event of this interface with this many actions for `t`.
fn accept(store: &dyn Store, id: &str, eni: &str, actions: usize, second: i64) -> Vec<DeliveryId> {
    let actions = vec![send("t", 1); actions];
    let accepted = store.accept(
        incoming_of(id, eni),
        evaluation("r", actions, vec![]),
        at(second),
    );
    accepted.unwrap().deliveries
}

/// The runs that a claim of `deliveries` with runs of at most `run` takes.
fn claim(store: &dyn Store, second: i64, deliveries: usize, run: usize) -> Vec<Vec<Delivery>> {
    let limit = ClaimLimit {
        deliveries,
        run,
        retries_first: false,
    };
    let claimed = store.submit_claim("t", at(second), LEASE, limit);
    claimed.wait().unwrap().runs
}

fn ids(runs: &[Vec<Delivery>]) -> Vec<Vec<DeliveryId>> {
    let ids = |run: &Vec<Delivery>| run.iter().map(|delivery| delivery.id).collect();
    runs.iter().map(ids).collect()
}

/// Settles with an attempt that started at `second`. Returns whether the next one is due.
fn settle(store: &dyn Store, delivery: &Delivery, decision: Decision, second: i64) -> bool {
    let attempt = AttemptOutcome {
        started: at(second),
        ..attempt("sent")
    };
    let settled = store.submit_settle(delivery.clone(), attempt, decision, at(second));
    settled.wait().unwrap().next_is_due
}

fn waits(store: &dyn Store, id: DeliveryId) -> bool {
    store.delivery(id).unwrap().unwrap().0.waits
}

pub(super) fn each_delivery_of_a_key_waits_for_the_one_before(backend: &dyn Backend) {
    let store = &*backend.open();
    let a = accept(store, "1", "eni-1", 2, 0);
    let b = accept(store, "2", "eni-1", 1, 0);
    let other = accept(store, "3", "eni-2", 1, 0);
    let none = accept(store, "4", "", 2, 0);
    let first = claim(store, 1, 9, 1);
    assert_eq!(
        ids(&first),
        [vec![a[0]], vec![other[0]], vec![none[0]], vec![none[1]]]
    );
    assert_eq!(claim(store, 1, 9, 1), Vec::<Vec<_>>::new());
    assert_eq!(
        (waits(store, a[0]), waits(store, a[1]), waits(store, b[0])),
        (false, true, true)
    );
    // A part is not the whole.
    assert!(!settle(store, &first[0][0], Decision::NextPart, 2));
    let second = claim(store, 2, 9, 1);
    assert_eq!(ids(&second), [[a[0]]]);
    assert!(settle(store, &second[0][0], Decision::Delivered, 3));
    let third = claim(store, 3, 9, 9);
    assert_eq!(ids(&third), [[a[1], b[0]]]);
    assert!(!settle(store, &third[0][0], Decision::Delivered, 4));
    assert!(!settle(store, &third[0][1], Decision::Delivered, 4));
    // Nothing is before it any more.
    let c = accept(store, "5", "eni-1", 1, 5);
    assert_eq!(ids(&claim(store, 5, 9, 9)), [[c[0]]]);
}

pub(super) fn a_run_is_released_in_its_order(backend: &dyn Backend) {
    let store = &*backend.open();
    let a = accept(store, "1", "eni-1", 4, 0);
    let run = claim(store, 0, 9, 3).remove(0);
    assert_eq!(ids(std::slice::from_ref(&run)), [[a[0], a[1], a[2]]]);
    // Those of one that is not settled stay behind it.
    assert_eq!(store.submit_release(vec![a[2], a[1]], at(1)).wait(), Ok(2));
    assert_eq!(claim(store, 1, 9, 9), Vec::<Vec<_>>::new());
    assert_eq!(store.submit_release(vec![a[0], a[3]], at(1)).wait(), Ok(1));
    assert_eq!(ids(&claim(store, 1, 9, 9)), std::slice::from_ref(&a));
    // So do those of a process that was killed.
    assert_eq!(store.release_claims(at(2)), Ok(4));
    assert_eq!(ids(&claim(store, 2, 9, 9)), std::slice::from_ref(&a));
    // If a claim expires, its run comes again as a whole.
    assert_eq!(ids(&claim(store, 62, 9, 9)), [a]);
}

pub(super) fn a_failing_delivery_holds_up_for_order_wait(backend: &dyn Backend) {
    let store = &*backend.open();
    let a = accept(store, "1", "eni-1", 3, 0);
    let run = claim(store, 100, 9, 9).remove(0);
    // It has waited for long, but not failed: only its first failure counts, from its start.
    assert!(!settle(store, &run[0], Decision::RetryAt(at(105)), 100));
    store
        .submit_release(vec![a[1], a[2]], at(100))
        .wait()
        .unwrap();
    assert_eq!(store.next_due("t"), Ok(Some(at(105))));
    let retry = claim(store, 105, 9, 1);
    assert_eq!(ids(&retry), [[a[0]]]);
    assert!(!settle(
        store,
        &retry[0][0],
        Decision::RetryAt(at(900)),
        110
    ));
    assert_eq!(claim(store, 159, 9, 9), Vec::<Vec<_>>::new());
    let second = claim(store, 160, 9, 1);
    assert_eq!(ids(&second), [[a[1]]]);
    // What comes now waits for the last one before it.
    let b = accept(store, "2", "eni-1", 1, 161);
    assert!(settle(store, &second[0][0], Decision::Delivered, 161));
    let third = claim(store, 161, 9, 1);
    assert_eq!(ids(&third), [[a[2]]]);
    assert!(settle(store, &third[0][0], Decision::Delivered, 161));
    let fourth = claim(store, 161, 9, 9);
    assert_eq!(ids(&fourth), [b]);
    assert!(!settle(store, &fourth[0][0], Decision::Delivered, 161));
    // Behind one that has failed long ago, nothing waits.
    let late = accept(store, "3", "eni-2", 1, 200);
    let failing = claim(store, 200, 9, 9);
    settle(store, &failing[0][0], Decision::RetryAt(at(900)), 200);
    let next = accept(store, "4", "eni-2", 1, 300);
    assert!(late != next);
    assert_eq!(ids(&claim(store, 300, 9, 9)), [next]);
}

pub(super) fn what_ends_without_delivery_lets_the_next_one_go(backend: &dyn Backend) {
    let store = &*backend.open();
    let a = accept(store, "1", "eni-1", 4, 0);
    let refused = claim(store, 0, 9, 1);
    assert!(settle(store, &refused[0][0], dead_letter("no"), 1));
    // An operator cancels one that waits, and one that is first.
    assert!(store.cancel(a[2], at(2)).unwrap());
    assert!(waits(store, a[3]));
    assert!(store.cancel(a[1], at(2)).unwrap());
    assert_eq!(ids(&claim(store, 2, 9, 9)), [[a[3]]]);
    // All of a target that is gone.
    accept(store, "2", "eni-1", 1, 3);
    assert_eq!(store.dead_letter_target("t", "gone".into(), at(3)), Ok(2));
    let b = accept(store, "3", "eni-1", 1, 4);
    assert_eq!(ids(&claim(store, 4, 9, 9)), [b]);
}

pub(super) fn order_wait_is_changed_while_deliveries_wait(backend: &dyn Backend) {
    let set = |store: &dyn Store, seconds, second| {
        let wait = SignedDuration::from_secs(seconds);
        let mut steps = 1;
        while store
            .submit_order_wait("t", wait, at(second))
            .wait()
            .unwrap()
        {
            steps += 1;
        }
        steps
    };
    let a = {
        let store = &*backend.open();
        let a = accept(store, "1", "eni-1", 2, 0);
        let failing = claim(store, 0, 9, 1);
        settle(store, &failing[0][0], Decision::RetryAt(at(900)), 0);
        // Longer, shorter, and kept over a restart.
        set(store, 300, 10);
        assert_eq!(claim(store, 299, 9, 9), Vec::<Vec<_>>::new());
        set(store, 100, 20);
        assert_eq!(claim(store, 99, 9, 9), Vec::<Vec<_>>::new());
        a
    };
    let store = &*backend.open();
    assert_eq!(ids(&claim(store, 100, 9, 9)), [[a[1]]]);
    // Off: what waits is due at once, and what comes does not wait.
    let b = accept(store, "2", "eni-3", 2_500, 100);
    assert_eq!(claim(store, 100, 9_999, 1).len(), 1);
    assert_eq!(set(store, 0, 101), 3);
    assert_eq!(claim(store, 101, 9_999, 1).len(), b.len() - 1);
    accept(store, "3", "eni-4", 2, 102);
    assert_eq!(claim(store, 102, 9, 1).len(), 2);
    // On again, for what comes then.
    assert_eq!(set(store, 60, 103), 1);
    accept(store, "4", "eni-4", 3, 104);
    assert_eq!(claim(store, 104, 9, 1).len(), 1);
}

pub(super) fn replayed_and_redriven_deliveries_have_no_order(backend: &dyn Backend) {
    let store = &*backend.open();
    let a = accept(store, "1", "eni-1", 1, 0);
    let refused = claim(store, 0, 9, 9);
    settle(store, &refused[0][0], dead_letter("no"), 0);
    let b = accept(store, "2", "eni-1", 2, 1);
    assert_eq!(ids(&claim(store, 1, 9, 1)), [[b[0]]]);
    assert!(store.redrive(a[0], at(2)).unwrap());
    assert_eq!(ids(&claim(store, 2, 9, 9)), [[a[0]]]);
    let mut archived = None;
    let visit = &mut |event: Result<_, _>| {
        archived = event.ok();
        false
    };
    store.walk(&Selection::default(), visit).unwrap();
    let result = evaluation("r", vec![send("t", 1), send("t", 2)], vec![]);
    let event = incoming_of("1", "eni-1");
    let replayed = store.accept_replay(&archived.unwrap(), event, result, "x".into(), at(3));
    assert_eq!(replayed.unwrap().deliveries.len(), 2);
    assert_eq!(claim(store, 3, 9, 9).len(), 2);
    assert!(waits(store, b[1]));
}

pub(super) fn retries_come_first_where_a_claim_says_so(backend: &dyn Backend) {
    let store = &*backend.open();
    let ids_of = |eni: &str| accept(store, eni, eni, 1, 0)[0];
    let [late, soon, _, _] = ["eni-1", "eni-2", "eni-3", "eni-4"].map(ids_of);
    let claimed = claim(store, 1, 2, 1);
    for (run, retry) in claimed.iter().zip([30, 20]) {
        settle(store, &run[0], Decision::RetryAt(at(retry)), 1);
    }
    let first = |second, retries_first| {
        let limit = ClaimLimit {
            deliveries: 1,
            run: 1,
            retries_first,
        };
        let claimed = store.submit_claim("t", at(second), LEASE, limit);
        claimed.wait().unwrap().runs[0][0].id
    };
    // None is due: the soonest due of the others.
    assert!(![late, soon].contains(&first(19, true)));
    assert!(![late, soon].contains(&first(30, false)));
    assert_eq!(first(30, true), soon);
    assert_eq!(first(30, true), late);
}

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
    let cases = std::env::var("REFLEXARC_STORE_CASES").map_or(60, |cases| cases.parse().unwrap());
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
            retries_first: now % 2 == 0,
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
