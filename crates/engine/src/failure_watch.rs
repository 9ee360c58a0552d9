//! Noticing rules that fail again and again.

use std::collections::BTreeMap;

use crate::{Evaluation, RuleSet};

/// Counts how often in a row each rule has failed, over the evaluations it is shown. A failing rule goes on being run
/// for every event it matches; this only says when it is time to tell somebody.
#[derive(Debug, Clone, Default)]
pub struct FailureWatch {
    in_a_row: BTreeMap<String, u32>,
}

/// A rule that has failed as often in a row as its file allows (`report_after`, 3 unless given), or twice that, four
/// times that, and so on: a rule that stays broken is reported ever more rarely, but never forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// The rule's name.
    pub rule: String,
    /// How often in a row it has failed.
    pub in_a_row: u32,
    /// How it failed last.
    pub message: String,
}

impl FailureWatch {
    /// No failure yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often in a row this rule has failed; 0 when it has not, or has worked since.
    pub fn in_a_row(&self, rule: &str) -> u32 {
        self.in_a_row.get(rule).copied().unwrap_or(0)
    }

    /// Takes note of an evaluation, in the order in which they happened, and says what is to be reported.
    pub fn observe(&mut self, rules: &RuleSet, evaluation: &Evaluation) -> Vec<FailureReport> {
        for rule in evaluation.matched() {
            self.in_a_row.remove(rule);
        }
        let mut reports = Vec::new();
        for failure in &evaluation.failures {
            let count = self.in_a_row.entry(failure.rule.clone()).or_insert(0);
            *count = count.saturating_add(1);
            let after = rules
                .get(&failure.rule)
                .map_or(1, crate::Rule::report_after);
            if count.is_multiple_of(after) && (*count / after).is_power_of_two() {
                let (rule, message) = (failure.rule.clone(), failure.message.clone());
                reports.push(FailureReport {
                    rule,
                    in_a_row: *count,
                    message,
                });
            }
        }
        reports
    }
}
