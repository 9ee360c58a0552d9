//! `Rule::check`, `allow` and `RuleSet::overlaps`.

use reflexarc::{Dialect, RuleSet, RuleSetLimits};
use reflexarc_diagnostic::{Code, Diagnostic, Severity};

use super::rules;

/// The codes of what is found in a single rule, warnings first.
fn codes(text: &str) -> Vec<Code> {
    let rules = rules(&[("r.toml", text)]);
    let warnings = rules.warnings().iter();
    let warnings = warnings.flat_map(|file| file.diagnostics.clone());
    let rule = rules.get("r").unwrap();
    let hints = rule.check(Dialect::Reflexarc);
    let hints = hints
        .into_iter()
        .filter(|found| found.severity == Severity::Hint);
    warnings.chain(hints).map(|found| found.code).collect()
}

fn rule(when: &str, more: &str) -> String {
    format!("when = '''{when}'''\nnotify = ['team']\n{more}")
}

/// The rules with a hint that they overlap, each with its message.
fn overlaps(files: &[(&str, String)]) -> Vec<(String, String)> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let found = rules(&files).overlaps();
    let line = |(name, found): (String, Diagnostic)| (name, found.message);
    let each = found.into_iter().flat_map(|file| {
        let name = file.name;
        file.diagnostics
            .into_iter()
            .map(move |found| (name.clone(), found))
    });
    each.map(line).collect()
}

#[test]
fn documented_fields_of_one_value_have_no_hint() {
    for when in [
        r#"content.result != "failed""#,
        r#"level != "INFO""#,
        r#"regionId not in ["cn-hangzhou", "cn-beijing"]"#,
        r#"data.result != "failed""#,
    ] {
        assert_eq!(codes(&rule(when, "")), [], "{when}");
    }
    for when in [
        r#"content.ipv6s != "2001:db8::1""#,
        r#"resources != "x""#,
        r#"content.unknown != "x""#,
        r#"content.result != "x" and content.unknown != "x""#,
    ] {
        assert_eq!(codes(&rule(when, "")), [Code::NOT_EQUALS], "{when}");
    }
}

#[test]
fn tests_of_the_rule_show_that_a_field_has_one_value() {
    let with_event = |event: &str| {
        let test = format!("[[test]]\nname = 't'\nevent = '{event}'\nmatches = true\n");
        codes(&rule(r#"state != "ok""#, &test))
    };
    assert_eq!(with_event(r#"{"state": "bad"}"#), []);
    assert_eq!(with_event(r#"{"state": ["bad"]}"#), [Code::NOT_EQUALS]);
    assert_eq!(with_event(r#"{"other": "bad"}"#), [Code::NOT_EQUALS]);
}

#[test]
fn a_documented_field_of_one_value_cannot_have_two() {
    let when = r#"content.operation == "AttachNetworkInterface" and content.operation == "x""#;
    assert_eq!(codes(&rule(when, "")), [Code::NEVER_MATCHES]);
    assert_eq!(
        codes(&rule(
            r#"content.ipv6s == "::1" and content.ipv6s == "::2""#,
            ""
        )),
        []
    );
}

#[test]
fn allow_removes_warnings_and_hints() {
    let when = r#"a != "x" and a == 1 and not (a == 1)"#;
    let found = [Code::NEVER_MATCHES, Code::NOT_EQUALS];
    assert_eq!(codes(&rule(when, "")), found);
    assert_eq!(codes(&rule(when, "allow = 'RA0213'")), [Code::NOT_EQUALS]);
    assert_eq!(codes(&rule(when, "allow = ['ra0213', 'RA0214']")), []);
}

#[test]
fn allow_does_not_remove_errors() {
    let text = rule("a = 1", "allow = ['RA0201']");
    let error = RuleSet::compile([("r.toml", text.as_str())]).unwrap_err();
    assert!(
        error
            .diagnostics()
            .any(|found| found.code == Code::UNKNOWN_OPERATOR),
        "{error}"
    );
}

#[test]
fn unknown_codes_in_allow_are_errors() {
    let text = rule("a == 1", "allow = ['RA213']");
    let error = RuleSet::compile([("r.toml", text.as_str())]).unwrap_err();
    let message = "unknown code `RA213`; did you mean `RA0213`?";
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn codes_that_a_rule_does_not_need_are_hinted_at() {
    let text = rule("a == 1", "allow = ['RA0214', 'RA0407', 'RA0303']");
    assert_eq!(codes(&text), [Code::UNUSED_ALLOW]);
}

#[test]
fn rules_within_another_rule_of_the_same_target_are_found() {
    let found = overlaps(&[
        (
            "a.toml",
            rule(r#"level == "WARN" and name starts with "Disk:""#, ""),
        ),
        ("b.toml", rule(r#"level in ["WARN", "CRITICAL"]"#, "")),
        ("c.toml", rule(r#"level == "INFO""#, "")),
        (
            "d.toml",
            "when = 'level == \"WARN\"'\nthen = 'notify(\"team\", \"x\")'".to_owned(),
        ),
        (
            "e.toml",
            "when = 'level == \"WARN\"'\nnotify = 'others'".to_owned(),
        ),
    ]);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.toml", "d.toml"]);
    assert_eq!(
        found[0].1,
        "every event that matches also matches `b`, which has the same target `team`"
    );
}

#[test]
fn one_of_two_equal_rules_is_found() {
    let found = overlaps(&[
        ("a.toml", rule(r#"a in ["x", "y"]"#, "")),
        ("b.toml", rule(r#"a == "y" or a == "x""#, "")),
    ]);
    let message = "matches the same events as `a`, which has the same target `team`";
    assert_eq!(found, [("b.toml".to_owned(), message.to_owned())]);
}

#[test]
fn rules_that_some_event_separates_are_not_found() {
    for (one, other) in [
        ("a == 1 and b is missing", "b is missing and a == 2"),
        ("x.a == 1 and x.b is missing", "x.b is missing"),
        ("a == 1", "a == 2"),
        ("a > 1 and c exists", "a > 2 and b exists"),
        ("a == 1 and not (a == 1)", "a == 2"),
    ] {
        let found = overlaps(&[("a.toml", rule(one, "")), ("b.toml", rule(other, ""))]);
        assert_eq!(found, [], "{one} and {other}");
    }
}

#[test]
fn an_overlap_can_be_allowed() {
    let found = overlaps(&[
        ("a.toml", rule("a == 1", "allow = ['RA0430']")),
        ("b.toml", rule("a exists", "")),
    ]);
    assert_eq!(found, []);
}

#[test]
fn comparisons_of_rules_are_limited() {
    let files = [
        ("a.toml", rule("a == 1", "")),
        ("b.toml", rule("a exists", "")),
    ];
    let found = |change: fn(&mut RuleSetLimits)| {
        let mut limits = RuleSetLimits::DEFAULT;
        change(&mut limits);
        let files = files.iter().map(|(name, text)| (*name, text.as_str()));
        let reaction_limits = reflexarc::ReactionLimits::DEFAULT;
        let rules = RuleSet::compile_with_limits(files, &limits, &reaction_limits).unwrap();
        rules.overlaps().len()
    };
    assert_eq!(found(|_| ()), 1);
    assert_eq!(found(|limits| limits.compared_rules = 0), 0);
    assert_eq!(found(|limits| limits.comparison_steps = 1), 0);
}

#[test]
fn placeholders_in_texts_that_are_fixed_are_warnings() {
    let text = "description = 'about {{ event.name }}'\nlabels = { team = '${event.userId}' }\n\
                when = 'a exists'\nnotify = ['team', '{{ event.userId }}']\n";
    let rules = rules(&[("a.toml", text)]);
    let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    let found = found.map(|found| (found.code, &text[found.span.clone()]));
    let expected = [
        "'about {{ event.name }}'",
        "'${event.userId}'",
        "'{{ event.userId }}'",
    ];
    assert_eq!(
        found.collect::<Vec<_>>(),
        expected.map(|text| (Code::PLACEHOLDER, text))
    );
}

#[test]
fn rules_with_time_windows_do_not_overlap() {
    let plain = rule("a == 1", "");
    let counting = rule("a == 1", "count = { at_least = 2, within = '1m' }");
    assert_eq!(
        overlaps(&[("a.toml", plain.clone()), ("b.toml", counting)]),
        []
    );
    assert_eq!(
        overlaps(&[("a.toml", plain.clone()), ("b.toml", plain)]).len(),
        1
    );
}
