//! Robots of groups of WeCom.
//!
//! Limits and formats are those of the developer centre's page on group robots
//! (<https://developer.work.weixin.qq.com/document/path/91770>, newer copy 99110): 20 messages a
//! minute; 4,096 bytes of Markdown, 2,048 of plain text, in UTF-8; mentions of everybody and by
//! telephone number in plain text only. Codes are those of its page on global error codes
//! (<https://developer.work.weixin.qq.com/document/path/90313>).

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;

use super::page::{Page, Tone, is_id};
use super::{ChatService, RateLimit};
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};
use crate::target::webhook;

/// The messages of a robot of WeCom.
#[derive(Debug, Clone, Copy, Default)]
pub struct WeCom {
    /// Their layout.
    pub format: WeComFormat,
}

/// The layout of a message for people. One that mentions somebody by telephone number, or
/// everybody, is plain text, as only that can; and so are documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WeComFormat {
    /// Title, level in colour, and text in Markdown.
    #[default]
    Markdown,
    /// Plain text.
    Text,
}

const MARKDOWN_BYTES: usize = 4_096;
const TEXT_BYTES: usize = 2_048;
/// A longer link would leave little for the text.
const LINK_BYTES: usize = 600;

impl WeCom {
    /// A robot sends 20 messages a minute.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 20,
        per: SignedDuration::from_secs(60),
    };

    fn is_text(self, page: &Page) -> bool {
        self.format == WeComFormat::Text
            || page
                .at
                .iter()
                .any(|person| person == "all" || is_mobile(person))
            || page.sections.iter().any(|section| section.is_document)
    }
}

impl ChatService for WeCom {
    fn kind(&self) -> &'static str {
        "wecom"
    }

    fn text_bytes(&self) -> usize {
        MARKDOWN_BYTES
    }

    fn link_bytes(&self) -> usize {
        LINK_BYTES
    }

    fn body(&self, page: &Page) -> Json {
        if self.is_text(page) {
            return text_message(page);
        }
        let color = match page.tone() {
            Tone::Critical | Tone::Warn => "warning",
            Tone::Info | Tone::Resolved => "info",
        };
        let heading = escape(&page.heading());
        let mut content = format!("### <font color=\"{color}\">{heading}</font>");
        for section in &page.sections {
            if page.digest.is_some() {
                content.push_str(&format!("\n**{}**", escape(&section.heading())));
            }
            push_line(&mut content, &escape(section.text.trim_end()));
            if let Some(link) = &section.link {
                // Its own brackets would end the Markdown link early.
                let link = link.replace('(', "%28").replace(')', "%29");
                content.push_str(&format!("\n[Open]({link})"));
            }
        }
        if let Some(origin) = page.origin() {
            let origin = escape(&origin);
            push_line(
                &mut content,
                &format!("<font color=\"comment\">{origin}</font>"),
            );
        }
        let people: Vec<String> = page.at.iter().map(|person| mention(person)).collect();
        push_line(&mut content, &people.join(" "));
        let markdown = Json::object([("content", content.into())]);
        Json::object([("msgtype", "markdown".into()), ("markdown", markdown)])
    }

    fn fits(&self, body: &Json) -> bool {
        let bytes = |kind: &str| Some(body.get(kind)?.get("content")?.as_str()?.len());
        match (bytes("markdown"), bytes("text")) {
            (Some(bytes), _) => bytes <= MARKDOWN_BYTES,
            (_, Some(bytes)) => bytes <= TEXT_BYTES,
            _ => false,
        }
    }

    fn is_native(&self, document: &Json) -> bool {
        document.get("msgtype").is_some()
    }

    fn code(&self, response: &BoundedResponse) -> i64 {
        errcode(response).unwrap_or_else(|| response.status.into())
    }

    fn classify(&self, response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
        let reason = response.summary();
        // Errors have the status 200 too.
        let Some(code) = errcode(response) else {
            return match webhook::classify(response, now) {
                Ok(_) => Err(SendError::transient(format!(
                    "{reason}; no errcode in the response"
                ))),
                error => error,
            };
        };
        let remedy = match code {
            0 => return Ok(Receipt::complete(response.body.clone())),
            // Busy.
            -1 => return Err(SendError::transient(reason)),
            // Too many calls in a minute, or at a time.
            45_009 | 45_033 => {
                let pause = Self::RATE_LIMIT.per;
                return Err(SendError::RateLimited { reason, pause });
            }
            93_000 | 93_017 => "check `url`: this robot does not exist any more",
            93_004 | 93_008 => "the robot was stopped, or removed from the group",
            60_020 => "add this machine's public address to the trusted addresses of the company",
            // Most others are about the message: 40008, 40058 (too long), 44004 (empty).
            _ => return Err(SendError::Refused { reason }),
        };
        Err(SendError::Misconfigured {
            reason: format!("{reason}; {remedy}"),
        })
    }
}

fn text_message(page: &Page) -> Json {
    let mut content = page.heading();
    for section in &page.sections {
        if page.digest.is_some() {
            content.push_str(&format!("\n\n{}", section.heading()));
        }
        push_line(&mut content, section.text.trim_end());
        push_line(&mut content, section.link.as_deref().unwrap_or_default());
    }
    push_line(&mut content, &page.origin().unwrap_or_default());
    let (mobiles, ids): (Vec<&String>, Vec<&String>) =
        page.at.iter().partition(|person| is_mobile(person));
    let ids = ids.into_iter().map(|person| match person.as_str() {
        "all" => "@all",
        id => id,
    });
    let text = Json::object([
        ("content", content.into()),
        ("mentioned_list", Json::strings(ids)),
        ("mentioned_mobile_list", Json::strings(mobiles)),
    ]);
    Json::object([("msgtype", "text".into()), ("text", text)])
}

fn push_line(content: &mut String, line: &str) {
    if !line.is_empty() {
        content.push('\n');
        content.push_str(line);
    }
}

fn errcode(response: &BoundedResponse) -> Option<i64> {
    Json::parse(&response.body).ok()?.get("errcode")?.as_i64()
}

fn is_mobile(person: &str) -> bool {
    person
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'+' || byte == b'-')
}

fn mention(person: &str) -> String {
    if is_id(person) {
        format!("<@{person}>")
    } else {
        format!("@{person}")
    }
}

/// Shows links, mentions and colours of an event's text as text; emphasis stays. The dialect has no
/// escapes, so a space of no width parts what would be markup.
fn escape(text: &str) -> String {
    text.replace("](", "]\u{200b}(").replace('<', "<\u{200b}")
}
