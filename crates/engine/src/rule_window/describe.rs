//! What a window waits for, in words.

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{format_duration, truncate};

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
    format_duration(SignedDuration::from_micros(micros))
}
