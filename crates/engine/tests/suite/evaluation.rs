//! Evaluations of events.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{
    Evaluation, FailureCounter, MemoryState, NativeEvent, NoState, RuleEffects, RuleSet,
};
use reflexarc_event::Json;

use crate::{event, rules};

const FAILED: &str = r#"{"name": "x", "content": {"result": "failed", "eniId": "eni-1"}}"#;

fn evaluate(rules: &RuleSet, json: &str) -> Evaluation {
    rules.evaluate(&event(json), &NoState, Timestamp::UNIX_EPOCH)
}

/// The actions, each with its rule.
fn actions(evaluation: &Evaluation) -> Vec<String> {
    assert_eq!(evaluation.failures, []);
    evaluation
        .actions()
        .map(|(effects, _, action)| format!("{}: {}", effects.rule, action.to_flat_json()))
        .collect()
}

#[test]
fn rules_run_in_the_order_of_their_names() {
    let rules = rules(&[
        (
            "rules/b.toml",
            "when = '{\"content\": {\"result\": [\"failed\"]}}'\n\
             then = 'send(\"audit\", event.content)'",
        ),
        (
            "rules/sub/a.toml",
            "when = '{\"name\": [\"x\"]}'\nthen = 'notify(\"team\", `${event.content.eniId}`)'",
        ),
        (
            "rules/c.toml",
            "when = '{\"name\": [\"y\"]}'\nthen = 'notify(\"team\", `never`)'",
        ),
    ]);
    assert_eq!(
        actions(&evaluate(&rules, FAILED)),
        [
            r#"a: {"target":"team","title":"","text":"eni-1","level":"info"}"#,
            r#"b: {"target":"audit","payload":{"eniId":"eni-1","result":"failed"}}"#,
        ]
    );
    assert_eq!(actions(&evaluate(&rules, "{}")), [""; 0]);
}

#[test]
fn known_envelopes_are_matched_in_native_form() {
    let rules = rules(&[(
        "a.toml",
        "when = '{\"product\": [\"ECS\"], \"content\": {\"eniId\": [\"eni-1\"]}}'\nnotify = 'team'",
    )]);
    let cloudevent = r#"{
        "id": "1", "source": "acs.ecs", "specversion": "1.0",
        "type": "ecs:NetworkInterface:StateChange", "data": {"eniId": "eni-1"}
    }"#;
    assert_eq!(
        evaluate(&rules, cloudevent).matched().collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(rules.matching(&event(cloudevent)).ids(), [0]);
}

#[test]
fn derived_events_reach_scripts_in_native_form() {
    let rules = rules(&[
        (
            "a.toml",
            r##"
            when = 'name == "x"'
            then = '''
                let envelope = #{specversion: "1.0", id: "1", source: "acs.ecs"};
                envelope.type = "ecs:Disk:New";
                envelope.data = #{n: 1};
                emit(envelope)
            '''
            "##,
        ),
        (
            "b.toml",
            "when = 'name == \"Disk:New\"'\nthen = 'send(\"team\", event.content)'",
        ),
    ]);
    let evaluation = evaluate(&rules, FAILED);
    assert_eq!(
        actions(&evaluation),
        [r#"b: {"target":"team","payload":{"n":1}}"#]
    );
}

#[test]
fn a_failing_script_affects_no_other_rule() {
    let rules = rules(&[
        (
            "bad.toml",
            "when = '{\"name\": [\"x\"]}'\n\
             then = '''\nset(\"k\", 1);\nlet n = 1;\nn.nonsense.more\n'''",
        ),
        (
            "good.toml",
            "when = '{\"name\": [\"x\"]}'\nthen = 'notify(\"team\", \"text\")'",
        ),
    ]);
    let evaluation = evaluate(&rules, FAILED);
    assert_eq!(evaluation.matched().collect::<Vec<_>>(), ["good"]);
    let failure = &evaluation.failures[0];
    assert_eq!((failure.rule.as_str(), failure.hop), ("bad", 0));
    assert!(
        failure.message.starts_with("bad.toml:5:"),
        "{}",
        failure.message
    );
}

#[test]
fn emitted_events_are_evaluated_one_hop_later() {
    let rules = rules(&[
        (
            "first.toml",
            "when = '{\"name\": [\"x\"]}'\nthen = 'emit(#{name: \"y\", n: 1})'",
        ),
        (
            "second.toml",
            "when = '{\"name\": [\"y\"]}'\nthen = 'emit(#{name: \"z\"}); set(\"seen\", event.n)'",
        ),
        (
            "third.toml",
            "when = '{\"name\": [\"z\"]}'\nthen = 'notify(\"team\", \"z\")'",
        ),
    ]);
    let evaluation = evaluate(&rules, FAILED);
    assert_eq!(evaluation.failures, []);
    let trail: Vec<_> = evaluation
        .rules
        .iter()
        .map(|e| (e.rule.as_str(), e.hop, e.causes.join(" > ")))
        .collect();
    assert_eq!(
        trail,
        [
            ("first", 0, String::new()),
            ("second", 1, "first".into()),
            ("third", 2, "first > second".into())
        ]
    );
    assert_eq!(
        evaluation.rules[1].event.as_ref().unwrap().bytes(),
        br#"{"n":1,"name":"y"}"#
    );
    assert_eq!(evaluation.rules[0].emitted.len(), 1);
}

#[test]
fn a_cycle_of_emits_ends_after_eight_hops() {
    let rules = rules(&[(
        "again.toml",
        "when = '{\"name\": [\"x\"]}'\nthen = 'add(\"n\", 1); emit(#{name: \"x\"})'",
    )]);
    let evaluation = evaluate(&rules, FAILED);
    assert_eq!(evaluation.rules.len(), 8);
    assert_eq!(evaluation.failures.len(), 1);
    assert_eq!(evaluation.failures[0].hop, 8);
    assert!(
        evaluation.failures[0].message.contains("hop 9"),
        "{}",
        evaluation.failures[0].message
    );
    // Each hop sees the state as the previous one left it.
    let mut state = MemoryState::new();
    evaluation
        .rules
        .iter()
        .for_each(|effects| state.apply(&effects.rule, &effects.changes));
    let entries: Vec<_> = state
        .entries(Timestamp::UNIX_EPOCH)
        .map(|(_, key, entry)| format!("{key} = {}", entry.value))
        .collect();
    assert_eq!(entries, ["n = 8"]);
}

#[test]
fn derived_events_are_limited_per_evaluation() {
    let twice = "when = '{\"name\": [\"x\"]}'\nthen = 'emit(#{name: \"x\"}); emit(#{name: \"x\"})'";
    let evaluation = evaluate(&rules(&[("twice.toml", twice)]), FAILED);
    let emitted: usize = evaluation
        .rules
        .iter()
        .map(|effects| effects.emitted.len())
        .sum();
    assert_eq!(emitted, 64);
    assert!(
        evaluation
            .failures
            .iter()
            .all(|f| f.message.contains("64 derived events")),
        "{:?}",
        evaluation.failures
    );
}

#[test]
fn once_and_throttle_suppress_events() {
    let rules = rules(&[
        (
            "once.toml",
            "when = '{\"name\": [\"x\"]}'\n\
             once = { key = 'content.eniId', within = '24h' }\nnotify = 'team'",
        ),
        (
            "slow.toml",
            "when = '{\"name\": [\"x\"]}'\nthrottle = { every = '10m' }\nnotify = 'team'",
        ),
    ]);
    let mut state = MemoryState::new();
    let mut outcomes = Vec::new();
    for (minute, eni) in [(0, "eni-1"), (1, "eni-2"), (2, "eni-1"), (10, "eni-1")] {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let event = event(&format!(
            r#"{{"name": "x", "content": {{"eniId": "{eni}"}}}}"#
        ));
        let evaluation = rules.evaluate(&event, &state, now);
        assert_eq!(evaluation.failures, []);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
            outcomes.push(format!(
                "{minute} {} {}",
                effects.rule,
                effects.skipped.as_deref().unwrap_or("notifies")
            ));
        }
    }
    assert_eq!(
        outcomes,
        [
            "0 once notifies",
            "0 slow notifies",
            "1 once notifies",
            "1 slow throttle: until 1970-01-01T00:10:00Z, 1 held back",
            "2 once once: eni-1 until 1970-01-02T00:00:00Z",
            "2 slow throttle: until 1970-01-01T00:10:00Z, 2 held back",
            "10 once once: eni-1 until 1970-01-02T00:00:00Z",
            "10 slow notifies",
        ]
    );
}

#[test]
fn evaluations_are_repeatable() {
    let rules = rules(&[(
        "a.toml",
        "when = '{\"name\": [\"x\"]}'\nthen = 'add(\"n\", 1); send(\"t\", event)'",
    )]);
    let (first, second) = (evaluate(&rules, FAILED), evaluate(&rules, FAILED));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(first.rules[0].changes.len(), 1);
}

#[test]
fn repeated_failures_are_reported_with_backoff() {
    let rules = rules(&[(
        "bad.toml",
        "when = '{\"name\": [\"x\"]}'\nreport_after = 2\n\
         then = 'if event.ok != true { throw \"no\" }'",
    )]);
    let mut counter = FailureCounter::new();
    let mut reported = Vec::new();
    for (turn, ok) in [false, false, false, false, true, false, false]
        .into_iter()
        .enumerate()
    {
        let evaluation = evaluate(&rules, &format!(r#"{{"name": "x", "ok": {ok}}}"#));
        reported.extend(
            counter
                .record(&rules, &evaluation)
                .into_iter()
                .map(|report| (turn, report.consecutive)),
        );
    }
    assert_eq!(reported, [(1, 2), (3, 4), (6, 2)]);
}

#[test]
fn matching_a_text_equals_matching_the_event() {
    let texts = [
        "level in ['INFO', 'WARN']",
        "content.result exists",
        "content.eniStatus exists",
    ];
    let patterns = texts.iter().map(|text| {
        let text = text.replace('\'', "\"");
        (text.clone(), text.parse().unwrap())
    });
    let rules = RuleSet::from_patterns(patterns).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/events");
    let mut texts: Vec<Vec<u8>> = vec![vec![b' '; (1 << 20) + 1], b"[1]".to_vec()];
    for kind in ["valid", "tolerant", "broken"] {
        let files = std::fs::read_dir(folder.join(kind)).unwrap();
        texts.extend(files.map(|file| std::fs::read(file.unwrap().path()).unwrap()));
    }
    let mut matched = 0;
    for text in texts {
        let expected = NativeEvent::from_json(text.as_slice()).map(|event| {
            let found = rules.matching(&event);
            matched += found.ids().len();
            found.into_ids()
        });
        let found = rules.matching_text(&text).map(reflexarc::Matched::into_ids);
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text));
    }
    assert!(matched > 100, "{matched}");
}

#[test]
fn actions_have_the_key_of_their_event_or_match() {
    let by =
        |by: &str, window: &str| format!("when = 'n exists'\nby = {by}\n{window}\nnotify = ['t']");
    let window = "count = { at_least = 1, within = '1m' }";
    let rules = rules(&[
        ("a.toml", &by("'content.id'", "")),
        ("b.toml", &by("['n', 'content.id']", "")),
        ("c.toml", &by("[]", "")),
        ("d.toml", "when = 'n exists'\nnotify = ['t']"),
        ("e.toml", &by("'content.id'", window)),
        ("f.toml", &by("[]", window)),
        ("g.toml", "when = 'n exists'\nby = 'n'\nthen = 'log(1)'"),
    ]);
    let keys = |json: &str| {
        let evaluation = rules.evaluate(&event(json), &MemoryState::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(evaluation.failures, []);
        let fired = |effects: &&RuleEffects| !effects.actions.is_empty() || effects.rule == "g";
        let key = |effects: &RuleEffects| {
            let key = effects.key.as_ref().map(Json::to_string);
            format!("{} {}", effects.rule, key.unwrap_or_default())
        };
        let rules = evaluation.rules.iter().filter(fired);
        rules.map(key).collect::<Vec<_>>()
    };
    assert_eq!(
        keys(r#"{"n": 1, "content": {"id": "eni-1"}}"#),
        [
            r#"a "eni-1""#,
            r#"b [1,"eni-1"]"#,
            r#"c "#,
            r#"d "#,
            r#"e "eni-1""#,
            r#"f "#,
            r#"g "#,
        ]
    );
    // An address has one spelling.
    assert_eq!(
        keys(r#"{"n": 1, "content": {"id": "2001:DB8:0::1"}}"#)[0],
        r#"a "2001:db8::1""#
    );
    assert_eq!(keys(r#"{"n": 1}"#)[0], r#"a "#);
}

#[test]
fn cancelled_names_have_the_key_of_their_event_or_match() {
    let script = "then = 'cancel(\"a\"); skip(\"x\")'";
    let window = "count = { at_least = 1, within = '1m' }";
    let rules = rules(&[
        ("a.toml", &format!("when = 'n exists'\nby = 'id'\n{script}")),
        ("b.toml", &format!("when = 'n exists'\n{script}")),
        (
            "c.toml",
            &format!("when = 'n exists'\nby = 'id'\n{window}\n{script}"),
        ),
        ("d.toml", "when = 'n exists'\nby = 'id'\nnotify = 't'"),
    ]);
    let state = MemoryState::new();
    let evaluate = |json| rules.evaluate(&event(json), &state, Timestamp::UNIX_EPOCH);
    let keys = |evaluation: &Evaluation| -> Vec<_> {
        let rules = evaluation.rules.iter();
        rules
            .map(|effects| {
                (
                    effects.cancelled.len(),
                    effects.key.as_ref().map(Json::to_string),
                )
            })
            .collect()
    };
    let key = Some("7".to_owned());
    assert_eq!(
        keys(&evaluate(r#"{"n": 1, "id": 7}"#)),
        [(1, key.clone()), (1, None), (1, key.clone()), (0, key)]
    );
    let without = evaluate(r#"{"n": 1}"#);
    assert_eq!(keys(&without), [(1, None), (1, None), (0, None), (0, None)]);
    let note = "key: shared by all events without a value of `by`: the event has no value at `id`";
    assert_eq!(without.rules[0].notes, [note]);
    assert_eq!(without.rules[3].notes, [""; 0]);
}
