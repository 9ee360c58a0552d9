//! Changes of many deliveries in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::store::{
    AuditOutcome, AuditVia, DeliveryFilter, DeliveryStatus, NewAuditEntry,
};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Metadata, Subscriber};

use crate::delivering::{queue, quick, webhook};
use crate::operation_records::{alter, audit};
use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::{evaluation, event_text, incoming, send};
use crate::serving::{Parts, Serving, parts};

/// Parts whose store has so many dead letters to `out` of each of these rules.
async fn with_dead_letters(rules: &[(&'static str, i64)]) -> (tempfile::TempDir, Parts) {
    let rules = rules.to_vec();
    // Accepting waits for the writer, which async code must not.
    let accept = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(&folder);
        for (rule, count) in rules {
            let actions = (0..count).map(|number| send("out", number)).collect();
            let evaluation = evaluation(rule, actions, vec![]);
            let accepted = parts
                .store
                .accept(incoming(rule), evaluation, Timestamp::now());
            accepted.unwrap();
        }
        let dead = parts
            .store
            .dead_letter_target("out", "down".into(), Timestamp::now());
        assert!(dead.unwrap() > 0);
        (folder, parts)
    });
    accept.await.unwrap()
}

async fn start(serving: &Serving, path: &str) -> Json {
    let (status, job) = serving.post_to(path, &[], "").await;
    assert_eq!(status, 202, "{job}");
    job
}

fn number(json: &Json, name: &str) -> i64 {
    json.get(name).and_then(Json::as_i64).unwrap()
}

/// The job once it has ended.
async fn ended(serving: &Serving, id: i64) -> Json {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, body) = serving.get("/jobs", None).await;
        let jobs = body.get("jobs").unwrap().elements();
        let job = jobs.iter().find(|job| number(job, "id") == id).unwrap();
        assert!(number(job, "done") <= number(job, "total"), "{job}");
        if job.get("finished") != Some(&Json::Null) {
            return job.clone();
        }
        assert!(Instant::now() < deadline, "{job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn count(serving: &Serving, status: DeliveryStatus, rule: Option<&str>) -> u64 {
    let mut filter = DeliveryFilter::of(status);
    filter.rule = rule.map(str::to_owned);
    let store = serving.store.clone();
    let count = move || store.count_deliveries(&filter, 1_000_000).unwrap();
    tokio::task::spawn_blocking(count).await.unwrap()
}

#[tokio::test]
async fn a_redrive_of_many_goes_beside_new_events() {
    let (folder, parts) = with_dead_letters(&[("lost", 2_500), ("other", 10)]).await;
    let serving = Serving::run(folder, parts).await;
    let job = start(&serving, "/dlq/redrive?target=out&rule=lost").await;
    assert_eq!(number(&job, "total"), 2_500);
    let id = number(&job, "id");
    for event in 0..50 {
        let text = event_text(&format!("new-{event}"), &format!("eni-{event}"));
        let (status, body) = serving.post("application/json", text).await;
        assert_eq!(status, 200, "{body}");
    }
    let job = ended(&serving, id).await;
    assert_eq!((number(&job, "done"), number(&job, "failed")), (2_500, 0));
    assert_eq!(job.get("message"), Some(&Json::Null));
    let deadline = Instant::now() + Duration::from_secs(60);
    while serving.lines().len() < 2_550 {
        assert!(Instant::now() < deadline, "{} lines", serving.lines().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(serving.lines().len(), 2_550);
    assert_eq!(count(&serving, DeliveryStatus::Dead, None).await, 10);
    let entries = audit(&serving);
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!((entry.id, entry.count), (id, 2_500));
    assert_eq!(entry.outcome, AuditOutcome::Done);
    // With the time of the request: the same again would change the same.
    let until = entry.at;
    let subject = format!("target out, rule lost, until {until}");
    assert_eq!(entry.subject, subject);
    let command = format!("reflexarc dlq redrive --all --target out --rule lost --until {until}");
    assert_eq!(entry.command, command);
    // The rest is dropped.
    let job = start(&serving, "/dlq/drop").await;
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(number(&job, "done"), 10);
    assert_eq!(
        count(&serving, DeliveryStatus::Dropped, Some("other")).await,
        10
    );
    serving.stop().await;
}

/// Panics at the first line of the log about work in the background.
struct PanickingLog(AtomicBool);

impl Subscriber for PanickingLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().ends_with("::operate::jobs") && *metadata.level() == Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        assert!(self.0.swap(true, Ordering::Relaxed), "a bug");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn work_that_panics_ends_as_failed() {
    // While there is one subscriber only, a line that another test reaches first is off for all
    // threads, because that thread has none.
    let _other = Dispatch::new(NoSubscriber::new());
    // Of this thread, on which the tasks of this test run.
    let log = tracing::subscriber::set_default(PanickingLog(AtomicBool::new(false)));
    let (folder, parts) = with_dead_letters(&[("lost", 1_200)]).await;
    let serving = Serving::run(folder, parts).await;
    let job = start(&serving, "/dlq/drop").await;
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(number(&job, "done"), 1_000);
    let message = job.get("message").and_then(Json::as_str).unwrap();
    assert!(message.starts_with("internal error: "), "{message}");
    let recorded = eventually(|| {
        audit(&serving)
            .pop()
            .filter(|entry| entry.finished.is_some())
    });
    let recorded = recorded.await;
    assert_eq!(
        (recorded.outcome, recorded.count),
        (AuditOutcome::Failed, 1_000)
    );
    assert_eq!(recorded.message, message);
    // The next job changes the rest.
    let job = start(&serving, "/dlq/drop").await;
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(
        (number(&job, "done"), job.get("message")),
        (200, Some(&Json::Null))
    );
    serving.stop().await;
    drop(log);
}

/// What is not begun because the store fails is recorded too.
#[tokio::test]
async fn work_that_cannot_begin_is_recorded_as_failed() {
    let (folder, parts) = with_dead_letters(&[("lost", 1)]).await;
    let serving = Serving::run(folder, parts).await;
    alter(&serving, "DROP INDEX delivery_dead");
    let (status, answer) = serving.post_to("/dlq/drop?reason=x", &[], "").await;
    assert_eq!(status, 503, "{answer}");
    let failed = audit(&serving).pop().unwrap();
    assert_eq!((failed.outcome, failed.count), (AuditOutcome::Failed, 0));
    let error = answer.get("error").and_then(Json::as_str);
    assert_eq!(Some(failed.message.as_str()), error);
    serving.stop().await;
}

#[tokio::test]
async fn what_dies_again_is_not_redriven_twice() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(422))).await;
    let (folder, mut parts) = with_dead_letters(&[("lost", 1_200)]).await;
    parts.config.queues = vec![queue("out", webhook(&receiver.url), quick(1))];
    let serving = Serving::run(folder, parts).await;
    let job = start(&serving, "/dlq/redrive").await;
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(number(&job, "done"), 1_200);
    receiver.wait(1_200).await;
    while count(&serving, DeliveryStatus::Dead, None).await < 1_200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(receiver.calls().len(), 1_200);
    serving.stop().await;
}

/// A form has the time of its preview, and the rest of the letters stays.
#[tokio::test]
async fn letters_that_come_after_the_preview_stay() {
    let (folder, parts) = with_dead_letters(&[("lost", 3)]).await;
    let store = parts.store.clone();
    let serving = Serving::run(folder, parts).await;
    let until = Timestamp::now();
    let later = tokio::task::spawn_blocking(move || {
        let evaluation = evaluation("lost", vec![send("none", 9)], vec![]);
        store
            .accept(incoming("later"), evaluation, Timestamp::now())
            .unwrap();
        store
            .dead_letter_target("none", "down".into(), Timestamp::now())
            .unwrap()
    });
    assert_eq!(later.await.unwrap(), 1);
    let job = start(&serving, &format!("/dlq/drop?rule=lost&until={until}")).await;
    assert_eq!(number(&job, "total"), 3);
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(number(&job, "done"), 3);
    assert_eq!(count(&serving, DeliveryStatus::Dead, None).await, 1);
    serving.stop().await;
}

#[tokio::test]
async fn selected_deliveries_are_changed_at_once() {
    let (folder, parts) = with_dead_letters(&[("lost", 4)]).await;
    let serving = Serving::run(folder, parts).await;
    serving.post_to("/targets/out/pause", &[], "").await;
    let letters = serving.store.deliveries(DeliveryStatus::Dead, None, 9);
    let letters = letters.unwrap();
    let id = |index: usize| letters[index].delivery.id.to_string();
    let missing = "8b2a0000000000000000000000000001";
    let post = async |path: &str| {
        let (status, body) = serving.post_to(path, &[], "").await;
        (status, body.to_string())
    };
    let path = format!("/dlq/redrive?id={}&id={}&id={missing}", id(0), id(1));
    let done = r#"{"changed":2,"unchanged":0,"missing":1}"#;
    assert_eq!(post(&path).await, (200, done.to_owned()));
    assert_eq!(count(&serving, DeliveryStatus::Pending, None).await, 2);
    let path = format!("/dlq/drop?id={}&id={}", id(1), id(2));
    let done = r#"{"changed":1,"unchanged":1,"missing":0}"#;
    assert_eq!(post(&path).await, (200, done.to_owned()));
    assert_eq!(count(&serving, DeliveryStatus::Dropped, None).await, 1);
    let path = format!("/outbox/cancel?id={}", id(0));
    let done = r#"{"changed":1,"unchanged":0,"missing":0}"#;
    assert_eq!(post(&path).await, (200, done.to_owned()));
    // The delivery is cancelled already; no id is given; an id and a filter.
    let (status, body) = post(&path).await;
    assert_eq!(status, 409, "{body}");
    assert!(
        body.contains("nothing was changed; 1 left unchanged"),
        "{body}"
    );
    assert_eq!(post("/dlq/drop?id=").await.0, 400);
    assert_eq!(
        post(&format!("/dlq/drop?id={}&rule=lost", id(3))).await.0,
        400
    );
    let many = "&id=8b2a0000000000000000000000000001".repeat(101);
    let (status, body) = post(&format!("/dlq/drop?{many}")).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("more than 100"), "{body}");

    let entries = audit(&serving);
    let [_, redriven, dropped, cancelled, refused] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!(redriven.operation, "redrive_selected");
    assert_eq!((redriven.outcome, redriven.count), (AuditOutcome::Done, 2));
    assert_eq!(redriven.subject, "3 deliveries");
    let ids = format!(r#"{{"ids":["{}","{}","{missing}"]}}"#, id(0), id(1));
    assert_eq!(redriven.details, ids);
    let command = format!("reflexarc dlq redrive {} {} {missing}", id(0), id(1));
    assert_eq!(redriven.command, command);
    assert_eq!(
        redriven.message,
        "2 dead letters moved back to the outbox; 1 not found"
    );
    assert_eq!(dropped.message, "1 dead letter dropped; 1 left unchanged");
    assert_eq!(cancelled.message, "1 waiting delivery cancelled");
    assert_eq!(refused.outcome, AuditOutcome::Refused);
    serving.stop().await;
}

#[tokio::test]
async fn two_operators_at_once_change_each_delivery_once() {
    let (folder, parts) = with_dead_letters(&[("lost", 3_000)]).await;
    let serving = Serving::run(folder, parts).await;
    let paused = serving.post_to("/targets/out/pause", &[], "").await;
    assert_eq!(paused.0, 200);
    let first = start(&serving, "/dlq/redrive?target=out").await;
    let second = start(&serving, "/dlq/drop?rule=lost").await;
    let mut done = [0; 2];
    for (done, job) in done.iter_mut().zip([first, second]) {
        let job = ended(&serving, number(&job, "id")).await;
        *done = number(&job, "done");
    }
    assert_eq!(done[0] + done[1], 3_000, "{done:?}");
    let pending = count(&serving, DeliveryStatus::Pending, None).await;
    let dropped = count(&serving, DeliveryStatus::Dropped, None).await;
    assert_eq!([pending, dropped].map(u64::cast_signed), done);
    // Pending ones are cancelled in the same way.
    let job = start(&serving, "/outbox/cancel?target=out").await;
    let job = ended(&serving, number(&job, "id")).await;
    assert_eq!(number(&job, "done").unsigned_abs(), pending);
    assert_eq!(
        count(&serving, DeliveryStatus::Cancelled, None).await,
        pending
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_stop_ends_work_and_the_record_says_how_far_it_came() {
    let (folder, parts) = with_dead_letters(&[("lost", 6_000)]).await;
    let serving = Serving::run(folder, parts).await;
    serving.post_to("/targets/out/pause", &[], "").await;
    let job = start(&serving, "/dlq/redrive").await;
    let folder = serving.stop().await;
    let parts = crate::serving::parts(&folder);
    // As a process that was killed has left it, and a command that still runs.
    let begun = |via| NewAuditEntry {
        at: Timestamp::now(),
        by: "alice".into(),
        via,
        operation: "drop_matching".into(),
        subject: "all".into(),
        details: "{}".into(),
        command: "reflexarc dlq drop --all".into(),
        outcome: AuditOutcome::Begun,
        count: 1_000,
        message: String::new(),
    };
    let store = parts.store.clone();
    let killed = tokio::task::spawn_blocking(move || {
        store.append_audit(begun(AuditVia::Command)).unwrap();
        store.append_audit(begun(AuditVia::Console)).unwrap()
    });
    let killed = killed.await.unwrap();
    let serving = Serving::run(folder, parts).await;
    assert_eq!(serving.get("/readyz", None).await.0, 200);
    let entries = audit(&serving);
    let entry = |id| entries.iter().find(|entry| entry.id == id).unwrap();
    let stopped = entry(number(&job, "id"));
    let pending = count(&serving, DeliveryStatus::Pending, None).await;
    let dead = count(&serving, DeliveryStatus::Dead, None).await;
    assert_eq!((stopped.count, pending + dead), (pending, 6_000));
    if dead > 0 {
        assert_eq!(stopped.outcome, AuditOutcome::Failed);
        assert_eq!(stopped.message, "the service was stopped before the end");
    }
    let after_kill = entry(killed);
    assert_eq!(
        (after_kill.outcome, after_kill.count),
        (AuditOutcome::Failed, 1_000)
    );
    assert!(after_kill.finished.is_some());
    assert_eq!(entry(killed - 1).outcome, AuditOutcome::Begun);
    let (_, jobs) = serving.get("/jobs", None).await;
    assert_eq!(jobs.to_string(), r#"{"jobs":[]}"#);
    serving.stop().await;
}
