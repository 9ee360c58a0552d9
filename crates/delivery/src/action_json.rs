//! Actions as JSON: the stored form, and what commands and files receive.

use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};

/// `{"target", "notify": {…}}` or `{"target", "send": …}`.
pub fn action_to_json(action: &Action) -> Json {
    match action {
        Action::Notify { target, message } => Json::object([
            ("target", target.as_str().into()),
            ("notify", message_to_json(message)),
        ]),
        Action::Send { target, payload } => Json::object([
            ("target", target.as_str().into()),
            ("send", payload.clone()),
        ]),
    }
}

/// What [`action_to_json`] wrote; `None` for anything else.
pub fn action_from_json(json: &Json) -> Option<Action> {
    let target = json.get("target")?.as_str()?.to_owned();
    if let Some(payload) = json.get("send") {
        return Some(Action::Send {
            target,
            payload: payload.clone(),
        });
    }
    let message = json.get("notify")?;
    let text = |key| Some(message.get(key)?.as_str()?.to_owned());
    let message = Message {
        title: text("title")?,
        text: text("text")?,
        level: level_from_word(message.get("level")?.as_str()?)?,
        at: message
            .get("at")?
            .elements()
            .iter()
            .filter_map(|who| who.as_str().map(str::to_owned))
            .collect(),
        link: text("link"),
    };
    Some(Action::Notify { target, message })
}

/// A message as machines get it: title, text, level, at, link.
pub(crate) fn message_to_json(message: &Message) -> Json {
    Json::object([
        ("title", message.title.as_str().into()),
        ("text", message.text.as_str().into()),
        ("level", level_word(message.level).into()),
        ("at", Json::strings(&message.at)),
        ("link", Json::optional(message.link.as_deref())),
    ])
}

/// `info`, `warn` or `critical`.
pub(crate) fn level_word(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Critical => "critical",
    }
}

fn level_from_word(word: &str) -> Option<Level> {
    [Level::Info, Level::Warn, Level::Critical]
        .into_iter()
        .find(|level| level_word(*level) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_survives_its_json() {
        let message = Message {
            title: "a \"title\"".into(),
            text: "two\nlines".into(),
            level: Level::Critical,
            at: vec!["13800000000".into(), "all".into()],
            link: None,
        };
        let linked = Message {
            link: Some("https://example.com/".into()),
            level: Level::Warn,
            ..message.clone()
        };
        let payload = Json::parse(r#"{"n": 12345678901234567890.10, "s": [null, true]}"#).unwrap();
        for action in [
            Action::Notify {
                target: "t".into(),
                message,
            },
            Action::Notify {
                target: "t".into(),
                message: linked,
            },
            Action::Send {
                target: "t".into(),
                payload,
            },
            Action::Send {
                target: "t".into(),
                payload: Json::Null,
            },
        ] {
            let text = action_to_json(&action).to_string();
            assert_eq!(action_from_json(&Json::parse(text).unwrap()), Some(action));
        }
        assert_eq!(action_from_json(&Json::Null), None);
    }
}
