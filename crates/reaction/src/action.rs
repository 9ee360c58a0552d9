//! What a reaction asks the caller to deliver or to call, and its JSON forms.

use jiff::SignedDuration;
use reflexarc_diagnostic::{format_duration, parse_duration};
use reflexarc_event::{Json, Level};

/// A message or document for one target, or a call of an operation of its API.
///
/// ```
/// use reflexarc_reaction::{Action, Json, Message};
///
/// let notify = Action::notify("network-team", Message::new("eni-1 failed"));
/// assert_eq!(notify.target(), "network-team");
/// let send = Action::send("inventory", Json::from(7));
/// assert_eq!(send.to_json().to_string(), r#"{"target":"inventory","send":7}"#);
///
/// let later = send.with_after(reflexarc_reaction::SignedDuration::from_mins(15)).with_key("late");
/// assert_eq!(
///     later.to_json().to_string(),
///     r#"{"target":"inventory","send":7,"after":"15m","key":"late"}"#
/// );
///
/// let call = Action::call("ecs", "DescribeInstances", Json::parse(r#"{"RegionId": "cn-beijing"}"#)?);
/// assert_eq!(
///     call.to_json().to_string(),
///     concat!(
///         r#"{"target":"ecs","call":{"operation":"DescribeInstances","#,
///         r#""parameters":{"RegionId":"cn-beijing"}}}"#
///     )
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
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
        /// How much later it is delivered.
        after: Option<SignedDuration>,
        /// The name under which the rule cancels or replaces it.
        key: Option<String>,
    },
    /// A JSON document for machines; [`Action::send`] makes one.
    #[non_exhaustive]
    Send {
        /// The target's name in the configuration.
        target: String,
        /// The document.
        payload: Json,
        /// How much later it is delivered.
        after: Option<SignedDuration>,
        /// The name under which the rule cancels or replaces it.
        key: Option<String>,
    },
    /// A call of an operation; [`Action::call`] makes one. Its answer goes back to the rule.
    #[non_exhaustive]
    Call {
        /// The target's name in the configuration.
        target: String,
        /// The operation, as the target names it.
        operation: String,
        /// The parameters: an object without null.
        parameters: Json,
        /// How much later it is called.
        after: Option<SignedDuration>,
        /// The name under which the rule cancels or replaces it.
        key: Option<String>,
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
            after: None,
            key: None,
        }
    }

    /// A JSON document for machines.
    pub fn send(target: impl Into<String>, payload: impl Into<Json>) -> Self {
        Self::Send {
            target: target.into(),
            payload: payload.into(),
            after: None,
            key: None,
        }
    }

    /// A call of an operation with these parameters, which are an object.
    pub fn call(
        target: impl Into<String>,
        operation: impl Into<String>,
        parameters: impl Into<Json>,
    ) -> Self {
        Self::Call {
            target: target.into(),
            operation: operation.into(),
            parameters: parameters.into(),
            after: None,
            key: None,
        }
    }

    /// The same, delivered this much later.
    #[must_use]
    pub fn with_after(mut self, delay: SignedDuration) -> Self {
        let (Self::Notify { after, .. } | Self::Send { after, .. } | Self::Call { after, .. }) =
            &mut self;
        *after = Some(delay);
        self
    }

    /// The same under a name, by which the rule can cancel and replace it while it waits.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>) -> Self {
        let (Self::Notify { key, .. } | Self::Send { key, .. } | Self::Call { key, .. }) =
            &mut self;
        *key = Some(name.into());
        self
    }

    /// The target's name.
    pub fn target(&self) -> &str {
        match self {
            Action::Notify { target, .. }
            | Action::Send { target, .. }
            | Action::Call { target, .. } => target,
        }
    }

    /// How much later it is delivered; `None` for at once.
    pub fn after(&self) -> Option<SignedDuration> {
        match self {
            Action::Notify { after, .. }
            | Action::Send { after, .. }
            | Action::Call { after, .. } => *after,
        }
    }

    /// The name under which the rule cancels or replaces it while it waits.
    pub fn key(&self) -> Option<&str> {
        match self {
            Action::Notify { key, .. } | Action::Send { key, .. } | Action::Call { key, .. } => {
                key.as_deref()
            }
        }
    }

    /// Whether it is a call, which has an answer.
    pub fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. })
    }

    /// `{"target", "notify": {…}}`, `{"target", "send": …}` or `{"target", "call": {"operation",
    /// "parameters"}}`, with every field of a message, and with `after` and `key` if it has them: the form in which stores keep actions and commands
    /// receive them. [`Action::from_json`] reads it.
    ///
    /// ```
    /// use reflexarc_reaction::{Action, Message};
    ///
    /// let action = Action::notify("network-team", Message::new("eni-1 failed"));
    /// assert_eq!(Action::from_json(&action.to_json()), Some(action));
    /// ```
    pub fn to_json(&self) -> Json {
        let what = match self {
            Action::Notify { message, .. } => ("notify", message.to_json()),
            Action::Send { payload, .. } => ("send", payload.clone()),
            Action::Call {
                operation,
                parameters,
                ..
            } => {
                let operation = ("operation", operation.as_str().into());
                let call = Json::object([operation, ("parameters", parameters.clone())]);
                ("call", call)
            }
        };
        let members = [("target", self.target().into()), what];
        Json::object(members.into_iter().chain(self.delay_members()))
    }

    /// The action that [`Action::to_json`] wrote; `None` for anything else.
    pub fn from_json(json: &Json) -> Option<Self> {
        let target = json.get("target")?.as_str()?.to_owned();
        // A delay that cannot be read is no action: without it, a message would be sent too early.
        let after = match json.get("after") {
            Some(after) => Some(parse_duration(after.as_str()?).ok()?),
            None => None,
        };
        let key = match json.get("key") {
            Some(key) => Some(key.as_str()?.to_owned()),
            None => None,
        };
        // The presence of the key decides, not its value: the payload may be null.
        if let Some(payload) = json.get("send") {
            return Some(Action::Send {
                target,
                payload: payload.clone(),
                after,
                key,
            });
        }
        if let Some(call) = json.get("call") {
            let parameters = call.get("parameters")?;
            if !matches!(parameters, Json::Object(_)) {
                return None;
            }
            return Some(Action::Call {
                target,
                operation: call.get("operation")?.as_str()?.to_owned(),
                parameters: parameters.clone(),
                after,
                key,
            });
        }
        let message = Message::from_json(json.get("notify")?)?;
        Some(Action::Notify {
            target,
            message,
            after,
            key,
        })
    }

    /// The action as one flat object, as the tests of a rule write it: `target`, then `payload`, or
    /// `operation` and `parameters`, or `title`, `text`, `level`, `at` (unless empty) and `link` (if
    /// any), and `after` and `key` (if any).
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
            Action::Call {
                operation,
                parameters,
                ..
            } => {
                members.push(("operation".to_owned(), operation.as_str().into()));
                members.push(("parameters".to_owned(), parameters.clone()));
            }
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
        let delay = self.delay_members();
        members.extend(delay.map(|(key, value)| (key.to_owned(), value)));
        Json::Object(members)
    }

    /// `after` and `key`, if it has them.
    fn delay_members(&self) -> impl Iterator<Item = (&'static str, Json)> {
        let after = self.after().map(format_duration);
        let key = self.key().map(Json::from);
        let after = after.map(|after| ("after", Json::from(after)));
        after.into_iter().chain(key.map(|key| ("key", key)))
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

    fn actions() -> [Action; 6] {
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
        let notify = |message| Action::notify(target(), message);
        let send = |payload| Action::send(target(), payload);
        [
            notify(message),
            notify(linked),
            notify(plain),
            send(payload.unwrap()),
            send(Json::Null),
            Action::call("t", "DeleteThing", Json::object([("Id", "a".into())])),
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
            r#"{"target":"t","call":{"operation":"DeleteThing","parameters":{"Id":"a"}}}"#,
        ];
        for (action, stored) in actions().into_iter().zip(stored) {
            assert_eq!(action.to_json().to_string(), stored);
            let read = Action::from_json(&Json::parse(stored).unwrap());
            assert_eq!(read, Some(action));
        }
        assert_eq!(Action::from_json(&Json::Null), None);
    }

    #[test]
    fn delays_and_names_are_read_as_they_are_written() {
        let delay = SignedDuration::from_secs(90);
        for action in actions() {
            let delayed = action.clone().with_after(delay);
            for action in [
                delayed.clone().with_key("page \"1\""),
                delayed,
                action.with_key("k"),
            ] {
                let json = action.to_json();
                let read = Json::parse(json.to_string()).unwrap();
                assert_eq!(Action::from_json(&read), Some(action), "{json}");
            }
        }
        for (after, key) in [(r#""soon""#, r#""k""#), ("90", r#""k""#), (r#""1m""#, "1")] {
            let text = format!(r#"{{"target":"t","send":1,"after":{after},"key":{key}}}"#);
            assert_eq!(Action::from_json(&Json::parse(text).unwrap()), None);
        }
    }

    #[test]
    fn calls_need_an_operation_and_an_object() {
        for call in [
            r#"{}"#,
            r#"{"operation":"A"}"#,
            r#"{"operation":"A","parameters":[]}"#,
        ] {
            let text = format!(r#"{{"target":"t","call":{call}}}"#);
            assert_eq!(Action::from_json(&Json::parse(text).unwrap()), None);
        }
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
            r#"{"target":"t","operation":"DeleteThing","parameters":{"Id":"a"}}"#,
        ];
        for (action, flat) in actions().into_iter().zip(flat) {
            assert_eq!(action.to_flat_json().to_string(), flat);
            let delayed = action
                .with_after(SignedDuration::from_hours(36))
                .with_key("k");
            let members = r#","after":"1d12h","key":"k"}"#;
            let flat = format!("{}{members}", &flat[..flat.len() - 1]);
            assert_eq!(delayed.to_flat_json().to_string(), flat);
        }
    }
}
