//! Lists of deliveries in pages, around what cannot be read.

use std::collections::BTreeSet;

use reflexarc_delivery::DeliveryId;

use super::damage::{is_local, is_of_row, out_of_order};
use super::filtered::{Keys, Place};
use super::records::{COLUMNS, read_row};
use super::{attempts, filtered};
use crate::database;
use crate::database::{Connection, Optional, Value, params_from_iter};
use crate::{
    DamagedDelivery, DeliveryFilter, DeliveryPage, DeliveryRecord, EventDeliveries, PageCursor,
    PageLimits, StoreError,
};

/// Steps of one length behind a place in the table of deliveries that cannot be read; then they
/// become twice as long.
const PROBES: u32 = 8;
/// The first such step. Ids begin with a position of 48 bits: those of two events are 2^80 apart,
/// or more. Those of earlier versions are random numbers of 128 bits.
const FIRST_STEP: u128 = 1 << 64;

/// The selected deliveries after a cursor: pending ones the soonest due first, others the longest
/// finished first; or in the opposite order.
pub(super) fn page(
    connection: &Connection,
    filter: &DeliveryFilter,
    newest_first: bool,
    after: Option<PageCursor>,
    limits: PageLimits,
) -> Result<DeliveryPage, StoreError> {
    let mut page = DeliveryPage::default();
    let keys = match filtered::keys(connection, filter, newest_first, after, limits.rows) {
        Ok(keys) => keys,
        // An index is damaged, or the table where the keys are read from.
        Err(error) if is_local(&error) => {
            let list = (filter, newest_first);
            keys_by_table(connection, list, after, limits.rows, &mut page.damaged)?
        }
        Err(error) => return Err(error.into()),
    };
    let (mut bytes, mut listed) = (0_usize, 0);
    let mut last = after;
    let all = keys.found.len();
    for cursor in keys.found.into_iter().take(limits.rows) {
        bytes = bytes.saturating_add(size_of_row(connection, cursor.id)?);
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
    page.next = last.filter(|_| all > listed).or(keys.looked_until);
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

/// The size of what a delivery carries; zero if that cannot be read.
fn size_of_row(connection: &Connection, id: DeliveryId) -> Result<usize, StoreError> {
    let sql = "SELECT octet_length(action) + coalesce(octet_length(reason), 0)
               FROM delivery WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    match statement.query_row([id.as_bytes()], |row| row.get::<_, i64>(0)) {
        Ok(size) => Ok(usize::try_from(size).unwrap_or_default()),
        Err(database::Error::NoRows) => Ok(0),
        // Reading the delivery finds that, and says what is wrong.
        Err(error) if is_local(&error) || is_of_row(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// As [`filtered::keys`], from the table itself in the order of ids, around what cannot be read.
/// Reads the whole table.
fn keys_by_table(
    connection: &Connection,
    (filter, newest_first): (&DeliveryFilter, bool),
    after: Option<PageCursor>,
    limit: usize,
    damage: &mut Vec<DamagedDelivery>,
) -> Result<Keys, StoreError> {
    let time = filtered::time_column(filter.status);
    let mut parameters = vec![Value::Blob(Vec::new())];
    let conditions = filtered::conditions(filter, &mut parameters);
    let sql = format!(
        "SELECT {time}, seq, id, CASE WHEN NOT ({conditions}) THEN 0 ELSE 1 END
         FROM delivery NOT INDEXED WHERE id > ?1 ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after = after.map(filtered::place);
    let mut found: BTreeSet<Place> = BTreeSet::new();
    let mut id = [0; 16];
    'table: loop {
        parameters[0] = Value::Blob(id.into());
        let mut rows = statement.query(params_from_iter(&parameters))?;
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
            let is_next = |after| {
                if newest_first {
                    place < after
                } else {
                    place > after
                }
            };
            if after.is_none_or(is_next) {
                found.insert(place);
                // One more than `limit`, the first ones.
                if found.len() > limit.saturating_add(1) {
                    if newest_first {
                        found.pop_first();
                    } else {
                        found.pop_last();
                    }
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
    let mut found: Vec<_> = found.into_iter().map(filtered::cursor).collect();
    if newest_first {
        found.reverse();
    }
    Ok(Keys {
        found,
        looked_until: None,
    })
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

fn damaged(id: Option<DeliveryId>, error: &database::Error) -> DamagedDelivery {
    DamagedDelivery {
        id,
        reason: error.to_string(),
    }
}
