//! Webhooks: CloudEvents in JSON, signed as Standard Webhooks are (<https://www.standardwebhooks.com>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reflexarc_event::Json;
use reflexarc_reaction::Action;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use super::{Preview, Sending, Target, gist};
use crate::delivery::{Delivery, Receipt, SendError};
use crate::outbound::{Answer, Reach, fault};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A receiver of CloudEvents.
pub struct Webhook {
    url: Url,
    reach: Reach,
    client: Client,
    secret: Option<SecretSlice<u8>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Webhook {
    /// A receiver at `url`. The secret signs, see [`signing_key`]; headers are sent as they are.
    pub fn new(
        url: Url,
        reach: Reach,
        client: Client,
        secret: Option<SecretSlice<u8>>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Self {
        Self {
            url,
            reach,
            client,
            secret,
            headers,
        }
    }

    fn body(&self, delivery: &Delivery) -> Result<Json, SendError> {
        self.reach
            .check(&self.url)
            .map_err(|forbidden| SendError::Configuration {
                reason: forbidden.to_string(),
            })?;
        Ok(cloudevent(delivery))
    }

    async fn post(&self, delivery: &Delivery, now: Timestamp) -> Result<Receipt, SendError> {
        let body = self.body(delivery)?.to_string();
        let (id, seconds) = (delivery.id.to_string(), now.as_second().to_string());
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = request
            .header("webhook-id", &id)
            .header("webhook-timestamp", &seconds);
        if let Some(secret) = &self.secret {
            request = request.header(
                "webhook-signature",
                sign(secret.expose_secret(), &id, &seconds, &body),
            );
        }
        match request.body(body).send().await {
            Ok(response) => judge(&Answer::read(response).await, now),
            Err(error) => {
                let reason = fault(error);
                let forbidden = reason.contains("is not a public address");
                Err(if forbidden {
                    SendError::Configuration { reason }
                } else {
                    SendError::later(reason)
                })
            }
        }
    }
}

impl Target for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: gist(&batch[0]),
            body: self.body(&batch[0])?,
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        Box::pin(async move { self.post(&batch[0], Timestamp::now()).await })
    }
}

/// The key that a secret stands for: what follows `whsec_` in base64, or else the text itself.
pub fn signing_key(secret: &str) -> Option<Vec<u8>> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(secret.as_bytes().to_vec()),
    }
}

/// A delivery as a CloudEvent: its id is the delivery's, `data` the message or the payload.
fn cloudevent(delivery: &Delivery) -> Json {
    let (kind, data) = match &delivery.action {
        Action::Notify { message, .. } => ("reflexarc.notify", message.to_json()),
        Action::Send { payload, .. } => ("reflexarc.send", payload.clone()),
    };
    let mut event = Json::object([
        ("specversion", "1.0".into()),
        ("id", delivery.id.to_string().into()),
        (
            "source",
            format!(
                "/reflexarc/rules/{}",
                utf8_percent_encode(&delivery.rule, UNRESERVED)
            )
            .into(),
        ),
        ("type", kind.into()),
        ("time", delivery.created.to_string().into()),
        ("datacontenttype", "application/json".into()),
        ("eventid", delivery.event.id.as_str().into()),
        ("eventsource", delivery.event.source.as_str().into()),
    ]);
    if let Json::Object(members) = &mut event {
        // Attributes of a CloudEvent are absent rather than empty.
        members.retain(|(_, value)| value.as_str() != Some(""));
        if !delivery.resource.is_empty() {
            members.push(("subject".into(), delivery.resource.as_str().into()));
        }
        if let Some(replay) = &delivery.replay {
            members.push(("replay".into(), replay.as_str().into()));
        }
        members.push(("data".into(), data));
    }
    event
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn sign(key: &[u8], id: &str, seconds: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// 2xx is taken. What may pass is tried again; a redirect is not followed, because it could lead anywhere.
fn judge(answer: &Answer, now: Timestamp) -> Result<Receipt, SendError> {
    let words = answer.words();
    match answer.status {
        200..=299 => Ok(Receipt::whole(words)),
        300..=399 => {
            let reason = format!("{words}; redirects are not followed: configure the final URL");
            Err(SendError::Configuration { reason })
        }
        401 | 403 | 404 | 407 => Err(SendError::Configuration { reason: words }),
        408 | 409 | 421 | 423 | 425 | 429 | 500.. => Err(SendError::Later {
            reason: words,
            after: answer.retry_after(now),
        }),
        _ => Err(SendError::Refused { reason: words }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // Computed with Python's hmac, hashlib and base64.
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_base64_after_its_prefix_and_plain_without() {
        assert_eq!(signing_key("whsec_AAE="), Some(vec![0, 1]));
        assert_eq!(signing_key("whsec_!"), None);
        assert_eq!(signing_key("plain"), Some(b"plain".to_vec()));
    }
}
