//! Clock events: the time as an event, so that rules can react to what did not happen.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use reflexarc_event::{Event, Json};

/// The event `Clock:Tick` for the bus of an account, in the native form. Its id is derived from
/// account and time, so it is the same in every run.
pub(super) fn clock_event(region: &str, account: &str, at: Timestamp) -> Event {
    // Native events have times in the offset of the service, +0800.
    let zone = TimeZone::fixed(Offset::constant(8));
    let members = [
        ("id", format!("clock-{account}-{at}")),
        ("product", "reflexarc".to_owned()),
        ("name", "Clock:Tick".to_owned()),
        ("level", "INFO".to_owned()),
        ("userId", account.to_owned()),
        (
            "eventTime",
            at.to_zoned(zone)
                .strftime("%Y%m%dT%H%M%S.%3f%z")
                .to_string(),
        ),
        ("regionId", region.to_owned()),
    ];
    let members = members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Json::from(value)));
    let content = ("content".to_owned(), Json::Object(Vec::new()));
    let tree: Json = members.chain([content]).collect();
    Event::from_json(tree.to_string()).expect("a small JSON object is an event")
}
