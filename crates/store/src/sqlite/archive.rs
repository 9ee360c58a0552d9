//! The archive: every accepted event as it was received, with its evaluation.

use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, Json};
use rusqlite::types::FromSql;
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

/// The largest number of events in a page.
// Large enough that the cost of a query is spread over many events.
const PAGE_EVENTS: u32 = 256;
/// A page ends with the event that makes it this large, so that a walk over events of 7 MB each
/// holds three of them and not 256.
const PAGE_BYTES: usize = 16 << 20;

/// A part of the archive.
#[derive(Default)]
pub(super) struct Page {
    pub(super) events: Vec<Result<Archived, DamagedEvent>>,
    /// Whether no selected event follows.
    pub(super) is_last: bool,
}

/// Selected events after position `after`, in order of acceptance.
pub(super) fn page(
    connection: &Connection,
    selection: &Selection,
    after: i64,
) -> Result<Page, StoreError> {
    // By `seq`, the primary key: pages come in order without sorting, and the next page starts
    // where this one ended however many events are added or pruned meanwhile. OFFSET would skip or
    // repeat events then. With an id, by the index of ids, whose entries of one id are in the
    // order of `seq` too.
    let sql = if selection.id.is_some() {
        "SELECT seq, source, id, kind, resource, received, size, body, evaluation
         FROM archive INDEXED BY archive_by_id
         WHERE id = ?4 AND seq > ?1 AND received >= ?2 AND received < ?3
         ORDER BY seq LIMIT ?5"
    } else {
        "SELECT seq, source, id, kind, resource, received, size, body, evaluation
         FROM archive
         WHERE seq > ?1 AND received >= ?2 AND received < ?3 AND ?4 IS NULL
         ORDER BY seq LIMIT ?5"
    };
    let from = selection.from.map_or(i64::MIN, micros);
    let to = selection.to.map_or(i64::MAX, micros);
    // `received >= i64::MIN` and `< i64::MAX` select all rows: one statement serves every
    // selection, compiled once.
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, from, to, &selection.id, PAGE_EVENTS), read_row)?;
    let mut page = Page::default();
    let mut bytes = 0;
    for row in rows {
        let (size, event) = row?;
        page.events.push(event);
        bytes += size;
        if bytes >= PAGE_BYTES {
            return Ok(page);
        }
    }
    page.is_last = page.events.len() < PAGE_EVENTS as usize;
    Ok(page)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<(usize, Result<Archived, DamagedEvent>)> {
    let seq: i64 = row.get(0)?;
    let size = row.get::<_, i64>(6).ok();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.unwrap_or_default();
    // One damaged event is reported by its position and does not hide the events after it.
    let event = decode_row(row, seq, size).map_err(|reason| DamagedEvent { seq, reason });
    Ok((size, event))
}

fn decode_row(row: &Row<'_>, seq: i64, size: usize) -> Result<Archived, String> {
    fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, String> {
        // A column of another type or invalid UTF-8 is damage too.
        row.get(index).map_err(|error| error.to_string())
    }
    let bytes = unpack(&column::<Vec<u8>>(row, 7)?, size)?;
    if bytes.len() != size {
        return Err(format!("expected {size} bytes, found {}", bytes.len()));
    }
    let event = Event::from_json(bytes).map_err(|error| error.to_string())?;
    let evaluation = match column::<Option<Vec<u8>>>(row, 8)? {
        Some(packed) => {
            let text = unpack(&packed, EVALUATION_BYTES)?;
            let json = Json::parse_within(text, EVALUATION_DEPTH);
            Some(json.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    Ok(Archived {
        seq,
        name: EventRef {
            source: column(row, 1)?,
            id: column(row, 2)?,
        },
        kind: column(row, 3)?,
        resource: column(row, 4)?,
        received: instant(column(row, 5)?),
        event,
        evaluation,
    })
}
