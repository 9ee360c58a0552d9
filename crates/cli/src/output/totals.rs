//! The counts at the end of a run.

use std::collections::BTreeMap;
use std::fmt;

use reflexarc::{Evaluation, RuleEffects};

use super::Output;
use super::text::plural;
use crate::exit::Failure;

/// Counts over all events of a run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Records in the input, unreadable ones included.
    pub(crate) events: u64,
    /// Unreadable records.
    pub(crate) unreadable: u64,
    /// Events that at least one rule matched.
    pub(crate) matched: u64,
    /// Failed reactions.
    pub(crate) failures: u64,
    /// Reactions that called `skip`.
    pub(crate) skipped: u64,
    /// Actions by target.
    pub(crate) actions: BTreeMap<String, u64>,
    /// Matches by rule.
    pub(crate) rules: BTreeMap<String, u64>,
    /// Deadlines that have passed.
    pub(crate) fired: u64,
    /// Delayed actions that became due.
    pub(crate) delayed: u64,
    /// By rule, keys that still wait for something.
    pub(crate) pending: BTreeMap<String, u64>,
    /// By rule, delayed actions that are not due yet.
    pub(crate) waiting: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds the evaluation of an event.
    pub(crate) fn add(&mut self, evaluation: &Evaluation) {
        self.matched += u64::from(!evaluation.is_empty());
        self.add_effects(evaluation);
    }

    /// Adds the evaluation of a deadline.
    pub(crate) fn add_firing(&mut self, evaluation: &Evaluation) {
        self.fired += 1;
        self.add_effects(evaluation);
    }

    /// Adds a delayed action that is due.
    pub(crate) fn add_delayed(&mut self, effects: &RuleEffects) {
        self.delayed += 1;
        for action in &effects.actions {
            count(&mut self.actions, action.target());
        }
    }

    fn add_effects(&mut self, evaluation: &Evaluation) {
        self.failures += evaluation.failures.len() as u64;
        for effects in &evaluation.rules {
            count(&mut self.rules, &effects.rule);
            self.skipped += u64::from(effects.skipped.is_some());
        }
        for (_, _, action) in evaluation.actions() {
            // Delayed ones count when they are due.
            if action.after().is_none() {
                count(&mut self.actions, action.target());
            }
        }
    }

    /// Prints the totals, below an empty line if events were printed above.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let text = self.to_string();
        output.line(format_args!(
            "{}{text}",
            if self.matched > 0 || self.fired > 0 || self.delayed > 0 {
                "\n"
            } else {
                ""
            }
        ))
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} matched",
            self.matched,
            plural(self.events, "event")
        )?;
        if self.unreadable > 0 {
            write!(f, ", {} unreadable", self.unreadable)?;
        }
        if self.fired > 0 {
            write!(f, ", {} passed", plural(self.fired, "deadline"))?;
        }
        let actions: u64 = self.actions.values().sum();
        write!(
            f,
            "; {} from {}",
            plural(actions, "action"),
            plural(self.rules.len() as u64, "rule")
        )?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        if self.failures > 0 {
            write!(f, ", {} failed", plural(self.failures, "reaction"))?;
        }
        for (label, counts) in [
            ("rules", &self.rules),
            ("targets", &self.actions),
            ("pending", &self.pending),
            ("delayed, not due yet", &self.waiting),
        ] {
            if !counts.is_empty() {
                let list: Vec<_> = counts
                    .iter()
                    .map(|(name, count)| format!("{name} {count}"))
                    .collect();
                write!(f, "\n  {label}: {}", list.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Adds one to the count of a name.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    // Copied only where it is new.
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}
