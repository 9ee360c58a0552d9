//! The keys of time windows in rule files: what is valid, and what is reported.

use reflexarc::{Code, RuleSet, WindowKind};

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
    let error = match RuleSet::compile([("a.toml", text.as_str())]) {
        Ok(_) => return Vec::new(),
        Err(error) => error,
    };
    let found = error.diagnostics().map(|found| {
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
