//! What time windows cost: an event that opens a match, one that closes it, and a firing, with few
//! and with many matches pending; and how much memory a pending match takes.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]
#![allow(
    clippy::print_stderr,
    reason = "a figure that criterion has no place for"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::SignedDuration;
use reflexarc::{MemoryState, NativeEvent, RuleSet, Timestamp};

const PLAIN: &str = r#"
when = 'content.operation == "Detach"'
then = 'log(event.content.eniId)'
"#;

const WAITING: &str = r#"
when = 'content.operation == "Detach"'
by = "content.eniId"
not_followed_by = { when = 'content.operation == "Detached"', within = "30m" }
max_pending = 1000000
then = 'log(key)'
"#;

/// As many as a rule may have by default.
const MANY: usize = 100_000;

fn event(operation: &str, number: usize) -> NativeEvent {
    NativeEvent::from_json(format!(
        r#"{{"product": "ECS", "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
            "resourceId": "eni-{number}", "level": "INFO", "eventTime": "2026-11-25T08:00:00Z",
            "content": {{"operation": "{operation}", "eniId": "eni-{number}", "result": "success",
                         "requestId": "0F84-{number}", "vpcId": "vpc-bp1"}}}}"#
    ))
    .expect("a valid event")
}

fn rules(text: &str) -> RuleSet {
    RuleSet::compile([("rule.toml", text)]).expect("valid rules")
}

fn start() -> Timestamp {
    "2026-11-25T08:00:00Z".parse().expect("a time")
}

/// A state in which so many keys wait.
fn pending(rules: &RuleSet, count: usize) -> MemoryState {
    let mut state = MemoryState::new();
    for number in 0..count {
        rules.evaluate_in_time(&event("Detach", number), &mut state, start(), &mut |_| ());
    }
    state
}

/// The resident memory of this process in bytes, where the system shows it.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures its own process"
)]
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn windows(criterion: &mut Criterion) {
    let (plain, waiting) = (rules(PLAIN), rules(WAITING));
    let (opening, closing) = (event("Detach", MANY), event("Detached", 7));
    let (other, now) = (event("Create", 7), start());
    let mut group = criterion.benchmark_group("time");
    group.bench_function("a reaction without a window", |bencher| {
        let state = MemoryState::new();
        bencher.iter(|| plain.evaluate(black_box(&opening), &state, now));
    });
    group.bench_function("an event that the window has no filter for", |bencher| {
        let state = MemoryState::new();
        bencher.iter(|| waiting.evaluate(black_box(&other), &state, now));
    });
    let before = resident();
    let many = pending(&waiting, MANY);
    if let (Some(before), Some(after)) = (before, resident()) {
        let bytes = after.saturating_sub(before) / MANY;
        eprintln!("{bytes} bytes of memory a pending match, its event of 300 bytes included");
    }
    for (name, count) in [("10", 10), ("100,000", MANY)] {
        let state = if count == MANY {
            many.clone()
        } else {
            pending(&waiting, count)
        };
        let mut ignore = |_| ();
        group.bench_function(format!("an event that opens, {name} pending"), |bencher| {
            bencher.iter(|| {
                let mut state = state.clone();
                waiting.evaluate_in_time(black_box(&opening), &mut state, now, &mut ignore)
            });
        });
        group.bench_function(format!("an event that closes, {name} pending"), |bencher| {
            bencher.iter(|| {
                let mut state = state.clone();
                waiting.evaluate_in_time(black_box(&closing), &mut state, now, &mut ignore)
            });
        });
        let later = now + SignedDuration::from_hours(1);
        group.bench_function(format!("a firing, {name} pending"), |bencher| {
            bencher.iter(|| {
                let mut state = state.clone();
                waiting.fire_next(&mut state, black_box(later))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
