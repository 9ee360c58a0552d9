//! What the reactions of one rule may consume in a second, as configured.

use std::collections::BTreeMap;
use std::time::Duration;

use reflexarc::RuleSet;

/// What the reactions of one rule may consume over time. Beyond it they do not run and count as
/// failed; other rules and the event itself are not affected.
///
/// What one event costs up to [`RuleBudget::FREE_TIME`] and [`RuleBudget::FREE_BYTES`] does not
/// count: rules with ordinary scripts never meet their budget, whatever the number of events. The
/// events that a rule emits, and all reactions to them, are at its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleBudget {
    /// Processor time a second.
    pub time: Duration,
    /// Processor time that a rule may use at once after it has used little.
    pub time_burst: Duration,
    /// Bytes of actions, state changes, emitted events and log lines a second.
    pub bytes: u64,
    /// Bytes that a rule may use at once after it has used little.
    pub bytes_burst: u64,
}

/// The budgets of all rules.
///
/// ```
/// use reflexarc_service::budgets::{Budgets, RuleBudget};
///
/// assert_eq!(*Budgets::default().of("any rule"), RuleBudget::DEFAULT);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// That of rules which have none of their own.
    pub default: RuleBudget,
    /// Those of single rules, by name.
    pub rules: BTreeMap<String, RuleBudget>,
}

impl RuleBudget {
    /// A tenth of a processor, and as many bytes as 1,000 small messages: what leaves the other
    /// rules most of the machine, also where there is only one processor.
    pub const DEFAULT: Self = Self {
        time: Duration::from_millis(100),
        // Ten runs of the longest duration that one may have: while they run, little else does.
        time_burst: Duration::from_millis(500),
        bytes: 1 << 20,
        // Four runs with the largest effects that one may have. They are in memory together.
        bytes_burst: 16 << 20,
    };
    /// For a command that has the machine to itself.
    pub(crate) const UNLIMITED: Self = Self {
        time: Duration::MAX,
        time_burst: Duration::MAX,
        bytes: u64::MAX,
        bytes_burst: u64::MAX,
    };
    /// Processor time for each event that does not count.
    // Ten lines take 11 µs (`crates/reaction/benches/RESULTS.md`). Without it, a rule that sends
    // every event on would meet its budget at 20,000 events/s, although it slows no other rule
    // down.
    pub const FREE_TIME: Duration = Duration::from_micros(100);
    /// Bytes of the effects on each event that do not count.
    // An ECS event that is sent on has about 700.
    pub const FREE_BYTES: u64 = 4 << 10;
}

impl Default for RuleBudget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Budgets {
    /// The budget of a rule.
    pub fn of(&self, rule: &str) -> &RuleBudget {
        self.rules.get(rule).unwrap_or(&self.default)
    }

    /// The names of rules that have a budget and do not exist.
    pub(crate) fn unknown_rules(&self, rules: &RuleSet) -> Vec<&str> {
        let names = self.rules.keys().map(String::as_str);
        names.filter(|name| rules.get(name).is_none()).collect()
    }

    /// Logs these names, if there are any: what was meant to have another budget has not.
    pub(crate) fn warn_unknown_rules(&self, rules: &RuleSet) {
        let unknown = self.unknown_rules(rules);
        if !unknown.is_empty() {
            tracing::warn!(
                rules = unknown.join(", "),
                "[budgets.rules] names rules that do not exist; correct or remove the names"
            );
        }
    }
}
