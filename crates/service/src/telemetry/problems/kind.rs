//! The kinds of problems: name, severity, and what to do.

use super::ledger::MAX_LINES;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProblemKind {
    /// Deliveries that are not attempted again; by target.
    DeadLetters,
    /// Dead letters that were dropped because of their age; by target.
    DeadLettersDropped,
    /// Deliveries whose retries have ended, or that became too old; by target.
    RetriesExhausted,
    /// Deliveries to targets that do not exist; by target.
    UnknownTarget,
    /// Reactions that failed: their actions are lost; by rule.
    ReactionFailed,
    /// Rules that have failed several times in a row, and not succeeded since; by rule.
    RuleFailing,
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
    /// A part of the service that makes no progress: `timers`, or the queue of a target.
    Stalled,
    /// Operations of the store that failed; by the operation.
    StoreOperationFailed,
    /// Old events are not removed in time.
    RetentionBehind,
    /// Another node has stopped without notice; by node.
    NodeLost,
    /// Nodes run different rules, or have different targets.
    NodesDiffer,
    /// A source takes no messages; by source.
    SourceFailing,
    /// Messages of a source that are no events; by source.
    MessagesRejected,
    /// The monitor outside did not take the last heartbeat.
    HeartbeatFailed,
    /// Evaluations with notes, such as an event without the key of `once`; by rule.
    RuleNoted,
    /// Changes of files are not noticed.
    FilesUnwatched,
    /// Spans that the collector did not accept.
    TracesDropped,
}

/// How bad a problem is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Someone must act now: alerts are lost or late, or events are refused.
    Critical,
    /// Someone should look at it soon.
    Warning,
}

impl ProblemKind {
    pub(crate) const ALL: [Self; 42] = [
        Self::DeadLetters,
        Self::DeadLettersDropped,
        Self::RetriesExhausted,
        Self::UnknownTarget,
        Self::ReactionFailed,
        Self::RuleFailing,
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
        Self::Stalled,
        Self::StoreOperationFailed,
        Self::RetentionBehind,
        Self::NodeLost,
        Self::NodesDiffer,
        Self::SourceFailing,
        Self::MessagesRejected,
        Self::HeartbeatFailed,
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
            Self::UnknownTarget => "unknown_target",
            Self::ReactionFailed => "reaction_failed",
            Self::RuleFailing => "rule_failing",
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
            Self::Stalled => "stalled",
            Self::StoreOperationFailed => "store_operation_failed",
            Self::RetentionBehind => "retention_behind",
            Self::NodeLost => "node_lost",
            Self::NodesDiffer => "nodes_differ",
            Self::SourceFailing => "source_failing",
            Self::MessagesRejected => "messages_rejected",
            Self::HeartbeatFailed => "heartbeat_failed",
            Self::RuleNoted => "rule_noted",
            Self::FilesUnwatched => "files_unwatched",
            Self::TracesDropped => "traces_dropped",
        }
    }

    /// How bad it is: that of its alerting rule in `deploy/alerts.yml`.
    pub(super) fn severity(self) -> Severity {
        match self {
            // Alerts are lost or late, or events are refused.
            Self::DeadLetters
            | Self::RetriesExhausted
            | Self::UnknownTarget
            | Self::RuleFailing
            | Self::ChangesStopped
            | Self::QueueAging
            | Self::TargetFailing
            | Self::StoreUnreadable
            | Self::ClockJump
            | Self::StoreFull
            | Self::StoreReadOnly
            | Self::StoreGone
            | Self::StoreDamaged
            | Self::StorePartsDamaged
            | Self::StoreFailed
            | Self::SourceFailing
            | Self::Stalled => Severity::Critical,
            Self::DeadLettersDropped
            | Self::ReactionFailed
            | Self::OverBudget
            | Self::CallFailed
            | Self::ReloadRefused
            | Self::RuleGone
            | Self::StateFilling
            | Self::PendingFilling
            | Self::TargetPaused
            | Self::Flood
            | Self::RequestsRefused
            | Self::IntakeFull
            | Self::ClientsLimited
            | Self::WrongTokens
            | Self::DescriptorsLow
            | Self::StoreLogLarge
            | Self::StoreOperationFailed
            | Self::RetentionBehind
            | Self::NodeLost
            | Self::NodesDiffer
            | Self::MessagesRejected
            | Self::HeartbeatFailed
            | Self::RuleNoted
            | Self::FilesUnwatched
            | Self::TracesDropped => Severity::Warning,
        }
    }

    /// What an operator should do.
    #[expect(clippy::too_many_lines, reason = "a sentence for each problem")]
    pub(super) fn action(self) -> &'static str {
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
            Self::UnknownTarget => {
                "add the target to the configuration or correct the rule (`detail` names the \
                 targets that exist), then `reflexarc dlq redrive`"
            }
            Self::ReactionFailed => {
                "correct the rule, then send the lost actions with `reflexarc replay --failed \
                 --deliver`"
            }
            Self::RuleFailing => {
                "correct the rule: `detail` has its last error; then send the lost actions with \
                 `reflexarc replay --failed --deliver`"
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
            Self::Stalled => {
                "see the log for errors, then restart the service: nothing is lost; if the log says \
                 that a thread panicked, please report it as a bug of reflexarc"
            }
            Self::StoreOperationFailed => {
                "see `detail` and the other problems of the store; nothing is lost: requests are \
                 repeated, deliveries are sent again"
            }
            Self::RetentionBehind => {
                "see `detail`; `reflexarc archive prune` removes old events now"
            }
            Self::NodeLost => {
                "see the log of that node and whether its machine works; the others send what it \
                 had claimed"
            }
            Self::NodesDiffer => {
                "give all nodes the same rules and targets; until then, what only one node knows \
                 waits for that node"
            }
            Self::SourceFailing => {
                "see `detail`, and check the servers of [sources]; messages wait in the stream \
                 until the source takes them again"
            }
            Self::MessagesRejected => {
                "see the log lines `rejected a message`, and the messages at `reject_subject` with \
                 the reasons in their headers; correct the sender"
            }
            Self::HeartbeatFailed => {
                "check `url` of [heartbeat] and the monitor there, which may raise an alarm; events \
                 and deliveries are not affected"
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
    pub(super) fn lines(self) -> u32 {
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

impl Severity {
    /// Its name in `/status`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}
