//! Windows that contradict themselves: an opening event that closes, a step that `until` drops, a
//! count of different values of which there is one.

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_pattern::{Node, Pattern};

use super::{RuleWindow, WindowStep};
use crate::window::Shape;

impl RuleWindow {
    /// The warnings about them, located in the file. `when` is that of the rule; `limit` are the
    /// steps of each proof.
    pub(crate) fn contradictions(&self, when: &Pattern, limit: usize) -> Vec<Diagnostic> {
        let implies = |one: &Pattern, other: &Pattern| {
            // A filter that matches nothing implies every other; it has a warning of its own.
            let nothing = Pattern::from_node(Node::Any(Vec::new()));
            one.implies_within(other, limit) && !one.implies_within(&nothing, limit)
        };
        let mut found = Vec::new();
        // Of a later step it is a pattern of its own: attached, detached, attached again.
        let first = self.steps.first().filter(|step| self.has_same_key(step));
        if let Some(step) = first
            && implies(when, &step.filter.pattern)
        {
            found.push(match self.window.shape {
                Shape::Absence(_) => warning(
                    Code::SELF_CLOSING,
                    &step.filter.source,
                    "every event that `when` matches also matches this filter, and so ends the \
                     wait of the one before it",
                )
                .with_help(
                    "exclude these events here; to react when no further event comes, write \
                     absent_for = \"30m\"",
                ),
                _ => warning(
                    Code::SELF_CLOSING,
                    &step.filter.source,
                    "every event that `when` matches also matches this filter, so two of them \
                     complete the step",
                )
                .with_help(
                    "exclude these events here; to count events of one kind, write \
                     count = { at_least = 2, within = \"2m\" }",
                ),
            });
        }
        if let Some(until) = &self.until {
            let met = self.steps.iter().map(|step| &step.filter);
            let met = met.filter(|step| implies(&step.pattern, &until.pattern));
            found.extend(met.map(|step| {
                let label = "`until` drops the match before this step";
                warning(
                    Code::WINDOW_NEVER_FIRES,
                    &until.source,
                    "every event of a step also matches `until`, so no sequence is ever complete",
                )
                .with_label(step.source.span(), label)
                .with_help("exclude the events of the step in `until`")
            }));
        }
        found.extend(self.count_of_one_value());
        found
    }

    /// The warning about `distinct` of values that all events of a key have in common.
    fn count_of_one_value(&self) -> Option<Diagnostic> {
        let Shape::Count(count) = &self.window.shape else {
            return None;
        };
        let by = self.by.paths();
        let is_key = |path: &EmbeddedText| by.iter().any(|by| by.text() == path.text());
        let paths = self.distinct.as_ref()?.paths();
        if count.at_least < 2 || !paths.iter().all(is_key) {
            return None;
        }
        let message = "events with the same `by` have one value here, so no count is ever complete";
        let found = warning(Code::WINDOW_NEVER_FIRES, paths.first()?, message);
        Some(found.with_help("count another field, or remove this one from `by`"))
    }

    /// Whether an event that opens a match has the same key as a step.
    fn has_same_key(&self, step: &WindowStep) -> bool {
        step.by.as_ref().is_none_or(|by| *by == self.by)
    }
}

fn warning(code: Code, source: &EmbeddedText, message: &str) -> Diagnostic {
    Diagnostic::warning(code, source.span(), message)
}
