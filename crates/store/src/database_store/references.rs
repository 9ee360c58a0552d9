//! Whether the events that matches refer to are counted and there.

use super::damage::is_local;
use super::matches::{pack_positions, unpack_positions};
use crate::StoreError;
use crate::database;
use crate::database::{Connection, Optional};

/// What is wrong with a match, if anything is: its positions are in a column of this row.
pub(super) fn verify_match(packed: &[u8]) -> Result<(), String> {
    if pack_positions(&unpack_positions(packed)) == packed {
        return Ok(());
    }
    Err("its positions are damaged".to_owned())
}

/// Whether the archive has the entry at a position that a match refers to.
pub(super) fn verify_event(connection: &Connection, seq: i64) -> Result<(), String> {
    let sql = "SELECT 1 FROM archive WHERE seq = ?1";
    let found = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([seq], |_| Ok(())).optional());
    match found {
        // What cannot be read is found when that part is checked.
        Ok(Some(())) | Err(_) => Ok(()),
        Ok(None) => Err("a match refers to it, and the archive has no entry there".to_owned()),
    }
}

/// Compares the number of references of each event with the positions of all matches, as of one
/// moment. What is wrong, if anything is.
//
// Not with a table of all events in memory, of which there may be millions: each reference is a
// number that looks random, and their sums on both sides agree only if all of them do.
pub(super) fn compare(connection: &Connection) -> Result<Option<String>, StoreError> {
    match connection.in_snapshot(sums) {
        Ok((matches, events)) if matches == events => Ok(None),
        Ok((matches, events)) => Ok(Some(format!(
            "{} references of events are counted, and the matches have {}, or those of others",
            events.count, matches.count
        ))),
        // Found when that part was checked.
        Err(error) if is_local(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Number and sum of references.
#[derive(Debug, Default, PartialEq, Eq)]
struct References {
    count: u64,
    sum: u64,
}

impl References {
    fn add(&mut self, position: u64, times: u64) {
        self.count = self.count.wrapping_add(times);
        self.sum = self.sum.wrapping_add(scatter(position).wrapping_mul(times));
    }
}

/// The references of all matches, and of all events.
fn sums(connection: &Connection) -> database::Result<(References, References)> {
    let (mut matches, mut events) = (References::default(), References::default());
    let mut statement = connection.prepare_cached("SELECT positions FROM kept_match")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        for position in unpack_positions(row.blob(0)?) {
            matches.add(position, 1);
        }
    }
    let mut statement = connection.prepare_cached("SELECT seq, refs FROM kept_event")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        events.add(
            row.get::<_, i64>(0)?.cast_unsigned(),
            row.get::<_, i64>(1)?.cast_unsigned(),
        );
    }
    Ok((matches, events))
}

/// A number that looks random, another one for each: the finaliser of `SplitMix64`.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_agree_only_if_all_do() {
        let of = |references: &[(u64, u64)]| {
            let mut sums = References::default();
            for (position, times) in references {
                sums.add(*position, *times);
            }
            sums
        };
        let matches = of(&[(3, 1), (7, 1), (3, 1), (8, 1)]);
        assert_eq!(of(&[(3, 2), (7, 1), (8, 1)]), matches);
        assert_ne!(of(&[(3, 1), (7, 2), (8, 1)]), matches);
        assert_ne!(of(&[(3, 2), (6, 1), (9, 1)]), matches);
        assert_ne!(of(&[(3, 2), (7, 1)]), matches);
    }
}
