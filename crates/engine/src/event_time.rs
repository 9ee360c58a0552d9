//! The time that an event carries.

use jiff::Timestamp;
use reflexarc_event::{NativeEvent, parse_time};

/// The event's own time: `eventTime` of the native form, else the top-level `time` of CloudEvents
/// and AWS. Used as the clock, it makes a run over recorded events give the same results whenever
/// it is repeated.
pub fn event_time(event: &NativeEvent) -> Option<Timestamp> {
    // Each of the two forms of time may be present and unreadable; the next one is tried then.
    ["eventTime", "time"]
        .into_iter()
        .find_map(|key| parse_time(event.tree().get(key)?.as_str()?).ok())
}
