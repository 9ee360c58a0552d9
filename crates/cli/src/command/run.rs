//! `reflexarc run`: evaluate events and print the actions, or deliver them.
//!
//! With several jobs, reactions run on worker threads ahead of their turn, with the state as it is
//! then. This thread goes through the events in their order, repeats what the reactions of each
//! have read of the state, runs those again that would read something else, and changes the state.
//! Results are printed on another thread:
//!
//! ```text
//! workers       read, match, convert, react           Preparer
//! this thread   compare reads, change the state       Evaluator
//! printer       format, write                         Printer
//! ```

mod clock;
mod deadlines;
mod evaluator;
mod preparer;
mod printer;
mod shared_state;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::RangedI64ValueParser;
use reflexarc::RuleSet;
use reflexarc_service::check_targets;

use self::clock::ClockArg;
use self::deadlines::UntilArg;
use self::evaluator::Evaluator;
use self::printer::{Batch, Item, Print, Printer, print_on_thread};
use crate::command::deliver;
use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Named, Processed, Reading, RulesAndEvents, Source, load_rules};
use crate::output::totals::Totals;
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

Time passes with every event that has a time, also if no rule matches it, and for rules with a \
time window it never steps back: an event that is earlier is late, and the first one that is so by \
more than a minute is reported. Deadlines up to the time of an event fire before the event, the \
earliest first, and are results of their own: `at`, `rule`, `key` and `reason` (`fired` or \
`resolved`) in JSON, and as for events `rules` and `failures`. What still waits after the last \
event is counted at the end; --until goes on. With --clock now, deadlines fire when the next event \
is read; with one time for all events, only after the last one, with --until. At most 1,000,000 \
deadlines fire after the last event.

A delayed action (`after`) waits on the same clock. It is printed when it is due, as a result of its \
own, unless it was cancelled or replaced before: `at`, `rule`, `key` (that of the rule's `by`), \
`reason` (`delayed`), and the action in `rules`. With the event that it comes of, only its target, \
`after` and its own key are printed (`delayed` in JSON). What is not due after the last event is \
counted at the end; --until goes on.

Calls of operations are printed like other actions. No API is called, so `answered` does not run; \
tests of rules and `simulate` answer calls.

Exit codes:
  0 done
  2 wrong usage, also an --until before the last event
  3 invalid rules
  4 some events could not be read (the others were evaluated)
  5 a reaction failed, or too many deadlines fired

Examples:
  reflexarc run rules examples/eni-events.ndjson
  reflexarc run rules examples/eni-events.ndjson --until end
  cat examples/eni-events.ndjson | reflexarc run rules --format ndjson")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of a command are independent of each other"
)]
pub(crate) struct Args {
    #[command(flatten)]
    input: RulesAndEvents,
    /// Store the events and deliver the actions, with the store and targets of the configuration.
    /// Delayed actions and calls of operations stay in the outbox, from which `serve` sends them
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
    /// Go on after the last event: deadlines of rules with a time window fire and delayed actions
    /// are due up to this time; with `end` all of what has begun, except deadlines of `absent_for`
    #[arg(long, value_name = "TIME|end", conflicts_with = "deliver")]
    until: Option<UntilArg>,
    /// Also print events that no rule matches
    #[arg(long)]
    unmatched: bool,
    /// Deprecated: --unmatched
    #[arg(long, hide = true)]
    all: bool,
    /// Stop at the first event that cannot be read
    #[arg(long)]
    fail_fast: bool,
    /// Threads that read events and run reactions. Where the state of a rule has changed until the
    /// turn of an event comes, its reaction runs again, so that the output does not depend on it
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
    rule_warnings::draw_emptiness(&rules, output);
    let sources = input::open_all(&events)?;
    output.begin(args.format)?;
    let (totals, failure) = {
        let mut printer = Printer::new(output, rules.clone(), args.format);
        printer.print_unmatched = args.unmatched || args.all;
        printer.print_files = sources.len() > 1;
        let jobs = usize::from(args.jobs);
        let finished = if jobs == 1 {
            evaluate_all(args, &rules, sources, &mut |items| printer.print_all(items))?
        } else {
            print_on_thread(&mut printer, |print| {
                evaluate_all(args, &rules, sources, print)
            })?
        };
        let mut totals = printer.into_totals();
        (totals.pending, totals.waiting) = (finished.pending, finished.waiting);
        (totals, finished.failure)
    };
    output.end(args.format)?;
    match args.format {
        Format::Human => totals.print(output)?,
        Format::Json | Format::Ndjson => {
            // Stdout is flushed first: a closed pipe must end the command before the totals appear.
            output.flush()?;
            output.status(&totals.to_string());
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    // Unreadable events outweigh failed reactions: what the rules would have done is not known.
    Ok(match totals {
        Totals {
            unreadable: 1.., ..
        } => Exit::Unreadable,
        Totals { failures: 1.., .. } => Exit::Failed,
        _ => Exit::Done,
    })
}

/// The end of an evaluation of all events.
#[derive(Default)]
struct Finished {
    /// How many matches of each rule still wait.
    pending: BTreeMap<String, u64>,
    /// How many delayed actions of each rule are not due yet.
    waiting: BTreeMap<String, u64>,
    /// Why it did not go on as far as it should.
    failure: Option<Failure>,
}

/// Evaluates the events of all sources, in their order, and hands the results to `print`.
fn evaluate_all(
    args: &Args,
    rules: &RuleSet,
    sources: Vec<Source>,
    print: &mut Print<'_>,
) -> Result<Finished, Failure> {
    let jobs = usize::from(args.jobs);
    let mut evaluator = Evaluator::new(rules.clone(), args.clock);
    let preparer = evaluator.preparer(jobs > 1, args.unmatched || args.all);
    let mut stopped = false;
    for source in sources {
        let name: Arc<str> = source.name.as_str().into();
        let preparer = preparer.clone();
        let prepare = move |event| preparer.prepare(event);
        let reading = Reading::Documents;
        input::for_each_batch_on_threads(source, reading, jobs, prepare, |results| {
            let mut batch = Batch::default();
            for Processed { line, result } in results {
                let is_last = args.fail_fast && result.is_err();
                let item = match result {
                    Ok(prepared) => {
                        let turn = evaluator.begin(prepared);
                        while let Some(fired) = evaluator.fire_next() {
                            stopped |= batch.add(fired, print)?.is_break();
                            if stopped {
                                break;
                            }
                        }
                        evaluator.evaluate(&name, line, turn)
                    }
                    Err(error) => Item::Unreadable(format!("{name}:{error}")),
                };
                stopped |= is_last | batch.add(item, print)?.is_break();
                if stopped {
                    break;
                }
            }
            stopped |= batch.print(print)?.is_break();
            Ok(if stopped {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if stopped {
            break;
        }
    }
    let failure = match args.until {
        Some(until) if !stopped => go_on(&mut evaluator, until, print).err(),
        _ => None,
    };
    Ok(Finished {
        pending: evaluator.pending(),
        waiting: evaluator.waiting(),
        failure,
    })
}

/// Fires what is due after the last event, up to a time.
fn go_on(evaluator: &mut Evaluator, until: UntilArg, print: &mut Print<'_>) -> Result<(), Failure> {
    let mut remaining = evaluator.remaining(until)?;
    let mut batch = Batch::default();
    let fired = loop {
        match evaluator.fire_remaining(&mut remaining) {
            Ok(Some(item)) => {
                if batch.add(item, print)?.is_break() {
                    return Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What fired before is shown first.
    if batch.print(print)?.is_break() {
        return Ok(());
    }
    fired
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
    check_targets(&rules, &config.known_targets)?;
    rule_warnings::draw(&rules, output);
    deliver::run(rules, input::open_all(events)?, config, output)
}
