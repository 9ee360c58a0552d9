//! `reflexarc archive`: the events as they were received.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use reflexarc_service::operate::entry_to_json;
use reflexarc_service::store::{Archived, DamagedEvent, EntryKind, Retention, Selection};

use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::evaluation::object;
use crate::output::left_out::LeftOut;
use crate::output::table::{self, Table};
use crate::output::text::plural;
use crate::output::{Format, Output};

/// Subcommands of `archive`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running.

Exit codes:
  0 done
  1 no event selected, or `verify` found damage
  3 invalid configuration
  4 damaged events were reported and left out
  5 the store cannot be opened

Examples:
  reflexarc archive list --from 2026-11-20T00:00:00Z
  reflexarc archive list --entries
  reflexarc archive export --from 2h | reflexarc run rules -
  reflexarc archive prune --keep 7d")]
pub(crate) enum Archive {
    /// Print time, id, kind and resource of archived events, or of all entries
    List {
        #[command(flatten)]
        range: Range,
        /// Only entries of this kind: event, emitted, firing, resumed, clock, reload, closed,
        /// answer or state
        #[arg(long, value_parser = parse_kind, value_name = "KIND")]
        kind: Option<EntryKind>,
        /// All kinds of entries: also firings, reloads and the like
        #[arg(long, conflicts_with = "kind")]
        entries: bool,
        #[command(flatten)]
        report: StoreReportArgs,
    },
    /// Print archived events as they were received, one per line
    #[command(after_help = "\
With --entries each line is an entry of any kind: `{\"seq\", \"entry\", \"at\", \"id\", \"source\", \
\"event\", \"evaluation\"}`, and `detail` in place of `event` where `entry` is none of event and \
emitted. Such lines are records, and cannot be sent again.")]
    Export {
        #[command(flatten)]
        range: Range,
        /// All entries, each with its kind, time, body and evaluation
        #[arg(long)]
        entries: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Check the structure of the store and the checksum of every event
    Verify {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Remove events that are older than the retention, or than --keep, and drop dead letters that
    /// are older than the configuration allows
    Prune {
        /// Keep events for this long, such as `7d`, instead of the configured retention
        #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
        keep: Option<SignedDuration>,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Selection of archived events.
#[derive(Debug, clap::Args)]
pub(crate) struct Range {
    /// Accepted at this time or later: a timestamp, or a time before now such as `2h`
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Accepted before this time
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Only events with this id
    #[arg(long = "event", value_name = "ID")]
    id: Option<String>,
}

impl Range {
    /// The selection in the form that the store takes.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            from: self.from,
            to: self.to,
            id: self.id.clone(),
            ..Selection::default()
        }
    }
}

/// Lists, exports, verifies or prunes.
pub(crate) fn run(args: &Archive, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Archive::List {
            range,
            kind,
            entries,
            report,
        } => {
            let kind = kind.or((!entries).then_some(EntryKind::Event));
            list(range, kind, report, output)
        }
        Archive::Export {
            range,
            entries: true,
            config,
        } => for_each_event(config, &range.selection(), output, |entry, output| {
            output.line(entry_to_json(&entry))
        }),
        Archive::Export { range, config, .. } => {
            // Only events: what is exported can be sent again.
            let selection = Selection {
                kind: Some(EntryKind::Event),
                ..range.selection()
            };
            for_each_event(config, &selection, output, |event, output| {
                // Bytes are exported unchanged, but a pretty-printed event would take several
                // lines; its tree prints the same members and digits on one line.
                if event.event.bytes().contains(&b'\n') {
                    output.line(event.event.tree())
                } else {
                    output.bytes(event.event.bytes())?;
                    output.bytes(b"\n")
                }
            })
        }
        Archive::Verify { config } => verify(config, output),
        Archive::Prune { keep, config } => {
            let (config, store) = config.open_store()?;
            // `--keep` is about the age of events only, so neither a size limit of the
            // configuration nor the age of dead letters applies.
            let retention = keep.map_or(config.retention, |age| Retention {
                age,
                bytes: None,
                dead_letters: None,
            });
            let pruned = store
                .prune(&retention, Timestamp::now())
                .map_err(store_failure)?;
            output.line(format_args!("{} events removed", pruned.events))?;
            for (target, count) in &pruned.dead_letters {
                let letters = plural(*count, "dead letter");
                output.line(format_args!("{letters} of target {target} dropped"))?;
            }
            for event in &pruned.damage {
                output.line(event)?;
            }
            let more = pruned.damaged - pruned.damage.len() as u64;
            if more > 0 {
                output.line(format_args!("{more} more removed events were damaged"))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn list(
    range: &Range,
    kind: Option<EntryKind>,
    report: &StoreReportArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let format = report.format;
    let selection = Selection {
        kind,
        ..range.selection()
    };
    let mut table = Table::new(["ACCEPTED", "EVENT", "NAME", "RESOURCE"]);
    output.begin(format)?;
    let exit = for_each_event(
        &report.config,
        &selection,
        output,
        |event, output| match format {
            Format::Human => {
                let accepted = table::time(event.received);
                let row = [&accepted, &event.name.id, &event.kind, &event.resource];
                table.row(row.map(String::as_str), output)
            }
            Format::Json | Format::Ndjson => output.element(format, &summary_json(&event)),
        },
    )?;
    output.end(format)?;
    if !table.finish(output)? && format == Format::Human {
        output.status("no archived events");
    }
    Ok(exit)
}

fn verify(config: &ConfigArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = config.open_store()?;
    let verified = store.verify_archive().map_err(store_failure)?;
    let others = match verified.others {
        0 => String::new(),
        1 => "1 other entry, ".to_owned(),
        others => format!("{others} other entries, "),
    };
    output.line(format_args!(
        "{}, {others}{}, {} damaged",
        plural(verified.events, "event"),
        plural(verified.bytes, "byte"),
        verified.damaged.len()
    ))?;
    for damaged in &verified.damaged {
        output.error(&damaged.to_string());
    }
    if let Some(structure) = &verified.structure {
        output.error(&format!(
            "the structure of the store is damaged: {structure}"
        ));
    }
    Ok(
        if verified.damaged.is_empty() && verified.structure.is_none() {
            Exit::Done
        } else {
            Exit::Negative
        },
    )
}

/// Prints the selected events in the order in which they were accepted; negative if there are none.
/// Damaged ones are reported and left out.
fn for_each_event(
    config: &ConfigArgs,
    selection: &Selection,
    output: &mut Output,
    mut print: impl FnMut(Archived, &mut Output) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let (_, store) = config.open_store()?;
    // The store stops walking when `visit` returns false; the failure of `print` waits in `exit`.
    let (mut exit, mut left_out) = (Ok(Exit::Negative), LeftOut::default());
    let mut visit = |event: Result<Archived, DamagedEvent>| {
        match event {
            Ok(event) => exit = print(event, output).map(|()| Exit::Done),
            Err(damaged) => left_out.event(&damaged, output),
        }
        exit.is_ok()
    };
    store.walk(selection, &mut visit).map_err(store_failure)?;
    Ok(left_out.finish(exit?, output))
}

fn summary_json(event: &Archived) -> Json {
    object([
        ("seq", event.seq.into()),
        ("accepted", event.received.to_string().into()),
        ("id", event.name.id.as_str().into()),
        ("source", event.name.source.as_str().into()),
        ("entry", event.entry.as_str().into()),
        ("kind", event.kind.as_str().into()),
        ("resource", event.resource.as_str().into()),
        ("matched", event.evaluation.is_some().into()),
    ])
}

/// The kind of an entry by its name.
fn parse_kind(text: &str) -> Result<EntryKind, String> {
    let found = EntryKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text);
    found.ok_or_else(|| {
        let names = EntryKind::ALL.map(EntryKind::as_str).join(", ");
        format!("expected one of {names}")
    })
}

/// A timestamp such as `2026-11-20T00:00:00Z`, or a time before now such as `2h`.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let age = parse_duration(text).map_err(
        |_| "expected a timestamp such as 2026-11-20T00:00:00Z, or a time before now such as 2h",
    )?;
    Timestamp::now()
        .checked_sub(age)
        .map_err(|error| error.to_string())
}
