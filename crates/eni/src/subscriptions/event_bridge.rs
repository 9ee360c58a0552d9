//! Buses, rules and targets of `EventBridge`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::{Event, Json};
use reflexarc_pattern::Pattern;

use super::delivery::{Delivery, Destination, RetryStrategy, RuleTarget, SubscriptionService};
use super::template::{ParameterForm, render};

/// A bus.
#[derive(Debug, Clone)]
pub(crate) struct EventBus {
    pub(crate) description: String,
    /// When it was created; the default bus was not.
    pub(crate) created: Option<Timestamp>,
    /// By name.
    pub(crate) rules: BTreeMap<String, EventRule>,
}

/// A rule on a bus.
#[derive(Debug, Clone)]
pub(crate) struct EventRule {
    pub(crate) description: String,
    /// The pattern, with the text of the request as its source.
    pub(crate) pattern: Pattern,
    pub(crate) is_enabled: bool,
    pub(crate) created: Timestamp,
    /// By id.
    pub(crate) targets: BTreeMap<String, EventBridgeTarget>,
}

/// A target of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventBridgeTarget {
    /// `http`, `acs.mns.queue` …
    pub(crate) kind: String,
    pub(crate) endpoint: Option<String>,
    /// Whether an event that cannot be delivered is dropped, so that the next ones are delivered;
    /// `None` where the request does not say so.
    pub(crate) tolerates_errors: Option<bool>,
    pub(crate) retry: Option<RetryStrategy>,
    pub(crate) parameters: Vec<TargetParameter>,
    /// As in the request.
    pub(crate) dead_letter_queue: Option<Json>,
    pub(crate) concurrency: Option<i64>,
}

/// A parameter of a target: a member of what the target gets, or a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetParameter {
    pub(crate) key: String,
    pub(crate) form: ParameterForm,
    pub(crate) value: Option<String>,
    pub(crate) template: Option<String>,
}

impl EventBus {
    /// The deliveries of an event, which is in `CloudEvents`, by the rules of this bus.
    pub(crate) fn deliveries(
        &self,
        account: &str,
        bus: &str,
        event: &Event,
        at: Timestamp,
    ) -> Vec<Delivery> {
        let id = event.tree().get("id").and_then(Json::as_str);
        let mut deliveries = Vec::new();
        for (name, rule) in &self.rules {
            if !rule.is_enabled || !rule.pattern.matches(event) {
                continue;
            }
            deliveries.extend(rule.targets.iter().map(|(target_id, target)| {
                let (body, content_type) = target.body(event);
                Delivery {
                    at,
                    account: account.to_owned(),
                    target: RuleTarget {
                        service: SubscriptionService::EventBridge {
                            bus: bus.to_owned(),
                        },
                        rule: name.clone(),
                        id: target_id.clone(),
                    },
                    event: id.unwrap_or_default().to_owned(),
                    destination: target.destination(),
                    body,
                    content_type,
                    retry: target.retry.unwrap_or_default(),
                }
            }));
        }
        deliveries
    }
}

impl EventBridgeTarget {
    /// Whether it is a program that is called over HTTP.
    pub(crate) fn is_http(&self) -> bool {
        matches!(self.kind.as_str(), "http" | "https")
    }

    /// The address: the endpoint, or the parameter `url`.
    pub(crate) fn address(&self) -> Option<&str> {
        let endpoint = self.endpoint.as_deref().filter(|text| !text.is_empty());
        endpoint.or_else(|| {
            let url = self.parameter("url")?;
            url.value.as_deref()
        })
    }

    fn destination(&self) -> Destination {
        let endpoint = self.address().unwrap_or_default().to_owned();
        if self.is_http() {
            Destination::Http {
                url: endpoint,
                is_get: false,
            }
        } else {
            Destination::Other {
                kind: self.kind.clone(),
                endpoint,
            }
        }
    }

    /// What the target gets, and its media type. Without the parameter `Body` it is the event.
    fn body(&self, event: &Event) -> (String, &'static str) {
        let parameter = self.parameter("Body");
        match parameter.filter(|parameter| parameter.form != ParameterForm::Original) {
            None => {
                let text = String::from_utf8_lossy(event.bytes()).into_owned();
                (text, "application/cloudevents+json")
            }
            Some(parameter) => {
                let text = render(parameter, event.tree());
                let is_json = Json::parse(&text).is_ok();
                let content_type = if is_json {
                    "application/json"
                } else {
                    "text/plain;charset=utf-8"
                };
                (text, content_type)
            }
        }
    }

    fn parameter(&self, key: &str) -> Option<&TargetParameter> {
        let mut parameters = self.parameters.iter();
        parameters.find(|parameter| parameter.key.eq_ignore_ascii_case(key))
    }
}
