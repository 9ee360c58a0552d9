//! Calls of operations: sent, answered once, and what their rules do with the answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc::RuleSet;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    CallAdmission, CallApi, CallError, CallFuture, CallRequest, CallSettings, ChangeLimit,
    DeliveryId, FileTarget, RetryDelays, RetryPolicy,
};
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;
use reflexarc_service::operate::{Replay, verify_archive};
use reflexarc_service::store::{DeliveryStatus, EntryKind, Selection};

use crate::delivering::{queue, quick};
use crate::receiver::eventually;
use crate::samples::event_text;
use crate::serving::{Parts, Serving, parts};

/// An API that answers as it is set up: `Describe…` reads, `Create…` may be repeated, `Delete…` not,
/// `Forbidden` is not allowed and `Stop…` is only rehearsed.
pub(crate) struct StubApi {
    /// What it does with the next requests; then it succeeds.
    outcomes: Mutex<VecDeque<Result<CallAnswer, CallError>>>,
    requests: Mutex<Vec<(String, DeliveryId)>>,
    /// Requests that are never answered.
    hangs: AtomicUsize,
}

impl StubApi {
    pub(crate) fn new(
        outcomes: impl IntoIterator<Item = Result<CallAnswer, CallError>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            outcomes: Mutex::new(outcomes.into_iter().collect()),
            requests: Mutex::default(),
            hangs: AtomicUsize::new(0),
        })
    }

    fn operations(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The target `ecs` of this API.
    pub(crate) fn target(
        self: &Arc<Self>,
        changes: ChangeLimit,
        expires: SignedDuration,
    ) -> TargetConfig {
        let policy = RetryPolicy {
            delays: RetryDelays::List(vec![SignedDuration::from_millis(20); 3]),
            max_age: SignedDuration::from_hours(24),
        };
        TargetConfig {
            calls: Some(CallSettings {
                api: self.clone(),
                changes,
                expires,
            }),
            timeout: Duration::from_millis(500),
            ..queue("ecs", FileTarget::stdout(), policy)
        }
    }
}

impl CallApi for StubApi {
    fn admit(&self, operation: &str) -> CallAdmission {
        match operation {
            "Forbidden" => CallAdmission::NotAllowed("`allow` has no Forbidden".to_owned()),
            name if name.starts_with("Describe") => CallAdmission::Read,
            name if name.starts_with("Stop") => CallAdmission::DryRun,
            name => CallAdmission::Change {
                repeatable: name.starts_with("Create"),
            },
        }
    }

    fn preview(&self, call: &CallRequest<'_>) -> Result<Json, String> {
        if call.parameters.get("Bad").is_some() {
            return Err("the API has no parameter `Bad`".to_owned());
        }
        Ok(Json::object([("would", call.operation.into())]))
    }

    fn call<'a>(&'a self, call: &'a CallRequest<'a>) -> CallFuture<'a> {
        let request = (call.operation.to_owned(), call.id);
        self.requests.lock().unwrap().push(request);
        let outcome = self.outcomes.lock().unwrap().pop_front();
        let left = |hangs: usize| hangs.checked_sub(1);
        let hangs = self
            .hangs
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        Box::pin(async move {
            if hangs.is_ok() {
                std::future::pending::<()>().await;
            }
            outcome.unwrap_or_else(|| Ok(ok()))
        })
    }
}

fn ok() -> CallAnswer {
    CallAnswer::ok(200, Json::object([("Status", "Available".into())]))
}

fn not_sent() -> Result<CallAnswer, CallError> {
    Err(CallError::NotSent {
        reason: "connection refused".to_owned(),
        retry_after: None,
    })
}

fn unknown() -> Result<CallAnswer, CallError> {
    Err(CallError::Unknown {
        reason: "connection reset".to_owned(),
    })
}

const MINUTES: SignedDuration = SignedDuration::from_mins(15);

/// A rule that calls an operation for each event, and writes each answer to `out`.
fn rule(operation: &str) -> String {
    format!(
        r#"
when = 'content.result == "failed"'
by = "content.eniId"
then = 'call("ecs", "{operation}", #{{ Id: event.content.eniId }})'
answered = 'send("out", #{{ op: call.operation, id: event.id, ok: answer.ok, code: answer.code, body: answer.body }})'
"#
    )
}

fn rules(text: &str) -> RuleSet {
    RuleSet::compile([("leak.toml", text)]).unwrap()
}

fn with_api(parts: &mut Parts, api: &Arc<StubApi>, text: &str) {
    parts.rules = rules(text);
    let target = api.target(ChangeLimit::default(), MINUTES);
    parts.config.queues.push(target);
}

async fn serving(api: &Arc<StubApi>, text: &str) -> Serving {
    Serving::with(|parts| with_api(parts, api, text)).await
}

async fn accept(serving: &Serving, id: &str) {
    let event = event_text(id, &format!("eni-{id}"));
    let (status, reply) = serving.post("application/json", event).await;
    assert_eq!(status, 200, "{reply}");
}

/// What the rule has written, as `operation code`.
fn written(serving: &Serving) -> Vec<String> {
    let lines = serving.lines().into_iter().map(|line| {
        let sent = line.get("send").unwrap();
        let text = |name| sent.get(name).and_then(Json::as_str).unwrap_or_default();
        let code = if sent.get("ok") == Some(&Json::Bool(true)) {
            "ok"
        } else {
            text("code")
        };
        format!("{} {code}", text("op"))
    });
    lines.collect()
}

async fn until_written(serving: &Serving, count: usize) -> Vec<String> {
    eventually(|| {
        let lines = written(serving);
        (lines.len() >= count).then_some(lines)
    })
    .await
}

/// The answers in the archive.
fn answers(serving: &Serving) -> Vec<Json> {
    let mut found = Vec::new();
    let walked = serving.store.walk(&Selection::default(), &mut |archived| {
        let archived = archived.unwrap();
        if archived.entry == EntryKind::Answer {
            found.push(archived.event.tree().clone());
        }
        true
    });
    walked.unwrap();
    found
}

#[tokio::test]
async fn an_answer_leads_on_to_further_calls_and_messages() {
    let api = StubApi::new([]);
    let text = r#"
when = 'content.result == "failed"'
by = "content.eniId"
then = 'call("ecs", "DescribeEnis", #{ Id: event.content.eniId })'
answered = '''
add("answers", 1);
if call.operation == "DescribeEnis" && answer.body.Status == "Available" {
    call("ecs", "DeleteEni", #{ Id: call.parameters.Id }, #{ after: "1s", key: "delete" });
} else {
    send("out", #{ op: call.operation, ok: answer.ok, id: event.id, answers: get("answers") });
}
'''
"#;
    let serving = serving(&api, text).await;
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni ok"]);
    assert_eq!(api.operations(), ["DescribeEnis", "DeleteEni"]);
    let answers = answers(&serving);
    let hops: Vec<_> = answers
        .iter()
        .map(|one| one.get("hop").unwrap().to_string())
        .collect();
    assert_eq!(hops, ["1", "2"]);
    let verified = verify_archive(serving.store.as_ref(), &rules(text)).unwrap();
    assert_eq!(
        (verified.entries, verified.different),
        (3, 0),
        "{verified:?}"
    );
    // The whole chain is in the trace of the event.
    let (_, traced) = serving.get("/trace/1", None).await;
    let text = traced.to_string();
    for part in [
        r#""entry":"answer""#,
        r#""operation":"DeleteEni""#,
        r#""send""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn large_and_deep_answers_stay_readable() {
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let text = "x".repeat((1 << 20) - 1_000);
    let body = Json::parse(format!(r#"{{"Deep": {deep}, "Text": "{text}"}}"#)).unwrap();
    let api = StubApi::new([Ok(CallAnswer::ok(200, body.clone()))]);
    let text = r#"
when = 'content.result == "failed"'
then = 'call("ecs", "DescribeEnis", #{ Id: event.content.eniId })'
answered = 'send("out", #{ op: call.operation, ok: answer.ok, size: answer.body.Text.len() })'
"#;
    let serving = serving(&api, text).await;
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DescribeEnis ok"]);
    let kept = answers(&serving).remove(0);
    assert_eq!(kept.get("answer").unwrap().get("body"), Some(&body));
    let verified = verify_archive(serving.store.as_ref(), &rules(text)).unwrap();
    assert_eq!((verified.different, verified.damaged.len()), (0, 0));
    serving.stop().await;
}

/// What a rule emits is kept for the matches of other rules, behind the entry of the answer.
#[tokio::test]
async fn events_that_answers_emit_open_matches() {
    let api = StubApi::new([]);
    let calling = r#"
when = 'content.result == "failed"'
by = "content.eniId"
then = 'call("ecs", "DescribeEnis", #{ Id: event.content.eniId })'
answered = 'emit(#{ name: "checked", eni: call.parameters.Id })'
"#;
    let waiting = r#"
when = 'name == "checked"'
batch = { within = "2s", max = 3 }
then = 'send("out", #{ op: "batch " + count, ok: events.all(|one| one.eni != ()) })'
"#;
    let rules = RuleSet::compile([("leak.toml", calling), ("batch.toml", waiting)]).unwrap();
    let serving = Serving::with(|parts| {
        with_api(parts, &api, calling);
        parts.rules = rules;
    })
    .await;
    for id in ["1", "2", "3", "4"] {
        accept(&serving, id).await;
    }
    let mut batches = until_written(&serving, 2).await;
    batches.sort();
    assert_eq!(batches, ["batch 1 ok", "batch 3 ok"]);
    assert_eq!(answers(&serving).len(), 4);
    serving.stop().await;
}

#[tokio::test]
async fn calls_that_are_not_sent_have_answers_of_their_own() {
    for (operation, expected) in [
        ("Forbidden", "Forbidden NotAllowed"),
        ("StopEni", "StopEni DryRun"),
    ] {
        let api = StubApi::new([]);
        let serving = serving(&api, &rule(operation)).await;
        accept(&serving, "1").await;
        assert_eq!(until_written(&serving, 1).await, [expected]);
        if operation == "StopEni" {
            let line = serving.lines().remove(0);
            let body = line.get("send").unwrap().get("body").unwrap().to_string();
            assert_eq!(body, r#"{"would":"StopEni"}"#);
        }
        assert!(api.operations().is_empty());
        serving.stop().await;
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_sent_is_an_answer() {
    let api = StubApi::new([]);
    let text = rule("DescribeEnis").replace("#{ Id: event.content.eniId }", "#{ Bad: 1 }");
    let serving = serving(&api, &text).await;
    accept(&serving, "1").await;
    assert_eq!(
        until_written(&serving, 1).await,
        ["DescribeEnis Undelivered"]
    );
    serving.stop().await;
}

#[tokio::test]
async fn what_was_not_sent_is_sent_again_and_given_up() {
    let api = StubApi::new([not_sent(), not_sent()]);
    let serving = serving(&api, &rule("DeleteEni")).await;
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni ok"]);
    assert_eq!(api.operations().len(), 3);
    serving.stop().await;

    let api = StubApi::new([(); 4].map(|()| not_sent()));
    let serving = self::serving(&api, &rule("DeleteEni")).await;
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni Undelivered"]);
    assert_eq!(api.operations().len(), 4);
    serving.stop().await;
}

#[tokio::test]
async fn unknown_outcomes_are_repeated_only_where_that_is_safe() {
    for (operation, count, expected) in [
        ("DescribeEnis", 2, "DescribeEnis ok"),
        ("CreateEni", 2, "CreateEni ok"),
        ("DeleteEni", 1, "DeleteEni OutcomeUnknown"),
    ] {
        let api = StubApi::new([unknown()]);
        let serving = serving(&api, &rule(operation)).await;
        accept(&serving, "1").await;
        assert_eq!(until_written(&serving, 1).await, [expected]);
        let requests = api.requests.lock().unwrap().clone();
        assert_eq!(requests.len(), count, "{operation}");
        let ids = requests.iter().map(|(_, id)| *id);
        assert!(ids.eq(vec![requests[0].1; count]), "the same id each time");
        serving.stop().await;
    }
}

#[tokio::test]
async fn an_earlier_unknown_outcome_is_not_forgotten() {
    let api = StubApi::new([unknown(), not_sent(), not_sent(), not_sent()]);
    let serving = serving(&api, &rule("CreateEni")).await;
    accept(&serving, "1").await;
    assert_eq!(
        until_written(&serving, 1).await,
        ["CreateEni OutcomeUnknown"]
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_call_without_a_response_has_an_unknown_outcome() {
    let api = StubApi::new([]);
    api.hangs.store(1, Ordering::SeqCst);
    let serving = serving(&api, &rule("DeleteEni")).await;
    accept(&serving, "1").await;
    assert_eq!(
        until_written(&serving, 1).await,
        ["DeleteEni OutcomeUnknown"]
    );
    serving.stop().await;
}

#[tokio::test]
async fn changes_beyond_the_limit_stop_the_target_until_it_is_resumed() {
    let api = StubApi::new([]);
    let limit = ChangeLimit {
        per_minute: 3,
        per_day: 100,
    };
    let text = r#"
when = 'content.result == "failed"'
by = "content.eniId"
then = 'call("ecs", "DeleteEni", #{ Id: event.content.eniId }); call("ecs", "DescribeEnis", #{});'
answered = 'send("out", #{ op: call.operation, ok: answer.ok, code: answer.code })'
"#;
    let change = |parts: &mut Parts| {
        parts.rules = rules(text);
        parts.config.queues.push(api.target(limit, MINUTES));
    };
    let serving = Serving::with(change).await;
    for id in ["1", "2", "3", "4", "5"] {
        accept(&serving, id).await;
    }
    let mut lines = until_written(&serving, 10).await;
    lines.sort();
    let mut expected = vec!["DeleteEni ChangeLimit"; 2];
    expected.extend(["DeleteEni ok"; 3]);
    expected.extend(["DescribeEnis ok"; 5]);
    assert_eq!(lines, expected);
    let (_, status) = serving.get("/status", None).await;
    assert!(status.to_string().contains("changes_stopped"), "{status}");

    // Another process knows it.
    let folder = serving.stop().await;
    let mut parts = parts(&folder);
    change(&mut parts);
    let serving = Serving::run(folder, parts).await;
    let (_, targets) = serving.get("/targets", None).await;
    assert!(
        targets.to_string().contains("3 changes a minute were made"),
        "{targets}"
    );
    accept(&serving, "6").await;
    let lines = until_written(&serving, 12).await;
    assert!(
        lines[10..].contains(&"DeleteEni ChangeLimit".to_owned()),
        "{lines:?}"
    );

    let (status, _) = serving.post_to("/targets/ecs/resume", &[], "").await;
    assert_eq!(status, 200);
    accept(&serving, "7").await;
    let lines = until_written(&serving, 14).await;
    assert!(
        lines[12..].contains(&"DeleteEni ok".to_owned()),
        "{lines:?}"
    );
    serving.stop().await;
}

#[tokio::test]
async fn calls_of_a_paused_target_expire() {
    let api = StubApi::new([]);
    let serving = Serving::with(|parts| {
        parts.rules = rules(&rule("DeleteEni"));
        let expires = SignedDuration::from_secs(1);
        parts
            .config
            .queues
            .push(api.target(ChangeLimit::default(), expires));
    })
    .await;
    let (status, _) = serving.post_to("/targets/ecs/pause", &[], "").await;
    assert_eq!(status, 200);
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni Expired"]);
    assert!(api.operations().is_empty());
    serving.stop().await;
}

#[tokio::test]
async fn a_cancelled_call_is_answered() {
    let api = StubApi::new([]);
    let text = rule("DeleteEni").replace(
        "#{ Id: event.content.eniId }",
        r#"#{ Id: "x" }, #{ after: "1h", key: "delete" }"#,
    );
    let serving = serving(&api, &text).await;
    accept(&serving, "1").await;
    let store = serving.store.clone();
    let cancelled = tokio::task::spawn_blocking(move || {
        let waiting = store.deliveries(DeliveryStatus::Pending, None, 9).unwrap();
        store
            .cancel(waiting[0].delivery.id, Timestamp::now())
            .unwrap()
    });
    assert!(cancelled.await.unwrap());
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni Cancelled"]);
    assert!(api.operations().is_empty());
    serving.stop().await;
}

#[tokio::test]
async fn calls_of_a_removed_rule_are_answered_and_archived() {
    let api = StubApi::new([]);
    let text = rule("DeleteEni").replace(
        "#{ Id: event.content.eniId }",
        r#"#{ Id: "x" }, #{ after: "1h" }"#,
    );
    let serving = serving(&api, &text).await;
    accept(&serving, "1").await;
    let folder = serving.stop().await;

    let mut parts = parts(&folder);
    parts
        .config
        .queues
        .push(api.target(ChangeLimit::default(), MINUTES));
    let serving = Serving::run(folder, parts).await;
    let answers = eventually(|| {
        let found = answers(&serving);
        (!found.is_empty()).then_some(found)
    })
    .await;
    let code = answers[0]
        .get("answer")
        .unwrap()
        .get("code")
        .unwrap()
        .clone();
    assert_eq!(code, Json::from("RuleGone"));
    let (_, status) = serving.get("/status", None).await;
    assert!(status.to_string().contains("call_failed"), "{status}");
    assert!(api.operations().is_empty());
    serving.stop().await;
}

#[tokio::test]
async fn calls_of_a_removed_target_are_answered() {
    let api = StubApi::new([]);
    let text = rule("DeleteEni").replace(
        "#{ Id: event.content.eniId }",
        r#"#{ Id: "x" }, #{ after: "1h" }"#,
    );
    let serving = serving(&api, &text).await;
    accept(&serving, "1").await;
    let folder = serving.stop().await;

    let mut parts = parts(&folder);
    parts.rules = rules(&text);
    let serving = Serving::run(folder, parts).await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni Undelivered"]);
    serving.stop().await;
}

#[tokio::test]
async fn a_failing_answered_loses_nothing() {
    let api = StubApi::new([]);
    let text = rule("DescribeEnis").replace("answered = '", "answered = 'event.id.nothing.at.all;");
    let serving = serving(&api, &text).await;
    accept(&serving, "1").await;
    let answers = eventually(|| {
        let found = answers(&serving);
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(answers.len(), 1);
    let (_, status) = serving.get("/status", None).await;
    assert!(status.to_string().contains("reaction_failed"), "{status}");
    serving.stop().await;
}

#[tokio::test]
async fn a_replay_runs_answered_again_and_calls_nothing() {
    let api = StubApi::new([]);
    let broken = rule("DescribeEnis").replace("answered = '", "answered = 'event.id.no.field;");
    let serving = serving(&api, &broken).await;
    accept(&serving, "1").await;
    eventually(|| (!answers(&serving).is_empty()).then_some(())).await;
    let folder = serving.stop().await;

    let text = rule("DescribeEnis");
    let mut parts = parts(&folder);
    with_api(&mut parts, &api, &text);
    let serving = Serving::run(folder, parts).await;
    let store = serving.store.clone();
    let replayed = tokio::task::spawn_blocking(move || {
        let run = |failed: bool| {
            let replay = Replay {
                failed,
                deliver: Some(format!("failed={failed}")),
                ..Replay::default()
            };
            let mut counts = (0, 0);
            let visited = replay.run(store.as_ref(), &rules(&text), |replayed| {
                let replayed = replayed.unwrap();
                counts.0 += replayed.deliveries.len();
                counts.1 += replayed.calls;
                true
            });
            visited.unwrap();
            counts
        };
        [run(true), run(false)]
    });
    // Only what was lost; then all, but for the call.
    assert_eq!(replayed.await.unwrap(), [(1, 0), (1, 1)]);
    assert_eq!(until_written(&serving, 2).await, ["DescribeEnis ok"; 2]);
    assert_eq!(api.operations().len(), 1);
    serving.stop().await;
}

#[tokio::test]
async fn messages_to_a_target_for_calls_are_dead_letters() {
    let api = StubApi::new([]);
    let text = "when = 'content.result == \"failed\"'\nthen = 'send(`e${\"cs\"}`, 1)'";
    let serving = serving(&api, text).await;
    accept(&serving, "1").await;
    let dead = eventually(|| {
        let store = &serving.store;
        let dead = store.deliveries(DeliveryStatus::Dead, None, 9).unwrap();
        (!dead.is_empty()).then_some(dead)
    })
    .await;
    let reason = dead[0].reason.as_deref().unwrap();
    assert!(reason.contains("takes calls of operations"), "{reason}");
    serving.stop().await;
}

#[tokio::test]
async fn a_target_for_messages_answers_calls() {
    let serving = Serving::with(|parts| {
        parts.rules = rules(&rule("DeleteEni").replace("\"ecs\"", "\"other\""));
        let folder = tempfile::tempdir().unwrap();
        let other = FileTarget::file(folder.path().join("other.ndjson"));
        parts.config.queues.push(queue("other", other, quick(1)));
    })
    .await;
    accept(&serving, "1").await;
    assert_eq!(until_written(&serving, 1).await, ["DeleteEni Undelivered"]);
    serving.stop().await;
}
