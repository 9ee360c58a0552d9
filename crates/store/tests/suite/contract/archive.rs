//! Promises about the archive and its retention.

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::Decision;
use reflexarc_event::Event;
use reflexarc_store::{DeliveryStatus, Incoming, PageLimits, Pruned, Retention, Selection};

use super::Backend;
use crate::samples::{ALL, LEASE, at, attempt, dead_letter, evaluation, incoming, send};

pub(super) fn pruning_removes_old_events_without_open_deliveries(backend: &dyn Backend) {
    let store = backend.open();
    for (id, second) in [("old", 0), ("waiting", 1), ("young", 5_000)] {
        store
            .accept(
                incoming(id),
                evaluation("r", vec![send(id, 1)], vec![]),
                at(second),
            )
            .unwrap();
    }
    let done = store.claim("old", at(2), LEASE, 1).unwrap().remove(0);
    store
        .settle(
            done.clone(),
            attempt("delivered"),
            Decision::Delivered,
            at(2),
        )
        .unwrap();
    let keep = Retention {
        age: SignedDuration::from_secs(3_000),
        bytes: None,
        dead_letters: None,
    };
    assert_eq!(store.prune(&keep, at(5_000)).unwrap().events, 1);
    let left = |name| store.find(name).unwrap().len();
    assert_eq!([left("old"), left("waiting"), left("young")], [0, 1, 1]);
    assert_eq!(store.delivery(done.id).unwrap(), None);
}

pub(super) fn the_newest_event_is_the_last_accepted(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.newest_event().unwrap(), None);
    // The clock was set back in between.
    for (id, second) in [("a", 5), ("b", 9_000), ("c", 7)] {
        let evaluation = Evaluation::default();
        store.accept(incoming(id), evaluation, at(second)).unwrap();
    }
    assert_eq!(store.newest_event().unwrap(), Some(at(7)));
}

pub(super) fn pruning_by_size_removes_the_oldest_events(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..3_000 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    let before = store.used_bytes().unwrap();
    let keep = Retention {
        age: SignedDuration::from_hours(1_000_000),
        bytes: Some(before / 2),
        dead_letters: None,
    };
    let gone = store.prune(&keep, at(3_000)).unwrap().events;
    assert!(store.used_bytes().unwrap() <= before / 2, "{gone} went");
    assert!(
        gone >= 1_000
            && store.find("2999").unwrap().len() == 1
            && store.find("0").unwrap().is_empty(),
        "{gone} went"
    );
}

pub(super) fn the_archive_is_walked_in_order_across_pages(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..600 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    let mut ids = Vec::new();
    let wanted = Selection {
        from: Some(at(10)),
        to: Some(at(590)),
        ..Selection::default()
    };
    store
        .walk(&wanted, &mut |event| {
            ids.push(event.unwrap().name.id.parse::<i64>().unwrap());
            ids.len() < 570
        })
        .unwrap();
    assert_eq!(ids, (10..580).collect::<Vec<_>>());
    let verdict = store.verify_archive().unwrap();
    assert_eq!((verdict.events, verdict.damaged.len()), (600, 0));
}

/// Events that open deliveries keep do not hide those behind them, however many there are.
pub(super) fn pruning_goes_beyond_events_that_are_kept(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..300 {
        let actions = if id < 150 { vec![send("t", 1)] } else { vec![] };
        let evaluation = evaluation("r", actions, vec![]);
        store
            .accept(incoming(&id.to_string()), evaluation, at(id))
            .unwrap();
    }
    let keep = Retention {
        age: SignedDuration::from_secs(1_000),
        bytes: None,
        dead_letters: None,
    };
    assert_eq!(store.prune(&keep, at(1_290)).unwrap().events, 140);
    let left = |id: i64| store.find(&id.to_string()).unwrap().len();
    assert_eq!(
        [left(0), left(149), left(150), left(289), left(290)],
        [1, 1, 0, 0, 1]
    );
}

/// They keep their events until then, and nothing else is dropped.
pub(super) fn old_dead_letters_are_dropped(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..200 {
        let evaluation = evaluation("r", vec![send("t", id)], vec![]);
        let accepted = store.accept(incoming(&id.to_string()), evaluation, at(id));
        assert_eq!(accepted.unwrap().deliveries.len(), 1);
        let claimed = store.claim("t", at(id), LEASE, 1).unwrap().remove(0);
        let decision = dead_letter("no");
        store
            .settle(claimed, attempt("refused"), decision, at(id))
            .unwrap();
    }
    let pending = evaluation("r", vec![send("t", 1)], vec![]);
    store.accept(incoming("waits"), pending, at(0)).unwrap();
    let keep = |letters| Retention {
        age: SignedDuration::from_secs(1),
        bytes: None,
        dead_letters: letters,
    };
    let pruned = store.prune(&keep(None), at(100_000)).unwrap();
    assert_eq!(pruned, Pruned::default());
    let letters = Some(SignedDuration::from_secs(1_000));
    let pruned = store.prune(&keep(letters), at(1_150)).unwrap();
    assert_eq!(pruned.dead_letters, [("t".to_owned(), 150)]);
    assert_eq!(pruned.events, 150);
    let left = |id: i64| store.find(&id.to_string()).unwrap().len();
    assert_eq!([left(0), left(149), left(150), left(199)], [0, 0, 1, 1]);
    let dead = store.deliveries(DeliveryStatus::Dead, None, 999).unwrap();
    assert_eq!(dead.len(), 50);
    let pending = store.deliveries(DeliveryStatus::Pending, None, 9);
    assert_eq!(pending.unwrap().len(), 1);
    // The reason says that no operator dropped it, as long as its event is kept.
    let event = Retention {
        age: SignedDuration::from_hours(10_000),
        ..keep(letters)
    };
    let pruned = store.prune(&event, at(1_151)).unwrap();
    assert_eq!(pruned.dead_letters, [("t".to_owned(), 1)]);
    let deliveries = store.deliveries_of(151, ALL).unwrap().deliveries;
    let (record, _) = &deliveries[0];
    assert_eq!(record.status, DeliveryStatus::Dropped);
    let reason = record.reason.as_deref();
    assert_eq!(reason, Some("dropped because of its age: no"));
}

/// However many deliveries an event has, none is left without it.
pub(super) fn an_event_with_many_deliveries_is_removed_whole(backend: &dyn Backend) {
    let store = backend.open();
    let actions = (0..500).map(|number| send("t", number)).collect();
    let evaluation = evaluation("r", actions, vec![]);
    let accepted = store.accept(incoming("1"), evaluation, at(0)).unwrap();
    let claimed = store.claim("t", at(0), LEASE, 1_000).unwrap();
    let settled: Vec<_> = claimed
        .into_iter()
        .map(|delivery| store.submit_settle(delivery, attempt("sent"), Decision::Delivered, at(1)))
        .collect();
    for reply in settled {
        reply.wait().unwrap();
    }
    let keep = Retention {
        age: SignedDuration::from_secs(1),
        bytes: None,
        dead_letters: None,
    };
    assert_eq!(store.prune(&keep, at(10)).unwrap().events, 1);
    for id in accepted.deliveries {
        assert_eq!(store.delivery(id).unwrap(), None);
    }
}

/// However many events have an id, and however large they are, a page of them is small.
pub(super) fn pages_of_one_id_are_bounded_in_rows_and_bytes(backend: &dyn Backend) {
    let store = backend.open();
    let day = 24 * 3_600;
    for copy in 0..12 {
        let text = format!(r#"{{"id":"same","text":"{}"}}"#, "x".repeat(10_000));
        let event = Incoming::new(Event::from_json(text).unwrap()).unwrap();
        let accepted = store.accept(event, Evaluation::default(), at(copy * day));
        assert!(!accepted.unwrap().duplicate);
    }
    store
        .accept(incoming("other"), Evaluation::default(), at(0))
        .unwrap();
    for (rows, bytes, expected) in [
        (5, 1 << 20, vec![5, 5, 2]),
        (99, 45_000, vec![4, 4, 4]),
        // The first is in the page whatever its size.
        (99, 1, vec![1; 12]),
    ] {
        let (mut after, mut sizes, mut seqs) = (Some(0), Vec::new(), Vec::new());
        while let Some(from) = after {
            let limits = PageLimits { rows, bytes };
            let page = store.find_page("same", from, limits).unwrap();
            after = page.next;
            let events = page.events.into_iter().map(|event| event.unwrap().seq);
            let before = seqs.len();
            seqs.extend(events);
            sizes.push(seqs.len() - before);
        }
        sizes.retain(|size| *size > 0);
        assert_eq!(sizes, expected, "{rows} rows, {bytes} bytes");
        assert_eq!(seqs, (1..=12).collect::<Vec<_>>());
    }
}

/// The rest is counted.
pub(super) fn deliveries_of_an_event_are_bounded(backend: &dyn Backend) {
    let store = backend.open();
    let actions = (0..30).map(|number| send("t", number)).collect();
    let accepted = store
        .accept(incoming("1"), evaluation("r", actions, vec![]), at(0))
        .unwrap();
    for (rows, bytes) in [(7, 1 << 20), (99, 200), (1, 0)] {
        let limits = PageLimits { rows, bytes };
        let found = store.deliveries_of(accepted.seq, limits).unwrap();
        let count = found.deliveries.len();
        assert!(
            (1..=8).contains(&count),
            "{rows} rows, {bytes} bytes: {count}"
        );
        assert_eq!(found.left_out, 30 - count as u64);
    }
    let all = store.deliveries_of(accepted.seq, ALL).unwrap();
    assert_eq!((all.deliveries.len(), all.left_out), (30, 0));
}
