//! The time that an event carries.

use std::sync::LazyLock;

use jiff::Timestamp;
use reflexarc_event::{FieldSet, NativeEvent, parse_time};

/// The event's own time: `eventTime` of the native form, else the top-level `time` of CloudEvents
/// and AWS. Used as the clock, it makes a run over recorded events give the same results whenever
/// it is repeated.
///
/// ```
/// use reflexarc::{NativeEvent, event_time};
///
/// let event = NativeEvent::from_json(r#"{"eventTime": "20190409T121826.922+0800"}"#)?;
/// let time = event_time(&event).ok_or("no time")?;
/// assert_eq!(time.to_string(), "2019-04-09T04:18:26.922Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn event_time(event: &NativeEvent) -> Option<Timestamp> {
    static FIELDS: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::from(KEYS));
    let tree = event.event().partial_tree(&FIELDS);
    // Each of the two forms of time may be present and unreadable; the next one is tried then.
    KEYS.into_iter()
        .find_map(|key| parse_time(tree.get(key)?.as_str()?).ok())
}

const KEYS: [&str; 2] = ["eventTime", "time"];
