//! Targets of EventBridge with their parameters.

use reflexarc_event::Json;

use super::super::document::{member, string};
use super::super::rule_draft::{MessageForm, RuleDraft};
use super::super::target_draft::{Receiver, TargetDraft};
use super::transformation::{self, Transformation};
use crate::command::export::is_default_body;

/// Imports a target into a draft: the target, its message, and what is omitted. The draft has no
/// target when its type is not supported.
pub(super) fn import(rule: &str, target: &Json, draft: &mut RuleDraft) {
    let (id, kind) = (string(target, "Id"), string(target, "Type"));
    let receiver = match kind {
        "acs.dingtalk" => Receiver::DingTalk,
        "http" | "https" => {
            let url = value(target, "url").filter(|url| !url.is_empty());
            let url = url.unwrap_or(string(target, "Endpoint")).to_owned();
            Receiver::Webhook { url }
        }
        "acs.mail" => {
            let to = value(target, "ToAddress").unwrap_or_default();
            // Several receivers are one text with commas or semicolons.
            let to = to.split([',', ';']).map(|one| one.trim().to_owned());
            Receiver::Email {
                from: value(target, "AccountName").unwrap_or_default().to_owned(),
                to: to.filter(|one| !one.is_empty()).collect(),
                bare_subject: false,
            }
        }
        other => {
            let mut omission = format!("target {id} of type {other}");
            // What follows `?` in an address may be a secret.
            let endpoint = string(target, "Endpoint").split('?').next();
            if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) {
                omission += &format!(" ({endpoint})");
            }
            omission += " is not supported and omitted";
            return draft.omissions.push(omission);
        }
    };
    let mut imported = TargetDraft::new(rule, id, receiver);
    imported.identity = format!(
        "{} {} {}",
        string(target, "Endpoint"),
        value(target, "url").unwrap_or_default(),
        value(target, "SecretKey").unwrap_or_default()
    );
    match kind {
        "acs.dingtalk" => import_robot_message(target, draft),
        "acs.mail" => import_mail_message(target, draft, &mut imported),
        _ => import_body(target, draft),
    }
    // The default of EventBridge is BACKOFF_RETRY.
    let exponential = string(target, "PushRetryStrategy").starts_with("EXPONENTIAL");
    imported.retry = Some(if exponential {
        "exponential"
    } else {
        "backoff"
    });
    draft.targets.push(imported);
    if string(target, "ErrorsTolerance") == "NONE" {
        draft.omissions.push(format!(
            "target {id}: ErrorsTolerance NONE not imported; \
             failures of a target do not delay others"
        ));
    }
    let queue = member(target, &["DeadLetterQueue"]);
    if queue
        .members()
        .iter()
        .any(|(_, value)| *value != Json::Null)
    {
        draft.omissions.push(format!(
            "target {id}: dead letter queue not imported; \
             dead letters stay in the store (reflexarc dlq)"
        ));
    }
}

/// The body for a robot, a JSON document with `msgtype`. A script sends it to the robot unchanged.
fn import_robot_message(target: &Json, draft: &mut RuleDraft) {
    match own_parameter(target, "Body").map(transformation::read) {
        None | Some(Transformation::Original) => {}
        Some(Transformation::Text(text)) => match text.to_script_json() {
            Some(document) if document.contains("\"msgtype\"") => {
                draft.message = MessageForm::Document(document);
            }
            _ => omit_body(target, draft),
        },
        // A robot takes only documents with `msgtype`.
        Some(Transformation::Field(_)) => omit_body(target, draft),
        Some(Transformation::Unsupported(why)) => omit(target, draft, "body", &why),
    }
}

/// The subject and body of a mail: the title and text of a message.
fn import_mail_message(target: &Json, draft: &mut RuleDraft, imported: &mut TargetDraft) {
    let mut template =
        |key: &str, what: &str| match own_parameter(target, key).map(transformation::read)? {
            Transformation::Text(text) => {
                Some(text.to_template()).filter(|template| !template.is_empty())
            }
            Transformation::Original => None,
            Transformation::Field(keys) => {
                let field = transformation::TextTemplate::of_field(keys);
                Some(field.to_template())
            }
            Transformation::Unsupported(why) => {
                omit(target, draft, what, &why);
                None
            }
        };
    let title = template("Subject", "subject");
    // Messages of rules are plain text: HTML would be shown with its tags.
    let html = value(target, "IsHtmlBody").is_some_and(|is| is.eq_ignore_ascii_case("true"));
    let text = if html { None } else { template("Body", "body") };
    if html && parameter(target, "Body").is_some() {
        omit(
            target,
            draft,
            "body",
            "HTML; use `html_template` of the target for a template of the whole mail",
        );
    }
    if let Receiver::Email { bare_subject, .. } = &mut imported.receiver {
        *bare_subject = title.is_some();
    }
    if title.is_some() || text.is_some() {
        draft.message = MessageForm::Templates { title, text };
    }
}

/// The body of an HTTP request: the whole event, a part of it, or a JSON document. A script sends
/// it. EventBridge sends the event as a CloudEvent; here the data of a CloudEvent is the native
/// form.
fn import_body(target: &Json, draft: &mut RuleDraft) {
    let body = parameter(target, "Body").map_or(Transformation::Original, transformation::read);
    let document = match body {
        Transformation::Original => Some("event".to_owned()),
        Transformation::Field(keys) => Some(transformation::script_field(&keys)),
        Transformation::Text(text) => text.to_script_json(),
        Transformation::Unsupported(why) => return omit(target, draft, "body", &why),
    };
    match document {
        Some(document) => draft.message = MessageForm::Document(document),
        None => omit_body(target, draft),
    }
}

/// Omits the body: the target gets the default message.
fn omit_body(target: &Json, draft: &mut RuleDraft) {
    let form = parameter(target, "Body").map_or("ORIGINAL", |body| string(body, "Form"));
    let form = if form.is_empty() { "ORIGINAL" } else { form };
    let why = format!("{form}; use `message` in the rule or send(…) in a script");
    omit(target, draft, "body", &why);
}

fn omit(target: &Json, draft: &mut RuleDraft, what: &str, why: &str) {
    draft.omissions.push(format!(
        "target {}: {what} not imported: {why}",
        string(target, "Id")
    ));
}

/// A parameter, unless it is what the export makes of the default message.
fn own_parameter<'a>(target: &'a Json, key: &str) -> Option<&'a Json> {
    parameter(target, key).filter(|one| !is_default_body(key, string(one, "Template")))
}

fn parameter<'a>(target: &'a Json, key: &str) -> Option<&'a Json> {
    let mut found = member(target, &["ParamList"]).elements().iter();
    found.find(|one| string(one, "ResourceKey").eq_ignore_ascii_case(key))
}

fn value<'a>(target: &'a Json, key: &str) -> Option<&'a str> {
    parameter(target, key).map(|one| string(one, "Value"))
}
