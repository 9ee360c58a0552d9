use super::*;
use reflexarc::RuleSet;

const MS: u64 = 1_000_000;

fn budget(time_ms: u64, burst_ms: u64) -> RuleBudget {
    RuleBudget {
        time: Duration::from_millis(time_ms),
        time_burst: Duration::from_millis(burst_ms),
        bytes: 1_000,
        bytes_burst: 10_000,
    }
}

fn accounts(default: RuleBudget) -> BudgetAccounts {
    let budgets = Budgets {
        default,
        ..Budgets::default()
    };
    BudgetAccounts::new(Arc::new(ArcSwap::from_pointee(budgets)))
}

fn time(nanos: u64) -> Cost {
    Cost { nanos, bytes: 0 }
}

fn bytes(bytes: u64) -> Cost {
    Cost { nanos: 0, bytes }
}

/// One effect of this size.
fn effects(bytes: usize) -> EffectSize {
    EffectSize { bytes, count: 1 }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_burst_passes_and_then_the_rate_counts() {
    let accounts = accounts(budget(100, 500));
    // Ten runs of 50 ms at once are the burst.
    for _ in 0..10 {
        assert_eq!(accounts.refuse("slow", false, at(0)), None);
        accounts.charge("slow", time(50 * MS), at(0));
    }
    let message = accounts.refuse("slow", false, at(0)).unwrap();
    assert!(message.contains("`slow` is over its budget of 100ms of processor time a second"));
    assert!(
        message.contains("raise `time` in [budgets.rules.\"slow\"]"),
        "{message}"
    );
    assert_eq!(accounts.refuse("other", false, at(0)), None, "has its own");
    // 100 ms of time give 10 ms of processor time: enough to begin a run, which overdraws by 40.
    assert_eq!(accounts.refuse("slow", false, at(100)), None);
    accounts.charge("slow", time(50 * MS), at(100));
    assert!(accounts.refuse("slow", false, at(499)).is_some());
    assert_eq!(accounts.refuse("slow", false, at(501)), None);
    // Over ten seconds: 10 × 100 ms, in runs of 50 ms.
    let mut runs = 0;
    for now in 501..10_501 {
        if accounts.refuse("slow", false, at(now)).is_none() {
            accounts.charge("slow", time(50 * MS), at(now));
            runs += 1;
        }
    }
    assert!((19..=21).contains(&runs), "{runs}");
}

#[test]
fn bytes_have_a_budget_of_their_own() {
    let accounts = accounts(budget(100, 500));
    accounts.charge("loud", bytes(10_000), at(0));
    let message = accounts.refuse("loud", false, at(0)).unwrap();
    assert!(
        message.contains("1000 bytes of effects a second"),
        "{message}"
    );
    assert!(message.contains("raise `bytes`"), "{message}");
    assert_eq!(accounts.refuse("loud", false, at(10)), None);
    // Nothing is left of it after its time, and the rule has no entry any more.
    assert_eq!(accounts.refuse("loud", false, at(20_000)), None);
    assert!(accounts.lock().is_empty());
}

/// Credit comes in any number of steps; many small ones must not be rounded away.
#[test]
fn credit_does_not_depend_on_how_often_it_is_asked_for() {
    let budget = budget(100, 500);
    let spent = Cost {
        nanos: 400 * MS,
        bytes: 4_000,
    };
    for steps in [1, 7, 1_000, 50_000] {
        let mut used = Used {
            cost: spent,
            at: Duration::ZERO,
        };
        for step in 1..=steps {
            used.credit(&budget, Duration::from_secs(2) * step / steps);
        }
        assert!(used.cost.nanos.abs_diff(200 * MS) < MS, "{steps}: {used:?}");
        assert!(
            used.cost.bytes.abs_diff(2_000) <= 1_000,
            "{steps}: {used:?}"
        );
    }
}

#[test]
fn ordinary_runs_are_free() {
    let due = |time, bytes| Cost::new(time, effects(bytes)).minus(Cost::FREE);
    let free = RuleBudget::FREE_TIME.saturating_sub(EFFECT_TIME);
    assert!(due(free, 4_096).is_none());
    // A script that takes no time, and leaves work to others.
    let many = EffectSize {
        bytes: 0,
        count: 100,
    };
    let cost = Cost::new(Duration::ZERO, many).minus(Cost::FREE);
    assert_eq!(cost, time(900_000));
    let cost = due(Duration::from_millis(2), 5_000);
    assert_eq!((cost.nanos, cost.bytes), (1_910_000, 904));
}

fn rules() -> RuleSet {
    RuleSet::compile([("slow.toml", "when = 'a exists'\nnotify = ['t']")]).unwrap()
}

#[test]
fn a_second_run_is_charged_for_what_it_costs_more() {
    let (accounts, rules) = (accounts(budget(100, 500)), rules());
    let rule = rules.get("slow").unwrap();
    let mut event = EventAccount::default();
    let spent = || {
        accounts
            .lock()
            .get("slow")
            .map_or(0, |used| used.cost.bytes)
    };
    let run = |event: &mut EventAccount, bytes| {
        let budget = EventBudget::new(&accounts, event);
        budget
            .begin(rule)
            .map(|()| budget.end(rule, effects(bytes)))
    };
    run(&mut event, 6_096).unwrap();
    assert_eq!(spent(), 2_000);
    event.begin_rerun();
    run(&mut event, 6_096).unwrap();
    assert!((1_990..=2_000).contains(&spent()), "{}", spent());
    event.begin_rerun();
    run(&mut event, 7_096).unwrap();
    assert!((2_980..=3_000).contains(&spent()), "{}", spent());
}

/// Cheap on the state that speculation sees, expensive on that of the commit.
#[test]
fn second_runs_have_an_overdraft_of_one_burst() {
    let accounts = accounts(budget(100, 500));
    accounts.charge("sly", time(500 * MS), at(0));
    assert!(accounts.refuse("sly", false, at(0)).is_some());
    assert_eq!(accounts.refuse("sly", true, at(0)), None);
    accounts.charge("sly", time(500 * MS), at(0));
    assert!(accounts.refuse("sly", true, at(0)).is_some());
}

#[test]
fn a_refusal_holds_for_both_runs_of_an_event() {
    let (accounts, rules) = (accounts(budget(100, 500)), rules());
    let rule = rules.get("slow").unwrap();
    // So much that it is used up for minutes, however slow the machine is.
    accounts.charge("slow", time(50_000 * MS), accounts.started.elapsed());
    let mut event = EventAccount::default();
    let refused = EventBudget::new(&accounts, &mut event)
        .begin(rule)
        .unwrap_err();
    accounts.lock().clear();
    event.begin_rerun();
    let again = EventBudget::new(&accounts, &mut event).begin(rule);
    assert_eq!(again, Err(refused));
    assert_eq!(
        EventBudget::new(&accounts, &mut EventAccount::default()).begin(rule),
        Ok(())
    );
}

#[test]
fn the_rules_that_use_most_are_listed() {
    let accounts = accounts(budget(1, 500));
    let now = accounts.started.elapsed();
    accounts.charge("little", time(MS), now);
    accounts.charge("half", time(250 * MS), now);
    accounts.charge("loud", bytes(9_000), now);
    let listed = accounts.most_used().to_string();
    assert!(
        listed.starts_with(r#"[{"rule":"loud","time_percent":0"#),
        "{listed}"
    );
    assert!(listed.contains(r#""rule":"half","time_percent":49"#) || listed.contains(":50,"));
    assert!(!listed.contains("little"), "{listed}");
}

/// 65 runs for one event would otherwise have 65 times what is free.
#[test]
fn what_is_free_is_free_once_for_an_event() {
    let (accounts, rules) = (accounts(budget(100, 500)), rules());
    let rule = rules.get("slow").unwrap();
    let mut event = EventAccount::default();
    let budget = EventBudget::new(&accounts, &mut event);
    for _ in 0..3 {
        budget.begin(rule).unwrap();
        budget.end(rule, effects(3_000));
    }
    let spent = accounts.lock().get("slow").unwrap().cost.bytes;
    assert_eq!(spent, 9_000 - RuleBudget::FREE_BYTES);
}

#[test]
fn emitted_events_are_charged_to_the_rule_that_began() {
    let text = "when = 'a exists'\nnotify = ['t']";
    let rules = RuleSet::compile([("emits.toml", text), ("reacts.toml", text)]).unwrap();
    let (emits, reacts) = (rules.get("emits").unwrap(), rules.get("reacts").unwrap());
    let accounts = accounts(budget(100, 500));
    let mut event = EventAccount::default();
    let budget = EventBudget::new(&accounts, &mut event);
    for _ in 0..3 {
        budget.begin_emitted(emits);
        budget.begin(reacts).unwrap();
        budget.end(reacts, effects(5_000));
        budget.end_emitted(emits);
    }
    budget.begin(reacts).unwrap();
    budget.end(reacts, effects(5_000));
    let spent = |rule: &str| accounts.lock().get(rule).unwrap().cost.bytes;
    assert_eq!(spent("emits"), 15_000 - RuleBudget::FREE_BYTES);
    assert_eq!(spent("reacts"), 5_000 - RuleBudget::FREE_BYTES);
}
