//! Lists of deliveries in pages.

use reflexarc_delivery::DeliveryId;
use rusqlite::Connection;

use super::listing;
use crate::{DeliveryPage, DeliveryStatus, PageCursor, PageLimits, StoreError};

/// The deliveries of one status after a cursor, in the order of `listing::list`.
pub(super) fn page(
    connection: &Connection,
    status: DeliveryStatus,
    after: Option<PageCursor>,
    limits: PageLimits,
) -> Result<DeliveryPage, StoreError> {
    let keys = keys(connection, status, after, limits.deliveries)?;
    let mut page = DeliveryPage::default();
    let (mut bytes, mut listed) = (0_usize, 0);
    let mut last = after;
    let all = keys.len();
    for (cursor, size) in keys.into_iter().take(limits.deliveries) {
        bytes = size.saturating_add(bytes);
        if bytes > limits.bytes && !page.deliveries.is_empty() {
            break;
        }
        // One after another, so that only what is in the page is ever in memory. It may have been
        // removed meanwhile.
        page.deliveries.extend(listing::get(connection, cursor.id)?);
        last = Some(cursor);
        listed += 1;
    }
    page.next = last.filter(|_| all > listed);
    Ok(page)
}

/// The places of the next deliveries, with the sizes of what they carry: one more than `limit`, as
/// a sign that there are others.
fn keys(
    connection: &Connection,
    status: DeliveryStatus,
    after: Option<PageCursor>,
    limit: usize,
) -> Result<Vec<(PageCursor, usize)>, StoreError> {
    let time = match status {
        DeliveryStatus::Pending => "due",
        _ => "finished",
    };
    // The condition on `status` is written out, as the partial indexes need it. Sorted without the
    // actions: a backlog of 100,000 of 32 KB each would have to go through a file.
    let sql = format!(
        "SELECT {time}, seq, id, length(action) + coalesce(length(reason), 0) FROM delivery
         WHERE status = {} AND ({time}, seq, id) > (?1, ?2, ?3)
         ORDER BY {time}, seq, id LIMIT ?4",
        status.number()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1));
    // Not `?1 IS NULL OR …`, with which SQLite would not go to the place by the index.
    let (micros, seq, id) = after.map_or((i64::MIN, i64::MIN, [0; 16]), |after| {
        (after.micros, after.seq, *after.id.as_bytes())
    });
    let rows = statement.query_map((micros, seq, id, limit), |row| {
        let id: [u8; 16] = row.get(2)?;
        let size: i64 = row.get(3)?;
        let cursor = PageCursor {
            micros: row.get(0)?,
            seq: row.get(1)?,
            id: DeliveryId::from(id),
        };
        Ok((cursor, usize::try_from(size).unwrap_or(usize::MAX)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
