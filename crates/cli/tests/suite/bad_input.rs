//! Invalid rules and events: message, location and fix.

use crate::{Outcome, reflexarc_in};

/// Runs `check` on these rule files.
fn check(files: &[(&str, &str)], args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("rules").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    reflexarc_in(folder.path(), &[&["check", "rules"], args].concat(), b"")
}

#[test]
fn every_error_of_every_file_is_drawn() {
    let files = [
        (
            "keys.toml",
            "wehn = 'a == 1'\nlevel = 'warm'\nnotify = 7\nthrotle = { every = '10m' }\n",
        ),
        (
            "no-when.toml",
            "description = 'no filter'\nnotify = 'team'\n",
        ),
        ("no-toml.toml", "when = 'a == 1\nnotify = ['team'\n"),
        (
            "then.toml",
            "when = 'a == 1'\nthen = '''\nlet n = 1;\nlet m = ;\n'''\n",
        ),
        (
            "unknown-function.toml",
            "when = 'a == 1'\nthen = 'notfy(\"team\", \"x\")'\n",
        ),
        (
            "when.toml",
            "description = 'x'\nwhen = '''\na == 1\nand b === 2\n'''\nnotify = 'team'\n",
        ),
        (
            "when-escaped.toml",
            "when = \"a == \\\"x\\\" and b ~ 2\"\nnotify = 'team'\n",
        ),
        (
            "windows.toml",
            "when = 'a == 1'\nnotify = 'team'\n\
             throttle = { key = 'a', every = '10 potatoes' }\nonce = { key = 'a' }\n",
        ),
        (
            "tests.toml",
            "when = 'a == 1'\nnotify = 'team'\n[[test]]\nevent = '{\"a\": }'\n\
             matches = 'yes'\n[[test]]\nname = 'x'\nactions = [{ titel = 'x' }]\n",
        ),
        (
            "both.toml",
            "when = 'a == 1'\nnotify = 'team'\nthen = 'log(1)'\n",
        ),
        (
            "template.toml",
            "when = 'a == 1'\nnotify = 'team'\nmessage = { title = '{{ event.a ' }\n",
        ),
    ];
    let outcome = check(&files, &[]);
    assert_eq!(outcome.code, 3);
    insta::assert_snapshot!(outcome.stderr);
}

#[test]
fn duplicate_rule_names_are_reported() {
    let rule = "when = 'a == 1'\nnotify = 'team'\n";
    let outcome = check(
        &[
            ("a.toml", rule),
            ("sub/a.toml", rule),
            ("sub/notes.txt", "no rule"),
            (".hidden/a.toml", rule),
        ],
        &[],
    );
    assert_eq!(outcome.code, 3);
    insta::assert_snapshot!(outcome.stderr);
}

#[test]
fn an_error_does_not_hide_warnings_about_other_files() {
    let files = [
        ("broken.toml", "when = 'a =='\nnotify = 'team'\n"),
        ("never.toml", "when = 'a (> 5 and < 3)'\nnotify = 'team'\n"),
        (
            "sub/never.toml",
            "when = 'b (> 5 and < 3)'\nnotify = 'team'\n",
        ),
    ];
    let outcome = check(&files, &[]);
    assert_eq!(outcome.code, 3);
    for part in ["broken.toml:1:", "RA0406", "rules/never.toml:1:20"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    assert_eq!(outcome.stderr.matches("warning[RA0213]").count(), 2);
}

#[test]
fn a_rule_that_does_nothing_is_a_warning() {
    let outcome = check(&[("a.toml", "when = 'a == 1'\n")], &[]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (0, "1 rule: 0 errors, 1 warning\n")
    );
    assert!(
        outcome.stderr.contains("warning[RA0407]"),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        check(&[("a.toml", "when = 'a == 1'\n")], &["--deny-warnings"]).code,
        3
    );
}

#[test]
fn findings_have_machine_readable_formats() {
    let files = [("a.toml", "wehn = 'a == 1'\n")];
    let json: serde_json::Value =
        serde_json::from_str(&check(&files, &["--format", "json"]).stdout).unwrap();
    assert_eq!(json[0]["code"], "RA0402");
    assert_eq!(
        (&json[0]["line"], &json[0]["column"], &json[0]["end_column"]),
        (&1.into(), &1.into(), &5.into())
    );
    assert_eq!(json[0]["fix"]["replacement"], "when");
    let sarif: serde_json::Value =
        serde_json::from_str(&check(&files, &["--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "RA0402");
    assert_eq!(
        sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startColumn"],
        1
    );
    let github = check(&files, &["--format", "github"]).stdout;
    assert!(
        github.starts_with("::error file=rules/a.toml,line=1,endLine=1,col=1,title=RA0402::"),
        "{github}"
    );
}

#[test]
fn unreadable_rules_and_events_have_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| reflexarc_in(folder.path(), args, b"");
    let missing = run(&["check", "nowhere"]);
    assert_eq!(missing.code, 3);
    assert!(missing.stderr.contains("nowhere"), "{}", missing.stderr);
    std::fs::write(folder.path().join("latin.toml"), b"when = 'a == \"\xe4\"'").unwrap();
    let latin = run(&["check", "latin.toml"]);
    assert_eq!(latin.code, 3);
    assert!(
        latin.stderr.contains("not UTF-8 (byte 14)"),
        "{}",
        latin.stderr
    );
    std::fs::write(folder.path().join("big.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    let big = run(&["check", "big.toml"]);
    assert_eq!(big.code, 3);
    assert!(big.stderr.contains("RA0408"), "{}", big.stderr);
    std::fs::write(
        folder.path().join("a.toml"),
        "when = 'a == 1'\nnotify = 'team'\n",
    )
    .unwrap();
    assert_eq!(run(&["run", "a.toml", "nowhere.ndjson"]).code, 4);
    // A folder as an argument is rules; as the former --events it is no events.
    assert_eq!(run(&["run", "a.toml", "--events", "."]).code, 4);
}

#[test]
fn each_unreadable_event_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.toml"),
        "when = 'a exists'\nnotify = 'team'\n",
    )
    .unwrap();
    let events = [
        "{\"a\": 1}".to_owned(),
        format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20)),
        format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200)),
        "{\"a\": \"\\ud800\"}".to_owned(),
        "{\"a\": NaN}".to_owned(),
        "{\"a\": 1, \"a\": 2}".to_owned(),
        "{\"a\": 01}".to_owned(),
        "\"a\"".to_owned(),
    ];
    let outcome = reflexarc_in(
        folder.path(),
        &["run", "a.toml", "-"],
        events.join("\n").as_bytes(),
    );
    assert_eq!(outcome.code, 4);
    insta::assert_snapshot!(outcome.stderr);
    assert!(
        outcome
            .stdout
            .contains("2 of 8 events matched, 6 unreadable"),
        "{}",
        outcome.stdout
    );
}

/// A filter with two fields of eight arrays, and of a ninth one in which no element has both; and
/// an event of 2 KB with 20⁸ combinations of elements.
fn without_end() -> (String, String) {
    let pairs: Vec<_> = (0..8)
        .map(|n| format!("a{n}.x == 1 and a{n}.y == 1"))
        .collect();
    let both = vec![r#"{"x":1,"y":1}"#; 20].join(",");
    let arrays: Vec<_> = (0..8).map(|n| format!(r#""a{n}":[{both}]"#)).collect();
    let apart = [
        vec![r#"{"x":1}"#; 21].join(","),
        vec![r#"{"y":1}"#; 21].join(","),
    ]
    .join(",");
    (
        format!("not ({} and z.x == 1 and z.y == 1)", pairs.join(" and ")),
        format!(r#"{{{},"z":[{apart}]}}"#, arrays.join(",")),
    )
}

#[test]
fn what_is_undecided_is_neither_a_match_nor_none() {
    let (filter, event) = without_end();
    let folder = tempfile::tempdir().unwrap();
    let events = format!("{{\"id\":1}}\n{event}\n{{\"id\":2}}\n");
    let matching = |args: &[&str]| {
        let args = [&["match", &filter], args].concat();
        reflexarc_in(folder.path(), &args, events.as_bytes())
    };
    let too_many = "-:2: cannot compare the event with the filter: there are too many";
    for (args, expected) in [
        (&["-"][..], "{\"id\":1}\n{\"id\":2}\n"),
        (&["--invert", "-"], ""),
        (&["--fail-fast", "-"], "{\"id\":1}\n"),
    ] {
        let outcome = matching(args);
        assert_eq!((outcome.stdout.as_str(), outcome.code), (expected, 4));
        assert!(outcome.stderr.contains(too_many), "{}", outcome.stderr);
    }

    let args = ["explain", filter.as_str(), "-"];
    let outcome = reflexarc_in(folder.path(), &args, event.as_bytes());
    let expected = "filter is undecided\n  ? undecided, too many combinations";
    assert!(outcome.stdout.starts_with(expected), "{}", outcome.stdout);
    assert_eq!(outcome.code, 4);
}
