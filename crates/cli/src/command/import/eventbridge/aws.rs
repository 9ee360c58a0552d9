//! Rules of AWS EventBridge. Their patterns stay as they are, in JSON notation.

use reflexarc_event::Json;
use reflexarc_pattern::{Dialect, Pattern};

use super::super::document::{find, string};
use super::super::json_layout::indented;
use super::super::rule_draft::{RuleDraft, rule_name};
use super::super::{Import, invalid_filter};

/// Imports a rule as a draft without targets: AWS names the resource that a target is, such as a
/// function, which only AWS can call.
pub(super) fn import_rule(name: &str, rule: &Json, targets: &[&Json], import: &mut Import) {
    let schedule = string(rule, "ScheduleExpression");
    let source = match find(rule, "EventPattern") {
        None | Some(Json::Null) => {
            let reason = match schedule {
                "" => "it has no EventPattern".to_owned(),
                schedule => format!("it runs on the schedule `{schedule}`, not on events"),
            };
            return import.skipped.push((name.to_owned(), reason));
        }
        Some(Json::String(text)) => text.clone(),
        Some(tree) => tree.to_string(),
    };
    if let Err(error) = Pattern::parse(&source, Dialect::Aws) {
        let invalid = invalid_filter(format!("EventPattern of {name}"), source, error);
        return import.invalid_filters.push(invalid);
    }
    let mut draft = RuleDraft {
        name: rule_name(name),
        description: match string(rule, "Description") {
            "" => format!("AWS EventBridge rule {name}"),
            description => description.to_owned(),
        },
        disabled: string(rule, "State").starts_with("DISABLE"),
        when: Json::parse(&source).map_or(source, |json| indented(&json)),
        ..RuleDraft::default()
    };
    if !schedule.is_empty() {
        let omission = format!("its schedule `{schedule}` is not imported, only its pattern");
        draft.omissions.push(omission);
    }
    if targets.is_empty() {
        draft.omissions.push(
            "its targets are not given; pass the response of ListTargetsByRule as --targets"
                .to_owned(),
        );
    }
    for target in targets {
        draft.omissions.push(format!(
            "target {} ({}) is not supported and omitted",
            string(target, "Id"),
            string(target, "Arn")
        ));
    }
    import.drafts.push(draft);
}
