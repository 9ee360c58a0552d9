use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Action, Message};

use super::*;
use crate::flood_control::FiringLimit;
use crate::retry::RetryDelays;
use crate::target::{Preview, RateLimit, SendFuture};

/// A target that takes any number of deliveries together.
struct People;

impl Target for People {
    fn kind(&self) -> &'static str {
        "people"
    }

    fn endpoint(&self) -> String {
        String::new()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        let (summary, body) = (String::new(), Json::Null);
        Ok(Preview {
            summary,
            body,
            part: None,
        })
    }

    fn send<'a>(&'a self, _: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async { Ok(Receipt::complete("ok")) })
    }

    fn max_batch(&self, waiting: &[Delivery]) -> usize {
        waiting.len()
    }
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn firings(rule: &str, count: usize, created: Timestamp) -> Vec<Delivery> {
    let firing = |number: usize| {
        let mut messages = messages(rule, &number.to_string(), 1, created);
        messages.remove(0)
    };
    (0..count).map(firing).collect()
}

/// The messages of one firing.
fn messages(rule: &str, event: &str, count: usize, created: Timestamp) -> Vec<Delivery> {
    let action = Action::notify("t", Message::new("text"));
    let event = EventIdentity {
        id: event.into(),
        ..EventIdentity::default()
    };
    let mut messages = Delivery::for_actions(&event, vec![(rule, &action); count], created);
    for message in &mut messages {
        message.phase = crate::Phase::Fired;
    }
    messages
}

/// One call a second, at most one firing a minute.
fn queue() -> (WaitingDeliveries, CallSchedule, FloodControl) {
    let (calls, firings, per) = (60, 1, seconds(60));
    (
        WaitingDeliveries::default(),
        CallSchedule::new(Some(RateLimit { calls, per }), []),
        FloodControl::new(Some(FiringLimit { firings, per })),
    )
}

/// The sizes of all batches, and whether each is a digest.
fn batches(
    waiting: &mut WaitingDeliveries,
    schedule: &CallSchedule,
    control: &mut FloodControl,
    now: i64,
) -> Vec<Batch> {
    let next = || waiting.next_batch(schedule, &People, control, false, seconds(now));
    std::iter::from_fn(next).collect()
}

#[test]
fn merged_firings_are_one_message() {
    let (mut waiting, schedule, mut control) = queue();
    let mut held = Vec::new();
    for one in firings("r", 5, at(0)) {
        held.extend(waiting.add(one, &mut control, seconds(0)).err());
    }
    assert_eq!(held.len(), 4);
    let sent = batches(&mut waiting, &schedule, &mut control, 0);
    assert_eq!((sent.len(), sent[0].digest), (1, None));
    // Later the others, and a message of another rule that is older than none of them.
    for held in held {
        let (one, until) = *held;
        assert_eq!(until, seconds(60));
        waiting.add(one, &mut control, until).unwrap();
    }
    let other = firings("s", 1, at(30)).remove(0);
    waiting.add(other, &mut control, seconds(60)).unwrap();
    let sent = batches(&mut waiting, &schedule, &mut control, 60);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].merged_firings(), 4);
    let messages = sent[0].messages();
    assert_eq!((messages.len(), Some(messages[0].id)), (1, sent[0].digest));
    assert_eq!(sent[1].merged_firings(), 0);
    assert!(waiting.is_empty());
}

#[test]
fn the_messages_of_one_firing_are_admitted_together() {
    let (mut waiting, schedule, mut control) = queue();
    let (first, second) = (messages("r", "1", 3, at(0)), messages("r", "2", 2, at(0)));
    for one in first {
        waiting.add(one, &mut control, seconds(0)).unwrap();
    }
    for one in &second {
        assert_eq!(control.admit(one, seconds(0)), Admission::Held(seconds(60)));
    }
    // The only one that was held: its messages are sent as they are.
    for one in second {
        waiting.add(one, &mut control, seconds(60)).unwrap();
    }
    let sent = batches(&mut waiting, &schedule, &mut control, 60);
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|batch| batch.digest.is_none()));
}

#[test]
fn failed_digests_are_attempted_again_as_they_were() {
    let (mut waiting, schedule, mut control) = queue();
    let members = firings("r", 3, at(0));
    let batch = Batch::digest(members.clone(), DigestKind::Firings);
    let policy = RetryPolicy {
        delays: RetryDelays::List(vec![seconds(1), seconds(9)]),
        ..RetryPolicy::default()
    };
    let failed = Err(SendError::transient("down"));
    let settled = batch.settle(&policy, &failed, at(10));
    let retries: Vec<_> = settled.iter().map(|one| &one.decision).collect();
    assert!(
        retries.iter().all(|retry| *retry == retries[0]),
        "{retries:?}"
    );
    let digest = batch.next_digest(&failed);
    assert_eq!(digest, batch.digest);
    // Beside others of the rule, which are held.
    for mut one in members {
        one.digest = digest;
        waiting.add(one, &mut control, seconds(11)).unwrap();
    }
    for one in firings("r", 1, at(5)) {
        waiting.add(one, &mut control, seconds(11)).unwrap();
    }
    let sent = batches(&mut waiting, &schedule, &mut control, 11);
    let digests: Vec<_> = sent.iter().map(|batch| batch.digest).collect();
    assert_eq!(digests, [digest, None]);
}

#[test]
fn refused_digests_of_firings_are_sent_without_keys_once() {
    let batch = Batch::digest(firings("r", 3, at(0)), DigestKind::Firings);
    let refused = Err(SendError::Refused {
        reason: "a blocked word".into(),
    });
    // Also where a delivery is attempted once.
    let policy = RetryPolicy {
        delays: RetryDelays::List(Vec::new()),
        ..RetryPolicy::default()
    };
    let is_retry = |batch: &Batch| {
        let settled = batch.settle(&policy, &refused, at(0));
        let mut decisions = settled.iter().map(|one| &one.decision);
        decisions.all(|decision| matches!(decision, Decision::RetryAt(_)))
    };
    assert!(is_retry(&batch));
    let settled = batch.settle(&RetryPolicy::default(), &refused, at(0));
    assert!(settled.iter().all(|one| *one == settled[0]), "{settled:?}");
    let digest = batch.next_digest(&refused).unwrap();
    assert_eq!(digest.digest_kind(), Some(DigestKind::FiringsWithoutKeys));
    let again = Batch {
        digest: Some(digest),
        ..batch
    };
    assert!(!is_retry(&again));
    // A digest of messages is taken apart: one of them may be what is refused.
    let batch = Batch::digest(firings("r", 3, at(0)), DigestKind::Messages);
    assert!(is_retry(&batch));
    assert_eq!(batch.next_digest(&refused), None);
    let failed = Err(SendError::transient("down"));
    let settled = batch.settle(&policy, &failed, at(0));
    let is_dead = |one: &Settlement| matches!(one.decision, Decision::DeadLetter { .. });
    assert!(settled.iter().all(is_dead), "{settled:?}");
}

#[test]
fn probes_carry_one_delivery() {
    let (mut waiting, schedule, mut control) = queue();
    for mut one in firings("r", 3, at(0)) {
        one.digest = Some(DeliveryId::of_digest(&[], DigestKind::Messages));
        waiting.add(one, &mut control, seconds(0)).unwrap();
    }
    let probe = waiting.next_batch(&schedule, &People, &mut control, true, seconds(0));
    assert_eq!(
        probe.map(|batch| (batch.deliveries.len(), batch.digest)),
        Some((1, None))
    );
    assert_eq!(waiting.len(), 2);
}

#[test]
fn digests_of_firings_are_bounded() {
    let (mut waiting, schedule, mut control) = queue();
    let mut all = firings("r", MAX_MERGED + 2, at(0));
    waiting
        .add(all.remove(0), &mut control, seconds(0))
        .unwrap();
    for one in &all {
        control.admit(one, seconds(0));
    }
    for one in all {
        waiting.add(one, &mut control, seconds(60)).unwrap();
    }
    let sent = batches(&mut waiting, &schedule, &mut control, 60);
    let sizes: Vec<_> = sent.iter().map(|batch| batch.deliveries.len()).collect();
    assert_eq!(sizes, [MAX_MERGED, 1, 1]);
}
