//! Random faults against the built service, several at a time, while events are sent.
//!
//! | variable | meaning | without it |
//! |---|---|---|
//! | `REFLEXARC_CHAOS_MINUTES` | length of the run | 1 |
//! | `REFLEXARC_CHAOS_SEED` | which faults come when | a new one, which is printed |
//!
//! A run with the same seed has the same faults with the same lengths; how they meet the service's
//! threads is up to the machine.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that runs the program and reports on it"
)]

mod attacks;
mod clock;
mod fault;
mod faults;
mod http;
mod random;
mod receiver;
mod sender;
mod service;
mod timers;
mod verdict;
mod watch;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fault::{End, Part, draw};
use crate::random::Random;
use crate::sender::SENDERS;
use crate::watch::{Record, Watch};
use crate::world::World;

/// The service may never use more memory.
const RESIDENT_KIB: u64 = 150 << 10;
/// The longest time from the end of the faults to the verdict.
const MAX_END: Duration = Duration::from_secs(600);
/// Faults at one time.
const AT_ONCE: usize = 5;

/// Length and seed of a run.
struct Plan {
    length: Duration,
    seed: u64,
}

/// A fault that lasts.
struct Active {
    number: usize,
    part: Part,
    until: Instant,
    end: End,
}

#[test]
fn nothing_is_lost_whatever_happens() {
    let plan = Plan::from_environment();
    let (seed, minutes) = (plan.seed, plan.length.as_secs_f64() / 60.0);
    eprintln!("chaos: {minutes} minutes, REFLEXARC_CHAOS_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let world = Arc::new(World::start(folder.path()));
    for left_out in faults::left_out(&world) {
        eprintln!("chaos: left out: {left_out}");
    }
    let watch = Arc::new(Watch::default());
    let is_over = Arc::new(AtomicBool::new(false));
    end_if_stuck(&plan, is_over.clone());
    run(&world, &watch, &plan);
    is_over.store(true, Ordering::Relaxed);
    let failures = world.failures();
    let records = watch.records();
    report(&world, &records);
    if failures.is_empty() {
        return;
    }
    world.write("faults.log", &describe(&records));
    drop(world);
    let logs = folder.keep();
    panic!(
        "REFLEXARC_CHAOS_SEED={seed}; logs and store are in {}\n{}\nlast faults:\n{}",
        logs.display(),
        failures
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n"),
        describe(
            records
                .get(records.len().saturating_sub(12)..)
                .unwrap_or_default()
        )
    );
}

/// Ends this process if the run takes longer than it can: a fault that waits for another one would
/// otherwise wait for ever, and nothing would be printed.
#[allow(
    clippy::exit,
    reason = "a thread that is stuck cannot be ended otherwise"
)]
fn end_if_stuck(plan: &Plan, is_over: Arc<AtomicBool>) {
    let (seed, limit) = (plan.seed, plan.length + MAX_END);
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        if !is_over.load(Ordering::Relaxed) {
            eprintln!("chaos: stuck after {limit:?}, REFLEXARC_CHAOS_SEED={seed}");
            std::process::exit(101);
        }
    });
}

fn run(world: &Arc<World>, watch: &Arc<Watch>, plan: &Plan) {
    let mut random = Random::new(plan.seed);
    let supervisor = spawn(world, |world| world.service.supervise(world, RESIDENT_KIB));
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let random = random.fork();
        senders.push(spawn(world, move |world| {
            sender::send(world, sender, random);
        }));
    }
    let own = watch.clone();
    let watcher = spawn(world, move |world| own.run(world));
    let mut active = make_faults(world, watch, plan, &mut random);
    let begun = Instant::now();
    while !active.is_empty() && begun.elapsed() < Duration::from_secs(60) {
        end_those(world, watch, &mut active, |_| true);
    }
    settle(world, watch);
    world.stop();
    for thread in senders {
        thread.join().unwrap();
    }
    watcher.join().unwrap();
    if world.failures().is_empty() {
        verdict::drain(world);
        let letters = verdict::dead_letters(world);
        verdict::check_deliveries(world, &letters);
        eprintln!("chaos: {} dead letters", letters.len());
    }
    let status = world.service.end();
    supervisor.join().unwrap();
    if world.failures().is_empty() {
        if status.code() != Some(0) {
            world.fail(format!("the service ended with {status}"));
        }
        verdict::check_archive(world);
        verdict::check_order(world);
    }
}

/// Makes faults until the time is over; returns those that last.
fn make_faults(world: &World, watch: &Watch, plan: &Plan, random: &mut Random) -> Vec<Active> {
    let begun = Instant::now();
    let mut active: Vec<Active> = Vec::new();
    let mut next = begun + Duration::from_secs(1);
    while begun.elapsed() < plan.length && world.failures().is_empty() {
        let now = Instant::now();
        end_those(world, watch, &mut active, |fault| fault.until <= now);
        if now >= next && active.len() < AT_ONCE {
            let parts: Vec<Part> = active.iter().map(|fault| fault.part).collect();
            if let Some(fault) = draw(world, random, &parts) {
                let number = watch.begin(world, &fault);
                match (fault.start)(world) {
                    Some(end) => active.push(Active {
                        number,
                        part: fault.part,
                        until: Instant::now() + fault.lasts,
                        end,
                    }),
                    None => watch.cancel(number),
                }
            }
            let pause = random.between(Duration::from_millis(200), Duration::from_secs(2));
            next = Instant::now() + pause;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    active
}

/// Ends those faults; those that cannot be ended yet last a second longer.
fn end_those(
    world: &World,
    watch: &Watch,
    active: &mut Vec<Active>,
    is_meant: impl Fn(&Active) -> bool,
) {
    active.retain_mut(|fault| {
        if !is_meant(fault) {
            return true;
        }
        let is_over = (fault.end)(world);
        if is_over {
            watch.end(world, fault.number);
        } else {
            fault.until = Instant::now() + Duration::from_secs(1);
        }
        !is_over
    });
}

/// Waits until the signs of all faults are gone.
fn settle(world: &World, watch: &Watch) {
    let begun = Instant::now();
    while !watch.unfinished().is_empty() && world.failures().is_empty() {
        // The watch fails the run before that.
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn spawn(
    world: &Arc<World>,
    work: impl FnOnce(&World) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let world = world.clone();
    std::thread::spawn(move || work(&world))
}

/// What happened, for the log of the test.
fn report(world: &World, records: &[Record]) {
    let signs = records.iter().filter(|record| record.sign.is_some());
    let seen = signs.clone().filter_map(|record| record.seen_after);
    let latest = seen.clone().max().unwrap_or_default();
    eprintln!(
        "chaos: {} events acknowledged, {} faults, {} of {} signs seen (the latest after {:.1} s), \
         {} starts, resident at most {} MiB",
        world.ledger.count(),
        records.len(),
        seen.count(),
        signs.count(),
        latest.as_secs_f64(),
        world.service.life().generation,
        world.service.peak_kib() >> 10,
    );
    for (target, receiver) in &world.receivers {
        let received = receiver.received();
        let (events, copies) = (received.by_event.len(), received.copies);
        eprintln!("chaos: {target} received {events} deliveries in {copies} copies");
    }
}

/// One line for each fault.
fn describe(records: &[Record]) -> String {
    let lines = records.iter().map(|record| {
        let end = record
            .ended
            .map_or("…".to_owned(), |end| format!("{end:.1}"));
        let seen = match record.seen_after {
            Some(after) if after < Duration::MAX => format!(", seen after {after:.1?}"),
            _ => String::new(),
        };
        format!("{:>7.1}–{end} s: {}{seen}", record.began, record.name)
    });
    lines.collect::<Vec<_>>().join("\n")
}

impl Plan {
    fn from_environment() -> Self {
        let number = |name: &str| {
            std::env::var(name)
                .ok()
                .map(|text| text.parse::<f64>().unwrap())
        };
        let minutes = number("REFLEXARC_CHAOS_MINUTES").unwrap_or(1.0);
        let seed = std::env::var("REFLEXARC_CHAOS_SEED").ok();
        let seed = seed.map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.unwrap().as_secs()
            },
            |seed| seed.parse().unwrap(),
        );
        Self {
            length: Duration::from_secs_f64(minutes * 60.0),
            seed,
        }
    }
}
