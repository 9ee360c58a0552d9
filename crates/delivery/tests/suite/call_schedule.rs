//! What a rate-limited receiver gets when, in virtual time.

use jiff::SignedDuration;
use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::{
    CallSchedule, DeadLetterCause, Decision, Delivery, RateLimit, Receipt, RetryPolicy, SendError,
    Target, settle,
};

use crate::samples::{at, deliveries, message, notify};

fn robot() -> DingTalk {
    DingTalk {
        endpoint: "https://oapi.dingtalk.com/robot/send".parse().unwrap(),
        token: "".into(),
        secret: None,
        keywords: Vec::new(),
        format: Format::Markdown,
        links: false,
        time_zone: None,
        client: EgressPolicy::default().client(None).unwrap(),
        rate_limit: DingTalk::RATE_LIMIT,
        answers: reflexarc_delivery::AnswerPolicy::default(),
    }
}

/// Deliveries of that many short messages.
fn waiting(count: usize) -> Vec<Delivery> {
    let actions = (0..count).map(|n| notify(message(&format!("{n}"), "")));
    deliveries("1", &actions.collect::<Vec<_>>())
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn receipt() -> Receipt {
    Receipt::complete("ok")
}

#[test]
fn bursts_are_sent_singly_then_in_digests_within_the_limit() {
    let (robot, mut schedule) = (robot(), CallSchedule::new(Some(DingTalk::RATE_LIMIT), []));
    let (mut left, mut now, mut calls) = (waiting(15), seconds(0), Vec::new());
    // A new message comes every second for two minutes.
    let mut late = waiting(120);
    loop {
        let wait = schedule.wait(now);
        if wait.is_zero() && !left.is_empty() {
            let count = schedule.batch_size(&robot, &left);
            let batch: Vec<Delivery> = left.drain(..count).collect();
            schedule.record_call(&batch, &Ok(receipt()), now);
            calls.push((now, count));
            continue;
        }
        if left.is_empty() && late.is_empty() {
            break;
        }
        now += seconds(1);
        left.extend(late.pop());
    }
    assert_eq!(calls.iter().map(|(_, count)| count).sum::<usize>(), 135);
    assert_eq!(
        calls.iter().take_while(|(_, count)| *count == 1).count(),
        15,
        "{calls:?}"
    );
    for (began, _) in &calls {
        let window = calls
            .iter()
            .filter(|(at, _)| (seconds(0)..seconds(60)).contains(&(*at - *began)));
        assert!(window.count() <= 20, "{calls:?}");
    }
    // Then the five reserved calls, three seconds apart.
    let digests: Vec<_> = calls
        .iter()
        .filter(|(_, count)| *count > 1)
        .take(5)
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(digests, [3, 6, 9, 12, 15], "{calls:?}");
}

#[test]
fn calls_of_an_earlier_process_count() {
    let earlier = (0..20).map(|n| seconds(n - 40));
    let mut schedule = CallSchedule::new(Some(DingTalk::RATE_LIMIT), earlier);
    assert_eq!(schedule.wait(seconds(0)), seconds(20));
}

#[test]
fn members_of_a_refused_digest_are_sent_alone() {
    let robot = robot();
    let limit = RateLimit {
        calls: 1,
        per: seconds(1),
    };
    let mut schedule = CallSchedule::new(Some(limit), []);
    let batch = waiting(3);
    assert_eq!(schedule.batch_size(&robot, &batch), 3);
    let refused = Err(SendError::Refused {
        reason: "too long".into(),
    });
    schedule.record_call(&batch, &refused, seconds(1));
    assert_eq!(schedule.batch_size(&robot, &batch), 1);
    for delivery in &batch {
        let settled = |batch_size| {
            settle(
                &RetryPolicy::default(),
                delivery,
                &refused,
                batch_size,
                at(0),
            )
            .decision
        };
        assert!(matches!(settled(3), Decision::RetryAt(_)));
        let refused = Decision::DeadLetter {
            cause: DeadLetterCause::Refused,
            reason: "too long".into(),
        };
        assert_eq!(settled(1), refused);
    }
}

#[test]
fn previews_show_what_a_robot_gets() {
    let robot = robot();
    let batch = waiting(2);
    let single = robot.preview(&batch[..1]).unwrap();
    assert_eq!(
        (robot.kind(), single.summary.as_str()),
        ("dingtalk", "WARN 0")
    );
    assert!(
        single
            .body
            .to_string()
            .contains(r####""text":"### WARN 0\n\n""####),
        "{}",
        single.body
    );
    assert_eq!(robot.preview(&batch).unwrap().summary, "2 messages");
}

#[test]
fn targets_without_a_limit_do_not_wait() {
    let robot = robot();
    let mut schedule = CallSchedule::new(None, [seconds(0)]);
    let batch = waiting(3);
    assert_eq!(schedule.wait(seconds(0)), seconds(0));
    assert_eq!(schedule.batch_size(&robot, &batch), 1);
    schedule.record_call(&batch[..1], &Ok(receipt()), seconds(0));
    assert_eq!(schedule.wait(seconds(0)), seconds(0));
}
