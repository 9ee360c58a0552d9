//! Promises about the archive and its retention.

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::Decision;
use reflexarc_store::{Retention, Selection};

use super::Backend;
use crate::samples::{LEASE, at, attempt, evaluation, incoming, send};

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
    };
    assert_eq!(store.prune(&keep, at(5_000)).unwrap(), 1);
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
    };
    let gone = store.prune(&keep, at(3_000)).unwrap();
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
        id: None,
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
    };
    assert_eq!(store.prune(&keep, at(1_290)).unwrap(), 140);
    let left = |id: i64| store.find(&id.to_string()).unwrap().len();
    assert_eq!(
        [left(0), left(149), left(150), left(289), left(290)],
        [1, 1, 0, 0, 1]
    );
}
