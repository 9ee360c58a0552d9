//! Subscriptions of accounts: what is published is matched by their rules at once.

use reflexarc_event::Event;

use super::{Cloud, push_bounded};
use crate::events::{DEFAULT_BUS, Publication};
use crate::subscriptions::{AccountSubscriptions, Delivery, RuleTarget};

impl Cloud {
    /// Takes what is to be delivered to targets of rules since the last call, in order. At most
    /// [`crate::Limits::journal`] deliveries are kept.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        self.deliveries.drain(..).collect()
    }

    /// Whether the target of the account still exists and its rule is enabled: if not, a delivery
    /// that failed is not repeated.
    pub fn is_subscribed(&self, account: &str, target: &RuleTarget) -> bool {
        let found = self.subscriptions.get(account);
        found.is_some_and(|subscriptions| subscriptions.is_active(target))
    }

    /// The subscriptions of an account.
    pub(crate) fn subscriptions(&mut self, account: &str) -> &mut AccountSubscriptions {
        self.subscriptions.entry(account.to_owned()).or_default()
    }

    /// Matches an event of a cloud service, which is in its native form, with the rules of its
    /// recipient.
    pub(super) fn route(&mut self, recipient: &str, event: &Event) {
        // Most simulations have no rules; their events are not converted.
        if self.subscriptions.contains_key(recipient) {
            self.route_to_bus(recipient, DEFAULT_BUS, event);
            self.route_to_monitor(recipient, event);
        }
    }

    /// Publishes an event to a bus of the account.
    pub(crate) fn route_to_bus(&mut self, account: &str, bus: &str, event: &Event) {
        let publication = Publication {
            bus,
            account: Some(account),
            region: Some(&self.region),
            at: Some(self.now),
        };
        let Some(found) = self.subscriptions.get(account) else {
            return;
        };
        let Some(rules) = found.buses.get(bus).filter(|bus| !bus.rules.is_empty()) else {
            return;
        };
        let event = publication.of(event);
        for delivery in rules.deliveries(account, bus, &event, self.now) {
            push_bounded(&mut self.deliveries, delivery, self.limits.journal);
        }
    }

    /// Matches a system event, which is in its native form, with the rules of Cloud Monitor.
    pub(crate) fn route_to_monitor(&mut self, account: &str, event: &Event) {
        let Some(found) = self.subscriptions.get(account) else {
            return;
        };
        for (name, rule) in &found.monitor_rules {
            for delivery in rule.deliveries(account, name, event, self.now) {
                push_bounded(&mut self.deliveries, delivery, self.limits.journal);
            }
        }
    }
}
