//! Every limit of the engine is reached. Those of hops and emitted events are in `evaluation`.

use reflexarc::{
    Code, Diagnostic, Evaluation, InvalidFiles, MemoryState, NativeEvent, NoState, ReactionLimits,
    RuleSet, RuleSetLimits, Timestamp,
};

use crate::{event, rules};

const RULE: &str = "when = 'a exists'\nnotify = 'team'\n";

fn codes(error: &InvalidFiles) -> Vec<Code> {
    error.diagnostics().map(|found| found.code).collect()
}

#[test]
fn rule_files_are_limited_in_size() {
    let mut limits = RuleSetLimits::DEFAULT;
    limits.file_bytes = RULE.len();
    let compile = |text: &str| {
        RuleSet::compile_with_limits([("a.toml", text)], &limits, &ReactionLimits::DEFAULT)
    };
    assert_eq!(compile(RULE).unwrap().len(), 1);
    assert_eq!(
        codes(&compile(&format!("{RULE}\n")).unwrap_err()),
        [Code::RULE_LIMIT]
    );
}

#[test]
fn rule_sets_are_limited_in_rules() {
    let mut limits = RuleSetLimits::DEFAULT;
    limits.rules = 2;
    let compile = |count: usize| {
        let files = (0..count).map(|i| (format!("{i}.toml"), RULE));
        RuleSet::compile_with_limits(files, &limits, &ReactionLimits::DEFAULT)
    };
    assert_eq!(compile(2).unwrap().len(), 2);
    assert_eq!(codes(&compile(3).unwrap_err()), [Code::RULE_LIMIT]);
    assert_eq!(
        codes(&compile(5).unwrap_err()),
        [Code::RULE_LIMIT],
        "reported once"
    );
}

#[test]
fn folders_are_limited_in_depth() {
    let folder = tempfile::tempdir().unwrap();
    let mut path = folder.path().to_owned();
    for level in 0..=RuleSetLimits::DEFAULT.folders {
        std::fs::write(path.join(format!("rule-{level}.toml")), RULE).unwrap();
        path = path.join("deeper");
        std::fs::create_dir(&path).unwrap();
    }
    // The folder below the last one that is read.
    assert_eq!(
        codes(&RuleSet::load(folder.path()).unwrap_err()),
        [Code::RULE_FILE]
    );
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(
        RuleSet::load(folder.path()).unwrap().len(),
        RuleSetLimits::DEFAULT.folders + 1
    );
}

#[test]
fn labels_are_limited_in_number_and_size() {
    let mut limits = RuleSetLimits::DEFAULT;
    (limits.labels, limits.label_bytes) = (2, 4);
    let compile = |labels: &str| {
        let text = format!("{RULE}labels = {{ {labels} }}\n");
        RuleSet::compile_with_limits([("a.toml", text)], &limits, &ReactionLimits::DEFAULT)
    };
    assert_eq!(compile("a = '1', abcd = '1234'").unwrap().len(), 1);
    for (labels, code) in [
        ("a = '1', b = '2', c = '3'", Code::RULE_LIMIT),
        ("a = '12345'", Code::RULE_VALUE),
        ("abcde = '1'", Code::RULE_VALUE),
        ("'a b' = '1'", Code::RULE_VALUE),
        ("'' = '1'", Code::RULE_VALUE),
        ("a = \"1\\n\"", Code::RULE_VALUE),
        ("a = 1", Code::RULE_TYPE),
    ] {
        assert_eq!(codes(&compile(labels).unwrap_err()), [code], "{labels}");
    }
}

/// The warnings about a rule, under other limits.
fn warnings(text: &str, limits: &RuleSetLimits) -> Vec<Diagnostic> {
    let rules =
        RuleSet::compile_with_limits([("a.toml", text)], limits, &ReactionLimits::DEFAULT).unwrap();
    let files = rules.warnings().iter();
    files.flat_map(|file| file.diagnostics.clone()).collect()
}

#[test]
fn comparisons_with_the_catalogue_are_limited() {
    // The script reads two misspelt fields, and a third is the key of a gate.
    let text = "when = 'product == \"ECS\"'\n\
                then = 'log(event.content.opration); log(event.lvel);'\n\
                once = { key = 'content.requestIdd', within = '1h' }\n";
    let mut limits = RuleSetLimits::DEFAULT;
    let all = warnings(text, &limits);
    assert_eq!(all.len(), 3, "{all:?}");
    for comparisons in 0..4 {
        limits.catalogue_comparisons = comparisons;
        let misspelt = |found: &&Diagnostic| found.fix.is_some();
        let found = warnings(text, &limits);
        assert!(found.iter().filter(misspelt).all(|one| all.contains(one)));
        assert_eq!(found.iter().filter(misspelt).count(), comparisons.min(3));
    }
}

#[test]
fn findings_about_one_rule_are_limited() {
    let mut limits = RuleSetLimits::DEFAULT;
    limits.findings = 2;
    let text = "when = 'content.opration == 1 and content.oprtion == 1 and content.eniIdd == 1'\n\
                then = 'log(event.content.eniStatuss + event.content.requestIdd \
                + event.content.operatoin + event.content.primaryPrivateIpp)'\n";
    let found = warnings(text, &limits);
    let of_filter = "1 more diagnostics are not shown";
    let of_script = "2 more diagnostics are not shown";
    let messages: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(found.len(), 6, "{found:#?}");
    assert_eq!((messages[2], messages[5]), (of_filter, of_script));
}

fn evaluation(limits: &RuleSetLimits, rules: &[(&str, &str)]) -> Evaluation {
    let files = rules.iter().copied();
    let rules = RuleSet::compile_with_limits(files, limits, &ReactionLimits::DEFAULT);
    let rules = rules.unwrap_or_else(|error| panic!("{error}"));
    let event = NativeEvent::from_json(r#"{"a": 1}"#).unwrap();
    rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH)
}

#[test]
fn effects_of_all_rules_are_limited_in_bytes() {
    let mut limits = RuleSetLimits::DEFAULT;
    limits.effect_bytes = 25;
    let rule = "when = 'a exists'\nthen = 'send(\"t\", \"123456789\")'";
    let evaluation = evaluation(
        &limits,
        &[("a.toml", rule), ("b.toml", rule), ("c.toml", rule)],
    );
    assert!(evaluation.matched().eq(["a", "b"]));
    let failure = &evaluation.failures[0];
    assert_eq!(failure.rule, "c");
    assert!(
        failure.message.contains("more than 25 bytes"),
        "{failure:?}"
    );
}

/// One rule that emits events for itself must not use up what all rules may have together.
#[test]
fn effects_on_emitted_events_are_limited_for_each_rule() {
    let mut limits = RuleSetLimits::DEFAULT;
    limits.emitted_effect_bytes = 30;
    let chain = "when = 'a exists'\nthen = 'emit(#{a: 1}); send(\"t\", \"123456789\")'";
    let other = "when = 'a exists'\nthen = 'send(\"t\", 1)'";
    let evaluation = evaluation(&limits, &[("chain.toml", chain), ("other.toml", other)]);
    assert_eq!(
        evaluation.matched().filter(|rule| *rule == "chain").count(),
        2
    );
    assert_eq!(
        evaluation.matched().filter(|rule| *rule == "other").count(),
        3
    );
    let failure = &evaluation.failures[0];
    assert_eq!((failure.rule.as_str(), failure.hop), ("chain", 2));
    assert!(failure.message.contains("on emitted events"), "{failure:?}");
}

#[test]
fn messages_to_many_targets_are_limited_in_bytes() {
    let mut limits = ReactionLimits::DEFAULT;
    limits.effect_bytes = 100;
    let rule = |targets: usize| {
        let targets = vec!["'team'"; targets].join(", ");
        let message = "{ title = '', text = 'ten bytes!' }";
        format!("when = 'a exists'\nnotify = [{targets}]\nmessage = {message}")
    };
    let event = NativeEvent::from_json(r#"{"a": 1}"#).unwrap();
    for (targets, failures) in [(10, 0), (11, 1)] {
        let files = [("a.toml", rule(targets))];
        let rules = RuleSet::compile_with_limits(files, &RuleSetLimits::DEFAULT, &limits).unwrap();
        let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
        assert_eq!(evaluation.failures.len(), failures, "{evaluation:?}");
        assert_eq!(
            evaluation.actions().count(),
            if failures == 0 { targets } else { 0 }
        );
    }
}

/// Each failure is stored and logged, and a script may throw a large value.
#[test]
fn messages_of_failures_are_cut() {
    let rule = "when = 'a exists'\nthen = 'let t = \"\"; t.pad(30000, \"x\"); throw t'";
    let evaluation = evaluation(&RuleSetLimits::DEFAULT, &[("a.toml", rule)]);
    let message = &evaluation.failures[0].message;
    assert_eq!(
        message.len(),
        ReactionLimits::DEFAULT.log_bytes + '…'.len_utf8()
    );
}

#[test]
fn a_rule_sets_its_number_of_state_entries() {
    // The rule sees its own event, `y`, after `x`: what it adds there counts too.
    let rules = rules(&[(
        "a.toml",
        r#"state = { max_entries = 2 }
when = 'name in ["x", "y"]'
then = """
if event.name == "x" { emit(#{name: "y", keys: event.derived}); }
for key in event.keys {
    if key.starts_with("-") { remove(key.sub_string(1)); } else { set(key, 1); }
}
""""#,
    )]);
    let mut state = MemoryState::new();
    let mut fails = |keys: &str, derived: &str| {
        let text = format!(r#"{{"name": "x", "keys": [{keys}], "derived": [{derived}]}}"#);
        let evaluation = rules.evaluate(&event(&text), &state, Timestamp::UNIX_EPOCH);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        let failures = evaluation.failures.iter();
        failures.map(|failure| failure.hop).collect::<Vec<_>>()
    };
    assert_eq!(fails(r#""a", "b", "c""#, ""), [0]);
    assert_eq!(fails(r#""a""#, r#""b", "c""#), [1]);
    assert_eq!(fails("", r#""b""#), [0; 0]);
    assert_eq!(
        fails(r#""a", "b""#, r#""a""#),
        [0; 0],
        "changes of what is there"
    );
    assert_eq!(fails(r#""-a""#, r#""c", "-b""#), [0; 0]);
    assert_eq!(fails(r#""-c""#, r#""d", "e""#), [0; 0]);
    assert_eq!(fails(r#""f""#, ""), [0]);
}

#[test]
fn numbers_of_state_entries_are_checked() {
    for (state, code) in [
        ("{ max_entries = 0 }", Code::RULE_VALUE),
        ("{ max_entries = 10_000_001 }", Code::RULE_VALUE),
        ("{ max_entries = -1 }", Code::RULE_VALUE),
        ("{ max_entries = '5' }", Code::RULE_TYPE),
        ("{ max_entries = 5.0 }", Code::RULE_TYPE),
        ("{ max = 5 }", Code::RULE_KEY),
        ("5", Code::RULE_TYPE),
    ] {
        let text = format!("{RULE}state = {state}\n");
        let error = RuleSet::compile([("a.toml", text)]).unwrap_err();
        assert_eq!(codes(&error), [code], "{state}: {error}");
    }
}

#[test]
fn events_of_pending_matches_are_limited_in_bytes() {
    let text = "when = 'op == \"A\"'\nby = 'id'\nthen = 'log(key)'\n\
                not_followed_by = { when = 'op == \"B\"', within = '1m' }";
    let event = |id: u32| event(&format!(r#"{{"op": "A", "id": {id}}}"#));
    let mut limits = RuleSetLimits::DEFAULT;
    limits.kept_event_bytes = 2 * event(1).bytes().len();
    let rules = RuleSet::compile_with_limits([("a.toml", text)], &limits, &ReactionLimits::DEFAULT);
    let rules = rules.unwrap();
    let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    let mut failures = Vec::new();
    for id in 1..=3 {
        let evaluation = rules.evaluate_in_time(&event(id), &mut state, now, &mut |_| ());
        failures.push(evaluation.failures.len());
    }
    assert_eq!(failures, [0, 0, 1]);
    assert_eq!(RuleSet::pending("a", &state, now).count(), 2);
}

#[test]
fn keys_of_matches_are_limited_in_bytes() {
    let text = "when = 'id exists'\nby = 'id'\nabsent_for = '1m'\nthen = 'log(key)'";
    let rules = rules(&[("a", text)]);
    let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    for (length, pending) in [(1022, 1), (1023, 1), (16_384, 1)] {
        let event = event(&format!(r#"{{"id": "{}"}}"#, "k".repeat(length)));
        let evaluation = rules.evaluate_in_time(&event, &mut state, now, &mut |_| ());
        assert_eq!(RuleSet::pending("a", &state, now).count(), pending);
        let mut remarks = evaluation.rules[0].remarks();
        let is_refused = remarks.any(|remark| remark.contains("more than 1024 bytes"));
        assert_eq!(is_refused, length > 1022);
    }
}

#[test]
fn events_of_one_key_are_limited_in_bytes_too() {
    let rules = |at_least: usize, kept: usize| {
        let text = format!(
            "when = 'op == \"A\"'\ncount = {{ at_least = {at_least}, within = '1m' }}\n\
             notify = ['team']"
        );
        let mut limits = RuleSetLimits::DEFAULT;
        limits.kept_event_bytes = kept * event(r#"{"op": "A"}"#).bytes().len();
        RuleSet::compile_with_limits([("a.toml", text)], &limits, &ReactionLimits::DEFAULT).unwrap()
    };
    // Two are kept, and the third is refused, unless it completes the count.
    for (at_least, expected) in [(4, [0, 0, 1]), (3, [0, 0, 0])] {
        let rules = rules(at_least, 2);
        let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
        let mut fired = 0;
        let failures = [(); 3].map(|()| {
            let event = event(r#"{"op": "A"}"#);
            let evaluation = rules.evaluate_in_time(&event, &mut state, now, &mut |_| ());
            fired += evaluation.actions().count();
            evaluation.failures.len()
        });
        assert_eq!((failures, fired), (expected, usize::from(at_least == 3)));
    }
}
