//! An action as a delivery.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use reflexarc_delivery::{ArchivePosition, Delivery, DeliveryId, EventRef};
use reflexarc_event::NativeEvent;

use crate::action::PyAction;

impl PyAction {
    /// The action as it enters a queue at `now`.
    pub(crate) fn delivery(&self, now: Timestamp) -> Delivery {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let event = self.event.as_ref();
        let identity = event.and_then(|event| NativeEvent::as_is(event.0.clone()).identity());
        let identity = identity.unwrap_or_default();
        let position = ArchivePosition {
            seq: NEXT.fetch_add(1, Ordering::Relaxed),
            received: now,
        };
        Delivery {
            id: DeliveryId::derive(&identity, position, &self.rule, 0, None),
            event: EventRef::from(&identity),
            resource: identity.resource,
            rule: self.rule.clone(),
            key: self.scope.as_ref().map(ToString::to_string),
            firing: self.firing.is_some(),
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
