//! The outcome of a request: the completion event and its recipient, or no event.

use reflexarc_event::{Arn, EniNotification, Event, OperationResult, Parsed};

use super::{Cloud, push_bounded};
use crate::events::{NoEventReason, PublishedEvent, RequestOutcome};
use crate::request::RequestOrigin;
use crate::resources::{Interface, InterfaceType};

impl Cloud {
    /// Ends an accepted request whose operation ended on `interface`, with an event where the
    /// documented conditions for one hold:
    ///
    /// 1. the preview feature is on for the recipient;
    /// 2. the interface is a secondary one;
    /// 3. the request was accepted, which it was, or it would not have got here.
    pub(super) fn publish(&mut self, origin: RequestOrigin, interface: &Interface, success: bool) {
        if interface.kind == InterfaceType::Primary {
            let reason = NoEventReason::PrimaryInterface;
            return self.record_no_event(origin, Some(interface.id.clone()), reason);
        }
        // The preview of the recipient counts, not that of the caller or the owner.
        let recipient = recipient(interface, &origin.caller).to_owned();
        let published = if self
            .account(&recipient)
            .is_ok_and(|account| account.preview)
        {
            let event = self.completion_event(&origin, interface, &recipient, success);
            self.route(&recipient, &event);
            Ok(PublishedEvent {
                recipient,
                success,
                status: interface.status,
                event,
            })
        } else {
            Err(NoEventReason::PreviewOff { account: recipient })
        };
        self.record_outcome(origin, Some(interface.id.clone()), published);
    }

    /// Ends a request without an event.
    pub(super) fn record_no_event(
        &mut self,
        origin: RequestOrigin,
        interface: Option<String>,
        reason: NoEventReason,
    ) {
        self.record_outcome(origin, interface, Err(reason));
    }

    fn record_outcome(
        &mut self,
        origin: RequestOrigin,
        interface: Option<String>,
        published: Result<PublishedEvent, NoEventReason>,
    ) {
        let RequestOrigin {
            request_id,
            caller,
            operation,
        } = origin;
        let at = self.now;
        let outcome = RequestOutcome {
            at,
            request_id,
            caller,
            operation,
            interface,
            published,
        };
        push_bounded(&mut self.outcomes, outcome, self.limits.journal);
    }

    /// The event of a completed request, with the documented fields and no others.
    fn completion_event(
        &mut self,
        origin: &RequestOrigin,
        interface: &Interface,
        recipient: &str,
        success: bool,
    ) -> Event {
        let Interface {
            id,
            owner,
            addresses,
            status,
            ..
        } = interface;
        let result = if success {
            OperationResult::Success
        } else {
            OperationResult::Failed
        };
        // The owner of the interface, which may differ from `userId`, the recipient.
        let resource_id = Arn {
            service: "ecs".to_owned(),
            region: self.region.clone(),
            account: owner.clone(),
            kind: "eni".to_owned(),
            id: id.clone(),
        };
        let notification = EniNotification {
            id: Parsed::Value(self.ids.guid()),
            resource_id: Parsed::Value(resource_id),
            level: Parsed::Value(result.level()),
            user_id: Parsed::Value(recipient.to_owned()),
            event_time: Parsed::Value(self.now),
            region_id: Parsed::Value(self.region.clone()),
            eni_id: Parsed::Value(id.clone()),
            operation: Parsed::Value(origin.operation),
            eni_status: Parsed::Value(*status),
            result: Parsed::Value(result),
            request_id: Parsed::Value(origin.request_id.clone()),
            primary_private_ip: addresses.primary.map_or(Parsed::Missing, Parsed::Value),
            secondary_private_ips: clear(&addresses.secondary),
            ipv4_prefixes: clear(&addresses.ipv4_prefixes),
            ipv6s: clear(&addresses.ipv6),
            ipv6_prefixes: clear(&addresses.ipv6_prefixes),
        };
        notification
            .write()
            .expect("the status follows from operation and result, and all ids are well formed")
    }
}

/// Who gets the event: the service that manages the interface, else the caller, even where the
/// caller does not own the interface.
pub(super) fn recipient<'a>(interface: &'a Interface, caller: &'a str) -> &'a str {
    interface
        .managed_by
        .as_ref()
        .map_or(caller, |(service, _)| service)
}

fn clear<T: Clone>(values: &[T]) -> Vec<Parsed<T>> {
    values.iter().cloned().map(Parsed::Value).collect()
}
