//! `reflexarc outbox` and `reflexarc dlq`: pending deliveries, and dead letters.

mod many;

use std::collections::BTreeSet;

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_diagnostic::format_duration;
use reflexarc_event::Json;
use reflexarc_service::operate::{Operation, delivery_to_json, with_withheld_periods};
use reflexarc_service::store::{DeliveryFilter, DeliveryRecord, DeliveryStatus, PageLimits};
use reflexarc_service::{Store, StoreError};

use super::audited;
use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::table::{self, Table};
use crate::output::text::{plural, printable};
use crate::output::{self, Format, Output};

/// Deliveries that are in memory at one time.
const PAGE: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 4 << 20,
};

/// Subcommands of `outbox`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running.

Exit codes:
  0 done
  1 no such delivery, or it is not pending
  3 invalid configuration
  4 deliveries that are damaged, or could not be changed, were reported and left out
  5 the store cannot be opened")]
pub(crate) enum Outbox {
    /// Print pending deliveries, soonest first; delayed ones with the time until which they wait
    List(OutboxListArgs),
    /// Print one delivery: its payload and every attempt with the receiver's response
    Show(ShowArgs),
    /// Cancel deliveries: they are not attempted again
    Cancel(CancelArgs),
}

/// Subcommands of `dlq`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running.

Exit codes:
  0 done
  1 no such delivery, or it is not a dead letter
  3 invalid configuration
  4 deliveries that are damaged, or could not be changed, were reported and left out
  5 the store cannot be opened

Examples:
  reflexarc dlq list --target network-team
  reflexarc dlq redrive --all --target network-team
  reflexarc dlq drop --all --rule lost --reason \"no such user\"")]
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
pub(crate) struct OutboxListArgs {
    /// The deliveries that silences and incidents withhold, instead of pending ones
    #[arg(long)]
    withheld: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Which deliveries are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only deliveries to this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Only deliveries of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only deliveries of the event with this id
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only deliveries with this text in the reason that the list shows
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only dead letters since this time, or deliveries that were created since then: a timestamp
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only dead letters until this time, or deliveries that were created until then
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
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
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "FilterArgs"])]
    ids: Vec<DeliveryId>,
    /// All of them, or all that the other options select
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// With --all: the deliveries that silences and incidents withhold, instead of pending ones
    #[arg(long, requires = "all")]
    withheld: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What happens to deliveries.
struct Change {
    /// The status of those that it is done with.
    status: DeliveryStatus,
    store: StoreOperation,
    /// The same for one delivery, and for many.
    one: fn(DeliveryId) -> Operation,
    many: fn(DeliveryFilter) -> Operation,
    /// The participle of the summary.
    done: &'static str,
    /// Why one of this status is left as it is.
    unchanged: &'static str,
}

/// A store operation on one delivery: false if the delivery is not in a state that allows it.
type StoreOperation = fn(&dyn Store, DeliveryId, Timestamp) -> Result<bool, StoreError>;

/// Runs a subcommand of `outbox`.
pub(crate) fn outbox(args: &Outbox, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Outbox::List(args) => {
            let status = if args.withheld {
                DeliveryStatus::Withheld
            } else {
                DeliveryStatus::Pending
            };
            list(&args.list, status, output)
        }
        Outbox::Show(args) => show(args, output),
        Outbox::Cancel(args) => {
            let status = if args.withheld {
                DeliveryStatus::Withheld
            } else {
                DeliveryStatus::Pending
            };
            let cancel = Change {
                status,
                store: |store, id, now| store.cancel(id, now),
                one: |id| Operation::Cancel { id },
                many: |filter| Operation::CancelMatching { filter },
                done: "cancelled",
                unchanged: "was cancelled before, and its call is still being sent",
            };
            change(&args.change, &cancel, output)
        }
    }
}

/// Runs a subcommand of `dlq`.
pub(crate) fn dlq(args: &Dlq, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Dlq::List(args) => list(args, DeliveryStatus::Dead, output),
        Dlq::Show(args) => show(args, output),
        Dlq::Redrive(args) => {
            let redrive = Change {
                status: DeliveryStatus::Dead,
                store: |store, id, now| store.redrive(id, now),
                one: |id| Operation::Redrive { id },
                many: |filter| Operation::RedriveMatching { filter },
                done: "moved back to the outbox",
                unchanged: "is a call, which is not redriven: it may have been executed",
            };
            change(args, &redrive, output)
        }
        Dlq::Drop(args) => {
            let drop = Change {
                status: DeliveryStatus::Dead,
                store: |store, id, now| store.drop_dead_letter(id, now),
                one: |id| Operation::Drop { id },
                many: |filter| Operation::DropMatching { filter },
                done: "dropped",
                unchanged: "cannot be dropped",
            };
            change(args, &drop, output)
        }
    }
}

impl FilterArgs {
    /// The filter for deliveries of a status.
    fn filter(&self, status: DeliveryStatus) -> DeliveryFilter {
        DeliveryFilter {
            target: self.target.clone(),
            rule: self.rule.clone(),
            event: self.event.clone(),
            reason: self.reason.clone(),
            since: self.since,
            finished_until: self.until,
            ..DeliveryFilter::of(status)
        }
    }
}

fn list(args: &ListArgs, status: DeliveryStatus, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store) = args.report.config.open_store()?;
    let mut table = Table::new(if status == DeliveryStatus::Dead {
        ["DELIVERY", "TARGET", "RULE", "EVENT", "SINCE", "REASON"]
    } else {
        ["DELIVERY", "TARGET", "RULE", "EVENT", "NEXT ATTEMPT", "DUE"]
    });
    let mut count = 0;
    output.begin(format)?;
    let list = (&args.filter.filter(status), args.limit);
    let damaged = for_each(&*store, list, output, |entry, output| {
        count += 1;
        match format {
            Format::Human => print_row(&entry, status, &mut table, output),
            Format::Json | Format::Ndjson => {
                output.element(format, &delivery_to_json(&entry, None))
            }
        }
    })?;
    output.end(format)?;
    table.finish(output)?;
    if count == 0 && format == Format::Human {
        output.status(&nothing_listed(&args.filter, status));
    }
    // `while reflexarc outbox list; do sleep 1; done` waits for an empty outbox.
    let exit = if count == 0 {
        Exit::Negative
    } else {
        Exit::Done
    };
    Ok(damaged.unwrap_or(exit))
}

/// Visits the deliveries that a filter selects, at most `limit`, a page of them in memory at a
/// time. Reports those that cannot be read; then the exit code is returned that says so.
fn for_each(
    store: &dyn Store,
    (filter, limit): (&DeliveryFilter, usize),
    output: &mut Output,
    mut visit: impl FnMut(DeliveryRecord, &mut Output) -> Result<(), Failure>,
) -> Result<Option<Exit>, Failure> {
    // Damage of an index is found again with each page.
    let mut reported = BTreeSet::new();
    let (mut left, mut after) = (limit, None);
    while left > 0 {
        let limits = PageLimits {
            rows: PAGE.rows.min(left),
            ..PAGE
        };
        let page = if is_target_only(filter) {
            store.delivery_page(filter.status, filter.target.as_deref(), after, limits)
        } else {
            store.filtered_page(filter, false, after, limits)
        };
        let page = page.map_err(store_failure)?;
        for damaged in &page.damaged {
            let message = damaged.to_string();
            if reported.insert(message.clone()) {
                output.error(&message);
            }
        }
        left = left.saturating_sub(page.deliveries.len());
        for entry in page.deliveries {
            visit(entry, output)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if reported.is_empty() {
        return Ok(None);
    }
    let count = reported.len() as u64;
    output.error(&format!("{} left out", plural(count, "damaged part")));
    Ok(Some(Exit::Unreadable))
}

/// Whether the list by target has what a filter selects: its order is that of the next attempts.
fn is_target_only(filter: &DeliveryFilter) -> bool {
    let of_target = DeliveryFilter {
        target: filter.target.clone(),
        ..DeliveryFilter::of(filter.status)
    };
    *filter == of_target
}

/// Prints a pending delivery with its next attempt, or a dead letter with its reason.
fn print_row(
    entry: &DeliveryRecord,
    status: DeliveryStatus,
    table: &mut Table<6>,
    output: &mut Output,
) -> Result<(), Failure> {
    let delivery = &entry.delivery;
    let (id, attempt) = (delivery.id.to_string(), delivery.attempt.to_string());
    let (due, since) = (
        if status == DeliveryStatus::Withheld {
            "withheld".to_owned()
        } else if entry.waits {
            "after the one before".to_owned()
        } else {
            format!("{}{}", table::time(entry.due), delay_text(entry))
        },
        entry.finished.map_or_else(String::new, table::time),
    );
    let (fifth, sixth) = if status == DeliveryStatus::Dead {
        (since, entry.reason.clone().unwrap_or_default())
    } else {
        (attempt, due)
    };
    let row = [
        &id,
        &delivery.target,
        &delivery.rule,
        &delivery.event.id,
        &fifth,
        &sixth,
    ];
    table.row(row.map(String::as_str), output)
}

/// ` (after 15m, key manager)`, for a delivery that its rule has delayed or named.
fn delay_text(entry: &DeliveryRecord) -> String {
    let action = &entry.delivery.action;
    let after = action.after().map(format_duration);
    let after = after.map(|after| format!("after {after}"));
    let key = action
        .key()
        .map(|key| format!("key {}", printable(&Json::from(key))));
    let parts: Vec<String> = [after, key].into_iter().flatten().collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}

/// What is printed in place of an empty table.
fn nothing_listed(args: &FilterArgs, status: DeliveryStatus) -> String {
    let noun = match status {
        DeliveryStatus::Pending => "pending deliveries",
        DeliveryStatus::Withheld => "withheld deliveries",
        _ => "dead letters",
    };
    match (&args.target, is_target_only(&args.filter(status))) {
        (Some(target), true) => format!("no {noun} for target `{target}`"),
        (None, true) => format!("no {noun}"),
        (_, false) => format!("no {noun} that the options select"),
    }
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.report.config.open_store()?;
    let Some((entry, attempts)) = store.delivery(args.id).map_err(store_failure)? else {
        output.error(&format!("no delivery {}", args.id));
        return Ok(Exit::Negative);
    };
    let document = delivery_to_json(&entry, Some(&attempts));
    let document = with_withheld_periods(&*store, document, args.id).map_err(store_failure)?;
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

/// Changes the deliveries, and records that.
fn change(args: &ChangeArgs, change: &Change, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.config.open_store()?;
    if args.all {
        let filter = args.filter.filter(change.status);
        return many::change_all(&*store, &filter, change, output);
    }
    let (mut changed, mut unchanged) = (0, 0);
    for id in &args.ids {
        let reason = audited::perform(
            &*store,
            &(change.one)(*id),
            output,
            || change.apply(&*store, *id),
            |reason| match reason {
                None => (true, change.done.to_owned()),
                Some(reason) => (false, reason.clone()),
            },
        )?;
        if let Some(reason) = reason {
            output.error(&reason);
            unchanged += 1;
        } else {
            changed += 1;
        }
    }
    change.summarise(changed, unchanged, output)
}

impl Change {
    /// Changes one delivery. Returns why it is left as it is, if it is.
    fn apply(&self, store: &dyn Store, id: DeliveryId) -> Result<Option<String>, StoreError> {
        if (self.store)(store, id, Timestamp::now())? {
            return Ok(None);
        }
        let Some((record, _)) = store.delivery(id)? else {
            return Ok(Some(format!("no delivery {id}")));
        };
        Ok(Some(if record.status == self.status {
            format!("delivery {id} {}", self.unchanged)
        } else {
            let (status, expected) = (record.status.as_str(), self.status.as_str());
            format!("delivery {id} is {status}, not {expected}")
        }))
    }

    fn summarise(
        &self,
        changed: u64,
        unchanged: u64,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        output.line(format_args!("{changed} {}", self.done))?;
        Ok(if unchanged > 0 || changed == 0 {
            Exit::Negative
        } else {
            Exit::Done
        })
    }
}
