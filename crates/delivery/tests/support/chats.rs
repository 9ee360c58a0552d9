//! Receivers that enforce what the services of chats document: size, rate, signature, format.

use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use reflexarc_event::Json;

use crate::receiver::{Call, Reply};

pub(crate) const SECRET: &str = "canary-signing-key";

/// A service, whose minute is shorter by the factor that the pace of the target is higher.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    /// The type of the target.
    pub(crate) kind: &'static str,
    /// Keys of its table besides the address.
    pub(crate) keys: &'static str,
    /// How many times as fast its time goes in a storm.
    pub(crate) factor: u64,
    /// How many calls it accepts in how many milliseconds of its own time.
    pub(crate) rates: &'static [(usize, u64)],
    /// Its error for a call that breaks a rule.
    pub(crate) broken: fn(&Call, &Json) -> Option<Reply>,
    pub(crate) too_fast: fn() -> Reply,
    pub(crate) accepted: fn() -> Reply,
}

pub(crate) const SERVICES: [Service; 4] = [
    Service {
        kind: "feishu",
        factor: 10,
        keys: "secret = { env = \"SECRET\" }\nkeywords = [\"alert\"]",
        rates: &[(100, 60_000), (5, 1_000)],
        broken: feishu,
        too_fast: || coded(200, r#"{"code":11232,"msg":"frequency limited","data":{}}"#),
        accepted: || coded(200, r#"{"code":0,"msg":"success","data":{}}"#),
    },
    Service {
        kind: "wecom",
        factor: 30,
        keys: "",
        rates: &[(20, 60_000)],
        broken: wecom,
        too_fast: || coded(200, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#),
        accepted: || coded(200, r#"{"errcode":0,"errmsg":"ok"}"#),
    },
    Service {
        kind: "slack",
        factor: 5,
        keys: "",
        rates: &[(1, 1_000)],
        broken: slack,
        too_fast: || Reply {
            headers: vec![("retry-after", "1".into())],
            ..coded(429, "rate_limited")
        },
        accepted: || coded(200, "ok"),
    },
    Service {
        kind: "teams",
        factor: 5,
        keys: "",
        rates: &[(4, 1_000)],
        broken: teams,
        too_fast: || coded(429, r#"{"error":{"code":"TooManyRequests"}}"#),
        accepted: || Reply::status(202),
    },
];

/// The service with this type.
pub(crate) fn service(kind: &str) -> Service {
    let mut services = SERVICES.into_iter();
    services.find(|service| service.kind == kind).unwrap()
}

impl Service {
    /// The response to a call after all earlier ones, where its time goes `factor` times as fast.
    pub(crate) fn respond(&self, call: &Call, earlier: &[Call], factor: u64) -> Reply {
        for (calls, millis) in self.rates {
            // A sliding window. A fifth of it is for calls that take longer on their way than others,
            // as on a busy machine.
            let window = Duration::from_millis(millis / factor) * 4 / 5;
            let recent = earlier.iter().rev();
            let recent = recent.take_while(|one| call.at.duration_since(one.at) < window);
            if recent.count() >= *calls {
                return (self.too_fast)();
            }
        }
        let Ok(body) = Json::parse(&call.body) else {
            return coded(400, "invalid JSON");
        };
        (self.broken)(call, &body).unwrap_or_else(self.accepted)
    }
}

fn coded(status: u16, body: &str) -> Reply {
    Reply {
        body: body.to_owned(),
        ..Reply::status(status)
    }
}

fn text<'a>(json: &'a Json, path: &str) -> &'a str {
    let found = path.split('.').try_fold(json, |json, key| json.get(key));
    found.and_then(Json::as_str).unwrap_or_default()
}

fn elements(json: Option<&Json>) -> &[Json] {
    match json {
        Some(Json::Array(elements)) => elements,
        _ => &[],
    }
}

fn feishu(call: &Call, body: &Json) -> Option<Reply> {
    let error = |code: i64, msg: &str| {
        let body = format!(r#"{{"code":{code},"msg":"{msg}","data":{{}}}}"#);
        Some(coded(200, &body))
    };
    let timestamp = text(body, "timestamp");
    let key = format!("{timestamp}\n{SECRET}");
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let skew = jiff::Timestamp::now().as_second() - timestamp.parse::<i64>().unwrap_or_default();
    if text(body, "sign") != expected || skew.abs() > 3_600 {
        return error(
            19_021,
            "sign match fail or timestamp is not within one hour",
        );
    }
    if call.body.len() > 20_000 {
        return error(9_499, "Bad Request");
    }
    let is_valid = match text(body, "msg_type") {
        "interactive" => {
            let card = body.get("card").unwrap();
            let parts = elements(card.get("elements"));
            !text(card, "header.title.content").is_empty()
                && !parts.is_empty()
                && parts.len() <= 50
                && parts.iter().all(|part| {
                    ["markdown", "div", "hr", "action", "note"].contains(&text(part, "tag"))
                })
        }
        "post" => body
            .get("content")
            .and_then(|content| content.get("post"))
            .is_some(),
        _ => false,
    };
    if !is_valid {
        return error(9_499, "Bad Request");
    }
    if !call.body.contains("alert") {
        return error(19_024, "Key Words Not Found");
    }
    None
}

fn wecom(_: &Call, body: &Json) -> Option<Reply> {
    let error = |code: i64, text: &str| {
        let body = format!(r#"{{"errcode":{code},"errmsg":"{text}"}}"#);
        Some(coded(200, &body))
    };
    let (kind, limit) = match text(body, "msgtype") {
        "markdown" => ("markdown", 4_096),
        "text" => ("text", 2_048),
        _ => return error(40_008, "invalid message type"),
    };
    let content = text(body, &format!("{kind}.content"));
    if content.is_empty() {
        return error(44_004, "empty content");
    }
    if content.len() > limit {
        return error(40_058, "content exceed max length");
    }
    None
}

fn slack(_: &Call, body: &Json) -> Option<Reply> {
    let invalid = || Some(coded(400, "invalid_blocks"));
    let blocks = elements(body.get("blocks"));
    if text(body, "text").is_empty() || blocks.is_empty() || blocks.len() > 50 {
        return invalid();
    }
    for block in blocks {
        let content = text(block, "text.text");
        let limit = match text(block, "type") {
            "header" => 150,
            "section" => 3_000,
            "context" | "rich_text" => continue,
            _ => return invalid(),
        };
        if content.trim().is_empty() || content.chars().count() > limit {
            return invalid();
        }
    }
    None
}

fn teams(call: &Call, body: &Json) -> Option<Reply> {
    if call.body.len() > 28_000 {
        return Some(coded(413, "Request Entity Too Large"));
    }
    let [attachment] = elements(body.get("attachments")) else {
        return Some(coded(400, "TriggerInputSchemaMismatch"));
    };
    let is_card = text(body, "type") == "message"
        && text(attachment, "contentType") == "application/vnd.microsoft.card.adaptive"
        && text(attachment, "content.type") == "AdaptiveCard"
        && !elements(attachment.get("content").unwrap().get("body")).is_empty();
    (!is_card).then(|| coded(400, "TriggerInputSchemaMismatch"))
}
