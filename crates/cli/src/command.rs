//! The commands, one file each: its arguments, and `run`.

mod check;
mod convert;
mod explain;
mod export;
mod fmt;
mod help;
mod import;
mod match_events;
mod run;
mod simulate;
mod test;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  reflexarc run --rules rules --events events.ndjson     what would be sent, event by event (dry)
  reflexarc check rules                                  are the rules right?
  reflexarc test rules --coverage                        run the tests inside the rule files
  reflexarc match 'content.result == \"failed\"' FILE      print the events that a filter matches
  reflexarc explain --rules rules --event event.json     why does a rule not match?

Exit codes: 0 done, at least one match · 1 the answer is no · 2 wrong usage · 3 invalid rules or configuration
            4 unreadable events · 5 failed at run time";

/// Turns cloud events into reactions: filters decide, sandboxed scripts say what to do.
#[derive(Debug, Parser)]
#[command(name = "reflexarc", version, about, after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check rule files: filters, scripts, tests, names; would the filters work elsewhere?
    Check(check::Args),
    /// Bring the filters of rule files into canonical spelling
    Fmt(fmt::Args),
    /// Run the tests inside rule files
    Test(test::Args),
    /// Print the events that a filter matches, or what matches each event
    Match(match_events::Args),
    /// Say why an event matches or does not
    Explain(explain::Args),
    /// Show what would be sent, event by event
    Run(run::Args),
    /// Write a filter in the other notation
    Convert(convert::Args),
    /// Print the filters of rules for another service
    Export(export::Args),
    /// Make rule files of subscriptions in EventBridge or Cloud Monitor
    Import(import::Args),
    /// Explain a command, or the filter language (`help pattern`)
    Help(help::Args),
    /// Rehearse against a simulated cloud: a scenario, or the ECS API over HTTP
    Simulate(Box<simulate::Args>),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Command::Check(args) => check::run(&args, output),
            Command::Fmt(args) => fmt::run(&args, output),
            Command::Test(args) => test::run(&args, output),
            Command::Match(args) => match_events::run(&args, output),
            Command::Explain(args) => explain::run(&args, output),
            Command::Run(args) => run::run(&args, output),
            Command::Convert(args) => convert::run(&args, output),
            Command::Export(args) => export::run(&args, output),
            Command::Import(args) => import::run(&args, output),
            Command::Help(args) => help::run(&args, output),
            Command::Simulate(args) => simulate::run(&args, output),
        }
    }
}
