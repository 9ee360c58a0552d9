//! Order of deliveries per resource, with receivers that are slow, fail or are killed over.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{BreakerPolicy, RateLimit, RetryDelays, RetryPolicy};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Message};
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick, webhook};
use crate::receiver::{Call, Receiver, Reply};
use crate::robot::{check, dingtalk, error, ok};

/// Resources, and events of each.
const ENIS: i64 = 4;
const EVENTS: i64 = 25;

/// What the tests send: the resource and a number that grows with its events.
fn document(eni: i64, number: i64) -> Action {
    let payload = Json::object([("eni", Json::from(eni)), ("number", Json::from(number))]);
    Action::send("t", payload)
}

fn content(call: &Call) -> (i64, i64) {
    let json = Json::parse(&call.body).unwrap();
    let data = json.get("data").unwrap();
    let member = |key| data.get(key).unwrap().to_string().parse().unwrap();
    (member("eni"), member("number"))
}

/// Accepts the events of one resource after another, so that those of one are sent at a time.
async fn accept_all(delivering: &Delivering) {
    for eni in 0..ENIS {
        for number in 0..EVENTS {
            let id = format!("{eni}-{number}");
            let actions = vec![document(eni, number)];
            delivering
                .accept_of(&id, &format!("eni-{eni}"), actions)
                .await;
        }
    }
}

/// A receiver whose answers take from 0 to 8 ms, and the numbers that it has accepted, by resource.
struct Sequences {
    receiver: Receiver,
    accepted: std::sync::Arc<Mutex<BTreeMap<i64, Vec<i64>>>>,
}

impl Sequences {
    /// `fails` decides by resource, number and earlier attempts.
    async fn start(fails: impl Fn(i64, i64, usize) -> bool + Send + Sync + 'static) -> Self {
        let accepted = std::sync::Arc::new(Mutex::new(BTreeMap::<i64, Vec<i64>>::new()));
        let record = accepted.clone();
        let receiver = Receiver::with([], move |call, earlier| {
            let (eni, number) = content(call);
            let id = call.headers.get("webhook-id");
            let attempts = earlier
                .iter()
                .filter(|one| one.headers.get("webhook-id") == id);
            if fails(eni, number, attempts.count()) {
                return Some(Reply::status(500));
            }
            record.lock().unwrap().entry(eni).or_default().push(number);
            Some(Reply {
                delay: Duration::from_millis((number * 7 + eni * 3).unsigned_abs() % 9),
                ..Reply::status(200)
            })
        })
        .await;
        Self { receiver, accepted }
    }

    /// First copies that came after one of a later event of their resource, of how many.
    fn out_of_order(&self) -> (usize, usize) {
        let (mut late, mut all) = (0, 0);
        for numbers in self.accepted.lock().unwrap().values() {
            let mut latest = -1;
            for (place, number) in numbers.iter().enumerate() {
                if numbers[..place].contains(number) {
                    continue;
                }
                all += 1;
                late += usize::from(*number < latest);
                latest = latest.max(*number);
            }
        }
        (late, all)
    }
}

/// As configured by default but for quick retries.
fn target(url: &str) -> TargetConfig {
    TargetConfig {
        order_wait: SignedDuration::from_mins(1),
        breaker: BreakerPolicy {
            pause: SignedDuration::from_millis(20),
            max_pause: SignedDuration::from_millis(20),
            ..BreakerPolicy::default()
        },
        ..queue("t", webhook(url), quick(1_000))
    }
}

async fn share(target: impl Fn(&str) -> TargetConfig, fails: bool) -> (usize, usize) {
    // One in nine fails at first, one in forty three times.
    let sequences = Sequences::start(move |eni, number, attempts| {
        let failures = match (number * ENIS + eni) % 40 {
            17 => 3,
            place if place % 9 == 4 => 1,
            _ => 0,
        };
        fails && attempts < failures
    })
    .await;
    let mut delivering = Delivering::new();
    let wake = delivering.serve(target(&sequences.receiver.url));
    accept_all(&delivering).await;
    wake.notify_one();
    delivering.until_empty().await;
    delivering.stop().await;
    sequences.out_of_order()
}

/// The figures of RESULTS.md, with `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_copies_of_a_resource_arrive_in_order() {
    let all = usize::try_from(ENIS * EVENTS).unwrap();
    for (name, fails) in [("", false), (" with failures", true)] {
        let unordered = |url: &str| TargetConfig {
            order_wait: SignedDuration::ZERO,
            ..target(url)
        };
        let (late, _) = share(unordered, fails).await;
        println!("without order{name}: {late} of {all} late");
        assert_eq!(share(target, fails).await, (0, all), "{name}");
        let one = |url: &str| TargetConfig {
            concurrency: 1,
            ..target(url)
        };
        assert_eq!(share(one, fails).await, (0, all), "one at a time{name}");
    }
}

#[tokio::test]
async fn a_failing_delivery_is_overtaken_after_order_wait() {
    let sequences = Sequences::start(|eni, number, _| (eni, number) == (0, 1)).await;
    let mut delivering = Delivering::new();
    let wake = delivering.serve(TargetConfig {
        order_wait: SignedDuration::from_millis(700),
        breaker: BreakerPolicy {
            failures: 0,
            ..BreakerPolicy::default()
        },
        ..target(&sequences.receiver.url)
    });
    accept_all(&delivering).await;
    wake.notify_one();
    delivering.until_pending(1).await;
    let accepted = sequences.accepted.lock().unwrap().clone();
    let in_order: Vec<i64> = (0..EVENTS).collect();
    for eni in 1..ENIS {
        assert_eq!(accepted[&eni], in_order, "{eni}");
    }
    let without: Vec<i64> = (0..EVENTS).filter(|number| *number != 1).collect();
    assert_eq!(accepted[&0], without);
    let calls = sequences.receiver.calls();
    let first = |number| {
        calls
            .iter()
            .find(|call| content(call) == (0, number))
            .unwrap()
            .at
    };
    let waited = first(2) - first(1);
    assert!(waited >= Duration::from_millis(700), "{waited:?}");
    // The next ones do not wait as long each.
    let rest = first(EVENTS - 1) - first(2);
    assert!(rest < Duration::from_secs(20), "{rest:?}");
    delivering.stop().await;
}

#[tokio::test]
async fn a_refused_delivery_lets_the_next_one_go_at_once() {
    let receiver = Receiver::with([], |call, _| {
        (content(call).1 == 3).then(|| Reply::status(422))
    })
    .await;
    let mut delivering = Delivering::new();
    let wake = delivering.serve(target(&receiver.url));
    let actions = (0..20).map(|number| document(1, number)).collect();
    let ids = delivering.accept("1", actions).await;
    wake.notify_one();
    delivering.until_empty().await;
    let numbers: Vec<i64> = receiver
        .calls()
        .iter()
        .map(|call| content(call).1)
        .collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    delivering.until(ids[3], DeliveryStatus::Dead).await;
    delivering.stop().await;
}

/// Neither a paused target nor one whose breaker is open is overtaken by anything.
#[tokio::test]
async fn an_outage_keeps_the_order() {
    let begun = std::time::Instant::now();
    let sequences = Sequences::start(move |_, _, _| begun.elapsed() < Duration::from_secs(2)).await;
    let mut delivering = Delivering::new();
    let wake = delivering.serve(TargetConfig {
        policy: RetryPolicy {
            delays: RetryDelays::List(vec![SignedDuration::from_millis(300); 1_000]),
            max_age: SignedDuration::from_hours(1),
        },
        ..target(&sequences.receiver.url)
    });
    accept_all(&delivering).await;
    wake.notify_one();
    delivering.until_empty().await;
    let all = usize::try_from(ENIS * EVENTS).unwrap();
    assert_eq!(sequences.out_of_order(), (0, all));
    delivering.stop().await;
}

fn notify(number: i64) -> Action {
    Action::notify(
        "t",
        Message::new(format!("line {number}.")).with_title("alert"),
    )
}

/// The numbers of all lines in the order in which they were accepted.
fn lines(calls: &[Call], is_accepted: impl Fn(usize) -> bool) -> Vec<i64> {
    let accepted = calls
        .iter()
        .enumerate()
        .filter(|(place, _)| is_accepted(*place));
    let mut numbers = Vec::new();
    for (_, call) in accepted {
        let body = call.body.split("line ").skip(1);
        numbers.extend(body.map(|rest| {
            let digits = rest.split('.').next().unwrap();
            digits.parse::<i64>().unwrap()
        }));
    }
    numbers
}

/// A flood of one resource is merged into digests as any other, in order, though a call fails.
#[tokio::test]
async fn digests_keep_the_order_of_a_resource() {
    const LINES: i64 = 300;
    let receiver = Receiver::with([], |call, earlier| {
        let fails = [2, 16, 17].contains(&earlier.len());
        let failure = fails.then(|| error(-1, "the system is busy"));
        check(call).or(failure).or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut robot = dingtalk(&receiver);
    robot.rate_limit = RateLimit {
        calls: 20,
        per: SignedDuration::from_secs(3),
    };
    let actions = (0..LINES).map(notify).collect();
    delivering.accept("1", actions).await;
    delivering.serve(TargetConfig {
        order_wait: SignedDuration::from_mins(1),
        ..queue("t", robot, quick(1_000))
    });
    delivering.until_empty().await;
    let calls = receiver.calls();
    let accepted = lines(&calls, |place| ![2, 16, 17].contains(&place));
    assert_eq!(accepted, (0..LINES).collect::<Vec<_>>());
    assert!(calls.len() < 80, "{} calls", calls.len());
    delivering.stop().await;
}
