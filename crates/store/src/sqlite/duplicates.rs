//! Recomputing the fingerprints of accepted events when the event identity changes.

use reflexarc_event::{Event, Limits};
use rusqlite::Connection;

use crate::Incoming;
use crate::database_store::compression::unpack;

/// Replaces fingerprints that schema version 2 computed from source and id alone by those of the
/// current event identity.
///
/// They cannot be converted, so each is computed again from the archived event. An event that is no
/// longer in the archive, or cannot be read, is left out, with a warning that counts them: a copy
/// of it is then accepted as a new event. At most one duplicate window of events is read, once.
pub(super) fn recompute_fingerprints(connection: &Connection) -> rusqlite::Result<()> {
    let mut fingerprints: Vec<([u8; 16], i64, i64)> = Vec::new();
    // The oldest first: if two events have the same fingerprint now, the later one replaces it.
    let sql = "SELECT seen.seq, seen.at, archive.body FROM seen JOIN archive USING (seq)
               ORDER BY seen.at";
    let mut select = connection.prepare(sql)?;
    // Row by row: the bodies of a whole window would not fit in memory, their fingerprints do (32
    // bytes each).
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let body = unpack(row.get_ref(2)?.as_blob()?, Limits::DEFAULT.bytes).ok();
        let event = body.and_then(|body| Event::from_json(body).ok());
        let incoming = event.and_then(|event| Incoming::new(event).ok());
        if let Some(fingerprint) = incoming.and_then(|incoming| incoming.fingerprint) {
            fingerprints.push((fingerprint, row.get(0)?, row.get(1)?));
        }
    }
    // Only an upgrade comes here, so operators learn once that a copy of one of these events would
    // be delivered a second time.
    let recorded = connection.execute("DELETE FROM seen", ())?;
    let left_out = recorded.saturating_sub(fingerprints.len());
    if left_out > 0 {
        tracing::warn!(
            events = left_out,
            "copies of these events are no longer recognised as duplicates: they are not in the \
             archive any more, or cannot be read"
        );
    }
    let sql = "INSERT INTO seen (fingerprint, seq, at) VALUES (?1, ?2, ?3)
               ON CONFLICT (fingerprint) DO UPDATE SET seq = ?2, at = ?3";
    let mut insert = connection.prepare(sql)?;
    for row in fingerprints {
        insert.execute(row)?;
    }
    Ok(())
}
