//! Calls of rules and what they do with the answers.

use reflexarc::{
    AnsweredCall, CallAnswer, Evaluation, Json, MemoryState, NativeEvent, NoState, OwnCode,
    RuleSet, Timestamp,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn rules(text: &str) -> RuleSet {
    RuleSet::compile([("leak.toml", text)]).unwrap()
}

fn event() -> NativeEvent {
    NativeEvent::from_json(r#"{"id": "e-1", "eni": "eni-1"}"#).unwrap()
}

fn answered(answer: CallAnswer) -> AnsweredCall {
    let parameters = Json::object([("Id", "eni-1".into())]);
    AnsweredCall::new("leak", Some(event()), "ecs", "Describe", parameters, answer)
}

fn ok() -> CallAnswer {
    CallAnswer::ok(200, Json::parse(r#"{"Status": "Available"}"#).unwrap())
}

fn failures(evaluation: &Evaluation) -> Vec<&str> {
    let failures = evaluation.failures.iter();
    failures.map(|failure| failure.message.as_str()).collect()
}

const LEAK: &str = r#"
    when = 'eni exists'
    by = "eni"
    once = { within = "1h" }
    then = 'call("ecs", "Describe", #{ Id: event.eni })'
    answered = """
        add("answers", 1);
        if answer.ok && answer.body.Status == "Available" {
            call("ecs", "Delete", #{ Id: call.parameters.Id }, #{ after: "2m", key: "delete" });
        } else {
            cancel("delete");
            notify("team", `${event.id}: ${answer.code} ${answer.message}`);
        }
    """
"#;

#[test]
fn an_answer_leads_to_calls_notifications_and_state() {
    let rules = rules(LEAK);
    let call = answered(ok()).with_key(Some("eni-1".into()));
    let evaluation = rules.answer(&call, &NoState, NOW);
    let effects = &evaluation.rules[0];
    assert_eq!(
        effects.actions[0].to_json().to_string(),
        r#"{"target":"ecs","call":{"operation":"Delete","parameters":{"Id":"eni-1"}},"after":"2m","key":"delete"}"#
    );
    assert_eq!(
        (effects.hop, effects.key.clone()),
        (1, Some(Json::from("eni-1")))
    );
    assert_eq!(
        effects.event.as_ref().map(reflexarc::Event::bytes),
        Some(event().event().bytes())
    );
    assert_eq!(effects.changes.len(), 1);

    let expired = answered(CallAnswer::own(OwnCode::Expired, "too late"));
    let evaluation = rules.answer(&expired, &NoState, NOW);
    assert_eq!(evaluation.rules[0].cancelled, ["delete"]);
    assert!(
        evaluation.rules[0].actions[0]
            .to_json()
            .to_string()
            .contains("Expired too late")
    );
}

#[test]
fn gates_do_not_hold_answers_back() {
    let rules = rules(LEAK);
    let mut state = MemoryState::new();
    for _ in 0..2 {
        let evaluation = rules.answer(&answered(ok()), &state, NOW);
        assert_eq!(evaluation.actions().count(), 1);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
    }
}

#[test]
fn rules_that_are_gone_or_disabled_have_no_effects() {
    let disabled = format!("enabled = false\n{LEAK}");
    let without = "when = 'eni exists'\nthen = 'call(\"ecs\", \"Describe\", #{})'".to_owned();
    for (text, name) in [
        (LEAK.to_owned(), "other"),
        (disabled, "leak"),
        (without, "leak"),
    ] {
        let rules = rules(&text);
        let mut call = answered(ok());
        name.clone_into(&mut call.rule);
        assert!(rules.answer(&call, &NoState, NOW).is_empty());
        assert!(!rules.processes_answers(name));
    }
    assert!(rules(LEAK).processes_answers("leak"));
}

#[test]
fn calls_end_after_eight_hops() {
    let rules = rules(
        r#"
        when = 'eni exists'
        then = 'call("ecs", "Describe", #{})'
        answered = 'call("ecs", "Describe", #{})'
    "#,
    );
    let mut hop = rules.evaluate(&event(), &NoState, NOW).rules[0].hop + 1;
    let mut calls = 0;
    let failed = loop {
        let evaluation = rules.answer(&answered(ok()).with_hop(hop), &NoState, NOW);
        let Some(effects) = evaluation.rules.first() else {
            break failures(&evaluation).join(" ");
        };
        calls += 1;
        hop = effects.hop + 1;
    };
    assert_eq!(calls, 7, "the first call and these are eight");
    assert!(
        failed.contains("`call` would start hop 9, but at most 8 are allowed"),
        "{failed}"
    );
}

#[test]
fn hops_go_on_from_answers_to_emitted_events() {
    let rules = RuleSet::compile([
        (
            "leak.toml",
            "when = 'eni exists'\nanswered = 'emit(#{ again: 1 })'\nthen = 'log(1)'",
        ),
        (
            "again.toml",
            "when = 'again == 1'\nthen = 'emit(#{ again: 1 })'",
        ),
    ])
    .unwrap();
    let evaluation = rules.answer(&answered(ok()).with_hop(5), &NoState, NOW);
    let hops: Vec<_> = evaluation.rules.iter().map(|effects| effects.hop).collect();
    assert_eq!(hops, [5, 6, 7]);
    assert_eq!(evaluation.failures[0].hop, 8);
}

#[test]
fn a_failing_script_is_a_failure_with_its_place() {
    let rules = rules(
        "when = 'eni exists'\nthen = 'log(1)'\nanswered = '''\nlog(1);\nlog(answer.body.A.B);\n'''",
    );
    let evaluation = rules.answer(&answered(ok()), &NoState, NOW);
    assert!(evaluation.rules.is_empty());
    let message = failures(&evaluation)[0];
    assert!(message.starts_with("leak.toml:5:"), "{message}");
}

#[test]
fn an_answer_without_an_event_is_processed() {
    let rules = rules(
        r#"
        when = 'eni exists'
        absent_for = "1h"
        then = 'call("ecs", "Describe", #{})'
        answered = 'notify("team", `${event?.id ?? "no event"}: ${answer.ok}`)'
    "#,
    );
    let mut call = answered(ok());
    call.event = None;
    let evaluation = rules.answer(&call, &NoState, NOW);
    let action = evaluation.rules[0].actions[0].to_json().to_string();
    assert!(action.contains("no event: true"), "{action}");
}

#[test]
fn answered_is_checked_when_a_rule_is_loaded() {
    for (script, expected) in [
        ("log(closing)", "unknown variable `closing`"),
        ("log(answr.ok)", "unknown variable `answr`"),
        (
            "call(\"ecs\", event.op, #{})",
            "the operation of `call` must be a string literal",
        ),
    ] {
        let text = format!("when = 'eni exists'\nthen = 'log(1)'\nanswered = '{script}'");
        let error = RuleSet::compile([("leak.toml", text.as_str())])
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{script}: {error}");
    }
    let error = RuleSet::compile([("leak.toml", "when = 'eni exists'\nthen = 'log(answer.ok)'")]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("unknown variable `answer`"), "{error}");
}

#[test]
fn operations_of_all_scripts_are_listed() {
    let rules = rules(LEAK);
    let rule = rules.get("leak").unwrap();
    let calls = rule.calls().into_iter().map(|call| {
        assert_eq!(
            rule.text()[call.operation_span].trim_matches('"'),
            call.operation
        );
        format!("{} {}", call.target, call.operation)
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["ecs Describe", "ecs Delete"]);
    let targets = rule.targets().into_iter().map(|(name, _)| name);
    assert_eq!(targets.collect::<Vec<_>>(), ["ecs", "ecs", "team"]);
    assert!(rule.has_answered() && rule.may_delay());
}
