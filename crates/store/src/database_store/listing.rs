//! Queries over the outbox: counts, and what is next. Lists are in `pages.rs`.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;

use super::records::{COLUMNS, read_row};
use super::{instant, micros};
use crate::database::Connection;
use crate::{DeliveryRecord, QueueDepth, RuleUse, StoreError};

/// When the next delivery of `target` that is not claimed and waits for no other is due.
pub(super) fn next_due(
    connection: &Connection,
    target: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = connection
        .prepare_cached(NEXT_DUE)?
        .query_row([target], |row| row.get(0))?;
    Ok(due.map(instant))
}

/// The query of [`next_due`].
pub(super) const NEXT_DUE: &str =
    "SELECT min(due) FROM delivery WHERE status = 0 AND head = 1 AND target = ?1";

/// The newest dead letters, the newest first.
pub(super) fn newest_dead_letters(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE status = 2
         ORDER BY finished DESC, seq DESC, id DESC LIMIT ?1"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([limit], read_row)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    // An unreadable one is counted (see `dead_letter_counts`) and listed by `dlq list`; here it
    // must not hide the others.
    Ok(rows.into_iter().filter_map(Result::ok).collect())
}

/// Deliveries before an id, in the descending order of ids: those of the newest events first.
pub(super) fn newest(
    connection: &Connection,
    before: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE id <= ?1 AND id <> ?2 ORDER BY id DESC LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let last = before.unwrap_or(DeliveryId::from([0xff; 16]));
    // An id of all zeros is no delivery's.
    let excluded = before.unwrap_or(DeliveryId::from([0; 16]));
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((last.as_bytes(), excluded.as_bytes(), limit), read_row)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().filter_map(Result::ok).collect())
}

/// For each target with dead letters: how many.
pub(super) fn dead_letter_counts(
    connection: &Connection,
) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT target, count(*) FROM delivery
               WHERE status = 2 GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The query of [`queue_depths`]. A delayed delivery is as old as its end of the delay.
pub(super) const DEPTHS: &str = "SELECT target,
        count(*) FILTER (WHERE delay IS NULL OR since <= ?1),
        count(*) FILTER (WHERE delay IS NOT NULL AND since > ?1),
        min(CASE WHEN delay IS NULL THEN created WHEN since <= ?1 THEN since END)
    FROM delivery WHERE status = 0 GROUP BY target ORDER BY target";

/// For each target with pending deliveries: how many, and how old the oldest is.
pub(super) fn queue_depths(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<QueueDepth>, StoreError> {
    let mut statement = connection.prepare_cached(DEPTHS)?;
    let rows = statement.query_map([micros(now)], |row| {
        let (waiting, delayed): (i64, i64) = (row.get(1)?, row.get(2)?);
        let oldest: Option<i64> = row.get(3)?;
        Ok(QueueDepth {
            target: row.get(0)?,
            waiting: waiting.unsigned_abs(),
            delayed: delayed.unsigned_abs(),
            oldest: oldest.map(instant),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// For each target with deliveries that may be attempted now for the first time: how many.
pub(super) fn unattempted(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<(String, u64)>, StoreError> {
    // Those that wait for another of their key are attempted after it, or long after it has failed.
    // What has neither an order nor a delay is due later only because it is held.
    let sql = "SELECT target, count(*) FROM delivery
               WHERE status = 0 AND head = 1 AND attempt = 1
                     AND (due <= ?1 OR claimed <> 0 OR order_key IS NULL AND delay IS NULL)
               GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([micros(now)], |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The rules that have pending deliveries, state entries or matches.
pub(super) fn rules_in_use(connection: &Connection) -> Result<Vec<RuleUse>, StoreError> {
    let sql = "SELECT rule, CAST(sum(pending) AS BIGINT), CAST(sum(entries) AS BIGINT),
                      CAST(sum(matches) AS BIGINT)
               FROM (SELECT rule, 0 AS pending, entries, 0 AS matches
                     FROM state_count WHERE entries > 0
                     UNION ALL
                     SELECT rule, 0, 0, pending + kept FROM match_rule INDEXED BY match_rule_open
                     WHERE closed = 0 AND pending + kept > 0
                     UNION ALL
                     SELECT rule, 1, 0, 0 FROM delivery WHERE status = 0)
               GROUP BY rule ORDER BY rule";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        let pending: i64 = row.get(1)?;
        Ok(RuleUse {
            rule: row.get(0)?,
            pending: pending.unsigned_abs(),
            entries: row.get::<_, i64>(2)?.unsigned_abs(),
            matches: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
