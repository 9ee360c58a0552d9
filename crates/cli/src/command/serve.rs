//! `reflexarc serve`: the service.

use reflexarc::RuleSet;
use reflexarc_service::{Collector, Plan};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::configured::{Configured, failed, opened, runtime};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes events over HTTP, evaluates them, delivers what the rules ask for. Logs are JSON lines on stderr.
SIGHUP, a change of the files and `reflexarc reload` put new rules, targets, tokens and certificates in force; broken ones are
refused. Address, store, limits, log, telemetry and patience change only at a restart.
SIGTERM and Ctrl-C end it in order: what is under way is finished, what waits stays in the store.

Exit codes: 0 ended in order · 3 invalid rules or configuration · 5 store or address cannot be used

Examples:
  reflexarc config init
  reflexarc serve --config reflexarc.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Send traces to this OpenTelemetry collector, instead of the one in the configuration
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

/// Serves until told to stop.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut config = args.configured.load()?;
    if let Some(url) = &args.otlp {
        config.collector = Some(Collector::at(url).map_err(Failure::Usage)?);
    }
    let rules = RuleSet::load_all(&config.rules).map_err(Failure::Rules)?;
    for file in rules.warnings() {
        output.diagnostics(file);
    }
    let store = opened(&config)?;
    let listen = config.listen;
    let plan = Plan::of(config, rules, store);
    let runtime = runtime()?;
    runtime.block_on(async {
        let cannot = |error| Failure::Runtime(format!("cannot listen on {listen}: {error}"));
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let (stop, stopped) = watch::channel(false);
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_replace(true);
            // Keeps the channel open: a closed one says that nobody can say anything any more.
            std::future::pending::<()>().await;
        });
        plan.run(listener, stopped).await.map_err(failed)
    })?;
    // A command that hangs must not hold up the end: what it was to do is in the store.
    runtime.shutdown_background();
    Ok(Exit::Done)
}
