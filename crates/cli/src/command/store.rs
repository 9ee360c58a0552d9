//! `reflexarc store`: the tables of the store, and copies to another one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reflexarc_service::store::{CopyPhase, CopyProgress, CopyReport, StoreVersion, copy_store};
use reflexarc_service::{StoreLocation, open_store};
use serde_json::json;

use crate::config_args::{ConfigArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::text::plural;
use crate::output::{Format, Output};

/// How often a line says how far a copy is, where stderr is no terminal.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Subcommands of `store`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  reflexarc store migrate --check
  reflexarc store copy postgresql.toml")]
pub(crate) enum StoreCommand {
    /// Create the tables of the store, or update those of an earlier version
    #[command(after_help = "\
The service does the same at its start, and so does each command that opens the store. Several may \
do it at one time: one of them creates or updates the tables, and the others wait. Tables are never \
changed back; a program of an earlier version refuses them.

Exit codes:
  0 done, or nothing is to be done
  1 with --check: tables have to be created or updated
  3 invalid configuration
  5 the store cannot be opened, or is of another program or a newer version

Examples:
  reflexarc store migrate --config /etc/reflexarc/reflexarc.toml
  reflexarc store migrate --check")]
    Migrate {
        /// Only say whether that is needed, and change nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Copy everything in the store to the store of another configuration
    #[command(after_help = "\
The store of --config is copied to the one that [store] of CONFIG names, from SQLite to PostgreSQL, \
back, or to another one of the same kind. Nothing else of CONFIG is used, so that it may have only \
[store]. Both URLs are secrets as in any configuration: none is on the command line.

Stop the services of both stores first. Commands that change the source wait, or fail, until the \
copy ends. The target must be empty: it is created if it does not exist. The source gets the tables \
of this version, and is not changed otherwise.

Rows are copied in batches. Where a copy was interrupted, the same command goes on; until it has \
ended, no service opens the target. At the end all rows of both stores are compared. A row that is \
damaged ends the copy with its name: none is left out.

Exit codes:
  0 copied, and equal
  3 invalid configuration
  5 a store is in use or cannot be opened, the target is not empty, or a row cannot be copied

Examples:
  reflexarc store copy postgresql.toml
  reflexarc store copy --config postgresql.toml reflexarc.toml")]
    Copy {
        /// Configuration of the store to copy to
        #[arg(value_name = "CONFIG")]
        to: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Updates or copies a store.
pub(crate) fn run(args: &StoreCommand, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        StoreCommand::Migrate { check, config } => migrate(config, *check, output),
        StoreCommand::Copy { to, config, format } => {
            let target = ConfigArgs::of(to);
            copy(config, &target, *format, output)?;
            Ok(Exit::Done)
        }
    }
}

fn migrate(args: &ConfigArgs, check: bool, output: &mut Output) -> Result<Exit, Failure> {
    let config = args.load_for_store()?;
    let store = &config.store;
    let version = store.version().map_err(store_failure)?;
    let StoreVersion { found, newest, .. } = version;
    if !check {
        // Also where nothing is to be done, so that whatever keeps it from being opened is found.
        drop(open_store(&config).map_err(store_failure)?);
    }
    let line = match found {
        Some(found) if found >= newest => format!("{store} is up to date: version {found}"),
        Some(found) if check => format!("{store} has version {found}, and {newest} is current"),
        Some(found) => format!("updated {store} from version {found} to {newest}"),
        None if check => format!("{store} has no tables, and version {newest} is current"),
        None => format!("created the tables of {store}: version {newest}"),
    };
    output.line(line)?;
    Ok(if check && version.needs_migration() {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn copy(
    from: &ConfigArgs,
    to: &ConfigArgs,
    format: Format,
    output: &mut Output,
) -> Result<(), Failure> {
    let (from, to) = (from.load_for_store()?, to.load_for_store()?);
    let failed = |error: reflexarc_service::store::CopyError| Failure::Runtime(error.to_string());
    if is_same(&from.store, &to.store) {
        let store = &from.store;
        return Err(Failure::Usage(format!(
            "both configurations have the store {store}; name one with another store"
        )));
    }
    let source = from.store.copy_source().map_err(failed)?;
    let target = to.store.copy_target(&to.store_options).map_err(failed)?;
    let mut shown = ShownProgress::new();
    let report = copy_store(source, target, &mut |progress| shown.show(progress, output));
    shown.bar.finish_and_clear();
    let report = report.map_err(failed)?;
    print(&report, (&from.store, &to.store), format, output)
}

/// Whether both are one store: the same URL, or the same file by whatever path.
fn is_same(left: &StoreLocation, right: &StoreLocation) -> bool {
    if let (StoreLocation::File(left), StoreLocation::File(right)) = (left, right)
        && let (Ok(left), Ok(right)) = (left.canonicalize(), right.canonicalize())
    {
        return left == right;
    }
    left == right
}

fn print(
    report: &CopyReport,
    (from, to): (&StoreLocation, &StoreLocation),
    format: Format,
    output: &mut Output,
) -> Result<(), Failure> {
    if format == Format::Human {
        let (rows, tables) = (
            plural(report.rows(), "row"),
            plural(report.tables.len() as u64, "table"),
        );
        return output.line(format_args!(
            "copied {rows} in {tables} from {from} to {to}; all are equal"
        ));
    }
    let tables = report.tables.iter();
    let tables: Vec<_> = tables
        .map(|(table, rows)| json!({ "table": table, "rows": rows }))
        .collect();
    output.json(&json!({
        "from": from.to_string(),
        "to": to.to_string(),
        "rows": report.rows(),
        "resumed": report.resumed,
        "tables": tables,
    }))
}

/// What is shown of a copy while it runs: a bar on a terminal, else a line now and then.
struct ShownProgress {
    bar: ProgressBar,
    reported: Instant,
}

impl ShownProgress {
    fn new() -> Self {
        use std::io::{IsTerminal as _, stderr};
        let bar = if stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            match ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rows {eta}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            reported: Instant::now(),
        }
    }

    fn show(&mut self, progress: CopyProgress<'_>, output: &mut Output) {
        let CopyProgress {
            phase,
            table,
            done,
            total,
            ..
        } = progress;
        let doing = match phase {
            CopyPhase::Copying => "copying",
            _ => "comparing",
        };
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(format!("{doing} {table}"));
        if self.bar.is_hidden() && self.reported.elapsed() >= REPORT_INTERVAL {
            self.reported = Instant::now();
            output.status(&format!("{doing} {table}: {done} of {total} rows"));
        }
    }
}
