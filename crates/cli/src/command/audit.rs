//! `reflexarc audit`: what operators have done.

use jiff::Timestamp;
use reflexarc_service::operate::{Operation, audit_to_json};
use reflexarc_service::store::{AuditEntry, AuditFilter};

use crate::config_args::{StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::table::{self, Table};
use crate::output::{Format, Output};

/// Entries that are in memory at one time.
const PAGE: usize = 500;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each operation is one entry, whether it was done in the console, by the HTTP API or by a command, \
and whether it was done or refused: who, when, what, how it ended, and the command line that does \
the same. Requests by the HTTP API have the name of their token, `local` where no tokens are \
configured; commands have the name of the user. An operation is `begun` until it ends; of what \
changes many deliveries, COUNT says how far it is. It is `unknown` if the process died before the \
outcome was recorded: it may have been done or not. The service finds that out at its next start.

Entries are kept as long as dead letters, at most 100,000. Reads the store directly; the service \
may be running.

Exit codes:
  0 printed
  1 no such entry
  3 invalid configuration
  5 the store cannot be opened

Examples:
  reflexarc audit --limit 20
  reflexarc audit --by alice --operation redrive_matching --format json")]
pub(crate) struct Args {
    /// Only what this operator did
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only operations of this name, such as `pause_target`
    #[arg(long, value_name = "NAME",
          value_parser = clap::builder::PossibleValuesParser::new(Operation::NAMES))]
    operation: Option<String>,
    /// Only what began at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what began before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Maximum number of entries
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    report: StoreReportArgs,
}

/// Prints the entries, the newest first.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store) = args.report.config.open_store()?;
    let filter = AuditFilter {
        by: args.by.clone(),
        operation: args.operation.clone(),
        from: args.from,
        until: args.until,
    };
    let mut table = Table::new([
        "TIME",
        "BY",
        "VIA",
        "OPERATION",
        "SUBJECT",
        "OUTCOME",
        "COUNT",
        "MESSAGE",
    ]);
    let (mut left, mut before) = (args.limit, None);
    output.begin(format)?;
    while left > 0 {
        let limit = left.min(PAGE);
        let found = store.audit_page(&filter, before, limit);
        let found = found.map_err(store_failure)?;
        for entry in &found {
            match format {
                Format::Human => print_row(entry, &mut table, output)?,
                Format::Json | Format::Ndjson => output.element(format, &audit_to_json(entry))?,
            }
        }
        left -= found.len();
        before = found.last().map(|last| last.id);
        if found.len() < limit {
            break;
        }
    }
    output.end(format)?;
    table.finish(output)?;
    if left < args.limit {
        return Ok(Exit::Done);
    }
    if format == Format::Human {
        output.status("no operator has done anything");
    }
    Ok(Exit::Negative)
}

fn print_row(entry: &AuditEntry, table: &mut Table<8>, output: &mut Output) -> Result<(), Failure> {
    let (at, count) = (table::time(entry.at), entry.count.to_string());
    table.row(
        [
            &at,
            &entry.by,
            entry.via.as_str(),
            &entry.operation,
            &entry.subject,
            entry.outcome.as_str(),
            &count,
            &entry.message,
        ],
        output,
    )
}
