//! Many firings of one rule to a target for people.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, NativeEvent, NoState, RuleSet};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{DeliveryId, DigestKind, FiringLimit, RateLimit};
use reflexarc_event::Json;
use reflexarc_service::store::DeliveryStatus;
use reflexarc_service::telemetry::Metrics;

use crate::delivering::{Delivering, queue, quick};
use crate::receiver::{Call, Receiver, Reply, eventually};
use crate::robot::{check, dingtalk, error, ok};
use crate::samples::incoming_of;

/// In place of a minute.
const PERIOD: SignedDuration = SignedDuration::from_secs(2);

/// The rules `stuck` and `other`, which fire for each event.
fn rules() -> RuleSet {
    let text = "when = 'id exists'\nby = 'content.eniId'\n\
                count = { at_least = 1, within = '1m' }\nnotify = ['t']\n\
                message = { title = '{{ rule.name }}', text = '{{ event.content.eniId }}' }\n";
    RuleSet::compile([("rules/other.toml", text), ("rules/stuck.toml", text)]).unwrap()
}

/// The firing of one of these rules for an interface.
fn firing(rules: &RuleSet, rule: &str, eni: &str) -> Evaluation {
    let event = format!(r#"{{"id": "1", "content": {{"eniId": "{eni}"}}}}"#);
    let event = NativeEvent::from_json(event).unwrap();
    let mut evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
    evaluation.rules.retain(|effects| effects.rule == rule);
    let effects = &mut evaluation.rules[0];
    // The matches themselves are another part of the store.
    effects.changes.clear();
    assert!(effects.firing.is_some() && effects.key.is_some() && effects.actions.len() == 1);
    evaluation
}

/// Accepts one firing after another of a rule, for interfaces of their own.
async fn fire(delivering: &Delivering, rule: &'static str, count: usize) -> Vec<DeliveryId> {
    let store = delivering.store.clone();
    let accept = move || {
        let rules = rules();
        let accept = |number: usize| {
            let eni = format!("eni-{number}");
            let incoming = incoming_of(&format!("{rule}-{number}"), &eni);
            let evaluation = firing(&rules, rule, &eni);
            let accepted = store.accept(incoming, evaluation, Timestamp::now());
            accepted.unwrap().deliveries[0]
        };
        (0..count).map(accept).collect()
    };
    tokio::task::spawn_blocking(accept).await.unwrap()
}

/// A robot with a pace that is not reached, for which a minute is [`PERIOD`].
fn robot(receiver: &Receiver) -> TargetConfig {
    let mut target = dingtalk(receiver);
    target.rate_limit = RateLimit {
        calls: 1_000,
        per: PERIOD,
    };
    TargetConfig {
        firing_limit: Some(FiringLimit {
            firings: 20,
            per: PERIOD,
        }),
        ..queue("t", target, quick(3))
    }
}

/// Title and text of a call.
fn message(call: &Call) -> (String, String) {
    let body = Json::parse(&call.body).unwrap();
    let markdown = body.get("markdown").unwrap();
    let text = |key| markdown.get(key).unwrap().as_str().unwrap().to_owned();
    (text("title"), text("text"))
}

/// For each title how many calls there were, in the order of titles.
fn titles(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut titles = BTreeMap::new();
    for call in calls {
        *titles.entry(message(call).0).or_default() += 1;
    }
    titles
}

/// How many firings of a rule the calls say there were: `N more firings` counts as so many.
fn firings(calls: &[Call], rule: &str) -> usize {
    let more = format!(" more firings of {rule}");
    let count = |call: &Call| match message(call).0 {
        title if title == rule => 1,
        title => match title.strip_suffix(&more) {
            Some(count) => count.parse().unwrap(),
            None => 0,
        },
    };
    calls.iter().map(count).sum()
}

fn merged(metrics: &Metrics) -> Option<u64> {
    let text = metrics.render();
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with("reflexarc_firings_merged_total{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn until_delivered(delivering: &Delivering, ids: &[DeliveryId]) {
    for id in ids {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
}

#[tokio::test]
async fn firings_beyond_twenty_are_one_message_with_the_first_keys() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    let ids = fire(&delivering, "stuck", 500).await;
    delivering.serve(robot(&receiver));
    let flood = |count| format!("reflexarc_problems{{problem=\"flood\"}} {count}");
    let metrics = delivering.metrics.clone();
    let is_flood = |count| metrics.render().contains(&flood(count)).then_some(());
    eventually(|| is_flood(1)).await;
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    let expected = [
        ("480 more firings of stuck".to_owned(), 1),
        ("stuck".to_owned(), 20),
    ];
    assert_eq!(titles(&calls), BTreeMap::from(expected));
    // In their order, and the merged ones after the period.
    let (_, text) = message(&calls[20]);
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    for number in 0..20 {
        assert_eq!(
            message(&calls[number]).1.lines().last(),
            Some(&*format!("eni-{number}"))
        );
        assert_eq!(lines[number + 2], format!("- eni-{}", number + 20));
    }
    assert_eq!(lines[22], "and 460 more");
    assert!(calls[20].at - calls[0].at >= PERIOD.unsigned_abs());
    // Each firing says which message carried it.
    let attempts = |id| delivering.store.delivery(id).unwrap().unwrap().1;
    let digests: Vec<_> = ids.iter().map(|id| attempts(*id)[0].digest).collect();
    let digest = digests[20].unwrap();
    assert_eq!(digest.digest_kind(), Some(DigestKind::Firings));
    assert!(digests[..20].iter().all(Option::is_none));
    assert!(digests[20..].iter().all(|one| *one == Some(digest)));
    assert_eq!(merged(&delivering.metrics), Some(480));
    // A period after the merged message nothing is held any more.
    eventually(|| is_flood(0)).await;
    delivering.stop().await;
}

#[tokio::test]
async fn a_flood_delays_no_message_of_another_rule() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    // More than a queue claims at a time, and all of them before the others.
    let stuck = fire(&delivering, "stuck", 1_500).await;
    let other = fire(&delivering, "other", 3).await;
    delivering.serve(TargetConfig {
        order_wait: SignedDuration::from_mins(1),
        firing_limit: Some(FiringLimit {
            firings: 20,
            per: SignedDuration::from_mins(5),
        }),
        ..robot(&receiver)
    });
    until_delivered(&delivering, &other).await;
    let calls = receiver.calls();
    assert_eq!(firings(&calls, "other"), 3);
    assert_eq!(firings(&calls, "stuck"), 20);
    // What is held waits in the outbox, where it can be cancelled.
    let (held, _) = delivering.store.delivery(stuck[700]).unwrap().unwrap();
    assert_eq!(held.status, DeliveryStatus::Pending);
    assert!(held.due > Timestamp::now());
    delivering.stop().await;
}

#[tokio::test]
async fn cancelled_firings_are_not_counted() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    let ids = fire(&delivering, "stuck", 40).await;
    // Long enough to cancel some of those that are held.
    delivering.serve(TargetConfig {
        firing_limit: Some(FiringLimit {
            firings: 20,
            per: SignedDuration::from_secs(8),
        }),
        ..robot(&receiver)
    });
    until_delivered(&delivering, &ids[..20]).await;
    let (store, cancelled) = (delivering.store.clone(), ids[30..].to_vec());
    let cancel = move || {
        let cancel = |id: &DeliveryId| store.cancel(*id, Timestamp::now()).unwrap();
        cancelled.iter().all(cancel)
    };
    assert!(tokio::task::spawn_blocking(cancel).await.unwrap());
    until_delivered(&delivering, &ids[20..30]).await;
    let calls = receiver.wait(21).await;
    assert_eq!(message(&calls[20]).0, "10 more firings of stuck");
    delivering.stop().await;
}

#[tokio::test]
async fn failed_digests_are_sent_again_as_they_were() {
    let receiver = Receiver::with([], |call, earlier| {
        let digests = earlier
            .iter()
            .filter(|call| call.body.contains("more firings"));
        let fails = call.body.contains("more firings") && digests.count() < 2;
        fails
            .then(|| Reply::status(500))
            .or_else(|| check(call))
            .or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut ids = fire(&delivering, "stuck", 50).await;
    delivering.serve(robot(&receiver));
    receiver.wait(21).await;
    // Fired while the digest fails: it is no part of it.
    let late = delivering.store.clone();
    let more = tokio::task::spawn_blocking(move || {
        let evaluation = firing(&rules(), "stuck", "eni-late");
        let accepted = late.accept(
            incoming_of("late", "eni-late"),
            evaluation,
            Timestamp::now(),
        );
        accepted.unwrap().deliveries[0]
    });
    ids.push(more.await.unwrap());
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    let digests: Vec<_> = calls[20..23].iter().map(message).collect();
    assert_eq!(digests[0].0, "30 more firings of stuck");
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
    assert_eq!(
        message(&calls[23]),
        ("stuck".to_owned(), "### stuck\n\neni-late".to_owned())
    );
    for id in &ids[20..50] {
        let (_, attempts) = delivering.store.delivery(*id).unwrap().unwrap();
        let outcomes: Vec<_> = attempts.iter().map(|one| one.outcome.as_str()).collect();
        assert_eq!(outcomes, ["failed", "failed", "delivered"]);
        assert!(attempts.iter().all(|one| one.digest == attempts[0].digest));
    }
    delivering.stop().await;
}

#[tokio::test]
async fn a_digest_whose_keys_are_refused_is_sent_without_them() {
    let receiver = Receiver::with([], |call, _| {
        let is_blocked = call.body.contains("- eni-25");
        is_blocked
            .then(|| error(40_035, "a blocked word"))
            .or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let ids = fire(&delivering, "stuck", 50).await;
    delivering.serve(robot(&receiver));
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 22);
    let (title, text) = message(&calls[21]);
    assert_eq!(title, "30 more firings of stuck");
    assert!(!text.contains("eni-"), "{text}");
    delivering.stop().await;
}

/// The process is killed when the receiver has the message and before it is settled.
#[tokio::test]
async fn digests_that_a_kill_interrupts_are_sent_again_as_they_were() {
    let receiver = Receiver::with([], |call, earlier| {
        let is_first = !earlier
            .iter()
            .any(|call| call.body.contains("more firings"));
        let hangs = is_first && call.body.contains("more firings");
        let never = Reply {
            delay: Duration::from_secs(60),
            ..Reply::status(200)
        };
        hangs.then_some(never).or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut ids = fire(&delivering, "stuck", 50).await;
    delivering.serve(robot(&receiver));
    receiver.wait(21).await;
    ids.extend(fire(&delivering, "other", 5).await);
    let store = delivering.store.clone();
    let digest = store.delivery(ids[30]).unwrap().unwrap().0.delivery.digest;
    assert_eq!(
        digest.and_then(|id| id.digest_kind()),
        Some(DigestKind::Firings)
    );
    let folder = delivering.kill();
    let mut delivering = Delivering::new();
    delivering.store = store.clone();
    let release = move || store.release_claims(Timestamp::now()).unwrap();
    assert_eq!(tokio::task::spawn_blocking(release).await.unwrap(), 30);
    delivering.serve(robot(&receiver));
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    let digests: Vec<_> = calls
        .iter()
        .map(message)
        .filter(|(title, _)| title == "30 more firings of stuck")
        .collect();
    assert_eq!((digests.len(), &digests[0]), (2, &digests[1]));
    assert_eq!((calls.len(), firings(&calls, "other")), (27, 5));
    let (_, attempts) = delivering.store.delivery(ids[30]).unwrap().unwrap();
    assert_eq!((attempts.len(), attempts[0].digest), (1, digest));
    delivering.stop().await;
    drop(folder);
}

/// Counts begin anew with each queue; nothing is lost and nothing is sent twice.
#[tokio::test]
async fn held_firings_outlive_their_queue() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    let ids = fire(&delivering, "stuck", 300).await;
    delivering.serve(robot(&receiver));
    receiver.wait(20).await;
    let store = delivering.store.clone();
    let folder = delivering.stop().await;
    let mut delivering = Delivering::new();
    delivering.store = store;
    delivering.store.release_claims(Timestamp::now()).unwrap();
    delivering.serve(robot(&receiver));
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    assert_eq!(firings(&calls, "stuck"), 300);
    assert!(calls.len() <= 42, "{:?}", titles(&calls));
    delivering.stop().await;
    drop(folder);
}

#[tokio::test]
async fn few_firings_and_other_messages_are_sent_as_they_are() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    let mut ids = fire(&delivering, "stuck", 20).await;
    let message = reflexarc_reaction::Message::new("text").with_title("no firing");
    let action = reflexarc_reaction::Action::notify("t", message);
    ids.extend(delivering.accept("1", vec![action; 30]).await);
    // So long that what waited for its end would not be delivered in time here.
    let limit = FiringLimit {
        firings: 20,
        per: SignedDuration::from_mins(5),
    };
    delivering.serve(TargetConfig {
        firing_limit: Some(limit),
        ..robot(&receiver)
    });
    until_delivered(&delivering, &ids).await;
    let calls = receiver.calls();
    let expected = [("no firing".to_owned(), 30), ("stuck".to_owned(), 20)];
    assert_eq!(titles(&calls), BTreeMap::from(expected));
    assert_eq!(merged(&delivering.metrics), None);
    delivering.stop().await;
}

#[tokio::test]
async fn without_a_limit_every_firing_is_a_message() {
    let receiver = Receiver::with([], |call, _| check(call).or_else(ok)).await;
    let mut delivering = Delivering::new();
    let ids = fire(&delivering, "stuck", 100).await;
    delivering.serve(TargetConfig {
        firing_limit: None,
        calls: None,
        ..robot(&receiver)
    });
    until_delivered(&delivering, &ids).await;
    assert_eq!(receiver.calls().len(), 100);
    delivering.stop().await;
}
