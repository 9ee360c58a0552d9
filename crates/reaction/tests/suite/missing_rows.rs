//! Warnings about columns of a row that may be missing.

use reflexarc_diagnostic::Code;
use reflexarc_reaction::{
    Diagnostic, Event, Input, Json, NoState, Reaction, ReactionLimits, ScriptEvent, ScriptVariables,
};

use crate::{now, rule};

fn compile(script: &str) -> Reaction {
    let variables = ScriptVariables::default().with_lookups(true);
    Reaction::compile_in(script, variables, &ReactionLimits::DEFAULT)
        .unwrap_or_else(|error| panic!("{script}\n{error}"))
}

fn warnings(script: &str) -> Vec<Diagnostic> {
    compile(script).warnings().to_vec()
}

/// What a script logs, or its error, where `lookup` is this.
fn run(script: &str, rows: &str) -> Result<Vec<String>, String> {
    let event = ScriptEvent::new(&Event::from_json("{}").unwrap());
    let (rule, rows) = (rule(), Json::parse(rows).unwrap());
    let input = Input::new(&event, &rule, now()).with_lookup(&rows);
    let result = compile(script).run(&input, &NoState);
    result
        .map(|effects| effects.log)
        .map_err(|error| error.to_string())
}

#[test]
fn a_column_of_a_row_that_may_be_missing_is_a_warning() {
    for (script, expected) in [
        ("log(lookup.v.id)", "log(lookup.v?.id)"),
        ("log(lookup.v.id.a)", "log(lookup.v?.id.a)"),
        ("log(lookup . v . id)", "log(lookup . v ?. id)"),
        ("log(lookup.v[\"id\"])", "log(lookup.v?[\"id\"])"),
        ("log(`in ${lookup.v.id}`)", "log(`in ${lookup.v?.id}`)"),
        (
            "let id = lookup.v.id; log(id)",
            "let id = lookup.v?.id; log(id)",
        ),
        (
            "if lookup.w != () { log(lookup.v.id) }",
            "if lookup.w != () { log(lookup.v?.id) }",
        ),
        ("log(lookup.v.id ?? 1)", "log(lookup.v?.id ?? 1)"),
    ] {
        let found = warnings(script);
        assert_eq!(found.len(), 1, "{script}: {found:?}");
        assert_eq!(found[0].code, Code::MISSING_ROW);
        let fix = found[0].fix.clone().unwrap();
        let mut fixed = script.to_owned();
        fixed.replace_range(fix.span, &fix.replacement);
        assert_eq!(fixed, expected);
        assert_eq!(warnings(&fixed), [], "{fixed}");
        assert!(run(script, r#"{"v": null, "w": {}}"#).is_err(), "{script}");
        assert!(run(&fixed, r#"{"v": null, "w": {}}"#).is_ok(), "{fixed}");
    }
    let method = warnings("log(lookup.v.keys())");
    assert_eq!(method[0].code, Code::MISSING_ROW);
    assert!(method[0].fix.is_none(), "{method:?}");
    assert!(
        method[0]
            .help
            .as_ref()
            .unwrap()
            .contains("if lookup.v != ()")
    );
}

#[test]
fn what_the_author_has_considered_is_no_warning() {
    for script in [
        "log(lookup.v?.id)",
        "log(lookup.v)",
        "log(lookup)",
        "if lookup.v != () { log(lookup.v.id) }",
        "if lookup.v == () { skip(\"none\") } log(lookup.v.id)",
        "if lookup.v?.id == \"a\" { log(lookup.v.zone) }",
        "if lookup.v == () { return } for n in 0..2 { log(lookup.v.id) }",
        "log(lookup.v != () && lookup.v.id == 1)",
        "try { log(lookup.v.id) } catch { log(0) }",
        "let lookup = #{v: #{id: 1}}; log(lookup.v.id)",
    ] {
        assert_eq!(warnings(script), [], "{script}");
        let logged = run(script, r#"{"v": null}"#);
        assert!(logged.is_ok(), "{script}: {logged:?}");
    }
}

#[test]
fn rows_are_maps_of_their_columns() {
    let rows = r#"{"v": {"id": "a", "n": 1.5, "odd key": [1]}, "w": null}"#;
    let logged = |script: &str| run(script, rows).unwrap();
    assert_eq!(
        logged("log(lookup)"),
        [r#"{"v":{"id":"a","n":1.5,"odd key":[1]},"w":null}"#]
    );
    assert_eq!(
        logged("log(`${lookup.v[\"odd key\"][0] + lookup.v.n}`)"),
        ["2.5"]
    );
    assert_eq!(
        logged("for c in lookup.v.keys() { log(c) }"),
        ["id", "n", "odd key"]
    );
    assert_eq!(
        logged("log(lookup.w == ()); log(lookup.none == ())"),
        ["true", "true"]
    );
    // Read-only, as all predefined variables are.
    let variables = ScriptVariables::default().with_lookups(true);
    let limits = ReactionLimits::DEFAULT;
    let error = Reaction::compile_in("lookup.v = 1", variables, &limits).unwrap_err();
    assert_eq!(error.diagnostics()[0].message, "`lookup` is read-only");
    let error = Reaction::compile("log(lookup.v)", &limits).unwrap_err();
    let help = error.diagnostics()[0].help.clone();
    assert_eq!(
        help.as_deref(),
        Some("`lookup` exists only in rules with the key `lookup`")
    );
}

#[test]
fn nothing_of_a_row_is_left_for_the_next_run() {
    let script = "log(lookup.v?.id)";
    let reaction = compile(script);
    let event = ScriptEvent::new(&Event::from_json("{}").unwrap());
    let rule = rule();
    for (rows, expected) in [(r#"{"v": {"id": 1}}"#, "1"), (r#"{"v": null}"#, "null")] {
        let rows = Json::parse(rows).unwrap();
        let input = Input::new(&event, &rule, now()).with_lookup(&rows);
        assert_eq!(reaction.run(&input, &NoState).unwrap().log, [expected]);
    }
    let without = Input::new(&event, &rule, now());
    assert!(
        reaction.run(&without, &NoState).is_err(),
        "no rows were given"
    );
}
