//! What a front end shows of a running service: its problems and its targets.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::BreakerState;

use crate::dispatch::TargetStatus;
use crate::handle::ServiceHandle;
use crate::nodes::NodeOverview;
use crate::store::StoreError;

/// An open problem.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenProblem {
    /// Its name, as in `/status`.
    pub problem: &'static str,
    /// `critical` or `warning`.
    pub severity: &'static str,
    /// What has it, such as a target or a rule; may be empty.
    pub subject: String,
    /// When it began.
    pub since: Timestamp,
    /// When it occurred last.
    pub last: Timestamp,
    /// How often it occurred.
    pub count: u64,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub action: &'static str,
}

/// A target and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetOverview {
    /// Its name.
    pub name: String,
    /// Its type, as in the configuration.
    pub kind: &'static str,
    /// Where it sends, without secrets: a host, a program or a file.
    pub endpoint: String,
    /// Whether calls are made.
    pub state: BreakerState,
    /// When it left the state `closed`.
    pub since: Option<Timestamp>,
    /// Why it is not closed.
    pub reason: Option<String>,
    /// Failures since the last success.
    pub failures: u32,
    /// When the next call may begin, if that is known.
    pub next_call: Option<Timestamp>,
    /// The operator who has paused it.
    pub paused_by: Option<String>,
    /// The rules whose firings are merged into one message a minute.
    pub flooding: Vec<String>,
    /// Why it makes no more changes until it is resumed.
    pub changes_stopped: Option<String>,
    /// At most so many calls in so long.
    pub pace: Option<(usize, SignedDuration)>,
    /// How many calls are made at a time.
    pub concurrency: usize,
    /// Whether it takes calls of rules, and not messages.
    pub takes_calls: bool,
}

impl ServiceHandle {
    /// The open problems: the worst first, and of these what began last.
    pub fn problems(&self) -> Vec<OpenProblem> {
        self.state.metrics.problems.open()
    }

    /// The nodes that share the store, by number, those included that were lost within an hour; none
    /// if this process has the store for itself.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn nodes(&self) -> Result<Vec<NodeOverview>, StoreError> {
        let nodes = self.state.nodes.clone();
        self.query(move |store| nodes.list(store)).await
    }

    /// All targets by name.
    pub fn targets(&self) -> Vec<TargetOverview> {
        let statuses = self.state.gates.statuses().into_iter();
        statuses
            .filter_map(|status| self.overview_of(status))
            .collect()
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<TargetOverview> {
        self.overview_of(self.state.gates.status(name)?)
    }

    /// `None` for a target that was removed meanwhile.
    fn overview_of(&self, status: TargetStatus) -> Option<TargetOverview> {
        let tested = self.state.gates.tested(&status.target)?;
        let (config, target) = (&tested.queue, Arc::clone(&tested.queue.target));
        let limit = target.rate_limit();
        Some(TargetOverview {
            name: status.target,
            kind: target.kind(),
            endpoint: target.endpoint(),
            state: status.state,
            since: status.since,
            reason: status.reason,
            failures: status.failures,
            next_call: status.next_call,
            paused_by: status.paused_by,
            flooding: status.flooding,
            changes_stopped: status.changes_stopped,
            pace: limit.map(|limit| (limit.calls, limit.per)),
            concurrency: config.concurrency,
            takes_calls: config.calls.is_some(),
        })
    }
}
