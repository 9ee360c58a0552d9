//! Durations of time windows, in whole microseconds and within bounds.

use jiff::SignedDuration;
use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::TableReader;

use crate::window::Micros;

pub(super) const SECOND: Micros = 1_000_000;
pub(super) const DAY: Micros = 24 * 60 * 60 * SECOND;
/// The longest time that a window spans. A match keeps its events in the archive for so long.
pub(super) const MAX_SPAN: Micros = 366 * DAY;
/// The longest `forget`: 7 times the longest `absent_for`, as where it is not set.
pub(super) const MAX_FORGET: Micros = 7 * MAX_SPAN;

/// A duration longer than zero.
pub(super) fn duration(table: &TableReader<'_>, key: &str, max: Micros) -> Option<Micros> {
    let duration = table.duration(key)?;
    bounded(table, key, duration, max)
}

/// A duration, or `"0s"`.
pub(super) fn duration_or_zero(table: &TableReader<'_>, key: &str, max: Micros) -> Option<Micros> {
    let is_zero = |text: &str| {
        let parsed = text.parse::<SignedDuration>();
        parsed.is_ok_and(|duration| duration.is_zero())
    };
    let text = table.lookup(key).and_then(|value| value.get_ref().as_str());
    if text.is_some_and(is_zero) {
        return Some(0);
    }
    duration(table, key, max)
}

/// A duration that must be present; `help` says what to write.
pub(super) fn required(table: &TableReader<'_>, key: &str, help: &str) -> Option<Micros> {
    if !table.has(key) {
        table.missing(key, help);
        return None;
    }
    duration(table, key, MAX_SPAN)
}

fn bounded(
    table: &TableReader<'_>,
    key: &str,
    duration: SignedDuration,
    max: Micros,
) -> Option<Micros> {
    let fault = |message: String, help: String| {
        table.fault(key, Code::WINDOW_DURATION, message, help);
        None
    };
    // Times are compared in microseconds: `"1500ns"` would silently be another duration.
    if duration.subsec_nanos() % 1_000 != 0 {
        let message = format!("`{key}` is not a whole number of microseconds");
        return fault(message, "write it in seconds, as \"90s\"".to_owned());
    }
    let micros = Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX);
    if micros > max {
        let days = max / DAY;
        let message = format!("`{key}` is longer than {days} days");
        return fault(message, format!("expected at most \"{days}d\""));
    }
    Some(micros)
}
