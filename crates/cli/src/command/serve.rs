//! `reflexarc serve`: run the service.

use reflexarc_service::ServiceBuilder;
use reflexarc_service::telemetry::{InvalidCollectorUrl, LogFormat};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config_args::{ConfigArgs, open_for_delivery, store_failure, tokio_runtime};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rule_warnings;
use crate::stop_signal::StopSignals;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Accepts events over HTTP, stores them before the response, evaluates the rules and delivers \
their actions. Logs go to stderr: lines for people on a terminal, else JSON lines. SIGHUP, a change of the files and `reflexarc \
reload` reload rules, targets, tokens and certificates; what is invalid stays as it was. Address, \
store, console, limits, log, telemetry and shutdown timeout need a restart. SIGTERM and Ctrl-C shut down \
cleanly: deliveries in progress finish, pending ones stay in the store.

Exit codes:
  0 shut down cleanly
  3 invalid rules or configuration: also no rules, or a rule that names an unknown target
  5 the store cannot be opened, or the address is not available

Examples:
  reflexarc config init
  reflexarc serve --config reflexarc.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Send traces to this OpenTelemetry collector instead of the configured one
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Format of log lines instead of the configured one: `auto` is `human` if stderr is a
    /// terminal, else `json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormatArg>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormatArg {
    Auto,
    Human,
    Json,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut config = args.config.load()?;
    if let Some(url) = &args.otlp {
        let invalid = |error: InvalidCollectorUrl| Failure::Usage(error.to_string());
        config.collector = Some(url.parse().map_err(invalid)?);
    }
    if let Some(format) = args.log_format {
        config.log_format = match format {
            LogFormatArg::Auto => LogFormat::Auto,
            LogFormatArg::Human => LogFormat::Human,
            LogFormatArg::Json => LogFormat::Json,
        };
    }
    let rules = config.load_rules()?;
    output.diagnostics(&config.warnings);
    rule_warnings::draw(&rules, output);
    let store = open_for_delivery(&config)?;
    let (listen, console) = (config.listen, config.console);
    let mut service = ServiceBuilder::new(config, rules, store);
    let runtime = tokio_runtime()?;
    runtime.block_on(async {
        let cannot = |error| Failure::Runtime(format!("cannot listen on {listen}: {error}"));
        // Bound before the service starts, so that an address in use leaves the store untouched.
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        if let Some(console) = console {
            let cannot = |error| {
                Failure::Runtime(format!(
                    "cannot listen on {console} for the console: {error}"
                ))
            };
            let listener = TcpListener::bind(console).await.map_err(cannot)?;
            service = service.with_console(listener, Box::new(reflexarc_console::router));
        }
        let (stop, stopped) = watch::channel(false);
        let mut signals = StopSignals::listen()?;
        tokio::spawn(async move {
            signals.received().await;
            stop.send_replace(true);
            // Dropping the sender would close the channel, which receivers treat as an error, not
            // as a request to stop.
            std::future::pending::<()>().await;
        });
        service
            .serve(listener, stopped)
            .await
            .map_err(store_failure)
    })?;
    // Dropping the runtime would wait for blocking tasks without end, such as a target of type
    // `command` that hangs. Its delivery is in the store and is attempted again after the restart.
    runtime.shutdown_background();
    Ok(Exit::Done)
}
