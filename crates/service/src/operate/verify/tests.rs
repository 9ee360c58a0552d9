use reflexarc_event::Event;

use super::*;
use crate::{Config, SqliteStore};

const COUNTS: &str = "when = 'id exists'\nthen = 'add(\"n\", 1); set(\"last\", event.id)'";

/// What a store has recorded of two events that change the state.
fn recorded(rules: &RuleSet) -> Vec<Archived> {
    let folder = tempfile::tempdir().unwrap();
    let options = Config::default().store_options;
    let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options).unwrap();
    let mut state = MemoryState::new();
    for (id, second) in [("1", 1), ("2", 2)] {
        let event = Event::from_json(format!(r#"{{"id": "{id}"}}"#)).unwrap();
        let incoming = Incoming::new(event).unwrap();
        let now = Timestamp::from_second(second).unwrap();
        let evaluation = rules.evaluate(&incoming.native, &state, now);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        store.accept(incoming, evaluation, now).unwrap();
    }
    let mut all = Vec::new();
    let walked = store.walk(&Selection::default(), &mut |archived| {
        all.push(archived.unwrap());
        true
    });
    walked.unwrap();
    all
}

/// How many of these entries rules evaluate to something else.
fn different(rules: &RuleSet, entries: &[Archived]) -> u64 {
    let mut verifier = Verifier::new(rules);
    for entry in entries {
        assert!(verifier.apply(entry).unwrap());
    }
    assert_eq!(verifier.verification.entries, 2);
    verifier.verification.different
}

#[test]
fn recorded_changes_of_state_are_compared() {
    let rules = RuleSet::compile([("a.toml", COUNTS)]).unwrap();
    let entries = recorded(&rules);
    let second = entries[1].evaluation.as_ref().unwrap();
    let state = second.get("rules").unwrap().elements()[0].get("state");
    let expected = r#"[{"key":"last","before":"1","after":"2","expires":null},"#.to_owned()
        + r#"{"key":"n","before":1,"after":2,"expires":null}]"#;
    assert_eq!(state.unwrap().to_string(), expected);
    assert_eq!(different(&rules, &entries), 0);
    let other = COUNTS.replace("add(\"n\", 1)", "add(\"n\", 2)");
    let other = RuleSet::compile([("a.toml", other)]).unwrap();
    assert_eq!(different(&other, &entries), 2);
}

/// Of a version that records changes, a record without them says that there were none.
#[test]
fn changes_of_state_are_no_longer_missing_after_the_first() {
    let first = "when = 'id exists'\nthen = 'if event.id == \"1\" { set(\"k\", 1); }'";
    let entries = recorded(&RuleSet::compile([("a.toml", first)]).unwrap());
    let both = first.replace("if event.id == \"1\" { set(\"k\", 1); }", "set(\"k\", 1);");
    let both = RuleSet::compile([("a.toml", both)]).unwrap();
    assert_eq!(different(&both, &entries), 1);
}

#[test]
fn records_without_state_are_equal() {
    let rules = RuleSet::compile([("a.toml", COUNTS)]).unwrap();
    let mut entries = recorded(&rules);
    for entry in &mut entries {
        let Some(Json::Object(members)) = &mut entry.evaluation else {
            panic!("no evaluation")
        };
        let Json::Array(effects) = &mut members[0].1 else {
            panic!("no rules")
        };
        let Json::Object(members) = &mut effects[0] else {
            panic!("no effects")
        };
        assert_eq!(members.pop().unwrap().0, "state");
    }
    assert_eq!(different(&rules, &entries), 0);
    let other = COUNTS.replace("add(", "log(\"x\"); add(");
    let other = RuleSet::compile([("a.toml", other)]).unwrap();
    assert_eq!(different(&other, &entries), 2);
}
