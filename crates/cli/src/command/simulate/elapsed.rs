//! Times of a timeline: hours, minutes and seconds since its start.

use jiff::Timestamp;

/// The time since the start in a column of its own: `  0:02:05`.
pub(super) fn column(start: Timestamp, at: Timestamp) -> String {
    let seconds = seconds(start, at);
    format!(
        "{:3}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The same inside of a sentence: `0:02:05`.
pub(super) fn inline(start: Timestamp, at: Timestamp) -> String {
    column(start, at).trim_start().to_owned()
}

/// The shortest form, for a picture: `2:05`, and `1:02:05` from an hour on.
pub(super) fn short(start: Timestamp, at: Timestamp) -> String {
    let seconds = seconds(start, at);
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn seconds(start: Timestamp, at: Timestamp) -> i64 {
    at.duration_since(start).as_secs().max(0)
}
