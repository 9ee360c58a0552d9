//! Templates of a mail: subject, text and HTML.

mod finding;
mod names;

use jiff::tz::TimeZone;
use minijinja::{AutoEscape, Environment, Value, context};
use reflexarc_diagnostic::Severity;
use reflexarc_reaction::{Action, Level};

pub use self::finding::{InvalidTemplates, TemplateFinding};
pub(in crate::target) use self::names::KNOWN;
use crate::delivery::Delivery;
use crate::readable_time;
use crate::rendering::{ellipsize, is_web_link};

/// The three templates of a mail, in the syntax of minijinja.
///
/// Their variables are `title`, `heading` (the title unless it only repeats the text), `text`,
/// `level`, `color` (that of the level, such as `#b3261e`), `details` (rule, resource, event and so
/// on as pairs), `blocks` (the text, with lines such as `ENI: eni-1` as `facts`), `link`, `payload`
/// (a document as JSON text), `rule`, `resource`, `event` (`id`, `source`), `created`, `replay` and
/// `delivery`. The HTML template escapes them.
///
/// ```
/// use reflexarc_delivery::email::Templates;
///
/// assert!(Templates::new(Some("[{{ rule }}] {{ title }}".into()), None, None).is_ok());
/// let error = Templates::new(Some("{{ titel }}".into()), None, Some("{{ x }}".into()));
/// assert_eq!(
///     error.err().map(|error| error.to_string()).unwrap(),
///     "template subject: line 1, column 4: unknown variable `titel` in a template; \
///      template html: line 1, column 4: unknown variable `x` in a template",
/// );
/// ```
pub struct Templates {
    environment: Environment<'static>,
    warnings: Vec<TemplateFinding>,
}

/// A template that cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("template {name}: {message}")]
pub(super) struct RenderError {
    name: &'static str,
    message: String,
}

/// The rendered parts of a mail.
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

const NAMES: [&str; 3] = ["subject", "text", "html"];

const SUBJECT: &str = "{% if level != 'info' %}[{{ level | upper }}] {% endif %}{{ title }}";

const TEXT: &str = include_str!("default.txt.j2");

const HTML: &str = include_str!("default.html.j2");

/// The parts of a digest. They are built in: a template for one message cannot lay out several.
const DIGEST: [(&str, &str); 2] = [
    ("digest.text", include_str!("digest.txt.j2")),
    ("digest.html", include_str!("digest.html.j2")),
];

/// The longest subject, in bytes. RFC 5322 limits a header line to 998; mail readers show less than
/// this.
const SUBJECT_BYTES: usize = 250;
/// The largest number of different titles in the subject of a digest.
const SUBJECT_TITLES: usize = 10;

impl Templates {
    /// These templates, and the built-in one for each that is `None`.
    ///
    /// # Errors
    /// With the errors of all templates: one that cannot be parsed, and every variable, filter,
    /// test and function that does not exist. It would be empty in every mail, or no mail would be
    /// sent.
    pub fn new(
        subject: Option<String>,
        text: Option<String>,
        html: Option<String>,
    ) -> Result<Self, InvalidTemplates> {
        let mut environment = Environment::new();
        // For the places of errors, also in release builds.
        environment.set_debug(true);
        // Chosen by the template's name: titles and texts hold what an event's sender wrote, and in
        // HTML that must stay text.
        environment.set_auto_escape_callback(|name| {
            if name.ends_with("html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        let sources = [
            subject.unwrap_or(SUBJECT.into()),
            text.unwrap_or(TEXT.into()),
            html.unwrap_or(HTML.into()),
        ];
        let mut findings = Vec::new();
        for (name, source) in NAMES.into_iter().zip(sources) {
            match environment.add_template_owned(name, source.clone()) {
                Ok(()) => {
                    let found = KNOWN.check(&source).into_iter();
                    findings.extend(found.map(|one| TemplateFinding::new(name, &source, one)));
                }
                Err(error) => findings.push(TemplateFinding::syntax(name, &source, &error)),
            }
        }
        let is_error = |found: &TemplateFinding| found.diagnostic.severity == Severity::Error;
        if findings.iter().any(is_error) {
            return Err(InvalidTemplates { findings });
        }
        for (name, source) in DIGEST {
            // They are valid, as a test renders them; else each digest would fail, with the reason.
            _ = environment.add_template(name, source);
        }
        Ok(Self {
            environment,
            warnings: findings,
        })
    }

    /// What the templates probably do not mean as they are written, such as `${title}`.
    pub fn warnings(&self) -> &[TemplateFinding] {
        &self.warnings
    }

    pub(super) fn render(
        &self,
        delivery: &Delivery,
        zone: Option<&TimeZone>,
    ) -> Result<Rendered, RenderError> {
        let variables = variables(delivery, zone);
        // Only the subject is made one line: in the body a newline is harmless.
        Ok(Rendered {
            subject: one_line(&self.render_part("subject", &variables)?),
            text: self.render_part("text", &variables)?,
            html: self.render_part("html", &variables)?,
        })
    }

    /// One mail for several deliveries: the text of each, under its title.
    pub(super) fn render_digest(
        &self,
        batch: &[Delivery],
        zone: Option<&TimeZone>,
    ) -> Result<Rendered, RenderError> {
        let message = |one| context! { title => one_line(title(one)), ..variables(one, zone) };
        let messages: Vec<Value> = batch.iter().map(message).collect();
        let level = batch.iter().map(|one| level(&one.action)).max();
        let level = level.unwrap_or(Level::Info);
        let prefix = match level {
            Level::Info => String::new(),
            level => format!("[{}] ", level.lowercase().to_uppercase()),
        };
        // As many titles as a subject has room for; each of them once.
        let mut titles: Vec<&str> = Vec::new();
        for title in batch.iter().map(title) {
            if !titles.contains(&title) && titles.len() < SUBJECT_TITLES {
                titles.push(title);
            }
        }
        let count = batch.len();
        let subject = format!("{prefix}{count} messages: {}", titles.join("; "));
        let variables = context! {
            count, messages,
            level => level.lowercase(),
            color => color(level.lowercase()),
        };
        Ok(Rendered {
            subject: one_line(&subject),
            text: self.render_part("digest.text", &variables)?,
            html: self.render_part("digest.html", &variables)?,
        })
    }

    fn render_part(&self, name: &'static str, variables: &Value) -> Result<String, RenderError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(variables))
            .map_err(|error| RenderError {
                name,
                message: error.to_string(),
            })
    }
}

/// What the templates of one message can use.
fn variables(delivery: &Delivery, zone: Option<&TimeZone>) -> Value {
    // The title that stands in for a missing one is a subject, but no heading: the text follows.
    let heading = match &delivery.action {
        Action::Notify { message, .. } if message.title.trim() == message.text.trim() => "",
        Action::Notify { message, .. } => &message.title,
        Action::Send { .. } | Action::Call { .. } => &delivery.rule,
    };
    let (text, link, payload) = match &delivery.action {
        Action::Notify { message, .. } => {
            let link = message.link.as_deref().filter(|link| is_web_link(link));
            (message.text.as_str(), link, None)
        }
        Action::Send { payload, .. }
        | Action::Call {
            parameters: payload,
            ..
        } => ("", None, Some(payload.to_string())),
    };
    let level = level(&delivery.action).lowercase();
    context! {
        heading, text, level, link, payload,
        title => title(delivery),
        blocks => blocks(text),
        details => details(delivery, zone),
        color => color(level),
        rule => &delivery.rule,
        resource => &delivery.resource,
        event => context! { id => &delivery.event.id, source => &delivery.event.source },
        created => readable_time::show(delivery.created, zone),
        replay => &delivery.replay,
        delivery => delivery.id.to_string(),
    }
}

/// A message's title, or the first line of its text.
fn title(delivery: &Delivery) -> &str {
    match &delivery.action {
        Action::Notify { message, .. } if message.title.is_empty() => {
            message.text.lines().next().unwrap_or_default()
        }
        Action::Notify { message, .. } => &message.title,
        // A document has no title of its own; the rule's name makes the subject.
        Action::Send { .. } | Action::Call { .. } => &delivery.rule,
    }
}

/// The level of a message; documents have none of their own.
pub(super) fn level(action: &Action) -> Level {
    match action {
        Action::Notify { message, .. } => message.level,
        Action::Send { .. } | Action::Call { .. } => Level::Info,
    }
}

/// Where a mail comes from, as pairs of a label and a value.
fn details(delivery: &Delivery, zone: Option<&TimeZone>) -> Value {
    let details = [
        ("rule", delivery.rule.clone()),
        ("resource", delivery.resource.clone()),
        ("event", delivery.event.id.clone()),
        ("source", delivery.event.source.clone()),
        ("time", readable_time::show(delivery.created, zone)),
        ("replay", delivery.replay.clone().unwrap_or_default()),
        ("delivery", delivery.id.to_string()),
    ];
    let details = details.iter().filter(|(_, value)| !value.is_empty());
    details.map(|(label, value)| pair(label, value)).collect()
}

/// The colour of a level: dark enough for white text on it.
fn color(level: &str) -> &'static str {
    match level {
        "critical" => "#b3261e",
        "warn" => "#b06000",
        _ => "#1f5fa8",
    }
}

fn pair(label: &str, value: &str) -> Value {
    Value::from_iter([label, value])
}

/// The text as blocks: `{"facts": [[label, value], …]}` for two or more lines of the form `label:
/// value` that follow each other, as in default messages, and `{"text": …}` for all others.
fn blocks(text: &str) -> Vec<Value> {
    let mut blocks = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        let facts = facts(rest);
        if facts.len() >= 2 {
            rest = &rest[facts.len()..];
            let facts = facts.iter().map(|(label, value)| pair(label, value));
            blocks.push(context! { facts => facts.collect::<Value>() });
            continue;
        }
        // One line at least, and up to the next two facts.
        let is_text = |at: &usize| *at > 0 && self::facts(&rest[*at..]).len() >= 2;
        let end = (0..rest.len()).find(is_text).unwrap_or(rest.len());
        blocks.push(context! { text => rest[..end].join("\n") });
        rest = &rest[end..];
    }
    blocks
}

/// The facts at the beginning of some lines.
fn facts<'t>(lines: &[&'t str]) -> Vec<(&'t str, &'t str)> {
    lines.iter().map_while(|line| fact(line)).collect()
}

/// Label and value of a line such as `ENI: eni-1`. A sentence with a colon in it has no short
/// label, and a URL no space after the colon.
fn fact(line: &str) -> Option<(&str, &str)> {
    const LABEL_CHARS: usize = 40;
    let (label, value) = line.split_once(": ")?;
    let is_label = !label.is_empty()
        && label.chars().count() <= LABEL_CHARS
        && !label.starts_with([' ', '-', '*', '#', '>'])
        && !value.trim().is_empty();
    is_label.then_some((label, value.trim()))
}

/// The text in one line. A newline in a subject would begin another header, such as `Bcc:`.
pub(super) fn one_line(text: &str) -> String {
    let parts: Vec<&str> = text
        .split(|letter: char| letter.is_control() || letter.is_whitespace())
        .collect();
    let line = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    ellipsize(&line, SUBJECT_BYTES)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use reflexarc_event::Json;
    use reflexarc_reaction::Message;

    use super::*;
    use crate::delivery::{DeliveryId, EventRef};

    fn delivery(action: Action) -> Delivery {
        let event = EventRef {
            source: "acs.ecs".into(),
            id: "8B2A".into(),
        };
        Delivery {
            id: DeliveryId::from([7; 16]),
            event,
            resource: "acs:ecs:cn-hangzhou:1:eni/eni-1".into(),
            rule: "attach-failed".into(),
            key: None,
            phase: crate::Phase::Event,
            target: "t".into(),
            action,
            created: Timestamp::UNIX_EPOCH,
            replay: None,
            attempt: 1,
            queued_at: Timestamp::UNIX_EPOCH,
            delivered_parts: Vec::new(),
            digest: None,
        }
    }

    fn message(title: &str, text: &str, link: Option<&str>) -> Delivery {
        let mut message = Message::new(text).with_title(title).with_level(Level::Warn);
        message.link = link.map(str::to_owned);
        delivery(Action::notify("t", message))
    }

    #[test]
    fn mails_have_the_same_content_in_text_and_html() {
        let templates = Templates::new(None, None, None).unwrap();
        let rendered = templates
            .render(
                &message(
                    "attach failed",
                    "line 1\nline 2\nENI: eni-1\nregion: cn-<b>\nmore",
                    Some("https://example.com/a"),
                ),
                None,
            )
            .unwrap();
        insta::assert_snapshot!(format!(
            "{}\n=====\n{}\n=====\n{}",
            rendered.subject, rendered.text, rendered.html
        ));
        let payload = Json::parse(r#"{"a": "<b>"}"#).unwrap();
        let rendered = templates
            .render(&delivery(Action::send("t", payload)), None)
            .unwrap();
        insta::assert_snapshot!(format!(
            "{}\n=====\n{}\n=====\n{}",
            rendered.subject, rendered.text, rendered.html
        ));
    }

    #[test]
    fn digests_have_every_message_in_text_and_html() {
        let templates = Templates::new(Some("own".into()), None, None).unwrap();
        let payload = Json::parse(r#"{"a": "<b>"}"#).unwrap();
        let batch = [
            message(
                "attach\nfailed",
                "ENI: eni-1\nregion: cn-<b>",
                Some("https://e.example/a"),
            ),
            message("", "first line\nsecond line", Some("javascript:alert(1)")),
            delivery(Action::send("t", payload)),
        ];
        let rendered = templates.render_digest(&batch, None).unwrap();
        insta::assert_snapshot!(format!(
            "{}\n=====\n{}\n=====\n{}",
            rendered.subject, rendered.text, rendered.html
        ));
    }

    #[test]
    fn the_subject_of_a_digest_has_each_title_once() {
        let templates = Templates::new(None, None, None).unwrap();
        let batch = ["a", "b", "a"].map(|title| message(title, "text", None));
        let rendered = templates.render_digest(&batch, None).unwrap();
        assert_eq!(rendered.subject, "[WARN] 3 messages: a; b");
        let batch: Vec<_> = (0..100)
            .map(|number| message(&format!("{number} {}", "网".repeat(30)), "text", None))
            .collect();
        let subject = templates.render_digest(&batch, None).unwrap().subject;
        assert!(
            subject.starts_with("[WARN] 100 messages: 0 网"),
            "{subject}"
        );
        assert!(subject.len() <= SUBJECT_BYTES, "{subject}");
    }

    #[test]
    fn text_of_an_event_is_escaped() {
        let templates = Templates::new(None, None, None).unwrap();
        let evil = message(
            "hi\r\nBcc: all@example.com\u{2028}x",
            "<script>alert(1)</script>{{ 7 * 7 }}",
            Some("javascript:alert(1)"),
        );
        let rendered = templates.render(&evil, None).unwrap();
        assert_eq!(rendered.subject, "[WARN] hi Bcc: all@example.com x");
        assert!(
            rendered
                .text
                .starts_with("<script>alert(1)</script>{{ 7 * 7 }}\n"),
            "{}",
            rendered.text
        );
        assert!(
            rendered
                .html
                .contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;{{ 7 * 7 }}"),
            "{}",
            rendered.html
        );
        assert!(!rendered.html.contains("javascript") && !rendered.text.contains("javascript"));
    }

    #[test]
    fn custom_templates_are_checked_when_created() {
        let error = Templates::new(None, Some("{% if %}".into()), None)
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("template text: "), "{error}");
        let own = Templates::new(Some("{{ event.id }}".into()), None, None).unwrap();
        assert_eq!(
            own.render(&message("a", "b", None), None).unwrap().subject,
            "8B2A"
        );
    }

    #[test]
    fn unknown_names_in_templates_are_errors() {
        for (source, message) in [
            (
                "{{ titel }}",
                "line 1, column 4: unknown variable `titel` in a template",
            ),
            (
                "网\n {{ text | upcase }}",
                "line 2, column 12: unknown filter `upcase` in a template",
            ),
            (
                "{{ event.name }}",
                "line 1, column 10: unknown field `name` of `event` in a template",
            ),
            (
                "{% if link is definde %}a{% endif %}",
                "line 1, column 15: unknown test `definde` in a template",
            ),
            (
                "{{ now() }}",
                "line 1, column 4: unknown function `now` in a template",
            ),
            (
                "{% filter uper %}a{% endfilter %}",
                "line 1, column 11: unknown filter `uper` in a template",
            ),
            (
                "{{ text.upper() }}",
                "line 1, column 9: unknown method `upper` in a template",
            ),
        ] {
            let source = || Some(source.to_owned());
            let error = Templates::new(source(), source(), source()).err();
            let shown = NAMES
                .map(|name| format!("template {name}: {message}"))
                .join("; ");
            assert_eq!(error.map(|error| error.to_string()), Some(shown));
        }
    }

    #[test]
    fn every_error_of_every_template_is_reported() {
        let error = Templates::new(
            Some("{{ titel }} {{ rull }}".into()),
            Some("a\n{% if %}".into()),
            Some("é {{ text | upcase }}\n${title}".into()),
        );
        let found = error.err().map(|error| error.findings).unwrap_or_default();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "template subject: line 1, column 4: unknown variable `titel` in a template",
                "template subject: line 1, column 16: unknown variable `rull` in a template",
                "template text: line 2, column 7: syntax error: unexpected end of block",
                "template html: line 1, column 13: unknown filter `upcase` in a template",
                "template html: line 2, column 1: `${title}` is not replaced in a template, but \
                 sent as it stands",
            ]
        );
    }

    #[test]
    fn placeholders_of_other_languages_are_warnings() {
        let templates = Templates::new(Some("${title}".into()), None, None).unwrap();
        let [warning] = templates.warnings() else {
            panic!("{:?}", templates.warnings());
        };
        let fix = warning.diagnostic.fix.as_ref().unwrap();
        assert_eq!(
            (warning.template, &*fix.replacement),
            ("subject", "{{ title }}")
        );
        assert_eq!(Templates::new(None, None, None).unwrap().warnings(), []);
    }

    #[test]
    fn times_are_in_the_configured_zone() {
        let templates = Templates::new(None, None, None).unwrap();
        let zone = readable_time::time_zone("Asia/Shanghai");
        let rendered = templates.render(&message("a", "b", None), zone.as_ref());
        let rendered = rendered.unwrap();
        for text in [rendered.text, rendered.html] {
            assert!(text.contains("1970-01-01 08:00:00 +08:00"), "{text}");
        }
    }

    #[test]
    fn facts_are_short_labels_with_values() {
        assert_eq!(fact("ENI: eni-1"), Some(("ENI", "eni-1")));
        assert_eq!(fact("时间: 12:18"), Some(("时间", "12:18")));
        for line in ["", "ENI", "ENI:", "ENI: ", "- a: b", "https://a", ": x"] {
            assert_eq!(fact(line), None, "{line}");
        }
        let long = format!("{}: x", "w".repeat(41));
        assert_eq!(fact(&long), None);
    }

    #[test]
    fn long_subjects_end_with_an_ellipsis() {
        let templates = Templates::new(None, None, None).unwrap();
        let long = message(&"网".repeat(200), "text", None);
        let subject = templates.render(&long, None).unwrap().subject;
        assert!(
            subject.len() <= SUBJECT_BYTES && subject.ends_with("网…"),
            "{subject}"
        );
    }
}
