//! Targets of EventBridge with their parameters.

use reflexarc_event::Json;

use super::super::rule_draft::{MessageForm, RuleDraft, quoted, rule_name};
use super::super::{member, string};
use super::transformation::{self, Transformation};

/// Imports a target into a draft: its table, its message, and what is omitted. The draft notifies
/// nothing when the type of the target is not supported.
pub(super) fn import(target: &Json, draft: &mut RuleDraft) {
    let (id, kind) = (string(target, "Id"), string(target, "Type"));
    let name = draft.name.clone();
    let variable = rule_name(&name).replace('-', "_").to_uppercase();
    let mut table = match kind {
        "acs.dingtalk" => format!(
            "[targets.{}]\ntype = \"dingtalk\"\n\
             token = {{ env = \"{variable}_TOKEN\" }}     # access_token in the \
             robot's webhook address\nsecret = {{ env = \"{variable}_SECRET\" }}",
            quoted(&name)
        ),
        "http" | "https" => {
            let url = value(target, "url")
                .filter(|url| !url.is_empty())
                .unwrap_or(string(target, "Endpoint"));
            format!(
                "[targets.{}]\ntype = \"webhook\"\nurl = {}",
                quoted(&name),
                quoted(url)
            )
        }
        "acs.mail" => {
            let to = value(target, "ToAddress").unwrap_or_default();
            // Several receivers are one text with commas or semicolons.
            let to: Vec<String> = to.split([',', ';']).map(|one| quoted(one.trim())).collect();
            format!(
                "[targets.{}]\ntype = \"email\"\nhost = \"\"     # the mail server\n\
                 from = {}\nto = [{}]",
                quoted(&name),
                quoted(value(target, "AccountName").unwrap_or_default()),
                to.join(", ")
            )
        }
        other => {
            let omission = format!("target {id} of type {other} is not supported and omitted");
            return draft.omissions.push(omission);
        }
    };
    match kind {
        "acs.dingtalk" => import_robot_message(target, draft),
        "acs.mail" => import_mail_message(target, draft, &mut table),
        _ => omit_body(target, draft),
    }
    // The default of EventBridge is BACKOFF_RETRY.
    let exponential = string(target, "PushRetryStrategy").starts_with("EXPONENTIAL");
    let retry = if exponential {
        "exponential"
    } else {
        "backoff"
    };
    draft.targets.push(format!("{table}\nretry = \"{retry}\""));
    if string(target, "ErrorsTolerance") == "NONE" {
        draft.omissions.push(format!(
            "target {id}: ErrorsTolerance NONE not imported; \
             failures of a target do not delay others"
        ));
    }
    if target
        .get("DeadLetterQueue")
        .is_some_and(|queue| !queue.members().is_empty())
    {
        draft.omissions.push(format!(
            "target {id}: dead letter queue not imported; \
             dead letters stay in the store (reflexarc dlq)"
        ));
    }
    draft.notify.push(name);
}

/// The body for a robot, a JSON document with `msgtype`. A script sends it to the robot unchanged.
fn import_robot_message(target: &Json, draft: &mut RuleDraft) {
    match parameter(target, "Body").map(transformation::read) {
        None | Some(Transformation::Original) => {}
        Some(Transformation::Text(text)) => match text.to_script_json() {
            Some(document) if document.contains("\"msgtype\"") => {
                draft.message = MessageForm::Document(document);
            }
            _ => omit_body(target, draft),
        },
        Some(Transformation::Unsupported(why)) => omit(target, draft, "body", &why),
    }
}

/// The subject and body of a mail: the title and text of a message.
fn import_mail_message(target: &Json, draft: &mut RuleDraft, table: &mut String) {
    let mut template =
        |key: &str, what: &str| match parameter(target, key).map(transformation::read)? {
            Transformation::Text(text) => {
                Some(text.to_template()).filter(|template| !template.is_empty())
            }
            Transformation::Original => None,
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
    if title.is_some() {
        // The default subject has the level before the title.
        table.push_str("\nsubject = \"{{ title }}\"");
    }
    if title.is_some() || text.is_some() {
        draft.message = MessageForm::Templates { title, text };
    }
}

/// Omits the body: a webhook gets a CloudEvent with the message as its data.
fn omit_body(target: &Json, draft: &mut RuleDraft) {
    let form = parameter(target, "Body").map_or("ORIGINAL", |body| string(body, "Form"));
    let form = if form.is_empty() { "ORIGINAL" } else { form };
    omit(
        target,
        draft,
        "body",
        &format!("{form}; use `message` in the rule or send(…) in a script"),
    );
}

fn omit(target: &Json, draft: &mut RuleDraft, what: &str, why: &str) {
    draft.omissions.push(format!(
        "target {}: {what} not imported: {why}",
        string(target, "Id")
    ));
}

fn parameter<'a>(target: &'a Json, key: &str) -> Option<&'a Json> {
    let mut found = member(target, &["ParamList"]).elements().iter();
    found.find(|one| string(one, "ResourceKey").eq_ignore_ascii_case(key))
}

fn value<'a>(target: &'a Json, key: &str) -> Option<&'a str> {
    parameter(target, key).map(|one| string(one, "Value"))
}
