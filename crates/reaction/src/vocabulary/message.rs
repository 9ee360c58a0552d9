//! `notify`: messages for people.

use rhai::{Dynamic, Map};

use crate::run::{Answer, Run};
use crate::value::kind;
use crate::{Action, Level, Message};
use reflexarc_diagnostic::nearest;

/// What the map of `notify` may hold.
pub(crate) const MESSAGE_FIELDS: [&str; 5] = ["title", "text", "level", "at", "link"];

pub(super) fn notify_text(run: &Run<'_>, target: &str, text: &str) -> Answer<()> {
    let message = Message {
        title: String::new(),
        text: text.to_owned(),
        level: run.input.rule.level,
        at: Vec::new(),
        link: None,
    };
    notify(run, target, message)
}

pub(super) fn notify_map(run: &Run<'_>, target: &str, fields: &Map) -> Answer<()> {
    if let Some(unknown) = fields
        .keys()
        .find(|key| !MESSAGE_FIELDS.contains(&key.as_str()))
    {
        let hint = match nearest(unknown, MESSAGE_FIELDS) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there are {}", MESSAGE_FIELDS.join(", ")),
        };
        return Err(format!("the message of `notify` has no field `{unknown}`; {hint}").into());
    }
    let (title, text) = (string(fields, "title")?, string(fields, "text")?);
    if title.is_none() && text.is_none() {
        return Err("the message of `notify` wants a `text` or a `title`, but has neither".into());
    }
    let level = match string(fields, "level")? {
        Some(word) => Level::parse(&word).ok_or_else(|| {
            format!("`{word}` is no level for `notify`; there are info, warn and critical")
        })?,
        None => run.input.rule.level,
    };
    let message = Message {
        title: title.unwrap_or_default(),
        text: text.unwrap_or_default(),
        level,
        at: at(fields)?,
        link: string(fields, "link")?,
    };
    notify(run, target, message)
}

fn notify(run: &Run<'_>, target: &str, message: Message) -> Answer<()> {
    let target = super::target("notify", target)?;
    let link = message.link.as_ref().map_or(0, String::len);
    let at: usize = message.at.iter().map(String::len).sum();
    let bytes = target.len() + message.title.len() + message.text.len() + link + at;
    run.act(bytes, Action::Notify { target, message })
}

/// A field that holds a string, if it is there.
fn string(fields: &Map, name: &str) -> Answer<Option<String>> {
    match fields.get(name) {
        None => Ok(None),
        Some(value) => match value.as_immutable_string_ref() {
            Ok(text) => Ok(Some(text.to_string())),
            Err(_) => Err(format!(
                "`{name}` of `notify` wants a string, but got {}",
                kind(value)
            )
            .into()),
        },
    }
}

/// Whom to mention: one, or an array of them; a mobile number may be written as a number.
fn at(fields: &Map) -> Answer<Vec<String>> {
    let wrong = |value: &Dynamic| {
        format!(
            "`at` of `notify` wants a string or an array of strings, but got {}",
            kind(value)
        )
    };
    let one = |value: &Dynamic| match (value.as_immutable_string_ref(), value.as_int()) {
        (Ok(text), _) => Some(text.to_string()),
        (_, Ok(number)) => Some(number.to_string()),
        _ => None,
    };
    let Some(value) = fields.get("at") else {
        return Ok(Vec::new());
    };
    if let Ok(elements) = value.as_array_ref() {
        return elements
            .iter()
            .map(|element| one(element).ok_or_else(|| wrong(element).into()))
            .collect();
    }
    one(value)
        .map(|name| vec![name])
        .ok_or_else(|| wrong(value).into())
}
