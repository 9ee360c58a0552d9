//! Taking over the outbox from an earlier process.

use std::time::Instant;

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;

use super::write_clock::TOLERANCE;
use super::{DatabaseStore, micros, outbox};
use crate::database::Connection;
use crate::engine::Engine;
use crate::{NodeState, StoreError};

/// Pending deliveries that one query looks at.
const READ_STEP: i64 = 2_000;
/// Claims that one transaction releases.
const RELEASE_STEP: usize = 100;

/// A place among the pending deliveries of one target: order key, archive position, number, id.
/// First come those without a key.
type Place = (Option<i64>, i64, i64, [u8; 16]);

/// What was found among the next pending deliveries.
#[derive(Default)]
struct Found {
    claimed: Vec<DeliveryId>,
    /// Whether something was written by a clock that was ahead of this one.
    is_future: bool,
    /// Where to go on; `None` at the end.
    next: Option<Place>,
}

impl<E: Engine> DatabaseStore<E> {
    /// Releases the claims of all nodes that are gone, and what was written by a clock that was ahead
    /// of this one, in small steps. Claims are looked for by a reader: no index says what is claimed,
    /// so that claiming stays cheap, and with a million pending deliveries the writer would do
    /// nothing else for seconds.
    pub(super) fn release_claims_in_steps(&self, now: Timestamp) -> Result<usize, StoreError> {
        // What others write meanwhile is not of a clock that was ahead.
        let begun = Instant::now();
        let time = || {
            now.saturating_add(begun.elapsed())
                .unwrap_or(Timestamp::MAX)
        };
        let ended = self.barrier()?;
        let (mut released, mut is_future) = (0, false);
        let mut target = self.read(|connection| next_target(connection, None))?;
        while let Some(name) = target {
            let mut place = Some((None, i64::MIN, i64::MIN, [0; 16]));
            while let Some(after) = place {
                let found =
                    self.read(|connection| look(connection, &name, after, E::LOST_CLAIMS, time()))?;
                for ids in found.claimed.chunks(RELEASE_STEP) {
                    let ids = ids.to_vec();
                    let step = self.writer.submit(move |connection| {
                        outbox::release_some(connection, &ids, E::LOST_CLAIMS, now)
                    });
                    released += step.wait()?;
                }
                is_future |= found.is_future;
                place = found.next;
            }
            target = self.read(|connection| next_target(connection, Some(&name)))?;
        }
        if is_future {
            // In one step: the clock was set back while the service was stopped, which is rare.
            let since = time();
            let released = self
                .writer
                .submit(move |connection| outbox::release_future(connection, since, now));
            released.wait()?;
        }
        if let Some(cluster) = self.engine.cluster() {
            cluster.released(&ended)?;
        }
        Ok(released)
    }

    /// Waits until no transaction is open any more that began before. Returns the nodes that had
    /// ended before: none of them claims anything from now on.
    fn barrier(&self) -> Result<Vec<i64>, StoreError> {
        let Some(cluster) = self.engine.cluster() else {
            return Ok(Vec::new());
        };
        let nodes = cluster.list()?.into_iter();
        let ended = nodes.filter(|node| matches!(node.state, NodeState::Left | NodeState::Lost));
        let ended = ended.map(|node| node.number).collect();
        self.writer.submit(|_| Ok(())).wait()?;
        Ok(ended)
    }
}

/// The next target, by name, that has pending deliveries.
fn next_target(connection: &Connection, after: Option<&str>) -> Result<Option<String>, StoreError> {
    let sql = "SELECT min(target) FROM delivery INDEXED BY delivery_order
               WHERE status = 0 AND target > ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([after.unwrap_or_default()], |row| row.get(0))?)
}

/// Looks at the next pending deliveries of a target.
fn look(
    connection: &Connection,
    target: &str,
    after: Place,
    is_lost: &str,
    now: Timestamp,
) -> Result<Found, StoreError> {
    let (key, seq, number, id) = after;
    let columns = format!("seq, number, id, order_key, {is_lost}, set_at - {TOLERANCE} > ?6");
    // Two queries, because no comparison leads from NULL to the first key.
    let sql = match key {
        None => format!(
            "SELECT {columns} FROM delivery INDEXED BY delivery_order
             WHERE status = 0 AND target = ?1 AND order_key IS ?2
               AND (seq, number, id) > (?3, ?4, ?5)
             ORDER BY seq, number, id LIMIT ?7"
        ),
        Some(_) => format!(
            "SELECT {columns} FROM delivery INDEXED BY delivery_order
             WHERE status = 0 AND target = ?1
               AND (order_key, seq, number, id) > (?2, ?3, ?4, ?5)
             ORDER BY order_key, seq, number, id LIMIT ?7"
        ),
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = (target, key, seq, number, id, micros(now), READ_STEP);
    let mut rows = statement.query(parameters)?;
    let (mut found, mut count) = (Found::default(), 0);
    while let Some(row) = rows.next()? {
        let id: [u8; 16] = row.get(2)?;
        if row.get(4)? {
            found.claimed.push(DeliveryId::from(id));
        }
        found.is_future |= row.get::<_, bool>(5)?;
        count += 1;
        found.next = Some((row.get(3)?, row.get(0)?, row.get(1)?, id));
    }
    if count < READ_STEP {
        // Behind those without a key come the others.
        found.next = key
            .is_none()
            .then_some((Some(i64::MIN), i64::MIN, i64::MIN, [0; 16]));
    }
    Ok(found)
}
