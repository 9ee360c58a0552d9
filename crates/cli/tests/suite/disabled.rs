//! Disabled rules: listed by every command, evaluated by none.

use crate::{Outcome, reflexarc_in};

const DISABLED: &str = "enabled = false\nwhen = 'n exists'\nnotify = 'team'\n\
    labels = { team = 'network' }\n\
    [[test]]\nname = 'it matches'\nevent = '{\"n\": 1}'\nmatches = true\n";
const ENABLED: &str = "when = 'n exists'\nnotify = 'team'\nlabels = { team = 'network' }\n\
    [[test]]\nname = 'it matches'\nevent = '{\"n\": 1}'\nmatches = true\n";

fn run(args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("off.toml"), DISABLED).unwrap();
    std::fs::write(rules.join("on.toml"), ENABLED).unwrap();
    reflexarc_in(folder.path(), args, b"{\"n\": 1}")
}

#[test]
fn check_and_test_list_disabled_rules() {
    let checked = run(&["check", "rules"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    assert!(
        checked.stdout.contains("disabled: off\n"),
        "{}",
        checked.stdout
    );
    let tested = run(&["test", "rules"]);
    assert_eq!(tested.code, 0, "{}", tested.stdout);
    assert!(
        tested.stdout.contains("rules/off.toml (disabled)\n"),
        "{}",
        tested.stdout
    );
    assert!(
        tested.stdout.contains("2 passed, 0 failed"),
        "{}",
        tested.stdout
    );
    let json = run(&["test", "rules", "--format", "ndjson"]).stdout;
    let enabled = json.lines().map(|line| line.contains(r#""enabled":true"#));
    assert_eq!(enabled.collect::<Vec<_>>(), [false, true], "{json}");
}

#[test]
fn run_and_match_skip_disabled_rules() {
    let evaluated = run(&["run", "rules", "-", "--format", "ndjson"]).stdout;
    assert!(evaluated.contains(r#""matched":["on"]"#), "{evaluated}");
    assert!(
        evaluated.contains(r#""labels":{"team":"network"}"#),
        "{evaluated}"
    );
    let matched = run(&["match", "rules", "-"]).stdout;
    assert!(!matched.contains("off"), "{matched}");
}

#[test]
fn export_and_explain_say_that_a_rule_is_disabled() {
    let exported = run(&["export", "rules", "--dialect", "aws"]);
    assert!(
        exported.stdout.contains("# off (disabled)\n"),
        "{}",
        exported.stdout
    );
    let json = run(&["export", "rules", "--dialect", "aws", "--format", "ndjson"]).stdout;
    let first = json.lines().next().unwrap();
    assert!(first.contains(r#""enabled":false"#), "{json}");
    let explained = run(&["explain", "rules", "-", "--rule", "off"]);
    assert!(
        explained.stderr.contains("rule `off` is disabled"),
        "{}",
        explained.stderr
    );
}
