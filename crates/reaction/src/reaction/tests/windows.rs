//! What a script reads of a window gives the same as all of it.

use super::*;
use crate::{VariableScope, WindowInput};

/// Pieces of scripts that read a window in every way, often enough valid together.
const WINDOW_PIECES: &[&str] = &[
    "let x = closing;",
    "let x = closing?.a;",
    "let x = events;",
    "let x = event;",
    "let x = key;",
    "let y = x?.a;",
    "let events = x;",
    "let closing = #{a: event?.a};",
    "let count = count + 1;",
    "const key = events.len();",
    "log(x);",
    "log(y);",
    "log(x?.a?.b);",
    "log(events);",
    "log(events.len());",
    "log(events.map(|e| e.a));",
    "log(events[0]?.a);",
    "for e in events { log(e?.a?.b); }",
    "for (event_, i) in events { log(i); log(event_.keys()); }",
    "for key in [1, 2] { log(key); }",
    "if true { let events = [1]; log(events); }",
    "log(closing);",
    "log(closing.a);",
    "log(closing?.a?.b ?? count);",
    "log(closing == ());",
    "log(closing?[\"a\"]);",
    "log(closing.keys());",
    "log(`${count} ${key} ${closing?.c}`);",
    "log(loop { break events });",
    "log(loop { break key });",
    "log([count, opened, deadline, late]);",
    "log(deadline == () || deadline > opened);",
    "log(type_of(key));",
    "log(switch key { \"a\" => closing?.a, _ => closing?.b });",
    "try { log(closing.a.b.c); } catch (late) { log(late); }",
    "fn f(events) { events } log(f(key));",
    "log([[1]].map(|closing| closing[0]));",
    "x[0] = key;",
    "send(\"t\", #{events: events, closing: closing?.a});",
    "event?.a?.b;",
    "log(is_def_var(\"events\"));",
];

/// What comes with a run besides `event`.
#[derive(Debug, Clone)]
struct Given {
    events: Vec<Event>,
    closing: Option<Event>,
    deadline: Option<Timestamp>,
    key: Json,
}

fn given() -> impl Strategy<Value = Given> {
    let key = prop_oneof![
        "[a-c]{0,2}".prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        Just(Json::Array(vec![Json::from("a"), Json::Bool(true)])),
    ];
    let deadline = prop::option::of(0..9_i64);
    let events = prop::collection::vec(event(), 0..4);
    (events, prop::option::of(event()), deadline, key).prop_map(|(events, closing, at, key)| {
        let deadline = at.map(|at| Timestamp::from_second(at).unwrap());
        Given {
            events,
            closing,
            deadline,
            key,
        }
    })
}

fn run_window(reaction: &Reaction, event: Option<&Event>, given: &Given) -> String {
    let window = WindowInput {
        events: &given.events,
        count: 7,
        opened: Timestamp::UNIX_EPOCH,
        deadline: given.deadline,
        key: &given.key,
        late: true,
        closing: given.closing.as_ref(),
    };
    let (rule, event) = (RuleInfo::named("r"), event.map(ScriptEvent::new));
    let input = match &event {
        Some(event) => Input::new(event, &rule, Timestamp::UNIX_EPOCH),
        None => Input::without_event(&rule, Timestamp::UNIX_EPOCH),
    };
    let input = input.with_window(&window);
    format!("{:?}", reaction.run(&input, &MemoryState::new()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_of_a_window_gives_the_same_as_all(
        pieces in prop::collection::vec(prop::sample::select(WINDOW_PIECES), 1..8),
        runs in prop::collection::vec((prop::option::of(event()), given()), 1..4),
    ) {
        let scope = VariableScope::Resolved {
            event_may_be_missing: true,
            closing_may_be_missing: true,
        };
        let compile = |script: &str| Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT);
        let mut script = String::new();
        for piece in pieces {
            let longer = format!("{script}{piece}\n");
            if compile(&longer).is_ok() {
                script = longer;
            }
        }
        let reaction = compile(&script).unwrap();
        for (event, given) in runs {
            let whole = Reaction {
                event_fields: Arc::new(FieldSet::all()),
                window_reads: Some(Arc::new(WindowReads::all(scope))),
                // Nothing of an earlier run.
                workspaces: Arc::default(),
                ..reaction.clone()
            };
            let expected = run_window(&whole, event.as_ref(), &given);
            let read = run_window(&reaction, event.as_ref(), &given);
            prop_assert_eq!(&read, &expected, "{}\n{:?}", script, given);
            if !reaction.reads_events() {
                let without = Given { events: Vec::new(), ..given };
                prop_assert_eq!(run_window(&reaction, event.as_ref(), &without), expected);
            }
        }
    }
}
