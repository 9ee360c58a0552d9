//! `reflexarc outbox` and `reflexarc dlq`: pending deliveries, and dead letters.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;
use reflexarc_service::operate::delivery_to_json;
use reflexarc_service::store::{DeliveryRecord, DeliveryStatus};
use reflexarc_service::{Store, StoreError};

use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::text::printable_str;
use crate::output::{self, Format, Output};

/// Subcommands of `outbox`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running.

Exit codes: 0 done · 1 no such delivery, or it is not pending · 3 invalid configuration
            5 the store cannot be opened")]
pub(crate) enum Outbox {
    /// Print pending deliveries, soonest first
    List(ListArgs),
    /// Print one delivery: its payload and every attempt with the receiver's response
    Show(ShowArgs),
    /// Cancel deliveries: they are not attempted again
    Cancel(ChangeArgs),
}

/// Subcommands of `dlq`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running.

Exit codes: 0 done · 1 no such delivery, or it is not a dead letter · 3 invalid configuration
            5 the store cannot be opened

Examples:
  reflexarc dlq list --target network-team
  reflexarc dlq redrive --all --target network-team")]
pub(crate) enum Dlq {
    /// Print dead letters, oldest first
    List(ListArgs),
    /// Print one dead letter: its payload and every attempt with the receiver's response
    Show(ShowArgs),
    /// Move dead letters back to the outbox, under the same ids and with all attempts left
    Redrive(ChangeArgs),
    /// Drop dead letters: they cannot be redriven
    Drop(ChangeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only deliveries to this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Maximum number of deliveries
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Id of the delivery
    id: DeliveryId,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Ids of the deliveries
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<DeliveryId>,
    /// All of them, or all to --target
    #[arg(long)]
    all: bool,
    /// With --all: only deliveries to this target
    #[arg(long, value_name = "NAME", requires = "all")]
    target: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A store operation on one delivery: false if the delivery is not in a state that allows it.
type StoreOperation = fn(&Store, DeliveryId, Timestamp) -> Result<bool, StoreError>;

/// Runs a subcommand of `outbox`.
pub(crate) fn outbox(args: &Outbox, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Outbox::List(args) => list(args, DeliveryStatus::Pending, output),
        Outbox::Show(args) => show(args, output),
        Outbox::Cancel(args) => change(
            args,
            DeliveryStatus::Pending,
            Store::cancel,
            "cancelled",
            output,
        ),
    }
}

/// Runs a subcommand of `dlq`.
pub(crate) fn dlq(args: &Dlq, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Dlq::List(args) => list(args, DeliveryStatus::Dead, output),
        Dlq::Show(args) => show(args, output),
        Dlq::Redrive(args) => change(
            args,
            DeliveryStatus::Dead,
            Store::redrive,
            "moved back to the outbox",
            output,
        ),
        Dlq::Drop(args) => change(
            args,
            DeliveryStatus::Dead,
            Store::drop_dead_letter,
            "dropped",
            output,
        ),
    }
}

fn list(args: &ListArgs, status: DeliveryStatus, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store) = args.report.config.open_store()?;
    let entries = store
        .deliveries(status, args.target.as_deref(), args.limit)
        .map_err(store_failure)?;
    output.begin(format)?;
    for entry in &entries {
        match format {
            Format::Human => output.line(summary(entry))?,
            Format::Json | Format::Ndjson => {
                output.element(format, &delivery_to_json(entry, None))?;
            }
        }
    }
    output.end(format)?;
    // `while reflexarc outbox list; do sleep 1; done` waits for an empty outbox.
    Ok(if entries.is_empty() {
        Exit::Negative
    } else {
        Exit::Done
    })
}

/// One line: id, target, rule, event, and the reason or the next attempt.
fn summary(entry: &DeliveryRecord) -> String {
    let delivery = &entry.delivery;
    let state = match (&entry.reason, entry.status) {
        (Some(reason), _) => printable_str(reason),
        (None, DeliveryStatus::Pending) => {
            format!("attempt {} due {}", delivery.attempt, entry.due)
        }
        (None, status) => status.as_str().to_owned(),
    };
    format!(
        "{}  {}  {}  {}  {state}",
        delivery.id,
        delivery.target,
        delivery.rule,
        printable_str(&delivery.event.id)
    )
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.report.config.open_store()?;
    let Some((entry, attempts)) = store.delivery(args.id).map_err(store_failure)? else {
        output.error(&format!("no delivery {}", args.id));
        return Ok(Exit::Negative);
    };
    let document = delivery_to_json(&entry, Some(&attempts));
    match args.report.format {
        Format::Human => {
            output::delivery::print(&document, output)?;
            output.line(format_args!(
                "  {}",
                document.get("action").unwrap_or(&Json::Null)
            ))?;
        }
        Format::Json | Format::Ndjson => output.json(&document)?,
    }
    Ok(Exit::Done)
}

/// Applies `operation` to the deliveries; `done` is the participle that the summary prints.
fn change(
    args: &ChangeArgs,
    status: DeliveryStatus,
    operation: StoreOperation,
    done: &str,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (_, store) = args.config.open_store()?;
    let ids = if args.all {
        let entries = store
            .deliveries(status, args.target.as_deref(), usize::MAX)
            .map_err(store_failure)?;
        entries.iter().map(|entry| entry.delivery.id).collect()
    } else {
        args.ids.clone()
    };
    let (mut changed, mut unchanged) = (0, 0);
    for id in ids {
        // The service may settle a delivery between the listing and this change; the store then
        // returns false, and the delivery is reported like any other in the wrong state.
        if operation(&store, id, Timestamp::now()).map_err(store_failure)? {
            changed += 1;
        } else {
            unchanged += 1;
            let expected = if status == DeliveryStatus::Pending {
                "pending"
            } else {
                "a dead letter"
            };
            output.error(&format!("delivery {id} is not {expected}"));
        }
    }
    output.line(format_args!("{changed} {done}"))?;
    Ok(if unchanged > 0 || changed == 0 {
        Exit::Negative
    } else {
        Exit::Done
    })
}
