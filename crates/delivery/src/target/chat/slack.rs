//! Incoming webhooks of Slack.
//!
//! Limits and formats are those of Slack's documentation: "Sending messages using incoming
//! webhooks" (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), "Rate
//! limits" (<https://docs.slack.dev/apis/web-api/rate-limits>: one message a second), "Blocks"
//! (<https://docs.slack.dev/reference/block-kit/blocks>: 50 blocks, 150 characters in a header,
//! 3,000 in a section), "Formatting message text"
//! (<https://docs.slack.dev/messaging/formatting-message-text>: which characters are escaped), and
//! "Improving error conditions for Incoming Webhooks"
//! (<https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>).

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;

use super::page::{Page, Section, Tone, is_id};
use super::{ChatService, RateLimit};
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};
use crate::rendering::{ellipsize, one_line};
use crate::target::webhook;

/// The messages of an incoming webhook of Slack.
pub struct Slack;

/// The largest number of blocks in a message.
const MAX_BLOCKS: usize = 50;
/// The most characters of a section are 3,000; links and mentions are in sections of their own.
const SECTION_CHARS: usize = 2_900;
/// A message may have 40,000 characters; a client folds it long before.
const TEXT_BYTES: usize = 12_000;
const BODY_BYTES: usize = 38_000;
/// The line that notifications show.
const FALLBACK_BYTES: usize = 300;
/// How long nothing is sent after a 429 that does not say how long.
const PENALTY: SignedDuration = SignedDuration::from_secs(30);

impl Slack {
    /// One message a second.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 1,
        per: SignedDuration::from_secs(1),
    };
}

impl ChatService for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn text_bytes(&self) -> usize {
        TEXT_BYTES
    }

    fn body(&self, page: &Page) -> Json {
        let heading = format!("{} {}", symbol(page.tone()), page.heading());
        let mut blocks = vec![Json::object([
            ("type", "header".into()),
            ("text", plain(&heading)),
        ])];
        for section in &page.sections {
            let is_digest = page.digest.is_some();
            let title = is_digest.then(|| format!("*{}*\n", escape(&section.heading())));
            blocks.extend(section_blocks(section, title.unwrap_or_default()));
        }
        let mentions: Vec<String> = page.at.iter().map(|person| mention(person)).collect();
        if !mentions.is_empty() {
            blocks.push(markdown_section(&mentions.join(" ")));
        }
        if let Some(origin) = page.origin() {
            blocks.push(Json::object([
                ("type", "context".into()),
                ("elements", Json::Array(vec![plain(&origin)])),
            ]));
        }
        Json::object([
            ("text", fallback(page).into()),
            ("blocks", Json::Array(blocks)),
        ])
    }

    fn fits(&self, body: &Json) -> bool {
        let is_short =
            |blocks: &Json| matches!(blocks, Json::Array(all) if all.len() <= MAX_BLOCKS);
        body.get("blocks").is_some_and(is_short) && body.to_string().len() <= BODY_BYTES
    }

    fn is_native(&self, document: &Json) -> bool {
        ["blocks", "attachments", "text"]
            .iter()
            .any(|key| document.get(key).is_some())
    }

    fn code(&self, response: &BoundedResponse) -> i64 {
        response.status.into()
    }

    fn classify(&self, response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
        let reason = response.summary();
        // Errors are a word in the body, beside the status.
        let remedy = match (response.status, response.body.trim()) {
            (429, _) => {
                let pause = response.retry_after(now).unwrap_or(PENALTY);
                return Err(SendError::RateLimited { reason, pause });
            }
            (_, "no_service" | "no_service_id" | "no_team" | "team_disabled" | "invalid_token") => {
                "check `url`: this webhook does not exist any more"
            }
            (_, "channel_not_found") => "the webhook's channel was deleted",
            (_, "channel_is_archived") => "the webhook's channel is archived",
            (_, "action_prohibited" | "posting_to_general_channel_denied") => {
                "an administrator does not permit the webhook to post there"
            }
            // The statuses say the rest: 400 `invalid_payload`, 500 `rollup_error`.
            _ => return webhook::classify(response, now),
        };
        Err(SendError::Misconfigured {
            reason: format!("{reason}; {remedy}"),
        })
    }
}

/// The text of a message in blocks, and its link.
fn section_blocks(section: &Section, title: String) -> Vec<Json> {
    let mut blocks = Vec::new();
    if section.is_document {
        if !title.is_empty() {
            blocks.push(markdown_section(title.trim_end()));
        }
        let chunks = chunks(&section.text, |letter| letter.to_string());
        blocks.extend(chunks.iter().map(|chunk| preformatted(chunk)));
    } else {
        let mut texts = chunks(&section.text, |letter| escape_char(letter).into());
        if let Some(first) = texts.first_mut() {
            *first = format!("{title}{first}");
        } else if !title.is_empty() {
            texts.push(title);
        }
        blocks.extend(texts.iter().map(|text| markdown_section(text)));
    }
    if let Some(link) = &section.link {
        // What would end the link early, or separate it from its label.
        let link = escape(
            &link
                .replace('|', "%7C")
                .replace('<', "%3C")
                .replace('>', "%3E"),
        );
        blocks.push(markdown_section(&format!("<{link}|Open>")));
    }
    blocks
}

/// The text in chunks for a section each, at ends of lines where possible; none for a blank text.
fn chunks(text: &str, escape: impl Fn(char) -> String) -> Vec<String> {
    let (mut chunks, mut chunk, mut chars) = (Vec::new(), String::new(), 0);
    for line in text.trim_end().split_inclusive('\n') {
        let escaped: Vec<String> = line.chars().map(&escape).collect();
        let line_chars: usize = escaped.iter().map(|letter| letter.chars().count()).sum();
        if chars > 0 && chars + line_chars > SECTION_CHARS {
            chunks.push(std::mem::take(&mut chunk));
            chars = 0;
        }
        for letter in escaped {
            let count = letter.chars().count();
            if chars + count > SECTION_CHARS {
                chunks.push(std::mem::take(&mut chunk));
                chars = 0;
            }
            chunk.push_str(&letter);
            chars += count;
        }
    }
    chunks.push(chunk);
    // A section must not be blank.
    chunks.retain(|chunk| !chunk.trim().is_empty());
    chunks
}

fn plain(text: &str) -> Json {
    Json::object([
        ("type", "plain_text".into()),
        ("text", text.into()),
        ("emoji", true.into()),
    ])
}

fn markdown_section(text: &str) -> Json {
    let text = Json::object([
        ("type", "mrkdwn".into()),
        ("text", text.into()),
        // Otherwise `@channel` in an event's text would call everybody.
        ("verbatim", true.into()),
    ]);
    Json::object([("type", "section".into()), ("text", text)])
}

fn preformatted(text: &str) -> Json {
    let text = Json::object([("type", "text".into()), ("text", text.into())]);
    let element = Json::object([
        ("type", "rich_text_preformatted".into()),
        ("elements", Json::Array(vec![text])),
    ]);
    Json::object([
        ("type", "rich_text".into()),
        ("elements", Json::Array(vec![element])),
    ])
}

/// The line of notifications, which have no blocks.
fn fallback(page: &Page) -> String {
    let first = page.sections.first();
    let line = first.and_then(|section| section.text.lines().find(|line| !line.trim().is_empty()));
    let text = match (line, &page.digest) {
        (Some(line), None) => format!("{}: {}", page.heading(), one_line(line)),
        _ => page.heading(),
    };
    escape(&ellipsize(&text, FALLBACK_BYTES))
}

/// A member by id (`U…`, `W…`), a group of users (`S…`), or all of the channel.
fn mention(person: &str) -> String {
    match person {
        "all" | "channel" => "<!channel>".to_owned(),
        "here" => "<!here>".to_owned(),
        id if is_id(id) && id.starts_with('S') => format!("<!subteam^{id}>"),
        id if is_id(id) && id.starts_with(['U', 'W']) => format!("<@{id}>"),
        other => format!("@{other}"),
    }
}

/// The three characters that have a meaning in Slack's text: without `<` there is no link and no
/// mention.
fn escape(text: &str) -> String {
    text.chars().map(escape_char).collect()
}

fn escape_char(letter: char) -> std::borrow::Cow<'static, str> {
    match letter {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        letter => letter.to_string().into(),
    }
}

/// The colour of a message, as a symbol: blocks have no colours.
fn symbol(tone: Tone) -> &'static str {
    match tone {
        Tone::Critical => ":red_circle:",
        Tone::Warn => ":large_orange_circle:",
        Tone::Info => ":large_blue_circle:",
        Tone::Resolved => ":large_green_circle:",
    }
}
