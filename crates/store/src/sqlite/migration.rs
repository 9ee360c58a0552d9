//! The steps from each older version of the schema to the next.

use std::collections::HashMap;

use rusqlite::Connection;

use super::duplicates::recompute_fingerprints;
use super::schema::{SCHEMA_4, SCHEMA_7, SCHEMA_10};
use crate::database_store::audit::AUDIT;
use crate::database_store::calls::CALLS;
use crate::database_store::changes::CHANGES;
use crate::database_store::incidents::INCIDENTS;
use crate::database_store::matches::MATCHES;
use crate::database_store::order;
use crate::database_store::silences::SILENCES;
use crate::database_store::state::STATE_COUNTS;

/// Migrates a file of an older version to version `to`, the newest, in one transaction.
pub(super) fn migrate(connection: &Connection, to: i32) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < 2 {
        connection.execute_batch("ALTER TABLE delivery ADD COLUMN taken TEXT;")?;
    }
    if version < 3 {
        recompute_fingerprints(connection)?;
    }
    if version < 4 {
        add_order_and_calls(connection)?;
    }
    if version < 5 {
        count_state_entries(connection)?;
    }
    if version < 6 {
        // Empty for all events that are there: their fingerprints are in `seen`, and stay there
        // until the window ends. Computing them again would read the whole archive.
        connection.execute_batch("ALTER TABLE archive ADD COLUMN fingerprint BLOB;")?;
    }
    if version < 7 {
        add_delays(connection)?;
        // All entries that are there are events.
        let sql = "ALTER TABLE archive ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;";
        connection.execute_batch(sql)?;
        connection.execute_batch(MATCHES)?;
    }
    if version < 8 {
        connection.execute_batch(CALLS)?;
        connection.execute_batch(CHANGES)?;
    }
    if version < 9 {
        add_incidents(connection, version)?;
        connection.execute_batch(SILENCES)?;
    }
    if version < 10 {
        // Before, it had only the times.
        connection.execute_batch("DROP INDEX IF EXISTS delivery_dead;")?;
        connection.execute_batch(SCHEMA_10)?;
        connection.execute_batch(AUDIT)?;
    }
    connection.execute_batch(&format!("PRAGMA user_version = {to}; COMMIT;"))
}

/// Version 9: incidents. What has fired before has none.
fn add_incidents(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    connection.execute_batch("ALTER TABLE delivery ADD COLUMN incident INTEGER;")?;
    if version >= 7 {
        // Before, the table was created by the step to version 7, with all of its columns.
        connection.execute_batch("ALTER TABLE kept_match ADD COLUMN incident INTEGER;")?;
    }
    connection.execute_batch(INCIDENTS)
}

/// Version 7: delayed deliveries. Those that are there have none of it, and keep the order of their
/// resources.
fn add_delays(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE delivery ADD COLUMN scope TEXT;
         ALTER TABLE delivery ADD COLUMN firing INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE delivery ADD COLUMN delay INTEGER;
         ALTER TABLE delivery ADD COLUMN delay_key TEXT;
         ALTER TABLE delivery ADD COLUMN digest BLOB;
         ALTER TABLE attempt ADD COLUMN digest BLOB;",
    )?;
    connection.execute_batch(SCHEMA_7)
}

/// Version 5: the number of state entries of each rule.
fn count_state_entries(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(STATE_COUNTS)?;
    let sql = "INSERT INTO state_count (rule, entries)
               SELECT rule, count(*) FROM state GROUP BY rule";
    connection.execute(sql, ())?;
    Ok(())
}

/// Version 4: order of deliveries, folded attempts, calls and settings of targets.
fn add_order_and_calls(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE delivery ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE delivery ADD COLUMN order_key INTEGER;
         ALTER TABLE delivery ADD COLUMN head INTEGER NOT NULL DEFAULT 1;
         ALTER TABLE delivery ADD COLUMN failed INTEGER;
         ALTER TABLE delivery ADD COLUMN retry INTEGER;
         ALTER TABLE attempt ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE attempt ADD COLUMN last INTEGER;
         DROP INDEX IF EXISTS delivery_due;
         DROP INDEX IF EXISTS attempt_by_target;",
    )?;
    connection.execute_batch(SCHEMA_4)?;
    order_pending(connection)?;
    // A rate limit counted the calls from the attempts. There is no clock here: the hour before the
    // newest attempt is more than any limit looks back, and pruning removes what is too old.
    let sql = "INSERT INTO call (target, began, ended)
               SELECT target, started, max(started + took) FROM attempt
               WHERE started > (SELECT max(started) FROM attempt) - 3600000000
               GROUP BY target, started";
    connection.execute(sql, ())?;
    Ok(())
}

/// Gives the pending deliveries of version 3 their keys and heads. Those that were redriven, or
/// come from replays, have no order, as in this version.
fn order_pending(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT id, target, resource, attempt, created, due, claimed FROM delivery
               WHERE status = 0 AND resource <> '' AND replay IS NULL AND since = created
               ORDER BY target, seq, id";
    let mut select = connection.prepare(sql)?;
    let rows = select.query_map((), |row| {
        Ok((
            row.get::<_, [u8; 16]>(0)?,
            (row.get::<_, String>(1)?, row.get::<_, String>(2)?),
            row.get::<_, i64>(3)? > 1,
            row.get::<_, i64>(4)?,
            (row.get::<_, i64>(5)?, row.get::<_, bool>(6)?),
        ))
    })?;
    // Ids and keys only: 100,000 pending deliveries are some 20 MB.
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let sql = "UPDATE delivery SET order_key = ?2, head = ?3, due = ?4, failed = ?5, retry = ?6
               WHERE id = ?1";
    let mut update = connection.prepare(sql)?;
    // When the delivery before of each key failed first, if it has.
    let mut before: HashMap<(String, String), Option<i64>> = HashMap::new();
    for (id, (target, resource), has_failed, created, (due, claimed)) in rows {
        let key = order::resource_key(&resource);
        // When the first attempt failed is not worth a look into all attempts: at the latest, the
        // next one waits for `order_wait` from when this one was created.
        let failed = has_failed.then_some(created);
        let retry = (has_failed && !claimed).then_some(due);
        let (head, due) = match before.get(&(target.clone(), resource.clone())) {
            None => (true, due),
            Some(Some(failed)) => (true, due.max(failed + order::DEFAULT_WAIT)),
            Some(None) => (has_failed, due),
        };
        update.execute((id, key, head, due, failed, retry))?;
        before.insert((target, resource), failed);
    }
    Ok(())
}
