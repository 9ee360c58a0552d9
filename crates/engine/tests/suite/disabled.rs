//! `enabled = false` and `labels`.

use reflexarc::{Action, NativeEvent, NoState, Timestamp};

use crate::{event, rules};

const DISABLED: &str = "enabled = false\nwhen = 'id exists'\nnotify = 'team'\n\
    [[test]]\nname = 'it notifies'\nevent = '{\"id\": 1}'\nmatches = true\nactions = [{}]\n";

#[test]
fn a_disabled_rule_matches_no_event() {
    let emitter = "when = 'id exists'\nthen = 'emit(#{id: 2, hop: 1})'";
    let other = "when = 'hop exists'\nnotify = 'team'";
    let rules = rules(&[("a.toml", DISABLED), ("b.toml", emitter), ("c.toml", other)]);
    let event: NativeEvent = event(r#"{"id": 1, "hop": 0}"#);
    assert_eq!(rules.matching(&event).ids(), [1, 2]);
    let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
    assert!(evaluation.matched().all(|name| name != "a"));
    assert!(evaluation.matched().any(|name| name == "c"));
    assert!(!rules.get("a").unwrap().enabled());
    assert!(rules.get("b").unwrap().enabled());
    // Its filter can still be explained, exported and checked.
    assert!(rules.explain(&event, "a").unwrap().matched());
}

#[test]
fn a_set_of_disabled_rules_matches_nothing() {
    let rules = rules(&[("a.toml", DISABLED)]);
    assert!(!rules.matching(&event(r#"{"id": 1}"#)).is_match());
}

#[test]
fn a_disabled_rule_is_tested() {
    let reports = rules(&[("a.toml", DISABLED)]).test("");
    assert!(!reports[0].enabled);
    assert!(
        reports[0].tests[0].passed(),
        "{:?}",
        reports[0].tests[0].mismatches
    );
}

#[test]
fn a_disabled_rule_does_not_overlap_others() {
    let enabled = "when = 'id exists'\nnotify = 'team'";
    assert_eq!(
        rules(&[("a.toml", enabled), ("b.toml", enabled)])
            .overlaps()
            .len(),
        1
    );
    assert_eq!(
        rules(&[("a.toml", DISABLED), ("b.toml", enabled)])
            .overlaps()
            .len(),
        0
    );
}

#[test]
fn a_disabled_rule_is_checked() {
    let text = DISABLED.replace("id exists", "id exsts");
    assert!(reflexarc::RuleSet::compile([("a.toml", text)]).is_err());
}

#[test]
fn labels_are_in_evaluations_scripts_and_templates() {
    let labels = "labels = { team = 'network', env-name = 'prod' }\nwhen = 'id exists'\n";
    let labels_of_rule = r#"${rule.labels.team} ${rule.labels["env-name"]} ${rule.labels.no}"#;
    let script = format!("then = 'notify(\"t\", `{labels_of_rule}`)'");
    let template =
        "notify = 't'\nmessage = { text = '{{ rule.labels.team }} {{ rule.labels.no }}' }";
    let files = [
        ("a.toml", format!("{labels}{script}")),
        ("b.toml", format!("{labels}{template}")),
    ];
    let rules = rules(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let evaluation = rules.evaluate(&event(r#"{"id": 1}"#), &NoState, Timestamp::UNIX_EPOCH);
    assert_eq!(evaluation.failures, []);
    for effects in &evaluation.rules {
        assert_eq!(effects.labels["team"], "network");
        assert_eq!(effects.labels["env-name"], "prod");
        assert_eq!(&effects.labels, rules.get(&effects.rule).unwrap().labels());
    }
    let texts: Vec<_> = evaluation
        .actions()
        .map(|(_, _, action)| match action {
            Action::Notify { message, .. } => message.text.as_str(),
            Action::Send { .. } | Action::Call { .. } => panic!("a message"),
        })
        .collect();
    assert_eq!(texts, ["network prod ", "network "]);
}
