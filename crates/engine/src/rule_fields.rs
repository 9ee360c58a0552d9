//! Warnings about fields and labels of `rule` that scripts and templates read, and the rule does
//! not have: they are empty, and the message lacks them.

use std::collections::BTreeMap;

use reflexarc_diagnostic::{Code, Diagnostic, nearest, similar};
use reflexarc_reaction::VariableField;

/// The fields of `rule`.
const FIELDS: [&str; 4] = ["name", "level", "description", "labels"];

/// The warnings about the fields of `rule` that a script or template reads, located in it.
pub(crate) fn check(
    fields: &[VariableField],
    labels: &BTreeMap<String, String>,
) -> Vec<Diagnostic> {
    let found = fields.iter().filter_map(|field| {
        let mut keys = field.path.split('.').zip(&field.keys);
        let (name, span) = keys.next()?;
        if !FIELDS.contains(&name) {
            let message = format!("`rule` has no field `{name}`");
            let warning = Diagnostic::warning(Code::UNKNOWN_RULE_FIELD, span.clone(), message);
            // `rule.team` is meant as a label, if there is one of that name.
            if labels.contains_key(name) {
                let meant = format!("labels.{name}");
                let help = format!("write `rule.{meant}`");
                return Some(warning.with_help(help).with_fix(span.clone(), meant));
            }
            return Some(match nearest(name, FIELDS) {
                Some(meant) => warning
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_fix(span.clone(), meant),
                None => warning.with_help(format!("expected one of: {}", FIELDS.join(", "))),
            });
        }
        let (label, span) = keys.next().filter(|_| name == "labels")?;
        if labels.contains_key(label) {
            return None;
        }
        let warning = Diagnostic::warning(
            Code::UNKNOWN_RULE_FIELD,
            span.clone(),
            format!("the rule has no label `{label}`"),
        );
        let names = || labels.keys().map(String::as_str);
        let did_you_mean = |meant: &str| format!("did you mean `{meant}`?");
        if let Some(meant) = nearest(label, names()) {
            let help = did_you_mean(meant);
            return Some(warning.with_help(help).with_fix(span.clone(), meant));
        }
        // Scripts are copied from rule to rule; with a default they work without the label.
        if field.may_be_missing {
            return None;
        }
        Some(warning.with_help(match similar(label, names()) {
            Some(meant) => did_you_mean(meant),
            None => format!("add it: labels = {{ {label} = \"…\" }}"),
        }))
    });
    found.collect()
}
