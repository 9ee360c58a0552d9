//! Keys that need another key, exclude one, or have no effect without one.

use reflexarc_diagnostic::toml::TableReader;
use reflexarc_diagnostic::{Code, Diagnostic};

use super::WindowKind;
use crate::rule_file::RuleReader;

/// Reports them, for a rule with these windows in the order of its file.
pub(super) fn report(reader: &RuleReader<'_>, kinds: &[WindowKind]) {
    match *kinds {
        [] => report_without_window(reader),
        [kind] => {
            report_without_use(reader.root, kind);
            report_without_effect(reader.root, kind);
            report_without_by(reader, kind);
        }
        // Which of them the other keys belong to is not known.
        _ => report_several(reader.root, kinds),
    }
}

/// Reports a window whose events belong together, where the rule does not say which.
fn report_without_by(reader: &RuleReader<'_>, kind: WindowKind) {
    // The others are often about all events: no event of any kind for a day, six failures of any
    // interface. But that an attach of one interface follows the detach of another says nothing.
    if !matches!(kind, WindowKind::FollowedBy | WindowKind::NotFollowedBy) || reader.has("by") {
        return;
    }
    let raw = reader.root.raw().get_key_value(kind.key());
    let Some((key, _)) = raw else {
        return;
    };
    let message = format!(
        "`{}` without `by` pairs events of any resources",
        kind.key()
    );
    let warning = Diagnostic::warning(Code::WINDOW_WITHOUT_BY, key.span(), message);
    reader.root.report(warning.with_help(
        "say whose events belong together, for example by = \"content.eniId\", or write by = [] \
         for all events",
    ));
}

/// Reports keys that change nothing for this kind of window.
fn report_without_effect(root: &TableReader<'_>, kind: WindowKind) {
    let has_end = root.has("resolved") || root.has("inhibits");
    let waits = match kind {
        WindowKind::NotFollowedBy | WindowKind::AbsentFor | WindowKind::Batch => true,
        WindowKind::Count => has_end,
        WindowKind::FollowedBy => false,
    };
    let remembers = match kind {
        WindowKind::AbsentFor => true,
        WindowKind::NotFollowedBy => has_end,
        WindowKind::Count | WindowKind::FollowedBy | WindowKind::Batch => false,
    };
    let report = |key: &str, reason: String| {
        if root.has(key) {
            let message = format!("`{key}` has no effect: {reason}");
            let span = root.span_of(key);
            let warning = Diagnostic::warning(Code::KEY_WITHOUT_EFFECT, span, message);
            root.report(warning.with_help("remove it"));
        }
    };
    if !waits {
        let reason = format!("no deadline ends a rule with `{}`", kind.key());
        report("settle", reason);
    }
    if !remembers {
        let reason = match kind {
            WindowKind::NotFollowedBy => "without `resolved`, what has fired is over".to_owned(),
            kind => format!("what has fired is over in a rule with `{}`", kind.key()),
        };
        report("forget", reason);
    }
}

/// Reports keys that say how a window waits, in a rule without one.
fn report_without_window(reader: &RuleReader<'_>) {
    // `count` inside another table was reported.
    if WindowKind::ALL
        .iter()
        .any(|kind| reader.misplaced.has(kind.key()))
    {
        return;
    }
    let root = reader.root;
    for key in ["grace", "settle", "forget", "max_pending"] {
        report_needs(root, key, "a time window", "count = { … }");
    }
    report_needs(root, "until", "`followed_by`", "followed_by = { … }");
    report_needs(root, "expect", "`absent_for`", "absent_for = \"24h\"");
    for key in ["resolved", "inhibits"] {
        report_needs(
            root,
            key,
            "a time window that ends",
            "not_followed_by = { … }",
        );
    }
}

/// Reports keys that the window has no use for.
fn report_without_use(root: &TableReader<'_>, kind: WindowKind) {
    if kind != WindowKind::FollowedBy {
        report_needs(root, "until", "`followed_by`", "followed_by = { … }");
    }
    if kind != WindowKind::AbsentFor {
        report_needs(root, "expect", "`absent_for`", "absent_for = \"24h\"");
    }
    match kind {
        // `quiet` is looked at where `count` is read.
        WindowKind::Count | WindowKind::NotFollowedBy | WindowKind::AbsentFor => {}
        WindowKind::FollowedBy | WindowKind::Batch => {
            for key in ["resolved", "inhibits"] {
                if root.has(key) {
                    root.fault(
                        key,
                        Code::RULE_CONFLICT,
                        format!("nothing is resolved in a rule with `{}`", kind.key()),
                        format!(
                            "remove `{key}`; rules with `not_followed_by`, `absent_for` and \
                             `count` with `quiet` have it"
                        ),
                    );
                }
            }
        }
    }
}

/// Reports a key that needs something which the rule does not have.
fn report_needs(root: &TableReader<'_>, key: &str, needs: &str, example: &str) {
    if root.has(key) {
        root.fault(
            key,
            Code::RULE_CONFLICT,
            format!("`{key}` needs {needs}"),
            format!("add it, for example {example}, or remove `{key}`"),
        );
    }
}

fn report_several(root: &TableReader<'_>, kinds: &[WindowKind]) {
    let names: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`", kind.key()))
        .collect();
    let (last, others) = names
        .split_last()
        .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let message = format!(
        "{} and {last} in one rule, which has at most one time window",
        others.join(", ")
    );
    let span = |kind: &WindowKind| root.span_of(kind.key());
    let mut fault = Diagnostic::error(Code::SEVERAL_WINDOWS, span(&kinds[1]), message)
        .with_help("write a rule for each; a script can `emit` an event for another rule");
    for kind in kinds.iter().filter(|kind| **kind != kinds[1]) {
        fault = fault.with_label(span(kind), format!("`{}` is one", kind.key()));
    }
    root.report(fault);
}
