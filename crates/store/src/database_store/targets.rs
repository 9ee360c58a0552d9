//! What the store keeps of targets: pauses.

use super::{changes, instant, micros};
use crate::database::Connection;
use crate::{StoreError, TargetPause};

/// Records that a target is paused, or that it is not any more, and makes changes again.
pub(super) fn set_pause(
    connection: &Connection,
    target: &str,
    pause: Option<&TargetPause>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO target (name, paused, paused_by, pause_reason) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (name) DO UPDATE SET paused = ?2, paused_by = ?3, pause_reason = ?4";
    connection.prepare_cached(sql)?.run((
        target,
        pause.map(|pause| micros(pause.since)),
        pause.map(|pause| &pause.by),
        pause.and_then(|pause| pause.reason.as_ref()),
    ))?;
    if pause.is_none() {
        changes::resume(connection, target)?;
    }
    Ok(())
}

/// The paused targets by name.
pub(super) fn paused(connection: &Connection) -> Result<Vec<(String, TargetPause)>, StoreError> {
    let sql = "SELECT name, paused, paused_by, pause_reason FROM target
               WHERE paused IS NOT NULL ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        let by: Option<String> = row.get(2)?;
        let pause = TargetPause {
            since: instant(row.get(1)?),
            by: by.unwrap_or_default(),
            reason: row.get(3)?,
        };
        Ok((row.get(0)?, pause))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
