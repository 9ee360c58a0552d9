//! Promises about entries by filters, compared with lists in memory.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use reflexarc_event::Event;
use reflexarc_store::{
    Archived, DeliveryStatus, EntryKind, EventFilter, Incoming, PageLimits, Selection,
};

use super::Backend;
use super::filters::cases;
use crate::samples::{ALL, at, evaluation, send};

/// What is selected of an entry.
fn entry_filter() -> impl Strategy<Value = EventFilter> {
    let name = |letter: &'static str, weight| {
        let number = prop::option::weighted(weight, 0..4_usize);
        number.prop_map(move |number| number.map(|number| format!("{letter}{number}")))
    };
    let time = || prop::option::weighted(0.2, 0..12_i64);
    let kind = prop::option::weighted(0.2, select(vec![EntryKind::Event, EntryKind::Firing]));
    let names = (
        name("e", 0.2),
        name("s", 0.2),
        name("n", 0.2),
        name("r", 0.3),
    );
    (names, kind, time(), time()).prop_map(|((id, source, name, rule), kind, from, until)| {
        EventFilter {
            id,
            source,
            name,
            rule,
            kind,
            from: from.map(at),
            until: until.map(at),
        }
    })
}

/// The rules of an entry, as its evaluation has them.
fn rules_of(entry: &Archived) -> Vec<String> {
    let evaluation = entry.evaluation.iter();
    let lists = evaluation.flat_map(|evaluation| {
        let list = |name| evaluation.get(name).unwrap().elements().to_vec();
        [list("rules"), list("failures")].concat()
    });
    let mut rules = Vec::new();
    for effects in lists {
        let rule = effects.get("rule").unwrap().as_str().unwrap().to_owned();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

/// Lists of entries, in pages of every size, are those of a list in memory; whatever the clock was.
pub(super) fn entries_by_filters_are_those_of_the_naive_list(backend: &dyn Backend) {
    let store = backend.open();
    let tuple = (0..4_usize, 0..4_usize, 0..4_usize, 0..5_usize, 0..12_i64);
    let events = vec(tuple, 120)
        .new_tree(&mut cases(backend))
        .unwrap()
        .current();
    for (number, (id, source, name, rule, second)) in events.into_iter().enumerate() {
        let text = format!(
            r#"{{"specversion":"1.0","id":"e{id}","source":"s{source}","type":"n{name}",
                "subject":"{number}","data":{{}}}}"#
        );
        let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
        let actions = (0..rule % 3).map(|number| send("t", i64::try_from(number).unwrap()));
        let evaluated = match rule {
            4 => reflexarc::Evaluation::default(),
            _ => evaluation(&format!("r{rule}"), actions.collect(), vec![]),
        };
        store.accept(incoming, evaluated, at(second)).unwrap();
    }
    let mut entries = Vec::new();
    store
        .walk(&Selection::default(), &mut |entry| {
            entries.push(entry.unwrap());
            true
        })
        .unwrap();
    assert!(entries.len() > 60, "{} events", entries.len());
    let run = |(filter, rows): (EventFilter, usize)| {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let mut wanted: Vec<_> = entries.iter().collect();
        wanted.retain(|entry| {
            is(&filter.id, &entry.name.id)
                && is(&filter.source, &entry.name.source)
                && is(&filter.name, &entry.kind)
                && filter
                    .rule
                    .iter()
                    .all(|rule| rules_of(entry).contains(rule))
                && filter.kind.is_none_or(|kind| entry.entry == kind)
                && filter.from.is_none_or(|from| entry.received >= from)
                && filter.until.is_none_or(|until| entry.received < until)
        });
        let by_time = filter.id.is_none() && (filter.from.is_some() || filter.until.is_some());
        wanted.sort_by_key(|entry| (by_time.then_some(entry.received), entry.seq));
        wanted.reverse();
        let limits = PageLimits {
            rows,
            bytes: usize::MAX,
        };
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = store.entry_page(&filter, before, limits).unwrap();
            prop_assert!(page.damaged.is_empty() && page.entries.len() <= rows);
            prop_assert_eq!(page.next.is_some(), page.searched_until.is_some());
            found.extend(page.entries);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        prop_assert_eq!(found.len(), wanted.len(), "{:?}", filter);
        for (found, wanted) in found.iter().zip(wanted) {
            prop_assert_eq!(found.seq, wanted.seq, "{:?}", filter);
            prop_assert_eq!(&found.event, &wanted.name);
            prop_assert_eq!(&found.name, &wanted.kind);
            prop_assert_eq!(
                (found.kind, found.received),
                (wanted.entry, wanted.received)
            );
            prop_assert_eq!(&found.resource, &wanted.resource);
            prop_assert_eq!(found.rules.as_ref(), Some(&rules_of(wanted)));
            prop_assert_eq!(found.size, wanted.event.bytes().len() as u64);
            let deliveries = store.deliveries_of(found.seq, ALL).unwrap();
            let pending = deliveries.deliveries.len() as u64;
            let counts: Vec<_> = (pending > 0)
                .then_some((DeliveryStatus::Pending, pending))
                .into_iter()
                .collect();
            prop_assert_eq!(&found.deliveries, &counts);
            let whole = store.entry(found.seq).unwrap().unwrap().unwrap();
            prop_assert_eq!(whole.event.bytes(), wanted.event.bytes());
        }
        Ok(())
    };
    cases(backend)
        .run(&(entry_filter(), 1..20_usize), run)
        .unwrap();
    assert!(store.entry(i64::MAX).unwrap().is_none());
}
