//! Promises about deliveries by filters, compared with lists in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_delivery::{Decision, DeliveryId};
use reflexarc_store::{
    BulkChange, DeliveryFilter, DeliveryRecord, DeliveryStatus, PageCursor, PageLimits, Store,
};

use super::Backend;
use crate::samples::{LEASE, at, attempt, call, dead_letter, evaluation, incoming_of, send};

/// Reasons, with letters that mean something in patterns of SQL.
const REASONS: [&str; 4] = ["HTTP 503", "timed out (100%)", r"a_b\c", "Überlast"];
/// What is looked for in them.
const WITHIN: [&str; 8] = ["", "503", "http 5", "%", "_", r"\", "berlast", "none"];

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Pending,
    Call,
    Delivered,
    Cancelled,
    Dead(usize),
    Dropped(usize),
}

#[derive(Debug, Clone)]
struct Sample {
    event: usize,
    target: usize,
    rule: usize,
    fate: Fate,
    /// When it left the outbox.
    second: i64,
}

fn sample() -> impl Strategy<Value = Sample> {
    let fate = prop_oneof![
        2 => Just(Fate::Pending),
        1 => Just(Fate::Call),
        1 => Just(Fate::Delivered),
        1 => Just(Fate::Cancelled),
        5 => (0..REASONS.len()).prop_map(Fate::Dead),
        1 => (0..REASONS.len()).prop_map(Fate::Dropped),
    ];
    (0..8_usize, 0..3_usize, 0..3_usize, fate, 0..5_i64).prop_map(
        |(event, target, rule, fate, second)| Sample {
            event,
            target,
            rule,
            fate,
            second,
        },
    )
}

fn filter() -> impl Strategy<Value = DeliveryFilter> {
    let status = select(vec![
        DeliveryStatus::Dead,
        DeliveryStatus::Dead,
        DeliveryStatus::Pending,
        DeliveryStatus::Delivered,
        DeliveryStatus::Cancelled,
        DeliveryStatus::Dropped,
    ]);
    let name = |letter: &'static str| {
        let number = prop::option::weighted(0.3, 0..4_usize);
        number.prop_map(move |number| number.map(|number| format!("{letter}{number}")))
    };
    let time = || prop::option::weighted(0.2, 195..206_i64);
    let reason = prop::option::weighted(0.3, select(WITHIN.to_vec()));
    let names = (name("t"), name("r"), name("e"));
    (status, names, reason, time(), time()).prop_map(
        |(status, (target, rule, event), reason, until, since)| DeliveryFilter {
            status,
            target,
            rule,
            event,
            reason: reason.map(str::to_owned),
            finished_until: until.map(at),
            since: since.map(at),
        },
    )
}

/// How many random cases are tried.
pub(super) fn cases(backend: &dyn Backend) -> TestRunner {
    let cases = backend.cases(200);
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Random samples.
fn samples(backend: &dyn Backend, count: usize) -> Vec<Sample> {
    let tree = vec(sample(), count).new_tree(&mut cases(backend));
    tree.unwrap().current()
}

/// Stores the samples. Returns the ids of their deliveries.
fn fill(store: &dyn Store, samples: &[Sample]) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        let target = format!("t{}", sample.target);
        let action = match sample.fate {
            Fate::Call => call(&target, "Describe"),
            _ => send(&target, i64::try_from(number).unwrap()),
        };
        let rule = format!("r{}", sample.rule);
        let evaluated = evaluation(&rule, vec![action], vec![]);
        // Events of one id that came days apart, and of no resource: without an order.
        let event = incoming_of(&format!("e{}", sample.event), "");
        let second = 100_000 * (i64::try_from(number).unwrap() - 100);
        let accepted = store.accept(event, evaluated, at(second)).unwrap();
        ids.extend(accepted.deliveries);
    }
    assert_eq!(ids.len(), samples.len());
    let claimed = (0..3).flat_map(|target| {
        let claimed = store.claim(&format!("t{target}"), at(100), LEASE, 1_000);
        claimed.unwrap()
    });
    let mut claimed: BTreeMap<_, _> = claimed.map(|one| (one.id, one)).collect();
    for (sample, id) in samples.iter().zip(&ids) {
        let (delivery, now) = (claimed.remove(id).unwrap(), at(200 + sample.second));
        let settle = |decision| store.settle(delivery, attempt("failed"), decision, now);
        match sample.fate {
            Fate::Pending | Fate::Call => {
                assert_eq!(store.submit_release(vec![*id], now).wait(), Ok(1));
            }
            Fate::Delivered => settle(Decision::Delivered).unwrap(),
            Fate::Cancelled => assert!(store.cancel(*id, now).unwrap()),
            Fate::Dead(reason) => settle(dead_letter(REASONS[reason])).unwrap(),
            Fate::Dropped(reason) => {
                settle(dead_letter(REASONS[reason])).unwrap();
                assert!(store.drop_dead_letter(*id, now).unwrap());
            }
        }
    }
    ids
}

fn record(store: &dyn Store, id: DeliveryId) -> DeliveryRecord {
    store.delivery(id).unwrap().unwrap().0
}

/// Every page, in either direction and of every size, and every count is that of a list in memory.
pub(super) fn lists_by_filters_are_those_of_the_naive_list(backend: &dyn Backend) {
    let store = backend.open();
    let ids = fill(&*store, &samples(backend, 150));
    let records: Vec<_> = ids.iter().map(|id| record(&*store, *id)).collect();
    let run = |(filter, rows, newest_first): (DeliveryFilter, usize, bool)| {
        let mut wanted = records.clone();
        wanted.retain(|record| filter.selects(record));
        let is_waiting = filter.status == DeliveryStatus::Pending;
        wanted.sort_by_key(|record| {
            let time = if is_waiting {
                Some(record.due)
            } else {
                record.finished
            };
            (time, record.seq, record.delivery.id)
        });
        if newest_first {
            wanted.reverse();
        }
        let limits = PageLimits {
            rows,
            bytes: usize::MAX,
        };
        let (mut found, mut after): (Vec<_>, Option<PageCursor>) = (Vec::new(), None);
        loop {
            let page = store.filtered_page(&filter, newest_first, after, limits);
            let page = page.unwrap();
            prop_assert!(page.damaged.is_empty() && page.deliveries.len() <= rows);
            found.extend(page.deliveries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let count = wanted.len() as u64;
        prop_assert_eq!(found, wanted, "{:?}", filter);
        for at_most in [0, 3, u64::MAX] {
            let counted = store.count_deliveries(&filter, at_most).unwrap();
            prop_assert_eq!(counted, count.min(at_most), "{:?}", filter);
        }
        Ok(())
    };
    let inputs = (filter(), 1..20_usize, any::<bool>());
    cases(backend).run(&inputs, run).unwrap();
}

/// A change in steps changes what the filter selected when it began, each as if it was changed
/// alone, and nothing else.
pub(super) fn changes_of_many_are_those_of_each(backend: &dyn Backend) {
    let store = backend.open();
    let ids = fill(&*store, &samples(backend, 120));
    let change = select(vec![
        BulkChange::Redrive,
        BulkChange::Drop,
        BulkChange::Cancel,
    ]);
    let run = |(change, filter, size): (BulkChange, DeliveryFilter, usize)| {
        let before: Vec<_> = ids.iter().map(|id| record(&*store, *id)).collect();
        let (mut changed, mut unchanged, mut after) = (0, 0, None);
        loop {
            let step = store.submit_matching(change, &filter, after, size, at(210));
            let step = step.wait().unwrap();
            prop_assert!(step.changed + step.unchanged <= size as u64);
            changed += step.changed;
            unchanged += step.unchanged;
            after = step.next;
            if after.is_none() {
                break;
            }
        }
        let mut expected = 0;
        for record_before in before {
            let id = record_before.delivery.id;
            let is_call = record_before.delivery.action.is_call();
            let becomes = match (change, record_before.status) {
                _ if !filter.selects(&record_before) => None,
                (BulkChange::Redrive, DeliveryStatus::Dead) => Some(DeliveryStatus::Pending),
                (BulkChange::Drop, DeliveryStatus::Dead) => Some(DeliveryStatus::Dropped),
                (BulkChange::Cancel, DeliveryStatus::Pending) if is_call => {
                    Some(DeliveryStatus::Withdrawn)
                }
                (BulkChange::Cancel, DeliveryStatus::Pending) => Some(DeliveryStatus::Cancelled),
                _ => None,
            };
            let now = record(&*store, id);
            if let Some(status) = becomes {
                expected += 1;
                prop_assert_eq!(now.status, status, "{:?} {:?}", change, filter);
            } else {
                prop_assert_eq!(now, record_before, "{:?} {:?}", change, filter);
            }
        }
        prop_assert_eq!(
            (changed, unchanged),
            (expected, 0),
            "{:?} {:?}",
            change,
            filter
        );
        Ok(())
    };
    // Narrow filters first of all: those without a condition leave nothing to change.
    let narrow = filter().prop_map(|mut filter| {
        filter.event.get_or_insert_with(|| "e1".to_owned());
        filter
    });
    let narrow = (change.clone(), narrow, 1..9_usize);
    cases(backend).run(&narrow, run).unwrap();
    cases(backend)
        .run(&(change, filter(), 1..9_usize), run)
        .unwrap();
}

/// A change of selected deliveries changes each as if it was changed alone, and counts them all.
pub(super) fn changes_of_selected_are_those_of_each(backend: &dyn Backend) {
    let store = backend.open();
    let ids = fill(&*store, &samples(backend, 120));
    let change = select(vec![
        BulkChange::Redrive,
        BulkChange::Drop,
        BulkChange::Cancel,
    ]);
    let unknown = DeliveryId::from([0xab; 16]);
    let run = |(change, chosen): (BulkChange, BTreeSet<usize>)| {
        let chosen: Vec<_> = chosen.iter().map(|index| ids[*index]).collect();
        let before: Vec<_> = ids.iter().map(|id| record(&*store, *id)).collect();
        let selected = [&chosen[..], &[unknown]].concat();
        let done = store.change_selected(change, &selected, at(210)).unwrap();
        let mut expected = 0;
        for record_before in before {
            let id = record_before.delivery.id;
            let is_call = record_before.delivery.action.is_call();
            let becomes = match (change, record_before.status) {
                _ if !chosen.contains(&id) => None,
                (BulkChange::Redrive, DeliveryStatus::Dead) => Some(DeliveryStatus::Pending),
                (BulkChange::Drop, DeliveryStatus::Dead) => Some(DeliveryStatus::Dropped),
                (BulkChange::Cancel, DeliveryStatus::Pending) if is_call => {
                    Some(DeliveryStatus::Withdrawn)
                }
                (BulkChange::Cancel, DeliveryStatus::Pending) => Some(DeliveryStatus::Cancelled),
                _ => None,
            };
            let now = record(&*store, id);
            if let Some(status) = becomes {
                expected += 1;
                prop_assert_eq!(now.status, status, "{:?}", change);
            } else {
                prop_assert_eq!(now, record_before, "{:?}", change);
            }
        }
        let unchanged = chosen.len() as u64 - expected;
        prop_assert_eq!(
            (done.changed, done.unchanged, done.missing),
            (expected, unchanged, 1)
        );
        Ok(())
    };
    let chosen = prop::collection::btree_set(0..ids.len(), 0..9);
    cases(backend).run(&(change, chosen), run).unwrap();
    // More than one transaction.
    let many = vec![unknown; 2_500];
    let done = store.change_selected(BulkChange::Drop, &many, at(211));
    assert_eq!(done.unwrap().missing, 2_500);
}

/// A call that is being sent keeps its place, and is not found again by the next step.
pub(super) fn a_change_of_many_ends_although_some_stay(backend: &dyn Backend) {
    let store = backend.open();
    for number in 0..5 {
        let evaluated = evaluation("r", vec![call("t", "Describe")], vec![]);
        let event = incoming_of(&number.to_string(), "");
        store.accept(event, evaluated, at(0)).unwrap();
    }
    let claimed = store.claim("t", at(1), LEASE, 3).unwrap();
    assert_eq!(claimed.len(), 3);
    let filter = DeliveryFilter::of(DeliveryStatus::Pending);
    let cancel_all = || {
        let (mut steps, mut after) = (Vec::new(), None);
        loop {
            let step = store.submit_matching(BulkChange::Cancel, &filter, after, 2, at(2));
            let step = step.wait().unwrap();
            steps.push((step.changed, step.unchanged));
            after = step.next;
            if after.is_none() {
                return steps;
            }
        }
    };
    assert_eq!(cancel_all(), [(2, 0), (2, 0), (1, 0)]);
    // Those that are being sent are pending, and will not be sent again.
    assert_eq!(store.count_deliveries(&filter, 9), Ok(3));
    assert_eq!(cancel_all(), [(0, 2), (0, 1)]);
    let redrive = store.submit_matching(BulkChange::Redrive, &filter, None, 9, at(2));
    assert_eq!(redrive.wait().unwrap().changed, 0, "none is dead");
    let dropped = store.submit_matching(BulkChange::Drop, &filter, None, 9, at(2));
    assert_eq!(dropped.wait().unwrap().changed, 0, "none is dead");
}

/// What fails again while it is redriven comes later, and is not redriven twice.
pub(super) fn what_fails_again_is_not_redriven_twice(backend: &dyn Backend) {
    let store = backend.open();
    for number in 0..4 {
        let evaluated = evaluation("r", vec![send("t", 1)], vec![]);
        let event = incoming_of(&number.to_string(), "");
        store.accept(event, evaluated, at(0)).unwrap();
    }
    let fail_all = |second| {
        for delivery in store.claim("t", at(second), LEASE, 9).unwrap() {
            let decision = dead_letter("no");
            store
                .settle(delivery, attempt("refused"), decision, at(second))
                .unwrap();
        }
    };
    fail_all(1);
    let filter = DeliveryFilter {
        finished_until: Some(at(10)),
        ..DeliveryFilter::of(DeliveryStatus::Dead)
    };
    let (mut changed, mut after) = (0, None);
    loop {
        let change = BulkChange::Redrive;
        let step = store.change_matching(change, &filter, after, 1, at(11));
        let step = step.unwrap();
        changed += step.changed;
        fail_all(12);
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(changed, 4);
    assert_eq!(store.count_deliveries(&filter, 9), Ok(0));
    let all = DeliveryFilter::of(DeliveryStatus::Dead);
    assert_eq!(store.count_deliveries(&all, 9), Ok(4));
}
