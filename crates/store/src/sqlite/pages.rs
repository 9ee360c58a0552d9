//! Lists of deliveries in pages, around what cannot be read.

use std::collections::BTreeMap;

use reflexarc_delivery::DeliveryId;
use rusqlite::{Connection, OptionalExtension};

use super::attempts;
use super::damage::{is_local, is_of_row, out_of_order};
use super::records::{COLUMNS, read_row};
use crate::{
    DamagedDelivery, DeliveryPage, DeliveryRecord, DeliveryStatus, EventDeliveries, PageCursor,
    PageLimits, StoreError,
};

/// Steps of one length behind a place in the table of deliveries that cannot be read; then they
/// become twice as long.
const PROBES: u32 = 8;
/// The first such step. Ids begin with a position of 48 bits: those of two events are 2^80 apart,
/// or more. Those of earlier versions are random numbers of 128 bits.
const FIRST_STEP: u128 = 1 << 64;

/// The order of a list: time, archive position, id.
type Place = (i64, i64, [u8; 16]);

/// The deliveries of one status after a cursor: pending ones the soonest due first, others the
/// longest finished first.
pub(super) fn page(
    connection: &Connection,
    status: DeliveryStatus,
    target: Option<&str>,
    after: Option<PageCursor>,
    limits: PageLimits,
) -> Result<DeliveryPage, StoreError> {
    let mut page = DeliveryPage::default();
    let keys = match keys(connection, status, target, after, limits.rows) {
        Ok(keys) => keys,
        // An index is damaged, or the table where the keys are read from.
        Err(error) if is_local(&error) => {
            let list = (status, target);
            keys_by_table(connection, list, after, limits.rows, &mut page.damaged)?
        }
        Err(error) => return Err(error.into()),
    };
    let (mut bytes, mut listed) = (0_usize, 0);
    let mut last = after;
    let all = keys.len();
    for (cursor, size) in keys.into_iter().take(limits.rows) {
        bytes = size.saturating_add(bytes);
        if bytes > limits.bytes && listed > 0 {
            break;
        }
        // One after another, so that only what is in the page is ever in memory. It may have been
        // removed meanwhile.
        match get(connection, cursor.id)? {
            Some(Ok(record)) => page.deliveries.push(record),
            Some(Err(damaged)) => page.damaged.push(damaged),
            None => {}
        }
        last = Some(cursor);
        listed += 1;
    }
    page.next = last.filter(|_| all > listed);
    Ok(page)
}

/// The deliveries of the event at an archive position.
pub(super) fn of_event(
    connection: &Connection,
    seq: i64,
    limits: PageLimits,
) -> Result<EventDeliveries, StoreError> {
    let mut found = EventDeliveries::default();
    let sql = "SELECT id, length(action) + coalesce(length(reason), 0)
               FROM delivery INDEXED BY delivery_by_event
               WHERE seq = ?1 ORDER BY created, rule, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([seq])?;
    let mut bytes = 0_usize;
    loop {
        let (id, size): ([u8; 16], i64) = match rows.next() {
            Ok(Some(row)) => (row.get(0)?, row.get(1)?),
            Ok(None) => return Ok(found),
            Err(error) if is_local(&error) => {
                found.damaged.push(damaged(None, &error));
                return Ok(found);
            }
            Err(error) => return Err(error.into()),
        };
        bytes = bytes.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        let is_full = found.deliveries.len() >= limits.rows || bytes > limits.bytes;
        if found.left_out > 0 || (is_full && !found.deliveries.is_empty()) {
            found.left_out += 1;
            continue;
        }
        let id = DeliveryId::from(id);
        match get(connection, id)? {
            Some(Ok(record)) => {
                let attempts = match attempts::of_delivery(connection, id) {
                    Ok(attempts) => attempts,
                    Err(StoreError::Corrupt { reason, .. } | StoreError::Failed(reason)) => {
                        let reason = format!("its attempts: {reason}");
                        let id = Some(id);
                        found.damaged.push(DamagedDelivery { id, reason });
                        Vec::new()
                    }
                    Err(error) => return Err(error),
                };
                found.deliveries.push((record, attempts));
            }
            Some(Err(damaged)) => found.damaged.push(damaged),
            None => {}
        }
    }
}

/// One delivery; `None` if there is none with this id.
pub(super) fn get(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<Result<DeliveryRecord, DamagedDelivery>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([id.as_bytes()], read_row).optional();
    match found {
        Ok(row) => Ok(row.map(|row| {
            row.map_err(|row| DamagedDelivery {
                id: Some(id),
                reason: row.reason.to_owned(),
            })
        })),
        Err(error) if is_local(&error) || is_of_row(&error) => {
            Ok(Some(Err(damaged(Some(id), &error))))
        }
        Err(error) => Err(error.into()),
    }
}

/// The column by which deliveries of a status are listed.
fn time_column(status: DeliveryStatus) -> &'static str {
    // Pending deliveries have no `finished` time, finished ones no useful `due`.
    match status {
        DeliveryStatus::Pending | DeliveryStatus::Withheld => "due",
        _ => "finished",
    }
}

/// The places of the next deliveries, with the sizes of what they carry: one more than `limit`, as
/// a sign that there are others.
fn keys(
    connection: &Connection,
    status: DeliveryStatus,
    target: Option<&str>,
    after: Option<PageCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<(PageCursor, usize)>> {
    let time = time_column(status);
    let number = status.number();
    let of_target = target.map_or("", |_| "AND target = ?5");
    // No index of deliveries has those that are withheld.
    let among = match status {
        DeliveryStatus::Withheld => {
            "AND id IN (SELECT delivery FROM withheld INDEXED BY withheld_until
                        WHERE ended IS NULL)"
        }
        _ => "",
    };
    // The condition on `status` is written out, as the partial indexes need it. Sorted without the
    // actions: a backlog of 100,000 of 32 KB each would have to go through a file.
    let sql = format!(
        "SELECT {time}, seq, id, length(action) + coalesce(length(reason), 0) FROM delivery
         WHERE status = {number} AND ({time}, seq, id) > (?1, ?2, ?3) {of_target} {among}
         ORDER BY {time}, seq, id LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1));
    // Not `?1 IS NULL OR …`, with which SQLite would not go to the place by the index.
    let (micros, seq, id) = after.map_or((i64::MIN, i64::MIN, [0; 16]), place);
    let read = |row: &rusqlite::Row<'_>| {
        let size: i64 = row.get(3)?;
        let cursor = cursor((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok((cursor, usize::try_from(size).unwrap_or(usize::MAX)))
    };
    let rows = match target {
        Some(target) => statement.query_map((micros, seq, id, limit, target), read)?,
        None => statement.query_map((micros, seq, id, limit), read)?,
    };
    rows.collect()
}

/// As [`keys`], from the table itself in the order of ids, around what cannot be read. Reads the
/// whole table.
fn keys_by_table(
    connection: &Connection,
    (status, target): (DeliveryStatus, Option<&str>),
    after: Option<PageCursor>,
    limit: usize,
    damage: &mut Vec<DamagedDelivery>,
) -> Result<Vec<(PageCursor, usize)>, StoreError> {
    let time = time_column(status);
    let sql = format!(
        "SELECT {time}, seq, id, status = {} AND coalesce(target = ?2, 1),
                CASE status WHEN {} THEN length(action) + coalesce(length(reason), 0) END
         FROM delivery NOT INDEXED WHERE id > ?1 ORDER BY id",
        status.number(),
        status.number()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after = after.map(place);
    let mut found: BTreeMap<Place, usize> = BTreeMap::new();
    let mut id = [0; 16];
    'table: loop {
        let mut rows = statement.query((id, target))?;
        let error = loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break 'table,
                Err(error) => break error,
            };
            let (next, listed): (_, bool) = (row.get(2)?, row.get(3)?);
            if next <= id {
                break out_of_order();
            }
            id = next;
            if !listed {
                continue;
            }
            let place: Place = (row.get(0)?, row.get(1)?, id);
            if after.is_none_or(|after| place > after) {
                let size: i64 = row.get(4)?;
                found.insert(place, usize::try_from(size).unwrap_or(usize::MAX));
                // One more than `limit`, the first ones.
                if found.len() > limit.saturating_add(1) {
                    found.pop_last();
                }
            }
        };
        drop(rows);
        if !is_local(&error) {
            return Err(error.into());
        }
        let next = next_readable(connection, id)?;
        let range = match next {
            Some(next) => format!("between {} and {}", DeliveryId::from(id), next),
            None => format!("after {}", DeliveryId::from(id)),
        };
        damage.push(DamagedDelivery {
            id: None,
            reason: format!("those with ids {range}: {error}"),
        });
        match next {
            // Just before it, as the query goes on behind the id.
            Some(next) => id = (u128::from_be_bytes(*next.as_bytes()) - 1).to_be_bytes(),
            None => break 'table,
        }
    }
    let keys = found.into_iter();
    Ok(keys.map(|(place, size)| (cursor(place), size)).collect())
}

/// The first id that can be read behind a place that cannot; `None` if there is none.
fn next_readable(connection: &Connection, id: [u8; 16]) -> Result<Option<DeliveryId>, StoreError> {
    let sql = "SELECT id FROM delivery NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let (mut at, mut step, mut probes) = (u128::from_be_bytes(id), FIRST_STEP, 0_u32);
    loop {
        probes += 1;
        if probes.is_multiple_of(PROBES) {
            step = step.saturating_mul(2);
        }
        let Some(next) = at.checked_add(step) else {
            return Ok(None);
        };
        at = next;
        let found = statement.query_row([at.to_be_bytes()], |row| row.get::<_, [u8; 16]>(0));
        match found.optional() {
            Ok(Some(found)) if u128::from_be_bytes(found) >= at => return Ok(Some(found.into())),
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) if is_local(&error) || is_of_row(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn place(cursor: PageCursor) -> Place {
    (cursor.micros, cursor.seq, *cursor.id.as_bytes())
}

fn cursor((micros, seq, id): Place) -> PageCursor {
    PageCursor {
        micros,
        seq,
        id: DeliveryId::from(id),
    }
}

fn damaged(id: Option<DeliveryId>, error: &rusqlite::Error) -> DamagedDelivery {
    DamagedDelivery {
        id,
        reason: error.to_string(),
    }
}
