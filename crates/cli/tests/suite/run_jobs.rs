//! `run` prints the same with any number of jobs: stdout, stderr and exit code.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use crate::{Outcome, reflexarc_in, root};

/// Rules beside the ready-made ones: each event changes the same entry, reactions that fail, emit
/// and are gated, and one whose effects are larger than what may be kept ahead.
const RULES: [(&str, &str); 7] = [
    ("hot", "then = 'send(\"t\", add(\"n\", 1))'"),
    (
        "throws",
        "then = 'if event.n % 3 == 1 { throw `no ${event.n}` } send(\"t\", event.n)'",
    ),
    (
        "emits",
        "then = 'emit(#{name: \"Automation:RequestSent\", requestId: `r-${event.n}`})'",
    ),
    (
        "once",
        "then = 'send(\"t\", event.n)'\nonce = { key = \"n\", within = \"10s\" }",
    ),
    (
        "throttled",
        "notify = [\"team\"]\nthrottle = { every = \"7s\" }",
    ),
    (
        "expires",
        "then = 'log(get(\"k\")); set(\"k\", event.n, \"3s\")'",
    ),
    (
        "large",
        "then = 'if event.n % 10 == 0 { let x = \"x\"; x.pad(60000, \"x\"); for i in 0..9 \
         { send(\"t\", x) } }'",
    ),
];

/// Rules with a time window of each kind.
const WINDOW_RULES: [(&str, &str); 6] = [
    (
        "unattached",
        "when = 'content.operation == \"DetachNetworkInterface\"'\nby = 'content.eniId'\n\
         not_followed_by = { when = 'content.operation == \"AttachNetworkInterface\"', \
         within = '2m' }\nthen = 'send(\"t\", add(key, count))'\nresolved = 'log(closing)'",
    ),
    (
        "failing",
        "when = 'content.result == \"failed\"'\nby = 'content.eniId'\n\
         count = { at_least = 2, within = '5m' }\nthen = 'log(events.len())'",
    ),
    (
        "detached",
        "when = 'content.operation == \"AttachNetworkInterface\"'\nby = 'content.eniId'\n\
         followed_by = { when = 'content.operation == \"DetachNetworkInterface\"', \
         within = '1h' }\nthen = 'emit(#{n: 3})'",
    ),
    (
        "absent",
        "when = 'content exists'\nby = 'regionId'\nabsent_for = '1m'\nexpect = ['cn-beijing']\n\
         notify = ['team']",
    ),
    (
        "batched",
        "when = 'n exists'\nbatch = { within = '1m', max = 7 }\nthen = 'send(\"t\", count)'",
    ),
    (
        "fails_late",
        "when = 'n < 5'\nby = 'n'\nnot_followed_by = { when = 'n > 30', within = '20s' }\n\
         then = 'throw key'",
    ),
];

const OPERATIONS: [&str; 4] = ["Create", "Attach", "Detach", "Delete"];

/// A folder with the ready-made rules, [`RULES`] and [`WINDOW_RULES`].
fn rules_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    crate::readme::copy(&root().join("rules"), folder.path());
    for (name, reaction) in RULES {
        let text = format!("when = 'n exists'\n{reaction}\n");
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    for (name, text) in WINDOW_RULES {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    folder
}

/// An ENI event in native form: operation, interface, whether it succeeded, and its time as a
/// second, if it has one.
fn eni_event((operation, eni, ok, second): (usize, u32, bool, Option<u32>)) -> String {
    let time = second.map_or(String::new(), |second| {
        let (minute, second) = (second / 60, second % 60);
        format!(r#""eventTime": "20240514T10{minute:02}{second:02}.377+0800","#)
    });
    let result = if ok { "success" } else { "failed" };
    let operation = OPERATIONS[operation];
    format!(
        r#"{{"id": "e-{eni}", "product": "ECS", {time}
            "name": "NetworkInterface:NetworkInterfaceOperateCompleted", "regionId": "cn-hangzhou",
            "userId": "1690704567890130", "content": {{"eniId": "eni-{eni}",
            "operation": "{operation}NetworkInterface", "result": "{result}",
            "requestId": "r-{eni}", "primaryPrivateIp": "10.255.0.{eni}"}}}}"#
    )
    .replace('\n', " ")
}

/// A line of input: events in several envelopes, lists of them, and what is no event.
fn line() -> impl Strategy<Value = String> {
    let second = prop::option::weighted(0.8, 0..3000_u32);
    let eni = || {
        (
            0..4_usize,
            0..5_u32,
            prop::bool::weighted(0.7),
            second.clone(),
        )
    };
    prop_oneof![
        8 => eni().prop_map(eni_event),
        4 => (0..40_u32).prop_map(|n| format!(r#"{{"n": {n}}}"#)),
        1 => (0..40_u32, 0..99_u32).prop_map(|(n, second)| {
            format!(r#"{{"n": {n}, "time": "2024-05-14T02:00:{:02}Z"}}"#, second % 60)
        }),
        1 => Just(r#"{"kind": "heartbeat"}"#.to_owned()),
        1 => (eni(), eni()).prop_map(|(a, b)| {
            format!(r#"{{"Records": [{}, {}]}}"#, eni_event(a), eni_event(b))
        }),
        1 => eni().prop_map(|event| {
            format!(
                r#"{{"specversion": "1.0", "id": "c", "source": "acs.ecs", "type": "ecs:x",
                    "data": {}}}"#,
                eni_event(event)
            )
            .replace('\n', " ")
        }),
        1 => prop::sample::select(vec!["{\"n\": }", "x", "[1]", "", "{\"a\": 1}", "{\"n\": 5"])
            .prop_map(str::to_owned),
    ]
}

fn run(folder: &Path, input: &str, jobs: &str, options: &[&str]) -> Outcome {
    let args = [&["run", ".", "-", "--jobs", jobs], options].concat();
    reflexarc_in(folder, &args, input.as_bytes())
}

fn assert_equal(folder: &Path, input: &str, options: &[&str]) {
    let one = run(folder, input, "1", options);
    assert!(matches!(one.code, 0 | 4 | 5), "{}", one.stderr);
    for jobs in ["2", "8"] {
        let several = run(folder, input, jobs, options);
        assert_eq!(several.stdout, one.stdout, "--jobs {jobs} {options:?}");
        assert_eq!(several.stderr, one.stderr, "--jobs {jobs} {options:?}");
        assert_eq!(several.code, one.code, "--jobs {jobs} {options:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]
    #[test]
    fn the_number_of_jobs_does_not_change_the_output(
        lines in prop::collection::vec(line(), 1..700),
        options in prop::sample::select(vec![
            &["--format", "ndjson"][..],
            &["--format", "json", "--unmatched"],
            &[],
            &["--format", "ndjson", "--fail-fast"],
            &["--format", "ndjson", "--clock", "2024-05-14T10:00:00Z"],
            &["--format", "ndjson", "--until", "end"],
            &["--until", "2030-01-01T00:00:00Z"],
        ]),
    ) {
        let folder = rules_folder();
        assert_equal(folder.path(), &lines.join("\n"), options);
    }
}

#[test]
fn examples_give_the_same_output_with_any_number_of_jobs() {
    let events = std::fs::read_to_string(root().join("examples/eni-events.ndjson")).unwrap();
    let folder = rules_folder();
    let all = [
        &[][..],
        &["--format", "json", "--until", "end"],
        &["--fail-fast"],
    ];
    for options in all {
        assert_equal(folder.path(), &events.repeat(40), options);
    }
    // The comparison is worth something only if the rules do something.
    let numbers = (0..300).map(|n| format!("{{\"n\": {n}}}"));
    let numbers = numbers.collect::<Vec<_>>().join("\n");
    let later = r#"{"time": "2024-05-15T00:00:00Z"}"#;
    let events = format!("{events}\n{numbers}\n{later}");
    let outcome = run(folder.path(), &events, "8", &[]);
    for rule in ["hot", "emits", "once", "throttled", "expires", "large"] {
        let counted = format!("{rule} ");
        let totals = outcome.stdout.lines().rev().take(4).collect::<String>();
        assert!(totals.contains(&counted), "{rule}: {totals}");
    }
    for (rule, _) in WINDOW_RULES {
        let fired = format!("✓ {rule} (fired");
        let failed = format!("✗ {rule} failed");
        let stdout = &outcome.stdout;
        assert!(
            stdout.contains(&fired) || stdout.contains(&failed),
            "{rule}"
        );
    }
    assert!(
        outcome.stdout.contains("reactions failed"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn effects_beyond_those_kept_ahead_are_evaluated_in_turn() {
    let mut input = String::new();
    for n in 0..1000 {
        // Half a megabyte of effects each: many times what is kept ahead.
        writeln!(input, r#"{{"n": {}}}"#, n * 10).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let (name, reaction) = RULES[6];
    let text = format!("when = 'n exists'\n{reaction}\n");
    std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    assert_equal(folder.path(), &input, &["--format", "ndjson"]);
}

#[test]
fn failures_of_reading_come_after_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.toml"),
        "when = 'n exists'\nthen = 'log(1)'\n",
    )
    .unwrap();
    let events = "{\"n\": 1}\n".repeat(3000);
    let mut packed = zstd::encode_all(events.as_bytes(), 0).unwrap();
    packed.truncate(packed.len() - 2);
    let run = |jobs| {
        let args = ["run", ".", "-", "--format", "ndjson", "--jobs", jobs];
        reflexarc_in(folder.path(), &args, &packed)
    };
    let (one, several) = (run("1"), run("8"));
    assert_eq!(one.code, 4, "{}", one.stderr);
    assert!(one.stderr.contains("cannot read further"), "{}", one.stderr);
    assert_eq!((several.stdout, several.stderr), (one.stdout, one.stderr));
}
