//! Rules that go wrong again and again: said in the log, shown to operators, never silently skipped.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reflexarc::{Evaluation, FailureWatch, RuleSet};

/// Takes note of evaluations in the order in which they are stored. A failing rule goes on being run for every event that
/// it matches; here somebody is told.
#[derive(Default)]
pub(crate) struct Failing {
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    watch: FailureWatch,
    rules: BTreeMap<String, Trouble>,
}

/// How a rule that was reported is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// How often in a row it has failed.
    pub(crate) in_a_row: u32,
    /// How it failed last.
    pub(crate) message: String,
}

impl Failing {
    /// Takes note of one evaluation. One that is undone because the disk is full is counted again when the event comes
    /// again, which is as it is: the rule did fail twice.
    pub(crate) fn observe(&self, rules: &RuleSet, evaluation: &Evaluation) {
        if evaluation.rules.is_empty() && evaluation.failures.is_empty() {
            return;
        }
        let Noted {
            watch,
            rules: reported,
        } = &mut *self.lock();
        for report in watch.observe(rules, evaluation) {
            tracing::error!(
                rule = report.rule,
                in_a_row = report.in_a_row,
                fault = report.message,
                "a rule fails again and again; it goes on being run, and its events are kept"
            );
            reported.insert(
                report.rule,
                Trouble {
                    in_a_row: report.in_a_row,
                    message: report.message,
                },
            );
        }
        for failure in &evaluation.failures {
            if let Some(trouble) = reported.get_mut(&failure.rule) {
                trouble.in_a_row = watch.in_a_row(&failure.rule);
                trouble.message.clone_from(&failure.message);
            }
        }
        reported.retain(|rule, _| watch.in_a_row(rule) > 0);
    }

    /// The rules of this set that were reported and have not worked since.
    pub(crate) fn among(&self, rules: &RuleSet) -> Vec<(String, Trouble)> {
        let noted = self.lock();
        let known = noted
            .rules
            .iter()
            .filter(|(rule, _)| rule.is_empty() || rules.get(rule).is_some());
        known
            .map(|(rule, trouble)| (rule.clone(), trouble.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
