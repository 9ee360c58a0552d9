//! A receiver that checks what a real DingTalk robot checks.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_event::Json;

use crate::receiver::{Call, Receiver, Reply};

const SECRET: &str = "SECdingtalk0000000000000000000000000000000000000000000000000000000";
const TOKEN: &str = "canary-access-token";

fn query(call: &Call, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://robot{}", call.uri)).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The error of a call with an invalid token, signature, time, size or `msgtype`.
pub(crate) fn check(call: &Call) -> Option<Reply> {
    let error = |code, message| Some(error(code, message));
    if query(call, "access_token").as_deref() != Some(TOKEN) {
        return error(300_001, "token is not exist");
    }
    let timestamp = query(call, "timestamp").unwrap_or_default();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{SECRET}").as_bytes());
    if query(call, "sign")
        != Some(base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
    {
        return error(310_000, "sign not match");
    }
    let skew = Timestamp::now().as_millisecond() - timestamp.parse::<i64>().unwrap();
    if skew.abs() > 3_600_000 {
        return error(310_000, "invalid timestamp");
    }
    if call.body.len() > 20_000 {
        return error(460_101, "message too long, exceed 20000 bytes");
    }
    let kind = Json::parse(&call.body)
        .unwrap()
        .get("msgtype")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    if !["text", "markdown", "link", "actionCard", "feedCard"].contains(&kind.as_str()) {
        return error(400_105, "unsupported msgtype");
    }
    None
}

/// A response with this `errcode`.
pub(crate) fn error(code: i64, message: &str) -> Reply {
    Reply {
        body: format!(r#"{{"errcode":{code},"errmsg":"{message}"}}"#),
        ..Reply::status(200)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a receiver's closure returns an option"
)]
pub(crate) fn ok() -> Option<Reply> {
    Some(error(0, "ok"))
}

pub(crate) fn dingtalk(receiver: &Receiver) -> DingTalk {
    DingTalk {
        endpoint: receiver.url.parse().unwrap(),
        token: TOKEN.into(),
        secret: Some(SECRET.into()),
        keywords: Vec::new(),
        format: Format::Markdown,
        links: false,
        time_zone: None,
        client: EgressPolicy {
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
        }
        .client(None)
        .unwrap(),
        rate_limit: DingTalk::RATE_LIMIT,
        answers: reflexarc_delivery::AnswerPolicy::default(),
    }
}
