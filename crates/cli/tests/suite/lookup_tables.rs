//! Lookup tables in the commands.

use std::fs;

use serde_json::{Value, json};

use crate::{Outcome, reflexarc_in};

const RULE: &str = r#"when = 'content.result == "failed"'
lookup = { vswitch = { table = "vswitches", key = "content.primaryPrivateIp" } }
then = 'notify("team", `in ${lookup.vswitch?.id ?? "no vSwitch"}`)'

[[test]]
name = "the vSwitch is named"
event = '{"content": {"result": "failed", "primaryPrivateIp": "10.1.2.3"}}'
actions = [{ text = "in vsw-1" }]
"#;
const TABLE: &str = "cidr,id\n10.0.0.0/8,vsw-1\n";
const EVENT: &str = r#"{"content": {"result": "failed", "primaryPrivateIp": "10.1.2.3"}}"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(rule: &str, table: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("rules/tables")).unwrap();
        fs::write(folder.path().join("rules/storm.toml"), rule).unwrap();
        fs::write(folder.path().join("rules/tables/vswitches.csv"), table).unwrap();
        fs::write(folder.path().join("event.json"), EVENT).unwrap();
        Self(folder)
    }

    fn run(&self, args: &[&str]) -> Outcome {
        reflexarc_in(self.0.path(), args, b"")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

#[test]
fn every_command_reads_the_tables() {
    let folder = Folder::new(RULE, TABLE);
    for (args, expected) in [
        (&["check"][..], "1 rule: 0 errors, 0 warnings"),
        (
            &["check", "rules/storm.toml"],
            "1 rule: 0 errors, 0 warnings",
        ),
        (&["test"], "1 passed"),
        (&["test", "rules/storm.toml"], "1 passed"),
        (&["run", "rules", "event.json"], "in vsw-1"),
        (&["match", "rules", "event.json"], "storm"),
        (&["fmt", "--check"], ""),
        (
            &["explain", "rules", "event.json"],
            "lookup.vswitch: {\"cidr\":\"10.0.0.0/8\",\"id\":\"vsw-1\"}",
        ),
        (&["export", "--dialect", "aws", "rules"], "content"),
        (&["check", "--fix"], "0 fixes"),
    ] {
        let outcome = folder.run(args);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, 0, "{args:?}: {shown}");
        assert!(shown.contains(expected), "{args:?}: {shown}");
    }
    // A rule on stdin has the tables of the current folder, as it has event files from there.
    let rule = reflexarc_in(folder.0.path(), &["test", "-"], RULE.as_bytes());
    assert!(
        rule.stdout.contains("unknown table `vswitches`") || rule.stderr.contains("unknown table")
    );
    fs::rename(
        folder.0.path().join("rules/tables"),
        folder.0.path().join("tables"),
    )
    .unwrap();
    let rule = reflexarc_in(folder.0.path(), &["test", "-"], RULE.as_bytes());
    assert_eq!(rule.code, 0, "{}{}", rule.stdout, rule.stderr);
}

#[test]
fn errors_in_tables_are_shown_with_their_line() {
    let folder = Folder::new(RULE, "cidr,id\n10.0.0.0/8,vsw-1\n10.1.0.0/40,vsw-2\n");
    for args in [&["check"][..], &["test"], &["run", "rules", "event.json"]] {
        let outcome = folder.run(args);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, 3, "{args:?}: {shown}");
        for expected in [
            "invalid network \"10.1.0.0/40\"",
            "rules/tables/vswitches.csv:3:1",
            "10.1.0.0/40,vsw-2",
        ] {
            assert!(shown.contains(expected), "{args:?} {expected}: {shown}");
        }
    }
}

#[test]
fn a_misspelt_column_is_fixed() {
    let folder = Folder::new(&RULE.replace("?.id", ".idd"), TABLE);
    let outcome = folder.run(&["check", "--fix"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(folder.read("rules/storm.toml"), RULE);
}

#[test]
fn the_warnings_of_valid_rules_are_shown_beside_errors_of_others() {
    let folder = Folder::new(&RULE.replace("?.id", ".id"), TABLE);
    fs::write(
        folder.0.path().join("rules/bad.toml"),
        "when = 'a ='\nnotify = 't'\n",
    )
    .unwrap();
    let outcome = folder.run(&["check", "--format", "json"]);
    assert_eq!(outcome.code, 3);
    assert!(outcome.stdout.contains("RA0520"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("RA0440"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("RA0445"), "{}", outcome.stdout);
}

#[test]
fn explanations_say_which_rows_are_found() {
    let folder = Folder::new(RULE, TABLE);
    let explain = |event: &str, format: &str| {
        let args = ["explain", "rules", "-", "--format", format];
        reflexarc_in(folder.0.path(), &args, event.as_bytes()).stdout
    };
    let found: Value = serde_json::from_str(&explain(EVENT, "ndjson")).unwrap();
    assert_eq!(
        found["lookups"],
        json!({ "vswitch": {
            "table": "vswitches",
            "column": "cidr",
            "key": "10.1.2.3",
            "row": { "cidr": "10.0.0.0/8", "id": "vsw-1" },
        } })
    );
    let other = EVENT.replace("10.1.2.3", "11.1.2.3");
    let missing = "lookup.vswitch: none, the table `vswitches` has no row for \"11.1.2.3\"";
    assert!(explain(&other, "human").contains(missing));
    let without = r#"{"content": {"result": "failed"}}"#;
    let missing = "lookup.vswitch: none, the event has no value at `content.primaryPrivateIp`";
    assert!(explain(without, "human").contains(missing));
}
