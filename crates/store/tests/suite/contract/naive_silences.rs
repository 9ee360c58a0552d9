//! Silences, compared with an outbox that is a list.

use std::sync::Arc;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_store::{DeliveryStatus, Store};

use super::Backend;
use super::silences::{ByRule, ended, silence};
use crate::samples::{at, attempt, evaluation, incoming_of, send};

/// One thing that happens to a store.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An event with a delivery of this rule.
    Event(u8),
    /// Claims at most so many.
    Claim(usize),
    /// The first of the claimed deliveries is delivered, or fails and is tried again later.
    Answer(Option<i64>),
    /// A silence of a rule, from so many seconds from now, for so many seconds; whether it drops.
    Add(u8, i64, i64, bool),
    /// The silence of this number, counted from the newest, is ended; whether that drops.
    End(usize, bool),
    /// Releases all that may be released.
    Release,
    /// A delivery, counted from the newest, is cancelled.
    Cancel(usize),
    Pass(i64),
    /// The process is killed; the next one releases its claims.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8).prop_map(Step::Event),
        5 => (1..6_usize).prop_map(Step::Claim),
        4 => prop::option::of(1..40_i64).prop_map(Step::Answer),
        3 => (0..3_u8, 0..20_i64, 1..60_i64, prop::bool::weighted(0.2))
            .prop_map(|(rule, wait, lasts, drops)| Step::Add(rule, wait, lasts, drops)),
        2 => (0..4_usize, any::<bool>()).prop_map(|(back, drops)| Step::End(back, drops)),
        4 => Just(Step::Release),
        1 => (0..4_usize).prop_map(Step::Cancel),
        4 => (1..40_i64).prop_map(Step::Pass),
        1 => Just(Step::Kill),
    ]
}

/// A silence in the list.
#[derive(Debug, Clone)]
struct NaiveSilence {
    id: i64,
    rule: u8,
    from: i64,
    until: i64,
    drops: bool,
    /// Whether its end drops.
    ended: Option<bool>,
}

/// A delivery in the list.
#[derive(Debug, Clone)]
struct Naive {
    id: DeliveryId,
    rule: u8,
    due: i64,
    claimed: bool,
    status: DeliveryStatus,
    /// The silence that withholds it, with when it is released at the latest.
    withheld: Option<(i64, i64)>,
}

/// Whatever happens, nothing is claimed that a silence withholds, everything else is, and each
/// delivery has the status that it has in the list.
pub(super) fn silences_are_those_of_the_naive_outbox(backend: &dyn Backend) {
    let cases = backend.cases(60);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let (start, case) = (std::cell::Cell::new(0_i64), std::cell::Cell::new(0));
    let store = std::cell::RefCell::new(Some(open(backend)));
    let property = |steps: Vec<Step>| {
        case.set(case.get() + 1);
        let mut run = SilenceRun {
            store: store.borrow_mut().take(),
            silences: Vec::new(),
            list: Vec::new(),
            claimed: Vec::new(),
            now: start.get(),
            case: case.get(),
        };
        run.clear();
        let mut result = Ok(());
        for step in steps {
            result = run.take(backend, step);
            if result.is_err() {
                break;
            }
        }
        // Past the end of every silence and claim.
        start.set(run.now + 100);
        *store.borrow_mut() = run.store;
        result
    };
    runner.run(&vec(step(), 1..60), property).unwrap();
}

fn open(backend: &dyn Backend) -> Box<dyn Store> {
    let store = backend.open();
    store.set_withholding(Arc::new(ByRule));
    store
}

/// A store and the list side by side.
struct SilenceRun {
    store: Option<Box<dyn Store>>,
    silences: Vec<NaiveSilence>,
    list: Vec<Naive>,
    claimed: Vec<Delivery>,
    now: i64,
    case: usize,
}

impl SilenceRun {
    fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    /// Ends what the case before has left.
    fn clear(&self) {
        while self.release() {}
        let now = at(self.now);
        self.store().release_claims(now).unwrap();
        self.store()
            .dead_letter_target("t", String::new(), now)
            .unwrap();
    }

    /// One step of the release. Returns whether there is more to do.
    fn release(&self) -> bool {
        let step = self.store().submit_release_withheld(at(self.now));
        step.wait().unwrap().is_more
    }

    fn take(&mut self, backend: &dyn Backend, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Event(rule) => self.accept(rule),
            Step::Claim(most) => self.claim(most)?,
            Step::Answer(retry) => self.answer(retry),
            Step::Add(rule, wait, lasts, drops) => {
                let (from, until) = (self.now + wait, self.now + wait + lasts);
                let new = silence(&format!("r{rule}"), from, until, drops);
                let added = self.store().add_silence(new, 1_000, at(self.now));
                self.silences.push(NaiveSilence {
                    id: added.unwrap().unwrap().id,
                    rule,
                    from,
                    until,
                    drops,
                    ended: None,
                });
            }
            Step::End(back, drops) => self.end(back, drops)?,
            Step::Release => {
                while self.release() {}
                self.release_naively();
            }
            Step::Cancel(back) => self.cancel(back)?,
            Step::Pass(seconds) => self.now += seconds,
            Step::Kill => {
                self.store = None;
                self.store = Some(open(backend));
                self.store().release_claims(at(self.now)).unwrap();
                for one in self.list.iter_mut().filter(|one| one.claimed) {
                    (one.claimed, one.due) = (false, self.now);
                }
                self.claimed.clear();
            }
        }
        self.compare()
    }

    fn accept(&mut self, rule: u8) {
        let event = format!("{}-{}", self.case, self.list.len());
        let evaluation = evaluation(&format!("r{rule}"), vec![send("t", 1)], vec![]);
        let accepted = self
            .store()
            .accept(incoming_of(&event, ""), evaluation, at(self.now));
        self.list.push(Naive {
            id: accepted.unwrap().deliveries[0],
            rule,
            due: self.now,
            claimed: false,
            status: DeliveryStatus::Pending,
            withheld: None,
        });
    }

    /// The silence that decides about a rule now.
    fn decides(&self, rule: u8) -> Option<&NaiveSilence> {
        let now = self.now;
        let active = self.silences.iter().filter(|one| {
            one.rule == rule && one.ended.is_none() && one.from <= now && now < one.until
        });
        active.max_by_key(|one| (one.until, -one.id))
    }

    fn claim(&mut self, most: usize) -> Result<(), TestCaseError> {
        // The soonest due first, then in the order of events.
        let mut due: Vec<usize> = (0..self.list.len())
            .filter(|index| {
                let one = &self.list[*index];
                one.status == DeliveryStatus::Pending && !one.claimed && one.due <= self.now
            })
            .collect();
        due.sort_by_key(|index| (self.list[*index].due, *index));
        let mut expected = Vec::new();
        for index in due {
            if expected.len() == most {
                break;
            }
            let decided = self.decides(self.list[index].rule).cloned();
            let one = &mut self.list[index];
            match decided {
                None => {
                    one.claimed = true;
                    expected.push(one.id);
                }
                Some(silence) if silence.drops => one.status = DeliveryStatus::Silenced,
                Some(silence) => {
                    one.status = DeliveryStatus::Withheld;
                    one.withheld = Some((silence.id, silence.until));
                }
            }
        }
        // What follows the last claimed one may be withheld already: a claim looks at as many rows
        // as it may take, again and again.
        let lease = SignedDuration::from_hours(10_000);
        let claimed = self.store().claim("t", at(self.now), lease, most).unwrap();
        let mut found: Vec<_> = claimed.iter().map(|one| one.id).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
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
        let now = self.now;
        if let Some(one) = self.list.iter_mut().find(|one| one.id == delivery.id) {
            one.claimed = false;
            match retry {
                Some(_) if one.status != DeliveryStatus::Pending => {}
                Some(seconds) => one.due = now + seconds,
                None => one.status = DeliveryStatus::Delivered,
            }
        }
        let settled = self
            .store()
            .settle(delivery, attempt("sent"), decision, at(now));
        settled.unwrap();
    }

    fn end(&mut self, back: usize, drops: bool) -> Result<(), TestCaseError> {
        let now = self.now;
        let Some(index) = self.silences.len().checked_sub(back + 1) else {
            return Ok(());
        };
        let one = self.silences[index].clone();
        let is_open = one.ended.is_none() && now < one.until;
        let found = self.store().end_silence(one.id, ended(now, drops)).unwrap();
        prop_assert_eq!(found.is_some(), is_open);
        if is_open {
            self.silences[index].ended = Some(drops);
        }
        Ok(())
    }

    fn release_naively(&mut self) {
        let now = self.now;
        for one in &mut self.list {
            let Some((silence, until)) = one.withheld else {
                continue;
            };
            let silence = self.silences.iter().find(|found| found.id == silence);
            let end = silence.and_then(|silence| silence.ended);
            if end.is_none() && until > now {
                continue;
            }
            one.withheld = None;
            if end == Some(true) {
                one.status = DeliveryStatus::Silenced;
            } else {
                (one.status, one.due) = (DeliveryStatus::Pending, now);
            }
        }
    }

    fn cancel(&mut self, back: usize) -> Result<(), TestCaseError> {
        let Some(index) = self.list.len().checked_sub(back + 1) else {
            return Ok(());
        };
        let one = &mut self.list[index];
        let open = [DeliveryStatus::Pending, DeliveryStatus::Withheld];
        let is_open = open.contains(&one.status);
        if is_open {
            (one.status, one.withheld) = (DeliveryStatus::Cancelled, None);
        }
        let id = one.id;
        prop_assert_eq!(self.store().cancel(id, at(self.now)), Ok(is_open));
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        for one in &self.list {
            let (record, _) = self.store().delivery(one.id).unwrap().unwrap();
            prop_assert_eq!(record.status, one.status, "{:?}", one);
        }
        for silence in &self.silences {
            let found = self.store().silence(silence.id).unwrap().unwrap();
            let open = self.list.iter();
            let open = open.filter(|one| one.withheld.is_some_and(|(id, _)| id == silence.id));
            prop_assert_eq!(found.open, open.count() as u64, "{:?}", silence);
        }
        Ok(())
    }
}
