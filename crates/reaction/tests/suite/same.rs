//! The same input gives the same effects: twice, in another order, on another thread.

use std::thread;

use jiff::Timestamp;
use proptest::prelude::*;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Input, Limits, MemoryState, NoState, Reaction, RuleFacts, ScriptEvent};

/// Statements that together use everything whose order or value could come from outside.
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
    r#"if event.a?.skip == true { skip("asked to"); }"#,
    r"event.a.nowhere.at_all;",
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

/// Runs the script over the events one after the other, and shows everything that came of it.
fn evaluate(script: &str, events: &[Event]) -> String {
    let reaction = Reaction::compile(script, &Limits::DEFAULT).unwrap();
    let rule = RuleFacts::named("same");
    let mut state = MemoryState::new();
    let mut shown = String::new();
    for (second, event) in events.iter().enumerate() {
        let now = Timestamp::from_second(second as i64 * 45).unwrap();
        let event = ScriptEvent::new(event);
        let input = Input::new(&event, &rule, now);
        let first = reaction.run(&input, &state);
        let second = reaction.run(&input, &state);
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "twice on the same state");
        if let Ok(effects) = &first {
            state.apply(&rule.name, &effects.changes);
        }
        shown.push_str(&format!("{first:?}\n{state:?}\n"));
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_same_input_gives_the_same_effects(
        statements in prop::collection::vec(prop::sample::select(STATEMENTS), 1..6),
        events in prop::collection::vec(event(), 1..4),
    ) {
        let script = statements.iter().map(|statement| format!("if true {{ {statement} }}\n")).collect::<String>();
        let here = evaluate(&script, &events);
        let there = thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| evaluate(&script, &events))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        prop_assert!(there.iter().all(|shown| *shown == here));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(script in "\\PC{0,60}|[a-z(){}\\[\\]|.;=+\"`$ 0-9]{0,60}") {
        let _ = Reaction::compile(&script, &Limits::DEFAULT);
    }

    #[test]
    fn an_event_goes_through_a_script_unharmed(event in event()) {
        let reaction = Reaction::compile(r#"send("t", event)"#, &Limits::DEFAULT).unwrap();
        let rule = RuleFacts::named("same");
        let effects =
            reaction.run(&Input::new(&ScriptEvent::new(&event), &rule, Timestamp::UNIX_EPOCH), &NoState).unwrap();
        let reflexarc_reaction::Action::Send { payload, .. } = &effects.actions[0] else { panic!("{effects:?}") };
        prop_assert!(equal(event.tree(), payload), "{} became {payload}", event.tree());
    }
}

/// Equal but for the order of keys, duplicates among them, and the spelling of numbers.
fn equal(before: &Json, after: &Json) -> bool {
    match (before, after) {
        (Json::Number(text), Json::String(kept)) => **text == **kept,
        (Json::Number(before), Json::Number(after)) => {
            before == after || before.parse::<f64>().unwrap() == after.parse::<f64>().unwrap()
        }
        (Json::Array(before), Json::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(before, after)| equal(before, after))
        }
        (Json::Object(members), Json::Object(after)) => {
            after.iter().all(|(key, value)| before.get(key).is_some_and(|before| equal(before, value)))
                && members.iter().all(|(key, _)| after.iter().any(|(other, _)| key == other))
        }
        (before, after) => before == after,
    }
}
