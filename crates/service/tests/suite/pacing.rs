//! What a paced receiver gets when, in virtual time: the plan that both the service's queues and rehearsals follow.

use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::{
    Delivery, DingTalk, Format, Pace, Pacing, Reach, Receipt, SendError, Target, judged,
};
use reflexarc_reaction::{Action, Level, Message};
use reflexarc_service::Incoming;

use crate::samples::{at, evaluation, incoming};

fn robot() -> DingTalk {
    DingTalk {
        endpoint: "https://oapi.dingtalk.com/robot/send".parse().unwrap(),
        token: "".into(),
        secret: None,
        keywords: Vec::new(),
        format: Format::Markdown,
        links: false,
        client: Reach::default().client(None).unwrap(),
        pace: DingTalk::PACE,
    }
}

/// Deliveries of that many short messages.
fn waiting(count: usize) -> Vec<Delivery> {
    let message = |n: usize| Action::Notify {
        target: "t".into(),
        message: Message {
            title: format!("{n}"),
            text: String::new(),
            level: Level::Info,
            at: Vec::new(),
            link: None,
        },
    };
    let incoming: Incoming = incoming("1");
    incoming.deliveries(
        &evaluation("r", (0..count).map(message).collect(), vec![]),
        at(0),
    )
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn receipt() -> Receipt {
    Receipt::whole("ok")
}

#[test]
fn a_burst_goes_singly_then_in_digests_and_never_beyond_the_pace() {
    let (robot, mut pacing) = (robot(), Pacing::new(DingTalk::PACE, []));
    let (mut left, mut now, mut calls) = (waiting(15), seconds(0), Vec::new());
    // A new message comes every second for two minutes.
    let mut late = waiting(120);
    loop {
        let wait = pacing.wait(now);
        if wait.is_zero() && !left.is_empty() {
            let count = pacing.batch(&robot, &left);
            let batch: Vec<Delivery> = left.drain(..count).collect();
            pacing.called(&batch, &Ok(receipt()), now, now);
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
        let stretch = calls
            .iter()
            .filter(|(at, _)| (seconds(0)..seconds(60)).contains(&(*at - *began)));
        assert!(stretch.count() <= 20, "{calls:?}");
    }
    // Then five digests, spread over the minute.
    let digests: Vec<_> = calls
        .iter()
        .filter(|(_, count)| *count > 1)
        .take(5)
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(digests, [3, 6, 9, 12, 15], "{calls:?}");
}

#[test]
fn a_throttled_receiver_is_left_alone_and_earlier_calls_count() {
    let mut pacing = Pacing::new(DingTalk::PACE, []);
    let batch = waiting(1);
    let throttled = Err(SendError::Throttled {
        reason: "too fast".into(),
        pause: seconds(600),
    });
    pacing.called(&batch, &throttled, seconds(0), seconds(1));
    assert_eq!(pacing.wait(seconds(2)), seconds(599));
    assert_eq!(pacing.wait(seconds(601)), seconds(0));

    let earlier = (0..20).map(|n| seconds(n - 40));
    let mut pacing = Pacing::new(DingTalk::PACE, earlier);
    assert_eq!(pacing.wait(seconds(0)), seconds(20));
}

#[test]
fn members_of_a_refused_digest_are_sent_alone() {
    let robot = robot();
    let mut pacing = Pacing::new(
        Pace {
            calls: 1,
            per: Duration::from_secs(1),
        },
        [],
    );
    let batch = waiting(3);
    assert_eq!(pacing.batch(&robot, &batch), 3);
    let refused = Err(SendError::Refused {
        reason: "too long".into(),
    });
    pacing.called(&batch, &refused, seconds(1), seconds(1));
    assert_eq!(pacing.batch(&robot, &batch), 1);
    assert_eq!(judged(&refused, 3).unwrap_err().outcome(), "failed");
    assert_eq!(judged(&refused, 1), refused);
}

#[test]
fn a_preview_says_what_a_robot_gets() {
    let robot = robot();
    let batch = waiting(2);
    let single = robot.preview(&batch[..1]).unwrap();
    assert_eq!((robot.kind(), single.summary.as_str()), ("dingtalk", "0"));
    assert!(
        single
            .body
            .to_string()
            .contains(r####""text":"### 0\n\n""####),
        "{}",
        single.body
    );
    assert_eq!(robot.preview(&batch).unwrap().summary, "2 messages");
}
