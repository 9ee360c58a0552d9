//! Silences: what they keep back is not sent, and not lost.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::Action;
use reflexarc_store::{
    ActiveWithholding, Candidate, DeliveryStatus, EntryKind, NewEntry, NewSilence, Retention,
    Silence, SilenceEnd, Store, WithheldBy, Withholding, WithholdingDecision,
};

use super::Backend;
use crate::samples::{LEASE, at, attempt, call, evaluation, incoming_of, send};

/// Understands patterns that are the name of a rule, or `event ID`; of several that apply, the one
/// that ends last counts.
pub(super) struct ByRule;

impl Withholding for ByRule {
    fn decide(
        &self,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
        _: Timestamp,
    ) -> WithholdingDecision {
        let event = candidate.event.map(|event| event.event().tree().clone());
        let id = event.as_ref().and_then(|event| event.get("id"));
        let id = id.and_then(Json::as_str).unwrap_or_default();
        let matching = active.silences.iter().filter(|silence| {
            silence.pattern == candidate.delivery.rule || silence.pattern == format!("event {id}")
        });
        match matching.max_by_key(|silence| (silence.until, -silence.id)) {
            None => WithholdingDecision::Deliver,
            Some(silence) => {
                let by = WithheldBy::Silence(silence.id);
                if silence.drops {
                    WithholdingDecision::Drop { by }
                } else {
                    let until = silence.until;
                    WithholdingDecision::Withhold { by, until }
                }
            }
        }
    }
}

pub(super) fn silence(pattern: &str, from: i64, until: i64, drops: bool) -> NewSilence {
    NewSilence {
        pattern: pattern.into(),
        from: at(from),
        until: at(until),
        owner: "alice".into(),
        reason: "deploy".into(),
        drops,
    }
}

fn open(backend: &dyn Backend) -> Box<dyn Store> {
    let store = backend.open();
    store.set_withholding(Arc::new(ByRule));
    store
}

fn add(store: &dyn Store, new: NewSilence) -> Silence {
    store.add_silence(new, 10, at(0)).unwrap().unwrap()
}

pub(super) fn ended(second: i64, drops: bool) -> SilenceEnd {
    SilenceEnd {
        at: at(second),
        by: "bob".into(),
        drops,
    }
}

fn accept(store: &dyn Store, event: &str, eni: &str, rule: &str, action: Action) -> DeliveryId {
    let evaluation = evaluation(rule, vec![action], vec![]);
    let accepted = store.accept(incoming_of(event, eni), evaluation, at(0));
    accepted.unwrap().deliveries[0]
}

fn claimed(store: &dyn Store, second: i64) -> Vec<DeliveryId> {
    let claimed = store.claim("t", at(second), LEASE, 9).unwrap();
    claimed.iter().map(|delivery| delivery.id).collect()
}

fn deliver(store: &dyn Store, second: i64) -> Vec<Delivery> {
    let claimed = store.claim("t", at(second), LEASE, 9).unwrap();
    for delivery in &claimed {
        let outcome = attempt("delivered");
        store
            .settle(delivery.clone(), outcome, Decision::Delivered, at(second))
            .unwrap();
    }
    claimed
}

fn status(store: &dyn Store, id: DeliveryId) -> DeliveryStatus {
    store.delivery(id).unwrap().unwrap().0.status
}

pub(super) fn a_silence_withholds_until_it_is_over(backend: &dyn Backend) {
    let store = &*open(backend);
    let kept = add(store, silence("quiet", 10, 100, false));
    let [a, b] = ["1", "2"].map(|id| accept(store, id, "", "quiet", send("t", 1)));
    let other = accept(store, "3", "", "loud", send("t", 1));
    // It has not begun.
    let early = store.claim("t", at(1), LEASE, 1).unwrap();
    assert_eq!(early[0].id, a);
    store.submit_release(vec![a], at(1)).wait().unwrap();

    let sent = deliver(store, 10);
    assert_eq!(sent.iter().map(|one| one.id).collect::<Vec<_>>(), [other]);
    assert_eq!(status(store, a), DeliveryStatus::Withheld);
    assert_eq!(store.next_due("t"), Ok(None));
    assert_eq!(store.withheld_counts(), Ok(vec![("t".to_owned(), 2)]));
    let listed = store.deliveries(DeliveryStatus::Withheld, Some("t"), 9);
    assert_eq!(listed.unwrap().len(), 2);
    let found = store.silence(kept.id).unwrap().unwrap();
    assert_eq!((found.withheld, found.dropped, found.open), (2, 0, 2));
    assert_eq!(store.next_release(), Ok(Some(at(100))));
    assert_eq!(
        store
            .submit_release_withheld(at(99))
            .wait()
            .unwrap()
            .released,
        0
    );

    let step = store.submit_release_withheld(at(100)).wait().unwrap();
    assert_eq!((step.released, step.dropped, step.is_more), (2, 0, false));
    assert_eq!(step.targets, ["t"]);
    assert_eq!(store.next_release(), Ok(None));
    let sent = deliver(store, 100);
    assert_eq!(sent.iter().map(|one| one.id).collect::<Vec<_>>(), [a, b]);
    // The wait counts neither as age nor as an attempt.
    assert!(
        sent.iter()
            .all(|one| one.attempt == 1 && one.queued_at == at(100))
    );
    let periods = store.withheld_periods(a, 9).unwrap();
    assert_eq!(periods.len(), 1);
    let period = &periods[0];
    assert_eq!(period.by, WithheldBy::Silence(kept.id));
    assert_eq!((period.since, period.until), (at(10), at(100)));
    assert_eq!(period.ended, Some(at(100)));
    assert_eq!(store.withheld_counts(), Ok(vec![]));
    let over = store.silences(true, at(100), 9).unwrap();
    assert_eq!((over.len(), over[0].open), (1, 0));
    assert_eq!(store.silences(false, at(100), 9).unwrap(), []);
}

pub(super) fn a_silence_is_ended_by_hand(backend: &dyn Backend) {
    let store = &*open(backend);
    let [kept, dropped] = ["a", "b"].map(|rule| add(store, silence(rule, 0, 1_000, false)));
    let [a, b] = ["a", "b"].map(|rule| accept(store, rule, "", rule, send("t", 1)));
    assert_eq!(claimed(store, 1), []);
    assert!(
        store
            .end_silence(kept.id, ended(2, false))
            .unwrap()
            .is_some()
    );
    assert_eq!(store.end_silence(kept.id, ended(3, true)), Ok(None));
    let end = store
        .end_silence(dropped.id, ended(2, true))
        .unwrap()
        .unwrap();
    assert_eq!(end.ended, Some(ended(2, true)));
    assert_eq!(store.end_silence(99, ended(2, true)), Ok(None));
    assert_eq!(store.next_release(), Ok(Some(at(2))));
    let step = store.submit_release_withheld(at(2)).wait().unwrap();
    assert_eq!((step.released, step.dropped), (1, 1));
    assert_eq!(claimed(store, 2), [a]);
    let (record, _) = store.delivery(b).unwrap().unwrap();
    assert_eq!(record.status, DeliveryStatus::Silenced);
    let reason = "silenced: silence 2 (alice: deploy)";
    assert_eq!(record.reason.as_deref(), Some(reason));
    assert_eq!(record.finished, Some(at(2)));
    let found = store.silence(dropped.id).unwrap().unwrap();
    assert_eq!((found.withheld, found.dropped, found.open), (1, 1, 0));
}

pub(super) fn a_dropping_silence_ends_deliveries(backend: &dyn Backend) {
    let store = &*open(backend);
    add(store, silence("a", 0, 100, true));
    let longer = add(store, silence("b", 0, 200, false));
    add(store, silence("b", 0, 100, true));
    let [a, b] = ["a", "b"].map(|rule| accept(store, rule, "", rule, send("t", 1)));
    assert_eq!(claimed(store, 1), []);
    assert_eq!(status(store, a), DeliveryStatus::Silenced);
    // Of several, the one that ends last counts.
    assert_eq!(status(store, b), DeliveryStatus::Withheld);
    let periods = store.withheld_periods(b, 9).unwrap();
    assert_eq!(periods[0].by, WithheldBy::Silence(longer.id));
    // What another silence withholds goes on waiting, and is counted once more.
    let third = add(store, silence("b", 0, 300, false));
    assert_eq!(
        store
            .submit_release_withheld(at(200))
            .wait()
            .unwrap()
            .released,
        1
    );
    assert_eq!(claimed(store, 200), []);
    let periods = store.withheld_periods(b, 9).unwrap();
    assert_eq!(periods.len(), 2);
    assert_eq!(periods[1].by, WithheldBy::Silence(third.id));
    assert_eq!(store.withheld_periods(b, 1).unwrap(), periods[1..]);
}

pub(super) fn withheld_deliveries_keep_their_place(backend: &dyn Backend) {
    let store = &*open(backend);
    let second = add(store, silence("event 2", 0, 100, false));
    let [a, b, c, d] = ["1", "2", "3", "4"].map(|id| accept(store, id, "eni-1", "r", send("t", 1)));
    // It blocks nothing behind it, also in the middle of a run.
    assert_eq!(claimed(store, 1), [a, c, d]);
    assert_eq!(status(store, b), DeliveryStatus::Withheld);
    store.submit_release(vec![a, c, d], at(2)).wait().unwrap();
    store.end_silence(second.id, ended(3, false)).unwrap();
    store.submit_release_withheld(at(3)).wait().unwrap();
    let waits = |id| store.delivery(id).unwrap().unwrap().0.waits;
    assert_eq!([a, b, c, d].map(waits), [false, true, true, true]);
    assert_eq!(claimed(store, 4), [a, b, c, d]);
}

pub(super) fn calls_are_never_withheld(backend: &dyn Backend) {
    let store = &*open(backend);
    add(store, silence("a", 0, 100, true));
    let id = accept(store, "1", "", "a", call("t", "Describe"));
    assert_eq!(claimed(store, 1), [id]);
}

pub(super) fn withheld_deliveries_are_cancelled(backend: &dyn Backend) {
    let store = &*open(backend);
    let kept = add(store, silence("a", 0, 100, false));
    let a = accept(store, "1", "", "a", send("t", 1));
    let named = accept(store, "2", "", "a", send("t", 1).with_key("k"));
    assert_eq!(claimed(store, 1), []);
    assert_eq!(store.cancel(a, at(2)), Ok(true));
    assert_eq!(store.cancel(a, at(2)), Ok(false));
    // A later event cancels what waits under the name.
    let mut effects = evaluation("a", vec![], vec![]);
    effects.rules[0].cancelled = vec!["k".into()];
    store.accept(incoming_of("3", ""), effects, at(3)).unwrap();
    for id in [a, named] {
        assert_eq!(status(store, id), DeliveryStatus::Cancelled);
    }
    assert_eq!(store.silence(kept.id).unwrap().unwrap().open, 0);
    let step = store.submit_release_withheld(at(100)).wait().unwrap();
    assert_eq!((step.released, step.dropped), (0, 0));
}

pub(super) fn withholding_goes_in_steps(backend: &dyn Backend) {
    let store = &*open(backend);
    let kept = add(store, silence("a", 0, 1_000, false));
    for number in 0..3 {
        let actions = (0..700).map(|_| send("t", 1)).collect();
        let event = incoming_of(&number.to_string(), "");
        store
            .accept(event, evaluation("a", actions, vec![]), at(0))
            .unwrap();
    }
    let mut claims = 0;
    while store.next_due("t").unwrap().is_some() {
        assert_eq!(store.claim("t", at(1), LEASE, 600).unwrap(), []);
        claims += 1;
    }
    assert_eq!(claims, 2, "1,200 at once at most");
    assert_eq!(store.silence(kept.id).unwrap().unwrap().open, 2_100);
    store.end_silence(kept.id, ended(2, false)).unwrap();
    let mut released = Vec::new();
    loop {
        let step = store.submit_release_withheld(at(2)).wait().unwrap();
        released.push(step.released);
        if !step.is_more {
            break;
        }
    }
    assert_eq!(released, [1_000, 1_000, 100]);
}

pub(super) fn silences_are_bounded_and_forgotten(backend: &dyn Backend) {
    let store = &*open(backend);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let added = store.add_silence(silence("a", 0, 10, false), 3, at(0));
        ids.push(added.unwrap().unwrap().id);
    }
    assert_eq!(ids, [1, 2, 3]);
    let more = silence("a", 0, 10, false);
    assert_eq!(store.add_silence(more.clone(), 3, at(0)), Ok(None));
    store.end_silence(2, ended(1, false)).unwrap();
    assert!(store.add_silence(more, 3, at(1)).unwrap().is_some());
    let id = accept(store, "1", "", "a", send("t", 1));
    assert_eq!(claimed(store, 2), []);
    // What is withheld keeps its event.
    let day = SignedDuration::from_hours(24);
    let retention = Retention {
        age: day,
        ..Retention::default()
    };
    store.prune(&retention, at(100_000)).unwrap();
    assert_eq!(status(store, id), DeliveryStatus::Withheld);
    assert_eq!(store.silences(true, at(100_000), 9).unwrap().len(), 4);
    store.submit_release_withheld(at(100_000)).wait().unwrap();
    deliver(store, 100_000);
    store.prune(&retention, at(200_000)).unwrap();
    assert_eq!(store.delivery(id), Ok(None));
    assert_eq!(store.withheld_periods(id, 9), Ok(vec![]));
    // The newest stays, so that its number does not come again.
    let left = store.silences(true, at(200_000), 9).unwrap();
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [4]);
}

pub(super) fn what_fires_in_time_is_compared_by_its_event(backend: &dyn Backend) {
    let store = &*open(backend);
    add(store, silence("event 1", 0, 100, false));
    let event = incoming_of("1", "");
    let name = event.name.clone();
    store
        .accept(event, evaluation("r", vec![], vec![]), at(0))
        .unwrap();
    let entry = NewEntry {
        kind: EntryKind::Firing,
        at: at(1),
        identity: EventIdentity::default(),
        event: name,
        resource: String::new(),
        detail: Json::object([("rule", "r".into())]),
    };
    let fired = evaluation("r", vec![send("t", 1)], vec![]);
    let work = store.submit_time(Box::new(move |transaction| {
        transaction.add(entry, &fired, at(1))?;
        Ok(None)
    }));
    work.wait().unwrap();
    assert_eq!(claimed(store, 2), []);
    let withheld = store.deliveries(DeliveryStatus::Withheld, None, 9).unwrap();
    let event = store.candidate_event(&withheld[0]).unwrap().unwrap();
    assert_eq!(event.event().tree().get("id"), Some(&"1".into()));
    let newest = store.newest_deliveries(None, 9).unwrap();
    assert_eq!(newest, withheld);
    let before = Some(newest[0].delivery.id);
    assert_eq!(store.newest_deliveries(before, 9), Ok(vec![]));
}
