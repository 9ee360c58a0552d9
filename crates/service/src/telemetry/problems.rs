//! Problems that an operator must see: one list for the log, `/status` and the metrics.
//!
//! An *occurrence* (a dead letter, a failed reaction) stays in the list for an hour after the last
//! one; a *level* (a refused reload, a queue that ages) stays until it is over. The first
//! occurrences of a minute have log lines of their own; the rest of the minute is one line with
//! their number, so that a receiver that is down cannot fill the disk.

mod kind;
mod ledger;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reflexarc_diagnostic::truncate_to_line;
use reflexarc_event::Json;

pub(crate) use self::kind::ProblemKind;
use self::ledger::{Ledger, MAX_DETAIL_CHARS, Moment};
use crate::operate::OpenProblem;

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

    /// Records `count` occurrences, and logs them as [`Problems::occurred`] says.
    pub(crate) fn report(&self, kind: ProblemKind, subject: &str, count: u64, detail: &str) {
        if self.occurred(kind, subject, count, detail) {
            tracing::warn!(
                problem = kind.name(),
                subject,
                count,
                detail = &*truncate_to_line(detail, MAX_DETAIL_CHARS),
                action = kind.action(),
                "a problem occurred"
            );
        }
    }

    /// Makes a level hold with this detail, or ends it.
    pub(crate) fn set_level(&self, kind: ProblemKind, detail: Option<String>) {
        let subjects = detail.map(|detail| (String::new(), (1, detail)));
        self.set(kind, &subjects.into_iter().collect());
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

    /// Ends a level for one subject.
    pub(crate) fn end(&self, kind: ProblemKind, subject: &str) {
        let mut ledger = self.lock();
        ledger.end(kind, subject);
        self.count(&ledger, kind, 0);
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

    /// How many are open.
    pub(crate) fn active(&self) -> usize {
        self.lock().entries.len()
    }

    /// The list for `/status`: the worst first, and of these what began last.
    pub(crate) fn to_json(&self) -> Json {
        let entries = self.open().into_iter().map(|entry| {
            Json::object([
                ("problem", entry.problem.into()),
                ("severity", entry.severity.into()),
                ("subject", entry.subject.into()),
                ("since", entry.since.to_string().into()),
                ("last", entry.last.to_string().into()),
                ("count", Json::count(entry.count)),
                ("detail", entry.detail.into()),
                ("action", entry.action.into()),
            ])
        });
        Json::Array(entries.collect())
    }

    /// The same list for a front end.
    pub(crate) fn open(&self) -> Vec<OpenProblem> {
        let ledger = self.lock();
        let mut entries: Vec<_> = ledger.entries.iter().collect();
        entries.sort_by_key(|((kind, _), entry)| (kind.severity(), Reverse(entry.since)));
        let entries = entries
            .into_iter()
            .map(|((kind, subject), entry)| OpenProblem {
                problem: kind.name(),
                severity: kind.severity().name(),
                subject: subject.clone(),
                since: entry.since,
                last: entry.last,
                count: entry.count,
                detail: entry.detail.clone(),
                action: kind.action(),
            });
        entries.collect()
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

fn label(kind: ProblemKind) -> ProblemLabel {
    ProblemLabel {
        problem: kind.name(),
    }
}

#[cfg(test)]
#[path = "problems/tests.rs"]
mod tests;
