use proptest::prelude::*;
use reflexarc_delivery::Target as _;
use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_delivery::http::EgressPolicy;
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
        Some("WARN x # big [a](http://evil)")
    );
    let text = markdown.get("text").unwrap().as_str().unwrap();
    assert!(
        text.starts_with("### WARN x \\# big \\[a\\](http://evil)\n\n"),
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

const FORMATS: [Format; 4] = [
    Format::Text,
    Format::Markdown,
    Format::Link,
    Format::ActionCard,
];

/// Everything that people see of a body: titles, texts, buttons.
fn visible(body: &Json) -> String {
    let kind = body.get("msgtype").unwrap().as_str().unwrap();
    let inner = body.get(kind).unwrap();
    // The title of Markdown and cards is shown in the list of conversations only.
    let keys: &[&str] = match kind {
        "link" => &["title", "text"],
        "text" => &["content"],
        _ => &["text"],
    };
    let texts = keys
        .iter()
        .map(|key| inner.get(key).unwrap().as_str().unwrap());
    texts.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn texts_without_a_title_are_shown_once_with_their_level() {
    for format in FORMATS {
        for link in [None, Some("https://example.com/eni-1")] {
            for (title, text) in [("", "eni-1 is lost"), ("eni-1 is lost", "eni-1 is lost\n")] {
                let action = notify(title, text, &[], link);
                let body = posted(|robot| robot.format = format, action).await;
                let shown = visible(&body);
                assert_eq!(shown.matches("eni-1 is lost").count(), 1, "{body}");
                assert!(shown.contains("WARN"), "{body}");
            }
        }
    }
    let receiver = robot().await;
    let target = dingtalk(&receiver);
    let batch = crate::samples::deliveries(
        "1",
        &[
            notify("", "first text", &[], None),
            notify("", "other text", &[], None),
        ],
    );
    let digest = target.preview(&batch).unwrap().body;
    for text in ["first text", "other text"] {
        assert_eq!(visible(&digest).matches(text).count(), 1, "{digest}");
    }
    assert_eq!(
        visible(&digest).matches("**WARN r**").count(),
        2,
        "{digest}"
    );
}

#[tokio::test]
async fn mentions_are_kept_in_every_format() {
    for format in FORMATS {
        let link = Some("https://example.com/eni-1");
        let action = notify("title", "text", &["13800000000", "all"], link);
        let body = posted(|robot| robot.format = format, action).await;
        let at = body.get("at").unwrap();
        assert_eq!(
            at.get("atMobiles").unwrap().to_string(),
            r#"["13800000000"]"#
        );
        assert_eq!(at.get("isAtAll"), Some(&Json::Bool(true)));
        assert!(visible(&body).contains("@13800000000"), "{body}");
        assert!(
            body.to_string().contains("https://example.com/eni-1"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn long_titles_end_with_an_ellipsis() {
    for format in FORMATS {
        let link = Some("https://example.com/");
        let action = notify(&"网".repeat(300), "text", &[], link);
        let body = posted(|robot| robot.format = format, action).await;
        let body = body.to_string();
        assert!(body.contains("网…") && !body.contains('\u{fffd}'), "{body}");
        assert!(body.matches('网').count() < 140, "{body}");
    }
}

#[tokio::test]
async fn times_are_readable_in_the_configured_zone() {
    let text = "time: 20190409T121826.922+0800\nuntil 2019-04-09T05:00:00Z";
    let action = notify("down since 2019-04-09T04:18:26Z", text, &[], None);
    let body = posted(|_| (), action.clone()).await;
    let shown = visible(&body);
    assert!(
        shown.contains("time: 2019-04-09 12:18:26 +08:00"),
        "{shown}"
    );
    assert!(shown.contains("until 2019-04-09 05:00:00 UTC"), "{shown}");
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let body = posted(|robot| robot.time_zone = Some(zone), action).await;
    let shown = visible(&body);
    for time in [
        "down since 2019-04-09 00:18:26 -04:00",
        "time: 2019-04-09 00:18:26 -04:00",
        "until 2019-04-09 01:00:00 -04:00",
    ] {
        assert!(shown.contains(time), "{shown}");
    }
}

#[tokio::test]
async fn links_that_are_too_long_leave_a_remark() {
    let link = format!("https://example.com/{}", "x".repeat(3_000));
    for format in FORMATS {
        let action = notify("title", "text", &[], Some(&link));
        let body = posted(|robot| robot.format = format, action).await;
        let shown = visible(&body);
        assert!(
            shown.contains("a link of 3020 bytes was left out"),
            "{body}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever a script sends: no part is refused for its size, and no word is lost.
    #[test]
    fn every_part_fits_after_escaping(
        format in prop::sample::select(&FORMATS),
        title in "[a-z\\[\\]\"<网\n\u{1} ]{0,400}",
        word in "[a-z\\[\\]<\"网*\u{1}]{1,12}",
        words in 0_usize..5_000,
        lines in 1_usize..60,
        people in 0_usize..600,
        link_bytes in 0_usize..4_000,
        keyword in "[k网\"]{0,300}",
        links in any::<bool>(),
    ) {
        let space = |n| if n % lines == 0 { "\n" } else { " " };
        let words = (0..words).map(|n| [word.as_str(), space(n)].concat());
        let text: String = words.collect();
        let at: Vec<String> = (0..people).map(|n| format!("138{n:08}")).collect();
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        let link = format!("https://example.com/{}", "\"".repeat(link_bytes));
        let link = (link_bytes > 0).then_some(link.as_str());
        let mut robot = offline();
        (robot.format, robot.links) = (format, links);
        robot.keywords = vec![keyword];
        let message = notify(&title, &text, &at, link);
        let mut delivery = crate::samples::deliveries("1", &[message]).remove(0);
        let mut letters = 0;
        for _ in 0..1_000 {
            let preview = robot.preview(std::slice::from_ref(&delivery)).unwrap();
            let body = preview.body.to_string();
            prop_assert!(body.len() <= 20_000, "{} bytes of {format:?}", body.len());
            let is_letter = |c: char| c == '网' || c.is_ascii_lowercase();
            letters += visible(&preview.body).matches(is_letter).count();
            match preview.part {
                Some(part) => delivery.delivered_parts.push(part),
                None => break,
            }
        }
        let expected = text.matches(|c: char| c == '网' || c.is_ascii_lowercase()).count();
        prop_assert!(letters >= expected, "{letters} of {expected}");
    }
}

/// A robot that is not called.
fn offline() -> DingTalk {
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
