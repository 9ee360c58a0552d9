//! The commands, one module each with its arguments and `run`.

mod archive;
mod audit;
mod audited;
mod backup;
mod check;
mod clock;
mod completions;
mod config;
mod convert;
mod deliver;
pub(crate) mod deprecated;
mod explain;
mod export;
mod fmt;
mod help;
mod import;
mod incident;
mod init;
mod man;
mod match_events;
#[cfg(test)]
mod operation_tests;
mod outbox;
mod pending;
mod reload;
mod replay;
mod run;
mod schema;
mod send;
mod serve;
mod silence;
mod simulate;
mod state;
mod status;
mod store;
mod tail;
mod target;
mod test;
mod trace;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};
use crate::output::{Colour, Output};

const AFTER_HELP: &str = "\
Examples:
  reflexarc init alerts                                  create a folder to begin with
  reflexarc run rules events.ndjson                      dry run: print the actions for each event
  reflexarc check rules                                  check rule files
  reflexarc test rules --coverage                        run the tests in rule files
  reflexarc match 'content.result == \"failed\"' FILE      print the events that a filter matches
  reflexarc explain rules event.json                     why does a rule not match?

Arguments: a folder or a *.toml file is rules (default: rules), another file is events (default: \
stdin), and `-` is stdin.

Exit codes:
  0 done, or at least one match
  1 negative result
  2 wrong usage
  3 invalid rules or configuration
  4 unreadable events
  5 runtime or remote failure";

/// Turns cloud events into reactions: filters select events, sandboxed scripts return actions.
#[derive(Debug, Parser)]
#[command(
    name = "reflexarc",
    version,
    about,
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a folder with rules, events and a configuration to begin with
    Init(init::Args),
    /// Check rule files, or events with --events
    Check(check::Args),
    /// Format the filters in rule files
    Fmt(fmt::Args),
    /// Run the tests in rule files
    Test(test::Args),
    /// Print the events that a filter matches, or the filters that match each event
    Match(match_events::Args),
    /// Explain why an event matches or does not match
    Explain(explain::Args),
    /// Evaluate events and print the actions, or deliver them with --deliver
    Run(run::Args),
    /// Convert a filter to the other notation
    Convert(convert::Args),
    /// Export the filters of rules for another service
    Export(export::Args),
    /// Create rule files from EventBridge or Cloud Monitor subscriptions
    Import(import::Args),
    /// Run the service: accept events over HTTP, evaluate rules, deliver actions
    Serve(serve::Args),
    /// List what is wrong with a running service, the worst first
    Status(status::Args),
    /// Reload rules and configuration in a running service
    Reload(reload::Args),
    /// Send events to a running service
    Send(send::Args),
    /// Print what happens in a running service, live
    Tail(tail::Args),
    /// Show the evaluation and all deliveries of one event
    Trace(trace::Args),
    /// List, export, verify or prune archived events
    #[command(subcommand)]
    Archive(archive::Archive),
    /// Evaluate archived events again with the current rules
    Replay(replay::Args),
    /// Copy the store to a file while the service runs
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the store
    Restore(backup::RestoreArgs),
    /// Create or update the tables of the store, or copy it to another one
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// List, show or cancel pending deliveries
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// List, show or close what rules wait for
    #[command(subcommand)]
    Pending(pending::Pending),
    /// List, show, acknowledge or close incidents
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Withhold deliveries for a time, or show what is silenced
    #[command(subcommand)]
    Silence(silence::Silence),
    /// List, show, redrive or drop dead letters
    #[command(subcommand)]
    Dlq(outbox::Dlq),
    /// List what operators have done: in the console, by the HTTP API and by commands
    Audit(audit::Args),
    /// List targets, or send a test message to one
    #[command(subcommand)]
    Target(target::Target),
    /// Accept the clock of a running service after a jump
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Drop the state of a rule that does not exist any more
    #[command(subcommand)]
    State(state::State),
    /// Check the configuration, or create one
    #[command(subcommand)]
    Config(config::Config),
    /// Print the JSON Schema of rule files or of the configuration, for editors
    Schema(schema::Args),
    /// Print the script with which a shell completes commands and options
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands to a folder
    Man(man::Args),
    /// Show help for a command, or a reference: `help rule`, `help pattern`, `help reaction`, `help targets`,
    /// `help calls`
    Help(help::Args),
    /// Simulate the cloud: run a scenario, or serve the ECS API over HTTP
    Simulate(Box<simulate::Args>),
}

impl Command {
    /// Runs the command and returns its exit code.
    pub(crate) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Command::Init(args) => init::run(&args, output),
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
            Command::Status(args) => status::run(&args, output),
            Command::Reload(args) => reload::run(&args, output),
            Command::Send(args) => send::run(&args, output),
            Command::Tail(args) => tail::run(&args, output),
            Command::Trace(args) => trace::run(&args, output),
            Command::Archive(args) => archive::run(&args, output),
            Command::Replay(args) => replay::run(&args, output),
            Command::Backup(args) => backup::backup(&args, output),
            Command::Restore(args) => backup::restore(&args, output),
            Command::Store(args) => store::run(&args, output),
            Command::Outbox(args) => outbox::outbox(&args, output),
            Command::Dlq(args) => outbox::dlq(&args, output),
            Command::Pending(args) => pending::run(&args, output),
            Command::Incident(args) => incident::run(&args, output),
            Command::Silence(args) => silence::run(&args, output),
            Command::Audit(args) => audit::run(&args, output),
            Command::Target(args) => target::run(&args, output),
            Command::Clock(args) => clock::run(&args, output),
            Command::State(args) => state::run(&args, output),
            Command::Config(args) => config::run(&args, output),
            Command::Schema(args) => schema::run(&args, output),
            Command::Completions(args) => completions::run(&args, output),
            Command::Man(args) => man::run(&args, output),
            Command::Help(args) => help::run(&args, output),
            Command::Simulate(args) => simulate::run(&args, output),
        }
    }
}
