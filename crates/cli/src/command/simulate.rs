//! `reflexarc simulate`: the simulated cloud, as a scenario on a virtual clock or an API over HTTP.

mod attempt;
mod config;
mod elapsed;
mod faults;
mod forward;
mod listen;
mod plot;
mod run_scenario;
mod shared_cloud;
mod stand_in;
mod target_queues;
mod timeline;

use std::net::SocketAddr;
use std::path::PathBuf;

use reflexarc_eni::scenario::{InvalidScenario, Scenario};

use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A scenario runs on a virtual clock. The output has its requests, replies, status changes, events \
or the reason why there is none, and what the rules of --rules do with each event on the bus of \
its recipient. Documents that rules send to the targets `ecs`, `eni-operator` and `eni-janitor` \
take effect in the simulated cloud, in the name of that account. With --config deliveries are \
simulated too: rendered for the targets of that configuration, rate limited and retried on the \
same clock, but not sent. Secrets of the configuration are not read.

With --listen the ECS API is served over HTTP until the process is interrupted: use an SDK with \
protocol HTTP and the access keys of the world (the scenario's, or a small built-in one; steps \
are not run). Events of each account are sent to --to and written to --out. On a loopback \
address, POST /faults makes operations fail.

Exit codes:
  0 success
  1 an unexpected reply
  2 wrong usage
  3 invalid scenario or rules
  5 runtime failure

Examples:
  reflexarc simulate --scenario examples/scenarios/leak.toml --rules rules
  reflexarc simulate --scenario examples/scenarios/leak.toml --plot timeline.svg
  reflexarc simulate --scenario examples/scenarios/target-down.toml \
--config examples/rehearsal.toml
  reflexarc simulate --listen 127.0.0.1:8080 --to http://127.0.0.1:7070/events")]
pub(crate) struct Args {
    /// The scenario file
    #[arg(long, value_name = "FILE", required_unless_present = "listen")]
    scenario: Option<PathBuf>,
    /// Rule files or folders for every account's bus; by default those of --config
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    rules: Vec<PathBuf>,
    /// A configuration, to whose targets deliveries are simulated
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    config: Option<PathBuf>,
    /// Write the timeline as a picture to this SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    plot: Option<PathBuf>,
    /// Serve the ECS API at this address; port 0 selects a free port, which is printed
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Send events to this URL; an account's own `to` takes precedence
    #[arg(long, value_name = "URL", requires = "listen")]
    to: Option<String>,
    /// The environment variable with the bearer token for --to
    #[arg(long, value_name = "NAME", requires = "listen")]
    token_env: Option<String>,
    /// Append each account's events to FOLDER/<account>.ndjson
    #[arg(long, value_name = "FOLDER", requires = "listen")]
    out: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the scenario, or serves the API of its world.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let scenario = match &args.scenario {
        Some(path) => read(path)?,
        None => parse("the built-in world", "")?,
    };
    match args.listen {
        Some(address) => listen::run(address, scenario, args, output),
        None => run_scenario::run(scenario, args, output),
    }
}

fn read(path: &PathBuf) -> Result<Scenario, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Scenario, Failure> {
    text.parse()
        .map_err(|error: InvalidScenario| Failure::Rules(vec![error.into_file(name)]))
}
