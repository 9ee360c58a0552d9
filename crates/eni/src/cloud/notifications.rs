//! Events that are about no operation of an interface: changes of addresses and of instances.

use reflexarc_event::{Arn, Event, Json};

use super::outcomes::recipient;
use super::{Cloud, push_bounded};
use crate::events::Notification;
use crate::resources::Interface;

impl Cloud {
    /// Takes the notifications since the last call, in order. At most [`crate::Limits::journal`]
    /// are kept.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.notifications.drain(..).collect()
    }

    /// Publishes the event of a change of secondary addresses; `what` is `Assigned` or
    /// `Unassigned`. It has all addresses that the interface has afterwards, so that a receiver
    /// that missed an event is right again after the next one.
    pub(super) fn publish_addresses(
        &mut self,
        caller: &str,
        interface: &Interface,
        is_ipv6: bool,
        what: &str,
    ) {
        let addresses = &interface.addresses;
        let mut content = vec![("eniId", Json::from(interface.id.as_str()))];
        if is_ipv6 {
            add_list(&mut content, "ipv6s", &addresses.ipv6);
            add_list(&mut content, "ipv6Prefixes", &addresses.ipv6_prefixes);
        } else {
            let primary = addresses.primary.map(|primary| primary.to_string());
            content.extend(primary.map(|primary| ("primaryPrivateIp", primary.into())));
            add_list(&mut content, "secondaryPrivateIps", &addresses.secondary);
            add_list(&mut content, "ipv4Prefixes", &addresses.ipv4_prefixes);
        }
        let family = if is_ipv6 { "PrivateIPv6" } else { "PrivateIP" };
        let name = format!("NetworkInterface:{family}{what}");
        let recipient = recipient(interface, caller).to_owned();
        let arn = self.arn(&interface.owner, "eni", &interface.id);
        self.notify(&recipient, &name, Some(arn), content);
    }

    /// The resource name of a resource in the region.
    pub(crate) fn arn(&self, account: &str, kind: &str, id: &str) -> Arn {
        Arn {
            service: "ecs".to_owned(),
            region: self.region.clone(),
            account: account.to_owned(),
            kind: kind.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The current time as events have it, in Beijing time.
    pub(crate) fn event_time(&self) -> String {
        let beijing = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(8));
        let time = self.now.to_zoned(beijing);
        time.strftime("%Y%m%dT%H%M%S%.3f%z").to_string()
    }

    /// Publishes an event of level INFO with this content to an account.
    pub(crate) fn notify(
        &mut self,
        recipient: &str,
        name: &str,
        resource: Option<Arn>,
        content: Vec<(&'static str, Json)>,
    ) {
        let resource = resource.map(|arn| ("resourceId", arn.to_string().into()));
        let members = [
            ("ver", "1.0".into()),
            ("id", self.ids.guid().into()),
            ("product", "ECS".into()),
        ]
        .into_iter()
        .chain(resource)
        .chain([
            ("level", "INFO".into()),
            ("name", name.into()),
            ("userId", recipient.into()),
            ("eventTime", self.event_time().into()),
            ("regionId", self.region.as_str().into()),
            ("content", object(content)),
        ]);
        let event = Event::from_tree(object(members))
            .expect("a notification of the cloud is within the limits of events");
        self.route(recipient, &event);
        let notification = Notification {
            at: self.now,
            recipient: recipient.to_owned(),
            event,
        };
        push_bounded(&mut self.notifications, notification, self.limits.journal);
    }
}

/// An object with these members.
fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Adds a list, unless it is empty: the events of operations leave empty lists out too.
fn add_list(content: &mut Vec<(&'static str, Json)>, key: &'static str, values: &[impl ToString]) {
    if !values.is_empty() {
        let values: Vec<Json> = values
            .iter()
            .map(|value| value.to_string().into())
            .collect();
        content.push((key, values.into()));
    }
}
