//! `inhibits`: what is valid, what is reported, and that such a match ends without `resolved`.

use std::collections::BTreeMap;

use reflexarc::{Code, FiringReason, MemoryState, NativeEvent, RuleSet, Severity, Timestamp};
use reflexarc_event::Json;

use super::rules;

const WINDOW: &str = "by = \"zone\"\nnot_followed_by = { when = 'op == \"up\"', within = \"1m\" }";

fn rule(lines: &str) -> String {
    format!("when = 'op == \"down\"'\n{lines}\nnotify = ['team']\n")
}

/// The findings of this severity about a rule with these lines, beside a rule `stuck` with the
/// label `tier`: code and message.
fn findings(lines: &str, severity: Severity) -> Vec<(Code, String)> {
    let text = rule(lines);
    let other = "when = 'id exists'\nlabels = { tier = \"eni\" }\nthen = ''";
    let files = [("zone.toml", text.as_str()), ("stuck.toml", other)];
    let found: Vec<_> = match RuleSet::compile(files) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            files.flat_map(|file| file.diagnostics.clone()).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    };
    let found = found.into_iter().filter(|one| one.severity == severity);
    found.map(|one| (one.code, one.message)).collect()
}

#[test]
fn rules_are_inhibited_by_name_or_by_all_labels() {
    let inhibits = "inhibits = { rules = [\"disk\"], labels = { tier = \"eni\", env = \"prod\" } }";
    let text = rule(&format!(
        "{WINDOW}\n{inhibits}\nlabels = {{ tier = \"eni\" }}"
    ));
    let set = rules(&[("zone.toml", text.as_str())]);
    let inhibition = set.get("zone").unwrap().inhibits().unwrap();
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let both = labels(&[("tier", "eni"), ("env", "prod"), ("team", "net")]);
    assert!(inhibition.inhibits("stuck", &both));
    assert!(!inhibition.inhibits("stuck", &labels(&[("tier", "eni")])));
    assert!(inhibition.inhibits("disk", &labels(&[])));
    assert!(!inhibition.inhibits("zone", &both), "itself");
    assert_eq!(inhibition.max_age(), jiff::SignedDuration::from_hours(24));
    assert!(!inhibition.has_by());
}

#[test]
fn the_key_is_that_of_the_paths_and_none_where_a_value_is_missing() {
    let text = rule(&format!(
        "{WINDOW}\ninhibits = {{ rules = ['stuck'], by = ['zone', 'region'], max_age = '4h' }}"
    ));
    let set = rules(&[("zone.toml", text.as_str())]);
    let inhibition = set.get("zone").unwrap().inhibits().unwrap();
    let key = |text: &str| {
        let event = NativeEvent::from_json(text).unwrap();
        inhibition.key_of(event.event())
    };
    let expected = Json::parse(r#"["h","cn"]"#).unwrap();
    assert_eq!(key(r#"{"zone": "h", "region": "cn"}"#), Some(expected));
    assert_eq!(key(r#"{"zone": "h"}"#), None);
    assert_eq!(inhibition.max_age(), jiff::SignedDuration::from_hours(4));
    assert!(inhibition.has_by());
}

#[test]
fn faults_say_what_to_write() {
    let errors = |lines: &str| findings(lines, Severity::Error);
    let with = |inhibits: &str| errors(&format!("{WINDOW}\ninhibits = {inhibits}"));
    let missing = with("{ by = \"zone\" }");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].1.contains("rules"), "{missing:?}");
    let long = with("{ rules = ['stuck'], max_age = '31d' }");
    assert_eq!(long.len(), 1, "{long:?}");
    let none = with("{ rules = ['stuck'], max_age = '0s' }");
    assert_eq!(none.len(), 1, "{none:?}");
    let unknown = with("{ rules = ['stuck'], untill = '1h' }");
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    let inhibits = "inhibits = { rules = ['stuck'] }";
    let without = errors(inhibits);
    assert_eq!(
        without,
        [(
            Code::RULE_CONFLICT,
            "`inhibits` needs a time window that ends".to_owned()
        )]
    );
    let batch = errors(&format!("batch = {{ within = '1m' }}\n{inhibits}"));
    assert_eq!(
        batch,
        [(
            Code::RULE_CONFLICT,
            "nothing is resolved in a rule with `batch`".to_owned()
        )]
    );
    let count = errors(&format!(
        "count = {{ at_least = 2, within = '1m' }}\n{inhibits}"
    ));
    assert_eq!(
        count,
        [(
            Code::RULE_CONFLICT,
            "`inhibits` of a rule with `count` needs `quiet`".to_owned()
        )]
    );
    let quiet = format!("count = {{ at_least = 2, within = '1m', quiet = '5m' }}\n{inhibits}");
    assert_eq!(errors(&quiet), []);
    assert_eq!(findings(&quiet, Severity::Warning), []);
}

#[test]
fn what_does_not_exist_is_reported() {
    let warnings = |inhibits: &str| {
        let lines = format!("{WINDOW}\ninhibits = {inhibits}");
        let mut found = findings(&lines, Severity::Warning);
        found.retain(|(code, _)| *code == Code::INHIBITS_NOTHING);
        found
    };
    let message = |text: &str| [(Code::INHIBITS_NOTHING, text.to_owned())];
    assert_eq!(warnings("{ rules = ['stuck'] }"), []);
    assert_eq!(warnings("{ labels = { tier = 'eni' } }"), []);
    assert_eq!(
        warnings("{ rules = ['stock'] }"),
        message("unknown rule `stock`")
    );
    assert_eq!(
        warnings("{ rules = ['zone'] }"),
        message("a rule does not inhibit itself")
    );
    assert_eq!(
        warnings("{ labels = { tier = 'disk' } }"),
        message("no other rule has these labels")
    );
    let allowed = "{ rules = ['stock'] }\nallow = [\"RA0425\"]";
    assert_eq!(warnings(allowed), []);
}

#[test]
fn a_match_without_resolved_ends_in_silence() {
    let text = rule(&format!(
        "{WINDOW}\ninhibits = {{ rules = ['stuck'] }}\nonce = {{ within = '1d' }}"
    ));
    let text = format!("{text}allow = [\"RA0425\"]\n");
    let set = rules(&[("zone.toml", text.as_str())]);
    let mut state = MemoryState::new();
    let mut apply = |op: &str, second: i64| {
        let at = Timestamp::from_second(second).unwrap();
        let event = NativeEvent::from_json(format!(r#"{{"op": "{op}", "zone": "h"}}"#)).unwrap();
        let mut found = Vec::new();
        let evaluation = set.evaluate_in_time(&event, &mut state, at, &mut |due| {
            found.extend(due.evaluation.rules);
        });
        found.extend(evaluation.rules);
        let firings = found.iter().filter_map(|effects| {
            let firing = effects.firing.as_ref()?;
            Some((firing.reason, effects.actions.len()))
        });
        firings.collect::<Vec<_>>()
    };
    assert_eq!(apply("down", 0), []);
    assert_eq!(apply("other", 600), [(FiringReason::Fired, 1)]);
    assert_eq!(apply("up", 700), [(FiringReason::Resolved, 0)]);
    // That it ended begins the window of `once` anew.
    assert_eq!(apply("down", 800), []);
    assert_eq!(apply("other", 1_400), [(FiringReason::Fired, 1)]);
}
