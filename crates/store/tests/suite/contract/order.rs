//! Promises about the order of deliveries: see `Store::submit_claim`.

use jiff::SignedDuration;
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_event::Json;
use reflexarc_store::{AttemptOutcome, ClaimLimit, Selection, Store};

use super::Backend;
use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, incoming_of, send};

/// Accepts an event of this interface with this many actions for `t`.
pub(super) fn accept(
    store: &dyn Store,
    id: &str,
    eni: &str,
    actions: usize,
    second: i64,
) -> Vec<DeliveryId> {
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
        bytes: usize::MAX,
        retries_first: false,
        sends_alone: false,
    };
    let claimed = store.submit_claim("t", at(second), LEASE, limit);
    claimed.wait().unwrap().runs
}

fn ids(runs: &[Vec<Delivery>]) -> Vec<Vec<DeliveryId>> {
    let ids = |run: &Vec<Delivery>| run.iter().map(|delivery| delivery.id).collect();
    runs.iter().map(ids).collect()
}

/// Settles with an attempt that started at `second`. Returns whether the next one is due.
pub(super) fn settle(
    store: &dyn Store,
    delivery: &Delivery,
    decision: Decision,
    second: i64,
) -> bool {
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

pub(super) fn a_key_by_rule_is_ordered_whatever_the_resource(backend: &dyn Backend) {
    let store = &*backend.open();
    let accept = |id: &str, eni: &str, rule: &str, key: Option<&str>| {
        let mut evaluation = evaluation(rule, vec![send("t", 1)], vec![]);
        evaluation.rules[0].key = key.map(Json::from);
        let accepted = store.accept(incoming_of(id, eni), evaluation, at(0));
        accepted.unwrap().deliveries[0]
    };
    let one = accept("1", "eni-1", "r", Some("a"));
    let same = accept("2", "eni-2", "r", Some("a"));
    let without_resource = accept("3", "", "r", Some("a"));
    let other_key = accept("4", "eni-1", "r", Some("b"));
    let other_rule = accept("5", "eni-1", "s", Some("a"));
    let by_resource = accept("6", "eni-1", "s", None);
    let claimed = claim(store, 0, 9, 1);
    assert_eq!(
        ids(&claimed),
        [[one], [other_key], [other_rule], [by_resource]]
    );
    assert_eq!(claimed[0][0].key.as_deref(), Some("\"a\""));
    assert_eq!(claimed[3][0].key, None);
    assert!(waits(store, same) && waits(store, without_resource));
    assert!(settle(store, &claimed[0][0], Decision::Delivered, 1));
    assert_eq!(ids(&claim(store, 1, 9, 9)), [[same, without_resource]]);
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
            bytes: usize::MAX,
            retries_first,
            sends_alone: false,
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

pub(super) fn held_deliveries_give_up_their_order_and_come_back(backend: &dyn Backend) {
    let store = &*backend.open();
    let (first, second) = (
        accept(store, "1", "eni-1", 1, 0)[0],
        accept(store, "2", "eni-1", 1, 0)[0],
    );
    assert_eq!(ids(&claim(store, 0, 1, 1)), [[first]]);
    assert!(waits(store, second));
    let hold = |id| {
        store
            .submit_hold("t", vec![id], at(60), at(1))
            .wait()
            .unwrap()
    };
    assert_eq!(hold(first), 1);
    // What is not claimed is not held.
    assert_eq!(hold(second), 0);
    assert!(!waits(store, second));
    assert_eq!(ids(&claim(store, 1, 9, 9)), [[second]]);
    assert_eq!(store.delivery(first).unwrap().unwrap().0.due, at(60));
    // It is attempted before a command ends.
    assert_eq!(store.unattempted(at(1)), Ok(vec![("t".to_owned(), 2)]));
    assert!(claim(store, 59, 9, 9).is_empty());
    // Cancelled as any that waits.
    let third = accept(store, "3", "eni-2", 1, 0)[0];
    assert_eq!(ids(&claim(store, 1, 9, 9)), [[third]]);
    assert_eq!(hold(third), 1);
    assert!(store.cancel(third, at(2)).unwrap());
    // Over a restart too.
    store.release_claims(at(3)).unwrap();
    assert_eq!(ids(&claim(store, 60, 9, 9)), [[first], [second]]);
}
