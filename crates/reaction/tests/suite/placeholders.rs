//! Texts of scripts with placeholders that nothing replaces.

use proptest::prelude::*;
use reflexarc_diagnostic::{Code, Severity};
use reflexarc_reaction::{Diagnostic, Input, MemoryState, Reaction, ReactionLimits};

use crate::{event, now, rule};

fn warnings(script: &str) -> Vec<Diagnostic> {
    let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT);
    let reaction = reaction.unwrap_or_else(|error| panic!("{script}\n{error}"));
    reaction.warnings().to_vec()
}

/// The script with every fix applied.
fn fixed(script: &str) -> String {
    let mut fixed = script.to_owned();
    for fix in warnings(script)
        .into_iter()
        .rev()
        .filter_map(|found| found.fix)
    {
        fixed.replace_range(fix.span, &fix.replacement);
    }
    fixed
}

#[test]
fn placeholders_are_replaced_by_interpolation() {
    for (script, right) in [
        (r#"log("${event.id}")"#, "log(`${event.id}`)"),
        (
            r#"log("a \"b\" ${event.id} `c`")"#,
            r#"log(`a "b" ${event.id} ``c```)"#,
        ),
        (r#"log("${event.id}${now}")"#, "log(`${event.id}${now}`)"),
        (r#"log("${event[\"id\"]}")"#, r#"log(`${event["id"]}`)"#),
        (
            r#"log("${event.a ?? 1 + 2}")"#,
            "log(`${event.a ?? 1 + 2}`)",
        ),
        (r#"log("{{ event.id }}")"#, "log(`${event.id}`)"),
        ("log(`a {{ event.id }} b`)", "log(`a ${event.id} b`)"),
        ("log(`${now} {{ event.id }}`)", "log(`${now} ${event.id}`)"),
        (r#"log("{event.id}")"#, "log(`${event.id}`)"),
        (
            r##"log("#{event.id} $rule.name")"##,
            "log(`${event.id} ${rule.name}`)",
        ),
        (
            r#"notify("t", #{text: "${event.id}"})"#,
            r#"notify("t", #{text: `${event.id}`})"#,
        ),
        (
            r#"let n = 1; set("n ${n}", "${n}")"#,
            "let n = 1; set(`n ${n}`, `${n}`)",
        ),
        (
            r#"fn f(x) { "${x}" } log(f(1))"#,
            "fn f(x) { `${x}` } log(f(1))",
        ),
        (
            "log(\"网 \\\"${event.id}\\\"\")",
            "log(`网 \"${event.id}\"`)",
        ),
    ] {
        assert_eq!(fixed(script), right);
        assert_eq!(warnings(right), [], "{right}");
    }
}

#[test]
fn what_has_no_counterpart_is_only_reported() {
    for script in [
        r#"log("${x}")"#,
        r#"log("${not rhai}")"#,
        r#"log("{{ event.id | upper }}")"#,
        r#"log("{% if event.id %}a{% endif %}")"#,
        r#"log("\u0007 ${event.id}")"#,
        r#"log("\n${event.id}")"#,
        r##"log(#{"${event.id}": 1})"##,
        r#"switch event.a { "${event.id}" => log(1) }"#,
        r#"switch event.a { "x" | "a {{ event.id }}" if now > 1 => log(1), _ => log(2) }"#,
        r#"switch event.a { "\"${event.id}" => log(1) }"#,
        r#"fn f() { "${event.id}" } log(f())"#,
    ] {
        let all = warnings(script);
        assert_eq!(all.len(), 1, "{script}");
        assert_eq!(
            (all[0].code, all[0].severity),
            (Code::PLACEHOLDER, Severity::Warning)
        );
        assert_eq!(fixed(script), script);
    }
}

#[test]
fn other_texts_are_not_reported() {
    for script in [
        "log(`${event.id}`)",
        r#"log("costs $5 {} {a} 100%")"#,
        r#"log(json(#{a: 1}))"#,
        "// \"${event.id}\"\nlog(1)",
        "/* \"${event.id}\" */ switch event.a { \"x\" => log(`\"${event.id}\"`) }",
        r#"if event.a == "{" { log("}") }"#,
    ] {
        assert_eq!(warnings(script), [], "{script}");
    }
}

#[test]
fn maps_in_variables_are_checked_for_the_fields_of_messages() {
    for (script, field) in [
        (r#"let m = #{titel: "a"}; notify("t", m)"#, "titel"),
        (
            r#"let m = #{text: "a"}; m.titel = "b"; notify("t", m)"#,
            "titel",
        ),
    ] {
        let all = warnings(script);
        assert_eq!(all.len(), 1, "{script}");
        let message = format!("unknown field `{field}` in the message of `notify`");
        assert_eq!(
            (all[0].message.as_str(), all[0].severity),
            (&*message, Severity::Warning)
        );
        assert_eq!(warnings(&fixed(script)), []);
    }
    assert_eq!(warnings(r#"let m = #{titel: "a"}; send("t", m)"#), []);
}

#[test]
fn many_placeholders_are_reported_in_bounded_time() {
    let script = r#"log("${event.id}");"#.repeat(3000);
    let all = warnings(&script);
    assert_eq!(all.len(), 3000);
    assert_eq!(all.iter().filter(|found| found.fix.is_some()).count(), 16);
}

proptest! {
    /// For every text around a placeholder: the fixed script logs the text with the value in it.
    #[test]
    fn a_fix_keeps_the_text_around(before in "[ -~网\n\t]{0,12}", after in "[ -~网\n\t]{0,12}") {
        let literal = |text: &str| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            text.replace('\n', "\\n")
        };
        let script = format!("log(\"{}${{event.id}}{}\")", literal(&before), literal(&after));
        let fixed = fixed(&script);
        // The text may itself have what looks like a placeholder.
        prop_assume!(!format!("{before}{after}").contains(['$', '{', '}']));
        if !before.starts_with('\n') && !format!("{before}{after}").contains('\\') {
            prop_assert_ne!(&fixed, &script);
            let reaction = Reaction::compile(&fixed, &ReactionLimits::DEFAULT).unwrap();
            let (event, rule) = (event(), rule());
            let effects = reaction.run(&Input::new(&event, &rule, now()), &MemoryState::new());
            let expected = format!("{before}2256A988-0B26-4E2B-820A-8A0000000001{after}");
            prop_assert_eq!(&effects.unwrap().log, &[expected]);
        }
    }
}

#[test]
fn fixes_of_one_script_are_limited() {
    let script = r#"log("${event.a}");"#.repeat(5);
    let mut limits = ReactionLimits::DEFAULT;
    limits.fixes = 3;
    let reaction = Reaction::compile(&script, &limits).unwrap();
    let has_fix = reaction.warnings().iter().map(|one| one.fix.is_some());
    assert_eq!(
        has_fix.collect::<Vec<_>>(),
        [true, true, true, false, false]
    );
}
