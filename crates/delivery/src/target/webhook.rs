//! Webhook targets: CloudEvents in JSON, or bodies from a template, signed as in Standard Webhooks
//! (<https://www.standardwebhooks.com>).

mod body;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::Action;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

pub use self::body::BodyTemplate;
use super::{Preview, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::http::{BoundedResponse, EgressPolicy, is_egress_denied, percent_encode, request_error};
use crate::outcome::{Receipt, SendError};
use crate::rendering::{host_of, summary};

/// An HTTP receiver of CloudEvents, or of bodies from a template.
pub struct Webhook {
    url: Url,
    policy: EgressPolicy,
    client: Client,
    key: Option<SecretSlice<u8>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    answers: AnswerPolicy,
    body: Option<BodyTemplate>,
}

impl Webhook {
    /// A receiver at `url`, called by a `client` of this `policy`. `key` signs requests, see
    /// [`signing_key`]; `headers` are added to every request.
    pub fn new(
        url: Url,
        policy: EgressPolicy,
        client: Client,
        key: Option<SecretSlice<u8>>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Self {
        Self {
            url,
            policy,
            client,
            key,
            headers,
            answers: AnswerPolicy::default(),
            body: None,
        }
    }

    /// The same with other final answers.
    #[must_use]
    pub fn with_answers(mut self, answers: AnswerPolicy) -> Self {
        self.answers = answers;
        self
    }

    /// The same with bodies from this template in place of CloudEvents.
    #[must_use]
    pub fn with_body(mut self, body: Option<BodyTemplate>) -> Self {
        self.body = body;
        self
    }

    fn body(&self, delivery: &Delivery) -> Result<String, SendError> {
        // The client's resolver sees host names only; an address in the URL is checked here.
        self.policy
            .check_url(&self.url)
            .map_err(|denied| SendError::Misconfigured {
                reason: denied.to_string(),
            })?;
        match &self.body {
            None => Ok(cloudevent(delivery).to_string()),
            Some(template) => template
                .render(delivery)
                .map_err(|reason| SendError::Misconfigured { reason }),
        }
    }

    async fn post(&self, delivery: &Delivery, now: Timestamp) -> Result<Receipt, SendError> {
        // Rendered once: the signature is over exactly the bytes that are sent.
        let body = self.body(delivery)?;
        let (id, seconds) = (delivery.id.to_string(), now.as_second().to_string());
        let content_type = self.body.as_ref().map(BodyTemplate::content_type);
        let content_type = content_type.unwrap_or("application/cloudevents+json");
        let request = self.client.post(self.url.clone());
        let mut request = request.header(CONTENT_TYPE, content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        // The id stays the same in every attempt, so that receivers can drop copies; the time is
        // that of the attempt.
        request = request
            .header("webhook-id", &id)
            .header("webhook-timestamp", &seconds);
        if let Some(key) = &self.key {
            // Signed for each attempt: receivers reject old timestamps.
            request = request.header(
                "webhook-signature",
                sign(key.expose_secret(), &id, &seconds, &body),
            );
        }
        match request.body(body).send().await {
            // The whole response is read before it is classified: its body is the reason that dead
            // letters show.
            Ok(response) => {
                let response = BoundedResponse::read(response).await;
                let outcome = classify(&response, now);
                outcome.map_err(|error| self.answers.apply(response.status.into(), error))
            }
            Err(error) => {
                let denied = is_egress_denied(&error);
                let reason = request_error(error);
                Err(if denied {
                    SendError::Misconfigured { reason }
                } else {
                    SendError::transient(reason)
                })
            }
        }
    }
}

impl Target for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn endpoint(&self) -> String {
        host_of(&self.url)
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let body = self.body(&batch[0])?;
        Ok(Preview {
            summary: summary(&batch[0]),
            body: match &self.body {
                None => cloudevent(&batch[0]),
                Some(template) => template.shown(body),
            },
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move { self.post(&batch[0], Timestamp::now()).await })
    }
}

/// The key that a secret stands for: the base64 after `whsec_`, the form in which Standard Webhooks
/// hands out secrets, or else the text itself. `None` when that is not base64.
///
/// ```
/// use reflexarc_delivery::webhook::signing_key;
///
/// assert_eq!(signing_key("whsec_a2V5"), Some(b"key".to_vec()));
/// assert_eq!(signing_key("key"), Some(b"key".to_vec()));
/// assert_eq!(signing_key("whsec_%"), None);
/// ```
pub fn signing_key(secret: &str) -> Option<Vec<u8>> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(secret.as_bytes().to_vec()),
    }
}

/// A delivery as a CloudEvent. Its id is the delivery's, so that receivers can recognize copies;
/// `data` is the message or the payload.
pub(super) fn cloudevent(delivery: &Delivery) -> Json {
    let (kind, data) = match &delivery.action {
        Action::Notify { message, .. } => ("reflexarc.notify", message.to_json()),
        Action::Send { payload, .. } => ("reflexarc.send", payload.clone()),
        Action::Call { parameters, .. } => ("reflexarc.call", parameters.clone()),
    };
    // `source` is a URI reference, and rule names may hold any character.
    let rule = percent_encode(&delivery.rule);
    let mut event = Json::object([
        ("specversion", "1.0".into()),
        ("id", delivery.id.to_string().into()),
        ("source", format!("/reflexarc/rules/{rule}").into()),
        ("type", kind.into()),
        ("time", delivery.created.to_string().into()),
        ("datacontenttype", "application/json".into()),
        ("eventid", delivery.event.id.as_str().into()),
        ("eventsource", delivery.event.source.as_str().into()),
    ]);
    if let Json::Object(members) = &mut event {
        // CloudEvents: an attribute is absent rather than empty.
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

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. Id and timestamp are signed, or
/// a recorded request could be replayed with its body under another id.
fn sign(key: &[u8], id: &str, seconds: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The outcome that a response stands for: 2xx is delivered.
pub(super) fn classify(response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
    let summary = response.summary();
    let retry_after = response.retry_after(now);
    match (response.status, retry_after) {
        (200..=299, _) => Ok(Receipt::complete(summary)),
        (300..=399, _) => {
            let reason = format!("{summary}; redirects are not followed: configure the final URL");
            Err(SendError::Misconfigured { reason })
        }
        // Wrong credentials or a wrong URL.
        (401 | 403 | 404 | 407, _) => Err(SendError::Misconfigured { reason: summary }),
        // With a time, these two are about the receiver and not about this delivery: none is sent
        // before.
        (429 | 503, Some(pause)) => Err(SendError::RateLimited {
            reason: summary,
            pause,
        }),
        // Timeout, conflict, misdirected, locked, too early, too many requests, server errors.
        (408 | 409 | 421 | 423 | 425 | 429 | 500.., _) => Err(SendError::Transient {
            reason: summary,
            retry_after,
        }),
        // The request itself is not acceptable (400, 410, 413, 422 …), and a retry sends the same.
        _ => Err(SendError::Refused { reason: summary }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // Computed with Python's hmac, hashlib and base64.
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_base64_only_after_their_prefix() {
        assert_eq!(signing_key("whsec_AAE="), Some(vec![0, 1]));
        assert_eq!(signing_key("whsec_!"), None);
        assert_eq!(signing_key("plain"), Some(b"plain".to_vec()));
    }
}
