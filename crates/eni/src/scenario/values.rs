//! Values that several tables of a scenario file have in common.

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::{EmbeddedText, TableReader};
use reflexarc_diagnostic::{Code, DurationError, parse_duration};

use super::Scenario;

/// A string that must be present, with its location; `help` is what to write.
pub(super) fn required(table: &TableReader<'_>, key: &str, help: &str) -> Option<EmbeddedText> {
    if !table.has(key) {
        table.missing(key, help);
    }
    table.embedded(key)
}

/// A duration from 0s to the greatest length of a scenario.
pub(super) fn duration(table: &TableReader<'_>, key: &str) -> Option<SignedDuration> {
    let text = table.embedded(key)?;
    let duration = match parse_duration(text.text()) {
        // Elsewhere durations are longer than zero. Here the first step is at "0s", and a creation
        // takes "0s".
        Err(DurationError::NotPositive(_)) if is_zero(text.text()) => Some(SignedDuration::ZERO),
        Err(DurationError::NotPositive(_)) => None,
        parsed => Some(table.parsed(&text, parsed)?),
    };
    let duration = duration.filter(|duration| *duration <= Scenario::MAX_SPAN);
    if duration.is_none() {
        let message = format!("`{key}` is out of range");
        table.fault(key, Code::SCENARIO_LIMIT, message, "expected 0s to 31 days");
    }
    duration
}

fn is_zero(text: &str) -> bool {
    text.parse::<SignedDuration>()
        .is_ok_and(|duration| duration.is_zero())
}
