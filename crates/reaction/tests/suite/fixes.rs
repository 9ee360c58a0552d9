//! Fixes of scripts and templates: what a text becomes when they are applied.

use reflexarc_reaction::{Diagnostic, Reaction, ReactionLimits, Template};

use crate::fixed_texts::check;

fn of_script(text: &str) -> Vec<Diagnostic> {
    match Reaction::compile(text, &ReactionLimits::DEFAULT) {
        Ok(reaction) => reaction.warnings().to_vec(),
        Err(error) => error.into_diagnostics(),
    }
}

fn of_template(text: &str) -> Vec<Diagnostic> {
    match Template::compile(text, &ReactionLimits::DEFAULT) {
        Ok(template) => template.warnings().to_vec(),
        Err(error) => error.into_diagnostics(),
    }
}

#[test]
fn misspelt_functions_and_variables_of_scripts_are_fixed() {
    check(
        of_script,
        &[
            (r#"notfiy("t", "x")"#, Some(r#"notify("t", "x")"#)),
            (r#"Notify("t", "x")"#, Some(r#"notify("t", "x")"#)),
            (r#"sned("t", 1)"#, Some(r#"send("t", 1)"#)),
            (r#"log(parse_itn("1"))"#, Some(r#"log(parse_int("1"))"#)),
            (
                r#"log(event.id.start_with("x"))"#,
                Some(r#"log(event.id.starts_with("x"))"#),
            ),
            (
                r#"log(event.id.startsWith("x"))"#,
                Some(r#"log(event.id.starts_with("x"))"#),
            ),
            (r#"log(evnt.id)"#, Some(r#"log(event.id)"#)),
            ("log(`${evnt.id}`)", Some("log(`${event.id}`)")),
            ("log(rul.name)", Some("log(rule.name)")),
            (
                "let address = 1; log(adress)",
                Some("let address = 1; log(address)"),
            ),
            (
                "fn twice(x) { x + x } log(twcie(1))",
                Some("fn twice(x) { x + x } log(twice(1))"),
            ),
            (
                "fn f(a) { let value = a; vlaue } log(f(1))",
                Some("fn f(a) { let value = a; value } log(f(1))"),
            ),
        ],
    );
}

#[test]
fn functions_of_other_languages_are_fixed() {
    check(
        of_script,
        &[
            (
                r#"log(event.id.includes("a"))"#,
                Some(r#"log(event.id.contains("a"))"#),
            ),
            (
                "log(event.id.substr(1, 2))",
                Some("log(event.id.sub_string(1, 2))"),
            ),
            (
                "log(event.id.toUpperCase())",
                Some("log(event.id.to_upper())"),
            ),
            ("log(str(1))", Some("log(to_string(1))")),
        ],
    );
}

#[test]
fn functions_of_another_meaning_are_no_fix() {
    check(
        of_script,
        &[
            // Opposites.
            (r#"log(event.id.begins_with("x"))"#, None),
            (r#"log(enabled(1))"#, None),
            (r#"disable("t")"#, None),
            (r#"unset("k")"#, None),
            (r#"unlog("x")"#, None),
            (r#"log(event.id.istarts_with("x"))"#, None),
            (r#"log(event.id.not_contains("x"))"#, None),
            (r#"log(is_missing(event.id))"#, None),
            (r#"log(max_of(1, 2))"#, None),
            (r#"log(mix(1, 2))"#, None),
            // Other meanings.
            (r#"log(parse_date("2019"))"#, None),
            (r#"log(parse_ints("1"))"#, Some(r#"log(parse_int("1"))"#)),
            (r#"log(parse_uint("1"))"#, None),
            (r#"notifyall("t", "x")"#, None),
            (r#"resend("t", 1)"#, None),
            (r#"log(event.id.replaceAll("a", "b"))"#, None),
            ("log(event.id.strip())", None),
            ("log(event.id.substring(1, 2))", None),
            // Another number of arguments.
            (r#"notfiy("t")"#, None),
            (r#"sned("t")"#, None),
            (r#"gett("k", 1, 2)"#, None),
            ("fn twice(x) { x + x } log(twcie(1, 2))", None),
            ("fn twice(x) { x + x } log(thrice(1))", None),
            // Short and unknown words.
            ("f(1)", None),
            ("log(x)", None),
            ("log(rle2)", None),
            ("log(row)", None),
            ("log(role.name)", None),
            ("log(events)", Some("log(event)")),
            ("let a = 1; log(b)", None),
            // Functions do not see the predefined variables.
            ("fn f() { evnt.id } log(f())", None),
            ("let old = 1; log(odd)", None),
        ],
    );
}

#[test]
fn messages_in_scripts_are_fixed() {
    check(
        of_script,
        &[
            (
                r#"notify("t", #{txt: "x"})"#,
                Some(r#"notify("t", #{text: "x"})"#),
            ),
            (
                r#"notify("t", #{body: "x"})"#,
                Some(r#"notify("t", #{text: "x"})"#),
            ),
            (
                r#"notify("t", #{text: "x", severity: "warn"})"#,
                Some(r#"notify("t", #{text: "x", level: "warn"})"#),
            ),
            (
                r#"notify("t", #{text: "x", subject: "y"})"#,
                Some(r#"notify("t", #{text: "x", title: "y"})"#),
            ),
            (
                r#"notify("t", #{text: "x", url: "y"})"#,
                Some(r#"notify("t", #{text: "x", link: "y"})"#),
            ),
            (
                r#"notify("t", #{text: "x", level: "wran"})"#,
                Some(r#"notify("t", #{text: "x", level: "warn"})"#),
            ),
            (
                r#"notify("t", #{text: "x", level: "critcal"})"#,
                Some(r#"notify("t", #{text: "x", level: "critical"})"#),
            ),
            (
                r#"let m = #{titel: "a"}; notify("t", m)"#,
                Some(r#"let m = #{title: "a"}; notify("t", m)"#),
            ),
            (
                r#"let m = #{text: "a"}; m.titel = "b"; notify("t", m)"#,
                Some(r#"let m = #{text: "a"}; m.title = "b"; notify("t", m)"#),
            ),
            (r#"notify("t", #{text: "x", body: "y"})"#, None),
            (r#"notify("t", #{body: "x", content: "y"})"#, None),
            (r#"notify("t", #{"body": "x"})"#, None),
            (r#"notify("t", #{text: "x", level: "low"})"#, None),
            (r#"notify("t", #{text: "x", level: "error"})"#, None),
            (r#"notify("t", #{text: "x", level: "w\x61rm"})"#, None),
            (r#"notify("t", #{text: "x", colour: "red"})"#, None),
            (
                r#"let m = #{text: "a", subject: "b", title: "c"}; notify("t", m)"#,
                None,
            ),
            (
                r#"let m = #{body: "a", message: "b"}; notify("t", m)"#,
                None,
            ),
            (
                r#"let m = #{text: "a"}; m.body = "b"; notify("t", m)"#,
                None,
            ),
        ],
    );
}

#[test]
fn placeholders_in_scripts_are_fixed() {
    check(
        of_script,
        &[
            (r#"log("${event.id}")"#, Some("log(`${event.id}`)")),
            (r#"log("{{ event.id }}")"#, Some("log(`${event.id}`)")),
            (r#"switch event.id { "${event.name}" => log(1) }"#, None),
            (r#"log("${x}")"#, None),
            (r#"log("{{ event.id | upper }}")"#, None),
        ],
    );
}

#[test]
fn names_in_templates_are_fixed() {
    check(
        of_template,
        &[
            ("{{ evnt.x }}", Some("{{ event.x }}")),
            ("{{ Event.x }}", Some("{{ event.x }}")),
            ("{{ rule.nmae }}", Some("{{ rule.name }}")),
            ("{{ suppresed }}", Some("{{ suppressed }}")),
            ("{{ event.x | upcase }}", Some("{{ event.x | upper }}")),
            ("{{ event.x | lenght }}", Some("{{ event.x | length }}")),
            (
                "{{ event.x | d('-') }}",
                Some("{{ event.x | default('-') }}"),
            ),
            (
                "{% if event.x is definde %}a{% endif %}",
                Some("{% if event.x is defined %}a{% endif %}"),
            ),
            (
                "{% for ip in event.ips %}{{ ip }}{{ loop.indx }}{% endfor %}",
                Some("{% for ip in event.ips %}{{ ip }}{{ loop.index }}{% endfor %}"),
            ),
            ("a ${event.x} b", Some("a {{ event.x }} b")),
            ("a ${ rule.name } b", Some("a {{ rule.name }} b")),
            // Opposites and other meanings.
            (
                "{% if event.x is undefind %}a{% endif %}",
                Some("{% if event.x is undefined %}a{% endif %}"),
            ),
            (
                "{% if event.x is not definde %}a{% endif %}",
                Some("{% if event.x is not defined %}a{% endif %}"),
            ),
            ("{% if event.x is none %}a{% endif %}", None),
            ("{% if event.x is ndefined %}a{% endif %}", None),
            ("{{ event.x | list }}", None),
            ("{{ event.x | min }}", None),
            ("{{ event.x | round }}", None),
            ("{{ event.x | rtrim }}", None),
            ("{{ event.x.upper() }}", None),
            ("{{ role.name }}", None),
            ("{{ x }}", None),
            ("{{ row }}", None),
            ("{{ rule.id }}", None),
            ("{{ rule.lable }}", None),
            ("{{ range(3) }}", None),
            ("{% for ip in event.ips %}{{ loop.len }}{% endfor %}", None),
            ("a ${name} b", None),
            ("a ${evnt.x} b", None),
        ],
    );
}
