//! Workflows of Microsoft Teams that post what their webhook receives.
//!
//! Limits and formats are those of Microsoft's documentation: "Create Incoming Webhooks with
//! Workflows" (<https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>:
//! 28 KB a message, four requests a second), "Microsoft Teams" connector
//! (<https://learn.microsoft.com/en-us/connectors/teams/>: the size, throttling), and "Format cards
//! in Microsoft Teams"
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format>:
//! Adaptive Cards, mentions).

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;

use super::page::{Page, Section, Tone, is_id};
use super::{ChatService, RateLimit};
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};
use crate::target::webhook;

/// The cards of a workflow of Teams.
pub struct Teams;

/// About 28 KB are accepted, of what the workflow makes of the body; so some is kept.
const BODY_BYTES: usize = 24_000;
/// How long nothing is sent after a 429 that does not say how long.
const PENALTY: SignedDuration = SignedDuration::from_secs(30);

impl Teams {
    /// Four messages in four seconds. More than four requests a second are throttled; beyond one a
    /// second people read none.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 4,
        per: SignedDuration::from_secs(4),
    };
}

impl ChatService for Teams {
    fn kind(&self) -> &'static str {
        "teams"
    }

    fn text_bytes(&self) -> usize {
        BODY_BYTES
    }

    fn body(&self, page: &Page) -> Json {
        let mut elements = vec![heading(page.tone(), &page.heading())];
        for section in &page.sections {
            elements.extend(section_elements(section, page.digest.is_some()));
        }
        let people: Vec<String> = page.at.iter().map(|person| shown(person)).collect();
        if !people.is_empty() {
            elements.push(text_block(&people.join(" ")));
        }
        if let Some(origin) = page.origin() {
            elements.push(with(
                text_block(&escape(&origin)),
                [("isSubtle", true.into()), ("size", "Small".into())],
            ));
        }
        let entities = page.at.iter().filter(|person| is_user(person));
        let entities = entities.map(|person| {
            let user = Json::object([
                ("id", person.as_str().into()),
                ("name", person.as_str().into()),
            ]);
            Json::object([
                ("type", "mention".into()),
                ("text", shown(person).into()),
                ("mentioned", user),
            ])
        });
        let teams = Json::object([
            ("width", "Full".into()),
            ("entities", Json::Array(entities.collect())),
        ]);
        let mut card = vec![
            (
                "$schema",
                "http://adaptivecards.io/schemas/adaptive-card.json".into(),
            ),
            ("type", "AdaptiveCard".into()),
            ("version", "1.4".into()),
            ("msteams", teams),
            ("body", Json::Array(elements)),
        ];
        if let (None, [section]) = (&page.digest, page.sections.as_slice())
            && let Some(link) = &section.link
        {
            let open = Json::object([
                ("type", "Action.OpenUrl".into()),
                ("title", "Open".into()),
                ("url", link.as_str().into()),
            ]);
            card.push(("actions", Json::Array(vec![open])));
        }
        let attachment = Json::object([
            (
                "contentType",
                "application/vnd.microsoft.card.adaptive".into(),
            ),
            ("contentUrl", Json::Null),
            ("content", Json::object(card)),
        ]);
        Json::object([
            ("type", "message".into()),
            ("attachments", Json::Array(vec![attachment])),
        ])
    }

    fn fits(&self, body: &Json) -> bool {
        body.to_string().len() <= BODY_BYTES
    }

    fn is_native(&self, document: &Json) -> bool {
        document.get("attachments").is_some()
            || document.get("type").and_then(Json::as_str) == Some("AdaptiveCard")
    }

    fn code(&self, response: &BoundedResponse) -> i64 {
        response.status.into()
    }

    fn classify(&self, response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
        let reason = response.summary();
        let says = |text: &str| response.body.contains(text);
        // The webhooks before workflows respond with 200, and with the error of the chat as text.
        if response.status == 429 || says("HTTP error 429") {
            let pause = response.retry_after(now).unwrap_or(PENALTY);
            return Err(SendError::RateLimited { reason, pause });
        }
        if says("HTTP error 413") {
            return Err(SendError::Refused { reason });
        }
        let remedy = if says("WorkflowTriggerIsNotEnabled") || says("WorkflowDisabled") {
            "the workflow is turned off: turn it on in Teams"
        } else if says("DirectApiAuthorizationRequired") || says("InvalidSignature") {
            "check `url`: copy all of it, with `sig` at its end"
        } else if says("WorkflowNotFound") || response.status == 410 {
            "check `url`: this workflow does not exist any more"
        } else {
            // 202 is accepted: the workflow posts the card afterwards.
            return webhook::classify(response, now);
        };
        Err(SendError::Misconfigured {
            reason: format!("{reason}; {remedy}"),
        })
    }
}

fn heading(tone: Tone, text: &str) -> Json {
    let (style, color) = match tone {
        Tone::Critical => ("attention", "Attention"),
        Tone::Warn => ("warning", "Warning"),
        Tone::Info => ("accent", "Accent"),
        Tone::Resolved => ("good", "Good"),
    };
    let text = with(
        text_block(&escape(text)),
        [
            ("weight", "Bolder".into()),
            ("size", "Medium".into()),
            ("color", color.into()),
        ],
    );
    Json::object([
        ("type", "Container".into()),
        ("style", style.into()),
        ("bleed", true.into()),
        ("items", Json::Array(vec![text])),
    ])
}

fn section_elements(section: &Section, is_in_digest: bool) -> Vec<Json> {
    let mut elements = Vec::new();
    if is_in_digest {
        let title = text_block(&escape(&section.heading()));
        elements.push(with(
            title,
            [("weight", "Bolder".into()), ("separator", true.into())],
        ));
    }
    let text = section.text.trim_end();
    if section.is_document {
        // Its text is shown as it is, where that of a text block would be Markdown.
        let run = Json::object([
            ("type", "TextRun".into()),
            ("text", text.into()),
            ("fontType", "Monospace".into()),
        ]);
        elements.push(Json::object([
            ("type", "RichTextBlock".into()),
            ("inlines", Json::Array(vec![run])),
        ]));
    } else if !text.is_empty() {
        // Lines stay lines only with a blank one between them.
        let lines: Vec<String> = text.lines().map(escape).collect();
        elements.push(text_block(&lines.join("\n\n")));
    }
    if let (true, Some(link)) = (is_in_digest, &section.link) {
        // Its own brackets would end the Markdown link early.
        let link = link.replace('(', "%28").replace(')', "%29");
        elements.push(text_block(&format!("[Open]({link})")));
    }
    elements
}

fn text_block(text: &str) -> Json {
    Json::object([
        ("type", "TextBlock".into()),
        ("text", text.into()),
        ("wrap", true.into()),
    ])
}

fn with(mut element: Json, more: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    if let Json::Object(members) = &mut element {
        members.extend(more.into_iter().map(|(key, value)| (key.into(), value)));
    }
    element
}

/// Whether a person is mentioned: by the address of the account or its id. A webhook cannot mention
/// everybody.
fn is_user(person: &str) -> bool {
    person != "all" && is_id(person)
}

fn shown(person: &str) -> String {
    if is_user(person) {
        format!("<at>{person}</at>")
    } else {
        format!("@{person}")
    }
}

/// Shows links and images of an event's text as text; emphasis and lists stay.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '[' | ']' | '<') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
