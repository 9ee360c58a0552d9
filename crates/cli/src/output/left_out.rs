//! What a report leaves out because it cannot be read.

use reflexarc_service::store::DamagedEvent;

use super::Output;
use super::text::plural;
use crate::exit::Exit;

/// Counts what is left out.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    events: u64,
    /// Positions at which there may have been events.
    positions: u64,
    /// The first position of damage that reaches to the end.
    end: Option<i64>,
}

impl LeftOut {
    /// Reports and counts a damaged event, or a range of them.
    pub(crate) fn event(&mut self, damaged: &DamagedEvent, output: &mut Output) {
        output.error(&damaged.to_string());
        match (damaged.seq, damaged.last) {
            (first, last) if first == last => self.events += 1,
            (first, i64::MAX) => self.end = Some(first),
            (first, last) => self.positions += first.abs_diff(last) + 1,
        }
    }

    /// Reports how much was left out; `exit` if nothing was.
    pub(crate) fn finish(&self, exit: Exit, output: &mut Output) -> Exit {
        let mut parts = Vec::new();
        if self.events > 0 {
            parts.push(plural(self.events, "damaged event"));
        }
        if self.positions > 0 {
            parts.push(format!("up to {}", plural(self.positions, "event")));
        }
        if let Some(first) = self.end {
            parts.push(format!("everything from position {first} on"));
        }
        if parts.is_empty() {
            return exit;
        }
        output.error(&format!("{} left out", parts.join(" and ")));
        Exit::Unreadable
    }
}
