//! Problems that an operator must see: one list for the log, `/status` and the metrics.
//!
//! An *occurrence* (a dead letter, a failed reaction) stays in the list for an hour after the last
//! one; a *level* (a refused reload, a queue that ages) stays until it is over. The first
//! occurrences of a minute have log lines of their own; the rest of the minute is one line with
//! their number, so that a receiver that is down cannot fill the disk.

mod ledger;

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

use self::ledger::{Ledger, MAX_DETAIL_CHARS, MAX_LINES, Moment};

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProblemKind {
    /// Deliveries that are not attempted again; by target.
    DeadLetters,
    /// Dead letters that were dropped because of their age; by target.
    DeadLettersDropped,
    /// Deliveries whose retries have ended, or that became too old; by target.
    RetriesExhausted,
    /// Reactions that failed: their actions are lost; by rule.
    ReactionFailed,
    /// Reactions that did not run because their rule was over its budget; by rule.
    OverBudget,
    /// Calls that failed, whose rules do not process the answer; by rule.
    CallFailed,
    /// A target makes no more changes because it has made as many as it may; by target.
    ChangesStopped,
    /// A reload that did not take everything.
    ReloadRefused,
    /// Rules that do not exist and have state or pending deliveries; by rule.
    RuleGone,
    /// Rules that have nearly as many state entries as they may have; by rule.
    StateFilling,
    /// Rules with nearly as many pending or remembered keys as they may have; by rule.
    PendingFilling,
    /// The oldest pending delivery is old; by target.
    QueueAging,
    /// A target gets no deliveries because its receiver fails; by target.
    TargetFailing,
    /// A target gets no deliveries because an operator has paused it; by target.
    TargetPaused,
    /// More firings of a rule than a target for people gets one by one; by target.
    Flood,
    /// Requests to `/events` that senders do not repeat; by status.
    RequestsRefused,
    /// The store cannot be read.
    StoreUnreadable,
    /// The wall clock has jumped.
    ClockJump,
    /// Requests to `/events` that were answered with 429: the queue is full; by what is full.
    IntakeFull,
    /// Connections and requests that a limit closed or refused; by the limit.
    ClientsLimited,
    /// Wrong tokens and signatures; by the client's address.
    WrongTokens,
    /// File descriptors are nearly used up, or too few for the limits.
    DescriptorsLow,
    /// The disk, or the store's own limit, is full: events are refused.
    StoreFull,
    /// The store's file or folder cannot be written.
    StoreReadOnly,
    /// The store's file was deleted or replaced.
    StoreGone,
    /// The store is damaged.
    StoreDamaged,
    /// Parts of the store cannot be read back; by table or index.
    StorePartsDamaged,
    /// The write-ahead log of the store does not stop growing.
    StoreLogLarge,
    /// The store cannot be written for another reason, or answers no more.
    StoreFailed,
    /// Operations of the store that failed; by the operation.
    StoreOperationFailed,
    /// Old events are not removed in time.
    RetentionBehind,
    /// Evaluations with notes, such as an event without the key of `once`; by rule.
    RuleNoted,
    /// Changes of files are not noticed.
    FilesUnwatched,
    /// Spans that the collector did not accept.
    TracesDropped,
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

impl ProblemKind {
    pub(crate) const ALL: [Self; 34] = [
        Self::DeadLetters,
        Self::DeadLettersDropped,
        Self::RetriesExhausted,
        Self::ReactionFailed,
        Self::OverBudget,
        Self::CallFailed,
        Self::ChangesStopped,
        Self::ReloadRefused,
        Self::RuleGone,
        Self::StateFilling,
        Self::PendingFilling,
        Self::QueueAging,
        Self::TargetFailing,
        Self::TargetPaused,
        Self::Flood,
        Self::RequestsRefused,
        Self::StoreUnreadable,
        Self::ClockJump,
        Self::IntakeFull,
        Self::ClientsLimited,
        Self::WrongTokens,
        Self::DescriptorsLow,
        Self::StoreFull,
        Self::StoreReadOnly,
        Self::StoreGone,
        Self::StoreDamaged,
        Self::StorePartsDamaged,
        Self::StoreLogLarge,
        Self::StoreFailed,
        Self::StoreOperationFailed,
        Self::RetentionBehind,
        Self::RuleNoted,
        Self::FilesUnwatched,
        Self::TracesDropped,
    ];

    /// Its name in `/status`, the log and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead_letters",
            Self::DeadLettersDropped => "dead_letters_dropped",
            Self::RetriesExhausted => "retries_exhausted",
            Self::ReactionFailed => "reaction_failed",
            Self::OverBudget => "over_budget",
            Self::CallFailed => "call_failed",
            Self::ChangesStopped => "changes_stopped",
            Self::ReloadRefused => "reload_refused",
            Self::RuleGone => "rule_gone",
            Self::StateFilling => "state_filling",
            Self::PendingFilling => "pending_filling",
            Self::QueueAging => "queue_aging",
            Self::TargetFailing => "target_failing",
            Self::TargetPaused => "target_paused",
            Self::Flood => "flood",
            Self::RequestsRefused => "requests_refused",
            Self::StoreUnreadable => "store_unreadable",
            Self::ClockJump => "clock_jump",
            Self::IntakeFull => "intake_full",
            Self::ClientsLimited => "clients_limited",
            Self::WrongTokens => "wrong_tokens",
            Self::DescriptorsLow => "descriptors_low",
            Self::StoreFull => "store_full",
            Self::StoreReadOnly => "store_read_only",
            Self::StoreGone => "store_gone",
            Self::StoreDamaged => "store_damaged",
            Self::StorePartsDamaged => "store_parts_damaged",
            Self::StoreLogLarge => "store_log_large",
            Self::StoreFailed => "store_failed",
            Self::StoreOperationFailed => "store_operation_failed",
            Self::RetentionBehind => "retention_behind",
            Self::RuleNoted => "rule_noted",
            Self::FilesUnwatched => "files_unwatched",
            Self::TracesDropped => "traces_dropped",
        }
    }

    /// What an operator should do.
    #[expect(clippy::too_many_lines, reason = "a sentence for each problem")]
    fn action(self) -> &'static str {
        match self {
            Self::DeadLetters => {
                "see `reflexarc dlq list`; remove the cause, then `reflexarc dlq redrive` or `drop`"
            }
            Self::DeadLettersDropped => {
                "redrive or drop dead letters before they are that old; `keep` of [dead_letters] \
                 says how long they are kept"
            }
            Self::RetriesExhausted => {
                "check the receiver, then send the deliveries again with `reflexarc dlq redrive`"
            }
            Self::ReactionFailed => {
                "correct the rule, then send the lost actions with `reflexarc replay --failed \
                 --deliver`"
            }
            Self::OverBudget => {
                "make the rule cheaper or raise its budget in [budgets.rules], then send the lost \
                 actions with `reflexarc replay --failed --deliver`"
            }
            Self::CallFailed => {
                "see `reflexarc trace` of the event; add `answered` to the rule, which decides what \
                 is to be done then"
            }
            Self::ChangesStopped => {
                "see `reflexarc archive list --kind answer` for what was called; if that is right, \
                 let the target go on with `reflexarc target resume NAME`"
            }
            Self::ReloadRefused => "correct the files as `refused_reload` says, or confirm it",
            Self::RuleGone => {
                "restore the rule's file, or remove its state and matches with `reflexarc state drop`; pending \
                 deliveries are sent; `reflexarc outbox cancel` cancels them"
            }
            Self::StateFilling => {
                "let the rule's entries expire (`set(key, value, \"7d\")`), or raise \
                 `max_entries` in its `state` or in [state]; at the limit its reactions fail"
            }
            Self::PendingFilling => {
                "see `reflexarc pending list --rule NAME`; raise `max_pending` of the rule or narrow \
                 its filter; at the limit new keys are not followed, which are failures"
            }
            Self::QueueAging => {
                "check the receiver; `reflexarc outbox show` has the last attempts of a delivery"
            }
            Self::TargetFailing => {
                "check the receiver; when it is back, a probe finds out, `reflexarc target \
                 resume NAME` at once"
            }
            Self::TargetPaused => {
                "send what waits with `reflexarc target resume NAME`, when its receiver may get it"
            }
            Self::Flood => {
                "see what made the rule fire so often; its firings are merged into a message a \
                 minute beyond `max_firings_per_minute` of the target"
            }
            Self::RequestsRefused => {
                "see the log lines `refused a request`; check the sender's token, path and format"
            }
            Self::StoreUnreadable => "check the disk and the file of the store",
            Self::ClockJump => {
                "correct the clock; if it is right, accept it with `reflexarc clock accept`"
            }
            Self::IntakeFull => {
                "the senders send faster than the disk syncs, or hold large bodies: see \
                 `reflexarc_accepting_seconds`; raise `queue_bytes` or spread the load"
            }
            Self::ClientsLimited => {
                "see which clients hold connections (`ss -tn`); raise the limit under [limits], \
                 or block them"
            }
            Self::WrongTokens => {
                "check the token of the sender at this address, or block the address"
            }
            Self::DescriptorsLow => "raise LimitNOFILE in the unit, or `ulimit -n`, and restart",
            Self::StoreFull => {
                "free some space, or run `reflexarc archive prune` or `reflexarc dlq drop`; \
                 events are accepted again by themselves"
            }
            Self::StoreReadOnly => {
                "check owner, permissions and whether the file system is read-only"
            }
            Self::StoreGone => {
                "put the file back before the service ends, or restart to go on with what is \
                 there; `reflexarc restore` brings back a backup"
            }
            Self::StoreDamaged => {
                "stop the service and run `reflexarc restore` with a backup, or recover what can \
                 be read with `sqlite3 FILE .recover`"
            }
            Self::StorePartsDamaged => {
                "check the disk; everything else is in use. Save what can be read with `reflexarc \
                 archive export`, then `reflexarc restore` a backup"
            }
            Self::StoreLogLarge => {
                "end the process that reads the store (`fuser -v FILE`), such as a `sqlite3` shell \
                 with an open transaction; then the log is cut by itself"
            }
            Self::StoreFailed => {
                "see `detail`, and the kernel's log for errors of the disk (`dmesg`)"
            }
            Self::StoreOperationFailed => {
                "see `detail` and the other problems of the store; nothing is lost: requests are \
                 repeated, deliveries are sent again"
            }
            Self::RetentionBehind => {
                "see `detail`; `reflexarc archive prune` removes old events now"
            }
            Self::RuleNoted => "correct the rule; `reflexarc explain` shows what an event has",
            Self::FilesUnwatched => {
                "check the file system of rules and configuration; until it answers, no change is \
                 noticed"
            }
            Self::TracesDropped => {
                "check the collector of [telemetry]; events and deliveries are not affected"
            }
        }
    }
}

impl ProblemKind {
    /// Log lines of one subject in a minute.
    fn lines(self) -> u32 {
        match self {
            // They come as fast as clients or the store can make them, and all are alike.
            Self::IntakeFull
            | Self::ClientsLimited
            | Self::WrongTokens
            | Self::StoreOperationFailed
            | Self::RuleNoted
            | Self::TracesDropped => 1,
            _ => MAX_LINES,
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

fn label(kind: ProblemKind) -> ProblemLabel {
    ProblemLabel {
        problem: kind.name(),
    }
}

#[cfg(test)]
#[path = "problems/tests.rs"]
mod tests;
