//! The commands, one file each: its arguments, and `run`.

mod archive;
mod check;
mod config;
mod convert;
mod deliver;
mod explain;
mod export;
mod fmt;
mod help;
mod import;
mod match_events;
mod outbox;
mod reload;
mod replay;
mod run;
mod send;
mod serve;
mod simulate;
mod target;
mod test;
mod trace;

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
    /// Take events over HTTP, evaluate them, deliver what the rules ask for
    Serve(serve::Args),
    /// Put the rule files as they are now in force in a running service
    Reload(reload::Args),
    /// Send events to a running service
    Send(send::Args),
    /// Tell everything about one event: verdicts, actions, deliveries, attempts
    Trace(trace::Args),
    /// List, export, verify or prune the events as they came
    Archive(archive::Args),
    /// Put archived events through the rules as they are now
    Replay(replay::Args),
    /// List, show or cancel what waits to be delivered
    Outbox(outbox::OutboxArgs),
    /// List, show, redrive or drop what nobody would take
    Dlq(outbox::DlqArgs),
    /// Send a test message to a target
    Target(target::Args),
    /// Check the service's configuration, or write one to begin with
    Config(config::Args),
    /// Explain a command, or print a reference: `help rule`, `help pattern`, `help reaction`
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
            Command::Serve(args) => serve::run(&args, output),
            Command::Reload(args) => reload::run(&args, output),
            Command::Send(args) => send::run(&args, output),
            Command::Trace(args) => trace::run(&args, output),
            Command::Archive(args) => archive::run(&args, output),
            Command::Replay(args) => replay::run(&args, output),
            Command::Outbox(args) => outbox::outbox(&args, output),
            Command::Dlq(args) => outbox::dlq(&args, output),
            Command::Target(args) => target::run(&args, output),
            Command::Config(args) => config::run(&args, output),
            Command::Help(args) => help::run(&args, output),
            Command::Simulate(args) => simulate::run(&args, output),
        }
    }
}
