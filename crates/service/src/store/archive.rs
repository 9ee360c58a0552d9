//! The archive: every accepted event as it was received, with its evaluation; and retention.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, Json};
use rusqlite::{Connection, Row};

use super::compression::unpack;
use super::{StoreError, instant, micros};

/// One archived event.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Archive position, counted in the order of acceptance.
    pub seq: i64,
    /// Source and id.
    pub name: EventRef,
    /// Its `name` or `type`.
    pub kind: String,
    /// The resource that it is about.
    pub resource: String,
    /// When it was accepted; also the `now` of its evaluation.
    pub received: Timestamp,
    /// The event as it was received.
    pub event: Event,
    /// Its evaluation as [`super::evaluation_to_json`] writes it; `None` if no rule
    /// matched.
    pub evaluation: Option<Json>,
}

/// Selects events of the archive. An absent bound selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Accepted before this instant.
    pub to: Option<Timestamp>,
    /// Events with this id.
    pub id: Option<String>,
}

/// The result of [`super::Store::verify_archive`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Number of events that were read.
    pub events: u64,
    /// Their uncompressed size in bytes.
    pub bytes: u64,
    /// Archive positions of events that cannot be read back, each with the reason.
    pub damaged: Vec<(i64, String)>,
}

/// How long events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Older events are removed, with their deliveries.
    pub age: SignedDuration,
    /// When the pages in use are more than this many bytes, the oldest events are removed.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// 30 days, without a bound on the size.
    fn default() -> Self {
        Self {
            age: SignedDuration::from_hours(30 * 24),
            bytes: None,
        }
    }
}

/// An event, or the archive position of one that cannot be read back and why.
pub(super) type ReadResult = Result<Archived, (i64, String)>;

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
) -> Result<Vec<ReadResult>, StoreError> {
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

/// Removes up to `limit` events that were accepted before `before`, with their deliveries and
/// attempts. Returns how many there were.
///
/// An event with a pending delivery or a dead letter is kept, whatever its age: an operator who
/// redrives a dead letter must still find what it was about.
pub(super) fn prune(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let sql = "SELECT seq FROM archive AS a WHERE received < ?1
               AND NOT EXISTS
                   (SELECT 1 FROM delivery AS d WHERE d.seq = a.seq AND d.status IN (0, 2))
               ORDER BY seq LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    // Collected before deleting: SQLite does not define what a SELECT returns while its table is
    // changed.
    let expired = statement
        .query_map((micros(before), limit), |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for seq in &expired {
        let sql = "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE seq = ?1)";
        connection.prepare_cached(sql)?.execute([seq])?;
        connection
            .prepare_cached("DELETE FROM delivery WHERE seq = ?1")?
            .execute([seq])?;
        connection
            .prepare_cached("DELETE FROM archive WHERE seq = ?1")?
            .execute([seq])?;
    }
    Ok(expired.len())
}

/// Removes expired state entries and fingerprints older than the duplicate window.
pub(super) fn forget(
    connection: &Connection,
    now: Timestamp,
    window: i64,
) -> Result<(), StoreError> {
    // At most 5,000 rows of each in one transaction, for the reason given in `Store::prune`. What
    // is left stays until the next pruning; until then queries leave it out by its time.
    let sql = "DELETE FROM seen WHERE fingerprint IN
               (SELECT fingerprint FROM seen WHERE at <= ?1 LIMIT 5000)";
    connection
        .prepare_cached(sql)?
        .execute([micros(now).saturating_sub(window)])?;
    let sql = "DELETE FROM state WHERE (rule, key) IN
               (SELECT rule, key FROM state WHERE expires <= ?1 LIMIT 5000)";
    connection.prepare_cached(sql)?.execute([micros(now)])?;
    Ok(())
}

/// Bytes in use: the pages of the file that are not free.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // Not the size of the file: that never shrinks, so pruning by it would never end.
    let pages = read("page_count")? - read("freelist_count")?;
    Ok((pages * read("page_size")?).unsigned_abs())
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<ReadResult> {
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
        Err(reason) => return Ok(Err((seq, reason))),
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
