//! Warnings about fields of an event that may be missing.

use proptest::prelude::*;
use reflexarc_diagnostic::Code;
use reflexarc_reaction::{
    Diagnostic, Event, Input, Json, NoState, Reaction, ReactionLimits, ScriptEvent, Timestamp,
    VariableScope, WindowInput,
};

use crate::{now, rule};

const ABSENCE: VariableScope = VariableScope::Window {
    event_may_be_missing: true,
};

fn warnings(script: &str, scope: VariableScope) -> Vec<Diagnostic> {
    let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT)
        .unwrap_or_else(|error| panic!("{script}\n{error}"));
    reaction.warnings().to_vec()
}

/// The script with the fixes of its warnings, which then has none.
fn fixed(script: &str, scope: VariableScope) -> String {
    let mut fixed = script.to_owned();
    for warning in warnings(script, scope).iter().rev() {
        assert_eq!(warning.code, Code::MISSING_EVENT, "{script}");
        let fix = warning
            .fix
            .as_ref()
            .unwrap_or_else(|| panic!("{script}: no fix"));
        fixed.replace_range(fix.span.clone(), &fix.replacement);
    }
    assert_eq!(warnings(&fixed, scope), [], "{fixed}");
    fixed
}

/// What a script does with or without an event.
fn run(script: &str, event: Option<&str>) -> String {
    let reaction = Reaction::compile_in(script, ABSENCE, &ReactionLimits::DEFAULT).unwrap();
    let event = event.map(|json| ScriptEvent::new(&Event::from_json(json).unwrap()));
    let (rule, key) = (rule(), Json::from(""));
    let window = WindowInput {
        events: &[],
        count: 0,
        opened: Timestamp::UNIX_EPOCH,
        deadline: None,
        key: &key,
        late: false,
        closing: None,
    };
    let input = match &event {
        Some(event) => Input::new(event, &rule, now()),
        None => Input::without_event(&rule, now()),
    };
    format!("{:?}", reaction.run(&input.with_window(&window), &NoState))
}

const EVENT: &str =
    r#"{"id": 1, "name": "n", "n": 4, "content": {"eniId": "e", "result": "failed"}, "ips": [5]}"#;

#[test]
fn fields_without_an_event_are_found() {
    for (script, expected) in [
        ("log(event.id)", "log(event?.id)"),
        ("log(event.content.eniId)", "log(event?.content.eniId)"),
        ("log(event.content?.eniId)", "log(event?.content?.eniId)"),
        ("log(event . id)", "log(event ?. id)"),
        (r#"log(event["odd key"])"#, r#"log(event?["odd key"])"#),
        ("log(event.ips[0])", "log(event?.ips[0])"),
        (
            "log(`网 ${event.id} ${event.name}`)",
            "log(`网 ${event?.id} ${event?.name}`)",
        ),
        ("log(event.id ?? 1)", "log(event?.id ?? 1)"),
        ("log(event.id == ())", "log(event?.id == ())"),
        (
            "if event.id == 1 { log(event.name) }",
            "if event?.id == 1 { log(event?.name) }",
        ),
        ("let id = event.id; log(id)", "let id = event?.id; log(id)"),
        // The condition holds without an event.
        (
            "if event == () { log(event.id) }",
            "if event == () { log(event?.id) }",
        ),
        (
            "if event != () { log(1) } log(event.id)",
            "if event != () { log(1) } log(event?.id)",
        ),
        (
            "if event == () { log(1) } log(event.id)",
            "if event == () { log(1) } log(event?.id)",
        ),
        (
            "if event != () || now > 1 { event.id }",
            "if event != () || now > 1 { event?.id }",
        ),
        (
            "if event == () && event.id == 1 {}",
            "if event == () && event?.id == 1 {}",
        ),
        (
            "if event?.id != 1 { log(event.id) }",
            "if event?.id != 1 { log(event?.id) }",
        ),
        (
            "if now > 1 { skip(\"x\") } event.id",
            "if now > 1 { skip(\"x\") } event?.id",
        ),
        (
            "log(event.id); if event != () {}",
            "log(event?.id); if event != () {}",
        ),
    ] {
        let fixed = fixed(script, ABSENCE);
        assert_eq!(fixed, expected, "{script}");
        assert_eq!(
            run(&fixed, Some(EVENT)),
            run(script, Some(EVENT)),
            "{script}"
        );
        let without = run(&fixed, None);
        assert!(!without.contains("cannot read"), "{fixed}: {without}");
    }
}

#[test]
fn methods_without_an_event_have_no_fix() {
    // Without its `?` also the other: rhai does not keep it in `event?["odd key"].a`.
    for script in [
        "log(event.keys())",
        r#"log(event["odd key"].a)"#,
        r#"log(event?["odd key"].a)"#,
    ] {
        let found = warnings(script, ABSENCE);
        assert_eq!(found.len(), 1, "{script}");
        assert_eq!(found[0].fix, None, "{script}");
        let help = "read it within `if event != () { … }`";
        assert_eq!(found[0].help.as_deref(), Some(help), "{script}");
    }
}

#[test]
fn fields_that_are_read_with_an_event_are_not_found() {
    for script in [
        "log(event?.id)",
        "log(event?.content?.eniId ?? 1)",
        "log(event)",
        "log(event == ())",
        "if event != () { log(event.id) }",
        "if () != event { log(event.id) }",
        "if !(event == ()) { log(event.id) }",
        "if event == () { log(1) } else { log(event.id) }",
        "if event == () { skip(\"none yet\") } log(event.id)",
        "if event == () { return; } log(event.id)",
        "if event == () { log(1); throw \"x\" } if now > 1 { log(event.id) }",
        "if event != () { log(1) } else { return } log(event.id)",
        "if now > 1 { if event == () { return } log(event.id) }",
        "for x in [1] { if event == () { continue } log(event.id) }",
        "if event != () && event.id == 1 { log(event.name) }",
        "if event == () || event.id == 1 { log(1) }",
        "log(event != () && event.id == 1)",
        "if event?.content?.result == \"failed\" { log(event.content.eniId) }",
        "if event?.id != () { log(event.id) }",
        "if event?.n > 3 { log(event.id) }",
        "let id = event?.id; if id != () { log(event.name) }",
        "let is_known = event != (); if is_known { log(event.id) }",
        "if type_of(event) == \"map\" { log(event.id) }",
        "switch event?.id { 1 => log(event.name), _ => log(2) }",
        "let e = event ?? #{}; log(e.id)",
        "log((event ?? #{}).id)",
        "try { log(event.id) } catch { log(1) }",
        "while event != () { log(event.id); break }",
        "fn f(event) { event.id } log(f(#{id: 1}))",
        "let x = if event == () { 1 } else { event.id }; log(x)",
    ] {
        assert_eq!(warnings(script, ABSENCE), [], "{script}");
        let without = run(script, None);
        assert!(!without.contains("cannot read"), "{script}: {without}");
    }
}

#[test]
fn only_events_that_may_be_missing_are_looked_at() {
    let script = "log(event.id); log(closing.id);";
    let resolved = |event_may_be_missing, closing_may_be_missing| VariableScope::Resolved {
        event_may_be_missing,
        closing_may_be_missing,
    };
    for (scope, expected) in [
        (resolved(false, false), script),
        (resolved(true, false), "log(event?.id); log(closing.id);"),
        (resolved(false, true), "log(event.id); log(closing?.id);"),
        (resolved(true, true), "log(event?.id); log(closing?.id);"),
    ] {
        assert_eq!(fixed(script, scope), expected);
    }
    let window = VariableScope::Window {
        event_may_be_missing: false,
    };
    assert_eq!(warnings("log(event.id)", window), []);
    assert_eq!(warnings("log(event.id)", VariableScope::Event), []);
    let own = "let closing = #{id: 1}; log(closing.id)";
    assert_eq!(warnings(own, resolved(true, true)), []);
    let found = &warnings(script, resolved(false, true))[0];
    let message = "`closing` may be missing, `()`; a field of it is an error then";
    assert_eq!(
        (found.message.as_str(), found.span.clone()),
        (message, 19..26)
    );
    let help = "write `closing?.id`, or read it within `if closing != () { … }`";
    assert_eq!(found.help.as_deref(), Some(help));
}

#[test]
fn the_reads_that_are_looked_at_are_bounded() {
    let reads = |count| "log(event.id);\n".repeat(count);
    assert_eq!(warnings(&reads(100), ABSENCE).len(), 100);
    assert_eq!(warnings(&reads(101), ABSENCE).len(), 100);
    // As many conditions and reads as a script has room for.
    let guarded = ["if now == 1 { return }\n".repeat(1_400), reads(2_000)].concat();
    assert_eq!(warnings(&guarded, ABSENCE).len(), 100);
}

/// Parts of scripts that are often enough valid together.
const PARTS: &[&str] = &[
    "event.a",
    "event?.a",
    "closing.b.c",
    "closing?.b",
    "event",
    "closing",
    "event[\"a\"]",
    "event?[\"a\"].b",
    "event . a",
    "event/* 网 */.a",
    "event\n.a",
    "event.keys()",
    "event.a[0].b",
    "`网 ${event.a}\n ${closing.b} `",
    "\"网\"",
    "()",
    "1",
    "x",
    "==",
    "!=",
    "&&",
    "||",
    "??",
    "!",
    "(",
    ")",
    "{",
    "}",
    ";",
    ";",
    "if",
    "else",
    "while",
    "let x =",
    "let closing =",
    "log(",
    "skip(\"r\")",
    "return",
    "throw 1",
    "try {",
    "} catch {",
    "switch event.a {",
    "=>",
    ",",
    "_",
    "for x in [1] {",
    "break",
    "fn f(event) { event.a }",
    "f(event)",
    "|event| event.a",
    "type_of(event)",
    "\n",
    "// 网\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn fixes_of_any_script_leave_no_fixable_warning(
        parts in prop::collection::vec(prop::sample::select(PARTS), 1..20),
    ) {
        let scope = VariableScope::Resolved {
            event_may_be_missing: true,
            closing_may_be_missing: true,
        };
        let mut limits = ReactionLimits::DEFAULT;
        limits.operations = 500;
        let compile = |script: &str| Reaction::compile_in(script, scope, &limits);
        // As much of it as is valid.
        let mut script = String::new();
        let mut open = String::new();
        for part in parts {
            open = format!("{open} {part}");
            if compile(&format!("{script}{open}")).is_ok() {
                script = format!("{script}{open}");
                open.clear();
            }
        }
        let found = compile(&script).unwrap().warnings().to_vec();
        let mut fixed = script.clone();
        for fix in found.iter().rev().filter_map(|found| found.fix.as_ref()) {
            prop_assert!([".", "["].contains(&&fixed[fix.span.clone()]), "{}", script);
            fixed.replace_range(fix.span.clone(), &fix.replacement);
        }
        let after = compile(&fixed);
        prop_assert!(after.is_ok(), "{}\n{}", script, fixed);
        let left = after.unwrap().warnings().iter().filter(|found| found.fix.is_some()).count();
        prop_assert_eq!(left, 0, "{}\n{}", script, fixed);
    }
}
