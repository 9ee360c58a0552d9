//! `reflexarc tail`: what happens in a running service, live.

mod lines;

use std::time::Duration;

use reflexarc_event::Json;
use reflexarc_pattern::Dialect;
use reflexarc_service::operate::{LiveMessage, LiveStream, Remote, RemoteError};
use reflexarc_service::security::Role;
use tokio::time::Instant;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::filter_argument;
use crate::output::Output;
use crate::output::text::printable_str;
use crate::service_args::{ServiceArgs, refused};
use crate::stop_signal::StopSignals;

/// Wait before the second attempt to connect again; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// A stream that lasted this long worked: the next wait is short again.
const WORKED: Duration = Duration::from_secs(5);

/// Arguments of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints events with the rules that matched and what became of them, deadlines that fire, attempts \
to deliver, calls and their answers, as they happen, until Ctrl-C. Several conditions must all \
hold; of several rules, targets or kinds, one. With --when: what is about an event that the filter \
matches; its deliveries are printed as far as the event came while this ran.

When the connection is lost, it is made again, and goes on where it ended: nothing is printed \
twice, and what the service no longer has is counted on stderr. The service keeps the last 4,096 \
entries for this, and sends at most 500 a second.

The address, the certificate and a token with the role `read` come from the reflexarc.toml in this \
folder, if there is one.

Exit codes:
  0 ended by Ctrl-C, or the reader of the output has ended
  3 invalid filter or configuration
  5 the service refused the request, or could not be reached at the start

Examples:
  reflexarc tail
  reflexarc tail --rule failed-operation --kinds event,firing
  reflexarc tail --when 'content.result == \"failed\"' --format ndjson | jq .")]
pub(crate) struct Args {
    #[command(flatten)]
    service: ServiceArgs,
    /// Only what is about this rule; can be repeated
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// Only what is about this target; can be repeated
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Only what is about events that this filter matches
    #[arg(long, value_name = "FILTER")]
    when: Option<String>,
    /// Only these kinds: event, firing, delivery, call, answer
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    kinds: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: TailFormat,
}

/// How entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum TailFormat {
    /// Lines for people
    #[default]
    Human,
    /// One JSON document a line
    Ndjson,
}

/// Prints entries until a signal ends it.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(when) = &args.when {
        // Here too, because a finding that is drawn says more than a refusal of the service.
        filter_argument::parse(when, Dialect::Reflexarc, output)?;
    }
    let remote = args.service.remote(Role::Read)?;
    let runtime = tokio_runtime()?;
    let ended = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        tokio::select! {
            ended = follow(args, &remote, output) => ended,
            () = signals.received() => Ok(Exit::Done),
        }
    });
    runtime.shutdown_background();
    ended
}

/// Prints entries, and connects again whenever the connection is lost.
async fn follow(args: &Args, remote: &Remote, output: &mut Output) -> Result<Exit, Failure> {
    let filter = filter(args);
    let mut stream = remote.live(&filter, None).await.map_err(refused)?;
    let mut last = String::new();
    loop {
        let begun = Instant::now();
        let lost = print_all(args, &mut stream, &mut last, output).await?;
        output.status(&format!("connection lost: {lost}; connecting again"));
        let mut wait = if begun.elapsed() >= WORKED {
            Duration::ZERO
        } else {
            FIRST_WAIT
        };
        stream = loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).clamp(FIRST_WAIT, MAX_WAIT);
            let after = (!last.is_empty()).then_some(last.as_str());
            match remote.live(&filter, after).await {
                Ok(stream) => break stream,
                Err(error) if is_final(&error) => return Err(refused(error)),
                Err(_) => {}
            }
        };
        output.status("connected again");
    }
}

/// Prints what comes until the connection is lost. Returns why it was.
async fn print_all(
    args: &Args,
    stream: &mut LiveStream,
    last: &mut String,
    output: &mut Output,
) -> Result<String, Failure> {
    loop {
        let messages = match stream.next().await {
            Ok(Some(messages)) => messages,
            Ok(None) => return Ok("the service has ended the stream".to_owned()),
            Err(error) => return Ok(printable_str(&error.to_string())),
        };
        for message in messages {
            print(args.format, &message, output)?;
            last.clone_from(&message.id);
        }
        output.flush()?;
    }
}

fn print(format: TailFormat, message: &LiveMessage, output: &mut Output) -> Result<(), Failure> {
    let entry = Json::parse(&message.data);
    let entry = entry.map_err(|error| Failure::Runtime(format!("invalid entry: {error}")))?;
    if format == TailFormat::Ndjson {
        // As one document, whatever a proxy has made of it.
        output.line(&entry)?;
    }
    if entry.get("kind").and_then(Json::as_str) == Some("left_out") {
        output.status(&lines::left_out(&entry));
        return Ok(());
    }
    match format {
        TailFormat::Ndjson => Ok(()),
        TailFormat::Human => lines::print(&entry, output),
    }
}

/// The pairs of the query.
fn filter(args: &Args) -> Vec<(&'static str, String)> {
    let rules = args.rule.iter().map(|rule| ("rule", rule.clone()));
    let targets = args.target.iter().map(|target| ("target", target.clone()));
    let kinds = (!args.kinds.is_empty()).then(|| ("kinds", args.kinds.join(",")));
    let when = args.when.iter().map(|when| ("when", when.clone()));
    rules.chain(targets).chain(kinds).chain(when).collect()
}

/// Whether connecting again would not help: neither a service that is busy or restarts, nor a proxy
/// in front of it that says so.
fn is_final(error: &RemoteError) -> bool {
    match error {
        RemoteError::Refused { status, .. } => *status < 500 && !matches!(status, 408 | 429),
        RemoteError::Address(_) => true,
        _ => false,
    }
}
