//! Parallel evaluation with the result of sequential evaluation; rules replaced while events come.

use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_service::store::DeliveryStatus;

use crate::receiver::eventually;
use crate::samples::event_text;
use crate::serving::{RULE, Serving};

fn rules(text: &str) -> RuleSet {
    RuleSet::compile([("count.toml", text)]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_counter_counts_every_event_once() {
    const EVENTS: usize = 400;
    let text = r#"
when = 'content.result == "failed"'
then = '''
let n = add("all", 1);
let own = add(event.content.eniId, 1);
send("out", #{ n: n, eni: event.content.eniId, own: own });
'''
"#;
    let serving = Serving::with(|parts| parts.rules = rules(text)).await;
    let post = |number: usize| {
        let (client, url) = (serving.client.clone(), format!("{}/events", serving.url));
        // Each event is posted twice at the same time, in eight batches with many resources each.
        let lines: Vec<_> = (0..EVENTS)
            .filter(|i| i % 8 == number)
            .map(|i| event_text(&i.to_string(), &format!("eni-{}", i % 7)))
            .collect();
        tokio::spawn(async move {
            let body = lines.join("\n");
            let send = || {
                client
                    .post(&url)
                    .header("content-type", "application/x-ndjson")
                    .body(body.clone())
                    .send()
            };
            let (first, second) = tokio::join!(send(), send());
            (
                first.unwrap().status().as_u16(),
                second.unwrap().status().as_u16(),
            )
        })
    };
    let posts: Vec<_> = (0..8).map(post).collect();
    for post in posts {
        assert_eq!(post.await.unwrap(), (200, 200));
    }
    eventually(|| {
        serving
            .store
            .deliveries(DeliveryStatus::Pending, None, 1)
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
    let mut seen: Vec<i64> = serving
        .lines()
        .iter()
        .map(|line| {
            line.get("send")
                .unwrap()
                .get("n")
                .unwrap()
                .as_i64()
                .unwrap()
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        (1..=i64::try_from(EVENTS).unwrap()).collect::<Vec<_>>()
    );
    let state = serving.store.state(jiff::Timestamp::now()).unwrap();
    assert!(
        state.contains(&("count".into(), "all".into(), EVENTS.to_string())),
        "{state:?}"
    );
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_one_resource_are_evaluated_in_order() {
    let text = r#"
when = 'content.result == "failed"'
then = '''
let before = get(event.content.eniId);
set(event.content.eniId, event.id);
send("out", #{ eni: event.content.eniId, before: before, id: event.id });
'''
"#;
    let serving = Serving::with(|parts| parts.rules = rules(text)).await;
    let lines: Vec<_> = (0..300)
        .map(|i| event_text(&format!("{i:03}"), &format!("eni-{}", i % 5)))
        .collect();
    assert_eq!(
        serving
            .post("application/x-ndjson", lines.join("\n"))
            .await
            .0,
        200
    );
    let lines = eventually(|| Some(serving.lines()).filter(|lines| lines.len() == 300)).await;
    for line in lines {
        let sent = line.get("send").unwrap();
        let id: i64 = sent.get("id").unwrap().as_str().unwrap().parse().unwrap();
        let before = sent
            .get("before")
            .unwrap()
            .as_str()
            .map(|id| id.parse::<i64>().unwrap());
        assert_eq!(before, (id >= 5).then_some(id - 5));
    }
    serving.stop().await;
}

#[tokio::test]
async fn invalid_rules_are_refused_and_valid_ones_go_live() {
    let serving = Serving::start().await;
    let rule = serving.path("rules").join("failed.toml");
    let sent = |count: usize| eventually_lines(&serving, count);
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    assert_eq!(sent(1).await, r#"{"eni":"eni-1"}"#);

    std::fs::write(&rule, "when = 'content.result = \"failed\"'\n").unwrap();
    let (status, answer) = serving.post_to("/reload", &[], "").await;
    assert_eq!(status, 422);
    let file = &answer.get("files").unwrap().elements()[0];
    assert!(
        file.get("file")
            .unwrap()
            .as_str()
            .unwrap()
            .ends_with("failed.toml")
    );
    assert!(!file.get("diagnostics").unwrap().elements().is_empty());
    serving
        .post("application/json", event_text("2", "eni-2"))
        .await;
    assert_eq!(sent(2).await, r#"{"eni":"eni-2"}"#);

    std::fs::write(&rule, RULE.replace("eni:", "nic:")).unwrap();
    // The changed file triggers the reload.
    let mut id = 3;
    loop {
        serving
            .post("application/json", event_text(&id.to_string(), "eni-3"))
            .await;
        if sent(id).await == r#"{"nic":"eni-3"}"# {
            break;
        }
        id += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(id < 400, "the change was never seen");
    }
    let (_, metrics) = serving.get("/metrics", None).await;
    let metrics = metrics.as_str().unwrap_or_default().to_owned();
    assert!(
        metrics.contains(r#"reflexarc_reloads_total{outcome="refused"}"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(&format!("reflexarc_events_accepted_total {id}")),
        "{metrics}"
    );
    serving.stop().await;
}

async fn eventually_lines(serving: &Serving, count: usize) -> String {
    let lines = eventually(|| Some(serving.lines()).filter(|lines| lines.len() >= count)).await;
    lines
        .iter()
        .map(|line| line.get("send").map(Json::to_string).unwrap_or_default())
        .next_back()
        .unwrap()
}

#[tokio::test]
async fn a_failing_script_keeps_the_event_and_other_rules() {
    let serving = Serving::with(|parts| {
        let bad = r#"
when = 'content.result == "failed"'
then = 'let x = event.content.nothing.at.all; send("out", x);'
"#;
        parts.rules = RuleSet::compile([("bad.toml", bad), ("good.toml", RULE)])
            .unwrap_or_else(|faults| panic!("{faults:?}"));
    })
    .await;
    assert_eq!(
        serving
            .post("application/json", event_text("1", "eni-1"))
            .await
            .0,
        200
    );
    assert_eq!(eventually_lines(&serving, 1).await, r#"{"eni":"eni-1"}"#);
    let evaluation = serving.store.find("1").unwrap()[0]
        .evaluation
        .clone()
        .unwrap();
    assert_eq!(
        evaluation.get("failures").unwrap().elements()[0]
            .get("rule")
            .unwrap()
            .as_str(),
        Some("bad")
    );
    let (_, metrics) = serving.get("/metrics", None).await;
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("reflexarc_reactions_failed_total 1")
    );
    serving.stop().await;
}
