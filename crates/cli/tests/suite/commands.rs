//! The commands one by one: results and exit codes.

use crate::{reflexarc, reflexarc_in, root};

const EVENTS: &str = "examples/eni-events.ndjson";

#[test]
fn match_prints_matching_events_like_grep() {
    let found = reflexarc(&["match", "content.result == \"failed\"", EVENTS]);
    assert_eq!(found.code, 0, "{}", found.stderr);
    let events = std::fs::read_to_string(root().join(EVENTS)).unwrap();
    assert!(
        found
            .stdout
            .lines()
            .all(|line| events.lines().any(|event| event == line))
    );
    let count = reflexarc(&[
        "match",
        "--count",
        "{\"content\": {\"result\": [\"failed\"]}}",
        EVENTS,
    ]);
    assert_eq!(count.stdout, format!("{}\n", found.stdout.lines().count()));
    let others = reflexarc(&[
        "match",
        "--count",
        "-v",
        "content.result == \"failed\"",
        EVENTS,
    ]);
    assert_eq!(
        others.stdout,
        format!(
            "{}\n",
            events.lines().count() - found.stdout.lines().count()
        )
    );
    let none = reflexarc(&["match", "nonsense exists", EVENTS]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
}

#[test]
fn foreign_filters_match_events_as_received() {
    let filter = r#"{"source": ["acs.ecs"], "data": {"result": ["failed"]}}"#;
    let found = reflexarc(&["match", "--dialect", "alibaba", "--count", filter, EVENTS]);
    assert_eq!(
        (found.code, found.stdout.as_str()),
        (0, "1\n"),
        "{}",
        found.stderr
    );
    let native = reflexarc(&["match", "--count", filter, EVENTS]);
    assert_eq!((native.code, native.stdout.as_str()), (1, "0\n"));
    let as_is = reflexarc(&["match", "--as-is", "--count", filter, EVENTS]);
    assert_eq!(as_is.stdout, "1\n");
}

#[test]
fn match_accepts_a_file_of_filters() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "filters.ndjson",
        "{\"id\": \"a\", \"pattern\": {\"n\": [1]}}\n{\"id\": 2, \"pattern\": \"n exists\"}\n",
    );
    let found = reflexarc_in(
        folder.path(),
        &[
            "match",
            "--patterns",
            "filters.ndjson",
            "--format",
            "ndjson",
        ],
        b"{\"n\": 1}\n{}\n{\"n\": 5}\n",
    );
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert_eq!(
        found.stdout,
        "{\"line\":1,\"matched\":[\"a\",\"2\"]}\n{\"line\":3,\"matched\":[\"2\"]}\n"
    );
    write(
        "bad.ndjson",
        "{\"id\": \"a\", \"pattern\": {\"n\": 1}}\n{\"pattern\": {}}\nx\n",
    );
    let bad = reflexarc_in(folder.path(), &["match", "--patterns", "bad.ndjson"], b"");
    assert_eq!(bad.code, 3);
    for part in [
        "bad.ndjson:1: filter `a`: RA",
        "bad.ndjson:2: `id` must be a string or a number",
        "bad.ndjson:3: ",
    ] {
        assert!(
            bad.stderr.contains(part),
            "{part} is missing in {}",
            bad.stderr
        );
    }
}

#[test]
fn explain_says_that_it_is_about_the_first_event() {
    let first = reflexarc(&["explain", "name exists", EVENTS]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let note = "this is about the first event in examples/eni-events.ndjson; --line N selects";
    assert!(first.stderr.contains(note), "{}", first.stderr);
    let selected = reflexarc(&["explain", "name exists", EVENTS, "--line", "6"]);
    assert_eq!(selected.stderr, "");
}

#[test]
fn explain_prints_the_reason() {
    let matched = reflexarc(&[
        "explain",
        EVENTS,
        "--line",
        "6",
        "--rule",
        "failed-operation",
    ]);
    assert_eq!(matched.code, 0, "{}", matched.stderr);
    let missed = reflexarc(&[
        "explain",
        "content.result == \"success\"",
        EVENTS,
        "--line",
        "6",
    ]);
    assert_eq!(missed.code, 1);
    assert!(
        missed.stdout.contains("content.result is \"failed\""),
        "{}",
        missed.stdout
    );
    let json = reflexarc(&[
        "explain",
        EVENTS,
        "--rule",
        "spot-drain",
        "--format",
        "json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json[0]["rule"], &json[0]["matched"]),
        (&"spot-drain".into(), &false.into())
    );
    let unknown = reflexarc(&["explain", EVENTS, "--rule", "spot"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("spot-drain"), "{}", unknown.stderr);
    let nowhere = reflexarc(&["explain", EVENTS, "--line", "999"]);
    assert_eq!(nowhere.code, 4);
}

#[test]
fn convert_round_trips() {
    let there = reflexarc(&[
        "convert",
        "content.result == \"failed\" and regionId starts with \"cn-\"",
    ]);
    assert_eq!(there.code, 0, "{}", there.stderr);
    let back = reflexarc_in(&root(), &["convert", "-"], there.stdout.as_bytes());
    assert_eq!(
        back.stdout,
        "content.result == \"failed\" and regionId starts with \"cn-\"\n"
    );
}

#[test]
fn export_refuses_filters_that_are_not_portable() {
    let exported = reflexarc(&["export", "--dialect", "aws", "--rule", "failed-create"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let pattern: serde_json::Value = serde_json::from_str(&exported.stdout).unwrap();
    assert_eq!(
        pattern["content"]["operation"],
        serde_json::json!(["CreateNetworkInterface"])
    );
    let refused = reflexarc(&["export", "--dialect", "alibaba", "--rule", "failed-create"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("rules/failed-create.toml:"),
        "{}",
        refused.stderr
    );
    let check = reflexarc(&["check", "rules", "--dialect", "alibaba"]);
    assert_eq!(check.code, 1);
    assert!(
        check.stderr.contains("Alibaba Cloud EventBridge"),
        "{}",
        check.stderr
    );
}

#[test]
fn fmt_rewrites_only_the_filter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let before = concat!(
        "# why\nlevel   = \"info\"\n",
        "when = \"\"\"a==1   and\n  b  ==  'x'\"\"\"   # here\nnotify = 'team'\n"
    );
    std::fs::write(&file, before.replace("'x'", "\\\"x\\\"")).unwrap();
    let check = reflexarc_in(folder.path(), &["fmt", "a.toml", "--check"], b"");
    assert_eq!(
        (check.code, check.stdout.as_str()),
        (1, "a.toml is not formatted\n"),
        "{}",
        check.stderr
    );
    let diff = reflexarc_in(folder.path(), &["fmt", "a.toml", "--diff"], b"");
    assert_eq!(diff.code, 1);
    assert!(
        diff.stdout
            .contains("+when = 'a == 1 and b == \"x\"'   # here"),
        "{}",
        diff.stdout
    );
    let fmt = reflexarc_in(folder.path(), &["fmt", "a.toml"], b"");
    assert_eq!(fmt.code, 0, "{}", fmt.stderr);
    let after =
        "# why\nlevel   = \"info\"\nwhen = 'a == 1 and b == \"x\"'   # here\nnotify = 'team'\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
    assert_eq!(
        reflexarc_in(folder.path(), &["fmt", "a.toml", "--check"], b"").code,
        0
    );
    std::fs::write(
        &file,
        "when = '''\na==1 # one\nor b  exists\n'''\nnotify = 'team'\n",
    )
    .unwrap();
    assert_eq!(reflexarc_in(folder.path(), &["fmt", "a.toml"], b"").code, 0);
    let commented = "when = '''\na == 1  # one\nor b exists\n'''\nnotify = 'team'\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), commented);
}

const TESTED: &str = r#"when = 'n > 1 or m exists'
then = '''
if event.n > 5 {
    log("many");
}
send("t", event.n);
'''

[[test]]
name = "two"
event = '{"n": 2}'
matches = true
actions = [{ target = "t", payload = 3 }]   # wrong
"#;

#[test]
fn failed_tests_and_coverage_gaps_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), TESTED).unwrap();
    let test =
        |args: &[&str]| reflexarc_in(folder.path(), &[&["test", "a.toml"], args].concat(), b"");
    let human = test(&["--coverage"]);
    assert_eq!(human.code, 1, "{}", human.stderr);
    insta::assert_snapshot!(human.stdout);
    let junit = test(&["--format", "junit"]);
    assert_eq!(junit.code, 1);
    insta::assert_snapshot!(junit.stdout);
    let json: serde_json::Value =
        serde_json::from_str(&test(&["--format", "json"]).stdout).unwrap();
    assert_eq!(json[0]["tests"][0]["mismatches"][0]["key"], "actions");
    assert_eq!(json[0]["coverage"]["leaves"][0]["seen_true"], true);
    assert_eq!(
        test(&["--filter", "nothing like this"]).stdout,
        "0 rules: 0 passed, 0 failed\n"
    );
    let update = test(&["--update"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let updated = std::fs::read_to_string(folder.path().join("a.toml")).unwrap();
    assert_eq!(updated, TESTED.replace("payload = 3", "payload = 2"));
}

#[test]
fn help_prints_references_and_commands() {
    for (topic, reference) in [
        ("rule", reflexarc::REFERENCE),
        ("pattern", reflexarc_pattern::REFERENCE),
        ("reaction", reflexarc_reaction::REFERENCE),
        ("targets", reflexarc_delivery::TARGETS),
        ("calls", reflexarc_delivery::REFERENCE),
    ] {
        assert_eq!(
            reflexarc(&["help", topic]).stdout.trim_end(),
            reference.trim_end()
        );
    }
    for topic in ["run", "test", "check"] {
        assert!(
            reflexarc(&["help", topic])
                .stdout
                .contains("Usage: reflexarc"),
            "{topic}"
        );
    }
    assert_eq!(reflexarc(&["help", "nonsense"]).code, 2);
    assert_eq!(reflexarc(&["--help"]).code, 0);
    assert_eq!(reflexarc(&["trace"]).code, 2);
    assert_eq!(reflexarc(&["nonsense"]).code, 2);
}
