//! Delays, cancellations and replacements, compared with an outbox that is a list.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc::Evaluation;
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_event::Json;
use reflexarc_store::{DeliveryStatus, Store};

use super::Backend;
use crate::samples::{at, attempt, evaluation, incoming_of, send};

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    /// An event: for each run of a rule, its rule, its key, what it cancels, and its actions.
    Event(Vec<Run>),
    /// Claims what is due.
    Claim,
    /// The first of the claimed deliveries is delivered, or fails and is tried again later.
    Answer(Option<i64>),
    Pass(i64),
    /// The process is killed; the next one releases its claims.
    Kill,
}

#[derive(Debug, Clone)]
struct Run {
    rule: u8,
    key: Option<u8>,
    cancelled: Vec<u8>,
    actions: Vec<(Option<i64>, Option<u8>)>,
}

fn step() -> impl Strategy<Value = Step> {
    let action = (
        prop::option::weighted(0.7, 1..60_i64),
        prop::option::weighted(0.7, 0..2_u8),
    );
    let run = (
        0..2_u8,
        prop::option::of(0..2_u8),
        vec(0..2_u8, 0..2),
        vec(action, 0..3),
    );
    let run = run.prop_map(|(rule, key, cancelled, actions)| Run {
        rule,
        key,
        cancelled,
        actions,
    });
    prop_oneof![
        6 => vec(run, 1..3).prop_map(Step::Event),
        4 => Just(Step::Claim),
        4 => prop::option::of(1..40_i64).prop_map(Step::Answer),
        4 => (1..40_i64).prop_map(Step::Pass),
        1 => Just(Step::Kill),
    ]
}

/// A delivery in the list.
#[derive(Debug, Clone)]
struct Naive {
    id: DeliveryId,
    rule: u8,
    key: Option<u8>,
    name: Option<u8>,
    due: i64,
    claimed: bool,
    status: DeliveryStatus,
}

/// Whatever happens, the store has the deliveries of the list, each with its status, and sends each
/// when it is due.
pub(super) fn delays_are_those_of_the_naive_outbox(backend: &dyn Backend) {
    let cases = backend.cases(60);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let (start, case) = (std::cell::Cell::new(0_i64), std::cell::Cell::new(0));
    let store = std::cell::RefCell::new(Some(backend.open()));
    let property = |steps: Vec<Step>| {
        case.set(case.get() + 1);
        let now = start.get();
        store
            .borrow()
            .as_deref()
            .unwrap()
            .dead_letter_target("t", String::new(), at(now))
            .unwrap();
        let mut run = DelayRun {
            store: store.borrow_mut().take(),
            list: Vec::new(),
            claimed: Vec::new(),
            now,
            case: case.get(),
            events: 0,
        };
        let mut result = Ok(());
        for step in steps {
            result = run.take(backend, step);
            if result.is_err() {
                break;
            }
        }
        start.set(run.now + 1);
        *store.borrow_mut() = run.store;
        result
    };
    runner.run(&vec(step(), 1..60), property).unwrap();
}

/// A store and the list side by side.
struct DelayRun {
    store: Option<Box<dyn Store>>,
    list: Vec<Naive>,
    claimed: Vec<Delivery>,
    now: i64,
    case: usize,
    events: usize,
}

impl DelayRun {
    fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    fn take(&mut self, backend: &dyn Backend, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Event(runs) => self.accept(&runs)?,
            Step::Claim => self.claim()?,
            Step::Answer(retry) => self.answer(retry),
            Step::Pass(seconds) => self.now += seconds,
            Step::Kill => {
                self.store = None;
                self.store = Some(backend.open());
                let claimed = self
                    .list
                    .iter()
                    .filter(|one| one.claimed && is_pending(one));
                let count = claimed.count();
                let released = self.store().release_claims(at(self.now));
                prop_assert_eq!(released, Ok(count));
                for one in self.list.iter_mut().filter(|one| one.claimed) {
                    (one.claimed, one.due) = (false, self.now);
                }
                self.claimed.clear();
            }
        }
        self.compare()
    }

    fn accept(&mut self, runs: &[Run]) -> Result<(), TestCaseError> {
        let mut all = Evaluation::default();
        for run in runs {
            let actions = run.actions.iter().map(|(after, name)| {
                let mut action = send("t", 1);
                if let Some(after) = after {
                    action = action.with_after(SignedDuration::from_secs(*after));
                }
                match name {
                    Some(name) => action.with_key(name.to_string()),
                    None => action,
                }
            });
            let mut one = evaluation(&format!("r{}", run.rule), actions.collect(), vec![]);
            one.rules[0].key = run.key.map(|key| Json::from(i64::from(key)));
            one.rules[0].cancelled = run.cancelled.iter().map(u8::to_string).collect();
            all.rules.append(&mut one.rules);
        }
        self.events += 1;
        // Without a resource, so that nothing waits in an order but what has a key.
        let event = format!("{}-{}", self.case, self.events);
        let accepted = self
            .store()
            .accept(incoming_of(&event, ""), all, at(self.now));
        let mut ids = accepted.unwrap().deliveries.into_iter();
        for run in runs {
            for name in &run.cancelled {
                self.cancel(run, *name);
            }
            for (after, name) in &run.actions {
                if let Some(name) = name {
                    self.cancel(run, *name);
                }
                let id = ids.next();
                prop_assert!(id.is_some());
                self.list.extend(id.map(|id| Naive {
                    id,
                    rule: run.rule,
                    key: run.key,
                    name: *name,
                    due: self.now + after.unwrap_or(0),
                    claimed: false,
                    status: DeliveryStatus::Pending,
                }));
            }
        }
        prop_assert_eq!(ids.next(), None);
        Ok(())
    }

    fn cancel(&mut self, run: &Run, name: u8) {
        let is_named = |one: &&mut Naive| {
            is_pending(one) && (one.rule, one.key, one.name) == (run.rule, run.key, Some(name))
        };
        for one in self.list.iter_mut().filter(is_named) {
            one.status = DeliveryStatus::Cancelled;
        }
    }

    fn claim(&mut self) -> Result<(), TestCaseError> {
        let lease = SignedDuration::from_hours(10_000);
        let claimed = self.store().claim("t", at(self.now), lease, 1_000).unwrap();
        for delivery in &claimed {
            let one = self.list.iter_mut().find(|one| one.id == delivery.id);
            let Some(one) = one else {
                return Err(TestCaseError::fail("an unknown delivery"));
            };
            prop_assert!(
                is_pending(one) && !one.claimed && one.due <= self.now,
                "{:?}",
                one
            );
            one.claimed = true;
        }
        // Those with a delay wait for no other.
        let missing = self.list.iter().find(|one| {
            is_pending(one) && !one.claimed && one.key.is_none() && one.due <= self.now
        });
        prop_assert!(missing.is_none(), "{:?}", missing);
        self.claimed.extend(claimed);
        Ok(())
    }

    fn answer(&mut self, retry: Option<i64>) {
        if self.claimed.is_empty() {
            return;
        }
        let delivery = self.claimed.remove(0);
        let decision = match retry {
            Some(seconds) => Decision::RetryAt(at(self.now + seconds)),
            None => Decision::Delivered,
        };
        let one = self.list.iter_mut().find(|one| one.id == delivery.id);
        if let Some(one) = one {
            match retry {
                Some(seconds) => (one.claimed, one.due) = (false, self.now + seconds),
                None => one.status = DeliveryStatus::Delivered,
            }
        }
        let settled = self
            .store()
            .settle(delivery, attempt("sent"), decision, at(self.now));
        settled.unwrap();
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let mut expected: BTreeMap<&'static str, Vec<DeliveryId>> = BTreeMap::new();
        for one in &self.list {
            expected
                .entry(one.status.as_str())
                .or_default()
                .push(one.id);
        }
        for (status, ids) in expected {
            for id in ids {
                let (record, _) = self.store().delivery(id).unwrap().unwrap();
                prop_assert_eq!(record.status.as_str(), status, "{}", id);
            }
        }
        let delayed = self.list.iter().filter(|one| is_pending(one));
        let depths = self.store().queue_depths(at(self.now)).unwrap();
        let depth = depths.iter().find(|depth| depth.target == "t");
        let found = depth.map_or(0, |depth| depth.waiting + depth.delayed);
        prop_assert_eq!(found, delayed.count() as u64);
        Ok(())
    }
}

fn is_pending(one: &Naive) -> bool {
    one.status == DeliveryStatus::Pending
}
