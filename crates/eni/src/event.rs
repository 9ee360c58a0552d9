//! The completion event, field by field as the service documents it.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use reflexarc_event::{Event, Json};

use crate::cloud::Cloud;
use crate::interface::Interface;
use crate::notice::Told;

/// The name of every ENI operation completion event.
const NAME: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

impl Cloud {
    /// The event of a completed request. Success is INFO, failure is WARN; the status is the one the interface has now.
    pub(crate) fn event(&mut self, told: &Told, interface: &Interface, recipient: &str, success: bool) -> Event {
        let Interface { id, owner, addresses, status, .. } = interface;
        let resource = format!("acs:ecs:{}:{owner}:eni/{id}", self.region());
        let mut content = vec![
            ("eniId", Json::from(id.as_str())),
            ("operation", told.operation.name().into()),
            ("eniStatus", status.name().into()),
            ("result", if success { "success" } else { "failed" }.into()),
            ("requestId", told.request_id.as_str().into()),
        ];
        if let Some(primary) = addresses.primary {
            content.push(("primaryPrivateIp", primary.to_string().into()));
        }
        let lists = [
            ("secondaryPrivateIps", texts(&addresses.secondary)),
            ("ipv4Prefixes", texts(&addresses.ipv4_prefixes)),
            ("ipv6s", texts(&addresses.ipv6)),
            ("ipv6Prefixes", texts(&addresses.ipv6_prefixes)),
        ];
        content
            .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key, Json::from(list))));
        let event = object([
            ("ver", "1.0".into()),
            ("id", self.ids.guid().into()),
            ("product", "ECS".into()),
            ("resourceId", resource.into()),
            ("level", if success { "INFO" } else { "WARN" }.into()),
            ("name", NAME.into()),
            ("userId", recipient.into()),
            ("eventTime", event_time(self.now()).into()),
            ("regionId", self.region().into()),
            ("content", object(content)),
        ]);
        Event::from_json(event.to_string()).expect("a JSON object of a few hundred bytes is an event")
    }
}

/// An instant as ECS events spell it: `20190409T121826.922+0800`.
fn event_time(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(8));
    at.to_zoned(zone).strftime("%Y%m%dT%H%M%S.%3f%z").to_string()
}

fn texts(values: &[impl ToString]) -> Vec<Json> {
    values.iter().map(|value| Json::from(value.to_string())).collect()
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
