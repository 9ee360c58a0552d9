//! `reflexarc simulate`: the cloud's side, as a scenario on a virtual clock or as an API over HTTP.

mod attempt;
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

use reflexarc_diagnostic::FileDiagnostics;
use reflexarc_eni::scenario::Scenario;

use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A scenario runs at once, on its own clock: requests, answers, changes of status, events or the reason why there is none,
and what the rules of --rules make of each event on the bus of the account that gets it. Documents that rules send to the
targets `ecs`, `eni-operator` and `eni-janitor` are obeyed by stand-ins, in the name of that account. With --config the
deliveries are rehearsed too: made for the targets of that configuration, paced and retried on the same clock, not sent.
Its secrets are not looked up.

With --listen the ECS API is answered over HTTP until the process is stopped: point an SDK at it, protocol HTTP, with the
access keys of the world (the scenario's, or a small one that is built in; its steps are not run). Events go to --to and
into --out, each only from the bus of the account that gets it. On a loopback address POST /faults lets operations fail.

Exit codes: 0 done · 1 an answer was not the expected one · 2 wrong usage · 3 invalid scenario or rules · 5 failed

Examples:
  reflexarc simulate --scenario examples/scenarios/leak.toml --rules rules
  reflexarc simulate --scenario examples/scenarios/leak.toml --plot timeline.svg
  reflexarc simulate --scenario examples/scenarios/target-down.toml --config examples/rehearsal.toml
  reflexarc simulate --listen 127.0.0.1:8080 --to http://127.0.0.1:7070/events")]
pub(crate) struct Args {
    /// A scenario: a world and a script
    #[arg(long, value_name = "FILE", required_unless_present = "listen")]
    scenario: Option<PathBuf>,
    /// Rule files, or folders of them, that every account has on its bus; otherwise those of --config
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    rules: Vec<PathBuf>,
    /// A configuration, for whose targets deliveries are rehearsed
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    config: Option<PathBuf>,
    /// Draw the timeline into an SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    plot: Option<PathBuf>,
    /// Answer the ECS API here; port 0 takes any free one, which is printed
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Post events to this URL, for accounts that have no `to` of their own
    #[arg(long, value_name = "URL", requires = "listen")]
    to: Option<String>,
    /// The environment variable with the bearer token for --to
    #[arg(long, value_name = "NAME", requires = "listen")]
    token_env: Option<String>,
    /// Append each account's events to FOLDER/<account>.ndjson
    #[arg(long, value_name = "FOLDER", requires = "listen")]
    out: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Rehearses, or listens.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let scenario = match &args.scenario {
        Some(path) => read(path)?,
        None => {
            Scenario::parse("").map_err(|findings| invalid("the built-in world", "", findings))?
        }
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
    Scenario::parse(&text).map_err(|findings| invalid(&name, &text, findings))
}

fn invalid(name: &str, text: &str, diagnostics: Vec<reflexarc_diagnostic::Diagnostic>) -> Failure {
    Failure::Rules(vec![FileDiagnostics {
        name: name.to_owned(),
        text: text.to_owned(),
        diagnostics,
    }])
}
