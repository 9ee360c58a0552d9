//! An action as a delivery.

use jiff::Timestamp;
use reflexarc_delivery::Delivery;
use reflexarc_store::phase_of;

use crate::action::PyAction;
use crate::action_origin::DeliveryOrigin;

impl PyAction {
    /// What its delivery has of the event.
    pub(crate) fn delivery_origin(&self) -> &DeliveryOrigin {
        let firing = self.firing.as_ref().map(|firing| &firing.firing);
        self.origin.delivery(&self.rule, firing)
    }

    /// The action as it enters a queue at `now`.
    pub(crate) fn delivery(&self, now: Timestamp) -> Delivery {
        let firing = self.firing.as_ref().map(|firing| &firing.firing);
        let DeliveryOrigin {
            id,
            event,
            resource,
        } = self.delivery_origin().clone();
        Delivery {
            id,
            event,
            resource,
            rule: self.rule.clone(),
            key: self.scope.as_ref().map(ToString::to_string),
            phase: phase_of(firing),
            target: self.action.target().to_owned(),
            action: self.action.clone(),
            created: now,
            replay: None,
            attempt: 1,
            queued_at: now,
            delivered_parts: Vec::new(),
            digest: None,
        }
    }
}
