//! EventBridge: rules with event patterns and targets.

pub(super) mod aws;
mod found;
mod target;
mod transformation;

use reflexarc::cloudevent_form::to_native;
use reflexarc_event::Json;
use reflexarc_pattern::{Dialect, Pattern};

use self::found::Cloud;
use super::document::{Document, member, string};
use super::rule_draft::{MessageForm, RuleDraft, rule_name};
use super::{Import, invalid_filter, name_by_place};
use crate::exit::Failure;

/// Imports responses and requests of the API. `targets` are those of rules that they do not name
/// themselves.
pub(super) fn import(
    documents: &[Document],
    targets: &[(String, Vec<Document>)],
) -> Result<Import, Failure> {
    let found = found::find_all(documents, targets)?;
    let mut import = Import {
        incomplete: found.incomplete,
        ..Import::default()
    };
    for rule in &found.rules {
        // ListTargets has more members of a target than ListRules. Targets without the name of a
        // rule belong to none, not to every rule without a name.
        let named = found
            .targets
            .get(rule.name())
            .filter(|_| !rule.name().is_empty());
        let listed = ["EventTargets", "Targets"].iter();
        let listed = listed.flat_map(|key| member(rule.json, &[key]).elements());
        let targets = named.cloned().unwrap_or_else(|| listed.collect());
        let (is_unnamed, name) = match rule.name() {
            "" => (true, name_by_place(rule.file, rule.number)),
            name => (false, name.to_owned()),
        };
        let first = import.drafts.len();
        match rule.cloud {
            Cloud::Alibaba => import_rule(&name, rule.json, &targets, &mut import),
            Cloud::Aws => aws::import_rule(&name, rule.json, &targets, &mut import),
        }
        for draft in import.drafts.iter_mut().skip(first).filter(|_| is_unnamed) {
            let (number, file) = (rule.number, rule.file);
            let note = format!("the rule has no name; this is rule {number} of {file}");
            draft.omissions.insert(0, note);
        }
    }
    Ok(import)
}

/// Imports a request of `CreateRule`.
pub(super) fn import_request(name: &str, request: &Json, import: &mut Import) {
    let targets: Vec<&Json> = member(request, &["EventTargets"])
        .elements()
        .iter()
        .collect();
    import_rule(name, request, &targets, import);
}

fn import_rule(name: &str, rule: &Json, targets: &[&Json], import: &mut Import) {
    let mut skip = |reason: &str| import.skipped.push((name.to_owned(), reason.to_owned()));
    let source = match member(rule, &["FilterPattern"]) {
        Json::String(text) => text.clone(),
        Json::Null => return skip("it has no FilterPattern"),
        tree => tree.to_string(),
    };
    let pattern = match Pattern::parse(&source, Dialect::Alibaba) {
        Ok(pattern) => pattern,
        Err(error) => {
            let invalid = invalid_filter(format!("FilterPattern of {name}"), source, error);
            return import.invalid_filters.push(invalid);
        }
    };
    let node = match to_native(pattern.node()) {
        Ok(node) => node,
        Err(unmapped) => return skip(&unmapped.to_string()),
    };
    // As an expression, the notation of the ready-made rules, which is easier to edit.
    let when = Pattern::from_node(node).to_expression();
    let description = description_of(name, rule);
    let draft = |name| RuleDraft {
        name,
        description: description.clone(),
        disabled: string(rule, "Status").starts_with("DISABLE"),
        when: when.clone(),
        ..RuleDraft::default()
    };
    // A rule has one message for all of its targets, so targets with different messages get rules
    // of their own. Those with the default message keep the name of the rule, or the only ones.
    let mut common = draft(rule_name(name));
    let mut with_message: Vec<RuleDraft> = Vec::new();
    for target in targets {
        let mut draft = draft(rule_name(&format!("{name}-{}", string(target, "Id"))));
        target::import(name, target, &mut draft);
        let same = with_message
            .iter_mut()
            .find(|other| other.message == draft.message);
        let is_common = draft.targets.is_empty() || draft.message == MessageForm::Default;
        match (is_common, same) {
            (true, _) => common.absorb(draft),
            (false, Some(same)) => same.absorb(draft),
            (false, None) => with_message.push(draft),
        }
    }
    match (common.targets.is_empty(), with_message.as_mut_slice()) {
        (true, []) => {
            if targets.is_empty() {
                common.omissions.push("it has no targets".to_owned());
            }
            import.drafts.push(common);
        }
        (true, [first, others @ ..]) => {
            first.omissions.splice(0..0, common.omissions);
            if others.is_empty() {
                first.name = common.name;
            }
        }
        (false, _) => import.drafts.push(common),
    }
    import.drafts.append(&mut with_message);
}

fn description_of(name: &str, rule: &Json) -> String {
    match string(rule, "Description") {
        "" => format!("EventBridge rule {name}"),
        description => description.to_owned(),
    }
}
