//! The archive: every accepted event as it was received, with its evaluation.

use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, Json};
use rusqlite::{Connection, Row};

use super::compression::unpack;
use super::{instant, micros};
use crate::{Archived, DamagedEvent, Selection, StoreError};

/// A stored evaluation holds derived events and payloads, each up to 128 levels deep as events may
/// be, inside objects of its own.
const EVALUATION_DEPTH: usize = 192;
/// Far more than the limits of reactions let an evaluation grow to; bounds what a damaged row can
/// expand to.
const EVALUATION_BYTES: usize = 256 << 20;

/// Up to `limit` selected events after position `after`, in order of acceptance.
pub(super) fn page(
    connection: &Connection,
    selection: &Selection,
    after: i64,
    limit: usize,
) -> Result<Vec<Result<Archived, DamagedEvent>>, StoreError> {
    // Walks `seq`, the primary key: pages come in order without sorting, and the next page starts
    // where this one ended however many events are added or pruned meanwhile. OFFSET would skip or
    // repeat events then.
    let sql = "SELECT seq, source, id, kind, resource, received, size, body, evaluation
               FROM archive
               WHERE seq > ?1 AND received >= ?2 AND received < ?3 AND (?4 IS NULL OR id = ?4)
               ORDER BY seq LIMIT ?5";
    let from = selection.from.map_or(i64::MIN, micros);
    let to = selection.to.map_or(i64::MAX, micros);
    // `received >= i64::MIN` and `< i64::MAX` select all rows: one statement serves every
    // selection, compiled once.
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, from, to, &selection.id, limit), read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Result<Archived, DamagedEvent>> {
    let seq: i64 = row.get(0)?;
    let size = usize::try_from(row.get::<_, i64>(6)?).unwrap_or_default();
    let body: Vec<u8> = row.get(7)?;
    let evaluation: Option<Vec<u8>> = row.get(8)?;
    let decode = || {
        let bytes = unpack(&body, size)?;
        if bytes.len() != size {
            return Err(format!("expected {size} bytes, found {}", bytes.len()));
        }
        let event = Event::from_json(bytes).map_err(|error| error.to_string())?;
        let evaluation = match evaluation {
            Some(packed) => {
                let text = unpack(&packed, EVALUATION_BYTES)?;
                let json = Json::parse_within(text, EVALUATION_DEPTH);
                Some(json.map_err(|error| error.to_string())?)
            }
            None => None,
        };
        Ok((event, evaluation))
    };
    // One damaged event is reported by its position and does not hide the events after it.
    let (event, evaluation) = match decode() {
        Ok(decoded) => decoded,
        Err(reason) => return Ok(Err(DamagedEvent { seq, reason })),
    };
    Ok(Ok(Archived {
        seq,
        name: EventRef {
            source: row.get(1)?,
            id: row.get(2)?,
        },
        kind: row.get(3)?,
        resource: row.get(4)?,
        received: instant(row.get(5)?),
        event,
        evaluation,
    }))
}
