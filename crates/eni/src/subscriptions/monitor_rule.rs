//! Rules of Cloud Monitor: filters of system events, and targets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::{Event, Json};

use super::delivery::{Delivery, Destination, RetryStrategy, RuleTarget, SubscriptionService};
use crate::events::rule_callback;

/// Any value of a list.
const ANY: &str = "*";
/// The type of an event that reports no fault and no maintenance: that of every event here.
const NOTIFICATION: &str = "StatusNotification";
/// The status of an event that has none.
const NORMAL: &str = "Normal";

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct MonitorRule {
    pub(crate) description: String,
    pub(crate) is_enabled: bool,
    /// Seconds in which a notification is not repeated; kept and shown, without effect.
    pub(crate) silence_time: Option<i64>,
    /// The rule matches what one of them matches.
    pub(crate) filters: Vec<EventFilter>,
    /// By id.
    pub(crate) targets: BTreeMap<String, MonitorTarget>,
}

/// A filter of system events. An empty list matches everything, as `*` in a list does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventFilter {
    pub(crate) product: String,
    pub(crate) names: Vec<String>,
    pub(crate) levels: Vec<String>,
    pub(crate) types: Vec<String>,
    pub(crate) statuses: Vec<String>,
    /// A text that the content contains.
    pub(crate) keyword: Option<String>,
}

/// A target of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MonitorTarget {
    pub(crate) kind: MonitorTargetKind,
    /// As in the request, without the id.
    pub(crate) members: Vec<(&'static str, String)>,
}

/// A kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MonitorTargetKind {
    Contact,
    Fc,
    Mns,
    OpenApi,
    Sls,
    Webhook,
}

impl MonitorRule {
    /// The deliveries of a system event, which is in its native form.
    pub(crate) fn deliveries(
        &self,
        account: &str,
        name: &str,
        event: &Event,
        at: Timestamp,
    ) -> Vec<Delivery> {
        let native = event.tree();
        if !self.is_enabled || !self.filters.iter().any(|filter| filter.matches(native)) {
            return Vec::new();
        }
        let body = rule_callback(native, name).to_string();
        let id = native.get("id").and_then(Json::as_str).unwrap_or_default();
        let delivery = |(target_id, target): (&String, &MonitorTarget)| Delivery {
            at,
            account: account.to_owned(),
            target: RuleTarget {
                service: SubscriptionService::CloudMonitor,
                rule: name.to_owned(),
                id: target_id.clone(),
            },
            event: id.to_owned(),
            destination: target.destination(),
            body: body.clone(),
            content_type: "application/json",
            retry: RetryStrategy::CloudMonitor,
        };
        self.targets.iter().map(delivery).collect()
    }
}

impl EventFilter {
    /// Whether it matches a native event.
    pub(crate) fn matches(&self, native: &Json) -> bool {
        let text = |key: &str| native.get(key).and_then(Json::as_str).unwrap_or_default();
        let content = native.get("content");
        let status = content
            .and_then(|content| content.get("eventStatus"))
            .and_then(Json::as_str);
        let name = text("name");
        // The name of a system event ends with its status, which a rule may leave out.
        let without_status = status.and_then(|status| name.strip_suffix(status)?.strip_suffix(':'));
        let has_name = |wanted: &str| wanted == name || Some(wanted) == without_status;
        let has_keyword = self.keyword.as_ref().is_none_or(|keyword| {
            content.is_some_and(|content| content.to_string().contains(keyword))
        });
        self.product.eq_ignore_ascii_case(text("product"))
            && contains(&self.names, has_name)
            && contains(&self.levels, |level| {
                level.eq_ignore_ascii_case(text("level"))
            })
            && contains(&self.types, |kind| kind == NOTIFICATION)
            && contains(&self.statuses, |wanted| wanted == status.unwrap_or(NORMAL))
            && has_keyword
    }
}

impl MonitorTarget {
    /// The value of a member; empty if it has none.
    pub(crate) fn member(&self, name: &str) -> &str {
        let mut members = self.members.iter();
        let found = members.find(|(found, _)| *found == name);
        found.map_or("", |(_, value)| value)
    }

    fn destination(&self) -> Destination {
        if self.kind == MonitorTargetKind::Webhook {
            return Destination::Http {
                url: self.member("Url").to_owned(),
                is_get: self.member("Method").eq_ignore_ascii_case("GET"),
            };
        }
        let values = self.members.iter().map(|(_, value)| value.as_str());
        let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
        Destination::Other {
            kind: self.kind.name().to_owned(),
            endpoint: values.join("/"),
        }
    }
}

impl MonitorTargetKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 6] = [
        Self::Contact,
        Self::Fc,
        Self::Mns,
        Self::OpenApi,
        Self::Sls,
        Self::Webhook,
    ];

    /// The name of its list in requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Contact => "ContactParameters",
            Self::Fc => "FcParameters",
            Self::Mns => "MnsParameters",
            Self::OpenApi => "OpenApiParameters",
            Self::Sls => "SlsParameters",
            Self::Webhook => "WebhookParameters",
        }
    }

    /// The name of the list inside its list in responses, which differs from kind to kind.
    pub(crate) fn listed(self) -> &'static str {
        match self {
            Self::Contact => "ContactParameter",
            Self::Fc => "FCParameter",
            Self::Mns => "MnsParameter",
            Self::OpenApi => "OpenApiParameters",
            Self::Sls => "SlsParameter",
            Self::Webhook => "WebhookParameter",
        }
    }

    /// Its members in requests, apart from the id, and whether each of them is required.
    pub(crate) fn members(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Contact => &[("ContactGroupName", true), ("Level", true)],
            Self::Fc => &[
                ("Region", true),
                ("ServiceName", true),
                ("FunctionName", true),
            ],
            Self::Mns => &[("Region", true), ("Queue", false), ("Topic", false)],
            Self::OpenApi => &[
                ("Product", true),
                ("Action", true),
                ("Version", true),
                ("Region", false),
                ("Role", false),
                ("Arn", false),
                ("JsonParams", false),
            ],
            Self::Sls => &[("Region", true), ("Project", true), ("LogStore", true)],
            Self::Webhook => &[("Protocol", true), ("Method", true), ("Url", true)],
        }
    }
}

fn contains(wanted: &[String], is_equal: impl Fn(&str) -> bool) -> bool {
    let mut values = wanted.iter();
    wanted.is_empty() || values.any(|value| value == ANY || is_equal(value))
}
