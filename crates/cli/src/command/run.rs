//! `reflexarc run`: what would be sent, event by event.

use std::ops::ControlFlow;
use std::path::PathBuf;

use jiff::Timestamp;
use reflexarc::{FailureWatch, Matched, RuleSet, event_time};
use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::MemoryState;

use crate::command::deliver;
use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::evaluation::{EventReport, Totals};
use crate::output::{Format, Output};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is sent unless --deliver says so: actions are printed. What rules remember lives as long as the run, and the clock shows each event's own
time, so that the same events give the same answers. The bar shows only where stderr is a terminal and stdout is not.

Exit codes: 0 done · 3 invalid rules · 4 some events could not be read (the others were) · 5 a reaction failed

Examples:
  reflexarc run --rules rules --events examples/eni-events.ndjson
  zcat events.gz | reflexarc run --rules rules --events - --format ndjson | jq .rules")]
pub(crate) struct Args {
    /// Rule files, or folders of them
    #[arg(long, default_value = "rules", value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Events: NDJSON, a JSON array or documents, plain, gzip or zstd; `-` is stdin
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Deliver: events go into the configuration's store, and what the rules ask for to its targets
    #[arg(long, conflicts_with_all = ["format", "all", "fail_fast", "jobs"])]
    deliver: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print also the events that no rule matches
    #[arg(long)]
    all: bool,
    /// Stop at the first event that cannot be read
    #[arg(long)]
    fail_fast: bool,
    /// Threads that read and match; reactions run one after the other in the order of the events
    #[arg(long, default_value_t = default_jobs(), value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// As many threads as there are cores.
pub(crate) fn default_jobs() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(256))
}

/// Runs the rules over the events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let rules = RuleSet::load_all(&args.rules).map_err(Failure::Rules)?;
    for file in rules.warnings() {
        output.diagnostics(file);
    }
    let source = Source::open(&args.events)?;
    let name = args.events.display().to_string();
    if args.deliver {
        return deliver::run(rules, source, &name, &args.config, output);
    }
    let mut run = Run {
        rules: rules.clone(),
        state: MemoryState::new(),
        watch: FailureWatch::new(),
        clock: Timestamp::now(),
        totals: Totals::default(),
    };
    let work = move |event: Event| {
        let event = NativeEvent::new(event)?;
        let matched = rules.matching(&event);
        let time = if matched.is_match() {
            event_time(&event)
        } else {
            None
        };
        Ok((time, event, matched))
    };
    output.begin(args.format)?;
    input::for_each(source, usize::from(args.jobs), work, |answer| {
        run.totals.events += 1;
        match answer.outcome {
            Err(broken) => {
                run.totals.unreadable += 1;
                output.error(&format!("{name}:{broken}"));
                if args.fail_fast {
                    Ok(ControlFlow::Break(()))
                } else {
                    Ok(ControlFlow::Continue(()))
                }
            }
            Ok((time, event, matched)) => {
                run.clock = time.unwrap_or(run.clock);
                let seen = run.take(answer.line, &event, &matched, output);
                if args.all || !seen.evaluation.is_empty() {
                    match args.format {
                        Format::Human => seen.print(output)?,
                        Format::Json | Format::Ndjson => output.element(args.format, &seen)?,
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    })?;
    output.end(args.format)?;
    match args.format {
        Format::Human => run.totals.print(output)?,
        Format::Json | Format::Ndjson => {
            let totals = run.totals.to_string();
            output.flush()?;
            output.status(&totals);
        }
    }
    Ok(match run.totals {
        Totals {
            unreadable: 1.., ..
        } => Exit::Unreadable,
        Totals { failures: 1.., .. } => Exit::Failed,
        _ => Exit::Done,
    })
}

/// A run over events: what the rules remember, and what came of it so far.
struct Run {
    rules: RuleSet,
    state: MemoryState,
    watch: FailureWatch,
    /// The time of the last matched event that had one; until then the time at which the run began.
    clock: Timestamp,
    totals: Totals,
}

/// After so many events, what has expired is let go of.
const FORGET_EVERY: u64 = 10_000;

impl Run {
    fn take<'e>(
        &mut self,
        line: u64,
        event: &'e NativeEvent,
        matched: &Matched,
        output: &mut Output,
    ) -> EventReport<'e> {
        // No stopwatch: what scripts may do is bounded by their steps, so that a busy machine gives the same answers.
        let evaluation = self
            .rules
            .react(event, matched, &self.state, self.clock, None);
        for effects in &evaluation.rules {
            self.state.apply(&effects.rule, &effects.changes);
        }
        if self.totals.events.is_multiple_of(FORGET_EVERY) {
            self.state.forget_expired(self.clock);
        }
        for report in self.watch.observe(&self.rules, &evaluation) {
            output.error(&format!(
                "rule `{}` has failed {} times in a row, last: {}",
                report.rule, report.in_a_row, report.message
            ));
        }
        self.totals.add(&evaluation);
        EventReport {
            line,
            event: event.event(),
            evaluation,
        }
    }
}
