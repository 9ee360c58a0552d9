//! `reflexarc outbox` and `reflexarc dlq`: what waits to be delivered, and what nobody would take.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;
use reflexarc_service::{Entry, Status, Store, StoreError, entry_to_json};

use crate::command::trace::{plain, print_delivery};
use crate::configured::{Configured, failed};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `outbox`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the store itself, also while the service runs.

Exit codes: 0 done · 1 nothing there, or not in a state for it · 3 invalid configuration · 5 the store cannot be used")]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    what: Outbox,
}

#[derive(Debug, clap::Subcommand)]
enum Outbox {
    /// Print what waits to be delivered, what is due first first
    List(List),
    /// Print one delivery: its payload, every attempt, the receiver's words
    Show(Show),
    /// Take deliveries out: they are not tried again
    Cancel(Change),
}

/// Arguments of `dlq`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the store itself, also while the service runs.

Exit codes: 0 done · 1 nothing there, or not a dead letter · 3 invalid configuration · 5 the store cannot be used

Examples:
  reflexarc dlq list --target network-team
  reflexarc dlq redrive --all --target network-team")]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    what: Dlq,
}

#[derive(Debug, clap::Subcommand)]
enum Dlq {
    /// Print the dead letters, the oldest first
    List(List),
    /// Print one: its payload, every attempt, the receiver's words
    Show(Show),
    /// Put dead letters back into the outbox, with a fresh series of attempts under the same id
    Redrive(Change),
    /// End dead letters for good
    Drop(Change),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only those of this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Most to print
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    configured: Configured,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The delivery's id
    id: DeliveryId,
    #[command(flatten)]
    configured: Configured,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The deliveries' ids
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<DeliveryId>,
    /// All of them, or all of the target's
    #[arg(long)]
    all: bool,
    /// With --all: only those of this target
    #[arg(long, value_name = "NAME", requires = "all")]
    target: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

type Order = fn(&Store, DeliveryId, Timestamp) -> Result<bool, StoreError>;

/// Looks into the outbox, or cancels.
pub(crate) fn outbox(args: &OutboxArgs, output: &mut Output) -> Result<Exit, Failure> {
    match &args.what {
        Outbox::List(args) => list(args, Status::Pending, output),
        Outbox::Show(args) => show(args, output),
        Outbox::Cancel(args) => change(args, Status::Pending, Store::cancel, "cancelled", output),
    }
}

/// Looks at the dead letters, puts them back or ends them.
pub(crate) fn dlq(args: &DlqArgs, output: &mut Output) -> Result<Exit, Failure> {
    match &args.what {
        Dlq::List(args) => list(args, Status::Dead, output),
        Dlq::Show(args) => show(args, output),
        Dlq::Redrive(args) => change(
            args,
            Status::Dead,
            Store::redrive,
            "put back into the outbox",
            output,
        ),
        Dlq::Drop(args) => change(args, Status::Dead, Store::drop_dead, "dropped", output),
    }
}

fn list(args: &List, status: Status, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.configured.store()?;
    let entries = store
        .deliveries(status, args.target.as_deref(), args.limit)
        .map_err(failed)?;
    output.begin(args.format)?;
    for entry in &entries {
        match args.format {
            Format::Human => output.line(line(entry))?,
            Format::Json | Format::Ndjson => {
                output.element(args.format, &entry_to_json(entry, None))?
            }
        }
    }
    output.end(args.format)?;
    Ok(if entries.is_empty() {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn line(entry: &Entry) -> String {
    let delivery = &entry.delivery;
    let state = match (&entry.reason, entry.status) {
        (Some(reason), _) => plain(&Json::from(reason.as_str())),
        (None, Status::Pending) => format!("attempt {} due {}", delivery.attempt, entry.due),
        (None, status) => status.word().to_owned(),
    };
    format!(
        "{}  {}  {}  {}  {state}",
        delivery.id,
        delivery.target,
        delivery.rule,
        plain(&Json::from(delivery.event.id.as_str()))
    )
}

fn show(args: &Show, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.configured.store()?;
    let Some((entry, attempts)) = store.delivery(args.id).map_err(failed)? else {
        output.error(&format!("there is no delivery {}", args.id));
        return Ok(Exit::Negative);
    };
    let document = entry_to_json(&entry, Some(&attempts));
    match args.format {
        Format::Human => {
            print_delivery(&document, output)?;
            output.line(format_args!(
                "  {}",
                document.get("action").unwrap_or(&Json::Null)
            ))?;
        }
        Format::Json | Format::Ndjson => output.json(&document)?,
    }
    Ok(Exit::Done)
}

fn change(
    args: &Change,
    status: Status,
    order: Order,
    done: &str,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (_, store) = args.configured.store()?;
    let ids = if args.all {
        let entries = store
            .deliveries(status, args.target.as_deref(), usize::MAX)
            .map_err(failed)?;
        entries.iter().map(|entry| entry.delivery.id).collect()
    } else {
        args.ids.clone()
    };
    let (mut changed, mut refused) = (0, 0);
    for id in ids {
        if order(&store, id, Timestamp::now()).map_err(failed)? {
            changed += 1;
        } else {
            refused += 1;
            let place = if status == Status::Pending {
                "in the outbox"
            } else {
                "a dead letter"
            };
            output.error(&format!("{id} is not {place}"));
        }
    }
    output.line(format_args!("{changed} {done}"))?;
    Ok(if refused > 0 || changed == 0 {
        Exit::Negative
    } else {
        Exit::Done
    })
}
