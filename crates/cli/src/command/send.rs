//! `reflexarc send`: events to a running service.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use reflexarc_event::Event;
use reflexarc_service::{Remote, RemoteError, Taken};
use tokio::runtime::Runtime;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::Output;

/// Where a running service is.
#[derive(Debug, clap::Args)]
pub(crate) struct Service {
    /// The service's address
    #[arg(long, default_value = "http://127.0.0.1:8321", value_name = "URL")]
    url: String,
    /// The environment variable that holds the bearer token, if the service wants one
    #[arg(long, default_value = "REFLEXARC_TOKEN", value_name = "NAME")]
    token_env: String,
    /// Certificates in PEM that are trusted besides the system's
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
}

/// Arguments of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Events go out in batches; the answer comes when they are stored. While the service is busy or restarts, each batch is tried
again: the service knows an event by its id, so nothing happens twice. Events without an id are new each time.

Exit codes: 0 all stored · 4 some events could not be read (the others were sent) · 5 the service refused, or is out of reach

Examples:
  reflexarc send examples/eni-events.ndjson
  REFLEXARC_TOKEN=… reflexarc send --url https://hooks.example.com - < events.ndjson")]
pub(crate) struct Args {
    /// Events: NDJSON, a JSON array or documents, plain, gzip or zstd; `-` is stdin
    #[arg(value_name = "FILE")]
    events: PathBuf,
    #[command(flatten)]
    service: Service,
    /// Most events in one request
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
}

/// Most bytes in one request; the service takes 8 MiB unless it is configured otherwise.
const BATCH_BYTES: usize = 4 << 20;

/// Sends the events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let source = Source::open(&args.events)?;
    let name = args.events.display().to_string();
    let mut sending = Sending {
        remote: args.service.remote()?,
        runtime: tokio_runtime()?,
        batch: Vec::new(),
        bytes: 0,
        total: Taken::default(),
    };
    let mut broken = 0_u64;
    input::for_each(source, 1, Ok, |answer| {
        match answer.outcome {
            Ok(event) => sending.push(event, usize::from(args.batch))?,
            Err(fault) => {
                broken += 1;
                output.error(&format!("{name}:{fault}"));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    sending.flush()?;
    let Taken {
        accepted,
        duplicates,
    } = sending.total;
    output.line(format_args!(
        "{accepted} accepted, {duplicates} duplicates, {broken} unreadable"
    ))?;
    Ok(if broken > 0 {
        Exit::Unreadable
    } else {
        Exit::Done
    })
}

struct Sending {
    remote: Remote,
    runtime: Runtime,
    batch: Vec<Event>,
    bytes: usize,
    total: Taken,
}

impl Sending {
    fn push(&mut self, event: Event, most: usize) -> Result<(), Failure> {
        if self.bytes + event.bytes().len() > BATCH_BYTES {
            self.flush()?;
        }
        self.bytes += event.bytes().len();
        self.batch.push(event);
        if self.batch.len() >= most {
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

impl Service {
    /// The service.
    pub(crate) fn remote(&self) -> Result<Remote, Failure> {
        let token = std::env::var(&self.token_env)
            .ok()
            .filter(|token| !token.is_empty());
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
        };
        let authorities = self.authorities.as_deref().map(read).transpose()?;
        Remote::new(&self.url, token.map(Into::into), authorities.as_deref()).map_err(refused)
    }
}

/// What a service said as a failure of a command.
pub(crate) fn refused(error: RemoteError) -> Failure {
    match error {
        RemoteError::Address(_) => Failure::Usage(error.to_string()),
        RemoteError::Refused {
            status: 422,
            answer,
        } => Failure::Invalid(answer),
        error => Failure::Runtime(error.to_string()),
    }
}
