//! `reflexarc simulate`: the simulated cloud, as a scenario on a virtual clock or an API over HTTP.

mod api_listener;
mod attempt;
mod call_targets;
mod config;
mod delayed_actions;
mod elapsed;
mod faults;
mod forward;
mod listen;
mod open_matches;
mod pending_calls;
mod plot;
mod rule_targets;
mod run_scenario;
mod shared_cloud;
mod target_queues;
mod timeline;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reflexarc_eni::scenario::{InvalidScenario, Scenario};

use crate::exit::{Exit, Failure};
use crate::input::read_text;
use crate::output::{Format, Output};

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A scenario runs on a virtual clock. The output has its requests, replies, status changes, events \
or the reason why there is none, and what the rules of RULES do with each event on the bus of \
its recipient. Rules with a time window are shown when they begin to wait, when their deadline \
passes on the same clock, and how that ends: up to `until`, or, without it, until nothing happens \
any more, except for `absent_for`. So are delayed actions. Calls of rules take effect in the simulated \
cloud, in the name of that account, and their answers go back to the rules; at the end the \
operations are listed that a configuration has to allow. With --config deliveries are simulated \
too: rendered for the targets of that configuration, rate limited and retried on the same clock, \
but not sent. Calls are made only as its targets allow them. Secrets of the configuration are not \
read.

With --listen the APIs of ECS, EventBridge and Cloud Monitor are served over HTTP until the \
process is interrupted: use an SDK with protocol HTTP and the access keys of the world (the \
scenario's, or a small built-in one; steps are not run). Events of each account are sent to \
--forward and written to --out, and to the HTTP targets of rules that the account creates; of \
these only those on this machine are called. On a loopback address, POST /faults makes \
operations fail.

Exit codes:
  0 success
  1 an unexpected reply
  2 wrong usage
  3 invalid scenario or rules
  5 runtime failure

Examples:
  reflexarc simulate examples/scenarios/leak.toml rules
  reflexarc simulate examples/scenarios/leak.toml --plot timeline.svg
  reflexarc simulate examples/scenarios/target-down.toml --config examples/reflexarc.toml
  reflexarc simulate --listen 127.0.0.1:8080 --forward http://127.0.0.1:8321/events")]
pub(crate) struct Args {
    /// The scenario file; `-` is stdin
    #[arg(value_name = "SCENARIO", required_unless_present_any = ["listen", "scenario"])]
    scenario_path: Option<PathBuf>,
    /// Rule files or folders for every account's bus; by default those of --config
    #[arg(value_name = "RULES", conflicts_with = "listen")]
    rule_paths: Vec<PathBuf>,
    /// Deprecated: SCENARIO
    #[arg(
        id = "scenario",
        long = "scenario",
        value_name = "FILE",
        hide = true,
        conflicts_with = "scenario_path"
    )]
    scenario_option: Option<PathBuf>,
    /// Deprecated: RULES
    #[arg(
        long,
        value_name = "PATH",
        hide = true,
        conflicts_with_all = ["listen", "rule_paths"]
    )]
    rules: Vec<PathBuf>,
    /// A configuration, to whose targets deliveries are simulated
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    config: Option<PathBuf>,
    /// Write the timeline as a picture to this SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    plot: Option<PathBuf>,
    /// Serve the API at this address; port 0 selects a free port, which is printed
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Send events to this URL; an account's own `to` takes precedence
    #[arg(long, value_name = "URL", requires = "listen")]
    forward: Option<String>,
    /// Deprecated: --forward
    #[arg(
        long,
        value_name = "URL",
        hide = true,
        requires = "listen",
        conflicts_with = "forward"
    )]
    to: Option<String>,
    /// The environment variable with the bearer token for --forward
    #[arg(long, value_name = "NAME", requires = "listen")]
    token_env: Option<String>,
    /// Append each account's events to FOLDER/<account>.ndjson
    #[arg(long, value_name = "FOLDER", requires = "listen")]
    out: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Args {
    /// Rule files and folders for every account's bus.
    fn rules(&self) -> &[PathBuf] {
        if self.rule_paths.is_empty() {
            &self.rules
        } else {
            &self.rule_paths
        }
    }

    /// The URL that events are sent to.
    fn forward(&self) -> Option<&str> {
        self.forward.as_deref().or(self.to.as_deref())
    }
}

/// Runs the scenario, or serves the API of its world.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let scenario = match args
        .scenario_path
        .as_ref()
        .or(args.scenario_option.as_ref())
    {
        Some(path) => read(path)?,
        None => parse("the built-in world", "")?,
    };
    match args.listen {
        Some(address) => listen::run(address, scenario, args, output),
        None => run_scenario::run(scenario, args, output),
    }
}

fn read(path: &Path) -> Result<Scenario, Failure> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Scenario, Failure> {
    text.parse()
        .map_err(|error: InvalidScenario| Failure::Rules(vec![error.into_file(name)]))
}
