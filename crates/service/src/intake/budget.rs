//! Budgets: what each rule has consumed of late, and whether its reaction may run.
//!
//! A hostile or careless script within all limits of a single run, such as one that takes 40 ms or
//! writes 3 MB for each event, would slow down all other rules. So each rule has a token bucket for
//! processor time and one for bytes ([`RuleBudget`]), kept as what is used of its burst:
//!
//! ```text
//! used += cost of a run        used -= rate × time that passes        used ≥ burst: over budget
//! ```
//!
//! A run is permitted before its cost is known, so a rule can overdraw its budget by one run on
//! each worker; it pays for that by waiting longer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use reflexarc::{EffectSize, ReactionBudget, Rule};
use reflexarc_event::Json;

use super::stopwatch::thread_time;
use crate::budgets::{Budgets, RuleBudget};

/// What every rule has used of its budget.
pub(crate) struct BudgetAccounts {
    budgets: Arc<ArcSwap<Budgets>>,
    started: Instant,
    /// Only rules that have used some of it.
    used: Mutex<HashMap<String, Used>>,
}

/// What the evaluation of one event has been charged for, so that a second run of it is not charged
/// again.
#[derive(Debug, Default)]
pub(super) struct EventAccount {
    rules: Vec<RuleAccount>,
    is_rerun: bool,
}

/// The budget of one evaluation.
pub(super) struct EventBudget<'a> {
    accounts: &'a BudgetAccounts,
    event: RefCell<&'a mut EventAccount>,
    /// Processor time of this thread when the current reaction, or the evaluation of the current
    /// emitted event, began.
    began: Cell<Duration>,
    /// While an emitted event is evaluated, the bytes of the effects on it.
    emitted: Cell<Option<EffectSize>>,
}

#[derive(Debug)]
struct RuleAccount {
    /// Which rule; the rule set lives as long as the account.
    rule: RuleAddress,
    /// The message of the refusal, if the rule was over budget.
    refused: Option<String>,
    charged: Cost,
    /// The cost in the current evaluation.
    cost: Cost,
}

/// The address of a rule, which is cheaper to keep for each event than its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RuleAddress(usize);

/// Processor time and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    nanos: u64,
    bytes: u64,
}

/// What a rule has used of its bursts.
#[derive(Debug, Clone, Copy)]
struct Used {
    cost: Cost,
    /// When it was brought up to date.
    at: Duration,
}

/// How many of the rules that use most of their budgets are listed.
const MAX_LISTED: usize = 10;
/// Processor time of storing and delivering one effect, which other threads spend.
// A rule that emits 16 events for nine rules spends a tenth of its time in scripts.
const EFFECT_TIME: Duration = Duration::from_micros(10);
/// The smallest time that is credited: of shorter ones, the bytes would be rounded to none.
const CREDIT_INTERVAL: Duration = Duration::from_millis(1);

impl BudgetAccounts {
    pub(super) fn new(budgets: Arc<ArcSwap<Budgets>>) -> Self {
        Self {
            budgets,
            started: Instant::now(),
            used: Mutex::default(),
        }
    }

    /// The rules that have used most of their bursts, with the used shares in percent.
    pub(crate) fn most_used(&self) -> Json {
        let budgets = self.budgets.load();
        let now = self.started.elapsed();
        let mut used = self.lock();
        used.retain(|rule, used| !used.credit(budgets.of(rule), now).is_none());
        let share = |used: u64, burst: u64| used.saturating_mul(100) / burst.max(1);
        let shares = used.iter().map(|(rule, used)| {
            let budget = budgets.of(rule);
            let time = share(used.cost.nanos, nanos(budget.time_burst));
            let bytes = share(used.cost.bytes, budget.bytes_burst);
            (time, bytes, rule)
        });
        let mut shares: Vec<_> = shares.filter(|(time, bytes, _)| time + bytes > 0).collect();
        shares.sort_by_key(|(time, bytes, rule)| (std::cmp::Reverse(*time.max(bytes)), *rule));
        let listed = shares.into_iter().take(MAX_LISTED);
        let listed = listed.map(|(time, bytes, rule)| {
            Json::object([
                ("rule", rule.as_str().into()),
                ("time_percent", Json::count(time)),
                ("bytes_percent", Json::count(bytes)),
            ])
        });
        Json::Array(listed.collect())
    }

    /// Why a reaction of the rule may not run, if it may not.
    fn refuse(&self, rule: &str, is_rerun: bool, now: Duration) -> Option<String> {
        let mut used = self.lock();
        // Most rules have no entry, and an empty map has no cost.
        let entry = used.get_mut(rule)?;
        let budgets = self.budgets.load();
        let budget = budgets.of(rule);
        if entry.credit(budget, now).is_none() {
            used.remove(rule);
            return None;
        }
        // The first run of a reaction was permitted and paid for, and its second run is no fault of
        // the rule. But a script may be cheap on the state that the first run sees and expensive on
        // that of the second, so there is a limit, one burst further away.
        let allowed = |burst: u64| burst.saturating_mul(if is_rerun { 2 } else { 1 });
        let cost = entry.cost;
        let (key, exceeded) = if cost.nanos >= allowed(nanos(budget.time_burst)) {
            ("time", format!("{:?} of processor time", budget.time))
        } else if cost.bytes >= allowed(budget.bytes_burst) {
            ("bytes", format!("{} bytes of effects", budget.bytes))
        } else {
            return None;
        };
        Some(format!(
            "`{rule}` is over its budget of {exceeded} a second; its reaction did not run; make it \
             cheaper, or raise `{key}` in [budgets.rules.{rule:?}] of the configuration"
        ))
    }

    fn charge(&self, rule: &str, cost: Cost, now: Duration) {
        if cost.is_none() {
            return;
        }
        let mut used = self.lock();
        let none = Used {
            cost: Cost::default(),
            at: now,
        };
        let entry = used.entry(rule.to_owned()).or_insert(none);
        entry.cost = entry.cost.plus(cost);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventAccount {
    /// From now on the event is evaluated a second time.
    pub(super) fn begin_rerun(&mut self) {
        self.is_rerun = true;
        for rule in &mut self.rules {
            rule.cost = Cost::default();
        }
    }

    fn entry(&mut self, rule: &Rule) -> &mut RuleAccount {
        let rule = RuleAddress(std::ptr::from_ref(rule).addr());
        let position = self.rules.iter().position(|found| found.rule == rule);
        let position = position.unwrap_or_else(|| {
            self.rules.push(RuleAccount {
                rule,
                refused: None,
                charged: Cost::default(),
                cost: Cost::default(),
            });
            self.rules.len() - 1
        });
        &mut self.rules[position]
    }
}

impl<'a> EventBudget<'a> {
    /// For an evaluation of the event with this account.
    pub(super) fn new(accounts: &'a BudgetAccounts, event: &'a mut EventAccount) -> Self {
        Self {
            accounts,
            event: RefCell::new(event),
            began: Cell::default(),
            emitted: Cell::new(None),
        }
    }

    /// Charges a rule for what ended now.
    fn charge(&self, rule: &Rule, effects: EffectSize) {
        let time = thread_time().saturating_sub(self.began.get());
        let mut event = self.event.borrow_mut();
        let account = event.entry(rule);
        account.cost = account.cost.plus(Cost::new(time, effects));
        // What is free is free once for an event, in however many runs it is used. A second
        // evaluation is charged only for what it costs more than the first.
        let due = account.cost.minus(Cost::FREE).minus(account.charged);
        account.charged = account.charged.plus(due);
        // Nearly all runs.
        if due.is_none() {
            return;
        }
        let now = self.accounts.started.elapsed();
        self.accounts.charge(rule.name(), due, now);
    }
}

impl ReactionBudget for EventBudget<'_> {
    fn begin(&self, rule: &Rule) -> Result<(), String> {
        let mut event = self.event.borrow_mut();
        let is_rerun = event.is_rerun;
        let account = event.entry(rule);
        // Decided once for an event and rule: between the two evaluations of an event, or between
        // two emitted events, enough time may pass for another decision.
        if let Some(message) = &account.refused {
            return Err(message.clone());
        }
        let now = self.accounts.started.elapsed();
        if let Some(message) = self.accounts.refuse(rule.name(), is_rerun, now) {
            account.refused = Some(message.clone());
            return Err(message);
        }
        if self.emitted.get().is_none() {
            self.began.set(thread_time());
        }
        Ok(())
    }

    fn end(&self, rule: &Rule, effects: EffectSize) {
        match self.emitted.get() {
            None => self.charge(rule, effects),
            Some(sum) => self.emitted.set(Some(sum.plus(effects))),
        }
    }

    // All that an emitted event causes is charged to the rule with which it began, and not to the
    // rules that react to it: one that emits 16 events for each event would use up their budgets.

    fn begin_emitted(&self, _: &Rule) {
        self.emitted.set(Some(EffectSize::default()));
        self.began.set(thread_time());
    }

    fn end_emitted(&self, origin: &Rule) {
        let effects = self.emitted.take().unwrap_or_default();
        self.charge(origin, effects);
    }
}

impl Cost {
    /// What does not count of the cost that one event causes.
    const FREE: Self = Self {
        // 100 µs fit.
        nanos: RuleBudget::FREE_TIME.subsec_nanos() as u64,
        bytes: RuleBudget::FREE_BYTES,
    };

    fn new(time: Duration, effects: EffectSize) -> Self {
        let count = u32::try_from(effects.count).unwrap_or(u32::MAX);
        let time = time.saturating_add(EFFECT_TIME.saturating_mul(count));
        Self {
            nanos: nanos(time),
            bytes: u64::try_from(effects.bytes).unwrap_or(u64::MAX),
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }

    fn plus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

impl Used {
    /// Subtracts what the rule may have used since the last time, and returns what is left.
    fn credit(&mut self, budget: &RuleBudget, now: Duration) -> Cost {
        let elapsed = now.saturating_sub(self.at);
        if elapsed >= CREDIT_INTERVAL {
            let credit = |rate: u64| {
                let amount = u128::from(rate) * elapsed.as_nanos() / 1_000_000_000;
                u64::try_from(amount).unwrap_or(u64::MAX)
            };
            self.cost = self.cost.minus(Cost {
                nanos: credit(nanos(budget.time)),
                bytes: credit(budget.bytes),
            });
            self.at = now;
        }
        self.cost
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "budget/tests.rs"]
mod tests;
