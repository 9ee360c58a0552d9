//! `reflexarc archive`: the events as they came.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use reflexarc_service::{Archived, Retention, Selection};

use crate::command::trace::plain;
use crate::configured::{Configured, failed};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `archive`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the store itself, also while the service runs.

Exit codes: 0 done · 1 nothing selected, or damage found · 3 invalid configuration · 5 the store cannot be used

Examples:
  reflexarc archive list --from 2026-11-20T00:00:00Z
  reflexarc archive export --from 2h | reflexarc run --rules rules --events -
  reflexarc archive prune --keep 7d")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print what is there: when, id, kind, resource
    List {
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        configured: Configured,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the events as they came, one a line
    Export {
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        configured: Configured,
    },
    /// Read everything back: the file's structure, every event's checksum
    Verify {
        #[command(flatten)]
        configured: Configured,
    },
    /// Remove what is older than the retention allows, or than --keep
    Prune {
        /// Keep so much, such as `7d`, whatever the configuration says
        #[arg(long, value_parser = parse_duration, value_name = "TIME")]
        keep: Option<SignedDuration>,
        #[command(flatten)]
        configured: Configured,
    },
}

/// Which events.
#[derive(Debug, clap::Args)]
pub(crate) struct Range {
    /// Accepted then or later: an instant, or a time before now such as `2h`
    #[arg(long, value_parser = instant, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Accepted before then
    #[arg(long, value_parser = instant, value_name = "TIME")]
    to: Option<Timestamp>,
    /// With this id
    #[arg(long = "event", value_name = "ID")]
    id: Option<String>,
}

impl Range {
    /// The same for the store.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            from: self.from,
            to: self.to,
            id: self.id.clone(),
        }
    }
}

/// Lists, exports, verifies or prunes.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    match &args.what {
        What::List {
            range,
            configured,
            format,
        } => {
            output.begin(*format)?;
            let any = each(configured, range, |event| match format {
                Format::Human => {
                    let (id, kind) = (
                        plain(&event.name.id.as_str().into()),
                        plain(&event.kind.as_str().into()),
                    );
                    let resource = plain(&event.resource.as_str().into());
                    output.line(format_args!("{}  {id}  {kind}  {resource}", event.received))
                }
                Format::Json | Format::Ndjson => output.element(*format, &listed(&event)),
            })?;
            output.end(*format)?;
            Ok(any)
        }
        What::Export { range, configured } => each(configured, range, |event| {
            if event.event.bytes().contains(&b'\n') {
                output.line(event.event.tree())
            } else {
                output.bytes(event.event.bytes())?;
                output.bytes(b"\n")
            }
        }),
        What::Verify { configured } => {
            let (_, store) = configured.store()?;
            let verdict = store.verify_archive().map_err(failed)?;
            output.line(format_args!(
                "{} events, {} bytes, {} damaged",
                verdict.events,
                verdict.bytes,
                verdict.damaged.len()
            ))?;
            for (seq, fault) in &verdict.damaged {
                output.error(&format!("event {seq}: {fault}"));
            }
            Ok(if verdict.damaged.is_empty() {
                Exit::Done
            } else {
                Exit::Negative
            })
        }
        What::Prune { keep, configured } => {
            let (config, store) = configured.store()?;
            let retention = keep.map_or(config.retention, |age| Retention { age, bytes: None });
            let gone = store.prune(&retention, Timestamp::now()).map_err(failed)?;
            output.line(format_args!("{gone} events removed"))?;
            Ok(Exit::Done)
        }
    }
}

fn each(
    configured: &Configured,
    range: &Range,
    mut print: impl FnMut(Archived) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let (_, store) = configured.store()?;
    let mut outcome = Ok(Exit::Negative);
    let visit = |event| {
        outcome = print(event).map(|()| Exit::Done);
        outcome.is_ok()
    };
    store.walk(&range.selection(), visit).map_err(failed)?;
    outcome
}

fn listed(event: &Archived) -> Json {
    let members = [
        ("seq", event.seq.into()),
        ("accepted", event.received.to_string().into()),
        ("id", event.name.id.as_str().into()),
        ("source", event.name.source.as_str().into()),
        ("kind", event.kind.as_str().into()),
        ("resource", event.resource.as_str().into()),
        ("matched", event.story.is_some().into()),
    ];
    members
        .into_iter()
        .map(|(key, value): (&str, Json)| (key.to_owned(), value))
        .collect()
}

/// `2026-11-20T00:00:00Z`, or `2h`: so long ago.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let ago = parse_duration(text)
        .map_err(|_| "write an instant such as 2026-11-20T00:00:00Z, or a time ago such as 2h")?;
    Timestamp::now()
        .checked_sub(ago)
        .map_err(|error| error.to_string())
}
