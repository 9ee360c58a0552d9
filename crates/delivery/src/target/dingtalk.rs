//! DingTalk targets: custom robots of group chats.
//!
//! The robot's limits are those of its documentation
//! (<https://open.dingtalk.com/document/group/custom-robot-access>): 20 messages a minute, then no
//! messages for 10 minutes; 20,000 bytes a message; and, as the robot's owner chose, a keyword in
//! every message, a signature, or a list of addresses.

mod markdown;
mod message;
mod response;
mod split;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::post::post_json;
use super::{Preview, RateLimit, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::rendering::host_of;

/// A custom robot of one group chat.
pub struct DingTalk {
    /// `https://oapi.dingtalk.com/robot/send`, without the token.
    pub endpoint: Url,
    /// The robot's access token.
    pub token: SecretString,
    /// The signing key, where the robot's security setting is signing.
    pub secret: Option<SecretString>,
    /// The robot's keywords, one of which every message must contain; the first is appended to
    /// messages that contain none.
    pub keywords: Vec<String>,
    /// The layout of messages for people.
    pub format: Format,
    /// Whether links and images in a message's text stay links and images. Otherwise they are
    /// shown as text: an event's sender may have written them.
    pub links: bool,
    /// The time zone of times in messages; without one, each is shown in the offset that it has in
    /// the event.
    pub time_zone: Option<TimeZone>,
    /// The HTTP client.
    pub client: Client,
    /// How many calls the robot accepts.
    pub rate_limit: RateLimit,
    /// Which `errcode`s and HTTP statuses are final, where that differs from the usual.
    pub answers: AnswerPolicy,
}

/// The layout of a message for people. `Link` and `ActionCard` need a message with a link, and
/// `Link` one without mentions, as links cannot; any other is laid out as `Markdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Plain text.
    Text,
    /// Title and text in Markdown.
    #[default]
    Markdown,
    /// A preview that opens the message's link.
    Link,
    /// A card with one button that opens the message's link.
    ActionCard,
}

impl DingTalk {
    /// A robot accepts 20 calls a minute.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 20,
        per: SignedDuration::from_secs(60),
    };
    /// How long a robot rejects all calls after there were more than its rate limit.
    pub const RATE_LIMIT_PENALTY: SignedDuration = SignedDuration::from_mins(10);

    async fn post(&self, body: &Json, now: Timestamp) -> Result<Receipt, SendError> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("access_token", self.token.expose_secret());
        if let Some(secret) = &self.secret {
            // Signed for each attempt: a robot rejects a timestamp that is off by more than an
            // hour, and retries go on for a day.
            let timestamp = now.as_millisecond().to_string();
            let signature = sign(secret.expose_secret(), &timestamp);
            url.query_pairs_mut()
                .append_pair("timestamp", &timestamp)
                .append_pair("sign", &signature);
        }
        let response = post_json(&self.client, url, body).await?;
        let code = response::code(&response);
        response::classify(&response, now).map_err(|error| self.answers.apply(code, error))
    }
}

impl Target for DingTalk {
    fn kind(&self) -> &'static str {
        "dingtalk"
    }

    fn endpoint(&self) -> String {
        host_of(&self.endpoint)
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let (body, part) = message::render(self, batch);
        Ok(Preview {
            summary: message::conversation_title(&body),
            body,
            part,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move {
            // Rendered at each attempt: which part is next depends on those that are delivered.
            let (body, part) = message::render(self, batch);
            let receipt = self.post(&body, Timestamp::now()).await?;
            Ok(Receipt { part, ..receipt })
        })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        Some(self.rate_limit)
    }

    fn max_batch(&self, waiting: &[Delivery]) -> usize {
        message::digest_size(self, waiting)
    }
}

/// The documented signature: base64 of HMAC-SHA256 over the time in milliseconds, a newline and the
/// secret, with the secret as key.
fn sign(secret: &str, timestamp: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC accepts keys of any length");
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_the_documented_ones() {
        let secret = format!("SECtest{}", "0".repeat(60));
        assert_eq!(
            sign(&secret, "1577808000000"),
            "SRjXWPB/kAnQusDmZ7Cp28YIKv7D1Kkj0B29h21CeUY="
        );
    }
}
