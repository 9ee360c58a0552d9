//! What a reaction asks the caller to deliver, and its JSON forms.

use reflexarc_event::{Json, Level};

/// A message or document for one target.
///
/// ```
/// use reflexarc_reaction::{Action, Json, Message};
///
/// let notify = Action::notify("network-team", Message::new("eni-1 failed"));
/// assert_eq!(notify.target(), "network-team");
/// let send = Action::send("inventory", Json::from(7));
/// assert_eq!(send.to_json().to_string(), r#"{"target":"inventory","send":7}"#);
/// ```
// The kinds are exhaustive on purpose: a program that delivers actions must handle each of them,
// and a new kind that it drops silently would be a lost message. Their fields may grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A message for people; [`Action::notify`] makes one.
    #[non_exhaustive]
    Notify {
        /// The target's name in the configuration.
        target: String,
        /// The message.
        message: Message,
    },
    /// A JSON document for machines; [`Action::send`] makes one.
    #[non_exhaustive]
    Send {
        /// The target's name in the configuration.
        target: String,
        /// The document.
        payload: Json,
    },
}

/// A message for people.
///
/// ```
/// use reflexarc_reaction::{Level, Message};
///
/// let message = Message::new("request 8B2A")
///     .with_title("attach failed")
///     .with_level(Level::Critical)
///     .with_at(["all"])
///     .with_link("https://example.com/8B2A");
/// assert_eq!(message.text, "request 8B2A");
/// assert_eq!(message.at, ["all"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// One line; empty when the script gave only a text.
    pub title: String,
    /// The body, in plain text or Markdown.
    pub text: String,
    /// The severity: the one that the script gives, else that of the rule.
    pub level: Level,
    /// Recipients to mention: mobile numbers or user ids of the target's service, or `all`.
    pub at: Vec<String>,
    /// A URL with more information.
    pub link: Option<String>,
}

impl Action {
    /// A message for people.
    pub fn notify(target: impl Into<String>, message: Message) -> Self {
        Self::Notify {
            target: target.into(),
            message,
        }
    }

    /// A JSON document for machines.
    pub fn send(target: impl Into<String>, payload: impl Into<Json>) -> Self {
        Self::Send {
            target: target.into(),
            payload: payload.into(),
        }
    }

    /// The target's name.
    pub fn target(&self) -> &str {
        match self {
            Action::Notify { target, .. } | Action::Send { target, .. } => target,
        }
    }

    /// `{"target", "notify": {…}}` or `{"target", "send": …}`, with every field of a message: the
    /// form in which stores keep actions and commands receive them. [`Action::from_json`] reads it.
    ///
    /// ```
    /// use reflexarc_reaction::{Action, Message};
    ///
    /// let action = Action::notify("network-team", Message::new("eni-1 failed"));
    /// assert_eq!(Action::from_json(&action.to_json()), Some(action));
    /// ```
    pub fn to_json(&self) -> Json {
        match self {
            Action::Notify { target, message } => Json::object([
                ("target", target.as_str().into()),
                ("notify", message.to_json()),
            ]),
            Action::Send { target, payload } => Json::object([
                ("target", target.as_str().into()),
                ("send", payload.clone()),
            ]),
        }
    }

    /// The action that [`Action::to_json`] wrote; `None` for anything else.
    pub fn from_json(json: &Json) -> Option<Self> {
        let target = json.get("target")?.as_str()?.to_owned();
        // The presence of the key decides, not its value: the payload may be null.
        if let Some(payload) = json.get("send") {
            return Some(Action::Send {
                target,
                payload: payload.clone(),
            });
        }
        let message = Message::from_json(json.get("notify")?)?;
        Some(Action::Notify { target, message })
    }

    /// The action as one flat object, as the tests of a rule write it: `target`, and either
    /// `payload` or `title`, `text`, `level`, `at` (unless empty) and `link` (if any).
    ///
    /// ```
    /// use reflexarc_reaction::{Action, Message};
    ///
    /// let action = Action::notify("network-team", Message::new("eni-1 failed"));
    /// assert_eq!(
    ///     action.to_flat_json().to_string(),
    ///     r#"{"target":"network-team","title":"","text":"eni-1 failed","level":"info"}"#
    /// );
    /// ```
    pub fn to_flat_json(&self) -> Json {
        // Two forms, because they serve different readers. What is stored says by its key what it
        // is and has every field; what an author compares with is as flat as TOML tables are
        // written:
        //
        //     actions = [{ target = "network-team", text = "eni-1" }]
        let mut members = vec![("target".to_owned(), Json::from(self.target()))];
        match self {
            Action::Send { payload, .. } => members.push(("payload".to_owned(), payload.clone())),
            Action::Notify { message, .. } => {
                if let Json::Object(fields) = message.to_json() {
                    members.extend(fields.into_iter().filter(|(_, value)| match value {
                        Json::Null => false,
                        Json::Array(elements) => !elements.is_empty(),
                        _ => true,
                    }));
                }
            }
        }
        Json::Object(members)
    }
}

impl Message {
    /// A message of level info with this body, without a title.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            title: String::new(),
            text: text.into(),
            level: Level::default(),
            at: Vec::new(),
            link: None,
        }
    }

    /// The same with a title.
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..self
        }
    }

    /// The same with another severity.
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same with these recipients to mention.
    #[must_use]
    pub fn with_at(self, at: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            at: at.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The same with a URL.
    #[must_use]
    pub fn with_link(self, link: impl Into<String>) -> Self {
        Self {
            link: Some(link.into()),
            ..self
        }
    }

    /// An object with `title`, `text`, `level`, `at` and `link`; `link` is null when there is none.
    ///
    /// ```
    /// let json = reflexarc_reaction::Message::new("eni-1 failed").to_json();
    /// assert_eq!(json.get("level").and_then(|level| level.as_str()), Some("info"));
    /// ```
    pub fn to_json(&self) -> Json {
        Json::object([
            ("title", self.title.as_str().into()),
            ("text", self.text.as_str().into()),
            ("level", self.level.lowercase().into()),
            ("at", Json::strings(&self.at)),
            ("link", Json::optional(self.link.as_deref())),
        ])
    }

    fn from_json(json: &Json) -> Option<Self> {
        let text = |key| Some(json.get(key)?.as_str()?.to_owned());
        let level = json.get("level")?.as_str()?;
        let at = json.get("at")?.elements().iter();
        Some(Self {
            title: text("title")?,
            text: text("text")?,
            level: Level::ALL
                .into_iter()
                .find(|known| known.lowercase() == level)?,
            at: at
                .filter_map(|who| who.as_str().map(str::to_owned))
                .collect(),
            link: text("link"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions() -> [Action; 5] {
        let target = || "t".to_owned();
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
        let plain = Message {
            title: String::new(),
            level: Level::Info,
            at: Vec::new(),
            ..message.clone()
        };
        let payload = Json::parse(r#"{"n": 12345678901234567890.10, "s": [null, true]}"#);
        let notify = |message| Action::Notify {
            target: target(),
            message,
        };
        let send = |payload| Action::Send {
            target: target(),
            payload,
        };
        [
            notify(message),
            notify(linked),
            notify(plain),
            send(payload.unwrap()),
            send(Json::Null),
        ]
    }

    /// The stored form of version 0.1.0, byte for byte: stores written by it must stay readable.
    #[test]
    fn the_stored_form_is_that_of_version_0_1_0() {
        let stored = [
            concat!(
                r#"{"target":"t","notify":{"title":"a \"title\"","text":"two\nlines","#,
                r#""level":"critical","at":["13800000000","all"],"link":null}}"#
            ),
            concat!(
                r#"{"target":"t","notify":{"title":"a \"title\"","text":"two\nlines","#,
                r#""level":"warn","at":["13800000000","all"],"link":"https://example.com/"}}"#
            ),
            concat!(
                r#"{"target":"t","notify":{"title":"","text":"two\nlines","level":"info","#,
                r#""at":[],"link":null}}"#
            ),
            r#"{"target":"t","send":{"n":12345678901234567890.10,"s":[null,true]}}"#,
            r#"{"target":"t","send":null}"#,
        ];
        for (action, stored) in actions().into_iter().zip(stored) {
            assert_eq!(action.to_json().to_string(), stored);
            let read = Action::from_json(&Json::parse(stored).unwrap());
            assert_eq!(read, Some(action));
        }
        assert_eq!(Action::from_json(&Json::Null), None);
    }

    #[test]
    fn the_flat_form_leaves_out_absent_fields() {
        let flat = [
            concat!(
                r#"{"target":"t","title":"a \"title\"","text":"two\nlines","#,
                r#""level":"critical","at":["13800000000","all"]}"#
            ),
            concat!(
                r#"{"target":"t","title":"a \"title\"","text":"two\nlines","#,
                r#""level":"warn","at":["13800000000","all"],"link":"https://example.com/"}"#
            ),
            r#"{"target":"t","title":"","text":"two\nlines","level":"info"}"#,
            r#"{"target":"t","payload":{"n":12345678901234567890.10,"s":[null,true]}}"#,
            r#"{"target":"t","payload":null}"#,
        ];
        for (action, flat) in actions().into_iter().zip(flat) {
            assert_eq!(action.to_flat_json().to_string(), flat);
        }
    }
}
