//! The diagnostics of a scenario file, and values that many keys share.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use toml::Spanned;

use super::Scenario;

/// What is wrong with a file. Reading goes on after a finding, to report the others too.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

impl Findings {
    pub(super) fn add(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.0.push(Diagnostic::error(code, span, message));
    }

    pub(super) fn add_with_help(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0
            .push(Diagnostic::error(code, span, message).with_help(help));
    }

    /// An absolute time.
    pub(super) fn timestamp(&mut self, text: &Spanned<String>) -> Option<Timestamp> {
        let timestamp = text.get_ref().parse().ok();
        if timestamp.is_none() {
            let message = format!("invalid time `{}`", text.get_ref());
            let help = "write it as \"2026-01-01T00:00:00Z\"";
            self.add_with_help(Code::SCENARIO_VALUE, text.span(), message, help);
        }
        timestamp
    }

    /// The interval of clock events.
    pub(super) fn tick(&mut self, text: &Spanned<String>) -> Option<SignedDuration> {
        let tick = self.duration(text)?;
        if tick < Scenario::MIN_TICK {
            let message = format!("invalid tick `{}`: the minimum is 1s", text.get_ref());
            self.add(Code::SCENARIO_VALUE, text.span(), message);
            return None;
        }
        Some(tick)
    }

    /// A duration that is not negative and not longer than a scenario may be.
    pub(super) fn duration(&mut self, text: &Spanned<String>) -> Option<SignedDuration> {
        let Ok(duration) = text.get_ref().parse::<SignedDuration>() else {
            let message = format!("invalid duration `{}`", text.get_ref());
            let help = "write it as \"90s\", \"5m\" or \"1h 30m\"";
            self.add_with_help(Code::SCENARIO_VALUE, text.span(), message, help);
            return None;
        };
        if duration.is_negative() || duration > Scenario::MAX_SPAN {
            let message = format!(
                "duration `{}` is not between 0s and 31 days",
                text.get_ref()
            );
            self.add(Code::SCENARIO_LIMIT, text.span(), message);
            return None;
        }
        Some(duration)
    }

    /// One of the names in `choices`; `what` says what they name.
    pub(super) fn choice<T: Copy>(
        &mut self,
        what: &str,
        text: &Spanned<String>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let found = choices.iter().find(|(name, _)| name == text.get_ref());
        if found.is_none() {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let message = format!("unknown {what} `{}`", text.get_ref());
            let help = format!("use one of {}", names.join(", "));
            self.add_with_help(Code::SCENARIO_VALUE, text.span(), message, help);
        }
        found.map(|(_, value)| *value)
    }
}
