use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::queue::{Attempt, deliver, quick};
use crate::receiver::Receiver;
use crate::robot::{check, dingtalk, error, ok};
use crate::samples::{message, send};

/// A robot that accepts every valid call.
async fn robot() -> Receiver {
    Receiver::with([], |call, _| check(call).or_else(ok)).await
}

fn notify(title: &str, text: &str, at: &[&str], link: Option<&str>) -> Action {
    let mut message = message(title, text).with_at(at.iter().copied());
    message.link = link.map(str::to_owned);
    crate::samples::notify(message)
}

/// What the robot gets for one action.
async fn posted(change: impl FnOnce(&mut DingTalk), action: Action) -> Json {
    let receiver = robot().await;
    let mut target = dingtalk(&receiver);
    change(&mut target);
    let settled = deliver(&target, &quick(0), action).await;
    assert_eq!(settled.dead_letter, None);
    Json::parse(&receiver.calls()[0].body).unwrap()
}

#[tokio::test]
async fn formats_are_those_that_robots_document() {
    let link = Some("https://example.com/eni-1");
    let action = || {
        notify(
            "attach failed",
            "eni-1 *now*\nsecond line",
            &["13800000000", "manager7", "all"],
            link,
        )
    };
    let mut bodies = String::new();
    for format in [
        Format::Text,
        Format::Markdown,
        Format::Link,
        Format::ActionCard,
    ] {
        bodies.push_str(&format!(
            "{format:?}: {}\n",
            posted(|robot| robot.format = format, action()).await
        ));
    }
    let plain = notify("", "only a text", &[], None);
    bodies.push_str(&format!(
        "a card without a link: {}\n",
        posted(|robot| robot.format = Format::ActionCard, plain).await
    ));
    let payload = Json::parse(r#"{"a": "```"}"#).unwrap();
    bodies.push_str(&format!(
        "a document: {}\n",
        posted(|_| (), send(payload)).await
    ));
    let native = r#"{"msgtype":"feedCard","feedCard":{"links":[]}}"#;
    let payload = Json::parse(native).unwrap();
    assert_eq!(posted(|_| (), send(payload)).await.to_string(), native);
    insta::assert_snapshot!(bodies);
}

#[tokio::test]
async fn messages_without_a_keyword_get_one() {
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
async fn text_of_an_event_makes_no_links_and_no_title_markup() {
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

/// Everything that the robot accepts for one action, in order, and the attempts. The second call
/// fails, so that a part is retried.
async fn all_posted(format: Format, action: Action) -> (Vec<Json>, Vec<Attempt>) {
    let receiver = Receiver::with([], |call, earlier| {
        check(call)
            .or_else(|| (earlier.len() == 1).then(|| error(-1, "system busy")))
            .or_else(ok)
    })
    .await;
    let target = DingTalk {
        format,
        ..dingtalk(&receiver)
    };
    let settled = deliver(&target, &quick(1), action).await;
    assert_eq!(settled.dead_letter, None);
    let mut calls = receiver.calls();
    calls.remove(1);
    (
        calls
            .iter()
            .map(|call| Json::parse(&call.body).unwrap())
            .collect(),
        settled.attempts,
    )
}

#[tokio::test]
async fn long_messages_are_sent_in_parts_without_losing_lines() {
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
            let body = format!("{} {text}", bodies[number])
                .replace("\\(", "(")
                .replace("\\)", ")");
            assert!(
                body.contains(&format!("({}/{count})", number + 1)),
                "{body}"
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
        let outcomes: Vec<&str> = attempts.iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(
            (outcomes[0], outcomes[1], outcomes[count]),
            ("partly", "failed", "delivered")
        );
    }
    let document = Json::from("x".repeat(50_000));
    let (bodies, _) = all_posted(Format::Markdown, send(document)).await;
    let count: usize = bodies
        .iter()
        .map(|body| body.to_string().matches("xx").count() * 2)
        .sum();
    assert!((49_990..=50_000).contains(&count), "{count}");
}

#[tokio::test]
async fn wrong_signing_keys_are_misconfigurations_with_a_remedy() {
    let receiver = robot().await;
    let mut target = dingtalk(&receiver);
    target.secret = Some("SECwrong".into());
    let settled = deliver(&target, &quick(5), send(Json::Null)).await;
    assert_eq!(settled.attempts[0].outcome, "misconfigured");
    assert!(
        settled
            .dead_letter
            .unwrap()
            .ends_with("it is not the robot's signing key")
    );
}
