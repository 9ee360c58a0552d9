//! `[budgets]`.

use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::ConfigTable;
use reflexarc_diagnostic::Code;

use crate::budgets::{Budgets, RuleBudget};

/// The longest time that a budget may have a second or at once; no machine has as many processors.
const MAX_TIME: Duration = Duration::from_secs(3_600);

/// `[budgets]`, and the tables of single rules in it.
pub(super) fn budgets(root: &ConfigTable<'_>) -> Budgets {
    let mut budgets = Budgets::default();
    let Some(table) = root.table("budgets") else {
        return budgets;
    };
    budgets.default = rule_budget(&table, &budgets.default);
    for (name, rule) in table.named_tables("rules") {
        let budget = rule_budget(&rule, &budgets.default);
        budgets.rules.insert(name, budget);
        rule.finish();
    }
    table.finish();
    budgets
}

/// A budget; what a table does not set is that of `default`.
fn rule_budget(table: &ConfigTable<'_>, default: &RuleBudget) -> RuleBudget {
    let time = |key: &str, default: Duration| {
        let time = table.duration(key).map(SignedDuration::unsigned_abs);
        if time.is_some_and(|time| time > MAX_TIME) {
            let help = "write at most \"1h\", which is no budget at all";
            let message = format!("`{key}` is longer than an hour");
            table.fault(key, Code::CONFIG_VALUE, message, help);
        }
        time.unwrap_or(default)
    };
    let bytes = |key: &str, default: u64| table.integer(key, 1..=1 << 40).unwrap_or(default);
    RuleBudget {
        time: time("time", default.time),
        time_burst: time("time_burst", default.time_burst),
        bytes: bytes("bytes", default.bytes),
        bytes_burst: bytes("bytes_burst", default.bytes_burst),
    }
}
