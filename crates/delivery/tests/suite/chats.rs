//! The targets of chats: layout, parts, digests, errors, and receivers that enforce the services'
//! rules.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_delivery::{
    Delivery, DirectDispatch, DirectOutcome, Phase, Receipt, Redact, SendError, Target,
};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level};

use crate::chat_services::{SECRET, SERVICES, service};
use crate::queue::{deliver, quick};
use crate::receiver::{Receiver, Reply};
use crate::samples::{deliveries, message, send};

/// The target of a table with these keys, whose address is that of the receiver.
fn configured(kind: &str, keys: &str, url: &str) -> TargetConfig {
    let text = format!(
        "[targets.t]\ntype = \"{kind}\"\nurl = {{ env = \"URL\" }}\nallow = [\"127.0.0.0/8\"]\n{keys}\n"
    );
    let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
    let secret = |name: &str| {
        let secret = if name == "URL" { url } else { SECRET };
        Some(secret.to_owned())
    };
    let context = ConfigContext::new(Path::new(""), Secrets::Resolve(&secret));
    let targets = targets(&ConfigTable::new(&context, document.root()));
    let faults = document.into_diagnostics();
    assert!(faults.is_empty(), "{faults:?}");
    targets.into_iter().next().unwrap()
}

fn target(kind: &str, keys: &str) -> Arc<dyn Target> {
    configured(
        kind,
        keys,
        "https://chat.example.com/hook/0123456789abcdefXYZ",
    )
    .target
}

fn notify(title: &str, text: &str, at: &[&str], link: Option<&str>) -> Action {
    let mut message = message(title, text).with_at(at.iter().copied());
    message.link = link.map(str::to_owned);
    crate::samples::notify(message)
}

fn body(kind: &str, keys: &str, actions: &[Action]) -> Json {
    let preview = target(kind, keys)
        .preview(&deliveries("1", actions))
        .unwrap();
    assert_eq!(preview.part, None);
    preview.body
}

const LAYOUTS: [(&str, &str); 6] = [
    ("feishu", ""),
    ("feishu", "format = \"post\""),
    ("wecom", ""),
    ("wecom", "format = \"text\""),
    ("slack", ""),
    ("teams", ""),
];

#[test]
fn messages_have_the_documented_formats() {
    let link = Some("https://example.com/eni-1?a=(1)&b=2");
    let single = [notify(
        "attach failed",
        "eni-1 *now* a < b & [c](http://d)\nsince 2019-04-09T04:18:26Z",
        &["U123"],
        link,
    )];
    let everybody = [notify("", "only a text", &["all", "13800000000"], None)];
    let document = [send(Json::parse(r#"{"a":"```"}"#).unwrap())];
    let digest = [
        notify("first", "one", &["U1", "U2"], link),
        notify("", "other", &["U2"], None),
        send(7),
    ];
    let mut shown = String::new();
    for (kind, keys) in LAYOUTS {
        let zone = "time_zone = \"Asia/Shanghai\"\n";
        for (name, actions) in [
            ("message", &single[..]),
            ("everybody", &everybody),
            ("document", &document),
            ("digest", &digest),
        ] {
            let body = body(kind, &format!("{zone}{keys}"), actions);
            shown.push_str(&format!("{kind} {keys} {name}: {body}\n"));
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn levels_are_visible_and_nothing_is_shown_twice() {
    for (kind, keys) in LAYOUTS {
        for level in [Level::Critical, Level::Warn] {
            for title in ["", "eni-1 is lost"] {
                let message = message(title, "eni-1 is lost\nfor good").with_level(level);
                let shown = body(kind, keys, &[crate::samples::notify(message)]);
                let shown = visible(&shown);
                assert!(
                    shown.contains(&level.lowercase().to_uppercase()),
                    "{kind}: {shown}"
                );
                // Once as the text, once as the title if there is one.
                let count = if title.is_empty() { 1 } else { 2 };
                assert_eq!(
                    shown.matches("eni-1 is lost").count(),
                    count,
                    "{kind}: {shown}"
                );
            }
        }
        // A title that only repeats the text is left out.
        let repeated = body(
            kind,
            keys,
            &[notify("eni-1 is lost", "eni-1 is lost\n", &[], None)],
        );
        let shown = visible(&repeated);
        assert_eq!(shown.matches("eni-1 is lost").count(), 1, "{kind}: {shown}");
    }
}

/// What people see of a body: without the line that notifications show in place of it.
fn visible(body: &Json) -> String {
    match body {
        Json::Object(members) if body.get("blocks").is_some() => {
            let blocks = members.iter().filter(|(key, _)| key == "blocks");
            Json::Object(blocks.cloned().collect()).to_string()
        }
        _ => body.to_string(),
    }
}

#[test]
fn text_of_an_event_makes_no_links_and_calls_nobody() {
    let evil = "<!channel> <@U1> [bill](http://evil) <at id=all></at> <http://evil|x> @channel";
    let [feishu, wecom, slack, teams] = ["feishu", "wecom", "slack", "teams"]
        .map(|kind| body(kind, "", &[notify("x", evil, &[], None)]).to_string());
    for markup in ["<!channel>", "<@U1>", "<http"] {
        assert!(!slack.contains(markup), "{slack}");
    }
    assert!(slack.contains("&lt;!channel&gt;"), "{slack}");
    assert!(!slack.contains(r#""verbatim":false"#), "{slack}");
    for markup in ["[bill](", "<at", "<@U1"] {
        assert!(!feishu.contains(markup), "{feishu}");
        assert!(!wecom.contains(markup), "{wecom}");
    }
    assert!(
        !teams.contains(r#""text":"[bill]("#) && teams.contains(r"\\[bill\\]("),
        "{teams}"
    );
    assert!(teams.contains(r#""entities":[]"#), "{teams}");
}

#[test]
fn people_beyond_the_limit_are_counted() {
    let people: Vec<String> = (0..25).map(|number| format!("U{number}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let action = notify("title", "text", &people, None);
    for kind in ["feishu", "wecom", "slack", "teams"] {
        let single = body(kind, "", std::slice::from_ref(&action)).to_string();
        let digest = body(kind, "", &[action.clone(), send(Json::from(1))]).to_string();
        for shown in [single, digest] {
            assert!(shown.contains("U19") && !shown.contains("U20"), "{shown}");
            assert!(
                shown.contains("5 more people could not be mentioned"),
                "{shown}"
            );
        }
    }
}

#[test]
fn resolved_matches_are_green() {
    for (kind, sign) in [
        ("feishu", r#""template":"green""#),
        ("wecom", r#"<font color=\"info\">RESOLVED back</font>"#),
        ("slack", ":large_green_circle: RESOLVED back"),
        ("teams", r#""style":"good""#),
    ] {
        let mut batch = deliveries("1", &[notify("back", "eni-1", &[], None)]);
        batch[0].phase = Phase::Resolved;
        let body = target(kind, "").preview(&batch).unwrap().body.to_string();
        assert!(
            body.contains(sign) && body.contains("RESOLVED back"),
            "{body}"
        );
    }
}

#[test]
fn native_documents_are_posted_as_they_are() {
    for (kind, native) in [
        ("feishu", r#"{"msg_type":"text","content":{"text":"x"}}"#),
        ("wecom", r#"{"msgtype":"news","news":{}}"#),
        ("slack", r#"{"blocks":[]}"#),
        ("teams", r#"{"type":"message","attachments":[]}"#),
    ] {
        let document = Json::parse(native).unwrap();
        assert_eq!(body(kind, "", &[send(document)]).to_string(), native);
    }
}

#[tokio::test]
async fn long_messages_arrive_in_parts_that_the_services_accept() {
    let long: Vec<String> = (0..600)
        .map(|line| format!("line {line} <\"quoted\">"))
        .collect();
    for service in SERVICES {
        let receiver = Receiver::with([], move |call, _| Some(service.respond(call, &[], 1))).await;
        let target = configured(service.kind, service.keys, &receiver.url).target;
        let action = notify(
            "long",
            &long.join("\n"),
            &["U1"],
            Some("https://example.com/"),
        );
        let settled = deliver(&*target, &quick(0), action).await;
        assert_eq!(settled.dead_letter, None, "{}", service.kind);
        let calls = receiver.calls();
        let all: String = calls.iter().map(|call| call.body.as_str()).collect();
        for line in 0..600 {
            assert!(all.contains(&format!("line {line} ")), "{}", service.kind);
        }
        // People are called once, and the link comes last.
        if calls.len() > 1 {
            let (first, last) = (&calls[0].body, &calls[calls.len() - 1].body);
            assert!(first.contains("U1") && !last.contains("U1"), "{first}");
            assert!(last.contains("https://example.com/"), "{last}");
        }
    }
}

#[tokio::test]
async fn five_hundred_alerts_arrive_within_the_rules_of_each_service() {
    for service in SERVICES {
        let receiver = Receiver::with([], move |call, earlier| {
            Some(service.respond(call, earlier, service.factor))
        })
        .await;
        let (calls, millis) = service.rates[0];
        let a_minute = calls as u64 * 60_000 / millis * service.factor;
        // Of Teams less is sent than it accepts.
        let a_minute = a_minute.min(if service.kind == "teams" {
            60 * service.factor
        } else {
            u64::MAX
        });
        let keys = format!(
            "{}\ncalls_per_minute = {a_minute}\nretry = []",
            service.keys
        );
        let redact: Redact = Arc::new(str::to_owned);
        let config = configured(service.kind, &keys, &receiver.url);
        let dispatch = DirectDispatch::start(vec![config], &redact);
        let alert = |number| {
            let text = format!("alert number {number}. of a <storm> & more\nENI: eni-{number}.");
            notify("attach failed", &text, &[], Some("https://example.com/"))
        };
        let now = jiff::Timestamp::now();
        let mut storm = Vec::new();
        for number in 0..500 {
            let mut delivery = deliveries(&number.to_string(), &[alert(number)]).remove(0);
            (delivery.created, delivery.queued_at) = (now, now);
            delivery.resource = format!("eni-{number}");
            storm.push(delivery);
        }
        let outcomes = dispatch.deliver(storm, None).await;
        for dispatched in outcomes {
            assert!(
                matches!(dispatched.outcome, DirectOutcome::Delivered { .. }),
                "{}: {dispatched:?}",
                service.kind
            );
        }
        let calls = receiver.calls();
        let all: String = calls.iter().map(|call| call.body.as_str()).collect();
        for number in 0..500 {
            let text = format!("alert number {number}.");
            assert_eq!(all.matches(&text).count(), 1, "{} {text}", service.kind);
        }
        assert!(
            calls.len() < 250,
            "{} calls of {}",
            calls.len(),
            service.kind
        );
    }
}

/// Type, status, body and outcome of responses.
const ERRORS: [(&str, u16, &str, &str); 31] = [
    (
        "feishu",
        200,
        r#"{"code":19021,"msg":"sign match fail"}"#,
        "misconfigured",
    ),
    (
        "feishu",
        200,
        r#"{"code":19022,"msg":"Ip Not Allowed"}"#,
        "misconfigured",
    ),
    (
        "feishu",
        200,
        r#"{"code":19024,"msg":"Key Words Not Found"}"#,
        "misconfigured",
    ),
    (
        "feishu",
        200,
        r#"{"code":19001,"msg":"param invalid"}"#,
        "misconfigured",
    ),
    (
        "feishu",
        400,
        r#"{"code":9499,"msg":"Bad Request"}"#,
        "refused",
    ),
    (
        "feishu",
        200,
        r#"{"code":11232,"msg":"frequency limited"}"#,
        "throttled",
    ),
    (
        "feishu",
        200,
        r#"{"StatusCode":0,"StatusMessage":"success"}"#,
        "delivered",
    ),
    ("feishu", 200, "<html>", "failed"),
    ("feishu", 502, "<html>", "failed"),
    ("wecom", 200, r#"{"errcode":0,"errmsg":"ok"}"#, "delivered"),
    (
        "wecom",
        200,
        r#"{"errcode":45009,"errmsg":"api freq"}"#,
        "throttled",
    ),
    (
        "wecom",
        200,
        r#"{"errcode":-1,"errmsg":"system busy"}"#,
        "failed",
    ),
    (
        "wecom",
        200,
        r#"{"errcode":93000,"errmsg":"invalid webhook"}"#,
        "misconfigured",
    ),
    (
        "wecom",
        200,
        r#"{"errcode":40058,"errmsg":"too long"}"#,
        "refused",
    ),
    ("wecom", 200, "<html>", "failed"),
    ("slack", 200, "ok", "delivered"),
    ("slack", 400, "invalid_payload", "refused"),
    ("slack", 403, "action_prohibited", "misconfigured"),
    ("slack", 404, "no_service", "misconfigured"),
    ("slack", 404, "channel_not_found", "misconfigured"),
    ("slack", 410, "channel_is_archived", "misconfigured"),
    ("slack", 429, "rate_limited", "throttled"),
    ("slack", 500, "rollup_error", "failed"),
    ("teams", 202, "", "delivered"),
    ("teams", 200, "1", "delivered"),
    ("teams", 429, "", "throttled"),
    (
        "teams",
        200,
        "Microsoft Teams endpoint returned HTTP error 429",
        "throttled",
    ),
    ("teams", 413, "", "refused"),
    (
        "teams",
        404,
        r#"{"error":{"code":"WorkflowNotFound"}}"#,
        "misconfigured",
    ),
    (
        "teams",
        401,
        r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#,
        "misconfigured",
    ),
    ("teams", 502, "", "failed"),
];

#[tokio::test]
async fn errors_are_classified_by_what_happens_next() {
    for (kind, status, body, outcome) in ERRORS {
        let reply = Reply {
            body: body.into(),
            ..Reply::status(status)
        };
        let receiver = Receiver::start([reply]).await;
        let target = configured(kind, "", &receiver.url).target;
        let batch = deliveries("1", &[notify("a", "b", &[], None)]);
        let sent = target.send(&batch).await;
        let found = sent
            .as_ref()
            .map_or_else(SendError::outcome, Receipt::outcome);
        assert_eq!(found, outcome, "{kind} {status} {body}: {sent:?}");
    }
}

#[tokio::test]
async fn wrong_signing_keys_of_feishu_have_a_remedy() {
    let receiver =
        Receiver::with([], |call, _| Some(service("feishu").respond(call, &[], 1))).await;
    let target = configured("feishu", "", &receiver.url).target;
    let settled = deliver(&*target, &quick(5), send(Json::Null)).await;
    assert_eq!(settled.attempts.len(), 1);
    let reason = settled.dead_letter.unwrap();
    assert!(reason.contains("check `secret`"), "{reason}");
}

#[test]
fn addresses_of_chats_are_secrets() {
    for kind in ["feishu", "wecom", "slack", "teams"] {
        for (url, message) in [
            ("url = \"https://example.com/hook\"", "must not be written"),
            ("", "missing"),
        ] {
            let text = format!("[targets.t]\ntype = \"{kind}\"\n{url}\n");
            let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
            let context = ConfigContext::new(Path::new(""), Secrets::Blank);
            assert!(targets(&ConfigTable::new(&context, document.root())).is_empty());
            let faults = document.into_diagnostics();
            assert!(faults[0].message.contains(message), "{faults:?}");
        }
    }
}

#[test]
fn paces_keep_the_proportions_of_the_limits() {
    for (kind, keys, calls, millis) in [
        ("feishu", "", 5, 3_000),
        ("feishu", "calls_per_minute = 50", 5, 6_000),
        ("wecom", "", 20, 60_000),
        ("wecom", "calls_per_minute = 5", 5, 60_000),
        ("slack", "", 1, 1_000),
        ("slack", "calls_per_minute = 20", 1, 3_000),
        ("teams", "", 4, 4_000),
    ] {
        let limit = target(kind, keys).rate_limit().unwrap();
        assert_eq!(
            (limit.calls, limit.per.as_millis()),
            (calls, millis),
            "{kind} {keys}"
        );
    }
    let config = configured("slack", "", "https://chat.example.com/x");
    assert_eq!(config.firing_limit.unwrap().firings, 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever a script sends: no call is refused for its size.
    #[test]
    fn every_part_and_every_digest_fits(
        layout in prop::sample::select(&LAYOUTS),
        title in "[a-z\\[\"<&网\n\u{1} ]{0,300}",
        word in "[a-z\\[<&\"网*\u{1}\\]\\(]{1,12}",
        words in 0_usize..3_000,
        lines in 1_usize..60,
        people in 0_usize..60,
        link_bytes in 0_usize..2_100,
        others in 0_usize..60,
    ) {
        let space = |n| if n % lines == 0 { "\n" } else { " " };
        let text: String = (0..words).map(|n| [word.as_str(), space(n)].concat()).collect();
        let at: Vec<String> = (0..people).map(|n| format!("U{n:020}")).collect();
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        let link = format!("https://example.com/{}", "(".repeat(link_bytes));
        let link = (link_bytes > 0).then_some(link.as_str());
        let (kind, keys) = layout;
        let service = service(kind);
        let signed = if kind == "feishu" { "secret = { env = \"SECRET\" }\nkeywords = [\"alert\"]" }
            else { "" };
        let target = target(kind, &format!("{keys}\n{signed}"));
        let check = |body: &Json| {
            // What the check of Feishu needs besides.
            let mut body = body.clone();
            if kind == "feishu" {
                sign(&mut body);
            }
            let reply = service.respond(&call(body.to_string()), &[], 1);
            let accepted = (service.accepted)();
            prop_assert_eq!((reply.status, reply.body), (accepted.status, accepted.body));
            Ok(())
        };
        let action = notify(&title, &text, &at, link);
        let mut delivery = deliveries("1", std::slice::from_ref(&action)).remove(0);
        let mut parts = 0;
        for _ in 0..20 {
            let preview = target.preview(std::slice::from_ref(&delivery)).unwrap();
            check(&preview.body)?;
            parts += 1;
            match preview.part {
                Some(part) => delivery.delivered_parts.push(part),
                None => break,
            }
        }
        prop_assert!(parts <= 10, "{parts} parts");
        let short = notify(&title, &word, &at, link);
        let batch: Vec<Delivery> = deliveries("1", &vec![short; others + 1]);
        let size = target.max_batch(&batch);
        prop_assert!((1..=batch.len()).contains(&size));
        check(&target.preview(&batch[..size]).unwrap().body)?;
    }
}

fn sign(body: &mut Json) {
    use base64::Engine as _;
    use hmac::{Hmac, KeyInit, Mac};
    let timestamp = jiff::Timestamp::now().as_second().to_string();
    let key = format!("{timestamp}\n{SECRET}");
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    if let Json::Object(members) = body {
        members.push(("timestamp".into(), timestamp.into()));
        members.push(("sign".into(), signature.into()));
    }
}

fn call(body: String) -> crate::receiver::Call {
    crate::receiver::Call {
        at: std::time::Instant::now(),
        method: axum::http::Method::POST,
        uri: "/hook".parse().unwrap(),
        headers: axum::http::HeaderMap::new(),
        body,
    }
}
