//! What accounts have subscribed to: rules on buses of `EventBridge`, and rules of Cloud Monitor.
//!
//! An event that the cloud publishes is matched at once, in [`crate::Cloud`]; a [`Delivery`] for
//! each target of a matching rule waits in a journal for the caller, who sends it. So a rule that is
//! created or deleted between an event and its delivery changes nothing about that delivery.

mod delivery;
mod event_bridge;
mod monitor_rule;
mod template;

pub use delivery::{Delivery, Destination, RetryStrategy, RuleTarget, SubscriptionService};
pub(crate) use event_bridge::{EventBridgeTarget, EventBus, EventRule, TargetParameter};
pub(crate) use monitor_rule::{EventFilter, MonitorRule, MonitorTarget, MonitorTargetKind};
pub(crate) use template::{ParameterForm, parse_path};

use std::collections::BTreeMap;

use crate::events::DEFAULT_BUS;

/// The subscriptions of one account.
#[derive(Debug, Clone)]
pub(crate) struct AccountSubscriptions {
    /// By name; the default bus is always there.
    pub(crate) buses: BTreeMap<String, EventBus>,
    /// Rules of Cloud Monitor, by name.
    pub(crate) monitor_rules: BTreeMap<String, MonitorRule>,
}

impl Default for AccountSubscriptions {
    fn default() -> Self {
        let default = EventBus {
            description: "The bus of events of cloud services".to_owned(),
            created: None,
            rules: BTreeMap::new(),
        };
        Self {
            buses: BTreeMap::from([(DEFAULT_BUS.to_owned(), default)]),
            monitor_rules: BTreeMap::new(),
        }
    }
}

impl AccountSubscriptions {
    /// Whether the target still exists and its rule is enabled.
    pub(crate) fn is_active(&self, target: &RuleTarget) -> bool {
        match &target.service {
            SubscriptionService::EventBridge { bus } => self
                .buses
                .get(bus)
                .and_then(|bus| bus.rules.get(&target.rule))
                .is_some_and(|rule| rule.is_enabled && rule.targets.contains_key(&target.id)),
            SubscriptionService::CloudMonitor => self
                .monitor_rules
                .get(&target.rule)
                .is_some_and(|rule| rule.is_enabled && rule.targets.contains_key(&target.id)),
        }
    }
}
