//! Budgets: a rule that needs too much is cut off and named, and costs the others nothing.

use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_service::Config;
use reflexarc_service::budgets::RuleBudget;
use reflexarc_service::config::Secrets;
use reflexarc_service::operate::{Replay, Replayed};

use crate::problems::{blocking, text};
use crate::receiver::eventually;
use crate::samples::event_text;
use crate::serving::{Parts, RULE, Serving, parts};

const EVENTS: usize = 60;

/// Within the limits of one run, all of them.
const HOSTILE: [(&str, &str); 4] = [
    (
        "loops",
        "let n = 0; while n < 7000 { n += 1 } send(\"out\", n)",
    ),
    (
        "sends",
        "let t = \"\"; t.pad(30000, \"x\"); for n in 0..100 { send(\"out\", t) }",
    ),
    (
        "stores",
        "let t = \"\"; t.pad(16000, \"x\"); for n in 0..200 { set(`${n}`, t) }",
    ),
    (
        "logs",
        "let t = \"\"; t.pad(4000, \"x\"); for n in 0..100 { log(t) } send(\"out\", 1)",
    ),
];

/// So little that the second reaction is refused, and the third a while after.
fn tiny() -> RuleBudget {
    let mut budget = RuleBudget::DEFAULT;
    budget.time = Duration::from_micros(1);
    budget.time_burst = Duration::from_micros(1);
    (budget.bytes, budget.bytes_burst) = (1, 1);
    budget
}

fn batch(count: usize) -> String {
    let event = |n: usize| event_text(&n.to_string(), &format!("eni-{}", n % 7));
    (0..count).map(event).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_rules_are_cut_off_and_others_are_complete() {
    let lost = "when = 'content.result == \"failed\"'\nthen = 'send(\"out\", 1)'".to_owned();
    for (name, script) in HOSTILE {
        let serving = Serving::with(|parts| {
            let hostile = format!("when = 'content.result == \"failed\"'\nthen = '''{script}'''");
            let mut files = vec![(format!("{name}.toml"), hostile)];
            files.extend((0..3).map(|n| (format!("other-{n}.toml"), RULE.to_owned())));
            parts.rules = RuleSet::compile(files).unwrap();
            parts.config.budgets.rules.insert(name.to_owned(), tiny());
        })
        .await;
        let (status, _) = serving.post("application/x-ndjson", batch(EVENTS)).await;
        assert_eq!(status, 200, "{name}");
        let of_others = |line: &Json| line.to_string().contains("\"other-");
        let others = || {
            serving
                .lines()
                .iter()
                .filter(|line| of_others(line))
                .count()
        };
        eventually(|| (others() == 3 * EVENTS).then_some(())).await;

        let problem = serving.problem("over_budget", name).await;
        let refused: usize = problem.get("count").unwrap().to_string().parse().unwrap();
        // Both workers may begin one before the first is charged.
        assert!((EVENTS - 4..EVENTS).contains(&refused), "{name}: {refused}");
        let detail = text(&problem, "detail");
        assert!(
            detail.contains(&format!("`{name}` is over its budget")),
            "{detail}"
        );
        assert!(
            detail.contains(&format!("[budgets.rules.{name:?}]")),
            "{detail}"
        );
        assert!(
            text(&problem, "action").contains("replay --failed"),
            "{problem}"
        );
        for line in [
            format!("reflexarc_reactions_over_budget_total{{rule={name:?}}} {refused}"),
            "reflexarc_problems{problem=\"over_budget\"} 1".to_owned(),
        ] {
            assert!(serving.metric(&line).await, "{line}");
        }
        // One that was begun may run into its deadline, on a slow machine.
        let mut failed = None;
        for number in refused..=EVENTS {
            let line = format!("reflexarc_reactions_failed_total {number}");
            if serving.metric(&line).await {
                failed = Some(number);
            }
        }
        let failed = failed.unwrap();
        let only_refused = "reflexarc_problems{problem=\"reaction_failed\"} 0";
        assert!(failed > refused || serving.metric(only_refused).await);
        // Each event's record says so, which is what a replay goes by.
        let evaluation = serving.store.find("50").unwrap()[0]
            .evaluation
            .clone()
            .unwrap();
        let failure = &evaluation.get("failures").unwrap().elements()[0];
        assert_eq!(failure.get("rule").and_then(Json::as_str), Some(name));
        let (_, status) = serving.get("/status", None).await;
        let budgets = status.get("budgets").unwrap().to_string();
        assert!(budgets.contains(name), "{budgets}");
        // What was lost is found, and nothing else is sent again.
        let replay = Replay {
            failed: true,
            deliver: Some("again".to_owned()),
            ..Replay::default()
        };
        let rules = RuleSet::compile([(format!("{name}.toml"), lost.clone())]).unwrap();
        let (mut events, mut deliveries) = (0, 0);
        let visit = |replayed: Result<Replayed, _>| {
            events += 1;
            deliveries += replayed.unwrap().deliveries.len();
            true
        };
        blocking(|| replay.run(&*serving.store, &rules, visit)).unwrap();
        assert_eq!((events, deliveries), (failed, failed), "{name}");
        serving.stop().await;
    }
}

/// The elements of many arrays in all combinations: without a limit, hours for one event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_without_end_are_cut_off_like_scripts() {
    let pairs: Vec<_> = (0..8)
        .map(|n| format!("a{n}.x == 1 and a{n}.y == 1"))
        .collect();
    let filter = format!(
        "id exists and not ({} and z.x == 1 and z.y == 1)",
        pairs.join(" and ")
    );
    let serving = Serving::with(|parts| {
        let hostile = format!("when = '{filter}'\nthen = 'send(\"out\", 1)'");
        let other = "when = 'id exists'\nthen = 'send(\"out\", 2)'".to_owned();
        let files = [("hostile.toml", hostile), ("other.toml", other)];
        parts.rules = RuleSet::compile(files).unwrap();
        parts
            .config
            .budgets
            .rules
            .insert("hostile".to_owned(), tiny());
    })
    .await;
    let both = vec![r#"{"x": 1, "y": 1}"#; 20].join(", ");
    let arrays: Vec<_> = (0..8).map(|n| format!("\"a{n}\": [{both}]")).collect();
    let one = [[r#"{"x": 1}"#; 21], [r#"{"y": 1}"#; 21]]
        .concat()
        .join(", ");
    let event = |id: usize| format!(r#"{{"id": "{id}", {}, "z": [{one}]}}"#, arrays.join(", "));
    let batch: Vec<_> = (0..20).map(event).collect();
    let (status, _) = serving.post("application/x-ndjson", batch.join("\n")).await;
    assert_eq!(status, 200);
    let lines = eventually(|| Some(serving.lines()).filter(|lines| lines.len() == 20)).await;
    assert!(
        lines
            .iter()
            .all(|line| line.get("send").unwrap().as_i64() == Some(2))
    );
    let failed = serving.problem("reaction_failed", "hostile").await;
    assert!(
        text(&failed, "detail").contains("too many combinations"),
        "{failed}"
    );
    let refused = serving.problem("over_budget", "hostile").await;
    let count =
        |problem: &Json| -> usize { problem.get("count").unwrap().to_string().parse().unwrap() };
    assert_eq!(count(&failed) + count(&refused), 20);
    assert!(count(&refused) >= 16, "{refused}");
    serving.stop().await;
}

/// A rule that conflicts with itself is evaluated twice for nearly every event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_evaluations_are_decided_once() {
    let counter = "when = 'content.result == \"failed\"'\nthen = '''
        let n = add(\"n\", 1);
        let t = \"\"; t.pad(6000, \"x\");
        log(t);
        log(t);
        send(\"out\", n);'''";
    let serving = Serving::with(|parts| {
        parts.rules = RuleSet::compile([("counter.toml", counter)]).unwrap();
        let mut budget = RuleBudget::DEFAULT;
        // For 20 runs of about 4,100 bytes above what is free.
        (budget.bytes, budget.bytes_burst) = (1, 20 * 4_000);
        parts.config.budgets.default = budget;
    })
    .await;
    serving.post("application/x-ndjson", batch(EVENTS)).await;
    let problem = serving.problem("over_budget", "counter").await;
    let refused: usize = problem.get("count").unwrap().to_string().parse().unwrap();
    let sent = EVENTS - refused;
    assert!((19..=24).contains(&sent), "{sent}");
    // No gap and no repetition in the counter, whichever evaluations were refused.
    let lines = eventually(|| Some(serving.lines()).filter(|lines| lines.len() == sent)).await;
    let mut counts: Vec<_> = lines
        .iter()
        .map(|line| line.get("send").unwrap().as_i64())
        .collect();
    counts.sort_unstable();
    assert!(counts.into_iter().eq((1..).map(Some).take(sent)));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_budgets_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reflexarc.toml");
    let write = |budgets: &str| {
        let out = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
        std::fs::write(&path, format!("{out}{budgets}")).unwrap();
    };
    write("[budgets]\nbytes = 1\nbytes_burst = 1\n");
    let parts = parts(&folder);
    let big = "when = 'content.result == \"failed\"'\nthen = '''
        let t = \"\"; t.pad(6000, \"x\"); send(\"out\", t);'''";
    std::fs::write(folder.path().join("rules/big.toml"), big).unwrap();
    let config = Config::load(&path, Secrets::Resolve(&|_| None)).unwrap();
    let rules = config.load_rules().unwrap();
    let serving = Serving::run(
        folder,
        Parts {
            config,
            rules,
            ..parts
        },
    )
    .await;
    let big_lines = |serving: &Serving| {
        let lines = serving.lines();
        lines
            .iter()
            .filter(|line| line.to_string().len() > 6_000)
            .count()
    };
    for id in ["1", "2", "3"] {
        serving
            .post("application/json", event_text(id, "eni-1"))
            .await;
    }
    serving.problem("over_budget", "big").await;
    eventually(|| (serving.lines().len() >= 4).then_some(())).await;
    assert_eq!(big_lines(&serving), 1);
    write("[budgets]\nbytes = 1\nbytes_burst = 1\n[budgets.rules.big]\nbytes_burst = 100_000\n");
    assert_eq!(serving.post_to("/reload", &[], "").await.0, 200);
    serving
        .post("application/json", event_text("4", "eni-1"))
        .await;
    eventually(|| (big_lines(&serving) == 2).then_some(())).await;
    // An invalid budget stays as it was, whatever else is taken.
    write("[budgets]\nbytes = 0\n");
    let (status, answer) = serving.post_to("/reload", &[], "").await;
    assert_eq!(status, 422);
    assert_eq!(answer.get("refused").unwrap().to_string(), r#"["budgets"]"#);
    serving
        .post("application/json", event_text("5", "eni-1"))
        .await;
    eventually(|| (big_lines(&serving) == 3).then_some(())).await;
    serving.stop().await;
}

#[test]
fn budgets_are_read_from_the_configuration() {
    let read = |text: &str| Config::read(text, std::path::Path::new(""), Secrets::Skip);
    let text = "[budgets]\ntime = \"50ms\"\n[budgets.rules.heavy]\ntime_burst = \"1h\"\nbytes = 9";
    let budgets = read(text).unwrap().budgets;
    let default = budgets.of("other");
    assert_eq!(default.time, Duration::from_millis(50));
    assert_eq!(default.time_burst, RuleBudget::DEFAULT.time_burst);
    let heavy = budgets.of("heavy");
    assert_eq!((heavy.time, heavy.bytes), (Duration::from_millis(50), 9));
    assert_eq!(heavy.time_burst, Duration::from_secs(3600));
    for (text, message) in [
        ("[budgets]\ntime = \"2h\"", "`time` is longer than an hour"),
        ("[budgets]\nbytes = 0", "`bytes`"),
        ("[budgets]\ntimes = \"1s\"", "unknown key `times`"),
        ("[budgets.rules]\nheavy = 1", "a table"),
        ("[budgets.rules.a]\nbyte = 1", "unknown key `byte`"),
    ] {
        let error = read(text).err().unwrap().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}
