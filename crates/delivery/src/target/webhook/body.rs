//! The body of a webhook from a template.

use std::collections::BTreeMap;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Output, State, Value, context};
use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Action, Level, Message, TemplateNames};

use crate::delivery::Delivery;
use crate::rendering::shorten;
use crate::target::email::KNOWN;

/// A template for the body of a webhook's requests, in the syntax of minijinja.
///
/// Where the content is JSON, each value is written as JSON, with quotes and escapes:
///
/// ```
/// use reflexarc_delivery::webhook::BodyTemplate;
///
/// let body = r#"{"summary": {{ title ~ ": " ~ text }}, "labels": {"rule": {{ rule }}}}"#;
/// assert!(BodyTemplate::new(body, "application/json").is_ok());
/// // In quotes it would have two pairs of them.
/// let faults = BodyTemplate::new(r#"{"summary": "{{ title }}"}"#, "application/json");
/// assert!(faults.err().unwrap()[0].message.contains("in quotes"));
/// ```
pub struct BodyTemplate {
    environment: Environment<'static>,
    content_type: String,
    is_json: bool,
    warnings: Vec<Diagnostic>,
}

/// The instructions of one rendering, which bound its loops.
const FUEL: u64 = 200_000;
/// The name in the environment.
const NAME: &str = "body";
/// The longest part of a rendered body in a message.
const EXCERPT_BYTES: usize = 200;

impl BodyTemplate {
    /// The template, checked with example deliveries.
    ///
    /// # Errors
    /// With all findings, of which one is an error: a template that cannot be parsed, unknown names,
    /// and a body that is no JSON where `content_type` says so. Spans are bytes of `source`.
    pub fn new(source: &str, content_type: &str) -> Result<Self, Vec<Diagnostic>> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.ends_with("/json") || essence.ends_with("+json");
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL));
        // Values are written by the formatter, not as a kind of text.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_filter("tojson", |value: Value| {
            Value::from_safe_string(json_text(&value))
        });
        if is_json {
            environment.set_formatter(write_json);
        }
        if let Err(error) = environment.add_template_owned(NAME, source.to_owned()) {
            return Err(vec![syntax_error(source, &error)]);
        }
        let found = names().check(source);
        if found.iter().any(|one| one.severity == Severity::Error) {
            return Err(found);
        }
        let template = Self {
            environment,
            content_type: content_type.to_owned(),
            is_json,
            warnings: found,
        };
        for example in examples() {
            template
                .check(source, &example)
                .map_err(|fault| vec![*fault])?;
        }
        Ok(template)
    }

    /// The value of the header `Content-Type`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// What the template probably does not mean as it is written, such as `${title}`.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The body for a delivery.
    pub(in crate::target) fn render(&self, delivery: &Delivery) -> Result<String, String> {
        let body = self.environment.get_template(NAME);
        let body = body.and_then(|template| template.render(variables(delivery)));
        let body = body.map_err(|error| format!("template body: {error}"))?;
        // The examples cannot have every value: `{{ text | safe }}` is JSON for some.
        match Json::parse(&body) {
            Err(error) if self.is_json => {
                let shown = shorten(&body, EXCERPT_BYTES);
                Err(format!("template body: not JSON ({error}): {shown}"))
            }
            _ => Ok(body),
        }
    }

    /// A rendered body, as a preview shows it.
    pub(in crate::target) fn shown(&self, body: String) -> Json {
        match Json::parse(&body) {
            Ok(json) if self.is_json => json,
            _ => body.into(),
        }
    }

    /// What is wrong with the body for an example.
    fn check(&self, source: &str, example: &Delivery) -> Result<(), Box<Diagnostic>> {
        let fault = |span, message: String, help: &str| {
            Box::new(Diagnostic::error(Code::CONFIG_VALUE, span, message).with_help(help))
        };
        let all = 0..source.len();
        let template = self.environment.get_template(NAME);
        let body = template.and_then(|template| template.render(variables(example)));
        let body = body.map_err(|error| {
            let span = error.range().unwrap_or(all.clone());
            let message = format!("the body cannot be rendered: {error}");
            fault(span, message, "correct the expression")
        })?;
        let Err(error) = Json::parse(&body) else {
            return Ok(());
        };
        if !self.is_json {
            return Ok(());
        }
        if let Some(span) = value_in_quotes(source) {
            let message = format!("`{}` is in quotes", &source[span.clone()]);
            let help = "remove the quotes around it: a value is written as JSON, with its own; \
                        to join texts, write {{ title ~ \": \" ~ text }}";
            return Err(fault(span, message, help));
        }
        let shown = shorten(&body, EXCERPT_BYTES);
        let message = format!("the body is not JSON for an example ({error}): {shown}");
        let help = "correct the template, or set `content_type`, such as \"text/plain\"";
        Err(fault(all, message, help))
    }
}

/// The names that a template may use.
fn names() -> TemplateNames<'static> {
    const VARIABLES: &[(&str, Option<&[&str]>)] = &[
        ("title", Some(&[])),
        ("text", Some(&[])),
        ("level", Some(&[])),
        ("at", Some(&[])),
        ("link", Some(&[])),
        ("payload", None),
        ("rule", Some(&[])),
        ("key", Some(&[])),
        ("phase", Some(&[])),
        ("target", Some(&[])),
        ("resource", Some(&[])),
        ("event", Some(&["id", "source"])),
        ("created", Some(&[])),
        ("replay", Some(&[])),
        ("delivery", Some(&[])),
        ("attempt", Some(&[])),
    ];
    const FILTERS: &[&str] = &{
        let mut all = ["tojson"; KNOWN.filters.len() + 1];
        let mut at = 0;
        while at < KNOWN.filters.len() {
            all[at] = KNOWN.filters[at];
            at += 1;
        }
        all
    };
    TemplateNames {
        variables: VARIABLES,
        filters: FILTERS,
        ..KNOWN
    }
}

/// What a template can use. What a delivery lacks is null.
fn variables(delivery: &Delivery) -> Value {
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Value::from);
    let (mut title, mut level, mut at) = (None, Level::Info, Vec::new());
    let (mut link, mut words, mut payload) = (None, None, Value::from(()));
    match &delivery.action {
        Action::Notify { message, .. } => {
            title = text(&message.title);
            words = Some(Value::from(message.text.as_str()));
            link = message.link.as_deref().map(Value::from);
            (level, at) = (message.level, message.at.clone());
        }
        Action::Send { payload: json, .. }
        | Action::Call {
            parameters: json, ..
        } => payload = value(json),
    }
    // The key is stored as JSON text.
    let key = delivery
        .key
        .as_deref()
        .and_then(|key| Json::parse(key).ok());
    context! {
        title, at, link, payload,
        text => words,
        level => level.lowercase(),
        rule => &delivery.rule,
        key => key.as_ref().map(value),
        phase => delivery.phase.as_str(),
        target => &delivery.target,
        resource => text(&delivery.resource),
        event => context! {
            id => text(&delivery.event.id),
            source => text(&delivery.event.source),
        },
        created => delivery.created.to_string(),
        replay => &delivery.replay,
        delivery => delivery.id.to_string(),
        attempt => delivery.attempt,
    }
}

/// A message and a document, with what has to be escaped.
fn examples() -> Vec<Delivery> {
    let event = EventIdentity {
        source: "acs.ecs".into(),
        id: "8B2A".into(),
        resource: "acs:ecs:cn-hangzhou:1:eni/eni-1".into(),
        ..EventIdentity::default()
    };
    let mut message = Message::new("a \"quoted\" text\nof two lines \\ {{ x }}")
        .with_title("example \"title\"")
        .with_level(Level::Warn)
        .with_at(["all"]);
    message.link = Some("https://example.com/?a=1&b=2".into());
    let document = Json::object([("eni", "eni-\"1\"".into()), ("count", 2.into())]);
    let actions = [
        Action::notify("example", message),
        Action::notify("example", Message::new("")),
        Action::send("example", document),
    ];
    let actions = actions.iter().map(|action| ("example", action));
    let mut examples = Delivery::for_actions(&event, actions, jiff::Timestamp::UNIX_EPOCH);
    for example in examples.iter_mut().take(1) {
        example.key = Some("\"eni-1\"".into());
    }
    examples
}

fn syntax_error(source: &str, error: &minijinja::Error) -> Diagnostic {
    let end = source.len();
    let span = error.range().unwrap_or(end..end);
    let message = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    Diagnostic::error(Code::CONFIG_VALUE, span, message)
        .with_help("templates have the syntax of minijinja, like Jinja's")
}

/// The first expression within a string of JSON.
fn value_in_quotes(source: &str) -> Option<std::ops::Range<usize>> {
    let (mut at, mut is_string) = (0, false);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let end = |mark: &str| rest.find(mark).map_or(source.len(), |end| at + end + 2);
        match rest {
            _ if rest.starts_with("{{") && is_string => return Some(at..end("}}")),
            _ if rest.starts_with("{{") => at = end("}}"),
            _ if rest.starts_with("{%") => at = end("%}"),
            _ if rest.starts_with("{#") => at = end("#}"),
            _ if rest.starts_with('\\') => at += 2,
            _ => {
                is_string ^= rest.starts_with('"');
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
    }
    None
}

/// Writes a value as JSON, unless it is marked `safe`.
fn write_json(
    output: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    let written = match value.as_str().filter(|_| value.is_safe()) {
        Some(safe) => output.write_str(safe),
        None => output.write_str(&json_text(value)),
    };
    written.map_err(Into::into)
}

/// A value as JSON text; what JSON has not is null.
fn json_text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => value.is_true().to_string(),
        // JSON has no infinity and no NaN.
        ValueKind::Number => match value.to_string() {
            number if Json::parse(&number).is_ok() => number,
            _ => "null".to_owned(),
        },
        ValueKind::String => Json::from(value.as_str().unwrap_or_default()).to_string(),
        ValueKind::Seq | ValueKind::Iterable => {
            let elements = value.try_iter().into_iter().flatten();
            let elements: Vec<String> = elements.map(|element| json_text(&element)).collect();
            format!("[{}]", elements.join(","))
        }
        ValueKind::Map => {
            let keys = value.try_iter().into_iter().flatten();
            let members = keys.map(|key| {
                let member = value.get_item(&key).unwrap_or_default();
                let key = Json::from(key.to_string().as_str());
                format!("{key}:{}", json_text(&member))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        _ => "null".to_owned(),
    }
}

/// JSON as a value of a template.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        // Ids may have more digits than 64 bits hold.
        Json::Number(text) => match (text.parse::<i128>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::from(integer),
            (_, Ok(float)) => Value::from(float),
            _ => Value::from(&**text),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(value).collect(),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(key, member)| (key.clone(), value(member)));
            Value::from_object(members.collect::<BTreeMap<String, Value>>())
        }
    }
}
