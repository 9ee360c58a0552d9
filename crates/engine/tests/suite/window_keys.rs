//! The keys of time windows in rule files: what is valid, and what is reported.

use proptest::prelude::*;
use reflexarc::{Code, InvalidFiles, RuleSet, Severity, WindowKind};

use super::rules;

/// A rule that matches failures, with further lines.
fn rule(lines: &str) -> String {
    format!("when = 'content.result == \"failed\"'\n{lines}\nnotify = ['team']\n")
}

/// Asserts that a rule with these lines has this window, and no finding.
#[track_caller]
fn check_valid(lines: &str, kind: WindowKind, description: &str) {
    let text = rule(lines);
    let rules = rules(&[("a.toml", text.as_str())]);
    assert_eq!(rules.warnings(), [], "{lines}");
    let rule = rules.get("a").unwrap();
    assert_eq!(rule.window(), Some(kind), "{lines}");
    assert_eq!(
        rule.window_description().as_deref(),
        Some(description),
        "{lines}"
    );
}

/// The errors of a rule with these lines: code, marked text and message.
fn errors(lines: &str) -> Vec<(Code, String, String)> {
    let text = rule(lines);
    let Err(error) = RuleSet::compile([("a.toml", text.as_str())]) else {
        return Vec::new();
    };
    let errors = error.diagnostics();
    let errors = errors.filter(|found| found.severity == Severity::Error);
    let errors = errors.map(|found| {
        let marked = text[found.span.clone()].to_owned();
        (found.code, marked, found.message.clone())
    });
    errors.collect()
}

/// The warnings about a rule: code, marked text and message.
fn warnings(text: &str) -> Vec<(Code, String, String)> {
    let rules = rules(&[("a.toml", text)]);
    let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    let found = found.map(|found| {
        let marked = text[found.span.clone()].to_owned();
        (found.code, marked, found.message.clone())
    });
    found.collect()
}

/// Asserts that a rule with these lines has this one error.
#[track_caller]
fn check_error(lines: &str, code: Code, marked: &str, message: &str) {
    let expected = (code, marked.to_owned(), message.to_owned());
    assert_eq!(errors(lines), [expected], "{lines}");
}

#[test]
fn every_shape_has_a_rule() {
    check_valid(
        "count = { at_least = 6, within = '10m' }",
        WindowKind::Count,
        "waits for 6 events within 10m",
    );
    check_valid(
        "by = 'userId'\ncount = { at_least = 3, every = '1h', distinct = 'content.eniId' }",
        WindowKind::Count,
        "waits for 3 different values of content.eniId in each 1h of UTC, by userId",
    );
    check_valid(
        "by = 'content.eniId'\nfollowed_by = { when = 'level == \"WARN\"', within = '2m' }",
        WindowKind::FollowedBy,
        "waits up to 2m for `level == \"WARN\"`, by content.eniId",
    );
    check_valid(
        "by = 'content.eniId'\nnot_followed_by = { when = 'level == \"INFO\"', within = '1h30m' }",
        WindowKind::NotFollowedBy,
        "waits 1h30m for `level == \"INFO\"`, by content.eniId",
    );
    check_valid(
        "by = 'regionId'\nabsent_for = '24h'\nexpect = ['cn-hangzhou', 'cn-beijing']",
        WindowKind::AbsentFor,
        "waits until no event has come for 1d, by regionId",
    );
    check_valid(
        "batch = { within = '5m', idle = '1m', max = 100 }",
        WindowKind::Batch,
        "collects events until 5m, 1m without another or 100 events",
    );
}

#[test]
fn sequences_have_several_steps_and_an_end() {
    let lines = "by = ['userId', 'content.eniId']\nuntil = 'level == \"CRITICAL\"'\n\
                 notify = ['team']\nwhen = 'content.result == \"failed\"'\n\
                 [[followed_by]]\nwhen = 'level == \"WARN\"'\nwithin = '2m'\n\
                 [[followed_by]]\nwhen = 'id == 1'\nby = ['account', 'eni']\nwithin = '3m'";
    let rules = rules(&[("a.toml", lines)]);
    let description = rules.get("a").unwrap().window_description().unwrap();
    assert_eq!(
        description,
        "waits up to 2m for `level == \"WARN\"`, then up to 3m for `id == 1` (by account, eni), by \
         userId, content.eniId; dropped by `level == \"CRITICAL\"`"
    );
}

#[test]
fn two_windows_in_one_rule_are_an_error() {
    check_error(
        "batch = { within = '5m' }\ncount = { at_least = 6, within = '10m' }",
        Code::SEVERAL_WINDOWS,
        "{ at_least = 6, within = '10m' }",
        "`batch` and `count` in one rule, which has at most one time window",
    );
}

#[test]
fn durations_of_windows_are_bounded() {
    for (lines, code, marked, message) in [
        (
            "absent_for = '0s'",
            Code::RULE_VALUE,
            "'0s'",
            "invalid duration `0s`; it must be longer than zero",
        ),
        (
            "absent_for = '367d'",
            Code::WINDOW_DURATION,
            "'367d'",
            "`absent_for` is longer than 366 days",
        ),
        (
            "batch = { within = '5m' }\ngrace = '1500ns'",
            Code::WINDOW_DURATION,
            "'1500ns'",
            "`grace` is not a whole number of microseconds",
        ),
        (
            "count = { at_least = 2, within = 90 }",
            Code::RULE_TYPE,
            "90",
            "`within`: expected a duration, found a number",
        ),
        (
            "batch = { within = '5m' }\nsettle = '0s'",
            Code::RULE_VALUE,
            "'0s'",
            "invalid duration `0s`; it must be longer than zero",
        ),
    ] {
        check_error(lines, code, marked, message);
    }
    assert_eq!(
        errors("absent_for = '366d'\ngrace = '0s'\nforget = '2562d'"),
        []
    );
}

#[test]
fn a_count_has_one_of_within_and_every() {
    check_error(
        "count = { at_least = 6, within = '10m', every = '1h' }",
        Code::RULE_CONFLICT,
        "'1h'",
        "`count` has `within` or `every`, not both",
    );
    check_error(
        "count = { at_least = 6 }",
        Code::RULE_VALUE,
        "{ at_least = 6 }",
        "missing key `within` in `count`",
    );
    for at_least in ["0", "10_001", "-1"] {
        let lines = format!("count = {{ at_least = {at_least}, every = '1h' }}");
        check_error(
            &lines,
            Code::RULE_VALUE,
            at_least,
            "`at_least` is out of range",
        );
    }
}

#[test]
fn missing_keys_of_windows_are_reported() {
    for (lines, marked, keys) in [
        ("count = {}", "{}", &["at_least", "within"][..]),
        ("by = 'id'\nfollowed_by = {}", "{}", &["within", "when"]),
        (
            "by = 'id'\nnot_followed_by = { whne = 'id == 1' }",
            "whne",
            &[],
        ),
        ("batch = {}", "{}", &["within"]),
    ] {
        let found = errors(lines);
        for key in keys {
            let message = format!("missing key `{key}`");
            let is_found = |(_, place, found): &(Code, String, String)| {
                place == marked && found.starts_with(&message)
            };
            assert!(found.iter().any(is_found), "{lines}: {found:?}");
        }
        assert!(
            found.iter().any(|(_, place, _)| place == marked),
            "{found:?}"
        );
    }
}

#[test]
fn keys_that_need_another_key_are_errors() {
    let (sequence, silence) = (
        "by = 'content.eniId'\nfollowed_by = { when = 'id == 1', within = '1m' }\n",
        "absent_for = '1h'\n",
    );
    for (window, key, message) in [
        ("", "grace = '1s'", "`grace` needs a time window"),
        ("", "settle = '1s'", "`settle` needs a time window"),
        ("", "forget = '1s'", "`forget` needs a time window"),
        ("", "max_pending = 9", "`max_pending` needs a time window"),
        ("", "until = 'id == 1'", "`until` needs `followed_by`"),
        ("", "expect = ['a']", "`expect` needs `absent_for`"),
        (
            "",
            "resolved = 'log(1)'",
            "`resolved` needs a time window that ends",
        ),
        (silence, "until = 'id == 1'", "`until` needs `followed_by`"),
        (sequence, "expect = ['a']", "`expect` needs `absent_for`"),
        (silence, "expect = ['a']", "`expect` needs `by`"),
        (
            sequence,
            "resolved = 'log(1)'",
            "nothing is resolved in a rule with `followed_by`",
        ),
        (
            "batch = { within = '1m' }\n",
            "resolved = {}",
            "nothing is resolved in a rule with `batch`",
        ),
        (
            "count = { at_least = 2, within = '1m' }\n",
            "resolved = 'log(1)'",
            "`resolved` of a rule with `count` needs `quiet`",
        ),
    ] {
        let found = errors(&format!("{window}{key}"));
        let marked = key.split_once(" = ").unwrap().1;
        let expected = (Code::RULE_CONFLICT, marked.to_owned(), message.to_owned());
        assert!(found.contains(&expected), "{window}{key}: {found:?}");
    }
}

#[test]
fn keys_without_an_effect_are_warnings() {
    for (lines, marked, message) in [
        (
            "count = { at_least = 2, within = '1m', quiet = '5m' }",
            "'5m'",
            "`quiet` has no effect without `resolved`",
        ),
        (
            "batch = { within = '1m', idle = '60s' }",
            "'60s'",
            "`idle` is as long as `within`, by which the batch ends anyway",
        ),
        (
            "count = { at_least = 2, within = '1m' }\nsettle = '5m'",
            "'5m'",
            "`settle` has no effect: no deadline ends a rule with `count`",
        ),
        (
            "batch = { within = '1m' }\nforget = '5m'",
            "'5m'",
            "`forget` has no effect: what has fired is over in a rule with `batch`",
        ),
        (
            "by = []\nnot_followed_by = { when = 'id == 1', within = '1m' }\nforget = '5m'",
            "'5m'",
            "`forget` has no effect: without `resolved`, what has fired is over",
        ),
    ] {
        let expected = (
            Code::KEY_WITHOUT_EFFECT,
            marked.to_owned(),
            message.to_owned(),
        );
        assert_eq!(warnings(&rule(lines)), [expected], "{lines}");
    }
}

#[test]
fn pairs_of_events_without_by_are_warned_of() {
    let step = "{ when = 'id == 1', within = '1m' }";
    for (lines, marked) in [
        (format!("followed_by = {step}"), Some("followed_by")),
        (format!("not_followed_by = {step}"), Some("not_followed_by")),
        (format!("by = []\nfollowed_by = {step}"), None),
        (format!("by = []\nnot_followed_by = {step}"), None),
        ("absent_for = '1h'".to_owned(), None),
        ("count = { at_least = 2, within = '1m' }".to_owned(), None),
        ("batch = { within = '1m' }".to_owned(), None),
    ] {
        let found = warnings(&rule(&lines));
        let places = found.iter().map(|(code, place, _)| (*code, place.as_str()));
        let expected = marked.map(|marked| (Code::WINDOW_WITHOUT_BY, marked));
        assert_eq!(
            places.collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{lines}"
        );
    }
}

#[test]
fn by_of_a_step_has_a_path_for_each_of_the_rule() {
    let step = |by: &str| format!("followed_by = {{ when = 'id == 1', within = '1m', by = {by} }}");
    check_error(
        &format!("by = 'userId'\n{}", step("['a', 'b']")),
        Code::RULE_VALUE,
        "['a', 'b']",
        "`by` of the step has 2 paths, that of the rule 1",
    );
    let found = errors(&step("'a'"));
    assert_eq!(found[0].2, "`by` of a step needs `by` of the rule");
}

#[test]
fn paths_of_by_are_checked() {
    for (lines, message) in [
        ("by = ''", "empty path"),
        ("by = ['a', 'a']", "duplicate path `a`"),
        (
            "by = 7",
            "`by`: expected a string or an array of strings, found a number",
        ),
        (
            "count = { at_least = 2, within = '1m', distinct = [] }",
            "`distinct` is empty",
        ),
    ] {
        let found = errors(lines);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert_eq!(found[0].2, message, "{lines}");
    }
    let paths: Vec<String> = (0..17).map(|at| format!("'a{at}'")).collect();
    assert_eq!(errors(&format!("by = [{}]", paths[..16].join(","))), []);
    let found = errors(&format!("by = [{}]", paths.join(",")));
    assert_eq!(found[0].2, "`by` has 17 paths, more than the 16 allowed");
}

#[test]
fn paths_that_no_event_may_have_are_warned_of() {
    let step =
        |by: &str| format!("{{ when = 'content.result == \"success\"', within = '1m'{by} }}");
    for (lines, help) in [
        (
            format!("by = 'content.eniID'\nfollowed_by = {}", step("")),
            "write `content.eniId`",
        ),
        (
            format!("by = 'event.content.eniId'\nfollowed_by = {}", step("")),
            "write `content.eniId`",
        ),
        (
            format!(
                "by = 'content.eniId'\nfollowed_by = {}",
                step(", by = 'content.eniID'")
            ),
            "write `content.eniId`",
        ),
        (
            "count = { at_least = 2, within = '1m', distinct = 'content.ipv6s' }".to_owned(),
            "use a field with one value",
        ),
        (
            "by = 'mine'\ncount = { at_least = 2, within = '1m' }".to_owned(),
            "an event without it is not followed; add a test with an event that has it",
        ),
        (
            "by = 'mine'\nthrottle = { every = '1m' }".to_owned(),
            "an event without it is not gated; add a test with an event that has it",
        ),
        (
            "count = { at_least = 2, within = '1m', distinct = 'mine' }".to_owned(),
            "an event without it is not counted; add a test with an event that has it",
        ),
    ] {
        let rules = rules(&[("a.toml", &rule(&lines))]);
        let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
        let found: Vec<_> = found
            .map(|found| (found.code, found.help.clone().unwrap_or_default()))
            .collect();
        assert_eq!(found, [(Code::UNKNOWN_KEY, help.to_owned())], "{lines}");
    }
}

#[test]
fn filters_that_meet_the_events_before_them_are_warned_of() {
    let by = "by = 'content.eniId'\n";
    let (wide, narrow) = (
        "content.result exists",
        "content.result == \"failed\" and id == 1",
    );
    let step = |key: &str, when: &str| format!("{by}{key} = {{ when = '{when}', within = '1m' }}");
    let self_closing = Some(Code::SELF_CLOSING);
    let never = Some(Code::WINDOW_NEVER_FIRES);
    for (lines, expected) in [
        (step("not_followed_by", wide), self_closing),
        (step("not_followed_by", narrow), None),
        (
            step("not_followed_by", "content.result == \"success\""),
            None,
        ),
        (step("followed_by", wide), self_closing),
        (step("followed_by", narrow), None),
        (
            format!("{}\nuntil = 'id exists'", step("followed_by", "id == 1")),
            never,
        ),
        (
            format!("{}\nuntil = 'id == 1'", step("followed_by", "id exists")),
            None,
        ),
        (
            format!(
                "{by}followed_by = {{ when = '{wide}', within = '1m', by = 'content.instanceId' }}"
            ),
            None,
        ),
    ] {
        let found = warnings(&rule(&lines));
        let codes: Vec<Code> = found.iter().map(|(code, ..)| *code).collect();
        assert_eq!(codes, Vec::from_iter(expected), "{lines}");
    }
}

#[test]
fn counts_of_values_of_by_are_warned_of() {
    for (by, at_least, distinct, is_found) in [
        ("'content.eniId'", 2, "'content.eniId'", true),
        ("'content.eniId'", 1, "'content.eniId'", false),
        ("'userId'", 2, "'content.eniId'", false),
        ("['userId', 'content.eniId']", 2, "'content.eniId'", true),
        ("'userId'", 2, "['userId', 'content.eniId']", false),
    ] {
        let lines = format!(
            "by = {by}\ncount = {{ at_least = {at_least}, within = '1m', distinct = {distinct} }}"
        );
        let found = warnings(&rule(&lines));
        let codes: Vec<Code> = found.iter().map(|(code, ..)| *code).collect();
        let expected = is_found.then_some(Code::WINDOW_NEVER_FIRES);
        assert_eq!(codes, Vec::from_iter(expected), "{lines}");
    }
}

#[test]
fn expected_keys_are_values_of_by() {
    let lines = |by: &str, expect: &str| format!("by = {by}\nabsent_for = '1h'\nexpect = {expect}");
    for (by, expect) in [
        ("'regionId'", "['cn-hangzhou', 7, 1.5, true]"),
        (
            "['regionId', 'userId']",
            "[['cn-hangzhou', 1], ['cn-hangzhou', 2]]",
        ),
        ("'regionId'", "[169070000000000000000000]"),
    ] {
        assert_eq!(errors(&lines(by, expect)), [], "{by} {expect}");
    }
    for (by, expect, marked, message) in [
        ("'a'", "[]", "[]", "`expect` is empty"),
        ("'a'", "'x'", "'x'", "`expect`: expected an array of keys"),
        (
            "'a'",
            "[['x']]",
            "['x']",
            "`expect`: expected a string, a number or a boolean",
        ),
        (
            "'a'",
            "[inf]",
            "inf",
            "`expect`: expected a string, a number or a boolean",
        ),
        ("'a'", "[1, 1.0]", "1.0", "duplicate key 1 in `expect`"),
        (
            "'a'",
            "['::1', '0::1']",
            "'0::1'",
            "duplicate key \"::1\" in `expect`",
        ),
        (
            "['a', 'b']",
            "['x']",
            "'x'",
            "`expect`: expected an array of 2 values, one for each path of `by`",
        ),
        (
            "['a', 'b']",
            "[['x']]",
            "['x']",
            "`expect`: expected an array of 2 values, one for each path of `by`",
        ),
    ] {
        let found = errors(&lines(by, expect));
        let found: Vec<_> = found
            .iter()
            .map(|(_, marked, message)| (marked.as_str(), message.as_str()))
            .collect();
        assert_eq!(found, [(marked, message)], "{by} {expect}");
    }
    let found = errors("by = 'a'\nabsent_for = '1h'\nmax_pending = 1\nexpect = ['x', 'y']");
    assert_eq!(
        found[0].2,
        "`expect` has 2 keys, more than the 1 of `max_pending`"
    );
    // With its quotes a text has two bytes more.
    let long = |bytes: usize| lines("'regionId'", &format!("['{}']", "x".repeat(bytes)));
    assert_eq!(errors(&long(1022)), []);
    assert_eq!(
        errors(&long(1023))[0].2,
        "a key of `expect` has more than 1024 bytes"
    );
}

#[test]
fn a_sequence_has_at_most_16_steps() {
    let steps = |count: usize| {
        let step = "{ when = 'id == 1', within = '1m' }";
        format!(
            "by = 'content.eniId'\nfollowed_by = [{}]",
            vec![step; count].join(", ")
        )
    };
    assert_eq!(errors(&steps(16)), []);
    let found = errors(&steps(17));
    assert_eq!(
        found[0].2,
        "`followed_by` has 17 steps, more than the 16 allowed"
    );
    assert_eq!(errors(&steps(0))[0].2, "`followed_by` is empty");
}

#[test]
fn all_filters_and_scripts_of_a_window_are_compiled() {
    let text = "when = 'id = 1'\nby = 'content.eniId'\nnotify = ['team']\nuntil = 'c ='\n\
                [[followed_by]]\nwhen = 'a ='\nwithin = '0s'\n\
                [[followed_by]]\nwhen = 'b ='\nwithin = '1m'\n";
    let error = RuleSet::compile([("a.toml", text)]).unwrap_err();
    let lines: Vec<usize> = error
        .diagnostics()
        .map(|found| text[..found.span.start].lines().count())
        .collect();
    assert_eq!(lines, [1, 4, 6, 7, 9]);
}

#[test]
fn resolved_is_a_script_or_a_message() {
    let window = "by = 'content.eniId'\n\
                  not_followed_by = { when = 'content.result == \"success\"', within = '1m' }\n";
    for resolved in [
        "resolved = 'log(closing.id)'",
        "resolved = { title = '{{ closing.id }}', text = 'after {{ count }}' }",
        "resolved = {}",
    ] {
        assert_eq!(errors(&format!("{window}{resolved}")), [], "{resolved}");
        assert_eq!(
            warnings(&rule(&format!("{window}{resolved}"))),
            [],
            "{resolved}"
        );
    }
    let found = errors(&format!("{window}resolved = ['x']"));
    assert_eq!(found[0].2, "`resolved`: expected a script or a table");
    let text = format!("when = 'id == 1'\nthen = 'log(1)'\n{window}resolved = {{ title = 'x' }}");
    let error = RuleSet::compile([("a.toml", text.as_str())]).unwrap_err();
    let message = "`resolved` as a table needs `notify`, whose targets get the message";
    assert!(error.to_string().contains(message), "{error}");
    // The event that closes is one of the step.
    let text = rule(&format!(
        "{window}resolved = 'log(closing.content.opration)'"
    ));
    let found = warnings(&text);
    assert_eq!(found[0].1, "content.opration", "{found:?}");
}

#[test]
fn scripts_have_the_variables_of_their_window() {
    let text =
        |window: &str, then: &str| format!("when = 'id exists'\n{window}\nthen = '{then}'\n");
    let compile = |text: &str| RuleSet::compile([("a.toml", text)]).map(|_| ());
    let count = "count = { at_least = 2, within = '1m' }";
    assert!(compile(&text(count, "log(count + events.len())")).is_ok());
    assert!(compile(&text("", "log(count)")).is_err());
    assert!(compile(&text(count, "log(closing.id)")).is_err());
}

#[test]
fn the_lists_of_keys_of_a_rule_agree() {
    // The help lists the keys that are read; all of them are found inside of other tables.
    let error = RuleSet::compile([("a.toml", "zzzzzzzz = 1\nwhen = 'id == 1'")]).unwrap_err();
    let help = error.diagnostics().find_map(|found| found.help.as_deref());
    let keys = help.unwrap().strip_prefix("expected one of: ").unwrap();
    for key in keys.split(", ") {
        let text = format!("when = 'id == 1'\n[throttle]\nevery = '1m'\n{key} = 'x'\n");
        let error = RuleSet::compile([("a.toml", text.as_str())]).unwrap_err();
        let codes: Vec<Code> = error.diagnostics().map(|found| found.code).collect();
        assert!(codes.contains(&Code::MISPLACED_KEY), "{key}: {error}");
    }
    assert_eq!(keys.split(", ").count(), 30);
}

#[test]
fn labels_that_are_written_like_keys_are_warned_of() {
    let labels = |text: &str| warnings(&format!("when = 'id == 1'\nnotify = ['team']\n{text}"));
    let found = labels("[labels]\nteam = 'a'\nby = 'content.eniId'\nlevel = 'x'\n");
    let codes: Vec<_> = found
        .iter()
        .map(|(code, marked, _)| (*code, marked.as_str()))
        .collect();
    assert_eq!(codes, [(Code::MISPLACED_KEY, "by")]);
    assert_eq!(labels("labels = { by = 'me' }"), []);
    assert_eq!(labels("by = 'content.eniId'\n[labels]\nby = 'me'"), []);
}

#[test]
fn events_of_an_absence_may_be_missing_where_no_event_is_needed() {
    let codes = |by: &str| {
        let text = format!("when = 'id exists'\n{by}absent_for = '1h'\nthen = 'log(event.id)'\n");
        let found = warnings(&text);
        found.iter().map(|(code, ..)| *code).collect::<Vec<_>>()
    };
    assert_eq!(codes(""), [Code::MISSING_EVENT]);
    assert_eq!(codes("by = []\n"), [Code::MISSING_EVENT]);
    assert_eq!(
        codes("by = 'regionId'\nexpect = ['x']\n"),
        [Code::MISSING_EVENT]
    );
    assert_eq!(codes("by = 'regionId'\n"), []);
}

#[test]
fn targets_of_resolved_are_targets_of_the_rule() {
    let text = "when = 'id exists'\nabsent_for = '1h'\nthen = 'send(\"one\", 1);'\n\
                resolved = 'send(\"two\", 2);'\n";
    let targets = rules(&[("a.toml", text)]).get("a").unwrap().targets();
    let names: Vec<_> = targets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

/// Lines of which files are made at random: valid together and in any other way.
const LINES: [&str; 24] = [
    "when = 'content.result == \"failed\"'",
    "when = 'id = 1'",
    "by = 'content.eniId'",
    "by = ['a', \"ä\"]",
    "notify = ['team']",
    "then = \'\'\'\nlog(\"ü\");\n\'\'\'",
    "resolved = { title = '{{ closing.id }}' }",
    "message.title = 'x'",
    "message.text = 'y' # note",
    "# a comment",
    "",
    "[[followed_by]]",
    "[not_followed_by]",
    "[count]",
    "[followed_by.message]",
    "[batch]",
    "[labels]",
    "[[test]]",
    "at_least = 2",
    "within = '1m'",
    "until = 'id == 2'",
    "absent_for = '1h'\r",
    "expect = ['x', [1]]",
    "throttle = { every = '1m', then = 5 }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn fixes_of_any_file_can_be_applied(
        lines in prop::collection::vec(prop::sample::select(&LINES[..]), 0..14),
        cut in prop::option::of(0..200_usize),
    ) {
        let mut text = lines.join("\n");
        // A character less anywhere makes all kinds of syntax errors.
        if let Some(at) = cut
            && text.is_char_boundary(at)
            && at < text.len()
        {
            text.remove(at);
        }
        let Err(error) = RuleSet::compile([("a.toml", text.as_str())]) else {
            return Ok(());
        };
        for found in error.diagnostics() {
            prop_assert!(text.get(found.span.clone()).is_some(), "{found:?}\n{text}");
            let Some(fix) = &found.fix else {
                continue;
            };
            let mut fixed = text.clone();
            fixed.replace_range(fix.span.clone(), &fix.replacement);
            if found.code == Code::MISPLACED_KEY {
                let again = RuleSet::compile([("a.toml", fixed.as_str())]);
                let again = again.as_ref().err().map(InvalidFiles::diagnostics);
                let mut again = again.into_iter().flatten();
                let is_left = |found: &reflexarc::Diagnostic| {
                    let is_error = found.severity == Severity::Error;
                    is_error && matches!(found.code, Code::MISPLACED_KEY | Code::RULE_TOML)
                };
                prop_assert!(!again.any(is_left), "{text}\n became\n{fixed}");
            }
        }
    }
}
