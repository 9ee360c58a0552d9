//! `notify`: messages for people.

use reflexarc_diagnostic::nearest;
use rhai::{Dynamic, Map};

use crate::run::{BuiltinResult, Run};
use crate::value::kind;
use crate::{Action, Level, Message};

/// The fields of the map of `notify`.
pub(crate) const MESSAGE_FIELDS: [&str; 5] = ["title", "text", "level", "at", "link"];

pub(super) fn notify_text(run: &Run<'_>, target: &str, text: &str) -> BuiltinResult<()> {
    let message = Message {
        title: String::new(),
        text: text.to_owned(),
        level: run.input.rule.level,
        at: Vec::new(),
        link: None,
    };
    notify(run, target, message)
}

pub(super) fn notify_map(run: &Run<'_>, target: &str, fields: &Map) -> BuiltinResult<()> {
    // An unknown field is an error, not ignored: `txt` instead of `text` would send empty messages.
    if let Some(unknown) = fields
        .keys()
        .find(|key| !MESSAGE_FIELDS.contains(&key.as_str()))
    {
        let hint = match nearest(unknown, MESSAGE_FIELDS) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("expected one of: {}", MESSAGE_FIELDS.join(", ")),
        };
        return Err(format!("unknown field `{unknown}` in the message of `notify`; {hint}").into());
    }
    let (title, text) = (string(fields, "title")?, string(fields, "text")?);
    if title.is_none() && text.is_none() {
        return Err("the message of `notify` needs a `title` or a `text`".into());
    }
    // In any case, so that `level: event.level`, which events write as `WARN`, works.
    let level = match string(fields, "level")? {
        Some(word) => word.parse::<Level>().map_err(|_| {
            format!("unknown level `{word}` in `notify`; expected info, warn or critical")
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

fn notify(run: &Run<'_>, target: &str, message: Message) -> BuiltinResult<()> {
    let target = super::target("notify", target)?;
    // The sizes of the texts, without the names of fields: what a script can make large.
    let link = message.link.as_ref().map_or(0, String::len);
    let at: usize = message.at.iter().map(String::len).sum();
    let bytes = target.len() + message.title.len() + message.text.len() + link + at;
    run.add_action(bytes, Action::Notify { target, message })
}

/// The string of a field, if it is present.
fn string(fields: &Map, name: &str) -> BuiltinResult<Option<String>> {
    match fields.get(name) {
        // A field of the event that is missing is `()`: `link: event.content.url`.
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) => match value.as_immutable_string_ref() {
            Ok(text) => Ok(Some(text.to_string())),
            Err(_) => Err(format!(
                "`{name}` of `notify`: expected a string, found {}",
                kind(value)
            )
            .into()),
        },
    }
}

/// The recipients to mention: a string or an array of strings.
fn at(fields: &Map) -> BuiltinResult<Vec<String>> {
    let wrong_type = |value: &Dynamic| {
        format!(
            "`at` of `notify`: expected a string or an array of strings, found {}",
            kind(value)
        )
    };
    // A mobile number may also be an integer: which of both it is depends on how an event spells
    // it.
    let one = |value: &Dynamic| match (value.as_immutable_string_ref(), value.as_int()) {
        (Ok(text), _) => Some(text.to_string()),
        (_, Ok(number)) => Some(number.to_string()),
        _ => None,
    };
    let Some(value) = fields.get("at").filter(|value| !value.is_unit()) else {
        return Ok(Vec::new());
    };
    if let Ok(elements) = value.as_array_ref() {
        return elements
            .iter()
            .filter(|element| !element.is_unit())
            .map(|element| one(element).ok_or_else(|| wrong_type(element).into()))
            .collect();
    }
    one(value)
        .map(|name| vec![name])
        .ok_or_else(|| wrong_type(value).into())
}
