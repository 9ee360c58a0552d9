//! A rule that was found in infrastructure code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::Json;
use reflexarc_pattern::{Dialect, Pattern};

use super::super::eventbridge;
use super::super::json_layout::indented;
use super::super::rule_draft::{RuleDraft, rule_name};
use super::super::{Import, cloudmonitor, invalid_filter};
use super::value::{Unresolved, Value};

/// A rule, wherever it was found.
#[derive(Debug)]
pub(super) struct FoundRule {
    /// The file.
    pub(super) file: String,
    /// The line; 0 if it is not known.
    pub(super) line: usize,
    /// What the code calls it, such as `aws_cloudwatch_event_rule.stopped`.
    pub(super) address: String,
    /// The name of the rule, or of the resource if it has none.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) disabled: bool,
    pub(super) filter: Filter,
}

/// Which events a rule selects.
#[derive(Debug)]
pub(super) enum Filter {
    /// A pattern of AWS, as JSON or its text, and what the targets are.
    Aws {
        pattern: Value,
        targets: Vec<String>,
        /// A schedule beside the pattern.
        schedule: Option<String>,
    },
    /// A rule of Alibaba Cloud EventBridge, as a request of `CreateRule`.
    EventBridge(Value),
    /// A rule of Cloud Monitor, as requests of `PutEventRule` and `PutEventRuleTargets`.
    CloudMonitor { rule: Value, targets: Value },
    /// Only a schedule.
    Schedule(String),
    /// None that can be read, and why.
    Unreadable(String),
}

/// The values of `--set`, and which of them were used.
#[derive(Debug, Default)]
pub(in super::super) struct Settings {
    values: BTreeMap<String, String>,
    used: RefCell<BTreeSet<String>>,
}

impl Settings {
    pub(in super::super) fn new(values: &[(String, String)]) -> Self {
        Self {
            values: values.iter().cloned().collect(),
            used: RefCell::default(),
        }
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (name, value) = self.values.get_key_value(name)?;
        self.used.borrow_mut().insert(name.clone());
        Some(value)
    }

    /// The names that nothing asked for.
    pub(super) fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        let names = self.values.keys().filter(|name| !used.contains(*name));
        names.cloned().collect()
    }
}

impl FoundRule {
    /// Where it is: `infra/main.tf:12`.
    pub(super) fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}", self.file),
        }
    }

    /// Adds the rule to an import, or why it is not imported.
    pub(super) fn import(self, import: &mut Import) {
        let place = self.place();
        let label = format!("{} ({place})", self.address);
        let first = import.drafts.len();
        let origin = format!("From {place}, {}.", self.address);
        let result = match &self.filter {
            Filter::Unreadable(reason) => Err(reason.clone()),
            // The caller lists schedules apart.
            Filter::Schedule(_) => Ok(()),
            Filter::Aws {
                pattern,
                targets,
                schedule,
            } => self.import_aws(&label, pattern, targets, schedule.as_deref(), import),
            Filter::EventBridge(request) => self.import_eventbridge(&label, request, import),
            Filter::CloudMonitor { rule, targets } => self.import_monitor(rule, targets, import),
        };
        if let Err(reason) = result {
            import.skipped.push((label, reason));
        }
        for draft in import.drafts.iter_mut().skip(first) {
            draft.origin = Some(origin.clone());
        }
    }

    fn import_aws(
        &self,
        label: &str,
        pattern: &Value,
        targets: &[String],
        schedule: Option<&str>,
        import: &mut Import,
    ) -> Result<(), String> {
        let (source, json) = pattern_text(pattern)?;
        if let Err(error) = Pattern::parse(&source, Dialect::Aws) {
            let invalid = invalid_filter(format!("pattern of {label}"), source, error);
            import.invalid_filters.push(invalid);
            return Ok(());
        }
        let mut omissions = Vec::new();
        if let Some(schedule) = schedule {
            omissions.push(format!(
                "its schedule `{schedule}` is not imported, only its pattern"
            ));
        }
        for target in targets {
            omissions.push(format!("target {target}"));
        }
        if targets.is_empty() {
            omissions.push("no target is defined beside it".to_owned());
        }
        import.drafts.push(RuleDraft {
            name: rule_name(&self.name),
            description: self.description_or("AWS EventBridge rule"),
            disabled: self.disabled,
            when: json.map_or(source, |json| indented(&json)),
            omissions,
            ..RuleDraft::default()
        });
        Ok(())
    }

    fn import_eventbridge(
        &self,
        label: &str,
        request: &Value,
        import: &mut Import,
    ) -> Result<(), String> {
        let pattern = request.get("FilterPattern").unwrap_or(&Value::Null);
        let (source, _) = pattern_text(pattern)?;
        let mut request = known_parts(request);
        if let Json::Object(members) = &mut request {
            members.retain(|(key, _)| key != "FilterPattern");
            members.push(("FilterPattern".to_owned(), Json::String(source)));
        }
        let (skipped, invalid) = (import.skipped.len(), import.invalid_filters.len());
        eventbridge::import_request(&self.name, &request, import);
        for (name, _) in import.skipped.iter_mut().skip(skipped) {
            label.clone_into(name);
        }
        for filter in import.invalid_filters.iter_mut().skip(invalid) {
            filter.name = format!("pattern of {label}");
        }
        Ok(())
    }

    fn import_monitor(
        &self,
        rule: &Value,
        targets: &Value,
        import: &mut Import,
    ) -> Result<(), String> {
        let rule = rule.to_json().map_err(|unresolved| reason(&unresolved))?;
        let targets = known_parts(targets);
        let draft = cloudmonitor::import_rule(&self.name, &rule, Some(&[&targets]))?;
        import.drafts.push(draft);
        Ok(())
    }

    fn description_or(&self, kind: &str) -> String {
        match self.description.trim() {
            "" => format!("{kind} {}", self.name),
            description => description.to_owned(),
        }
    }
}

/// The text of a pattern, which is JSON or a value, and its JSON.
fn pattern_text(pattern: &Value) -> Result<(String, Option<Json>), String> {
    let pattern = match pattern {
        // `jsonencode` of a value of which parts are not known.
        Value::Encoded(value) => value,
        pattern => pattern,
    };
    match pattern {
        Value::Null => Err("it has no pattern".to_owned()),
        Value::Text(text) => Ok((text.clone(), Json::parse(text).ok())),
        pattern => {
            let json = pattern
                .to_json()
                .map_err(|unresolved| reason(&unresolved))?;
            Ok((json.to_string(), Some(json)))
        }
    }
}

/// A value with empty texts for what is not known.
fn known_parts(value: &Value) -> Json {
    match value {
        Value::Unknown(_) | Value::Encoded(_) => Json::String(String::new()),
        Value::List(elements) => Json::Array(elements.iter().map(known_parts).collect()),
        Value::Map(members) => {
            let member =
                |member: &super::value::Member| (member.key.clone(), known_parts(&member.value));
            members.iter().map(member).collect()
        }
        scalar => scalar.to_json().unwrap_or(Json::Null),
    }
}

/// Why a pattern cannot be imported: at most three of its unknown parts.
fn reason(unresolved: &[Unresolved]) -> String {
    let shown: Vec<String> = unresolved
        .iter()
        .take(3)
        .map(|part| match part.path.as_str() {
            "" => part.reason.clone(),
            path => format!("`{path}`: {}", part.reason),
        })
        .collect();
    let mut text = shown.join("; ");
    if unresolved.len() > shown.len() {
        text += &format!("; and {} more", unresolved.len() - shown.len());
    }
    text
}
