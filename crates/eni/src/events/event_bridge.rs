//! Events as `EventBridge` delivers them, with all attributes of "Event overview" of its
//! documentation.

use jiff::Timestamp;
use reflexarc_event::{Envelope, Event, Json, parse_time};

/// The bus that events of cloud services arrive on.
pub(crate) const DEFAULT_BUS: &str = "default";
/// The address of the machine that published an event. Nothing depends on it: the documentation
/// has a private one, and so has the simulation.
const PUBLISHER: &str = "172.25.0.1";
/// The attributes of an event of a cloud service, apart from those that start with `aliyun`.
const ATTRIBUTES: [&str; 8] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
];

/// What `EventBridge` adds to an event when it is published to a bus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publication<'a> {
    /// The name of the bus.
    pub(crate) bus: &'a str,
    /// The account's id, for an event that has none.
    pub(crate) account: Option<&'a str>,
    /// The region's id, for an event that has none.
    pub(crate) region: Option<&'a str>,
    /// The time; that of the event if there is none.
    pub(crate) at: Option<Timestamp>,
}

/// An event of the cloud as it arrives on the default bus.
pub(super) fn on_default_bus(event: &Event) -> Event {
    let publication = Publication {
        bus: DEFAULT_BUS,
        account: None,
        region: None,
        at: None,
    };
    publication.of(event)
}

impl Publication<'_> {
    /// The event in `CloudEvents`, with the attributes of its publication.
    pub(crate) fn of(&self, event: &Event) -> Event {
        let cloud_event = event.to_cloudevent();
        let tree = cloud_event.tree();
        // A conversion keeps what else the native form has in attributes of its own, `level` and
        // `ver` for example, which EventBridge does not have. An event that is not of a cloud
        // service keeps what it has.
        let is_converted = !matches!(
            event.envelope(),
            Envelope::CloudEvent | Envelope::Aws | Envelope::Other
        );
        let is_kept = |key: &str| !is_converted || ATTRIBUTES.contains(&key);
        let added = self.attributes(tree);
        let is_added = |key: &str| added.iter().any(|(name, _)| *name == key);
        let (mut members, mut data) = (Vec::new(), Vec::new());
        for (key, value) in tree.members() {
            match key.as_str() {
                "data" => data.push((key.clone(), value.clone())),
                key if is_kept(key) && !is_added(key) => {
                    members.push((key.to_owned(), value.clone()));
                }
                _ => {}
            }
        }
        let added = added.into_iter();
        members.extend(added.map(|(key, value)| (key.to_owned(), value.into())));
        // As in the documentation, the data is last.
        members.extend(data);
        // An event near the size limit may exceed it with the attributes: it is delivered without
        // them, which is better than not at all.
        Event::from_json(Json::Object(members).to_string()).unwrap_or(cloud_event)
    }

    /// The attributes that a publication adds. Those about the origin of an event are kept if the
    /// event has them.
    fn attributes(&self, event: &Json) -> Vec<(&'static str, String)> {
        let given = |key: &str| event.get(key).and_then(Json::as_str).map(str::to_owned);
        let account = given("aliyunaccountid").or_else(|| self.account.map(str::to_owned));
        let region = given("aliyunregionid").or_else(|| self.region.map(str::to_owned));
        let published = self
            .at
            .or_else(|| given("time").and_then(|time| parse_time(&time).ok()));
        let attributes = [
            ("aliyunaccountid", account.clone()),
            (
                "aliyunoriginalaccountid",
                given("aliyunoriginalaccountid").or(account),
            ),
            ("aliyuneventbusname", Some(self.bus.to_owned())),
            ("aliyunregionid", region),
            ("aliyunpublishtime", published.map(publish_time)),
            ("aliyunpublishaddr", Some(PUBLISHER.to_owned())),
        ];
        let attributes = attributes.into_iter();
        attributes
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

/// The spelling of `aliyunpublishtime`: Beijing time with milliseconds and the zone's old name,
/// `2020-11-19T21:04:42.179PRC`.
fn publish_time(at: Timestamp) -> String {
    let beijing = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(8));
    let time = at.to_zoned(beijing);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fPRC").to_string()
}
