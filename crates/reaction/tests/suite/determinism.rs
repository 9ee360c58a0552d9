//! The same input gives the same effects: again, and on another thread.

use std::thread;

use jiff::Timestamp;
use proptest::prelude::*;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{
    Action, Input, MemoryState, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent,
};

/// Statements that together use everything whose order or value could depend on the outside.
const STATEMENTS: &[&str] = &[
    r#"send("t", event);"#,
    r"log(event.keys());",
    r"for key in event.keys() { log(`${key} ${event[key]}`); }",
    r#"let m = #{}; for key in event.keys() { m[key] = key.len(); } send("t", m);"#,
    r#"notify("t", `${rule.name} at ${now}: ${event}`);"#,
    r#"set("count", (get("count") ?? 0) + 1);"#,
    r#"log(add("n", 1)); set("b", event.a, "5m"); set("a", event.b);"#,
    r#"if get("count") == () { remove("count"); } else { set("again", get("count"), 60); }"#,
    r#"emit(#{was: event.id, n: add("n", 2)});"#,
    r"try { event.a.b.c; } catch (problem) { log(problem); }",
    r"let values = event.values(); values.sort(|x, y| `${x}`.len() - `${y}`.len()); log(values);",
    r#"if event.a?.skip == true { skip("requested"); }"#,
    r"event.a.nowhere.at_all;",
];

/// Tokens that are often enough valid together.
const TOKENS: &[&str] = &[
    "let x =",
    "event",
    "event.a",
    "event.a[0]",
    "event.b",
    "x",
    "1",
    "-1",
    "9223372036854775807",
    "0.5",
    "\"t\"",
    "'c'",
    "`${x}`",
    "[",
    "]",
    "#{a:",
    "}",
    "(",
    ")",
    "{",
    ";",
    ";",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<<",
    "**",
    "==",
    "in",
    "..",
    "..=",
    "!",
    "&&",
    "??",
    "?.a",
    ".len()",
    ".push(x)",
    ".pop()",
    ".remove(0)",
    ".filter(|y| y == 1)",
    ".sort()",
    ".keys()",
    ".sub_string(1, 2)",
    ".split(\"x\")",
    ".to_string()",
    ".pad(3, 0)",
    "[-1]",
    "[0..2]",
    "[5] = 1",
    "if true {",
    "else {",
    "while x < 3 {",
    "for y in",
    "loop { break }",
    "switch x { 1 => 2, _ => 3 }",
    "fn f(a) { a }",
    "f(1)",
    "|y| y",
    "this",
    "return",
    "throw",
    "try {",
    "} catch (e) {",
    "notify(\"t\", ",
    "send(\"t\", ",
    "set(\"k\", ",
    "get(\"k\")",
    "add(\"k\", 1)",
    "log(",
    "emit(",
    "skip(\"r\")",
    "json(",
    "type_of(",
    "now",
    "+= 1",
    "const y = 2;",
];

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,5})?(e[1-9])?".prop_map(|text| Json::Number(text.into())),
        ".{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec(("[a-c]|.{0,3}", inner), 0..4).prop_map(Json::from_iter),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop::collection::vec(("id|[a-d]|skip", json()), 0..6)
        .prop_map(|members| Event::from_json(Json::from_iter(members).to_string()).unwrap())
}

/// Runs the script on the events one after the other, and formats effects and state.
fn evaluate(script: &str, events: &[Event]) -> String {
    let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
    let rule = RuleInfo::named("same");
    let mut state = MemoryState::new();
    let mut results = Vec::new();
    for (second, event) in (0..).step_by(45).zip(events) {
        let now = Timestamp::from_second(second).unwrap();
        let event = ScriptEvent::new(event);
        let input = Input::new(&event, &rule, now);
        let first = reaction.run(&input, &state);
        let again = reaction.run(&input, &state);
        assert_eq!(
            format!("{first:?}"),
            format!("{again:?}"),
            "run again with the same state"
        );
        if let Ok(effects) = &first {
            state.apply(&rule.name, &effects.changes);
        }
        results.push(format!("{first:?}\n{state:?}"));
    }
    results.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_same_input_gives_the_same_effects(
        statements in prop::collection::vec(prop::sample::select(STATEMENTS), 1..6),
        events in prop::collection::vec(event(), 1..4),
    ) {
        let blocks = statements.iter().map(|statement| format!("if true {{ {statement} }}\n"));
        let script: String = blocks.collect();
        let here = evaluate(&script, &events);
        let there = thread::scope(|scope| {
            let spawn = |_| scope.spawn(|| evaluate(&script, &events));
            let threads: Vec<_> = (0..2).map(spawn).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results.collect::<Vec<_>>()
        });
        prop_assert!(there.iter().all(|result| *result == here));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(script in "\\PC{0,60}|[a-z(){}\\[\\]|.;=+\"`$ 0-9]{0,60}") {
        let _ = Reaction::compile(&script, &ReactionLimits::DEFAULT);
    }

    #[test]
    fn no_sequence_of_tokens_makes_the_interpreter_panic(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 1..24),
    ) {
        let mut limits = ReactionLimits::DEFAULT;
        limits.operations = 2_000;
        if let Ok(reaction) = Reaction::compile(&tokens.join(" "), &limits) {
            let event = Event::from_json(r#"{"a": [1, "x", {"b": null}], "b": 2.5}"#).unwrap();
            let (event, rule) = (ScriptEvent::new(&event), RuleInfo::named("tokens"));
            let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
            if let Err(error) = reaction.run(&input, &NoState) {
                let script = tokens.join(" ");
                prop_assert!(!error.message().contains("panic"), "{script}: {error}");
            }
        }
    }

    #[test]
    fn an_event_passes_through_a_script_unchanged(event in event()) {
        let reaction = Reaction::compile(r#"send("t", event)"#, &ReactionLimits::DEFAULT).unwrap();
        let rule = RuleInfo::named("same");
        let script_event = ScriptEvent::new(&event);
        let input = Input::new(&script_event, &rule, Timestamp::UNIX_EPOCH);
        let effects = reaction.run(&input, &NoState).unwrap();
        let Action::Send { payload, .. } = &effects.actions[0] else { panic!("{effects:?}") };
        prop_assert!(equal(event.tree(), payload), "{} became {payload}", event.tree());
    }
}

/// Equal except for the order of keys, duplicate keys and the spelling of numbers.
fn equal(before: &Json, after: &Json) -> bool {
    match (before, after) {
        (Json::Number(text), Json::String(kept)) => **text == **kept,
        (Json::Number(before), Json::Number(after)) => {
            let float = |text: &str| text.parse::<f64>().unwrap().to_bits();
            before == after || float(before) == float(after)
        }
        (Json::Array(before), Json::Array(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(before, after)| equal(before, after))
        }
        (Json::Object(members), Json::Object(after)) => {
            after
                .iter()
                .all(|(key, value)| before.get(key).is_some_and(|before| equal(before, value)))
                && members
                    .iter()
                    .all(|(key, _)| after.iter().any(|(other, _)| key == other))
        }
        (before, after) => before == after,
    }
}
