//! `notify`: messages for people.

use reflexarc_diagnostic::nearest;
use rhai::{Dynamic, Map};

use super::delay::Delay;
use crate::run::{BuiltinResult, Run};
use crate::value::kind;
use crate::{Action, Level, Message};

/// The fields of the map of `notify`.
pub(crate) const MESSAGE_FIELDS: [&str; 7] =
    ["title", "text", "level", "at", "link", "after", "key"];

pub(super) fn notify_text(run: &Run<'_>, target: &str, text: &str) -> BuiltinResult<()> {
    let message = Message {
        title: String::new(),
        text: text.to_owned(),
        level: run.input.rule.level,
        at: Vec::new(),
        link: None,
    };
    notify(run, target, message, Delay::default())
}

pub(super) fn notify_map(run: &Run<'_>, target: &str, fields: &Map) -> BuiltinResult<()> {
    let mut found = [None; MESSAGE_FIELDS.len()];
    for (key, value) in fields {
        let place = MESSAGE_FIELDS.iter().position(|name| key == name);
        // An unknown field is an error, not ignored: `txt` instead of `text` would send empty
        // messages. A field of the event that is missing is `()`: `link: event.content.url`.
        let place = place.ok_or_else(|| unknown_field(key))?;
        found[place] = Some(value).filter(|value| !value.is_unit());
    }
    let [title, text, level, at, link, after, key] = found;
    let string = |name, value| super::string("notify", name, value);
    let (title, text) = (string("title", title)?, string("text", text)?);
    if title.is_none() && text.is_none() {
        return Err("the message of `notify` needs a `title` or a `text`".into());
    }
    // In any case, so that `level: event.level`, which events write as `WARN`, works.
    let level = match string("level", level)? {
        Some(word) => word.parse::<Level>().map_err(|_| {
            format!("unknown level `{word}` in `notify`; expected info, warn or critical")
        })?,
        None => run.input.rule.level,
    };
    let message = Message {
        title: title.unwrap_or_default(),
        text: text.unwrap_or_default(),
        level,
        at: recipients(at)?,
        link: string("link", link)?,
    };
    let delay = Delay::read(run, "notify", after, key)?;
    notify(run, target, message, delay)
}

fn notify(run: &Run<'_>, target: &str, message: Message, delay: Delay) -> BuiltinResult<()> {
    let target = super::target("notify", target)?;
    // The sizes of the texts, without the names of fields: what a script can make large.
    let link = message.link.as_ref().map_or(0, String::len);
    let at: usize = message.at.iter().map(String::len).sum();
    let texts = message.title.len() + message.text.len() + link + at;
    let bytes = target.len() + texts + delay.bytes();
    let Delay { after, key } = delay;
    run.add_action(
        bytes,
        Action::Notify {
            target,
            message,
            after,
            key,
        },
    )
}

fn unknown_field(name: &str) -> String {
    let hint = match nearest(name, MESSAGE_FIELDS) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("expected one of: {}", MESSAGE_FIELDS.join(", ")),
    };
    format!("unknown field `{name}` in the message of `notify`; {hint}")
}

/// The recipients to mention: a string or an array of strings.
fn recipients(value: Option<&Dynamic>) -> BuiltinResult<Vec<String>> {
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
    let Some(value) = value else {
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
