//! Problems that an operator must see: one list for the log, `/status` and the metrics.
//!
//! An *occurrence* (a dead letter, a failed reaction) stays in the list for an hour after the last
//! one; a *level* (a refused reload, a queue that ages) stays until it is over. The first
//! occurrences of a minute have log lines of their own; the rest of the minute is one line with
//! their number, so that a receiver that is down cannot fill the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reflexarc_diagnostic::truncate_to_line;
use reflexarc_event::Json;

/// Log lines of one problem in a minute; further occurrences are summed.
const MAX_LINES: u32 = 10;
/// The time over which occurrences are summed.
const WINDOW: Duration = Duration::from_secs(60);
/// How long an occurrence stays in the list.
const RETENTION: Duration = Duration::from_secs(3600);
/// Subjects of one kind with an entry of their own.
// A script may compute the name of a target from an event, so subjects are without bound.
const MAX_SUBJECTS: usize = 64;
/// The subject of all further ones.
const OTHER: &str = "(other)";
/// Characters of a detail; it may quote what a receiver wrote.
const MAX_DETAIL_CHARS: usize = 500;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProblemKind {
    /// Deliveries that are not attempted again; by target.
    DeadLetters,
    /// Deliveries whose retries have ended, or that became too old; by target.
    RetriesExhausted,
    /// Reactions that failed: their actions are lost; by rule.
    ReactionFailed,
    /// Reactions that did not run because their rule was over its budget; by rule.
    OverBudget,
    /// A reload that did not take everything.
    ReloadRefused,
    /// Rules that do not exist and have state or pending deliveries; by rule.
    RuleGone,
    /// The oldest pending delivery is old; by target.
    QueueAging,
    /// Requests to `/events` that senders do not repeat; by status.
    RequestsRefused,
    /// The store cannot be read.
    StoreUnreadable,
    /// The wall clock has jumped.
    ClockJump,
}

/// All problems of a service.
pub(crate) struct Problems {
    ledger: Mutex<Ledger>,
    started: Instant,
    active: Family<ProblemLabel, Gauge>,
    occurrences: Family<ProblemLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabel {
    problem: &'static str,
}

/// The entries, without clock and log.
#[derive(Default)]
struct Ledger {
    entries: BTreeMap<(ProblemKind, String), Entry>,
}

struct Entry {
    since: Timestamp,
    last: Timestamp,
    count: u64,
    detail: String,
    /// Stays until it is over.
    is_level: bool,
    last_elapsed: Duration,
    window_began: Duration,
    lines: u32,
    unlogged: u64,
}

/// One time on two clocks: the wall clock is for people, the other one never jumps.
#[derive(Clone, Copy)]
struct Moment {
    at: Timestamp,
    elapsed: Duration,
}

/// Occurrences without a log line of their own.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    kind: ProblemKind,
    subject: String,
    count: u64,
    detail: String,
}

impl ProblemKind {
    pub(crate) const ALL: [Self; 10] = [
        Self::DeadLetters,
        Self::RetriesExhausted,
        Self::ReactionFailed,
        Self::OverBudget,
        Self::ReloadRefused,
        Self::RuleGone,
        Self::QueueAging,
        Self::RequestsRefused,
        Self::StoreUnreadable,
        Self::ClockJump,
    ];

    /// Its name in `/status`, the log and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead_letters",
            Self::RetriesExhausted => "retries_exhausted",
            Self::ReactionFailed => "reaction_failed",
            Self::OverBudget => "over_budget",
            Self::ReloadRefused => "reload_refused",
            Self::RuleGone => "rule_gone",
            Self::QueueAging => "queue_aging",
            Self::RequestsRefused => "requests_refused",
            Self::StoreUnreadable => "store_unreadable",
            Self::ClockJump => "clock_jump",
        }
    }

    /// What an operator should do.
    fn action(self) -> &'static str {
        match self {
            Self::DeadLetters => {
                "see `reflexarc dlq list`; remove the cause, then `reflexarc dlq redrive` or `drop`"
            }
            Self::RetriesExhausted => {
                "check the receiver, then send the deliveries again with `reflexarc dlq redrive`"
            }
            Self::ReactionFailed => {
                "correct the rule, then send the lost actions with `reflexarc replay --failed --deliver`"
            }
            Self::OverBudget => {
                "make the rule cheaper or raise its budget in [budgets.rules], then send the lost \
                 actions with `reflexarc replay --failed --deliver`"
            }
            Self::ReloadRefused => "correct the files as `refused_reload` says, or confirm it",
            Self::RuleGone => {
                "restore the rule's file; its pending deliveries are sent, its state is kept"
            }
            Self::QueueAging => {
                "check the receiver; `reflexarc outbox show` has the last attempts of a delivery"
            }
            Self::RequestsRefused => {
                "see the log lines `refused a request`; check the sender's token, path and format"
            }
            Self::StoreUnreadable => "check the disk and the file of the store",
            Self::ClockJump => "correct the clock; if it is right, confirm it: POST /clock/confirm",
        }
    }
}

impl Problems {
    /// Registers the metrics; every kind has its series from the start, so that alerts do not
    /// depend on a series that does not exist yet.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let problems = Self {
            ledger: Mutex::default(),
            started: Instant::now(),
            active: Family::default(),
            occurrences: Family::default(),
        };
        for kind in ProblemKind::ALL {
            drop(problems.active.get_or_create(&label(kind)));
            drop(problems.occurrences.get_or_create(&label(kind)));
        }
        let help = "Subjects that have a problem now, by problem";
        registry.register("problems", help, problems.active.clone());
        let help = "Occurrences of problems";
        registry.register("problem_occurrences", help, problems.occurrences.clone());
        problems
    }

    /// Records `count` occurrences. Returns whether the caller should log them; if not, they are
    /// in the next summary.
    pub(crate) fn occurred(
        &self,
        kind: ProblemKind,
        subject: &str,
        count: u64,
        detail: &str,
    ) -> bool {
        let now = self.now();
        let mut ledger = self.lock();
        let logged = ledger.record(kind, subject, count, detail, false, now);
        self.count(&ledger, kind, count);
        logged
    }

    /// Records an occurrence of a level, which begins with it or goes on. Returns as
    /// [`Problems::occurred`].
    pub(crate) fn holds(&self, kind: ProblemKind, subject: &str, detail: &str) -> bool {
        let now = self.now();
        let mut ledger = self.lock();
        let logged = ledger.record(kind, subject, 1, detail, true, now);
        self.count(&ledger, kind, 1);
        logged
    }

    /// Makes these the subjects of a level, each with its count and detail: new ones begin, with a
    /// warning; those that are not among them are over.
    pub(crate) fn set(&self, kind: ProblemKind, subjects: &BTreeMap<String, (u64, String)>) {
        let now = self.now();
        let begun = {
            let mut ledger = self.lock();
            let begun = ledger.set(kind, subjects, now);
            let count = begun.iter().map(|summary| summary.count).sum();
            self.count(&ledger, kind, count);
            begun
        };
        for problem in &begun {
            tracing::warn!(
                problem = kind.name(),
                subject = problem.subject,
                count = problem.count,
                detail = problem.detail,
                action = kind.action(),
                "a problem began"
            );
        }
    }

    /// Ends a level.
    pub(crate) fn over(&self, kind: ProblemKind) {
        self.set(kind, &BTreeMap::new());
    }

    /// Logs the summaries that are due, and forgets old occurrences. To be called regularly.
    pub(crate) fn summarize(&self) {
        let now = self.now();
        let due = {
            let mut ledger = self.lock();
            let due = ledger.summarize(now);
            for kind in ProblemKind::ALL {
                self.count(&ledger, kind, 0);
            }
            due
        };
        for summary in due {
            tracing::warn!(
                problem = summary.kind.name(),
                subject = summary.subject,
                more = summary.count,
                last = summary.detail,
                action = summary.kind.action(),
                "further occurrences of a problem"
            );
        }
    }

    /// The list for `/status`: what began last comes first.
    pub(crate) fn to_json(&self) -> Json {
        let ledger = self.lock();
        let mut entries: Vec<_> = ledger.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.since));
        let entries = entries.into_iter().map(|((kind, subject), entry)| {
            Json::object([
                ("problem", kind.name().into()),
                ("subject", subject.as_str().into()),
                ("since", entry.since.to_string().into()),
                ("last", entry.last.to_string().into()),
                ("count", Json::count(entry.count)),
                ("detail", entry.detail.as_str().into()),
                ("action", kind.action().into()),
            ])
        });
        Json::Array(entries.collect())
    }

    /// Brings the metrics of a kind up to date, after `more` occurrences.
    fn count(&self, ledger: &Ledger, kind: ProblemKind, more: u64) {
        let subjects = ledger.subjects(kind).count();
        let gauge = self.active.get_or_create(&label(kind));
        gauge.set(i64::try_from(subjects).unwrap_or(i64::MAX));
        self.occurrences.get_or_create(&label(kind)).inc_by(more);
    }

    fn now(&self) -> Moment {
        Moment {
            at: Timestamp::now(),
            elapsed: self.started.elapsed(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn subjects(&self, kind: ProblemKind) -> impl Iterator<Item = &(ProblemKind, String)> {
        self.entries.keys().filter(move |(other, _)| *other == kind)
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

    fn record(
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
        if entry.lines < MAX_LINES {
            entry.lines += 1;
            return true;
        }
        entry.unlogged += count;
        false
    }

    /// As [`Problems::set`]; returns what began.
    fn set(
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

    fn summarize(&mut self, now: Moment) -> Vec<Summary> {
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

fn label(kind: ProblemKind) -> ProblemLabel {
    ProblemLabel {
        problem: kind.name(),
    }
}

#[cfg(test)]
#[path = "problems/tests.rs"]
mod tests;
