//! The operations that rules can call, as text and as JSON.

use std::collections::BTreeMap;

use reflexarc::RuleSet;
use reflexarc_delivery::CallAdmission;
use reflexarc_delivery::config::TargetConfig;
use serde_json::{Value, json};

/// The operations that enabled rules call, each with the names of these rules.
pub(crate) struct CallList {
    /// By target and operation.
    calls: BTreeMap<(String, String), Vec<String>>,
}

impl CallList {
    /// Those of a rule set. A disabled rule calls nothing.
    pub(crate) fn of(rules: &RuleSet) -> Self {
        let mut list = Self {
            calls: BTreeMap::new(),
        };
        for rule in rules.rules().filter(|rule| rule.enabled()) {
            for call in rule.calls() {
                let names = list.calls.entry((call.target, call.operation)).or_default();
                if names.last().is_none_or(|last| last != rule.name()) {
                    names.push(rule.name().to_owned());
                }
            }
        }
        list
    }

    /// A line for each operation: `calls: ecs DescribeInstances (spot-drain)`, and what the target
    /// does with it where that is known.
    pub(crate) fn lines(&self, targets: &[TargetConfig]) -> Vec<String> {
        let line = |((target, operation), rules): (&(String, String), &Vec<String>)| {
            let rules = rules.join(", ");
            let admission = admission(targets, target, operation);
            let treated = admission.map_or_else(String::new, |(text, _)| format!(": {text}"));
            format!("calls: {target} {operation} ({rules}){treated}")
        };
        self.calls.iter().map(line).collect()
    }

    /// An object for each operation, with `target`, `operation`, `rules` and, where the target is
    /// known, `admission`.
    pub(crate) fn to_json(&self, targets: &[TargetConfig]) -> Vec<Value> {
        let object = |((target, operation), rules): (&(String, String), &Vec<String>)| {
            let mut object = json!({ "target": target, "operation": operation, "rules": rules });
            if let Some((_, name)) = admission(targets, target, operation) {
                object["admission"] = name.into();
            }
            object
        };
        self.calls.iter().map(object).collect()
    }
}

/// What a target does with calls of an operation, as text and as a name for programs. `None` if no
/// target of this name takes calls.
fn admission(
    targets: &[TargetConfig],
    target: &str,
    operation: &str,
) -> Option<(String, &'static str)> {
    let target = targets.iter().find(|one| one.name == target)?;
    let settings = target.calls.as_ref()?;
    let changes = settings.changes;
    Some(match settings.api.admit(operation) {
        CallAdmission::NotAllowed(_) => ("not allowed".to_owned(), "not_allowed"),
        CallAdmission::DryRun => ("dry run".to_owned(), "dry_run"),
        CallAdmission::Read => ("read".to_owned(), "read"),
        CallAdmission::Change { .. } => {
            let limits = (changes.per_minute, changes.per_day);
            let text = format!(
                "change, at most {} a minute and {} a day",
                limits.0, limits.1
            );
            (text, "change")
        }
    })
}
