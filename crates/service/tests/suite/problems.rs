//! The list of problems: in `/status`, `/metrics` and the log.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_service::config::Secrets;
use reflexarc_service::store::DeliveryStatus;
use reflexarc_service::{Config, SqliteStore, Store};

use crate::samples::{OPTIONS, evaluation, event_text, incoming, send};
use crate::serving::{Parts, Serving, parts};

impl Serving {
    /// The problem with this name and subject, once it is in the list.
    pub(crate) async fn problem(&self, name: &str, subject: &str) -> Json {
        for _ in 0..600 {
            if let Some(found) = self.problem_now(name, subject).await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {name} of {subject}");
    }

    pub(crate) async fn problem_now(&self, name: &str, subject: &str) -> Option<Json> {
        let (_, status) = self.get("/status", None).await;
        let problems = status.get("problems").unwrap().elements().to_vec();
        let is = |problem: &&Json, key: &str, value: &str| {
            problem.get(key).and_then(Json::as_str) == Some(value)
        };
        let mut found = problems
            .iter()
            .filter(|problem| is(problem, "problem", name) && is(problem, "subject", subject));
        found.next().cloned()
    }

    pub(crate) async fn metric(&self, line: &str) -> bool {
        let (_, metrics) = self.get("/metrics", None).await;
        metrics.as_str().unwrap().lines().any(|found| found == line)
    }
}

pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

pub(crate) fn text(problem: &Json, key: &str) -> String {
    problem.get(key).unwrap().as_str().unwrap().to_owned()
}

/// What an earlier process left: an old delivery whose receiver is down, by a rule that is gone, a
/// dead letter, and a delivery to a target that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_an_operator_is_listed_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reflexarc.toml");
    // Nothing listens on port 9.
    let config = "[targets.out]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9\"\n\
                  allow = [\"127.0.0.0/8\"]\n";
    std::fs::write(&path, config).unwrap();
    let config = Config::load(&path, Secrets::Resolve(&|_| None)).unwrap();
    let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &OPTIONS).unwrap();
    let old = Timestamp::now() - SignedDuration::from_mins(20);
    let accept = |id: &str, rule: &str, target: &str| {
        let evaluation = evaluation(rule, vec![send(target, 1)], vec![]);
        blocking(|| store.accept(incoming(id), evaluation, old)).unwrap();
    };
    accept("1", "failed", "dead");
    blocking(|| store.dead_letter_target("dead", "unknown".into(), old)).unwrap();
    accept("2", "gone", "out");
    accept("3", "failed", "removed");
    // Eight of ten entries, and seven.
    for (rule, entries) in [("filling", 8), ("filled-less", 7)] {
        let entry = |key: usize| StateChange::Set {
            key: key.to_string(),
            value: Json::from(1),
            expires: None,
        };
        let evaluation = evaluation(rule, vec![], (0..entries).map(entry).collect());
        blocking(|| store.accept(incoming(rule), evaluation, old)).unwrap();
    }
    let rules = ["failed", "filling", "filled-less"].map(|name| {
        let text = "state = { max_entries = 10 }\nwhen = 'x exists'\nthen = 'set(event.x, 1)'";
        (format!("{name}.toml"), text)
    });
    let parts = Parts {
        config,
        store: Arc::new(store),
        rules: reflexarc::RuleSet::compile(rules).unwrap(),
    };
    let serving = Serving::run(folder, parts).await;
    let letters = serving.problem("dead_letters", "dead").await;
    assert_eq!(letters.get("count").unwrap().to_string(), "1");
    assert!(text(&letters, "action").contains("dlq list"), "{letters}");
    serving.problem("dead_letters", "removed").await;
    let aging = serving.problem("queue_aging", "out").await;
    assert!(
        text(&aging, "detail").contains("oldest of 1 deliveries"),
        "{aging}"
    );
    let gone = serving.problem("rule_gone", "gone").await;
    assert!(
        text(&gone, "detail").contains("1 pending deliveries"),
        "{gone}"
    );
    let filling = serving.problem("state_filling", "filling").await;
    assert_eq!(text(&filling, "detail"), "8 state entries of at most 10");
    for line in [
        r#"reflexarc_rule_state_entries{rule="filling"} 8"#,
        r#"reflexarc_rule_state_entries{rule="filled-less"} 7"#,
    ] {
        assert!(serving.metric(line).await, "{line}");
    }
    for (problem, count) in [
        ("dead_letters", 2),
        ("queue_aging", 1),
        ("rule_gone", 1),
        ("state_filling", 1),
    ] {
        let line = format!("reflexarc_problems{{problem=\"{problem}\"}} {count}");
        assert!(serving.metric(&line).await, "{line}");
    }
    // Levels are over when their cause is; the next check is ten seconds later.
    blocking(|| {
        let store = &serving.store;
        for record in store.deliveries(DeliveryStatus::Pending, None, 9).unwrap() {
            store.cancel(record.delivery.id, Timestamp::now()).unwrap();
        }
        for record in store.deliveries(DeliveryStatus::Dead, None, 9).unwrap() {
            store
                .drop_dead_letter(record.delivery.id, Timestamp::now())
                .unwrap();
        }
    });
    for (name, subject) in [("queue_aging", "out"), ("dead_letters", "dead")] {
        let begun = std::time::Instant::now();
        while serving.problem_now(name, subject).await.is_some() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{name} is never over"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    serving.stop().await;
}

#[tokio::test]
async fn failures_and_refusals_are_listed_from_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(&folder);
    let rule = "when = 'content.result == \"failed\"'\nthen = 'throw \"no team\";'";
    parts.rules = reflexarc::RuleSet::compile([("a.toml", rule)]).unwrap();
    let serving = Serving::run(folder, parts).await;
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    let failed = serving.problem("reaction_failed", "a").await;
    assert!(text(&failed, "detail").contains("no team"), "{failed}");
    assert_eq!(failed.get("count").unwrap().to_string(), "1");
    assert_eq!(text(&failed, "since"), text(&failed, "last"));
    serving.post("application/json", "[7]").await;
    serving.problem("requests_refused", "400").await;
    let line = r#"reflexarc_problem_occurrences_total{problem="reaction_failed"} 1"#;
    assert!(serving.metric(line).await);
    serving.stop().await;
}

/// A month has passed since the last event, or the clock is a month ahead: nothing is pruned and no
/// delivery is too old until an operator says that the clock is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_clock_drops_nothing_until_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(&folder);
    let month = SignedDuration::from_hours(24 * 31);
    let old = Timestamp::now() - month;
    blocking(|| {
        let store = &parts.store;
        for (id, actions) in [("done", vec![]), ("waits", vec![send("down", 1)])] {
            let evaluation = evaluation("failed", actions, vec![]);
            store.accept(incoming(id), evaluation, old).unwrap();
        }
    });
    let path = folder.path().join("down.toml");
    let config = "[targets.down]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9\"\n\
                  allow = [\"127.0.0.0/8\"]\n";
    std::fs::write(&path, config).unwrap();
    let config = Config::load(&path, Secrets::Resolve(&|_| None)).unwrap();
    parts.config.queues.extend(config.queues);
    let serving = Serving::run(folder, parts).await;
    let jump = serving.problem("clock_jump", "").await;
    assert!(
        text(&jump, "detail").contains("ahead of the time"),
        "{jump}"
    );
    // It has been attempted more than once, and is not too old.
    let attempts = || {
        let pending = serving.store.deliveries(DeliveryStatus::Pending, None, 9);
        blocking(|| pending)
            .unwrap()
            .first()
            .map(|record| record.delivery.attempt)
    };
    let begun = std::time::Instant::now();
    while attempts().expect("it is pending") < 3 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it is not attempted"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "retries wait"
    );
    assert_eq!(blocking(|| serving.store.find("done")).unwrap().len(), 1);
    let (status, answer) = serving.post_to("/clock/confirm", &[], "").await;
    assert_eq!(status, 200, "{answer}");
    assert!(serving.problem_now("clock_jump", "").await.is_none());
    serving.problem("dead_letters", "down").await;
    let letters = blocking(|| serving.store.deliveries(DeliveryStatus::Dead, None, 9)).unwrap();
    assert!(
        letters[0].reason.as_deref().unwrap().contains("24h"),
        "{letters:?}"
    );
    serving.stop().await;
}

/// A dead letter that is older than the configuration allows is dropped, and an operator sees that;
/// but not because of a jump of the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_dead_letters_are_dropped_with_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(&folder);
    let old = Timestamp::now() - SignedDuration::from_hours(24 * 100);
    blocking(|| {
        let evaluation = evaluation("failed", vec![send("gone", 1)], vec![]);
        parts.store.accept(incoming("1"), evaluation, old).unwrap();
        let moved = parts.store.dead_letter_target("gone", "gone".into(), old);
        assert_eq!(moved.unwrap(), 1);
    });
    let serving = Serving::run(folder, parts).await;
    serving.problem("clock_jump", "").await;
    serving.problem("dead_letters", "gone").await;
    let (status, _) = serving.post_to("/clock/confirm", &[], "").await;
    assert_eq!(status, 200);
    let dropped = serving.problem("dead_letters_dropped", "gone").await;
    assert_eq!(dropped.get("count").unwrap().to_string(), "1");
    assert!(
        serving
            .metric("reflexarc_dead_letters_dropped_total 1")
            .await
    );
    let (_, status) = serving.get("/status", None).await;
    let letters = status.get("dead_letters").unwrap();
    assert_eq!(letters.get("dropped").unwrap().to_string(), "1");
    assert_eq!(letters.get("count").unwrap().to_string(), "0");
    serving.stop().await;
}
