//! Custom robots of groups of Feishu and Lark.
//!
//! Limits and formats are those of the open platform's "Custom bot usage guide"
//! (<https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>, for Lark
//! <https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot>): 100 messages a minute
//! and 5 a second; 20 KB a request; keywords, addresses or a signature as the robot's owner chose.
//! Cards are those of its pages on message cards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::page::{Page, Section, Tone, is_id};
use super::{ChatService, RateLimit};
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};
use crate::target::webhook;

/// The messages of a custom robot.
#[derive(Debug, Clone, Default)]
pub struct Feishu {
    /// The signing key, where the robot's security setting is signature verification.
    pub secret: Option<SecretString>,
    /// The robot's keywords, one of which every message must contain; the first is appended to
    /// messages that contain none.
    pub keywords: Vec<String>,
    /// The layout of messages for people.
    pub format: FeishuFormat,
}

/// The layout of a message for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FeishuFormat {
    /// A card with a heading in the colour of the level, and a button for the link.
    #[default]
    Card,
    /// Text with a title.
    Post,
}

/// 20 KB a request, of which some is kept for timestamp and signature.
const BODY_BYTES: usize = 19_500;
/// The largest number of components of a card that clients of all versions show.
const MAX_ELEMENTS: usize = 50;
/// How long nothing is sent after the frequency limit was reached.
const PENALTY: SignedDuration = SignedDuration::from_secs(10);

impl Feishu {
    /// 5 messages in 3 seconds: both 100 a minute and 5 a second.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 5,
        per: SignedDuration::from_secs(3),
    };

    /// The keyword that a page lacks.
    fn missing_keyword(&self, page: &Page) -> Option<&str> {
        let is_contained = |keyword: &String| {
            let contains = |text: &String| text.contains(keyword.as_str());
            let mut sections = page.sections.iter();
            sections.any(|section| contains(&section.title) || contains(&section.text))
        };
        let first = self.keywords.first()?;
        let has_one = self.keywords.iter().any(is_contained);
        (!has_one).then_some(first.as_str())
    }

    fn card(&self, page: &Page) -> Json {
        let color = match page.tone() {
            Tone::Critical => "red",
            Tone::Warn => "orange",
            Tone::Info => "blue",
            Tone::Resolved => "green",
        };
        let mut elements = Vec::new();
        for section in &page.sections {
            if !elements.is_empty() {
                elements.push(Json::object([("tag", "hr".into())]));
            }
            elements.extend(card_section(section, page.digest.is_some()));
        }
        let people: Vec<String> = page.at.iter().map(|person| card_mention(person)).collect();
        if !people.is_empty() {
            elements.push(markdown(people.join(" ")));
        }
        let mut notes: Vec<String> = page.origin().into_iter().collect();
        notes.extend(self.missing_keyword(page).map(str::to_owned));
        if !notes.is_empty() {
            let notes = notes.iter().map(|note| plain(note)).collect();
            elements.push(Json::object([
                ("tag", "note".into()),
                ("elements", Json::Array(notes)),
            ]));
        }
        let header = Json::object([
            ("title", plain(&page.heading())),
            ("template", color.into()),
        ]);
        let card = Json::object([
            ("config", Json::object([("wide_screen_mode", true.into())])),
            ("header", header),
            ("elements", Json::Array(elements)),
        ]);
        Json::object([("msg_type", "interactive".into()), ("card", card)])
    }

    fn post(&self, page: &Page) -> Json {
        let mut paragraphs = Vec::new();
        let mut push = |elements: Vec<Json>| paragraphs.push(Json::Array(elements));
        for section in &page.sections {
            if page.digest.is_some() {
                push(vec![text_tag(&section.heading())]);
            }
            if !section.text.trim().is_empty() {
                push(vec![text_tag(section.text.trim_end())]);
            }
            if let Some(link) = &section.link {
                push(vec![Json::object([
                    ("tag", "a".into()),
                    ("text", "Open".into()),
                    ("href", link.as_str().into()),
                ])]);
            }
        }
        let people = page.at.iter().map(|person| {
            if is_id(person) {
                Json::object([("tag", "at".into()), ("user_id", person.as_str().into())])
            } else {
                text_tag(&format!("@{person} "))
            }
        });
        let people: Vec<Json> = people.collect();
        if !people.is_empty() {
            push(people);
        }
        if let Some(keyword) = self.missing_keyword(page) {
            push(vec![text_tag(keyword)]);
        }
        let language = Json::object([
            ("title", page.heading().into()),
            ("content", Json::Array(paragraphs)),
        ]);
        let post = Json::object([("post", Json::object([("zh_cn", language)]))]);
        Json::object([("msg_type", "post".into()), ("content", post)])
    }
}

impl ChatService for Feishu {
    fn kind(&self) -> &'static str {
        "feishu"
    }

    fn text_bytes(&self) -> usize {
        BODY_BYTES
    }

    fn body(&self, page: &Page) -> Json {
        match self.format {
            FeishuFormat::Card => self.card(page),
            FeishuFormat::Post => self.post(page),
        }
    }

    fn fits(&self, body: &Json) -> bool {
        let elements = body.get("card").and_then(|card| card.get("elements"));
        let is_long = |all: &Json| matches!(all, Json::Array(all) if all.len() > MAX_ELEMENTS);
        !elements.is_some_and(is_long) && body.to_string().len() <= BODY_BYTES
    }

    fn is_native(&self, document: &Json) -> bool {
        document.get("msg_type").is_some()
    }

    fn signed(&self, mut body: Json, now: Timestamp) -> Json {
        // A robot rejects a timestamp that is off by more than an hour.
        if let (Some(secret), Json::Object(members)) = (&self.secret, &mut body) {
            let timestamp = now.as_second().to_string();
            let signature = sign(secret.expose_secret(), &timestamp);
            members.push(("timestamp".into(), timestamp.into()));
            members.push(("sign".into(), signature.into()));
        }
        body
    }

    fn code(&self, response: &BoundedResponse) -> i64 {
        code(response).unwrap_or_else(|| response.status.into())
    }

    fn classify(&self, response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
        let reason = response.summary();
        let Some(code) = code(response) else {
            return match webhook::classify(response, now) {
                Ok(_) => Err(SendError::transient(format!(
                    "{reason}; no code in the response"
                ))),
                error => error,
            };
        };
        let remedy = match code {
            0 => return Ok(Receipt::complete(response.body.clone())),
            11_232 | 99_991_400 => {
                let pause = response.retry_after(now).unwrap_or(PENALTY);
                return Err(SendError::RateLimited { reason, pause });
            }
            19_001 => "check `url`: this robot does not exist any more",
            19_021 => {
                "check `secret`, which is not the robot's signing key, and this machine's clock"
            }
            19_022 => "add this machine's public address to the robot's list",
            19_024 => "set `keywords` to one of the robot's keywords",
            // The server's own errors have such a status.
            _ if response.status >= 500 => return webhook::classify(response, now),
            // Most others are about the message: 9499 (bad request), 11246 (invalid card).
            _ => return Err(SendError::Refused { reason }),
        };
        Err(SendError::Misconfigured {
            reason: format!("{reason}; {remedy}"),
        })
    }
}

/// The documented signature: base64 of HMAC-SHA256 over nothing, with the time in seconds, a
/// newline and the secret as key.
fn sign(secret: &str, timestamp: &str) -> String {
    let key = format!("{timestamp}\n{secret}");
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let mac = mac.expect("HMAC accepts keys of any length");
    STANDARD.encode(mac.finalize().into_bytes())
}

fn code(response: &BoundedResponse) -> Option<i64> {
    let json = Json::parse(&response.body).ok()?;
    // The older form has `StatusCode`, and a success may have both.
    let code = json.get("code").or_else(|| json.get("StatusCode"));
    code?.as_i64()
}

fn card_section(section: &Section, is_in_digest: bool) -> Vec<Json> {
    let mut elements = Vec::new();
    let title = is_in_digest.then(|| format!("**{}**", escape(&section.heading())));
    if section.is_document {
        elements.extend(title.map(markdown));
        elements.push(Json::object([
            ("tag", "div".into()),
            ("text", plain(&section.text)),
        ]));
    } else {
        let text = escape(section.text.trim_end());
        let lines: Vec<String> = title.into_iter().chain([text]).collect();
        let text = lines.join("\n");
        if !text.trim().is_empty() {
            elements.push(markdown(text));
        }
    }
    if let Some(link) = &section.link {
        let button = Json::object([
            ("tag", "button".into()),
            ("text", plain("Open")),
            ("type", "default".into()),
            ("url", link.as_str().into()),
        ]);
        elements.push(Json::object([
            ("tag", "action".into()),
            ("actions", Json::Array(vec![button])),
        ]));
    }
    elements
}

fn markdown(content: String) -> Json {
    Json::object([("tag", "markdown".into()), ("content", content.into())])
}

fn plain(content: &str) -> Json {
    Json::object([("tag", "plain_text".into()), ("content", content.into())])
}

fn text_tag(text: &str) -> Json {
    Json::object([("tag", "text".into()), ("text", text.into())])
}

/// A member by `open_id` or `user_id`, by mail address, or everybody.
fn card_mention(person: &str) -> String {
    if person.contains('@') && is_id(person) {
        format!("<at email={person}></at>")
    } else if is_id(person) {
        format!("<at id={person}></at>")
    } else {
        format!("@{person}")
    }
}

/// Shows links, mentions and colours of an event's text as text; emphasis and lists stay.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&#38;"),
            '<' => escaped.push_str("&#60;"),
            '[' => escaped.push_str("&#91;"),
            ']' => escaped.push_str("&#93;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_have_the_documented_key() {
        // Computed with Python's hmac, hashlib and base64.
        assert_eq!(
            sign("demo", "1599360473"),
            "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
        );
    }
}
