//! `reflexarc backup` and `reflexarc restore`: copies of a store in a SQLite file.

use std::path::{Path, PathBuf};

use reflexarc_service::{Config, SqliteStore, StoreLocation};

use crate::config_args::{ConfigArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service may be running: the copy is of one moment, and nothing waits for it. It is checked, \
and only its owner can read it. FILE must not exist; it appears when the copy is whole. The copy \
needs as much space as the store uses.

Exit codes:
  0 done
  3 invalid configuration
  5 the store cannot be read or FILE cannot be written

Examples:
  reflexarc backup backup.db")]
pub(crate) struct BackupArgs {
    /// New file for the copy
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Stop the service first. FILE is checked, copied to the store's path and kept. What was pending at \
the time of the backup is delivered when the service starts, under the same ids as before.

Exit codes:
  0 done
  3 invalid configuration
  5 FILE is not a whole store, there is a store and --force is not given, or the service is running

Examples:
  reflexarc restore --force backup.db")]
pub(crate) struct RestoreArgs {
    /// Backup
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Move the store that is there aside, to a name that ends with `.replaced-N`
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Copies the store of the configuration.
pub(crate) fn backup(args: &BackupArgs, output: &mut Output) -> Result<Exit, Failure> {
    let config = args.config.load_without_secrets()?;
    SqliteStore::backup(file_of(&config, "backup")?, &args.to).map_err(store_failure)?;
    output.status(&format!("copied the store to {}", args.to.display()));
    Ok(Exit::Done)
}

/// Puts a backup in the place of the store of the configuration.
pub(crate) fn restore(args: &RestoreArgs, output: &mut Output) -> Result<Exit, Failure> {
    let config = args.config.load_without_secrets()?;
    let path = file_of(&config, "restore")?;
    let replaced = SqliteStore::restore(&args.from, path, args.force).map_err(store_failure)?;
    if let Some(replaced) = replaced {
        output.status(&format!("moved the store to {}", replaced.display()));
    }
    output.status(&format!("restored {}", path.display()));
    Ok(Exit::Done)
}

/// The file of the store.
fn file_of<'a>(config: &'a Config, command: &str) -> Result<&'a Path, Failure> {
    match &config.store {
        StoreLocation::File(path) => Ok(path),
        StoreLocation::Server(_) => Err(Failure::Usage(format!(
            "`reflexarc {command}` copies SQLite files, and the store of this configuration is in \
             PostgreSQL: use `pg_dump` and `pg_restore`, or `reflexarc store copy` to copy it to \
             another store"
        ))),
    }
}
