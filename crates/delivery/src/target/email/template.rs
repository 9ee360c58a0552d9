//! Subject, text and HTML of a mail.

use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, Value, context};
use reflexarc_reaction::Action;

use crate::delivery::Delivery;
use crate::target::cut;

/// The three templates of a mail, in the syntax of minijinja. They see `title`, `text`, `level`, `link`, `payload` (JSON
/// text, for documents), `rule`, `resource`, `event` (`id`, `source`), `created`, `replay` and `delivery`. The HTML one
/// escapes what it is given.
pub struct Templates {
    environment: Environment<'static>,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("template {name}: {message}")]
pub struct TemplateError {
    /// `subject`, `text` or `html`.
    pub name: &'static str,
    /// What is wrong, with its line.
    pub message: String,
}

pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

const NAMES: [&str; 3] = ["subject", "text", "html"];

const SUBJECT: &str = "{% if level != 'info' %}[{{ level | upper }}] {% endif %}{{ title }}";

const TEXT: &str = "{{ text }}
{% if payload %}
{{ payload }}
{% endif %}{% if link %}
{{ link }}
{% endif %}
--
rule {{ rule }}{% if resource %}, {{ resource }}{% endif %}
event {{ event.id }}{% if event.source %} from {{ event.source }}{% endif %}, {{ created }}{% if replay %}, replayed as {{ replay }}{% endif %}
delivery {{ delivery }}
";

const HTML: &str = r#"<!doctype html>
<html><body style="font-family: sans-serif">
<h3>{{ title }}</h3>
{% if text %}<div style="white-space: pre-wrap">{{ text }}</div>{% endif %}
{% if payload %}<pre>{{ payload }}</pre>{% endif %}
{% if link %}<p><a href="{{ link }}">{{ link }}</a></p>{% endif %}
<p style="color: #777; font-size: small">rule {{ rule }}{% if resource %}, {{ resource }}{% endif %}<br>
event {{ event.id }}{% if event.source %} from {{ event.source }}{% endif %}, {{ created }}{% if replay %}, replayed as {{ replay }}{% endif %}<br>
delivery {{ delivery }}</p>
</body></html>
"#;

/// Longest subject in bytes.
const SUBJECT_BYTES: usize = 250;

impl Templates {
    /// Own templates, or ours where there are none.
    ///
    /// # Errors
    /// When one cannot be parsed.
    pub fn new(
        subject: Option<String>,
        text: Option<String>,
        html: Option<String>,
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|name| {
            if name == "html" {
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
        for (name, source) in NAMES.into_iter().zip(sources) {
            environment
                .add_template_owned(name, source)
                .map_err(|error| fault(name, &error))?;
        }
        Ok(Self { environment })
    }

    pub(super) fn render(&self, delivery: &Delivery) -> Result<Rendered, TemplateError> {
        let (title, text, level, link, payload) = match &delivery.action {
            Action::Notify { message, .. } => {
                let first = message.text.lines().next().unwrap_or_default();
                let title = if message.title.is_empty() {
                    first
                } else {
                    &message.title
                };
                // Only the web: a script's link may hold an event's words, and `javascript:` is a link too.
                let link = message
                    .link
                    .as_deref()
                    .filter(|link| link.starts_with("https://") || link.starts_with("http://"));
                (
                    title,
                    message.text.as_str(),
                    message.level.lowercase(),
                    link,
                    None,
                )
            }
            Action::Send { payload, .. } => (
                delivery.rule.as_str(),
                "",
                "info",
                None,
                Some(payload.to_string()),
            ),
        };
        let values = context! {
            title, text, level, link, payload,
            rule => &delivery.rule,
            resource => &delivery.resource,
            event => context! { id => &delivery.event.id, source => &delivery.event.source },
            created => time(delivery.created),
            replay => &delivery.replay,
            delivery => delivery.id.to_string(),
        };
        Ok(Rendered {
            subject: one_line(&self.part("subject", &values)?),
            text: self.part("text", &values)?,
            html: self.part("html", &values)?,
        })
    }

    fn part(&self, name: &'static str, values: &Value) -> Result<String, TemplateError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| fault(name, &error))
    }
}

fn fault(name: &'static str, error: &minijinja::Error) -> TemplateError {
    TemplateError {
        name,
        message: error.to_string(),
    }
}

fn time(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A header is one line: what could begin another becomes a space.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_control() || letter.is_whitespace())
        .collect();
    let line = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    cut(&line, SUBJECT_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use reflexarc_event::Json;
    use reflexarc_reaction::{Level, Message};

    use super::*;
    use crate::delivery::{DeliveryId, EventName};

    fn delivery(action: Action) -> Delivery {
        let event = EventName {
            source: "acs.ecs".into(),
            id: "8B2A".into(),
        };
        Delivery {
            id: DeliveryId::from([7; 16]),
            event,
            resource: "acs:ecs:cn-hangzhou:1:eni/eni-1".into(),
            rule: "attach-failed".into(),
            target: "t".into(),
            action,
            created: Timestamp::UNIX_EPOCH,
            replay: None,
            attempt: 1,
            since: Timestamp::UNIX_EPOCH,
            taken: Vec::new(),
        }
    }

    fn message(title: &str, text: &str, link: Option<&str>) -> Delivery {
        let (target, link) = ("t".into(), link.map(str::to_owned));
        let message = Message {
            title: title.into(),
            text: text.into(),
            level: Level::Warn,
            at: vec![],
            link,
        };
        delivery(Action::Notify { target, message })
    }

    #[test]
    fn a_mail_says_everything_in_text_and_in_html() {
        let templates = Templates::new(None, None, None).unwrap();
        let rendered = templates
            .render(&message(
                "attach failed",
                "line 1\nline 2",
                Some("https://example.com/a"),
            ))
            .unwrap();
        insta::assert_snapshot!(format!(
            "{}\n=====\n{}\n=====\n{}",
            rendered.subject, rendered.text, rendered.html
        ));
        let payload = Json::parse(r#"{"a": "<b>"}"#).unwrap();
        let rendered = templates
            .render(&delivery(Action::Send {
                target: "t".into(),
                payload,
            }))
            .unwrap();
        insta::assert_snapshot!(format!(
            "{}\n=====\n{}\n=====\n{}",
            rendered.subject, rendered.text, rendered.html
        ));
    }

    #[test]
    fn words_of_an_event_stay_words() {
        let templates = Templates::new(None, None, None).unwrap();
        let evil = message(
            "hi\r\nBcc: all@example.com\u{2028}x",
            "<script>alert(1)</script>{{ 7 * 7 }}",
            Some("javascript:alert(1)"),
        );
        let rendered = templates.render(&evil).unwrap();
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
    fn own_templates_are_checked_when_they_are_made() {
        let error = Templates::new(None, Some("{% if %}".into()), None)
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("template text: "), "{error}");
        let own = Templates::new(Some("{{ event.id }}".into()), None, None).unwrap();
        assert_eq!(
            own.render(&message("a", "b", None)).unwrap().subject,
            "8B2A"
        );
    }
}
