//! `reflexarc run`: evaluate events and print the actions, or deliver them.

mod clock;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::RangedI64ValueParser;
use jiff::Timestamp;
use reflexarc::{Evaluation, FailureCounter, Matched, RuleSet, event_time};
use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::MemoryState;
use reflexarc_service::check_targets;

use self::clock::{Clock, ClockArg};
use crate::command::deliver;
use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Named, Reading, RulesAndEvents, load_rules};
use crate::output::evaluation::{EventReport, Totals};
use crate::output::{Format, Output};
use crate::rule_warnings;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Dry run by default: actions are printed, not delivered. Rule state starts empty and lasts for \
the run, and rules are evaluated at the time of each event, so the same events give the same \
actions. An event without a time is evaluated at that of the first event that has one, or at \
1970-01-01T00:00:00Z before it; that is reported once. --clock sets another time. With --deliver, \
events are stored and evaluated as the service does it, at the current \
time; RULES are those of the configuration by default.

Exit codes:
  0 done
  3 invalid rules
  4 some events could not be read (the others were evaluated)
  5 a reaction failed

Examples:
  reflexarc run rules examples/eni-events.ndjson
  cat examples/eni-events.ndjson | reflexarc run rules --format ndjson")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of a command are independent of each other"
)]
pub(crate) struct Args {
    #[command(flatten)]
    input: RulesAndEvents,
    /// Store the events and deliver the actions, with the store and targets of the configuration
    #[arg(long, conflicts_with_all = ["format", "unmatched", "all", "fail_fast", "jobs"])]
    deliver: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The time at which rules are evaluated: `event`, the time of each event; `now`, the current
    /// time; or one time for all events, such as 2026-11-25T08:00:00Z
    #[arg(
        long,
        value_name = "event|now|TIME",
        default_value = "event",
        conflicts_with = "deliver"
    )]
    clock: ClockArg,
    /// Also print events that no rule matches
    #[arg(long)]
    unmatched: bool,
    /// Deprecated: --unmatched
    #[arg(long, hide = true)]
    all: bool,
    /// Stop at the first event that cannot be read
    #[arg(long)]
    fail_fast: bool,
    /// Threads that match events; reactions run on one thread, in the order of the events
    #[arg(long, default_value_t = default_jobs(), value_parser = jobs_range())]
    jobs: u16,
}

/// The values that --jobs accepts.
pub(crate) fn jobs_range() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=256)
}

/// The number of cores.
pub(crate) fn default_jobs() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(256))
}

/// Evaluates the events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let Named { rules, events, .. } = args.input.named()?;
    if args.deliver {
        return deliver_events(args, rules, &events, output);
    }
    let rules = load_rules(&rules)?;
    rule_warnings::draw(&rules, output);
    let sources = input::open_all(&events)?;
    let several = sources.len() > 1;
    let mut run = Run {
        rules: rules.clone(),
        state: MemoryState::new(),
        failures: FailureCounter::new(),
        clock: Clock::new(args.clock),
        evaluations: 0,
        totals: Totals::default(),
    };
    // Matching needs no state, so it runs on all threads. Reactions depend on the state that
    // earlier events left, so they run here, in order.
    let needs_first = Arc::new(AtomicBool::new(run.clock.needs_first()));
    let wants_time = Arc::clone(&needs_first);
    let matching = move |event: Event| {
        let event = NativeEvent::new(event)?;
        let matched = rules.matching(&event);
        // Reading the time of every event would slow down runs in which few match. An event that
        // is matched before the flag falls has its time read needlessly, never too seldom.
        let time = if !matched.is_nothing() || wants_time.load(Ordering::Relaxed) {
            event_time(&event)
        } else {
            None
        };
        Ok((time, event, matched))
    };
    output.begin(args.format)?;
    let mut stopped = false;
    for source in sources {
        let name = source.name.clone();
        let jobs = usize::from(args.jobs);
        input::for_each_on_threads(
            source,
            Reading::Documents,
            jobs,
            matching.clone(),
            |processed| {
                run.totals.events += 1;
                match processed.result {
                    Err(error) => {
                        run.totals.unreadable += 1;
                        output.error(&format!("{name}:{error}"));
                        stopped = args.fail_fast;
                    }
                    Ok((time, event, matched)) => {
                        let file = several.then_some(name.as_str());
                        run.clock.see(time);
                        needs_first.store(run.clock.needs_first(), Ordering::Relaxed);
                        let report = run.evaluate(
                            Place {
                                source: &name,
                                file,
                                line: processed.line,
                            },
                            &event,
                            &matched,
                            time,
                            output,
                        );
                        if args.unmatched || args.all || !report.evaluation.is_empty() {
                            match args.format {
                                Format::Human => report.print(output)?,
                                Format::Json | Format::Ndjson => {
                                    output.element(args.format, &report)?;
                                }
                            }
                        }
                    }
                }
                Ok(if stopped {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            },
        )?;
        if stopped {
            break;
        }
    }
    output.end(args.format)?;
    match args.format {
        Format::Human => run.totals.print(output)?,
        Format::Json | Format::Ndjson => {
            // Stdout is flushed first: a closed pipe must end the command before the totals appear.
            output.flush()?;
            output.status(&run.totals.to_string());
        }
    }
    // Unreadable events outweigh failed reactions: what the rules would have done is not known.
    Ok(match run.totals {
        Totals {
            unreadable: 1.., ..
        } => Exit::Unreadable,
        Totals { failures: 1.., .. } => Exit::Failed,
        _ => Exit::Done,
    })
}

/// Evaluates the events and delivers the actions, with the rules and targets of the configuration.
fn deliver_events(
    args: &Args,
    rules: Vec<PathBuf>,
    events: &[PathBuf],
    output: &mut Output,
) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let paths = if rules.is_empty() {
        config.rule_paths.clone()
    } else {
        rules
    };
    let rules = config.read_rules(&paths)?;
    check_targets(&rules, &config.target_names)?;
    rule_warnings::draw(&rules, output);
    deliver::run(rules, input::open_all(events)?, config, output)
}

/// Where an event comes from.
struct Place<'e> {
    source: &'e str,
    /// The source again, if there are several.
    file: Option<&'e str>,
    line: u64,
}

/// The state of a run.
struct Run {
    rules: RuleSet,
    state: MemoryState,
    failures: FailureCounter,
    clock: Clock,
    evaluations: u64,
    totals: Totals,
}

/// Evaluations between two removals of expired state. Expired entries are never read; removing them
/// only bounds the memory of long runs.
const REMOVE_EXPIRED_EVERY: u64 = 10_000;

impl Run {
    fn evaluate<'e>(
        &mut self,
        Place { source, file, line }: Place<'e>,
        event: &'e NativeEvent,
        matched: &Matched,
        time: Option<Timestamp>,
        output: &mut Output,
    ) -> EventReport<'e> {
        // Without a rule nothing is evaluated, and the time does not matter.
        if matched.is_nothing() {
            return EventReport {
                file,
                line,
                event: event.event(),
                evaluation: Evaluation::default(),
            };
        }
        let now = self.clock.read(time);
        if now.is_new {
            output.status(&format!(
                "{source}:{line}: the event has no time; events without one are evaluated at {} \
                 (choose with --clock)",
                now.now
            ));
        }
        let now = now.now;
        // No deadline: a script is bounded by its number of operations, so that a busy machine
        // gives the same results as an idle one.
        let evaluation = self
            .rules
            .evaluate_matched(event, matched, &self.state, now, None);
        // Evaluation returns changes of state as data; the next event must find them in place.
        for effects in &evaluation.rules {
            self.state.apply(&effects.rule, &effects.changes);
        }
        self.evaluations += 1;
        if self.evaluations.is_multiple_of(REMOVE_EXPIRED_EVERY) {
            self.state.remove_expired(now);
        }
        for report in self.failures.record(&self.rules, &evaluation) {
            output.error(&format!(
                "rule `{}` has failed {} times in a row, last: {}",
                report.rule, report.consecutive, report.message
            ));
        }
        self.totals.add(&evaluation);
        EventReport {
            file,
            line,
            event: event.event(),
            evaluation,
        }
    }
}
