//! What is to be delivered, what was tried, and what nobody would take.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{StoreError, instant, micros};
use crate::record::strings;
use reflexarc_delivery::Decision;
use reflexarc_delivery::{Delivery, DeliveryId, EventRef};
use reflexarc_reaction::Action;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// In the outbox, to be tried when it is due.
    Pending,
    /// Taken by its receiver.
    Delivered,
    /// Given up: a dead letter, waiting for somebody to redrive or drop it.
    Dead,
    /// Cancelled by an operator before it was delivered.
    Cancelled,
    /// A dead letter that an operator dropped.
    Dropped,
}

/// A delivery and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The delivery.
    pub delivery: Delivery,
    /// Where it stands.
    pub status: Status,
    /// When it is tried next, while pending.
    pub due: Timestamp,
    /// When it left the outbox.
    pub finished: Option<Timestamp>,
    /// Why it was given up, cancelled or dropped.
    pub reason: Option<String>,
    /// The event's place in the archive.
    pub seq: i64,
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1, over everything that was ever tried for this delivery.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// `delivered`, `partly`, `failed`, `throttled`, `misconfigured` or `refused`.
    pub outcome: String,
    /// The receiver's words, or the fault.
    pub answer: String,
}

/// What an attempt is to be remembered by.
#[derive(Debug, Clone)]
pub struct Tried {
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// As in [`Attempt::outcome`].
    pub outcome: &'static str,
    /// As in [`Attempt::answer`].
    pub answer: String,
    /// The parts that were taken by it, where only some were.
    pub taken: Vec<String>,
}

const COLUMNS: &str = "id, source, event, resource, rule, target, action, created, replay, attempt, since, status, due, \
                       finished, reason, seq, taken";

/// A row that this version cannot read.
struct Unreadable {
    id: [u8; 16],
    what: &'static str,
}

impl From<Unreadable> for StoreError {
    fn from(row: Unreadable) -> Self {
        Self::Failed(format!(
            "delivery {}: {}",
            DeliveryId::from(row.id),
            row.what
        ))
    }
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Delivered,
        Self::Dead,
        Self::Cancelled,
        Self::Dropped,
    ];

    /// One word for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
        }
    }

    fn number(self) -> i64 {
        self as i64
    }
}

/// Up to `limit` deliveries of `target` that are due, oldest first, not to be claimed again before `now + lease`.
pub(super) fn claim(
    connection: &Connection,
    target: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    // After the clock jumped back, `set_at` lies in the future: what was due in what was then the near future is due now.
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE status = 0 AND target = ?1 AND (due <= ?2 OR set_at > ?2)
         ORDER BY due, seq, id LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map((target, micros(now), limit), entry)?
        .collect::<Result<Vec<_>, _>>()?;
    let sql = "UPDATE delivery SET due = ?2, set_at = ?3, claimed = 1 WHERE id = ?1";
    let until = micros(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    let mut update = connection.prepare_cached(sql)?;
    let mut claimed = Vec::new();
    for row in rows {
        match row {
            Ok(entry) => {
                update.execute((entry.delivery.id.as_bytes(), until, micros(now)))?;
                claimed.push(entry);
            }
            // One that cannot be read must not stand in the way of those behind it.
            Err(Unreadable { id, what }) => {
                transfer(
                    connection,
                    DeliveryId::from(id),
                    Status::Pending,
                    Status::Dead,
                    Some(what),
                    now,
                )?;
            }
        }
    }
    claimed.sort_by_key(|entry| entry.seq);
    Ok(claimed.into_iter().map(|entry| entry.delivery).collect())
}

/// Makes every claim void, or those of one target: what a killed process was about to send is due at once.
pub(super) fn release(
    connection: &Connection,
    target: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0
               WHERE status = 0 AND claimed = 1 AND (?2 IS NULL OR target = ?2)";
    Ok(connection
        .prepare_cached(sql)?
        .execute((micros(now), target))?)
}

/// The same for one delivery.
pub(super) fn release_one(
    connection: &Connection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0 WHERE id = ?2 AND status = 0 AND claimed = 1";
    Ok(connection
        .prepare_cached(sql)?
        .execute((micros(now), id.as_bytes()))?)
}

/// When the next delivery of `target` is due.
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

/// Remembers an attempt and does what was decided. A delivery that was cancelled meanwhile stays so unless it arrived.
pub(super) fn settle(
    connection: &Connection,
    delivery: &Delivery,
    tried: &Tried,
    decision: &Decision,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = delivery.id.as_bytes();
    let sql = "INSERT INTO attempt (delivery, number, target, started, took, outcome, answer)
               VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6)";
    let took = duration_micros(tried.took);
    let (started, outcome) = (micros(tried.started), tried.outcome);
    connection.prepare_cached(sql)?.execute((
        id,
        &delivery.target,
        started,
        took,
        outcome,
        &tried.answer,
    ))?;
    if !tried.taken.is_empty() {
        let taken = strings(delivery.delivered_parts.iter().chain(&tried.taken)).to_string();
        connection
            .prepare_cached("UPDATE delivery SET taken = ?2 WHERE id = ?1")?
            .execute((id, taken))?;
    }
    match decision {
        Decision::NextPart => {
            let sql = "UPDATE delivery SET due = ?2, set_at = ?2, claimed = 0, attempt = 1 WHERE id = ?1 AND status = 0";
            connection.prepare_cached(sql)?.execute((id, micros(now)))?;
        }
        Decision::Delivered => {
            let sql = "UPDATE delivery SET status = 1, finished = ?2, attempt = attempt + 1, reason = NULL WHERE id = ?1";
            connection.prepare_cached(sql)?.execute((id, micros(now)))?;
        }
        Decision::RetryAt(at) => {
            let sql =
                "UPDATE delivery SET due = ?2, set_at = ?3, claimed = 0, attempt = attempt + 1
                       WHERE id = ?1 AND status = 0";
            connection
                .prepare_cached(sql)?
                .execute((id, micros(*at), micros(now)))?;
        }
        Decision::DeadLetter(reason) => {
            let sql =
                "UPDATE delivery SET status = 2, finished = ?2, attempt = attempt + 1, reason = ?3
                       WHERE id = ?1 AND status = 0";
            connection
                .prepare_cached(sql)?
                .execute((id, micros(now), reason))?;
        }
    }
    Ok(())
}

/// Gives up what waits for a target that does not exist.
pub(super) fn bury(
    connection: &Connection,
    target: &str,
    reason: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET status = 2, finished = ?2, reason = ?3 WHERE status = 0 AND target = ?1";
    Ok(connection
        .prepare_cached(sql)?
        .execute((target, micros(now), reason))?)
}

/// Moves one delivery from one status to another on an operator's word; whether it was in the first.
pub(super) fn transfer(
    connection: &Connection,
    id: DeliveryId,
    from: Status,
    to: Status,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (from, number, at) = (from.number(), to.number(), micros(now));
    let changed = if to == Status::Pending {
        let sql = "UPDATE delivery SET status = 0, attempt = 1, since = ?3, due = ?3, set_at = ?3, claimed = 0,
                   finished = NULL, reason = NULL WHERE id = ?1 AND status = ?2";
        connection
            .prepare_cached(sql)?
            .execute((id.as_bytes(), from, at))?
    } else {
        let sql = "UPDATE delivery SET status = ?3, finished = ?4, reason = ?5 WHERE id = ?1 AND status = ?2";
        connection
            .prepare_cached(sql)?
            .execute((id.as_bytes(), from, number, at, reason))?
    };
    Ok(changed == 1)
}

/// Deliveries of one status, those of one target if one is given; the oldest first, dead letters by when they died.
pub(super) fn list(
    connection: &Connection,
    status: Status,
    target: Option<&str>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let order = if status == Status::Pending {
        "due, seq, id"
    } else {
        "finished, seq, id"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE status = ?1 AND (?2 IS NULL OR target = ?2) ORDER BY {order} LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((status.number(), target, limit), entry)?;
    Ok(rows
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect::<Result<_, _>>()?)
}

/// One delivery.
pub(super) fn get(connection: &Connection, id: DeliveryId) -> Result<Option<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], entry)
        .optional()?
        .transpose()
        .map_err(StoreError::from)
}

/// Every delivery of one archived event.
pub(super) fn of_event(connection: &Connection, seq: i64) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE seq = ?1 ORDER BY created, rule, id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([seq], entry)?;
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
    let sql = "SELECT number, started, took, outcome, answer FROM attempt WHERE delivery = ?1 ORDER BY number";
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

/// When calls to `target` began, each once, from `since` on: attempts that went out in one call share their start.
pub(super) fn calls(
    connection: &Connection,
    target: &str,
    since: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let sql =
        "SELECT DISTINCT started FROM attempt WHERE target = ?1 AND started > ?2 ORDER BY started";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((target, micros(since)), |row| row.get(0).map(instant))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// For each target with pending deliveries: how many, and when the oldest was created.
pub(super) fn depths(connection: &Connection) -> Result<Vec<(String, u64, Timestamp)>, StoreError> {
    let sql = "SELECT target, count(*), min(created) FROM delivery WHERE status = 0 GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs(), instant(row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Result<Entry, Unreadable>> {
    let id: [u8; 16] = row.get(0)?;
    let action: String = row.get(6)?;
    let Some(action) = Json::parse(&action)
        .ok()
        .as_ref()
        .and_then(Action::from_json)
    else {
        return Ok(Err(Unreadable {
            id,
            what: "its action cannot be read",
        }));
    };
    let status: i64 = row.get(11)?;
    let Some(status) = Status::ALL
        .into_iter()
        .find(|known| known.number() == status)
    else {
        return Ok(Err(Unreadable {
            id,
            what: "its status is none that this version knows",
        }));
    };
    let delivery = Delivery {
        id: DeliveryId::from(id),
        event: EventRef {
            source: row.get(1)?,
            id: row.get(2)?,
        },
        resource: row.get(3)?,
        rule: row.get(4)?,
        target: row.get(5)?,
        action,
        created: instant(row.get(7)?),
        replay: row.get(8)?,
        attempt: row.get(9)?,
        queued_at: instant(row.get(10)?),
        delivered_parts: taken(row.get(16)?),
    };
    let finished: Option<i64> = row.get(13)?;
    Ok(Ok(Entry {
        delivery,
        status,
        due: instant(row.get(12)?),
        finished: finished.map(instant),
        reason: row.get(14)?,
        seq: row.get(15)?,
    }))
}

/// A list as `settle` writes it. One that cannot be read is none: then all is sent again, under the same id.
fn taken(list: Option<String>) -> Vec<String> {
    let list = list.and_then(|text| Json::parse(text).ok());
    list.iter()
        .flat_map(Json::elements)
        .filter_map(|part| part.as_str().map(str::to_owned))
        .collect()
}

fn duration_micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
