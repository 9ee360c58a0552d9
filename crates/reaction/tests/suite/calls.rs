//! Calls of operations, and the script that gets their answers.

use reflexarc_event::Json;
use reflexarc_reaction::{
    Action, CallAnswer, CallInput, Input, NoState, OwnCode, Reaction, ReactionLimits,
    SignedDuration, VariableScope,
};

use crate::{fails, now, rule, run};

fn errors(script: &str) -> Vec<(String, String)> {
    let error = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap_err();
    let found = error.diagnostics().iter();
    let found = found.map(|one| (one.message.clone(), script[one.span.clone()].to_owned()));
    found.collect()
}

#[test]
fn a_call_has_parameters_and_a_delay() {
    let effects = run(r#"
        call("ecs", "DetachNetworkInterface", #{ InstanceId: "i-1", Tags: [#{ Key: "a" }] });
        call ("ecs", "DescribeInstances", #{}, #{ after: "2m", key: "again" });
    "#)
    .unwrap();
    let parameters = Json::parse(r#"{"InstanceId": "i-1", "Tags": [{"Key": "a"}]}"#).unwrap();
    let first = Action::call("ecs", "DetachNetworkInterface", parameters);
    let second = Action::call("ecs", "DescribeInstances", Json::Object(Vec::new()))
        .with_after(SignedDuration::from_mins(2))
        .with_key("again");
    assert_eq!(effects.actions, [first, second]);
}

#[test]
fn the_word_remains_a_name_elsewhere() {
    let effects = run(r#"
        let call = #{ call: 1, b: [2] };
        log(call.call);
        log(`${call.b[0]}`);
        log(call . call);
        // call("x")
        fn describe(id) { call("ecs", "DescribeInstances", #{ Id: id }) }
        describe("i-2");
    "#)
    .unwrap();
    assert_eq!(effects.log, ["1", "2", "1"]);
    assert_eq!(effects.actions.len(), 1);
}

#[test]
fn a_missing_parameter_fails_the_reaction() {
    for (parameters, path) in [
        ("#{ Id: event.nowhere }", "Id"),
        ("#{ A: 1, Ids: [\"a\", event.nowhere] }", "Ids.1"),
        ("#{ Tag: [#{ Key: \"k\", Value: () }] }", "Tag.0.Value"),
    ] {
        let message = fails(&format!(
            r#"call("ecs", "DescribeInstances", {parameters})"#
        ));
        let expected = format!("the parameter `{path}` of `call` is missing (`()`)");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn target_and_operation_must_be_literals() {
    let target = "the target of `call` must be a string literal".to_owned();
    let operation = "the operation of `call` must be a string literal".to_owned();
    for (script, expected) in [
        (
            r#"call(event.target, "A", #{})"#,
            vec![(target.clone(), "event")],
        ),
        (
            r#"let t = "ecs"; call(t, "A", #{})"#,
            vec![(target.clone(), "t")],
        ),
        (
            "call(\"ecs\", `A${event.x}`, #{})",
            vec![(operation.clone(), "`A${event.x}`")],
        ),
        (
            r#"fn f(op) { call("ecs", op, #{}) } f("A");"#,
            vec![(operation.clone(), "op")],
        ),
        (
            r#"call("", " ", #{})"#,
            vec![
                ("the target of `call` is empty".to_owned(), "\"\""),
                ("the operation of `call` is empty".to_owned(), "\" \""),
            ],
        ),
        (
            r#"call("ecs", "A", #{}, #{ afer: "2m" })"#,
            vec![(
                "unknown field `afer` in the last map of `call`".to_owned(),
                "afer",
            )],
        ),
        (
            r#"call("ecs", "A", #{}, #{ after: "2x" })"#,
            vec![(
                "`after` of `call`: invalid duration `2x`".to_owned(),
                "\"2x\"",
            )],
        ),
    ] {
        let found = errors(script);
        for ((message, place), (expected, at)) in found.iter().zip(&expected) {
            assert!(
                message.starts_with(expected.as_str()),
                "{script}: {message}"
            );
            assert!(at.starts_with(place.as_str()), "{script}: {place}");
        }
        assert_eq!(found.len(), expected.len(), "{script}: {found:?}");
    }
}

#[test]
fn wrong_calls_show_how_to_call() {
    for (script, expected) in [
        (
            r#"call("ecs", "A")"#,
            "`call` expects 3 or 4 arguments, found 2",
        ),
        (r#"call("ecs", "A", 5)"#, "invalid arguments for `call`: "),
        (r#"let f = |x| x; f.call(1)"#, "unknown function `call`"),
        (r#"fn call(a, b) { a } "#, "expecting function name"),
        (r#"cal("ecs", "A", #{})"#, "unknown function `cal`"),
    ] {
        let found = errors(script);
        assert!(found[0].0.starts_with(expected), "{script}: {found:?}");
    }
    let message = fails(r#"call("ecs", "A", event.id)"#);
    assert!(
        message.contains("invalid arguments for `call`: expected call(target"),
        "{message}"
    );
    let error = Reaction::compile(r#"cal("ecs", "A", #{})"#, &ReactionLimits::DEFAULT);
    let error = error.unwrap_err();
    let help = error.diagnostics()[0].help.as_deref();
    assert_eq!(help, Some("did you mean `call`?"));
}

#[test]
fn operations_are_listed_with_their_places() {
    let script = r#"
        if event.id == 1 { call("ecs", "A", #{}) }
        fn f() { call("cmdb", "GET /x", #{}) }
        f();
    "#;
    let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
    let calls = reaction.calls().into_iter().map(|call| {
        assert_eq!(script[call.target_span].trim_matches('"'), call.target);
        assert_eq!(
            script[call.operation_span].trim_matches('"'),
            call.operation
        );
        format!("{} {}", call.target, call.operation)
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["ecs A", "cmdb GET /x"]);
    let targets = reaction.targets().into_iter().map(|target| target.name);
    assert_eq!(targets.collect::<Vec<_>>(), ["ecs", "cmdb"]);
}

#[test]
fn answers_are_seen_as_they_came() {
    let scope = VariableScope::Answered {
        event_may_be_missing: true,
    };
    let script = r#"
        log(`${event == ()} ${call.target} ${call.operation} ${call.parameters.Id}`);
        log(`${answer.ok} ${answer.status ?? "-"} ${answer.code} ${answer.message}`);
        log(answer.body?.Things ?? "no body");
    "#;
    let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT).unwrap();
    let parameters = Json::object([("Id", "i-1".into())]);
    let log = |answer: &CallAnswer| {
        let call = CallInput {
            target: "ecs",
            operation: "A",
            parameters: &parameters,
            answer,
        };
        let rule = rule();
        let input = Input::without_event(&rule, now()).with_call(&call);
        reaction.run(&input, &NoState).unwrap().log
    };
    let body = Json::parse(r#"{"Things": [1.50, 18446744073709551615]}"#).unwrap();
    assert_eq!(
        log(&CallAnswer::ok(200, body)),
        [
            "true ecs A i-1",
            "true 200  ",
            r#"[1.5,"18446744073709551615"]"#
        ]
    );
    assert_eq!(
        log(&CallAnswer::own(OwnCode::Expired, "late")),
        ["true ecs A i-1", "false - Expired late", "no body"]
    );
}

#[test]
fn a_large_answer_may_be_used_as_a_whole() {
    let scope = VariableScope::Answered {
        event_may_be_missing: false,
    };
    let reaction =
        Reaction::compile_in("log(answer.body.len())", scope, &ReactionLimits::DEFAULT).unwrap();
    let answer = CallAnswer::ok(200, "x".repeat(1 << 20));
    let parameters = Json::Object(Vec::new());
    let call = CallInput {
        target: "ecs",
        operation: "A",
        parameters: &parameters,
        answer: &answer,
    };
    let rule = rule();
    let input = Input::without_event(&rule, now()).with_call(&call);
    assert_eq!(reaction.run(&input, &NoState).unwrap().log, ["1048576"]);
}
