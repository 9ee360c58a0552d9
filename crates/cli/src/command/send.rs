//! `reflexarc send`: send events to a running service.

use std::ops::ControlFlow;
use std::path::PathBuf;

use reflexarc_event::Event;
use reflexarc_service::operate::{Remote, Sent};
use reflexarc_service::security::Role;
use tokio::runtime::Runtime;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::Output;
use crate::service_args::{ServiceArgs, refused};

/// Arguments of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Events are sent in batches; the service responds when a batch is stored. While the service is \
busy or restarting, a batch is sent again: the service recognises duplicates by source, id, \
name, resource and time, so nothing is processed twice. An event without an id is never a \
duplicate.

The address, the certificate and a token with the role `ingest` come from the reflexarc.toml in \
this folder, if there is one.

Exit codes:
  0 all stored
  3 invalid configuration
  4 some events could not be read (the others were sent)
  5 the service refused the request or cannot be reached

Examples:
  reflexarc send examples/eni-events.ndjson
  REFLEXARC_TOKEN=… reflexarc send --url https://hooks.example.com - < events.ndjson")]
pub(crate) struct Args {
    /// Events: NDJSON, a JSON array or JSON documents, optionally compressed with gzip or zstd;
    /// `-` is stdin [default: stdin]
    #[arg(value_name = "EVENTS")]
    events: Vec<PathBuf>,
    #[command(flatten)]
    service: ServiceArgs,
    /// Maximum number of events in one request
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
}

/// Maximum bytes of events in one request. The service accepts 8 MiB by default.
const BATCH_BYTES: usize = 4 << 20;

/// Sends the events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let sources = input::open_all(&args.events)?;
    let mut sender = Sender {
        remote: args.service.remote(Role::Ingest)?,
        runtime: tokio_runtime()?,
        batch: Vec::new(),
        bytes: 0,
        total: Sent::default(),
    };
    let mut unreadable = 0_u64;
    let sent = sender.send_all(sources, usize::from(args.batch), |fault| {
        unreadable += 1;
        output.error(fault);
    });
    let Sent {
        accepted,
        duplicates,
        ..
    } = sender.total;
    let counts = format!("{accepted} accepted, {duplicates} duplicates, {unreadable} unreadable");
    if let Err(failure) = sent {
        // The batches before the one that failed are stored; the caller may send the rest again.
        output.status(&format!("stopped after {counts}"));
        return Err(failure);
    }
    output.line(counts)?;
    Ok(if unreadable > 0 {
        Exit::Unreadable
    } else {
        Exit::Done
    })
}

/// Collects events into batches and sends them.
struct Sender {
    remote: Remote,
    runtime: Runtime,
    batch: Vec<Event>,
    bytes: usize,
    total: Sent,
}

impl Sender {
    /// Sends the events of all sources; calls `report` for each record that is not an event.
    fn send_all(
        &mut self,
        sources: Vec<Source>,
        max_events: usize,
        mut report: impl FnMut(&str),
    ) -> Result<(), Failure> {
        for source in sources {
            let name = source.name.clone();
            input::for_each(source, Ok, |processed| {
                match processed.result {
                    Ok(event) => self.push(event, max_events)?,
                    Err(error) => report(&format!("{name}:{error}")),
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        self.flush()
    }

    /// Adds an event; sends the batch when it has `max_events`, or before it exceeds
    /// [`BATCH_BYTES`].
    fn push(&mut self, event: Event, max_events: usize) -> Result<(), Failure> {
        // An event larger than the limit alone is sent on its own: the service may accept it.
        if self.bytes + event.bytes().len() > BATCH_BYTES {
            self.flush()?;
        }
        self.bytes += event.bytes().len();
        self.batch.push(event);
        if self.batch.len() >= max_events {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            let taken = self
                .runtime
                .block_on(self.remote.send(&self.batch))
                .map_err(refused)?;
            self.total.accepted += taken.accepted;
            self.total.duplicates += taken.duplicates;
            self.batch.clear();
            self.bytes = 0;
        }
        Ok(())
    }
}
