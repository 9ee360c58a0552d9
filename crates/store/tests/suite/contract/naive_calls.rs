//! Calls, compared with a list that follows their definition: whatever happens, in whatever order,
//! each call has one answer, and it is the one that the definition says.

use std::cell::{Cell, RefCell};

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_delivery::{ChangeLimit, Decision, Delivery, DeliveryId};
use reflexarc_event::Json;
use reflexarc_reaction::{CallAnswer, OwnCode};
use reflexarc_store::{
    ChangePeriod, ChangeReservation, DeliveryStatus, Retention, Store, TimeTransaction,
};

use super::Backend;
use super::calls::answer;
use crate::samples::{LEASE, at, attempt, call, evaluation, incoming_of};

const LIMIT: ChangeLimit = ChangeLimit {
    per_minute: 3,
    per_day: 6,
};

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    /// A call of this rule, delayed by so many seconds, with or without a name.
    Accept(usize, i64, bool),
    Claim,
    /// A claimed call is about to be sent.
    Reserve(Index),
    /// The attempt of a claimed call ended like this.
    End(Index, Outcome),
    /// An operator cancels a call.
    Cancel(Index),
    /// A rule cancels what waits under its name.
    CancelNamed(usize),
    /// What was due so many seconds ago expires.
    Expire(i64),
    /// All rules but this one are gone.
    KeepRule(usize),
    UnknownTarget,
    /// The answers of so many withdrawn calls are processed.
    Process(usize),
    Pass(i64),
    /// The process is killed; the next one releases its claims.
    Kill,
    Resume,
    Prune,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Answered,
    /// Attempted again after so many seconds.
    Failed(i64),
    Unknown(i64),
    /// It was not attempted.
    Released,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Answered),
        2 => (1..40_i64).prop_map(Outcome::Failed),
        1 => (1..40_i64).prop_map(Outcome::Unknown),
        1 => Just(Outcome::Released),
    ];
    let delay = prop_oneof![3 => Just(0), 1 => 1..60_i64];
    prop_oneof![
        8 => (0..3_usize, delay, any::<bool>()).prop_map(|(r, d, n)| Step::Accept(r, d, n)),
        6 => Just(Step::Claim),
        4 => any::<Index>().prop_map(Step::Reserve),
        8 => (any::<Index>(), outcome).prop_map(|(index, end)| Step::End(index, end)),
        3 => any::<Index>().prop_map(Step::Cancel),
        2 => (0..3_usize).prop_map(Step::CancelNamed),
        2 => (0..90_i64).prop_map(Step::Expire),
        1 => (0..3_usize).prop_map(Step::KeepRule),
        1 => Just(Step::UnknownTarget),
        4 => (1..4_usize).prop_map(Step::Process),
        4 => (1..40_i64).prop_map(Step::Pass),
        1 => Just(Step::Kill),
        1 => Just(Step::Resume),
        1 => Just(Step::Prune),
    ]
}

/// A call of the naive list.
#[derive(Debug, Clone)]
struct Naive {
    id: DeliveryId,
    rule: usize,
    is_named: bool,
    first_due: i64,
    /// Not attempted before.
    not_before: i64,
    claimed_until: Option<i64>,
    /// With which it ends, unless an attempt in progress is answered.
    code: Option<OwnCode>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Waits,
    Withdrawn,
    Answered,
}

/// A reservation: when, whether its outcome is unknown, and whether it counts.
#[derive(Debug, Clone)]
struct Change {
    id: DeliveryId,
    at: i64,
    is_open: bool,
    counts: bool,
}

/// The calls in the order in which they were committed.
#[derive(Debug, Default)]
struct NaiveCalls {
    all: Vec<Naive>,
    /// In the order in which they were withdrawn.
    withdrawn: Vec<DeliveryId>,
    changes: Vec<Change>,
    stopped: Option<ChangePeriod>,
}

impl NaiveCalls {
    fn one(&mut self, id: DeliveryId) -> &mut Naive {
        self.all.iter_mut().find(|one| one.id == id).unwrap()
    }

    fn close(&mut self, id: DeliveryId) {
        let changes = self.changes.iter_mut().filter(|change| change.id == id);
        changes.for_each(|change| change.is_open = false);
    }

    /// It gets a code, and is withdrawn unless it is being sent. Returns whether it was waiting.
    fn withdraw(&mut self, id: DeliveryId, code: OwnCode, now: i64) -> bool {
        let one = self.one(id);
        if one.end != End::Waits || one.code.is_some() {
            return false;
        }
        one.code = Some(code);
        if one.claimed_until.is_none_or(|until| until <= now) {
            self.end(id);
        }
        true
    }

    fn end(&mut self, id: DeliveryId) {
        let is_open = self.changes.iter().any(|one| one.id == id && one.is_open);
        let one = self.one(id);
        one.end = End::Withdrawn;
        if is_open {
            one.code = Some(OwnCode::OutcomeUnknown);
        }
        self.withdrawn.push(id);
    }

    /// What has a code and is not being sent any more is withdrawn.
    fn end_released(&mut self, now: i64) {
        let ended = |one: &&Naive| {
            let is_sent = one.claimed_until.is_some_and(|until| until > now);
            one.end == End::Waits && one.code.is_some() && !is_sent
        };
        let ids: Vec<_> = self.all.iter().filter(ended).map(|one| one.id).collect();
        for id in ids {
            self.end(id);
        }
    }

    fn reserve(&mut self, id: DeliveryId, now: i64) -> ChangeReservation {
        let one = self.one(id);
        if one.end != End::Waits || one.code.is_some() {
            return ChangeReservation::Withdrawn;
        }
        let known = self.changes.iter().position(|change| change.id == id);
        if known.is_some_and(|place| self.changes[place].is_open) {
            return ChangeReservation::SentBefore;
        }
        let count = |seconds| {
            let within = |change: &&Change| change.counts && change.at > now - seconds;
            self.changes.iter().filter(within).count()
        };
        if self.stopped.is_none() && known.is_none() {
            if count(60) >= LIMIT.per_minute as usize {
                self.stopped = Some(ChangePeriod::Minute);
            } else if count(86_400) >= LIMIT.per_day as usize {
                self.stopped = Some(ChangePeriod::Day);
            }
        }
        if let Some(per) = self.stopped {
            return ChangeReservation::LimitReached { per };
        }
        match known {
            Some(place) => self.changes[place].is_open = true,
            None => self.changes.push(Change {
                id,
                at: now,
                is_open: true,
                counts: true,
            }),
        }
        ChangeReservation::Reserved
    }
}

/// In any order of claims, attempts, crashes, cancellations and expiries.
pub(super) fn answers_are_those_of_the_naive_calls(backend: &dyn Backend) {
    let cases = backend.cases(60);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let store = RefCell::new(Some(backend.open()));
    let (clock, number) = (Cell::new(0_i64), Cell::new(0_usize));
    let property = |steps: Vec<Step>| {
        number.set(number.get() + 1);
        let mut run = CallRun {
            store: &store,
            clock: &clock,
            target: format!("t{}", number.get()),
            accepted: 0,
            naive: NaiveCalls::default(),
            claimed: Vec::new(),
        };
        run.clear();
        for step in steps {
            run.take(backend, &step)?;
            run.compare()?;
        }
        run.finish()
    };
    TestRunner::new(config)
        .run(&vec(step(), 1..60), property)
        .unwrap();
}

/// A store and the naive list side by side.
struct CallRun<'a> {
    store: &'a RefCell<Option<Box<dyn Store>>>,
    clock: &'a Cell<i64>,
    /// One for each case; the cases share a store.
    target: String,
    accepted: usize,
    naive: NaiveCalls,
    /// What a queue has claimed and not settled, expired claims included.
    claimed: Vec<Delivery>,
}

impl CallRun<'_> {
    fn with<T>(&self, work: impl FnOnce(&dyn Store) -> T) -> T {
        let store = self.store.borrow();
        work(store.as_deref().unwrap())
    }

    /// Answers what a case before has left, which failed.
    fn clear(&self) {
        for status in [DeliveryStatus::Pending, DeliveryStatus::Withdrawn] {
            let left = self.with(|store| store.deliveries(status, None, 1_000));
            for record in left.unwrap() {
                let given = CallAnswer::ok(200, Json::Null);
                let id = record.delivery.id;
                self.with(|store| answer(store, id, None, given, self.clock.get()));
            }
        }
    }

    fn rule(&self, number: usize) -> String {
        format!("{}-r{number}", self.target)
    }

    fn any(&self, index: Index) -> Option<DeliveryId> {
        let all = &self.naive.all;
        (!all.is_empty()).then(|| all[index.index(all.len())].id)
    }

    fn take(&mut self, backend: &dyn Backend, step: &Step) -> Result<(), TestCaseError> {
        let now = self.clock.get();
        match *step {
            Step::Accept(rule, delay, is_named) => self.accept(rule, delay, is_named, now),
            Step::Claim => return self.claim(now),
            Step::Reserve(index) => {
                if let Some(id) = self.any(index) {
                    let reserved = self.with(|store| {
                        let reply = store.submit_reserve_change(&self.target, id, LIMIT, at(now));
                        reply.wait().unwrap()
                    });
                    prop_assert_eq!(reserved, self.naive.reserve(id, now));
                }
            }
            Step::End(index, outcome) if !self.claimed.is_empty() => {
                let delivery = self.claimed.remove(index.index(self.claimed.len()));
                return self.end(delivery, outcome, now);
            }
            Step::End(..) => {}
            Step::Cancel(index) => {
                if let Some(id) = self.any(index) {
                    let cancelled = self.with(|store| store.cancel(id, at(now)).unwrap());
                    let was_waiting = self.naive.withdraw(id, OwnCode::Cancelled, now);
                    prop_assert_eq!(cancelled, was_waiting);
                }
            }
            Step::CancelNamed(rule) => {
                let mut cancelling = evaluation(&self.rule(rule), vec![], vec![]);
                cancelling.rules[0].cancelled = vec!["k".into()];
                self.accept_event(cancelling, now);
                self.cancel_named(rule, now);
            }
            Step::Expire(ago) => return self.expire(ago, now),
            Step::KeepRule(kept) => return self.keep_rule(kept, now),
            Step::UnknownTarget => {
                let reason = "gone".to_owned();
                self.with(|store| store.dead_letter_target(&self.target, reason, at(now)))
                    .unwrap();
                let mut all = self.naive.all.clone();
                all.sort_by_key(|one| (one.first_due, one.id));
                for one in &all {
                    self.naive.withdraw(one.id, OwnCode::Undelivered, now);
                }
                // No queue of it looks at claims that have expired.
                self.naive.end_released(now);
            }
            Step::Process(limit) => return self.process(limit, now),
            Step::Pass(seconds) => self.clock.set(now + seconds),
            Step::Kill => self.kill(backend, now),
            Step::Resume => {
                self.with(|store| store.set_pause(&self.target, None))
                    .unwrap();
                if self.naive.stopped.take().is_some() {
                    let changes = self.naive.changes.iter_mut();
                    changes.for_each(|change| change.counts = false);
                }
            }
            Step::Prune => {
                let retention = Retention {
                    age: SignedDuration::ZERO,
                    ..Retention::default()
                };
                // A microsecond later, so that what was accepted now is old.
                let later = at(now) + SignedDuration::from_micros(1);
                self.with(|store| store.prune(&retention, later)).unwrap();
            }
        }
        Ok(())
    }

    fn expire(&mut self, ago: i64, now: i64) -> Result<(), TestCaseError> {
        let expired = self.with(|store| {
            let before = at(now - ago);
            let reply = store.submit_expire_calls(&self.target, before, at(now));
            reply.wait().unwrap()
        });
        let mut late: Vec<_> = self.naive.all.clone();
        late.retain(|one| {
            let is_sent = one.claimed_until.is_some_and(|until| until > now);
            let waits = one.end == End::Waits && one.code.is_none();
            waits && !is_sent && one.first_due < now - ago
        });
        late.sort_by_key(|one| (one.first_due, one.id));
        for one in &late {
            self.naive.withdraw(one.id, OwnCode::Expired, now);
        }
        prop_assert_eq!(expired, late.len());
        Ok(())
    }

    fn keep_rule(&mut self, kept: usize, now: i64) -> Result<(), TestCaseError> {
        let live = vec![self.rule(kept)];
        let gone = self.with(|store| {
            let reply = store.submit_withdraw_calls_of_other_rules(live, at(now));
            reply.wait().unwrap()
        });
        let mut others = self.naive.all.clone();
        others.retain(|one| one.rule != kept && one.end == End::Waits && one.code.is_none());
        others.sort_by_key(|one| (one.rule, one.id));
        for one in &others {
            self.naive.withdraw(one.id, OwnCode::RuleGone, now);
        }
        prop_assert_eq!(gone, others.len());
        Ok(())
    }

    fn kill(&mut self, backend: &dyn Backend, now: i64) {
        // Dropped first: one process at a time has the file.
        drop(self.store.borrow_mut().take());
        *self.store.borrow_mut() = Some(backend.open());
        self.with(|store| store.release_claims(at(now))).unwrap();
        self.claimed.clear();
        let mut released = false;
        for one in &mut self.naive.all {
            if one.end == End::Waits && one.claimed_until.take().is_some() {
                (one.not_before, released) = (now, true);
            }
        }
        if released {
            self.naive.end_released(now);
        }
    }

    fn accept_event(&mut self, evaluation: reflexarc::Evaluation, now: i64) -> Vec<DeliveryId> {
        self.accepted += 1;
        let event = incoming_of(&format!("{} {}", self.target, self.accepted), "");
        self.with(|store| store.accept(event, evaluation, at(now)))
            .unwrap()
            .deliveries
    }

    fn accept(&mut self, rule: usize, delay: i64, is_named: bool, now: i64) {
        let mut action = call(&self.target, "Delete");
        if delay > 0 {
            action = action.with_after(SignedDuration::from_secs(delay));
        }
        if is_named {
            action = action.with_key("k");
        }
        let evaluation = evaluation(&self.rule(rule), vec![action], vec![]);
        let ids = self.accept_event(evaluation, now);
        if is_named {
            self.cancel_named(rule, now);
        }
        self.naive.all.push(Naive {
            id: ids[0],
            rule,
            is_named,
            first_due: now + delay,
            not_before: now + delay,
            claimed_until: None,
            code: None,
            end: End::Waits,
        });
    }

    fn cancel_named(&mut self, rule: usize, now: i64) {
        let named = |one: &&Naive| one.rule == rule && one.is_named;
        let ids: Vec<_> = self
            .naive
            .all
            .iter()
            .filter(named)
            .map(|one| one.id)
            .collect();
        for id in ids {
            self.naive.withdraw(id, OwnCode::Cancelled, now);
        }
    }

    fn claim(&mut self, now: i64) -> Result<(), TestCaseError> {
        let claimed = self.with(|store| store.claim(&self.target, at(now), LEASE, 99));
        let claimed = claimed.unwrap();
        // Claims that have expired are released; then what has a code is withdrawn.
        for one in &mut self.naive.all {
            if one.claimed_until.is_some_and(|until| until <= now) && one.end == End::Waits {
                (one.claimed_until, one.not_before) = (None, now);
            }
        }
        self.naive.end_released(now);
        let claimable = |one: &&Naive| {
            one.end == End::Waits && one.claimed_until.is_none() && one.not_before <= now
        };
        let claimable = self.naive.all.iter().filter(claimable).count();
        prop_assert_eq!(claimed.len(), claimable, "{:?}", self.naive);
        for delivery in &claimed {
            let one = self.naive.one(delivery.id);
            prop_assert!(one.end == End::Waits && one.code.is_none(), "{:?}", one);
            one.claimed_until = Some(now + LEASE.as_secs());
        }
        self.claimed
            .retain(|old| claimed.iter().all(|new| new.id != old.id));
        self.claimed.extend(claimed);
        Ok(())
    }

    fn end(&mut self, delivery: Delivery, outcome: Outcome, now: i64) -> Result<(), TestCaseError> {
        let id = delivery.id;
        let was = self.naive.one(id).clone();
        let (name, seconds) = match outcome {
            Outcome::Answered => {
                let given = CallAnswer::ok(200, Json::Null);
                let attempt = Some(attempt("answered"));
                let settled = self.with(|store| answer(store, id, attempt, given, now));
                prop_assert_eq!(settled.is_some(), was.end != End::Answered);
                self.naive.one(id).end = End::Answered;
                self.naive.withdrawn.retain(|other| *other != id);
                self.naive.close(id);
                return Ok(());
            }
            Outcome::Released => {
                let released = self.with(|store| store.submit_release(vec![id], at(now)).wait());
                let was_claimed = was.end == End::Waits && was.claimed_until.is_some();
                prop_assert_eq!(released, Ok(usize::from(was_claimed)));
                if was_claimed {
                    let one = self.naive.one(id);
                    (one.claimed_until, one.not_before) = (None, now);
                    self.naive.end_released(now);
                }
                return Ok(());
            }
            Outcome::Failed(seconds) => ("failed", seconds),
            Outcome::Unknown(seconds) => ("unknown", seconds),
        };
        let retry = Decision::RetryAt(at(now + seconds));
        self.with(|store| store.settle(delivery, attempt(name), retry, at(now)))
            .unwrap();
        // Once it was withdrawn, an attempt without an answer changes nothing.
        if was.end == End::Waits {
            let one = self.naive.one(id);
            (one.claimed_until, one.not_before) = (None, now + seconds);
            if name == "failed" {
                self.naive.close(id);
            }
            self.naive.end_released(now);
        }
        Ok(())
    }

    /// As the service does: a transaction for each.
    fn process(&mut self, limit: usize, now: i64) -> Result<(), TestCaseError> {
        let first: Vec<_> = self.naive.withdrawn.iter().take(limit).copied().collect();
        for id in first {
            let expected = (id, self.naive.one(id).code);
            let (sender, receiver) = std::sync::mpsc::channel();
            let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
                let call = transaction.withdrawn_calls(1)?.remove(0);
                let answer = CallAnswer::own(call.code, call.reason);
                let settled = transaction.settle_call(call.id, None, &answer, at(now))?;
                let settled = settled.map(|settled| settled.delivery.id);
                sender.send((settled, call.id, call.code)).unwrap();
                Ok(None)
            });
            self.with(|store| store.submit_time(work).wait()).unwrap();
            let (settled, found, code) = receiver.recv().unwrap();
            prop_assert_eq!((found, Some(code)), expected);
            prop_assert_eq!(settled, Some(id));
            self.naive.one(id).end = End::Answered;
            self.naive.withdrawn.remove(0);
            self.naive.close(id);
        }
        Ok(())
    }

    /// Everything that can be read is as in the naive list.
    fn compare(&self) -> Result<(), TestCaseError> {
        let codes: Vec<_> = self.with(super::calls::withdrawn);
        let codes: Vec<_> = codes
            .iter()
            .map(|call| (call.id, Some(call.code)))
            .collect();
        let code = |id| self.naive.all.iter().find(|one| one.id == id).unwrap().code;
        let expected = self.naive.withdrawn.iter().map(|id| (*id, code(*id)));
        prop_assert_eq!(codes, expected.collect::<Vec<_>>());
        for one in &self.naive.all {
            let record = self.with(|store| store.delivery(one.id)).unwrap();
            let status = record.map(|(record, _)| record.status);
            let expected = match one.end {
                End::Waits => DeliveryStatus::Pending,
                End::Withdrawn => DeliveryStatus::Withdrawn,
                // Retention may have removed it, and nothing else.
                End::Answered if status.is_none() => continue,
                End::Answered => DeliveryStatus::Answered,
            };
            prop_assert_eq!(status, Some(expected), "{:?}", one);
        }
        let stops = self.with(|store| store.change_stops()).unwrap();
        let stop = stops.iter().find(|(target, _)| *target == self.target);
        prop_assert_eq!(stop.map(|(_, stop)| stop.per), self.naive.stopped);
        Ok(())
    }

    /// What is left comes to an end, as it does in time.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        let later = self.clock.get() + LEASE.as_secs() + 100;
        self.clock.set(later);
        self.with(|store| store.submit_release_claims(&self.target, at(later)).wait())
            .unwrap();
        for one in &mut self.naive.all {
            one.claimed_until = None;
        }
        self.naive.end_released(later);
        // Those that were withdrawn just now, in the order of the store.
        self.naive.withdrawn = self
            .with(super::calls::withdrawn)
            .iter()
            .map(|call| call.id)
            .collect();
        let expired = self.with(|store| {
            let reply = store.submit_expire_calls(&self.target, at(later), at(later));
            reply.wait().unwrap()
        });
        let mut left = self.naive.all.clone();
        left.retain(|one| one.end == End::Waits);
        left.sort_by_key(|one| (one.first_due, one.id));
        for one in &left {
            self.naive.withdraw(one.id, OwnCode::Expired, later);
        }
        prop_assert_eq!(expired, left.len());
        self.process(usize::MAX, later)?;
        self.compare()?;
        prop_assert!(self.naive.all.iter().all(|one| one.end == End::Answered));
        let depths = self.with(|store| store.queue_depths(at(later))).unwrap();
        prop_assert!(depths.iter().all(|depth| depth.target != self.target));
        Ok(())
    }
}
