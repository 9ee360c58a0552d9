//! Which node sends to a target that only one may send to at a time.
//!
//! How fast it may send is in the memory of that node, and in the table `call` for the next one. A
//! store of one process has no such table: there is nothing to decide.

use crate::database::{Connection, Optional};
use crate::{Sender, StoreError};

/// Makes this node the one that sends to a target, unless another one is that and works.
pub(super) fn take(connection: &Connection, target: &str) -> Result<Sender, StoreError> {
    if !connection.is_shared() {
        return Ok(Sender::Own);
    }
    let own = connection.node();
    let found = find(connection, target)?;
    match found {
        Some((node, _)) if node == own => return Ok(Sender::Own),
        Some((_, true)) => return Ok(Sender::Other),
        _ => {}
    }
    let sql = "INSERT INTO sender (target, node) VALUES (?1, ?2)
               ON CONFLICT (target) DO UPDATE SET node = ?2";
    connection.prepare_cached(sql)?.run((target, own))?;
    Ok(Sender::TakenOver)
}

/// Whether this node may make a call to a target: no other one sends to it.
pub(super) fn may_call(connection: &Connection, target: &str) -> Result<bool, StoreError> {
    if !connection.is_shared() {
        return Ok(true);
    }
    if !connection.is_live() {
        return Ok(false);
    }
    let found = find(connection, target)?;
    Ok(found.is_none_or(|(node, _)| node == connection.node()))
}

/// The node that last sent to a target, and whether it works.
fn find(connection: &Connection, target: &str) -> Result<Option<(i64, bool)>, StoreError> {
    let sql =
        "SELECT s.node, EXISTS (SELECT 1 FROM node AS n WHERE n.number = s.node AND n.state = 0)
               FROM sender AS s WHERE s.target = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([target], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}
