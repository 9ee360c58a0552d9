//! Positional arguments, `-` for stdin, and the former spellings of options.

use std::fs::{read, read_to_string};

use crate::{reflexarc, reflexarc_in, root};

const EVENTS: &str = "examples/eni-events.ndjson";
const LEAK: &str = "examples/scenarios/leak.toml";
const FILTER: &str = "content.result == \"failed\"";

/// A former spelling, the present one, and the hint.
#[test]
fn former_spellings_work_and_name_the_present_ones() {
    let spellings: [(&[&str], &[&str], &str); 10] = [
        (
            &["run", "--rules", "rules", "--events", EVENTS],
            &["run", "rules", EVENTS],
            "`--rules` and `--events` are deprecated; write `reflexarc run RULES EVENTS`",
        ),
        (
            &["run", "rules", EVENTS, "--all"],
            &["run", "rules", EVENTS, "--unmatched"],
            "`--all` is deprecated; write `--unmatched`",
        ),
        (
            &["match", "--rules", "rules", EVENTS],
            &["match", "rules", EVENTS],
            "`--rules` is deprecated; write `reflexarc match RULES EVENTS`",
        ),
        (
            &["explain", "--rules", "rules", "--event", EVENTS],
            &["explain", "rules", EVENTS],
            "`--event` is deprecated; write `reflexarc explain FILTER|RULES EVENT`",
        ),
        (
            &["explain", FILTER, "--event", EVENTS],
            &["explain", FILTER, EVENTS],
            "`--event` is deprecated; write `reflexarc explain FILTER|RULES EVENT`",
        ),
        (
            &["explain", FILTER, EVENTS, "--all"],
            &["explain", FILTER, EVENTS, "--full"],
            "`--all` is deprecated; write `--full`",
        ),
        (
            &["convert", FILTER, "--to", "json"],
            &["convert", FILTER, "--notation", "json"],
            "`--to` is deprecated; write `--notation`",
        ),
        (
            &["export", "--dialect", "aws", "--rules", "rules"],
            &["export", "--dialect", "aws", "rules"],
            "`--rules` is deprecated; write `reflexarc export PATH`",
        ),
        (
            &["simulate", "--scenario", LEAK, "--rules", "rules"],
            &["simulate", LEAK, "rules"],
            "`--scenario` and `--rules` are deprecated; write `reflexarc simulate SCENARIO RULES`",
        ),
        (
            &["simulate", LEAK, "--rules", "rules"],
            &["simulate", LEAK, "rules"],
            "`--rules` is deprecated; write `reflexarc simulate SCENARIO RULES`",
        ),
    ];
    for (former, present, hint) in spellings {
        let (old, new) = (reflexarc(former), reflexarc(present));
        assert!(!new.stdout.is_empty(), "{present:?}: {}", new.stderr);
        assert!(!new.stderr.contains("hint: "), "{}", new.stderr);
        assert_eq!((old.code, old.stdout), (new.code, new.stdout), "{former:?}");
        assert!(
            old.stderr.contains(&format!("hint: {hint}\n")),
            "{}",
            old.stderr
        );
    }
}

#[test]
fn the_former_option_of_a_listening_simulation_is_accepted() {
    let url = "http://127.0.0.1:1/events";
    // An address that cannot be bound: the arguments were accepted, and nothing stays running.
    let listen = ["simulate", "--listen", "192.0.2.1:1"];
    let old = reflexarc(&[&listen[..], &["--to", url]].concat());
    assert_eq!(old.code, 5, "{}", old.stderr);
    let hint = "hint: `--to` is deprecated; write `--forward`\n";
    assert!(old.stderr.starts_with(hint), "{}", old.stderr);
    let new = reflexarc(&[&listen[..], &["--forward", url]].concat());
    assert_eq!(format!("{hint}{}", new.stderr), old.stderr);
}

#[test]
fn contradictory_arguments_are_usage_errors() {
    let contradictions: [&[&str]; 14] = [
        &["run", "rules", "--rules", "rules", EVENTS],
        &["run", "rules", EVENTS, "--events", EVENTS],
        &["run", "rules", "-", "-"],
        &["match", "rules", "--rules", "rules", EVENTS],
        &["match", "rules", "--patterns", "filters.ndjson", EVENTS],
        &["match", "rules", "--dialect", "aws", EVENTS],
        &["explain", "rules", "--rules", "rules", EVENTS],
        &["explain", "rules", EVENTS, "--event", EVENTS],
        &["explain", "rules", EVENTS, EVENTS],
        &["explain", FILTER, EVENTS, "--rule", "spot-drain"],
        &["convert", FILTER, "--to", "json", "--notation", "json"],
        &["export", "--dialect", "aws", "rules", "--rules", "rules"],
        &["simulate", LEAK, "--scenario", LEAK],
        &["simulate", LEAK, "rules", "--rules", "rules"],
    ];
    for args in contradictions {
        let outcome = reflexarc(args);
        assert_eq!(outcome.code, 2, "{args:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{args:?}");
    }
}

#[test]
fn events_are_read_from_stdin_by_default_and_with_a_dash() {
    let events = read(root().join(EVENTS)).unwrap();
    let commands: [&[&str]; 6] = [
        &["run", "rules"],
        &["match", FILTER],
        &["match", "rules"],
        &["explain", "rules"],
        &["explain", FILTER],
        &["check", "--events"],
    ];
    for command in commands {
        let file = reflexarc(&[command, &[EVENTS]].concat());
        for stdin in [command.to_vec(), [command, &["-"]].concat()] {
            let piped = reflexarc_in(&root(), &stdin, &events);
            assert_eq!(
                (piped.code, &piped.stdout),
                (file.code, &file.stdout),
                "{stdin:?}: {}",
                piped.stderr
            );
        }
    }
}

#[test]
fn rules_are_read_from_stdin_with_a_dash() {
    let folder = tempfile::tempdir().unwrap();
    let rule = read_to_string(root().join("rules/failed-operation.toml")).unwrap();
    let run = |args: &[&str]| reflexarc_in(folder.path(), args, rule.as_bytes());
    let check = run(&["check", "-"]);
    assert_eq!(check.stdout, "1 rule: 0 errors, 0 warnings\n");
    let test = run(&["test", "-"]);
    assert_eq!(test.code, 0, "{}", test.stderr);
    assert!(test.stdout.contains("0 failed"), "{}", test.stdout);
    assert_eq!(run(&["test", "-", "--update"]).code, 2);
    assert_eq!(run(&["check", "-", "--fix"]).code, 2);
    assert_eq!(run(&["export", "-", "--dialect", "aws"]).code, 0);
    // The shipped rules are formatted, so that formatting changes nothing.
    assert_eq!(run(&["fmt", "-"]).stdout, rule);
    assert_eq!(run(&["fmt", "-", "--check"]).code, 0);
    assert_eq!(run(&["fmt", "-", "more.toml"]).code, 2);
    let scattered = reflexarc_in(folder.path(), &["fmt", "-"], b"when = 'a==1'\n");
    assert_eq!(scattered.stdout, "when = 'a == 1'\n");
    let broken = reflexarc_in(folder.path(), &["check", "-"], b"when = 'a = 1'\n");
    assert_eq!(broken.code, 3);
    assert!(broken.stderr.contains("-:1:"), "{}", broken.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn scenarios_and_filters_are_read_from_stdin_with_a_dash() {
    let scenario = read(root().join(LEAK)).unwrap();
    let piped = reflexarc_in(&root(), &["simulate", "-"], &scenario);
    assert_eq!(piped.stdout, reflexarc(&["simulate", LEAK]).stdout);
    let filter = reflexarc_in(&root(), &["convert", "-"], FILTER.as_bytes());
    assert_eq!(filter.stdout, reflexarc(&["convert", FILTER]).stdout);
}

#[test]
fn findings_in_several_files_name_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.toml",
        "when = 'n exists'\nthen = 'set(\"n\", event.n); send(\"t\", get(\"n\"))'\n",
    );
    write("b.toml", "when = 'm exists'\n");
    write("one.ndjson", "{\"n\": 1}\n");
    write("two.ndjson", "{}\n{\"n\": 2, \"m\": 1}\n");
    let run = |args: &[&str]| reflexarc_in(folder.path(), args, b"");
    let both = ["one.ndjson", "two.ndjson"];
    let human = run(&[&["run", "a.toml", "b.toml"], &both[..]].concat());
    assert!(
        human.stdout.contains("one.ndjson line 1") && human.stdout.contains("two.ndjson line 2"),
        "{}",
        human.stdout
    );
    assert!(
        human.stdout.contains("2 of 3 events matched"),
        "{}",
        human.stdout
    );
    let json = run(&[
        &["match", "a.toml", "b.toml"],
        &both[..],
        &["--format", "ndjson"],
    ]
    .concat());
    assert_eq!(
        json.stdout,
        "{\"file\":\"one.ndjson\",\"line\":1,\"matched\":[\"a\"]}\n\
         {\"file\":\"two.ndjson\",\"line\":2,\"matched\":[\"a\",\"b\"]}\n"
    );
    let count = run(&[&["match", "--count", "n exists"], &both[..]].concat());
    assert_eq!(count.stdout, "2\n");
    // A wrong name is found before the first file is evaluated.
    let missing = run(&["run", "a.toml", "one.ndjson", "nowhere.ndjson"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (4, ""));
}
