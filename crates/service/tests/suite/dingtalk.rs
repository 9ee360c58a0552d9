use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::RateLimit;
use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick};
use crate::receiver::{Call, Receiver, Reply};

const SECRET: &str = "SECdingtalk0000000000000000000000000000000000000000000000000000000";
const TOKEN: &str = "canary-access-token";

fn query(call: &Call, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://robot{}", call.uri)).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// What the real robot checks: token, signature not older than an hour, size, `msgtype`.
fn checked(call: &Call) -> Option<Reply> {
    let say = |code: i64, words: &str| {
        Some(Reply {
            body: format!(r#"{{"errcode":{code},"errmsg":"{words}"}}"#),
            ..Reply::status(200)
        })
    };
    if query(call, "access_token").as_deref() != Some(TOKEN) {
        return say(300_001, "token is not exist");
    }
    let timestamp = query(call, "timestamp").unwrap_or_default();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{SECRET}").as_bytes());
    if query(call, "sign")
        != Some(base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
    {
        return say(310_000, "sign not match");
    }
    let skew = Timestamp::now().as_millisecond() - timestamp.parse::<i64>().unwrap();
    if skew.abs() > 3_600_000 {
        return say(310_000, "invalid timestamp");
    }
    if call.body.len() > 20_000 {
        return say(460_101, "message too long, exceed 20000 bytes");
    }
    let kind = Json::parse(&call.body)
        .unwrap()
        .get("msgtype")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    if !["text", "markdown", "link", "actionCard", "feedCard"].contains(&kind.as_str()) {
        return say(400_105, "unsupported msgtype");
    }
    None
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a judge answers")]
fn ok() -> Option<Reply> {
    Some(Reply {
        body: r#"{"errcode":0,"errmsg":"ok"}"#.into(),
        ..Reply::status(200)
    })
}

async fn robot() -> Receiver {
    Receiver::judging([], |call, _| checked(call).or_else(ok)).await
}

fn dingtalk(receiver: &Receiver) -> DingTalk {
    DingTalk {
        endpoint: receiver.url.parse().unwrap(),
        token: TOKEN.into(),
        secret: Some(SECRET.into()),
        keywords: Vec::new(),
        format: Format::Markdown,
        links: false,
        client: EgressPolicy {
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
        }
        .client(None)
        .unwrap(),
        rate_limit: DingTalk::RATE_LIMIT,
    }
}

fn notify(title: &str, text: &str, at: &[&str], link: Option<&str>) -> Action {
    let message = Message {
        title: title.into(),
        text: text.into(),
        level: Level::Warn,
        at: at.iter().map(|who| (*who).to_owned()).collect(),
        link: link.map(str::to_owned),
    };
    Action::Notify {
        target: "t".into(),
        message,
    }
}

/// What the robot is sent for one action.
async fn posted(change: impl FnOnce(&mut DingTalk), action: Action) -> Json {
    let receiver = robot().await;
    let mut delivering = Delivering::new();
    let mut target = dingtalk(&receiver);
    change(&mut target);
    delivering.serve(queue("t", target, quick(0)));
    let id = delivering.accept("1", vec![action]).await[0];
    delivering.until(id, DeliveryStatus::Delivered).await;
    delivering.stop().await;
    Json::parse(&receiver.calls()[0].body).unwrap()
}

#[tokio::test]
async fn each_format_is_what_the_robot_documents() {
    let link = Some("https://example.com/eni-1");
    let message = || {
        notify(
            "attach failed",
            "eni-1 *now*\nsecond line",
            &["13800000000", "manager7", "all"],
            link,
        )
    };
    let mut told = String::new();
    for format in [
        Format::Text,
        Format::Markdown,
        Format::Link,
        Format::ActionCard,
    ] {
        told.push_str(&format!(
            "{format:?}: {}\n",
            posted(|robot| robot.format = format, message()).await
        ));
    }
    let plain = notify("", "only a text", &[], None);
    told.push_str(&format!(
        "a card without a link: {}\n",
        posted(|robot| robot.format = Format::ActionCard, plain).await
    ));
    let payload = Json::parse(r#"{"a": "```"}"#).unwrap();
    let document = Action::Send {
        target: "t".into(),
        payload,
    };
    told.push_str(&format!("a document: {}\n", posted(|_| (), document).await));
    let own = r#"{"msgtype":"feedCard","feedCard":{"links":[]}}"#;
    let own_message = Action::Send {
        target: "t".into(),
        payload: Json::parse(own).unwrap(),
    };
    assert_eq!(posted(|_| (), own_message).await.to_string(), own);
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_message_without_a_keyword_gets_one() {
    let text = |json: &Json| {
        json.get("markdown")
            .unwrap()
            .get("text")
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let with = |words: &[&str]| {
        let keywords = words.iter().map(|word| (*word).to_owned()).collect();
        move |robot: &mut DingTalk| robot.keywords = keywords
    };
    let without = posted(with(&["告警", "alert"]), notify("a", "b", &[], None)).await;
    assert!(text(&without).ends_with("\n\n告警"));
    let has = posted(with(&["告警", "alert"]), notify("a", "an alert", &[], None)).await;
    assert!(!text(&has).contains("告警"));
}

#[tokio::test]
async fn words_of_an_event_make_no_links_no_lines_and_no_markup_in_a_title() {
    let evil = notify(
        "x\n# big [a](http://evil)",
        "see [your bill](http://evil) ![](http://evil) <a href=x> **bold**",
        &[],
        None,
    );
    let json = posted(|_| (), evil.clone()).await;
    let markdown = json.get("markdown").unwrap();
    assert_eq!(
        markdown.get("title").unwrap().as_str(),
        Some("x # big [a](http://evil)")
    );
    let text = markdown.get("text").unwrap().as_str().unwrap();
    assert!(
        text.starts_with("### x \\# big \\[a\\](http://evil)\n\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "see \\[your bill\\](http://evil) !\\[\\](http://evil) \\<a href=x> **bold**"
        ),
        "{text}"
    );
    let trusted = posted(|robot| robot.links = true, evil).await;
    assert!(
        trusted
            .get("markdown")
            .unwrap()
            .get("text")
            .unwrap()
            .as_str()
            .unwrap()
            .contains("[your bill](http://evil)")
    );
}

/// Everything that the robot took for one action, in order, and its attempts.
async fn all_posted(
    format: Format,
    action: Action,
) -> (Vec<Json>, Vec<reflexarc_service::store::Attempt>) {
    // The second call fails: what was taken before is not sent again.
    let receiver = Receiver::judging([], |call, earlier| {
        let busy = || Reply {
            body: r#"{"errcode":-1,"errmsg":"system busy"}"#.into(),
            ..Reply::status(200)
        };
        checked(call)
            .or_else(|| (earlier.len() == 1).then(busy))
            .or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    delivering.serve(queue(
        "t",
        DingTalk {
            format,
            ..dingtalk(&receiver)
        },
        quick(1),
    ));
    let id = delivering.accept("1", vec![action]).await[0];
    let (_, attempts) = delivering.until(id, DeliveryStatus::Delivered).await;
    delivering.stop().await;
    let mut calls = receiver.calls();
    calls.remove(1);
    (
        calls
            .iter()
            .map(|call| Json::parse(&call.body).unwrap())
            .collect(),
        attempts,
    )
}

#[tokio::test]
async fn a_message_that_is_too_long_goes_in_parts_that_lose_no_line() {
    let long = (0..3_000)
        .map(|line| format!("line {line} \"quoted\""))
        .collect::<Vec<_>>()
        .join("\n");
    for format in [
        Format::Text,
        Format::Markdown,
        Format::Link,
        Format::ActionCard,
    ] {
        let action = notify(
            "long",
            &long,
            &["13800000000"],
            Some("https://example.com/eni-1"),
        );
        let (bodies, attempts) = all_posted(format, action).await;
        let count = bodies.len();
        let texts = bodies.iter().map(|body| {
            let kind = body.get("msgtype").unwrap().as_str().unwrap();
            let inner = body.get(kind).unwrap();
            inner
                .get("text")
                .or_else(|| inner.get("content"))
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        });
        let texts: Vec<String> = texts.collect();
        assert!(
            count > 3 && texts[0].contains("13800000000") && !texts[1].contains("13800000000"),
            "{texts:?}"
        );
        for (number, text) in texts.iter().enumerate() {
            let told = format!("{} {text}", bodies[number])
                .replace("\\(", "(")
                .replace("\\)", ")");
            assert!(
                told.contains(&format!("({}/{count})", number + 1)),
                "{told}"
            );
        }
        let lines: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim_end)
            .collect();
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| line.starts_with("line "))
            .collect();
        assert_eq!(lines, long.lines().collect::<Vec<_>>(), "{format:?}");
        let outcomes: Vec<&str> = attempts
            .iter()
            .map(|attempt| attempt.outcome.as_str())
            .collect();
        assert_eq!(
            (outcomes[0], outcomes[1], outcomes[count]),
            ("partly", "failed", "delivered")
        );
    }
    let document = Json::from("x".repeat(50_000));
    let (bodies, _) = all_posted(
        Format::Markdown,
        Action::Send {
            target: "t".into(),
            payload: document,
        },
    )
    .await;
    let count: usize = bodies
        .iter()
        .map(|body| body.to_string().matches("xx").count() * 2)
        .sum();
    assert!((49_990..=50_000).contains(&count), "{count}");
}

#[tokio::test]
async fn five_hundred_alerts_make_no_more_calls_than_a_robot_takes_and_lose_no_line() {
    const WINDOW: Duration = Duration::from_secs(2);
    // Throttles as the real one, with a shorter minute: the twenty-first call within one is refused.
    let receiver = Receiver::judging([], |call, earlier| {
        let recent = earlier
            .iter()
            .filter(|other| call.at.duration_since(other.at) < WINDOW)
            .count();
        let words = r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#;
        let throttled = (recent >= 20).then(|| Reply {
            body: words.into(),
            ..Reply::status(200)
        });
        checked(call).or(throttled).or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut target = dingtalk(&receiver);
    target.rate_limit = RateLimit {
        calls: 20,
        per: SignedDuration::try_from(WINDOW).unwrap() + SignedDuration::from_millis(100),
    };
    delivering.serve(queue("t", target, quick(0)));
    let mut ids = Vec::new();
    for event in 0..100 {
        let alert = |part| {
            notify(
                &format!("alert {event}.{part}"),
                &format!("line {event}.{part}.a\nline {event}.{part}.b"),
                &[],
                None,
            )
        };
        ids.extend(
            delivering
                .accept(&event.to_string(), (0..5).map(alert).collect())
                .await,
        );
    }
    for id in &ids {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
    let calls = receiver.calls();
    let lines: BTreeSet<String> = calls
        .iter()
        .flat_map(|call| {
            let json = Json::parse(&call.body).unwrap();
            let text = json
                .get("markdown")
                .unwrap()
                .get("text")
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned();
            text.lines()
                .map(|line| line.trim_end().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    for event in 0..100 {
        for part in 0..5 {
            for end in ["a", "b"] {
                assert!(
                    lines.contains(&format!("line {event}.{part}.{end}")),
                    "line {event}.{part}.{end} is lost"
                );
            }
        }
    }
    assert!(calls.len() < 100, "{} calls", calls.len());
    assert!(
        !delivering.metrics.render().contains("throttled"),
        "the robot had to throttle"
    );
    delivering.stop().await;
}

#[tokio::test]
async fn a_digest_that_is_refused_is_taken_apart_so_that_one_bad_message_buries_no_other() {
    let receiver = Receiver::judging([], |call, _| {
        let words = r#"{"errcode":40035,"errmsg":"a word nobody may say"}"#;
        call.body
            .contains("poison")
            .then(|| Reply {
                body: words.into(),
                ..Reply::status(200)
            })
            .or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut target = dingtalk(&receiver);
    target.rate_limit = RateLimit {
        calls: 4,
        per: SignedDuration::from_millis(400),
    };
    let alerts = (0..8)
        .map(|n| notify("t", if n == 3 { "poison" } else { "fine" }, &[], None))
        .collect();
    let ids = delivering.accept("1", alerts).await;
    delivering.serve(queue("t", target, quick(3)));
    delivering.until(ids[3], DeliveryStatus::Dead).await;
    for id in ids.iter().filter(|id| **id != ids[3]) {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
    delivering.stop().await;
}

#[tokio::test]
async fn a_throttled_robot_is_left_alone_and_a_wrong_key_goes_to_the_dead_letters_with_a_remedy() {
    let words = r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#;
    let throttling = Receiver::start([Reply {
        body: words.into(),
        ..Reply::status(200)
    }])
    .await;
    let strict = robot().await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("throttled", dingtalk(&throttling), quick(5)));
    let mut wrong = dingtalk(&strict);
    wrong.secret = Some("SECwrong".into());
    delivering.serve(queue("wrong", wrong, quick(5)));
    let to = |target: &str| Action::Send {
        target: target.into(),
        payload: Json::Null,
    };
    let ids = delivering
        .accept("1", vec![to("throttled"), to("wrong")])
        .await;
    let (entry, attempts) = delivering.until(ids[1], DeliveryStatus::Dead).await;
    assert_eq!(attempts[0].outcome, "misconfigured");
    assert!(
        entry
            .reason
            .unwrap()
            .ends_with("it is not the robot's signing key")
    );
    throttling.wait(1).await;
    let (entry, attempts) = crate::receiver::eventually(|| {
        delivering
            .store
            .delivery(ids[0])
            .unwrap()
            .filter(|(_, attempts)| !attempts.is_empty())
    })
    .await;
    assert_eq!(
        (entry.status, attempts[0].outcome.as_str()),
        (DeliveryStatus::Pending, "throttled")
    );
    assert!(entry.due.duration_since(attempts[0].started).as_secs() >= 600);
    delivering.stop().await;
}
