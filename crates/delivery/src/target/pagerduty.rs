//! PagerDuty targets: alerts by the Events API v2.
//!
//! Limits and formats are those of PagerDuty's developer documentation: "Events API v2 Overview"
//! (<https://developer.pagerduty.com/docs/events-api-v2-overview>: 512 KB, response codes, PD-CEF)
//! and "Send an Alert Event" (<https://developer.pagerduty.com/docs/send-alert-event>: 255
//! characters of `dedup_key`, 1,024 of `summary`). The limit of calls is adjusted to the traffic;
//! 120 a minute for each integration are what PagerDuty's support names for it.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::post::post_json;
use super::{Preview, RateLimit, SendFuture, Target, webhook};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};
use crate::phase::Phase;
use crate::rendering::{ellipsize_chars, host_of, one_line, prepared, shorten, summary, web_link};

/// An integration of a service of PagerDuty.
pub struct PagerDuty {
    /// `https://events.pagerduty.com/v2/enqueue`, or that of another region.
    pub endpoint: Url,
    /// The integration key.
    pub routing_key: SecretString,
    /// The HTTP client.
    pub client: Client,
    /// How many calls are made; `None` for no limit.
    pub rate_limit: Option<RateLimit>,
    /// Which HTTP statuses are final, where that differs from the usual.
    pub answers: AnswerPolicy,
}

/// The largest numbers of characters of a summary and of a deduplication key.
const SUMMARY_CHARS: usize = 1_024;
const DEDUP_CHARS: usize = 255;
/// The most of a text or a document in the details; the limit of the whole event is 512 KB, and
/// escapes of JSON have up to 6 bytes for one.
const DETAIL_BYTES: usize = 60_000;
/// How long nothing is sent after a 429 that does not say how long: "some minutes" are advised.
const PENALTY: SignedDuration = SignedDuration::from_mins(1);

impl PagerDuty {
    /// 120 events a minute.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 120,
        per: SignedDuration::from_secs(60),
    };

    async fn post(&self, delivery: &Delivery, now: Timestamp) -> Result<Receipt, SendError> {
        let mut event = event(delivery);
        if let Json::Object(members) = &mut event {
            let key = self.routing_key.expose_secret();
            members.insert(0, ("routing_key".into(), key.into()));
        }
        let response = post_json(&self.client, self.endpoint.clone(), &event).await?;
        let outcome = classify(&response, now);
        outcome.map_err(|error| self.answers.apply(response.status.into(), error))
    }
}

impl Target for PagerDuty {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn endpoint(&self) -> String {
        host_of(&self.endpoint)
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: summary(&batch[0]),
            body: event(&batch[0]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move { self.post(&batch[0], Timestamp::now()).await })
    }

    // Nothing is merged: PagerDuty groups alerts itself, and a digest could not be resolved.
    fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }

    fn acknowledges(&self) -> bool {
        true
    }
}

/// The event, without the routing key.
fn event(delivery: &Delivery) -> Json {
    let key = dedup_key(delivery);
    // A document in PagerDuty's own form is sent as it is, with a key if it has none.
    if let Action::Send { payload, .. } = &delivery.action
        && payload.get("event_action").is_some()
    {
        let mut event = payload.clone();
        if let (Json::Object(members), None) = (&mut event, payload.get("dedup_key")) {
            members.push(("dedup_key".into(), key.into()));
        }
        return event;
    }
    let action = match delivery.phase {
        Phase::Event | Phase::Fired => "trigger",
        Phase::Acknowledged => "acknowledge",
        Phase::Resolved => "resolve",
    };
    let mut event = vec![("event_action", action.into()), ("dedup_key", key.into())];
    if action == "trigger" {
        event.push(("payload", payload(delivery)));
        event.push(("client", "reflexarc".into()));
        if let Action::Notify { message, .. } = &delivery.action
            && let Some(link) = web_link(message)
        {
            let link = Json::object([("href", link.into()), ("text", "Open".into())]);
            event.push(("links", Json::Array(vec![link])));
        }
    }
    Json::object(event)
}

fn payload(delivery: &Delivery) -> Json {
    let shown = prepared(delivery, None);
    let severity = match &delivery.action {
        Action::Notify { message, .. } => match message.level {
            Level::Critical => "critical",
            Level::Warn => "warning",
            Level::Info => "info",
        },
        Action::Send { .. } | Action::Call { .. } => "info",
    };
    let line = match one_line(&summary(&shown)) {
        line if line.trim().is_empty() => delivery.rule.clone(),
        line => line,
    };
    let sources = [&delivery.resource, &delivery.event.source, &delivery.rule];
    let source = sources.into_iter().find(|source| !source.is_empty());
    let (text, document) = match &delivery.action {
        // The text as it was written: programs read the details too.
        Action::Notify { message, .. } => (message.text.as_str(), None),
        Action::Send { payload, .. }
        | Action::Call {
            parameters: payload,
            ..
        } => ("", Some(payload)),
    };
    // A document that is too long is text: a part of it would be no JSON.
    let document = document.map(|document| match document.to_string() {
        long if long.len() > DETAIL_BYTES => shorten(&long, DETAIL_BYTES).into(),
        _ => document.clone(),
    });
    let texts = [
        ("text", shorten(text, DETAIL_BYTES)),
        ("rule", delivery.rule.clone()),
        ("key", delivery.key.clone().unwrap_or_default()),
        ("resource", delivery.resource.clone()),
        ("event", delivery.event.id.clone()),
        ("event_source", delivery.event.source.clone()),
        ("replay", delivery.replay.clone().unwrap_or_default()),
        ("delivery", delivery.id.to_string()),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let details = texts.map(|(name, text)| (name, Json::from(text)));
    let details = details.chain(document.map(|document| ("document", document)));
    Json::object([
        ("summary", ellipsize_chars(&line, SUMMARY_CHARS).into()),
        ("source", source.map_or("reflexarc", String::as_str).into()),
        ("severity", severity.into()),
        ("timestamp", delivery.created.to_string().into()),
        ("group", delivery.rule.as_str().into()),
        ("custom_details", Json::object(details)),
    ])
}

/// The key by which PagerDuty knows what is the same alert: rule and key, so that the resolving
/// event finds the one that fired. Of an event without a key, what it is about.
fn dedup_key(delivery: &Delivery) -> String {
    let rule = &delivery.rule;
    let about = match (&delivery.key, delivery.phase) {
        (Some(key), _) => key,
        (None, Phase::Event) if !delivery.resource.is_empty() => &delivery.resource,
        (None, Phase::Event) => &delivery.event.id,
        (None, _) => "",
    };
    let whole = if about.is_empty() {
        rule.clone()
    } else {
        format!("{rule}/{about}")
    };
    if whole.chars().count() <= DEDUP_CHARS {
        return whole;
    }
    // A key that is cut could be that of another alert; its digest is not.
    let digest = hex::encode(&Sha256::digest(&whole)[..16]);
    let kept: String = whole.chars().take(DEDUP_CHARS - digest.len() - 1).collect();
    format!("{kept}:{digest}")
}

/// The outcome that a response stands for: 202 is delivered.
fn classify(response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
    let reason = response.summary();
    match response.status {
        429 => {
            let pause = response.retry_after(now).unwrap_or(PENALTY);
            Err(SendError::RateLimited { reason, pause })
        }
        400 if is_about_key(&response.body) => Err(SendError::Misconfigured {
            reason: format!("{reason}; check `routing_key`: it is not an integration key"),
        }),
        _ => webhook::classify(response, now),
    }
}

fn is_about_key(body: &str) -> bool {
    let body = body.to_lowercase();
    body.contains("routing_key") || body.contains("routing key")
}

#[cfg(test)]
mod tests {
    use reflexarc_event::EventIdentity;
    use reflexarc_reaction::Message;

    use super::*;

    fn delivery(rule: &str, key: Option<&str>, phase: Phase) -> Delivery {
        let action = Action::notify("t", Message::new("text"));
        let event = EventIdentity {
            id: "8B2A".into(),
            ..EventIdentity::default()
        };
        let made = Delivery::for_actions(&event, [(rule, &action)], Timestamp::UNIX_EPOCH);
        let mut delivery = made.into_iter().next().unwrap();
        delivery.key = key.map(str::to_owned);
        delivery.phase = phase;
        delivery
    }

    #[test]
    fn keys_are_the_same_from_firing_to_resolved() {
        let key = |phase| dedup_key(&delivery("stuck", Some("\"eni-1\""), phase));
        assert_eq!(key(Phase::Fired), "stuck/\"eni-1\"");
        assert_eq!(key(Phase::Fired), key(Phase::Resolved));
        assert_eq!(key(Phase::Fired), key(Phase::Acknowledged));
        let without = |phase| dedup_key(&delivery("stuck", None, phase));
        assert_eq!(without(Phase::Fired), "stuck");
        assert_eq!(without(Phase::Resolved), "stuck");
        assert_eq!(without(Phase::Event), "stuck/8B2A");
    }

    #[test]
    fn long_keys_have_a_digest_and_255_characters() {
        let key = |last: &str| {
            let long = format!("{}{last}", "网".repeat(300));
            dedup_key(&delivery("r", Some(&long), Phase::Fired))
        };
        assert_eq!(key("a").chars().count(), DEDUP_CHARS);
        assert_ne!(key("a"), key("b"));
        let short = "k".repeat(253);
        let short = dedup_key(&delivery("r", Some(&short), Phase::Fired));
        assert_eq!(short.len(), 255);
    }
}
