//! DingTalk custom robots: signed when sent, judged by `errcode`, twenty calls a minute.

mod message;
mod pieces;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::{Pace, Preview, Sending, Target};
use crate::delivery::{Delivery, Receipt, SendError};
use crate::outbound::{Answer, fault};

pub use message::Format;

/// One robot of one group chat.
pub struct DingTalk {
    /// `https://oapi.dingtalk.com/robot/send`, without the token.
    pub endpoint: Url,
    /// The robot's access token.
    pub token: SecretString,
    /// The key that signs, where the robot's security setting is signing.
    pub secret: Option<SecretString>,
    /// The robot's keywords, of which every message must hold one; a message without gets the first.
    pub keywords: Vec<String>,
    /// How messages for people are laid out.
    pub format: Format,
    /// Whether links and images in a message's text are left as they are. Otherwise they are shown as text: their words
    /// may come from an event, and so from a stranger.
    pub links: bool,
    /// What calls.
    pub client: Client,
    /// How many calls the robot takes.
    pub pace: Pace,
}

impl DingTalk {
    /// A robot takes 20 calls a minute.
    pub const PACE: Pace = Pace {
        calls: 20,
        per: std::time::Duration::from_secs(60),
    };
    /// How long a robot that was called more often takes nothing.
    pub const PENALTY: SignedDuration = SignedDuration::from_mins(10);

    async fn post(&self, body: &Json, now: Timestamp) -> Result<Receipt, SendError> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("access_token", self.token.expose_secret());
        if let Some(secret) = &self.secret {
            // Made for each attempt: a robot refuses a signature that is older than an hour.
            let timestamp = now.as_millisecond().to_string();
            let signature = sign(secret.expose_secret(), &timestamp);
            url.query_pairs_mut()
                .append_pair("timestamp", &timestamp)
                .append_pair("sign", &signature);
        }
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        let response = request
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| SendError::later(fault(error)))?;
        judge(&Answer::read(response).await, now)
    }
}

impl Target for DingTalk {
    fn kind(&self) -> &'static str {
        "dingtalk"
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let (body, part) = message::body(self, batch);
        Ok(Preview {
            summary: message::heading(&body),
            body,
            part,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        Box::pin(async move {
            let (body, part) = message::body(self, batch);
            let receipt = self.post(&body, Timestamp::now()).await?;
            Ok(Receipt { part, ..receipt })
        })
    }

    fn pace(&self) -> Option<Pace> {
        Some(self.pace)
    }

    fn pack(&self, waiting: &[Delivery]) -> usize {
        message::pack(self, waiting)
    }
}

/// Base64 of HMAC-SHA256 over the time in milliseconds, a newline and the secret, keyed with the secret.
fn sign(secret: &str, timestamp: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A robot answers 200 whatever happened; what happened is in `errcode`.
fn judge(answer: &Answer, now: Timestamp) -> Result<Receipt, SendError> {
    let words = answer.words();
    let json = Json::parse(&answer.text).ok();
    let Some(code) = json.as_ref().and_then(|json| json.get("errcode")?.as_i64()) else {
        return Err(match answer.status {
            408 | 429 | 500.. => SendError::Later {
                reason: words,
                after: answer.retry_after(now),
            },
            200..=299 => SendError::later(format!("{words}; no errcode in the answer")),
            _ => SendError::Configuration { reason: words },
        });
    };
    match code {
        0 => Ok(Receipt::whole(answer.text.clone())),
        130_101 | 410_100 => Err(SendError::Throttled {
            reason: words,
            pause: DingTalk::PENALTY,
        }),
        -1 => Err(SendError::later(words)),
        code => Err(match remedy(code, &answer.text) {
            Some(remedy) => SendError::Configuration {
                reason: format!("{words}; {remedy}"),
            },
            None => SendError::Refused { reason: words },
        }),
    }
}

/// What to mend, where mending helps. Replies to 310000 exist in an English and a Chinese wording.
fn remedy(code: i64, text: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match code {
        310_000 if says(&["keyword", "关键词"]) => {
            Some("set `keywords` to one of the robot's keywords")
        }
        310_000 if says(&["timestamp", "时间戳"]) => Some("check this machine's clock"),
        310_000 if says(&["sign", "签名"]) => {
            Some("check `secret`: it is not the robot's signing key")
        }
        310_000 if says(&["whitelist", "白名单"]) => {
            Some("add this machine's public address to the robot's list")
        }
        310_000 => Some("check the robot's security settings"),
        300_001 | 300_005 | 400_101 => Some("check `token`: there is no such robot"),
        400_013 => Some("the group of this robot was dissolved"),
        400_102 => Some("the robot was stopped: enable it in the group's settings"),
        400_106 => Some("the robot was removed from the group"),
        43_002 | 43_004 => Some("check `endpoint`: it does not take a POST of JSON"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn the_signature_is_the_documented_one() {
        let secret = format!("SECtest{}", "0".repeat(60));
        assert_eq!(
            sign(&secret, "1577808000000"),
            "SRjXWPB/kAnQusDmZ7Cp28YIKv7D1Kkj0B29h21CeUY="
        );
    }

    #[test]
    fn answers_are_sorted_into_later_throttled_configuration_and_refused() {
        let judged = |status, text: &str| {
            judge(
                &Answer {
                    status,
                    headers: HeaderMap::new(),
                    text: text.into(),
                },
                Timestamp::UNIX_EPOCH,
            )
        };
        assert!(judged(200, r#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        for (code, words, outcome) in [
            ("-1", "system busy", "failed"),
            (
                "130101",
                "send too fast, exceed 20 times per minute",
                "throttled",
            ),
            ("410100", "too fast", "throttled"),
            ("310000", "keywords not in content", "misconfigured"),
            (
                "310000",
                "description:机器人发送签名不匹配;solution:请确认签名",
                "misconfigured",
            ),
            ("300001", "token is not exist", "misconfigured"),
            ("400102", "robot stopped", "misconfigured"),
            ("460101", "message too long, exceed 20000 bytes", "refused"),
            ("40035", "missing parameter json", "refused"),
            ("660026", "nobody knows this one", "refused"),
        ] {
            let error =
                judged(200, &format!(r#"{{"errcode":{code},"errmsg":"{words}"}}"#)).unwrap_err();
            assert_eq!(error.outcome(), outcome, "{code}");
            assert!(error.reason().contains(words), "{error}");
        }
        let signature = judged(200, r#"{"errcode":310000,"errmsg":"sign not match"}"#).unwrap_err();
        assert!(
            signature
                .reason()
                .ends_with("check `secret`: it is not the robot's signing key"),
            "{signature}"
        );
        assert_eq!(judged(502, "<html>").unwrap_err().outcome(), "failed");
        assert_eq!(judged(200, "<html>").unwrap_err().outcome(), "failed");
        assert_eq!(judged(404, "").unwrap_err().outcome(), "misconfigured");
    }
}
