//! Targets of Cloud Monitor: contact groups and webhooks.

use reflexarc_event::Json;

use super::super::document::{find, string};
use super::super::rule_draft::{RuleDraft, rule_name};
use super::super::target_draft::{Receiver, TargetDraft};

/// Imports the targets of a kind, such as `WebhookParameters`: an array, in responses inside of an
/// object.
pub(super) fn import_list(rule: &str, (kind, list): &(String, Json), draft: &mut RuleDraft) {
    let nested = list.members().iter().flat_map(|(_, list)| list.elements());
    for target in list.elements().iter().chain(nested) {
        // Camel case and other spellings of SDKs.
        let kind = kind.to_ascii_lowercase().replace('_', "");
        match kind.as_str() {
            "contactparameters" => import_contact_group(target, draft),
            "webhookparameters" => import_webhook(rule, target, draft),
            _ => {
                let names = ["FunctionName", "Queue", "Topic", "LogStore", "Action"];
                let mut names = names.iter().map(|key| string(target, key));
                let name = names.find(|name| !name.is_empty());
                let name = name.map_or_else(String::new, |name| format!(" ({name})"));
                let id = string(target, "Id");
                let kind = match kind.as_str() {
                    "mnsparameters" => "MNS",
                    "fcparameters" => "Function Compute",
                    "slsparameters" => "Log Service",
                    "openapiparameters" => "OpenAPI",
                    other => other,
                };
                let omission =
                    format!("target {id} of type {kind}{name} is not supported and omitted");
                draft.omissions.push(omission);
            }
        }
    }
}

fn import_contact_group(target: &Json, draft: &mut RuleDraft) {
    let group = string(target, "ContactGroupName");
    let level = find(target, "Level")
        .map(Json::to_string)
        .unwrap_or_default();
    // Level 2 notifies by telephone, SMS, e-mail and DingTalk, level 3 without telephone, level 4
    // only by e-mail and DingTalk.
    if level.contains('2') || level.contains('3') {
        let omitted = if level.contains('2') {
            "telephone and SMS"
        } else {
            "SMS"
        };
        let omission = format!("contact group {group}: {omitted} not imported");
        draft.omissions.push(omission);
    }
    let receiver = Receiver::ContactGroup {
        group: group.to_owned(),
    };
    let name = rule_name(group);
    draft.targets.push(TargetDraft {
        long_name: name.clone(),
        name,
        receiver,
        retry: None,
        identity: String::new(),
    });
}

fn import_webhook(rule: &str, target: &Json, draft: &mut RuleDraft) {
    let id = string(target, "Id");
    if string(target, "Method").eq_ignore_ascii_case("GET") {
        let omission = format!("webhook {id}: called with POST instead of GET");
        draft.omissions.push(omission);
    }
    let url = string(target, "Url").to_owned();
    let webhook = TargetDraft::new(rule, id, Receiver::Webhook { url });
    draft.targets.push(webhook);
}
