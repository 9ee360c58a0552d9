//! Rules that keep failing: logged, shown in `/status`, `/readyz` and `/metrics`, never skipped.
//! Notes on rules, such as a gate whose key an event lacks, are logged and counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reflexarc::{Evaluation, FailureCause, FailureCounter, RuleSet};

use crate::telemetry::{ProblemKind, Problems};

/// Observes evaluations in the order in which they are committed and keeps the failing rules.
///
/// A failing rule goes on being run for every event that it matches: a suspended rule would lose
/// events silently.
pub(crate) struct FailureTracker {
    observed: Mutex<Observed>,
    problems: Arc<Problems>,
}

#[derive(Default)]
struct Observed {
    counter: FailureCounter,
    reported: BTreeMap<String, FailingRule>,
    /// How many evaluations each rule was part of without failing.
    matched: BTreeMap<String, u64>,
    /// How many reactions of each rule failed.
    failed: BTreeMap<String, u64>,
    /// How many reactions of each rule did not run because of its budget.
    over_budget: BTreeMap<String, u64>,
    /// How many evaluations of each rule had notes.
    noted: BTreeMap<String, u64>,
    report_lines: LineLimit,
}

/// Bounds the lines about each rule that keeps failing. A rule that fails three times, succeeds
/// once and fails again, as one that is over its budget does, is reported from the start each time.
#[derive(Default)]
struct LineLimit {
    /// By rule, the beginning of the current minute and the lines in it.
    lines: BTreeMap<String, (Instant, u32)>,
}

/// Lines about one rule in a minute.
const MAX_REPORT_LINES: u32 = 5;

/// The failures of a rule that was reported and has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailingRule {
    /// Failures in a row.
    pub(crate) in_a_row: u32,
    /// Message of the latest failure.
    pub(crate) message: String,
}

impl FailureTracker {
    /// A tracker that reports to these problems.
    pub(crate) fn new(problems: Arc<Problems>) -> Self {
        Self {
            observed: Mutex::default(),
            problems,
        }
    }

    /// Observes one evaluation.
    pub(crate) fn observe(&self, rules: &RuleSet, evaluation: &Evaluation) {
        // The common case, an event that no rule matches, takes no lock. An evaluation whose commit
        // fails (disk full) is counted here and again when the client sends the event again: the
        // rule did fail twice.
        if evaluation.rules.is_empty() && evaluation.failures.is_empty() {
            return;
        }
        let Observed {
            counter,
            reported,
            matched,
            failed,
            over_budget,
            noted,
            report_lines,
        } = &mut *self.lock();
        for effects in &evaluation.rules {
            // Without an allocation for a rule that has matched before.
            match matched.get_mut(&effects.rule) {
                Some(count) => *count += 1,
                None => drop(matched.insert(effects.rule.clone(), 1)),
            }
        }
        for effects in evaluation
            .rules
            .iter()
            .filter(|rule| !rule.notes.is_empty())
        {
            let count = noted.entry(effects.rule.clone()).or_default();
            *count += 1;
            // Summed after the first of a minute: a rule may have the same note on every event.
            let note = effects.notes.join("; ");
            let kind = ProblemKind::RuleNoted;
            if self.problems.occurred(kind, &effects.rule, 1, &note) {
                tracing::warn!(
                    rule = effects.rule,
                    times = *count,
                    note,
                    "a rule may not do what is intended"
                );
            }
        }
        for failure in &evaluation.failures {
            let kind = if failure.cause == FailureCause::Budget {
                *over_budget.entry(failure.rule.clone()).or_default() += 1;
                ProblemKind::OverBudget
            } else {
                ProblemKind::ReactionFailed
            };
            let count = failed.entry(failure.rule.clone()).or_default();
            *count += 1;
            // Each one, from the first: the alert of this event is lost, also where a success
            // follows, so that the rule is never reported as one that keeps failing.
            if self
                .problems
                .occurred(kind, &failure.rule, 1, &failure.message)
            {
                tracing::warn!(
                    rule = failure.rule,
                    times = *count,
                    error = failure.message,
                    "a reaction failed; its event is kept, its actions are not delivered"
                );
            }
        }
        for report in counter.record(rules, evaluation) {
            if report_lines.allow(&report.rule, Instant::now()) {
                tracing::error!(
                    rule = report.rule,
                    in_a_row = report.consecutive,
                    error = report.message,
                    "a rule keeps failing; it goes on being run, and its events are kept"
                );
            }
            let failing = FailingRule {
                in_a_row: report.consecutive,
                message: report.message,
            };
            reported.insert(report.rule, failing);
        }
        // `counter` reports ever more rarely; in between the numbers shown are kept up to date.
        for failure in &evaluation.failures {
            if let Some(failing) = reported.get_mut(&failure.rule) {
                failing.in_a_row = counter.consecutive(&failure.rule);
                failing.message.clone_from(&failure.message);
            }
        }
        // A success sets the count to 0.
        reported.retain(|rule, _| counter.consecutive(rule) > 0);
    }

    /// The failing rules of this rule set: a rule that a reload removed is not among them.
    pub(crate) fn current(&self, rules: &RuleSet) -> Vec<(String, FailingRule)> {
        self.lock()
            .reported
            .iter()
            // An empty name stands for a panic, which belongs to no rule.
            .filter(|(rule, _)| rule.is_empty() || rules.get(rule).is_some())
            .map(|(rule, failing)| (rule.clone(), failing.clone()))
            .collect()
    }

    /// How many reactions did not run because of their budget, for each rule of this set.
    pub(crate) fn over_budget(&self, rules: &RuleSet) -> Vec<(String, u64)> {
        of_set(&self.lock().over_budget, rules)
    }

    /// How often each rule of this set has matched without failing, since the start.
    pub(crate) fn matched(&self, rules: &RuleSet) -> Vec<(String, u64)> {
        of_set(&self.lock().matched, rules)
    }

    /// How many reactions failed, for each rule of this set, since the start.
    pub(crate) fn failed(&self, rules: &RuleSet) -> Vec<(String, u64)> {
        of_set(&self.lock().failed, rules)
    }

    /// How many evaluations had notes, for each rule of this set.
    pub(crate) fn noted(&self, rules: &RuleSet) -> Vec<(String, u64)> {
        of_set(&self.lock().noted, rules)
    }

    fn lock(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineLimit {
    /// Whether a line about the rule may be logged now.
    fn allow(&mut self, rule: &str, now: Instant) -> bool {
        let minute = Duration::from_secs(60);
        let (began, lines) = self.lines.entry(rule.to_owned()).or_insert((now, 0));
        if now.saturating_duration_since(*began) >= minute {
            (*began, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        *lines <= MAX_REPORT_LINES
    }
}

/// The counts of rules that exist.
fn of_set(counts: &BTreeMap<String, u64>, rules: &RuleSet) -> Vec<(String, u64)> {
    counts
        .iter()
        .filter(|(rule, _)| rules.get(rule).is_some())
        .map(|(rule, count)| (rule.clone(), *count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_a_rule_are_bounded_in_each_minute() {
        let mut limit = LineLimit::default();
        let start = Instant::now();
        let lines = |limit: &mut LineLimit, rule: &str, second: u64| {
            let now = start + Duration::from_secs(second);
            (0..100).filter(|_| limit.allow(rule, now)).count()
        };
        let most = MAX_REPORT_LINES as usize;
        assert_eq!(lines(&mut limit, "a", 0), most);
        assert_eq!(lines(&mut limit, "a", 59), 0);
        assert_eq!(lines(&mut limit, "b", 59), most);
        assert_eq!(lines(&mut limit, "a", 60), most);
    }
}
