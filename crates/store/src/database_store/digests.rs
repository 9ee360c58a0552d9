//! Firings that are held, and the digests that carry deliveries.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;

use super::{micros, order, outbox};
use crate::StoreError;
use crate::database::Connection;

/// Releases the claims of these deliveries of `target`, which are due again at `until`. They give
/// up their order, so that what follows them in it does not wait for that long.
pub(super) fn hold(
    connection: &Connection,
    target: &str,
    ids: &[DeliveryId],
    until: Timestamp,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery
               SET due = ?2, set_at = ?3, claimed = 0, order_key = NULL, head = 1
               WHERE id = ?1 AND status = 0 AND claimed = ?4";
    let mut held = 0;
    for id in ids {
        // Before the update, which takes it out of the order.
        let place = outbox::place_of(connection, *id)?;
        let mut statement = connection.prepare_cached(sql)?;
        let parameters = (id.as_bytes(), micros(until), micros(now), connection.node());
        let changed = statement.execute(parameters)?;
        held += changed;
        if let (1, Some(place)) = (changed, place) {
            order::update_next(connection, target, place, now)?;
        }
    }
    Ok(held)
}

/// Records which digest these pending deliveries are members of.
pub(super) fn set_digest(
    connection: &Connection,
    ids: &[DeliveryId],
    digest: Option<DeliveryId>,
) -> Result<(), StoreError> {
    let sql = "UPDATE delivery SET digest = ?2 WHERE id = ?1 AND status = 0";
    let mut statement = connection.prepare_cached(sql)?;
    let digest = digest.as_ref().map(DeliveryId::as_bytes);
    for id in ids {
        statement.run((id.as_bytes(), digest))?;
    }
    Ok(())
}
