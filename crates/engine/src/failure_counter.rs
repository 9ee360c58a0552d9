//! Detecting rules that fail repeatedly.

use std::collections::BTreeMap;

use crate::{Evaluation, Rule, RuleSet};

/// Counts the consecutive failures of each rule over a sequence of evaluations. A failing rule is
/// still evaluated for every event that it matches; the counter only decides when to report it.
///
/// ```
/// use reflexarc::{FailureCounter, NativeEvent, NoState, RuleSet, Timestamp};
///
/// let text = "when = 'id exists'\nthen = 'throw \"no\"'\nreport_after = 2";
/// let rules = RuleSet::compile([("broken.toml", text)])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let mut counter = FailureCounter::new();
/// let mut reports = Vec::new();
/// for _ in 0..4 {
///     let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
///     reports.extend(counter.record(&rules, &evaluation));
/// }
/// let counts: Vec<_> = reports.iter().map(|report| report.consecutive).collect();
/// assert_eq!(counts, [2, 4]);
/// assert_eq!(counter.consecutive("broken"), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FailureCounter {
    consecutive: BTreeMap<String, u32>,
}

/// A rule that has failed `report_after` times in a row (3 unless its file sets it), or 2, 4, 8 …
/// times as often.
///
/// ```
/// use reflexarc::{FailureCounter, NativeEvent, NoState, RuleSet, Timestamp};
///
/// let text = "when = 'id exists'\nthen = 'throw \"no\"'\nreport_after = 1";
/// let rules = RuleSet::compile([("broken.toml", text)])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
/// let report = &FailureCounter::new().record(&rules, &evaluation)[0];
/// assert_eq!((report.rule.as_str(), report.consecutive), ("broken", 1));
/// assert!(report.message.ends_with("no"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureReport {
    /// The rule's name.
    pub rule: String,
    /// The number of consecutive failures.
    pub consecutive: u32,
    /// The last failure.
    pub message: String,
}

impl FailureCounter {
    /// A counter without failures.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of consecutive failures of a rule; 0 after a success.
    pub fn consecutive(&self, rule: &str) -> u32 {
        self.consecutive.get(rule).copied().unwrap_or(0)
    }

    /// Records the next evaluation and returns the rules to report. Evaluations must be recorded in
    /// the order in which they happened.
    pub fn record(&mut self, rules: &RuleSet, evaluation: &Evaluation) -> Vec<FailureReport> {
        // Successes first: with several hops a rule may succeed for one event and fail for another
        // of the same evaluation. That counts as its first failure in a row.
        for rule in evaluation.matched() {
            self.consecutive.remove(rule);
        }
        let mut reports = Vec::new();
        for failure in &evaluation.failures {
            let count = self.consecutive.entry(failure.rule.clone()).or_insert(0);
            *count = count.saturating_add(1);
            // 1 for a rule that a reload has removed meanwhile.
            let after = rules.get(&failure.rule).map_or(1, Rule::report_after);
            // Exponential backoff: with `report_after = 3`, failures 3, 6, 12, 24 … are reported,
            // so that a rule that stays broken is never silent, but ever more rarely repeated.
            if count.is_multiple_of(after) && (*count / after).is_power_of_two() {
                reports.push(FailureReport {
                    rule: failure.rule.clone(),
                    consecutive: *count,
                    message: failure.message.clone(),
                });
            }
        }
        reports
    }
}
