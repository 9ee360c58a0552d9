//! Incidents: they open, count, are acknowledged and end with the matches of their rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc::{
    Evaluation, FiringReason, MatchFiring, MemoryState, NativeEvent, RuleEffects, RuleSet,
};
use reflexarc_delivery::Phase;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, KeptMatch, Message, StateChange};
use reflexarc_store::{
    Acknowledgement, ClosedBy, DeliveryStatus, Incident, IncidentEnd, IncidentFilter, Retention,
    Store,
};

use super::Backend;
use crate::samples::{at, incoming};

const RULE: &str = "stuck";
const TARGETS: [&str; 3] = ["mail", "chat", "pager"];

/// One thing that happens to a store.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A match fires and tells these targets, the last of them later.
    Fire {
        key: usize,
        informed: usize,
        later: bool,
    },
    /// It is resolved, with a message to these targets, or by a script.
    Resolve {
        key: usize,
        named: usize,
        message: bool,
    },
    /// A match waits that has not fired, or fires no more.
    Wait(usize),
    /// A match is removed without being resolved.
    Forget(usize),
    /// The rule's window has changed.
    CloseWindow,
    Acknowledge(usize),
    Close(usize),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..3_usize;
    prop_oneof![
        6 => (key(), 0..4_usize, any::<bool>())
            .prop_map(|(key, informed, later)| Step::Fire { key, informed, later }),
        4 => (key(), 1..4_usize, any::<bool>())
            .prop_map(|(key, named, message)| Step::Resolve { key, named, message }),
        1 => key().prop_map(Step::Wait),
        1 => key().prop_map(Step::Forget),
        1 => Just(Step::CloseWindow),
        3 => (0..5_usize).prop_map(Step::Acknowledge),
        1 => (0..5_usize).prop_map(Step::Close),
        1 => Just(Step::Kill),
    ]
}

/// An incident of the naive store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NaiveIncident {
    id: i64,
    key: usize,
    count: u64,
    acknowledged: Option<i64>,
    ended: Option<(i64, IncidentEnd)>,
    /// For each delivery of a firing, its target and whether it is cancelled or delayed.
    fired: Vec<(&'static str, Fate)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waits,
    Delayed,
    Cancelled,
}

pub(super) fn incidents_are_those_of_the_naive_store(backend: &dyn Backend) {
    let cases = backend.cases(60);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let (waiting, fired) = samples_of_matches();
    let store = std::cell::RefCell::new(Some(backend.open()));
    let now = std::cell::Cell::new(0);
    let property = |steps: Vec<Step>| {
        let mut run = Run {
            backend,
            store: store.borrow_mut().take(),
            now: now.get() + 1,
            waiting: waiting.clone(),
            fired: fired.clone(),
            list: Vec::new(),
        };
        run.close_window();
        run.list.clear();
        let first = run.newest().map_or(0, |newest| newest.id);
        let result = steps.into_iter().try_for_each(|step| {
            run.now += 1;
            run.take(step)?;
            run.compare(first)
        });
        now.set(run.now);
        *store.borrow_mut() = run.store.take();
        result
    };
    TestRunner::new(config)
        .run(&vec(step(), 1..25), property)
        .unwrap();
}

/// A match that waits, and one that has fired and waits to be resolved.
fn samples_of_matches() -> (KeptMatch, KeptMatch) {
    let text = "when = 'op == \"open\"'\nby = \"eni\"\nthen = ''\nresolved = ''\n\
                not_followed_by = { when = 'op == \"close\"', within = \"1m\" }";
    let rules = RuleSet::compile([("stuck.toml", text)]).unwrap();
    let event = NativeEvent::from_json(r#"{"op": "open", "eni": "0"}"#).unwrap();
    let mut state = MemoryState::new();
    let mut found = Vec::new();
    rules.evaluate_in_time(&event, &mut state, at(0), &mut |_| ());
    found.extend(state.matches_of(RULE, at(0)).map(|(_, kept)| kept.clone()));
    let other = NativeEvent::from_json(r#"{"op": "else"}"#).unwrap();
    let mut firings = 0;
    rules.evaluate_in_time(&other, &mut state, at(600), &mut |_| firings += 1);
    assert_eq!(firings, 1);
    found.extend(
        state
            .matches_of(RULE, at(600))
            .map(|(_, kept)| kept.clone()),
    );
    for kept in &mut found {
        // The events are not stored here, and nothing is due or expires.
        (kept.positions, kept.due, kept.expires) = (Vec::new(), None, None);
    }
    let [waiting, fired] = <[KeptMatch; 2]>::try_from(found).unwrap();
    (waiting, fired)
}

struct Run<'b> {
    backend: &'b dyn Backend,
    store: Option<Box<dyn Store>>,
    now: i64,
    waiting: KeptMatch,
    fired: KeptMatch,
    list: Vec<NaiveIncident>,
}

impl Run<'_> {
    fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    fn newest(&self) -> Option<Incident> {
        let all = self.store().incidents(&IncidentFilter::default(), None, 1);
        all.unwrap().pop()
    }

    fn open(&mut self, key: usize) -> Option<&mut NaiveIncident> {
        let mut open = self.list.iter_mut();
        open.find(|one| one.key == key && one.ended.is_none())
    }

    fn end(&mut self, key: usize, how: IncidentEnd) {
        let now = self.now;
        if let Some(open) = self.open(key) {
            open.ended = Some((now, how));
        }
    }

    /// Stores an evaluation of the rule. Returns the deliveries that are not cancelled, by target.
    fn accept(
        &self,
        (key, firing): (usize, Option<MatchFiring>),
        kept: Option<&KeptMatch>,
        actions: Vec<Action>,
    ) -> BTreeSet<String> {
        let key = Json::from(key.to_string()).to_string();
        let mut effects = RuleEffects::new(RULE);
        effects.firing = firing;
        effects.actions = actions;
        effects.changes = vec![match kept {
            Some(kept) => StateChange::SetMatch {
                key,
                kept: kept.clone(),
                event: None,
            },
            None => StateChange::RemoveMatch { key },
        }];
        let mut evaluation = Evaluation::default();
        evaluation.rules.push(effects);
        let event = incoming(&self.now.to_string());
        let accepted = self
            .store()
            .accept(event, evaluation, at(self.now))
            .unwrap();
        let record = |id| self.store().delivery(id).unwrap().unwrap().0;
        let records = accepted.deliveries.into_iter().map(record);
        let records = records.filter(|one| one.status == DeliveryStatus::Pending);
        records.map(|one| one.delivery.target).collect()
    }

    fn close_window(&mut self) {
        let now = at(self.now);
        let work: reflexarc_store::TimeWork = Box::new(move |transaction| {
            transaction.close_matches(&|_, _| false, now)?;
            Ok(None)
        });
        self.store().submit_time(work).wait().unwrap();
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Fire {
                key,
                informed,
                later,
            } => self.fire(key, informed, later),
            Step::Resolve {
                key,
                named,
                message,
            } => self.resolve(key, named, message)?,
            Step::Wait(key) => {
                let waiting = self.waiting.clone();
                self.accept((key, None), Some(&waiting), Vec::new());
                self.end(key, IncidentEnd::Forgotten);
            }
            Step::Forget(key) => {
                self.accept((key, None), None, Vec::new());
                self.end(key, IncidentEnd::Forgotten);
            }
            Step::CloseWindow => {
                self.close_window();
                for key in 0..3 {
                    self.end(key, IncidentEnd::RuleChanged);
                }
            }
            Step::Acknowledge(number) => self.acknowledge(number)?,
            Step::Close(number) => {
                let Some(one) = self.list.get(number).cloned() else {
                    return Ok(());
                };
                let closed = ClosedBy {
                    by: "ann".into(),
                    reason: None,
                };
                let was_open = self.store().close_incident(one.id, &closed, at(self.now));
                prop_assert_eq!(was_open.unwrap(), one.ended.is_none());
                if one.ended.is_none() {
                    self.end(one.key, IncidentEnd::Closed);
                }
            }
            Step::Kill => {
                self.store = None;
                self.store = Some(self.backend.open());
            }
        }
        Ok(())
    }

    fn fire(&mut self, key: usize, informed: usize, later: bool) {
        let fired = self.fired.clone();
        let action = |number: usize| {
            let action = Action::notify(TARGETS[number], Message::new("stuck"));
            if later && number + 1 == informed {
                action.with_after(jiff::SignedDuration::from_hours(9_000))
            } else {
                action
            }
        };
        let firing = MatchFiring::new(FiringReason::Fired, Json::from(key.to_string()), at(0));
        let actions = (0..informed).map(action).collect();
        self.accept((key, Some(firing)), Some(&fired), actions);
        if self.open(key).is_none() {
            let id = self.newest().unwrap().id;
            self.list.push(NaiveIncident {
                id,
                key,
                count: 0,
                acknowledged: None,
                ended: None,
                fired: Vec::new(),
            });
        }
        let open = self.open(key).unwrap();
        open.count += 1;
        open.fired.extend((0..informed).map(|number| {
            let is_delayed = later && number + 1 == informed;
            let fate = if is_delayed {
                Fate::Delayed
            } else {
                Fate::Waits
            };
            (TARGETS[number], fate)
        }));
    }

    /// What resolves a match goes where its firing went.
    fn resolve(&mut self, key: usize, named: usize, message: bool) -> Result<(), TestCaseError> {
        let actions: Vec<_> = (0..named)
            .map(|number| Action::notify(TARGETS[number], Message::new("over")))
            .collect();
        let named: BTreeSet<String> = TARGETS[..named].iter().map(ToString::to_string).collect();
        let opening = self.open(key).map(|open| {
            let informed = open
                .fired
                .iter()
                .filter(|(_, fate)| *fate != Fate::Cancelled);
            informed
                .map(|(target, _)| (*target).to_owned())
                .collect::<BTreeSet<_>>()
        });
        let expected = opening.filter(|_| message).unwrap_or(named);
        let reason = FiringReason::Resolved;
        let mut firing = MatchFiring::new(reason, Json::from(key.to_string()), at(0));
        firing.to_opening = message;
        let sent = self.accept((key, Some(firing)), None, actions);
        prop_assert_eq!(sent, expected);
        self.end(key, IncidentEnd::Resolved);
        Ok(())
    }

    fn acknowledge(&mut self, number: usize) -> Result<(), TestCaseError> {
        let (now, Some(one)) = (self.now, self.list.get(number).cloned()) else {
            return Ok(());
        };
        let acknowledgement = Acknowledgement {
            by: "ann".into(),
            note: Some("on it".into()),
            informed: vec!["pager".into()],
        };
        let done = self
            .store()
            .acknowledge_incident(one.id, &acknowledgement, at(now));
        let done = done.unwrap().unwrap();
        let is_new = one.ended.is_none() && one.acknowledged.is_none();
        prop_assert_eq!(done.is_new, is_new);
        if !is_new {
            return Ok(());
        }
        let delayed = one.fired.iter().filter(|(_, fate)| *fate == Fate::Delayed);
        prop_assert_eq!(done.cancelled, delayed.count() as u64);
        let is_informed = one.fired.contains(&("pager", Fate::Waits));
        prop_assert_eq!(done.deliveries.len(), usize::from(is_informed));
        for id in done.deliveries {
            let (record, _) = self.store().delivery(id).unwrap().unwrap();
            prop_assert_eq!(record.delivery.phase, Phase::Acknowledged);
            prop_assert_eq!(record.incident, Some(one.id));
        }
        let known = &mut self.list[number];
        known.acknowledged = Some(now);
        for (_, fate) in &mut known.fired {
            if *fate == Fate::Delayed {
                *fate = Fate::Cancelled;
            }
        }
        Ok(())
    }

    fn compare(&self, first: i64) -> Result<(), TestCaseError> {
        let filter = IncidentFilter::default();
        let found = self.store().incidents(&filter, None, 1_000).unwrap();
        let found = found.into_iter().filter(|one| one.id > first);
        let found: BTreeMap<i64, _> = found.map(|one| (one.id, shown(&one))).collect();
        let expected = self.list.iter().map(|one| {
            let ended = one.ended.map(|(when, how)| (at(when), how));
            let key = Json::from(one.key.to_string()).to_string();
            let acknowledged = one.acknowledged.map(at);
            (one.id, (key, one.count, acknowledged, ended))
        });
        prop_assert_eq!(found, expected.collect::<BTreeMap<_, _>>());
        let open = self.list.iter().filter(|one| one.ended.is_none()).count() as u64;
        let counts = self.store().incident_counts().unwrap();
        let expected = (open > 0).then(|| (RULE.to_owned(), open));
        prop_assert_eq!(counts, expected.into_iter().collect::<Vec<_>>());
        Ok(())
    }
}

type Shown = (
    String,
    u64,
    Option<jiff::Timestamp>,
    Option<(jiff::Timestamp, IncidentEnd)>,
);

fn shown(incident: &Incident) -> Shown {
    let ended = incident.ended.zip(incident.how);
    let acknowledged = incident.acknowledged;
    (incident.key.clone(), incident.count, acknowledged, ended)
}

pub(super) fn ended_incidents_are_removed_with_the_archive(backend: &dyn Backend) {
    let (_, fired) = samples_of_matches();
    let mut run = Run {
        backend,
        store: Some(backend.open()),
        now: 0,
        waiting: fired.clone(),
        fired,
        list: Vec::new(),
    };
    run.fire(0, 1, false);
    run.now += 1;
    run.fire(1, 1, false);
    run.now += 1;
    run.accept((0, None), None, Vec::new());
    let store = run.store();
    let filter = IncidentFilter {
        rule: Some(RULE.to_owned()),
        open: false,
    };
    let count = |open| {
        let filter = IncidentFilter {
            open,
            ..filter.clone()
        };
        store.incidents(&filter, None, 10).unwrap().len()
    };
    assert_eq!((count(false), count(true)), (2, 1));
    let retention = Retention {
        age: jiff::SignedDuration::from_secs(60),
        ..Retention::default()
    };
    store.prune(&retention, at(61)).unwrap();
    assert_eq!((count(false), count(true)), (2, 1));
    store.prune(&retention, at(62)).unwrap();
    // The open one stays, however old it is.
    assert_eq!((count(false), count(true)), (1, 1));
}
