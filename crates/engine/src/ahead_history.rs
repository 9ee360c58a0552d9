//! Which rules are worth running ahead of their turn.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Of how many of the last runs ahead of one rule at most half may have been in vain.
const RUNS: u32 = u64::BITS;

/// Of the events of a rule that does not run ahead, one in so many does nevertheless, to find out
/// whether it would be worth it again.
const TRY_EVERY: u32 = 32;

/// How often what each rule did ahead of its turn still held in its turn.
///
/// A rule that counts all its events in one entry changes what the next event reads, so that it
/// always runs twice; one with an entry for each interface nearly never does. This decides only
/// where a reaction runs, never what it does.
#[derive(Debug, Default)]
pub(crate) struct AheadHistory {
    rules: Vec<RuleHistory>,
    /// For each rule, whether it is not worth it.
    // Not in `RuleHistory`, which the thread that evaluates writes at each event: reading it from
    // the others would cost them more than a short reaction.
    in_vain: Vec<AtomicBool>,
}

#[derive(Debug, Default)]
struct RuleHistory {
    /// One bit for each of the last runs, the last one lowest: whether it was in vain.
    last: AtomicU64,
    /// Events for which the rule was asked for while it did not run ahead.
    waited: AtomicU32,
}

impl AheadHistory {
    /// That of so many rules, which have not run yet.
    pub(crate) fn new(rules: usize) -> Self {
        Self {
            rules: (0..rules).map(|_| RuleHistory::default()).collect(),
            in_vain: (0..rules).map(|_| AtomicBool::default()).collect(),
        }
    }

    /// Whether the rule at a position should run ahead for the next event.
    pub(crate) fn is_worth_it(&self, rule: usize) -> bool {
        let (Some(in_vain), Some(history)) = (self.in_vain.get(rule), self.rules.get(rule)) else {
            return false;
        };
        if !in_vain.load(Ordering::Relaxed) {
            return true;
        }
        let waited = history.waited.fetch_add(1, Ordering::Relaxed);
        waited % TRY_EVERY == TRY_EVERY - 1
    }

    /// Records whether what the rule at a position did ahead still held in its turn.
    pub(crate) fn record(&self, rule: usize, held: bool) {
        let (Some(in_vain), Some(history)) = (self.in_vain.get(rule), self.rules.get(rule)) else {
            return;
        };
        // Several threads that evaluate with one rule set may lose a bit to each other, which does
        // not matter.
        let last = history.last.load(Ordering::Relaxed) << 1 | u64::from(!held);
        history.last.store(last, Ordering::Relaxed);
        let is_in_vain = last.count_ones() > RUNS / 2;
        if in_vain.load(Ordering::Relaxed) != is_in_vain {
            in_vain.store(is_in_vain, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead_of(history: &AheadHistory, events: usize) -> usize {
        let events = (0..events).filter(|_| history.is_worth_it(1));
        events.count()
    }

    #[test]
    fn a_rule_that_runs_in_vain_stops_until_it_holds_again() {
        let history = AheadHistory::new(2);
        assert_eq!(ahead_of(&history, 100), 100);
        for _ in 0..=RUNS / 2 {
            assert!(history.is_worth_it(1));
            history.record(1, false);
        }
        assert_eq!(ahead_of(&history, 320), 10, "one in 32 is tried");
        assert!(history.is_worth_it(0), "the other rule");
        for _ in 1..RUNS / 2 {
            history.record(1, true);
        }
        assert_eq!(ahead_of(&history, 320), 10, "33 of the last 64 in vain");
        history.record(1, true);
        assert_eq!(ahead_of(&history, 320), 320, "32 of the last 64");
    }

    #[test]
    fn a_rule_that_is_not_there_does_not_run_ahead() {
        let history = AheadHistory::new(1);
        assert!(!history.is_worth_it(1));
        history.record(1, true);
    }
}
