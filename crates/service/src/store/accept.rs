//! One event into the store: archive, state and outbox in one transaction.

use jiff::Timestamp;
use reflexarc::Evaluation;
use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, micros, pack, state};
use crate::incoming::{Incoming, numbered};
use crate::record::evaluation_to_json;
use reflexarc_delivery::DeliveryId;

/// What accepting an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its place in the order of acceptance; a duplicate has that of the first copy.
    pub seq: i64,
    /// It had been accepted before: nothing was done.
    pub duplicate: bool,
    /// How many rules matched and had their say.
    pub matched: usize,
    /// How many reactions went wrong.
    pub failures: usize,
    /// What was put into the outbox.
    pub deliveries: Vec<DeliveryId>,
    /// The targets that have something to do now, each once.
    pub targets: Vec<String>,
}

impl Accepted {
    /// A copy of the event at this place.
    pub(super) fn duplicate_of(seq: i64) -> Self {
        Self {
            seq,
            duplicate: true,
            matched: 0,
            failures: 0,
            deliveries: Vec::new(),
            targets: Vec::new(),
        }
    }
}

/// The earlier copy's place, when this is a copy of an event accepted less than `window` microseconds ago.
pub(super) fn earlier(
    connection: &Connection,
    incoming: &Incoming,
    now: Timestamp,
    window: i64,
) -> Result<Option<i64>, StoreError> {
    let Some(fingerprint) = &incoming.fingerprint else {
        return Ok(None);
    };
    let sql = "SELECT seq FROM seen WHERE fingerprint = ?1 AND at > ?2";
    let since = micros(now).saturating_sub(window);
    Ok(connection
        .prepare_cached(sql)?
        .query_row((fingerprint, since), |row| row.get(0))
        .optional()?)
}

/// Records an event that is no duplicate, and everything that follows from it.
pub(super) fn record(
    connection: &Connection,
    incoming: &Incoming,
    evaluation: &Evaluation,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let body = pack(incoming.native.original().bytes())?;
    let quiet = evaluation.rules.is_empty() && evaluation.failures.is_empty();
    let story = if quiet {
        None
    } else {
        Some(pack(evaluation_to_json(evaluation).to_string().as_bytes())?)
    };
    let size = i64::try_from(incoming.native.original().bytes().len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO archive (source, id, kind, resource, received, size, body, evaluation)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let identity = &incoming.identity;
    connection.prepare_cached(sql)?.execute((
        &identity.source,
        &identity.id,
        &identity.name,
        &identity.resource,
        micros(now),
        size,
        body,
        story,
    ))?;
    let seq = connection.last_insert_rowid();
    if let Some(fingerprint) = &incoming.fingerprint {
        let sql = "INSERT OR REPLACE INTO seen (fingerprint, seq, at) VALUES (?1, ?2, ?3)";
        connection
            .prepare_cached(sql)?
            .execute((fingerprint, seq, micros(now)))?;
    }
    for effects in &evaluation.rules {
        state::apply(connection, &effects.rule, &effects.changes)?;
    }
    let (deliveries, targets) = enqueue(connection, seq, incoming, evaluation, None, now)?;
    let (matched, failures) = (evaluation.rules.len(), evaluation.failures.len());
    Ok(Accepted {
        seq,
        duplicate: false,
        matched,
        failures,
        deliveries,
        targets,
    })
}

/// Puts an evaluation's actions into the outbox. A delivery that is there already, in whatever state, is left alone.
pub(super) fn enqueue(
    connection: &Connection,
    seq: i64,
    incoming: &Incoming,
    evaluation: &Evaluation,
    replay: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<DeliveryId>, Vec<String>), StoreError> {
    let (mut deliveries, mut targets) = (Vec::new(), Vec::new());
    let sql = "INSERT OR IGNORE INTO delivery
               (id, seq, source, event, resource, rule, target, action, replay, created, since, due, set_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?10, ?10)";
    let mut statement = connection.prepare_cached(sql)?;
    let identity = &incoming.identity;
    for (rule, number, action) in numbered(evaluation) {
        let id = DeliveryId::derive(identity, rule, number, replay);
        let target = action.target();
        let new = statement.execute((
            id.as_bytes(),
            seq,
            &identity.source,
            &identity.id,
            &identity.resource,
            rule,
            target,
            action.to_json().to_string(),
            replay,
            micros(now),
        ))?;
        if new == 1 {
            deliveries.push(id);
            if !targets.iter().any(|known| known == target) {
                targets.push(target.to_owned());
            }
        }
    }
    Ok((deliveries, targets))
}
