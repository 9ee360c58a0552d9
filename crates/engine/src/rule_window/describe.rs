//! What a window waits for, in words.

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::truncate;

use super::{RuleWindow, WindowStep};
use crate::event_key::EventKey;
use crate::window::{Count, Micros, Shape, Span};

/// Characters of a filter that are shown.
const SHOWN: usize = 200;

impl RuleWindow {
    /// `waits 30m for ⟨filter⟩, by content.eniId`.
    pub(crate) fn describe(&self) -> String {
        let mut text = match &self.window.shape {
            Shape::Count(count) => self.describe_count(count),
            Shape::Sequence(sequence) => {
                let steps = self.steps.iter().zip(&sequence.within);
                let steps: Vec<String> = steps
                    .map(|(step, within)| format!("up to {} for {}", duration(*within), of(step)))
                    .collect();
                format!("waits {}", steps.join(", then "))
            }
            Shape::Absence(absence) => {
                let steps: Vec<String> = self.steps.iter().map(of).collect();
                let restarts = if absence.restart {
                    " since the last opening event"
                } else {
                    ""
                };
                let within = duration(absence.within);
                format!("waits {within}{restarts} for {}", steps.join(""))
            }
            Shape::Silence(silence) => {
                format!(
                    "waits until no event has come for {}",
                    duration(silence.duration)
                )
            }
            Shape::Batch(batch) => {
                let idle = batch
                    .idle
                    .map(|idle| format!(", {} without another", duration(idle)));
                format!(
                    "collects events until {}{} or {} events",
                    duration(batch.within),
                    idle.unwrap_or_default(),
                    batch.max
                )
            }
        };
        if !self.by.paths().is_empty() {
            text.push_str(&format!(", by {}", paths(&self.by)));
        }
        if let Some(until) = &self.until {
            text.push_str(&format!("; dropped by {}", filter(until.pattern.source())));
        }
        text
    }

    fn describe_count(&self, count: &Count) -> String {
        let what = match &self.distinct {
            Some(distinct) => format!("different values of {}", paths(distinct)),
            None => "events".to_owned(),
        };
        let span = match count.span {
            Span::Within(within) => format!("within {}", duration(within)),
            Span::Every(every) => format!("in each {} of UTC", duration(every)),
        };
        format!("waits for {} {what} {span}", count.at_least)
    }
}

/// The filter of a step, and its own `by`.
fn of(step: &WindowStep) -> String {
    let mut text = filter(step.filter.pattern.source());
    if let Some(by) = &step.by {
        text.push_str(&format!(" (by {})", paths(by)));
    }
    text
}

fn filter(source: &str) -> String {
    // On one line, as it stands in a sentence.
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("`{}`", truncate(&line, SHOWN))
}

fn paths(key: &EventKey) -> String {
    let paths: Vec<&str> = key.paths().iter().map(EmbeddedText::text).collect();
    paths.join(", ")
}

/// A duration as rule files write it: `1h30m`.
fn duration(micros: Micros) -> String {
    const UNITS: [(&str, Micros); 6] = [
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ];
    let mut rest = micros;
    let parts = UNITS.iter().map(|(unit, length)| {
        let count = rest / length;
        rest %= length;
        match count {
            0 => String::new(),
            _ => format!("{count}{unit}"),
        }
    });
    let text: String = parts.collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelt_as_in_rule_files() {
        for (text, micros) in [
            ("0s", 0),
            ("10m", 600_000_000),
            ("1h30m", 5_400_000_000),
            ("1d1us", 86_400_000_001),
            ("1s500ms", 1_500_000),
        ] {
            assert_eq!(duration(micros), text);
            if micros > 0 {
                let parsed = reflexarc_diagnostic::parse_duration(text).unwrap();
                assert_eq!(parsed.as_micros(), i128::from(micros), "{text}");
            }
        }
    }
}
