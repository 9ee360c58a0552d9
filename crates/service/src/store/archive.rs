//! Every accepted event as it came, and what was made of it.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::{Event, Json};
use rusqlite::{Connection, Row};

use super::{StoreError, instant, micros, unpack};
use reflexarc_delivery::EventRef;

/// One event of the archive.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Its place in the order of acceptance.
    pub seq: i64,
    /// Source and id.
    pub name: EventRef,
    /// Its `name` or `type`.
    pub kind: String,
    /// What it is about.
    pub resource: String,
    /// When it was accepted; also the `now` of its evaluation.
    pub received: Timestamp,
    /// The event as it came.
    pub event: Event,
    /// What was made of it, as [`crate::evaluation_to_json`] writes it; `None` when no rule matched.
    pub story: Option<Json>,
}

/// Which events of the archive are wanted; absent bounds do not bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Accepted before this instant.
    pub to: Option<Timestamp>,
    /// With this id.
    pub id: Option<String>,
}

/// What [`super::Store::verify_archive`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many events were read.
    pub events: u64,
    /// Their size as they came, in bytes.
    pub bytes: u64,
    /// Those that cannot be read back, each with the reason.
    pub damaged: Vec<(i64, String)>,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Events older than this go, with their deliveries.
    pub age: SignedDuration,
    /// When the store's used pages are more than this many bytes, the oldest events go.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// 30 days, whatever the size.
    fn default() -> Self {
        Self {
            age: SignedDuration::from_hours(30 * 24),
            bytes: None,
        }
    }
}

/// An event, or the place of one that cannot be read back and why.
pub(super) type Read = Result<Archived, (i64, String)>;

/// Up to `limit` selected events after place `after`, in order of acceptance.
pub(super) fn page(
    connection: &Connection,
    wanted: &Selection,
    after: i64,
    limit: usize,
) -> Result<Vec<Read>, StoreError> {
    // Without the `+` the planner would sort by time; walking `seq` gives pages that never sort.
    let sql = "SELECT seq, source, id, kind, resource, received, size, body, evaluation FROM archive
               WHERE seq > ?1 AND received >= ?2 AND received < ?3 AND (?4 IS NULL OR id = ?4) ORDER BY seq LIMIT ?5";
    let from = wanted.from.map_or(i64::MIN, micros);
    let to = wanted.to.map_or(i64::MAX, micros);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, from, to, &wanted.id, limit), archived)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes up to `limit` events that are past their time, with deliveries and attempts; what still waits in the outbox
/// or among the dead letters keeps its event. Returns how many went.
pub(super) fn prune(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let sql = "SELECT seq FROM archive AS a WHERE received < ?1
               AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.seq = a.seq AND d.status IN (0, 2))
               ORDER BY seq LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let gone = statement
        .query_map((micros(before), limit), |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for seq in &gone {
        let sql = "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE seq = ?1)";
        connection.prepare_cached(sql)?.execute([seq])?;
        connection
            .prepare_cached("DELETE FROM delivery WHERE seq = ?1")?
            .execute([seq])?;
        connection
            .prepare_cached("DELETE FROM archive WHERE seq = ?1")?
            .execute([seq])?;
    }
    Ok(gone.len())
}

/// Forgets expired state, and duplicates beyond the window.
pub(super) fn forget(
    connection: &Connection,
    now: Timestamp,
    window: i64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM seen WHERE fingerprint IN (SELECT fingerprint FROM seen WHERE at <= ?1 LIMIT 5000)";
    connection
        .prepare_cached(sql)?
        .execute([micros(now).saturating_sub(window)])?;
    let sql = "DELETE FROM state WHERE (rule, key) IN (SELECT rule, key FROM state WHERE expires <= ?1 LIMIT 5000)";
    connection.prepare_cached(sql)?.execute([micros(now)])?;
    Ok(())
}

/// Bytes in use: pages of the file that hold something.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = read("page_count")? - read("freelist_count")?;
    Ok((pages * read("page_size")?).unsigned_abs())
}

fn archived(row: &Row<'_>) -> rusqlite::Result<Read> {
    let seq: i64 = row.get(0)?;
    let size = usize::try_from(row.get::<_, i64>(6)?).unwrap_or_default();
    let body: Vec<u8> = row.get(7)?;
    let story: Option<Vec<u8>> = row.get(8)?;
    let read = || {
        let bytes = unpack(&body, size)?;
        if bytes.len() != size {
            return Err(format!("{} bytes instead of {size}", bytes.len()));
        }
        let event = Event::from_json(bytes).map_err(|error| error.to_string())?;
        let story = match story {
            Some(packed) => {
                let text = unpack(&packed, STORY_BYTES)?;
                Some(Json::parse_within(text, STORY_DEPTH).map_err(|error| error.to_string())?)
            }
            None => None,
        };
        Ok((event, story))
    };
    let (event, story) = match read() {
        Ok(parts) => parts,
        Err(fault) => return Ok(Err((seq, fault))),
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
        story,
    }))
}

/// An evaluation holds derived events and payloads, each as deep as an event, within an object of its own.
const STORY_DEPTH: usize = 192;
/// Far more than the limits of reactions let an evaluation grow to.
const STORY_BYTES: usize = 256 << 20;
