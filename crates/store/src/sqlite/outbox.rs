//! The outbox: claims, settled attempts, dead letters.
//!
//! A delivery in the outbox has a `due` time. A claim moves `due` to the end of a lease and sets
//! `claimed`, so that a claimed delivery is simply one that is not due: no second claim takes it,
//! and a process that dies while sending loses nothing, because `due` comes anyway.
//!
//! ```text
//! accepted   due = 12:00:00  claimed = 0
//! claimed    due = 12:16:00  claimed = 1     at 12:00:00 with a lease of 16 minutes
//! failed     due = 12:00:03  claimed = 0     attempt 2 in a second
//! delivered  status = 1
//! ```

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{DeadLetterCause, Decision, Delivery, DeliveryId, EventRef};
use reflexarc_event::Json;
use rusqlite::{Connection, OptionalExtension};

use super::records::{COLUMNS, UnreadableRow, read_row};
use super::{instant, micros};
use crate::{
    Attempt, AttemptOutcome, Claimed, DeadLetter, DeadLetterReport, DeliveryRecord, DeliveryStatus,
    MAX_LISTED, RuleUse, StoreError,
};

/// Claims up to `limit` deliveries of `target` that are due, the soonest due first; they are not
/// claimed again before `now + lease`. Returns them in the order of their events.
pub(super) fn claim(
    connection: &Connection,
    target: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: usize,
) -> Result<Claimed, StoreError> {
    let sql = claimable();
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map((target, micros(now), limit), read_row)?
        .collect::<Result<Vec<_>, _>>()?;
    let sql = "UPDATE delivery SET due = ?2, set_at = ?3, claimed = 1 WHERE id = ?1";
    let until = micros(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    let mut update = connection.prepare_cached(sql)?;
    // Selected and updated in one transaction of the one writer, so two queues can never claim the
    // same delivery.
    let (mut claimed, mut unreadable) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(record) => {
                update.execute((record.delivery.id.as_bytes(), until, micros(now)))?;
                claimed.push(record);
            }
            // A row that cannot be read must not block those behind it.
            Err(UnreadableRow { id, reason }) => {
                let id = DeliveryId::from(id);
                let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Dead);
                transfer(connection, id, from, to, Some(reason), now)?;
                let (rule, event) = rule_and_event(connection, id)?;
                let letter = DeadLetter { id, rule, event };
                let (target, cause) = (target.to_owned(), DeadLetterCause::Unreadable);
                let report = DeadLetterReport::of_one(target, letter, cause, reason.to_owned());
                unreadable.push(report);
            }
        }
    }
    // Selected by `due`, sent by event: after an outage all retries are due, in the order of their
    // waits, and receivers should still see older events first.
    claimed.sort_by_key(|record| record.seq);
    Ok(Claimed {
        deliveries: claimed.into_iter().map(|record| record.delivery).collect(),
        unreadable,
    })
}

/// The deliveries that a claim takes. It reads as many rows of the index as it returns, and those
/// that are due at the same instant as the last of them.
fn claimable() -> String {
    format!(
        "SELECT {COLUMNS} FROM delivery
         WHERE status = 0 AND target = ?1 AND due <= ?2
         ORDER BY due, seq, id LIMIT ?3"
    )
}

/// Makes deliveries due whose `due` was written at a time that lies in the future: the clock has
/// been set back since, and it means nothing by the new clock. Reads the whole outbox.
pub(super) fn release_future(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0
               WHERE status = 0 AND set_at > ?1";
    connection.prepare_cached(sql)?.execute([micros(now)])?;
    Ok(())
}

/// The columns of an unreadable row that logs need; they are text in every version.
fn rule_and_event(
    connection: &Connection,
    id: DeliveryId,
) -> Result<(String, EventRef), StoreError> {
    let sql = "SELECT rule, source, event FROM delivery WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([id.as_bytes()], |row| {
        let event = EventRef {
            source: row.get(1)?,
            id: row.get(2)?,
        };
        Ok((row.get(0)?, event))
    })?)
}

/// Releases every claim, or those of one target: the deliveries are due at once. So are those that
/// an earlier process wrote by a clock that was ahead of this one, see [`release_future`].
pub(super) fn release(
    connection: &Connection,
    target: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0
               WHERE status = 0 AND (claimed = 1 OR set_at > ?1)
               AND (?2 IS NULL OR target = ?2)";
    Ok(connection
        .prepare_cached(sql)?
        .execute((micros(now), target))?)
}

/// Releases the claim of one delivery.
pub(super) fn release_one(
    connection: &Connection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0
               WHERE id = ?2 AND status = 0 AND claimed = 1";
    Ok(connection
        .prepare_cached(sql)?
        .execute((micros(now), id.as_bytes()))?)
}

/// When the next pending delivery of `target` is due.
pub(super) fn next_due(
    connection: &Connection,
    target: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(due) FROM delivery WHERE status = 0 AND target = ?1";
    let due: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([target], |row| row.get(0))?;
    Ok(due.map(instant))
}

/// Records an attempt and applies the decision. Returns a report if the delivery became a dead
/// letter.
pub(super) fn settle(
    connection: &Connection,
    delivery: &Delivery,
    attempt: &AttemptOutcome,
    decision: &Decision,
    now: Timestamp,
) -> Result<Option<DeadLetterReport>, StoreError> {
    let id = delivery.id.as_bytes();
    // The number counts over all series, while `delivery.attempt` starts again at 1 after a
    // redrive: a trace shows attempts 1 to 10, and the retry policy sees the first of a new series.
    let sql = "INSERT INTO attempt (delivery, number, target, started, took, outcome, answer)
               VALUES (?1,
                       (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE delivery = ?1),
                       ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute((
        id,
        &delivery.target,
        micros(attempt.started),
        duration_micros(attempt.took),
        attempt.outcome,
        &attempt.answer,
    ))?;
    if !attempt.delivered_parts.is_empty() {
        let parts = delivery
            .delivered_parts
            .iter()
            .chain(&attempt.delivered_parts);
        connection
            .prepare_cached("UPDATE delivery SET taken = ?2 WHERE id = ?1")?
            .execute((id, Json::strings(parts).to_string()))?;
    }
    // `status = 0`: a delivery that an operator cancelled while it was being sent stays cancelled.
    // Only a successful attempt overrides that, because then the receiver does have it.
    match decision {
        // A part was delivered: the next part is due at once, as a first attempt.
        Decision::NextPart => {
            let sql = "UPDATE delivery SET due = ?2, set_at = ?2, claimed = 0, attempt = 1
                       WHERE id = ?1 AND status = 0";
            connection.prepare_cached(sql)?.execute((id, micros(now)))?;
        }
        Decision::Delivered => {
            let sql = "UPDATE delivery
                       SET status = 1, finished = ?2, attempt = attempt + 1, reason = NULL
                       WHERE id = ?1";
            connection.prepare_cached(sql)?.execute((id, micros(now)))?;
        }
        Decision::RetryAt(at) => {
            let sql = "UPDATE delivery
                       SET due = ?2, set_at = ?3, claimed = 0, attempt = attempt + 1
                       WHERE id = ?1 AND status = 0";
            connection
                .prepare_cached(sql)?
                .execute((id, micros(*at), micros(now)))?;
        }
        Decision::DeadLetter { cause, reason } => {
            let sql = "UPDATE delivery
                       SET status = 2, finished = ?2, attempt = attempt + 1, reason = ?3
                       WHERE id = ?1 AND status = 0";
            let changed = connection
                .prepare_cached(sql)?
                .execute((id, micros(now), reason))?;
            let letter = DeadLetter {
                id: delivery.id,
                rule: delivery.rule.clone(),
                event: delivery.event.clone(),
            };
            let (target, reason) = (delivery.target.clone(), reason.clone());
            let report = DeadLetterReport::of_one(target, letter, *cause, reason);
            // 0: it was cancelled meanwhile.
            return Ok((changed > 0).then_some(report));
        }
    }
    Ok(None)
}

/// Moves the pending deliveries of a target that does not exist to the dead letters. Returns a
/// report if there were any.
pub(super) fn dead_letter_target(
    connection: &Connection,
    target: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Option<DeadLetterReport>, StoreError> {
    let sql = "UPDATE delivery SET status = 2, finished = ?2, reason = ?3
               WHERE status = 0 AND target = ?1
               RETURNING id, rule, source, event";
    let mut report = DeadLetterReport {
        target: target.to_owned(),
        cause: DeadLetterCause::UnknownTarget,
        reason: reason.to_owned(),
        count: 0,
        letters: Vec::new(),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((target, micros(now), reason))?;
    while let Some(row) = rows.next()? {
        report.count += 1;
        if report.letters.len() < MAX_LISTED {
            report.letters.push(DeadLetter {
                id: DeliveryId::from(row.get::<_, [u8; 16]>(0)?),
                rule: row.get(1)?,
                event: EventRef {
                    source: row.get(2)?,
                    id: row.get(3)?,
                },
            });
        }
    }
    Ok((report.count > 0).then_some(report))
}

/// Moves one delivery from status `from` to status `to`. Returns whether it was in `from`.
pub(super) fn transfer(
    connection: &Connection,
    id: DeliveryId,
    from: DeliveryStatus,
    to: DeliveryStatus,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (id, from, at) = (id.as_bytes(), from.number(), micros(now));
    let changed = if to == DeliveryStatus::Pending {
        // A new series: attempts and their maximum age are counted from now.
        let sql = "UPDATE delivery
                   SET status = 0, attempt = 1, since = ?3, due = ?3, set_at = ?3, claimed = 0,
                       finished = NULL, reason = NULL
                   WHERE id = ?1 AND status = ?2";
        connection.prepare_cached(sql)?.execute((id, from, at))?
    } else {
        let sql = "UPDATE delivery SET status = ?3, finished = ?4, reason = ?5
                   WHERE id = ?1 AND status = ?2";
        connection
            .prepare_cached(sql)?
            .execute((id, from, to.number(), at, reason))?
    };
    Ok(changed == 1)
}

/// Deliveries of one status, of one target if it is given: pending ones the soonest due first,
/// others the longest finished first.
pub(super) fn list(
    connection: &Connection,
    status: DeliveryStatus,
    target: Option<&str>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    // Pending deliveries have no `finished` time, finished ones no useful `due`.
    let order = if status == DeliveryStatus::Pending {
        "due, seq, id"
    } else {
        "finished, seq, id"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE status = ?1 AND (?2 IS NULL OR target = ?2)
         ORDER BY {order} LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((status.number(), target, limit), read_row)?;
    Ok(rows
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect::<Result<_, _>>()?)
}

/// The newest dead letters, the newest first.
pub(super) fn newest_dead_letters(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM delivery WHERE status = 2 ORDER BY finished DESC LIMIT ?1");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([limit], read_row)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    // An unreadable one is counted (see `dead_letter_counts`) and listed by `dlq list`; here it
    // must not hide the others.
    Ok(rows.into_iter().filter_map(Result::ok).collect())
}

/// For each target with dead letters: how many.
pub(super) fn dead_letter_counts(
    connection: &Connection,
) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT target, count(*) FROM delivery
               WHERE status = 2 GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One delivery.
pub(super) fn get(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<DeliveryRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], read_row)
        .optional()?
        .transpose()
        .map_err(StoreError::from)
}

/// Every delivery of the event at an archive position.
pub(super) fn of_event(
    connection: &Connection,
    seq: i64,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE seq = ?1 ORDER BY created, rule, id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([seq], read_row)?;
    Ok(rows
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect::<Result<_, _>>()?)
}

/// Every attempt of one delivery, in order.
pub(super) fn attempts(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Vec<Attempt>, StoreError> {
    let sql = "SELECT number, started, took, outcome, answer FROM attempt
               WHERE delivery = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([id.as_bytes()], |row| {
        Ok(Attempt {
            number: row.get(0)?,
            started: instant(row.get(1)?),
            took: SignedDuration::from_micros(row.get(2)?),
            outcome: row.get(3)?,
            answer: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When calls to `target` were started, after `since`.
pub(super) fn call_times(
    connection: &Connection,
    target: &str,
    since: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    // Every delivery of a digest has an attempt of its own, all with the start of their one call.
    let sql = "SELECT DISTINCT started FROM attempt
               WHERE target = ?1 AND started > ?2 ORDER BY started";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((target, micros(since)), |row| row.get(0).map(instant))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// For each target with pending deliveries: how many, and when the oldest was created.
pub(super) fn queue_depths(
    connection: &Connection,
) -> Result<Vec<(String, u64, Timestamp)>, StoreError> {
    let sql = "SELECT target, count(*), min(created) FROM delivery
               WHERE status = 0 GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs(), instant(row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The rules that have pending deliveries or state entries.
pub(super) fn rules_in_use(connection: &Connection) -> Result<Vec<RuleUse>, StoreError> {
    // From one rule to the next by the primary key: `SELECT DISTINCT` would read a million entries
    // of one rule to find its name.
    let sql = "WITH RECURSIVE named (rule) AS (
                   SELECT min(rule) FROM state
                   UNION ALL
                   SELECT (SELECT min(rule) FROM state WHERE rule > named.rule)
                   FROM named WHERE named.rule IS NOT NULL
               ), used (rule, pending, state) AS (
                   SELECT rule, 0, 1 FROM named WHERE rule IS NOT NULL
                   UNION ALL
                   SELECT rule, 1, 0 FROM delivery WHERE status = 0
               )
               SELECT rule, sum(pending), max(state) FROM used GROUP BY rule ORDER BY rule";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let pending: i64 = row.get(1)?;
        Ok(RuleUse {
            rule: row.get(0)?,
            pending: pending.unsigned_abs(),
            has_state: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn duration_micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::sqlite::schema;

    /// The plan of a query, one line a step.
    fn plan(sql: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let connection = schema::open_writer(&path, &StoreOptions::default()).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&sql).unwrap();
        let steps = statement.query_map(("mail", 0, 8), |row| row.get(3));
        steps.unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn claims_search_the_index_and_scan_nothing() {
        let plan = plan(&claimable());
        assert!(
            plan[0].starts_with("SEARCH delivery USING INDEX delivery_due (target=? AND due<?)"),
            "{plan:?}"
        );
        assert!(
            plan.iter().all(|step| !step.starts_with("SCAN")),
            "{plan:?}"
        );
    }
}
