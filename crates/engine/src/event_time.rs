//! When an event says that it happened.

use jiff::Timestamp;
use reflexarc_event::{NativeEvent, parse_time};

/// The event's own time: `eventTime` of the native form, else a top-level `time`, as CloudEvents and AWS have it. With
/// it as the clock, a run over recorded events gives the same answers whenever it is made.
pub fn event_time(event: &NativeEvent) -> Option<Timestamp> {
    ["eventTime", "time"]
        .into_iter()
        .find_map(|key| parse_time(event.tree().get(key)?.as_str()?))
}
