//! The completion event, written strictly.

use reflexarc_event::{Arn, EniNotification, Event, OperationResult, Reading};

use crate::cloud::Cloud;
use crate::interface::Interface;
use crate::notice::Told;

impl Cloud {
    /// The event of a completed request; the interface's status is the one it has now.
    pub(crate) fn event(
        &mut self,
        told: &Told,
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
        let resource_id = Arn {
            service: "ecs".to_owned(),
            region: self.region().to_owned(),
            account: owner.clone(),
            kind: "eni".to_owned(),
            id: id.clone(),
        };
        let notification = EniNotification {
            id: Reading::Clear(self.ids.guid()),
            resource_id: Reading::Clear(resource_id),
            level: Reading::Clear(result.level()),
            user_id: Reading::Clear(recipient.to_owned()),
            event_time: Reading::Clear(self.now()),
            region_id: Reading::Clear(self.region().to_owned()),
            eni_id: Reading::Clear(id.clone()),
            operation: Reading::Clear(told.operation),
            eni_status: Reading::Clear(*status),
            result: Reading::Clear(result),
            request_id: Reading::Clear(told.request_id.clone()),
            primary_private_ip: addresses.primary.map_or(Reading::Missing, Reading::Clear),
            secondary_private_ips: clear(&addresses.secondary),
            ipv4_prefixes: clear(&addresses.ipv4_prefixes),
            ipv6s: clear(&addresses.ipv6),
            ipv6_prefixes: clear(&addresses.ipv6_prefixes),
        };
        notification
            .write()
            .expect("the status follows from operation and result, and every name is our own")
    }
}

fn clear<T: Clone>(values: &[T]) -> Vec<Reading<T>> {
    values.iter().cloned().map(Reading::Clear).collect()
}
