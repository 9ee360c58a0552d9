//! Fields and labels of `rule` in scripts and templates.

use reflexarc::{Code, Diagnostic};

use crate::rules;

/// The findings about `rule` in a rule with these lines, and the text after its fixes.
fn findings(lines: &str) -> (Vec<Diagnostic>, String) {
    let mut text = format!("when = 'a == 1'\nlabels = {{ team = 'n', tier = 'x' }}\n{lines}\n");
    let rules = rules(&[("a.toml", &text)]);
    let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    let found = found.filter(|found| found.code == Code::UNKNOWN_RULE_FIELD);
    let found: Vec<_> = found.cloned().collect();
    for fix in found.iter().rev().filter_map(|found| found.fix.as_ref()) {
        text.replace_range(fix.span.clone(), &fix.replacement);
    }
    (found, text)
}

fn script(expression: &str) -> String {
    format!("then = 'let x = {expression}; log(`${{x}}`)'")
}

fn template(expression: &str) -> String {
    format!("notify = 't'\nmessage = {{ text = '{expression}' }}")
}

#[test]
fn misspelt_labels_and_fields_are_corrected() {
    for (lines, right) in [
        (script("rule.labels.tema"), "x = rule.labels.team;"),
        (script("rule.labels?.tema"), "x = rule.labels?.team;"),
        (
            script("rule.labels.tema ?? 1"),
            "x = rule.labels.team ?? 1;",
        ),
        (
            script("rule.labels.tema.to_upper()"),
            "rule.labels.team.to_upper()",
        ),
        (script("`${rule.labels.Team}`"), "${rule.labels.team}"),
        (script("rule.descripton"), "x = rule.description;"),
        (script("rule.team"), "x = rule.labels.team;"),
        (template("{{ rule.labels.tema }}"), "{{ rule.labels.team }}"),
        (
            template("{{ rule.labels.teir | upper }}"),
            "{{ rule.labels.tier | upper }}",
        ),
        (
            template("{% if rule.labels.tema %}a{% endif %}"),
            "{% if rule.labels.team %}",
        ),
    ] {
        let (found, text) = findings(&lines);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(text.contains(right), "{text}");
        let rest: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(findings(&rest.join("\n")).0, []);
    }
}

#[test]
fn unknown_labels_without_a_default_are_warnings() {
    for lines in [
        script("rule.labels.zone"),
        template("{{ rule.labels.zone }}"),
    ] {
        let (found, _) = findings(&lines);
        let help = found[0].help.as_deref();
        assert_eq!(help, Some("add it: labels = { zone = \"…\" }"), "{lines}");
        assert_eq!(found[0].fix, None);
    }
    // Similar, but not evidently the same: no fix.
    let (found, _) = findings(&script("rule.labels.teem"));
    assert_eq!(found[0].help.as_deref(), Some("did you mean `team`?"));
    assert_eq!(found[0].fix, None);
    for lines in [
        script("rule.labels.zone ?? \"x\""),
        script("if rule.labels.zone == () { 1 } else { 2 }"),
        script("rule.labels.team + rule.name + rule.level + rule.description"),
        script("rule.labels.len()"),
        script("#{ rule: 1 }"),
        template("{{ rule.labels.zone | default(\"x\") }}"),
        template("{% if rule.labels.zone is defined %}a{% endif %}"),
        template("{% if rule.labels.zone %}a{% endif %} {{ rule.name }}"),
    ] {
        assert_eq!(findings(&lines).0, [], "{lines}");
    }
}
