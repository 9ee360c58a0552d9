//! A target with its parameters.

use reflexarc_event::Json;

use super::super::rule_text::{Draft, Words, quoted, stem};
use super::super::{at, text};
use super::transformation::{self, Transformation};

/// Carries a target over into a draft of its own: its table, what it is told, and what was lost. Nothing is notified
/// when it has no counterpart.
pub(super) fn carry(target: &Json, draft: &mut Draft) {
    let (id, kind) = (text(target, "Id"), text(target, "Type"));
    let name = draft.name.clone();
    let secret = stem(&name).replace('-', "_").to_uppercase();
    let mut table = match kind {
        "acs.dingtalk" => format!(
            "[targets.{}]\ntype = \"dingtalk\"\ntoken = {{ env = \"{secret}_TOKEN\" }}     # access_token of the robot's \
             address\nsecret = {{ env = \"{secret}_SECRET\" }}",
            quoted(&name)
        ),
        "http" | "https" => {
            let url = value(target, "url")
                .filter(|url| !url.is_empty())
                .unwrap_or(text(target, "Endpoint"));
            format!(
                "[targets.{}]\ntype = \"webhook\"\nurl = {}",
                quoted(&name),
                quoted(url)
            )
        }
        "acs.mail" => {
            let to = value(target, "ToAddress").unwrap_or_default();
            let to: Vec<String> = to.split([',', ';']).map(|one| quoted(one.trim())).collect();
            format!(
                "[targets.{}]\ntype = \"email\"\nhost = \"\"     # your mail server\nfrom = {}\nto = [{}]",
                quoted(&name),
                quoted(value(target, "AccountName").unwrap_or_default()),
                to.join(", ")
            )
        }
        other => {
            let loss = format!("target {id} of type {other} has no counterpart and was left out");
            return draft.losses.push(loss);
        }
    };
    match kind {
        "acs.dingtalk" => robot(target, draft),
        "acs.mail" => mail(target, draft, &mut table),
        _ => body_is_lost(target, draft),
    }
    // Where nothing is said, the cloud backs off.
    let exponential = text(target, "PushRetryStrategy").starts_with("EXPONENTIAL");
    let retry = if exponential {
        "exponential"
    } else {
        "backoff"
    };
    draft.targets.push(format!("{table}\nretry = \"{retry}\""));
    if text(target, "ErrorsTolerance") == "NONE" {
        draft.losses.push(format!(
            "target {id}: tolerance NONE; a dead target here delays no other and loses nothing"
        ));
    }
    if target
        .get("DeadLetterQueue")
        .is_some_and(|queue| !queue.members().is_empty())
    {
        draft.losses.push(format!(
            "target {id}: its dead letter queue; dead letters stay in the store (reflexarc dlq)"
        ));
    }
    draft.notify.push(name);
}

/// A robot's body is a message of its own kind, and such documents go to a robot as they are.
fn robot(target: &Json, draft: &mut Draft) {
    match parameter(target, "Body").map(transformation::read) {
        None | Some(Transformation::Original) => {}
        Some(Transformation::Words(words)) => match words.to_script_json() {
            Some(document) if document.contains("\"msgtype\"") => {
                draft.words = Words::Document(document)
            }
            _ => body_is_lost(target, draft),
        },
        Some(Transformation::Unknown(why)) => lost(target, draft, "body", &why),
    }
}

/// A mail's subject and body are the title and text of a message.
fn mail(target: &Json, draft: &mut Draft, table: &mut String) {
    let mut template =
        |key: &str, what: &str| match parameter(target, key).map(transformation::read)? {
            Transformation::Words(words) => {
                Some(words.to_template()).filter(|template| !template.is_empty())
            }
            Transformation::Original => None,
            Transformation::Unknown(why) => {
                lost(target, draft, what, &why);
                None
            }
        };
    let title = template("Subject", "subject");
    let html = value(target, "IsHtmlBody").is_some_and(|is| is.eq_ignore_ascii_case("true"));
    let text = if html { None } else { template("Body", "body") };
    if html && parameter(target, "Body").is_some() {
        lost(
            target,
            draft,
            "body",
            "it is HTML; `html_template` of the target takes a template of a whole mail",
        );
    }
    if title.is_some() {
        // Ours would say the level before it.
        table.push_str("\nsubject = \"{{ title }}\"");
    }
    if title.is_some() || text.is_some() {
        draft.words = Words::Message { title, text };
    }
}

/// A webhook's body is a CloudEvent with the message as its data, whatever it was.
fn body_is_lost(target: &Json, draft: &mut Draft) {
    let form = parameter(target, "Body").map_or("ORIGINAL", |body| text(body, "Form"));
    let form = if form.is_empty() { "ORIGINAL" } else { form };
    lost(
        target,
        draft,
        "body",
        &format!("{form}; say it with `message` in the rule, or with send(…) in a script"),
    );
}

fn lost(target: &Json, draft: &mut Draft, what: &str, why: &str) {
    draft
        .losses
        .push(format!("target {}: its {what}: {why}", text(target, "Id")));
}

fn parameter<'a>(target: &'a Json, key: &str) -> Option<&'a Json> {
    let mut found = at(target, &["ParamList"]).elements().iter();
    found.find(|one| text(one, "ResourceKey").eq_ignore_ascii_case(key))
}

fn value<'a>(target: &'a Json, key: &str) -> Option<&'a str> {
    parameter(target, key).map(|one| text(one, "Value"))
}
