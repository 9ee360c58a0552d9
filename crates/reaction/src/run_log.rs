//! The log lines of one run: too long ones are cut, too many are left out, and both is noted.
//!
//! A log line only describes what a run does. A limit on it must not end the run: the alert
//! that the run sends would be lost because of its description.

use reflexarc_diagnostic::truncate_to_bytes;

use crate::ReactionLimits;
use crate::run::grouped;

/// The log lines of one run, within its limits.
#[derive(Default)]
pub(crate) struct RunLog {
    lines: Vec<String>,
    /// The size of the lines.
    bytes: usize,
    /// How many lines were cut.
    cut: usize,
    /// How many lines were left out.
    left_out: usize,
}

impl RunLog {
    /// Whether a further line is certain to be left out, so that its text need not be made.
    pub(crate) fn is_full(&self, limits: &ReactionLimits) -> bool {
        self.lines.len() >= limits.log_lines
    }

    /// Adds a line, cut to the limit of its size; leaves it out if the log has no room for it.
    pub(crate) fn add(&mut self, line: &str, limits: &ReactionLimits) {
        let line = truncate_to_bytes(line, limits.log_bytes);
        let bytes = self.bytes.saturating_add(line.text.len());
        // On a large event a line may have a megabyte, so the number of lines alone is no bound.
        if self.is_full(limits) || bytes > limits.effect_bytes {
            self.leave_out();
            return;
        }
        self.bytes = bytes;
        self.cut += usize::from(line.is_cut);
        self.lines.push(line.text.into_owned());
    }

    /// The size of the lines.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts a line that is not in the log.
    pub(crate) fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }

    /// The lines, and notes about what is missing in them.
    pub(crate) fn finish(self, limits: &ReactionLimits) -> (Vec<String>, Vec<String>) {
        let count = |lines: usize| match lines {
            1 => "1 line".to_owned(),
            more => format!("{} lines", grouped(more)),
        };
        let mut notes = Vec::new();
        if self.cut > 0 {
            let (cut, max) = (count(self.cut), grouped(limits.log_bytes));
            notes.push(format!("log: {cut} cut to {max} bytes"));
        }
        if self.left_out > 0 {
            let left_out = count(self.left_out);
            let (lines, bytes) = (grouped(limits.log_lines), grouped(limits.effect_bytes));
            notes.push(format!(
                "log: {left_out} left out; a run may log {lines} lines and {bytes} bytes"
            ));
        }
        (self.lines, notes)
    }
}
