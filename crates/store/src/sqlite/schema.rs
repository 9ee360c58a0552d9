//! The schema of the file and its migrations, and opening a file without making damage worse.
//!
//! # Migrations
//!
//! `PRAGMA user_version` holds the schema version. A file of an older version is migrated when it
//! is opened for writing: the steps from its version to [`VERSION`] run in one transaction, so a
//! crash leaves the old version whole: see `migration.rs`. A new file is created with [`SCHEMA`],
//! the constants beside it directly, which therefore always describe the newest version.
//!
//! A step may add columns and tables, but it must not change the meaning of columns that readers
//! use: a read-only command of the version before may have the file open. Version 6 is an
//! exception: events that are accepted after the upgrade are compressed with a dictionary, and such
//! a command reports them as damaged. It reports more than there is, for as long as it runs. To
//! one of version 6, the entries of version 7 that are no events are events that no one sent.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};

use super::copy::refuse_unfinished;
use super::files::make_private;
use super::migration::migrate;
use crate::database_store::audit::AUDIT;
use crate::database_store::calls::CALLS;
use crate::database_store::changes::CHANGES;
use crate::database_store::incidents::INCIDENTS;
use crate::database_store::matches::MATCHES;
use crate::database_store::silences::SILENCES;
use crate::database_store::state::STATE_COUNTS;
use crate::{StoreError, StoreOptions};

/// "rarc", at byte 68 of the file.
// SQLite reserves this field for programs to mark their files. Without it, a wrong `path` in the
// configuration would add our tables to another program's database.
const APPLICATION_ID: i32 = 0x7261_7263;
/// The version of [`SCHEMA`], kept in the file's header.
pub(super) const VERSION: i32 = 10;

/// How long a connection waits for a lock that another process holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two attempts, where SQLite does not wait itself.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The size to which the write-ahead log is cut, in bytes.
pub(super) const LOG_BYTES: u32 = 16 << 20;

/// The length of the log, in pages of 4 KiB, at which a commit copies it into the file.
const CHECKPOINT_PAGES: u32 = LOG_BYTES / 4_096;

/// Fewer free pages than this are no room for an event with deliveries.
const ROOM_PAGES: i64 = 8;

/// Times are microseconds since 1970, delivery ids and fingerprints 16 bytes, JSON is text.
// Indexes, each for one query:
//   archive_by_id      find an event by its id, and copies of events
//   archive_by_time    prune by age
//   seen_by_time       forget fingerprints beyond the duplicate window
//   state_by_expiry    remove expired entries; most have no expiry and are not in it
//   delivery_claimable claim what is due, in the order of claims; partial, so that rows which are
//                      delivered, or wait for the one before, cost claims nothing
//   delivery_order     the delivery before and after one of its key; all that waits for a target
//   delivery_failed    probes of a target that fails; the deliveries that others wait for
//   delivery_dead…     list and search dead letters, the oldest first, see `filtered.rs`
//   delivery_by_event  trace an event; prune an event with its deliveries
//   delivery_named     what waits under a name that a later event cancels or replaces; most have
//                      no name and are not in it
//   delivery_by_incident  what an incident has sent; most deliveries have none and are not in it
//   incident_open      the open incidents of a window or rule
//   incident_ended     remove incidents that ended long ago
//   match_rule_open    the window of a rule
//   match_by_due       what is due, the earliest first
//   match_by_expiry    remove expired matches, and count them
// WITHOUT ROWID where the primary key is not an integer: the rows are then stored in the key's
// B-tree instead of in one beside it, and a lookup by key reads one tree and not two.
const SCHEMA: &str = "
CREATE TABLE archive (
    seq        INTEGER PRIMARY KEY,             -- order of acceptance
    source     TEXT NOT NULL,
    id         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    resource   TEXT NOT NULL,
    received   INTEGER NOT NULL,
    size       INTEGER NOT NULL,                -- bytes before compression
    body       BLOB NOT NULL,                   -- the event as received, zstd with checksum
    evaluation BLOB,                            -- JSON, zstd; NULL when no rule matched
    fingerprint BLOB,                           -- of the first event of its id, see `copies.rs`
    entry      INTEGER NOT NULL DEFAULT 0       -- see `EntryKind`
);
CREATE INDEX archive_by_id ON archive (id);
CREATE INDEX archive_by_time ON archive (received);

CREATE TABLE seen (                             -- other fingerprints, see `copies.rs`
    fingerprint BLOB PRIMARY KEY,
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_by_time ON seen (at);

CREATE TABLE state (
    rule    TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    expires INTEGER,
    PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE INDEX state_by_expiry ON state (expires) WHERE expires IS NOT NULL;

CREATE TABLE delivery (
    id       BLOB PRIMARY KEY,
    seq      INTEGER NOT NULL,                  -- the event in the archive
    source   TEXT NOT NULL,
    event    TEXT NOT NULL,
    resource TEXT NOT NULL,
    rule     TEXT NOT NULL,
    target   TEXT NOT NULL,
    action   TEXT NOT NULL,
    replay   TEXT,
    created  INTEGER NOT NULL,
    status   INTEGER NOT NULL DEFAULT 0,        -- see `DeliveryStatus`
    attempt  INTEGER NOT NULL DEFAULT 1,        -- number of the next attempt in this series
    since    INTEGER NOT NULL,                  -- when this series began
    due      INTEGER NOT NULL,                  -- not attempted before
    set_at   INTEGER NOT NULL,                  -- when `due` was written
    claimed  INTEGER NOT NULL DEFAULT 0,        -- `due` is the end of a claim, not of a wait
    finished INTEGER,
    reason   TEXT,
    taken    TEXT,                              -- JSON array of the delivered parts
    number    INTEGER NOT NULL DEFAULT 0,       -- among the actions of its event
    order_key INTEGER,                          -- see `order.rs`; NULL: without an order
    head      INTEGER NOT NULL DEFAULT 1,       -- 0: waits for the one before of its key
    failed    INTEGER,                          -- start of the first attempt that failed
    retry     INTEGER,                          -- not attempted before, whatever its order
    scope     TEXT,                             -- key by the rule's `by`: JSON
    firing    INTEGER NOT NULL DEFAULT 0,       -- the number of its phase
    delay     INTEGER,                          -- microseconds of `after`; NULL without it
    delay_key TEXT,                             -- `key`, under which it is cancelled or replaced
    digest    BLOB,                             -- that carried it at its last attempt
    incident  INTEGER                           -- that it is of, see `incidents.rs`
) WITHOUT ROWID;
CREATE INDEX delivery_by_event ON delivery (seq);

CREATE TABLE attempt (
    delivery BLOB NOT NULL,
    number   INTEGER NOT NULL,                  -- counted over all series
    target   TEXT NOT NULL,
    started  INTEGER NOT NULL,
    took     INTEGER NOT NULL,
    outcome  TEXT NOT NULL,
    answer   TEXT NOT NULL,
    folded   INTEGER NOT NULL DEFAULT 0,        -- later attempts in this row, see `attempts.rs`
    last     INTEGER,                           -- when the last of them started
    digest   BLOB,                              -- that carried the delivery; NULL: sent alone
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
";

/// What version 4 added besides columns.
pub(super) const SCHEMA_4: &str = "
CREATE INDEX delivery_claimable ON delivery (target, due, seq, number)
    WHERE status = 0 AND head = 1;
CREATE INDEX delivery_order ON delivery (target, order_key, seq, number) WHERE status = 0;
CREATE INDEX delivery_failed ON delivery (target, due, seq, number)
    WHERE status = 0 AND failed IS NOT NULL;

CREATE TABLE target (                           -- settings of a target that its rows depend on
    name         TEXT PRIMARY KEY,
    order_wait   INTEGER,                       -- microseconds; NULL: the default
    paused       INTEGER,                       -- since when an operator has paused it
    paused_by    TEXT,
    pause_reason TEXT
) WITHOUT ROWID;

CREATE TABLE call (                             -- the last calls of a rate-limited target
    target TEXT NOT NULL,
    began  INTEGER NOT NULL,
    ended  INTEGER,                             -- NULL: not yet, or its process was killed
    PRIMARY KEY (target, began)
) WITHOUT ROWID;
";

/// What version 7 added besides columns.
pub(super) const SCHEMA_7: &str = "
CREATE INDEX delivery_named ON delivery (rule, scope, delay_key)
    WHERE status = 0 AND delay_key IS NOT NULL;
";

/// What version 10 added besides a table. A query may need an index of the version before, so the
/// first has the name and the first column that it had.
pub(super) const SCHEMA_10: &str = "
CREATE INDEX delivery_dead ON delivery (finished, seq, id, target, rule, event, reason)
    WHERE status = 2;
CREATE INDEX delivery_dead_target ON delivery (target, finished, seq, id, rule) WHERE status = 2;
CREATE INDEX delivery_dead_rule ON delivery (rule, finished, seq, id) WHERE status = 2;
";

/// Opens the one connection that writes, creating the file if there is none.
pub(crate) fn open_writer(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    // An empty file counts as new: SQLite creates one before its first transaction, and so do
    // `touch` and some mounts.
    roll_back_creation(path)?;
    let exists = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    // Version 0 is a file of ours without tables: earlier versions marked the file before they
    // created the tables, and may have been stopped in between.
    let fresh = !exists || examine(path)? == 0;
    make_private(path);
    let connection = Connection::open(path).map_err(|error| StoreError::from(error).at(path))?;
    #[cfg(test)]
    let connection = crate::database_store::statements::recorded(connection);
    // Operators' commands write too (redrive, cancel, prune). Their transactions are short; ten
    // seconds means that something holds the lock that should not.
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if fresh {
        create(&connection)?;
    }
    use_write_ahead_log(&connection).map_err(|error| StoreError::from(error).at(path))?;
    // FULL syncs the log at every commit: what was answered 2xx survives a power cut. NORMAL, the
    // usual choice in WAL mode, syncs only at checkpoints and could lose the last commits.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A page that many commits change is copied into the file once in 16 MiB of log, not in 4 MiB
    // as by default: with a delivery for each event, copying was a third of the writes.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // After a long read the log is larger than a checkpoint needs; it is then cut to this size.
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    // 16 MiB (negative values are KiB): the indexes' upper levels stay in memory.
    connection.pragma_update(None, "cache_size", -16_384)?;
    // All statements of the writer fit, so each is compiled once.
    connection.set_prepared_statement_cache_capacity(128);
    compile_once(&connection)?;
    if let Some(bytes) = options.max_bytes {
        // SQLite counts in pages. It refuses to grow beyond this and reports SQLITE_FULL, as on a
        // full disk; the setting is per connection and not stored.
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Writes even if there is nothing to migrate, so that a file or folder that cannot be written
    // fails here and not at the first event.
    migrate(&connection, VERSION).map_err(|error| StoreError::from(error).at(path))?;
    Ok(connection)
}

/// Writes a page, which the commit syncs, and checks that events have room.
pub(super) fn probe(connection: &Connection) -> Result<(), StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // `max_bytes` is a bound on the file's pages; free ones inside the file count as room. The
    // first event beyond it would fail, while the write below changes only a page that is there.
    let room = read("max_page_count")? - read("page_count")? + read("freelist_count")?;
    if room < ROOM_PAGES {
        return Err(StoreError::Full);
    }
    // Written although it has this value: SQLite does not compare.
    Ok(connection.pragma_update(None, "user_version", VERSION)?)
}

/// Whether a store can be opened or created at this path; changes nothing.
pub(super) fn check_location(path: &Path) -> Result<(), StoreError> {
    let not_writable = |reason: String| StoreError::NotWritable {
        path: Some(path.to_owned()),
        reason,
    };
    // SQLite creates files beside the store, so the folder must be writable even if the store
    // exists.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| not_writable(format!("{}: {error}", folder.display())))?;
    if !folder.is_dir() {
        return Err(not_writable(format!(
            "{} is not a folder",
            folder.display()
        )));
    }
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(not_writable(error.to_string())),
        Ok(facts) if !facts.is_file() => return Err(not_writable("it is not a file".to_owned())),
        // As in `open_writer`: an empty file counts as new.
        Ok(facts) if facts.len() == 0 => {}
        Ok(_) => {
            examine(path)?;
            refuse_unfinished(&open_reader(path)?, path)?;
        }
    }
    access(path, Access::READ_OK | Access::WRITE_OK)
        .map_err(|error| not_writable(error.to_string()))
}

/// Switches a file to write-ahead mode, if it is not in it.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            // Another program opens the new file at this moment. SQLite does not wait here, as it
            // does elsewhere: two programs that have read the file could wait for each other.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

/// Marks a new file as ours and creates its tables, in one transaction: a file that has the mark
/// has the tables. Another program may have done that while this one waited for the lock.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    if read("application_id")? == APPLICATION_ID && read("user_version")? > 0 {
        return connection.execute_batch("ROLLBACK");
    }
    connection.execute_batch(&creation())
}

/// The statements that end the transaction in which a file is created.
fn creation() -> String {
    format!(
        "{SCHEMA}
         {SCHEMA_4}
         {SCHEMA_7}
         {SCHEMA_10}
         {MATCHES}
         {STATE_COUNTS}
         {CALLS}
         {CHANGES}
         {INCIDENTS}
         {SILENCES}
         {AUDIT}
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {VERSION};
         COMMIT;"
    )
}

/// Lets SQLite undo the creation of a store that was interrupted while it was being written: until
/// that is done, connections that cannot write refuse the file, and so would [`examine`].
fn roll_back_creation(path: &Path) -> Result<(), StoreError> {
    // A store is in WAL mode once it was created, so only its creation leaves a rollback journal.
    // Its header: 8 bytes magic, the number of records, a nonce, the size of the database before
    // the transaction in pages.
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let journal = format!("{}-journal", path.display());
    let Some(header) = read_start::<20>(Path::new(&journal)) else {
        return Ok(());
    };
    let was_empty = header[16..] == [0; 4];
    let is_ours =
        read_start::<72>(path).is_some_and(|start| start[68..] == APPLICATION_ID.to_be_bytes());
    // Another program's database is left as it is, unless there was nothing in it.
    if header[..8] == MAGIC && (was_empty || is_ours) {
        let connection =
            Connection::open(path).map_err(|error| StoreError::from(error).at(path))?;
        // The first read rolls back.
        connection
            .pragma_query_value(None, "schema_version", |_| Ok(()))
            .map_err(|error| StoreError::from(error).at(path))?;
    }
    Ok(())
}

/// The first `N` bytes of a file; `None` if it cannot be read or is shorter.
fn read_start<const N: usize>(path: &Path) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Opens a read-only connection.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    // NO_MUTEX: each connection is used by one thread at a time, which Rust checks, so SQLite need
    // not lock.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::from(error).at(path))?;
    #[cfg(test)]
    let connection = crate::database_store::statements::recorded(connection);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(48);
    compile_once(&connection)?;
    Ok(connection)
}

/// Keeps SQLite from compiling a statement again when a parameter has another value.
// It does so where a value could change the plan, and a subquery with a parameter is such a place:
// that was a third of what a settled attempt costs. No plan of this store depends on values.
fn compile_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Checks an existing file through a connection that cannot write: that it is a reflexarc store of
/// a supported version, with a first page that can be read and the length that this page says.
/// Returns its version.
pub(super) fn examine(path: &Path) -> Result<i32, StoreError> {
    let failed = |error| unreadable(path, error);
    let connection = open_reader(path)?;
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    // Before anything is written, not even the journal mode: a damaged or foreign file must stay as
    // it is, byte for byte, so that recovery tools can work on it.
    let application = read("application_id").map_err(failed)?;
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    let version = read("user_version").map_err(failed)?;
    // A newer program may have given the columns another meaning, so there is no reading "as far as
    // possible".
    if version > VERSION {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            version,
            supported: VERSION,
        });
    }
    Ok(version)
}

/// Reads every page of the file and checks that together they are a database, in one transaction.
pub(super) fn check_structure(path: &Path) -> Result<(), StoreError> {
    // quick_check does not compare indexes with their tables, which is what makes integrity_check
    // slow on large files.
    let verdict = open_reader(path)?
        .pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0))
        .map_err(|error| unreadable(path, error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_owned(),
        reason: verdict.replace('\n', " "),
    })
}

/// A file that cannot be opened for lack of permissions is not damaged; other failures are damage.
fn unreadable(path: &Path, error: rusqlite::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Failed(reason) | StoreError::Corrupt { reason, .. } => StoreError::Corrupt {
            path: path.to_owned(),
            reason,
        },
        other => other.at(path),
    }
}
