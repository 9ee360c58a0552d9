mod windows;

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use reflexarc_event::{Event, Json};

use super::*;
use crate::{MemoryState, RuleInfo, ScriptEvent};

/// Pieces of scripts that read the event in every way, often enough valid together.
const PIECES: &[&str] = &[
    "let x = event;",
    "let x = event.a;",
    "let x = event.a.b;",
    "let y = x.a;",
    "let y = x?.b;",
    "let x = event?.b;",
    "let x = y;",
    "x = event.c;",
    "x.a = 1;",
    "x = #{a: event.a.a};",
    "const Z = event.c.a;",
    "log(x);",
    "log(x.a);",
    "log(y.b);",
    "log(y);",
    "log(event);",
    "log(event.a.b.c);",
    "log(event.a == ());",
    "log(event.a.b ?? 1);",
    "log(event.a[0]);",
    "log(event.b.a[event.c]);",
    "log(event[\"a\"]);",
    "log(event.b.len());",
    "log(event.keys());",
    "log(event.a.keys());",
    "log(`${event.a.c} ${x.b}`);",
    "log(\"a\" in event.b);",
    "log(loop { break event.c });",
    "log(loop { break x });",
    "log(if event.a == 1 { event.b } else { event.c.a });",
    "log(switch event.a { 1 => event.b.a, _ => event.b.b });",
    "for v in event.a { log(v); log(event.b.c); }",
    "for x in [event.a, event.b] { log(x.a); }",
    "if event.a.a == 1 { let x = event.b; log(x.c); }",
    "while event.a.len() > 100 { break; }",
    "try { log(event.a.b.c.a); } catch (x) { log(x); }",
    "try { log(x.len); } catch { log(event.b.len); }",
    "fn f(event) { event.a } log(f(event.b));",
    "fn g(x) { x.b } log(g(x));",
    "let x = event.a.map(|v| v);",
    "log(event.a.filter(|x| x == 1));",
    "send(\"t\", x);",
    "send(\"t\", #{a: x.a, b: event.b.b, level: rule.level});",
    "log(rule.name);",
    "log(rule);",
    "let r = rule; log(r.labels.team);",
    "log(rule.labels);",
    "emit(event);",
    "log(type_of(x));",
    "{ let x = event.c; log(x.b); }",
    "let event = #{a: event.b}; log(event);",
    "let rule = #{name: event.a}; log(rule.name);",
    "let now = event.c; log(now);",
    "log(now);",
    "return x.a;",
];

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        (0..3_i64).prop_map(Json::from),
        "[a-c]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            3 => prop::collection::vec(("[a-c]", inner), 0..4).prop_map(Json::from_iter),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let members = prop::collection::vec(("[a-c]", json()), 0..5);
    members.prop_map(|members| Event::from_json(Json::from_iter(members).to_string()).unwrap())
}

/// The result of a run whose `event` and `rule` have all that they may have.
fn run_with_everything(reaction: &Reaction, event: &Event) -> String {
    let all = Arc::new(FieldSet::all());
    let reaction = Reaction {
        event_fields: all.clone(),
        rule_fields: all,
        // Nothing of an earlier run.
        workspaces: Arc::default(),
        ..reaction.clone()
    };
    run(&reaction, event)
}

fn run(reaction: &Reaction, event: &Event) -> String {
    let rule = RuleInfo::named("r").with_labels([("team", "a")]);
    let event = ScriptEvent::new(event);
    let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
    format!("{:?}", reaction.run(&input, &MemoryState::new()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_gives_the_same_as_everything(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..7),
        events in prop::collection::vec(event(), 1..4),
    ) {
        // Without the pieces that make the script invalid: those that use a variable too early.
        let mut script = String::new();
        for piece in pieces {
            let longer = format!("{script}{piece}\n");
            if Reaction::compile(&longer, &ReactionLimits::DEFAULT).is_ok() {
                script = longer;
            }
        }
        let reaction = Reaction::compile(&script, &ReactionLimits::DEFAULT).unwrap();
        for event in events {
            assert!(event.tree_if_read().is_none());
            let from_bytes = run(&reaction, &event);
            let expected = run_with_everything(&reaction, &event);
            prop_assert_eq!(&from_bytes, &expected, "{}\n{}", script, event.tree());
            let from_tree = run(&reaction, &event);
            prop_assert_eq!(&from_tree, &expected, "{}\n{}", script, event.tree());
        }
    }
}

#[test]
fn rules_and_attacks_read_what_they_need() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let texts = |folder: &str, extension: &str| {
        let files = fs::read_dir(root.join(folder)).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
        files
            .map(|path| fs::read_to_string(path).unwrap())
            .collect::<Vec<_>>()
    };
    let scripts = texts("rules", "toml").into_iter().filter_map(|text| {
        let then = text.split_once("then = '''")?.1;
        Some(then.split_once("'''")?.0.to_owned())
    });
    let attacks = texts("tests/corpus/scripts/attacks", "rhai");
    // Most attacks run until a limit stops them, with any event.
    let scripts = scripts.map(|script| (script, usize::MAX));
    let scripts = scripts.chain(attacks.into_iter().map(|script| (script, 1)));
    let scripts: Vec<_> = scripts.collect();
    assert!(scripts.len() > 50, "{} scripts", scripts.len());
    let events = fs::read_to_string(root.join("examples/eni-events.ndjson")).unwrap();
    let events: Vec<_> = events
        .lines()
        .map(|line| Event::from_json(line).unwrap())
        .collect();
    let mut partial = 0;
    for (script, count) in scripts {
        let Ok(reaction) = Reaction::compile(&script, &ReactionLimits::DEFAULT) else {
            continue;
        };
        partial += usize::from(!reaction.event_fields.is_all());
        for event in events.iter().take(count) {
            let expected = run_with_everything(&reaction, event);
            assert_eq!(
                run(&reaction, event),
                expected,
                "{script}\n{}",
                event.tree()
            );
        }
    }
    assert!(partial > 20, "{partial} scripts read parts only");
}
