//! The entries of the list, without clock and log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_diagnostic::truncate_to_line;

use super::ProblemKind;

/// Log lines of one problem in a minute; further occurrences are summed.
pub(super) const MAX_LINES: u32 = 10;
/// The time over which occurrences are summed.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// How long an occurrence stays in the list.
const RETENTION: Duration = Duration::from_secs(3600);
/// Subjects of one kind with an entry of their own.
// A script may compute the name of a target from an event, so subjects are without bound.
pub(super) const MAX_SUBJECTS: usize = 64;
/// The subject of all further ones.
pub(super) const OTHER: &str = "(other)";
/// Characters of a detail; it may quote what a receiver wrote.
pub(super) const MAX_DETAIL_CHARS: usize = 500;

/// The entries, without clock and log.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) entries: BTreeMap<(ProblemKind, String), Entry>,
}

pub(super) struct Entry {
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u64,
    pub(super) detail: String,
    /// Stays until it is over.
    is_level: bool,
    last_elapsed: Duration,
    window_began: Duration,
    lines: u32,
    unlogged: u64,
}

/// One time on two clocks: the wall clock is for people, the other one never jumps.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) elapsed: Duration,
}

/// Occurrences without a log line of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) kind: ProblemKind,
    pub(super) subject: String,
    pub(super) count: u64,
    pub(super) detail: String,
}

impl Ledger {
    pub(super) fn subjects(
        &self,
        kind: ProblemKind,
    ) -> impl Iterator<Item = &(ProblemKind, String)> {
        self.entries.keys().filter(move |(other, _)| *other == kind)
    }

    /// Ends a level. One of those that share the entry [`OTHER`] ends with the next [`Self::set`].
    pub(super) fn end(&mut self, kind: ProblemKind, subject: &str) {
        let subject = truncate_to_line(subject, MAX_DETAIL_CHARS).into_owned();
        self.entries.remove(&(kind, subject));
    }

    /// The key of an entry: that of [`OTHER`] once there are too many.
    fn key(&self, kind: ProblemKind, subject: &str) -> (ProblemKind, String) {
        let key = (
            kind,
            truncate_to_line(subject, MAX_DETAIL_CHARS).into_owned(),
        );
        if self.entries.contains_key(&key) || self.subjects(kind).count() < MAX_SUBJECTS {
            key
        } else {
            (kind, OTHER.to_owned())
        }
    }

    pub(super) fn record(
        &mut self,
        kind: ProblemKind,
        subject: &str,
        count: u64,
        detail: &str,
        is_level: bool,
        now: Moment,
    ) -> bool {
        let key = self.key(kind, subject);
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
        entry.count = entry.count.saturating_add(count);
        entry.detail = truncate_to_line(detail, MAX_DETAIL_CHARS).into_owned();
        entry.is_level |= is_level;
        (entry.last, entry.last_elapsed) = (now.at, now.elapsed);
        if entry.unlogged == 0 && now.elapsed.saturating_sub(entry.window_began) >= WINDOW {
            (entry.window_began, entry.lines) = (now.elapsed, 0);
        }
        if entry.lines < kind.lines() {
            entry.lines += 1;
            return true;
        }
        entry.unlogged += count;
        false
    }

    /// As [`Problems::set`]; returns what began.
    pub(super) fn set(
        &mut self,
        kind: ProblemKind,
        subjects: &BTreeMap<String, (u64, String)>,
        now: Moment,
    ) -> Vec<Summary> {
        let mut current = BTreeSet::new();
        let mut begun: Vec<Summary> = Vec::new();
        for (subject, (count, detail)) in subjects {
            let key = self.key(kind, subject);
            let is_new = !self.entries.contains_key(&key);
            // Not the first with this key: one of those that share the entry `OTHER`.
            let is_first = current.insert(key.clone());
            let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
            entry.is_level = true;
            (entry.last, entry.last_elapsed) = (now.at, now.elapsed);
            // The count of what has occurred goes on; a level alone counts what there is now.
            entry.count = entry.count.max(*count);
            entry.detail = truncate_to_line(detail, MAX_DETAIL_CHARS).into_owned();
            if is_new || !is_first {
                begun.push(Summary {
                    kind,
                    subject: subject.clone(),
                    count: *count,
                    detail: detail.clone(),
                });
            }
        }
        self.entries
            .retain(|key, entry| key.0 != kind || !entry.is_level || current.contains(key));
        // One line for many that begin at once, such as the rules of a folder.
        if let Some(first) = begun.first()
            && begun.len() > MAX_LINES as usize
        {
            let names: Vec<&str> = begun
                .iter()
                .take(3)
                .map(|new| new.subject.as_str())
                .collect();
            return vec![Summary {
                kind,
                subject: format!(
                    "{} and {} more",
                    names.join(", "),
                    begun.len() - names.len()
                ),
                count: begun.iter().map(|new| new.count).sum(),
                detail: first.detail.clone(),
            }];
        }
        begun
    }

    pub(super) fn summarize(&mut self, now: Moment) -> Vec<Summary> {
        let mut due = Vec::new();
        for ((kind, subject), entry) in &mut self.entries {
            let window_ended = now.elapsed.saturating_sub(entry.window_began) >= WINDOW;
            if entry.unlogged > 0 && window_ended {
                due.push(Summary {
                    kind: *kind,
                    subject: subject.clone(),
                    count: std::mem::take(&mut entry.unlogged),
                    detail: entry.detail.clone(),
                });
                (entry.window_began, entry.lines) = (now.elapsed, 0);
            }
        }
        self.entries.retain(|_, entry| {
            entry.is_level || now.elapsed.saturating_sub(entry.last_elapsed) < RETENTION
        });
        due
    }
}

impl Entry {
    fn new(now: Moment) -> Self {
        Self {
            since: now.at,
            last: now.at,
            count: 0,
            detail: String::new(),
            is_level: false,
            last_elapsed: now.elapsed,
            window_began: now.elapsed,
            lines: 0,
            unlogged: 0,
        }
    }
}
