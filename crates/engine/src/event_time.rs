//! When an event says that it happened.

use jiff::Timestamp;
use reflexarc_event::{Event, parse_time};

/// The event's own time: `eventTime` of the native form, else a top-level `time`, as CloudEvents and AWS have it. With
/// it as the clock, a run over recorded events gives the same answers whenever it is made.
pub fn event_time(event: &Event) -> Option<Timestamp> {
    let native = event.normalize();
    let tree = native.as_ref().unwrap_or(event).tree();
    ["eventTime", "time"]
        .into_iter()
        .find_map(|key| parse_time(tree.get(key)?.as_str()?))
}
