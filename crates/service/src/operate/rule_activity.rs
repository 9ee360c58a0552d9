//! What the rules of a running service have done since it started.

use reflexarc::{Rule, RuleSet};

use crate::handle::ServiceHandle;

/// What one rule has done since the service started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleActivity {
    /// How often it has matched without failing.
    pub matched: u64,
    /// How many of its reactions have failed.
    pub failed: u64,
    /// Failures in a row, and the latest message, if it keeps failing.
    pub failing: Option<(u32, String)>,
}

impl ServiceHandle {
    /// For each of these rules, in the order of [`RuleSet::rules`]: what it has done.
    pub fn rule_activity(&self, rules: &RuleSet) -> Vec<RuleActivity> {
        let failures = self.state.intake.failures();
        let mut activity = vec![RuleActivity::default(); rules.len()];
        let names: Vec<&str> = rules.rules().map(Rule::name).collect();
        // The rules are sorted by name.
        let at = |rule: &str| names.binary_search(&rule).ok();
        for (rule, count) in failures.matched(rules) {
            if let Some(at) = at(&rule) {
                activity[at].matched = count;
            }
        }
        for (rule, count) in failures.failed(rules) {
            if let Some(at) = at(&rule) {
                activity[at].failed = count;
            }
        }
        for (rule, failing) in failures.current(rules) {
            if let Some(at) = at(&rule) {
                activity[at].failing = Some((failing.in_a_row, failing.message));
            }
        }
        activity
    }
}
