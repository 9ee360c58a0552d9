//! The list of matches by deadline: the soonest first, those without a deadline last.
//!
//! ```text
//! index of deadlines   12:00 a "k2"   12:05 b "k1"   13:00 a "k1"  |  by rule and key   a "k3" …
//! ```
//!
//! The index has deadline, window and key, so that what a filter does not select costs no more than
//! its entry. A page ends when it has looked at so many entries.

use jiff::Timestamp;

use super::deadlines::{OpenWindow, open_windows};
use super::matches::read_row;
use super::{match_list, micros};
use crate::database::{Connection, Optional};
use crate::matches::DuePlace;
use crate::{
    DamagedMatch, DueCursor, DuePage, MatchCursor, MatchFilter, PageLimits, PendingMatch,
    StoreError,
};

/// Matches that one page looks at, most of which may not be selected.
// An index entry takes less than a microsecond.
const LOOK: i64 = 50_000;

/// The matches with a deadline behind a place, in the order of the index.
pub(super) const BY_DUE: &str = "SELECT due, rule, key FROM kept_match INDEXED BY match_by_due
    WHERE due IS NOT NULL AND (due, rule, key) > (?1, ?2, ?3) ORDER BY due, rule, key LIMIT ?4";
/// The matches of a window behind a key: whether each has no deadline.
pub(super) const OF_WINDOW: &str = "SELECT key, due IS NULL FROM kept_match
    WHERE rule = ?1 AND key > ?2 ORDER BY key LIMIT ?3";

/// A page that is being filled.
struct Filling<'a> {
    connection: &'a Connection,
    filter: &'a MatchFilter,
    now: Timestamp,
    /// What is left of the page.
    limits: PageLimits,
    /// Number of matches that may still be looked at.
    look: i64,
    page: DuePage,
}

/// The matches that a filter selects, after a place of the list.
pub(super) fn page(
    connection: &Connection,
    filter: &MatchFilter,
    after: Option<&DueCursor>,
    limits: PageLimits,
    now: Timestamp,
) -> Result<DuePage, StoreError> {
    let mut windows = open_windows(connection)?;
    if let Some(rule) = &filter.rule {
        windows.retain(|window| window.rule == *rule);
    }
    let mut filling = Filling {
        connection,
        filter,
        now,
        limits,
        look: LOOK,
        page: DuePage::default(),
    };
    if !filter.keys.is_empty() {
        filling.at_keys(&windows)?;
        return Ok(filling.page);
    }
    let without = match after {
        Some(DueCursor(DuePlace::Without(after))) => Some(after),
        Some(DueCursor(DuePlace::At { due, window, key })) => {
            filling.with_deadline(&windows, (*due, *window, key))?;
            None
        }
        None => {
            filling.with_deadline(&windows, (i64::MIN, 0, ""))?;
            None
        }
    };
    if filling.page.next.is_none() {
        filling.without_deadline(&windows, without)?;
    }
    Ok(filling.page)
}

impl Filling<'_> {
    /// Adds all matches at the keys of the filter: there are no more than windows and keys.
    fn at_keys(&mut self, windows: &[OpenWindow]) -> Result<(), StoreError> {
        for window in windows {
            for key in &self.filter.keys {
                self.add(window, key)?;
            }
        }
        // Those without a deadline are the last, in the order that they have.
        let matches = &mut self.page.matches;
        matches.sort_by_key(|found| (found.kept.due.is_none(), found.kept.due));
        Ok(())
    }

    /// Adds those with a deadline.
    fn with_deadline(
        &mut self,
        windows: &[OpenWindow],
        (due, window, key): (i64, i64, &str),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(BY_DUE)?;
        let mut rows = statement.query((due, window, key, self.look))?;
        while let Some(row) = rows.next()? {
            let (due, window, key): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            self.look -= 1;
            // Those of closed windows are there until retention removes them.
            if let Some(open) = windows.iter().find(|open| open.id == window) {
                self.add(open, &key)?;
            }
            if self.is_full() {
                self.page.next = Some(DueCursor(DuePlace::At { due, window, key }));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds those without one, by rule and key.
    fn without_deadline(
        &mut self,
        windows: &[OpenWindow],
        after: Option<&MatchCursor>,
    ) -> Result<(), StoreError> {
        let place = |window: &OpenWindow| (window.rule.clone(), window.fingerprint);
        let begin = after.map(|after| (after.rule.clone(), after.window));
        let mut statement = self.connection.prepare_cached(OF_WINDOW)?;
        for window in windows {
            let place = place(window);
            if begin.as_ref().is_some_and(|begin| place < *begin) {
                continue;
            }
            let after = after.filter(|_| begin.as_ref() == Some(&place));
            let after = after.map_or("", |after| &after.key);
            let mut rows = statement.query((window.id, after, self.look))?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                self.look -= 1;
                if row.get(1)? {
                    self.add(window, &key)?;
                }
                if self.is_full() {
                    self.page.next = Some(DueCursor(DuePlace::Without(MatchCursor {
                        rule: window.rule.clone(),
                        window: window.fingerprint,
                        key,
                    })));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Adds the match of a window at a key, if the filter selects it.
    fn add(&mut self, window: &OpenWindow, key: &str) -> Result<(), StoreError> {
        let sql = match_list::of_window(true);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row((window.id, key, micros(self.now), 1), |row| {
            let is_live = row.get::<_, Option<bool>>(1)?.unwrap_or(true);
            Ok((is_live, read_row(row, 2)?))
        });
        match found.optional()? {
            Some((true, Ok(kept))) if kept.is_pending || self.filter.kept => {
                let bytes = key.len() + kept.data.len();
                self.limits.rows = self.limits.rows.saturating_sub(1);
                self.limits.bytes = self.limits.bytes.saturating_sub(bytes);
                self.page.matches.push(PendingMatch {
                    rule: window.rule.clone(),
                    key: key.to_owned(),
                    kept,
                });
            }
            None | Some((_, Ok(_))) => {}
            Some((_, Err(reason))) => self.page.damaged.push(DamagedMatch {
                rule: window.rule.clone(),
                key: key.to_owned(),
                reason: reason.to_owned(),
            }),
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.limits.rows == 0 || self.limits.bytes == 0 || self.look == 0
    }
}
