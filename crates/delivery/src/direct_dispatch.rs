//! Delivery without an outbox, for a program that evaluates events itself and waits for the outcome.
//!
//! Each target has a queue, a task of the runtime, as in the service: with the same retry policy,
//! rate limit, digests, order of keys, circuit breaker and answers to calls. What differs is where
//! deliveries are kept: in memory, until the caller has their outcomes. So a program that ends before
//! has to deliver them again, under the same ids.

mod call_attempt;
mod change_counter;
mod concurrent_queue;
mod job;
mod merging_queue;
mod ordered_jobs;
mod queue_clock;
mod send;
mod settle_batch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reflexarc_reaction::{CallAnswer, OwnCode};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::Instant;

use self::change_counter::ChangeCounter;
use self::concurrent_queue::ConcurrentQueue;
use self::job::{Job, Waiter};
use self::merging_queue::MergingQueue;
use crate::config::{TargetConfig, unknown_target_message};
use crate::delivery::Delivery;
use crate::retry::DeadLetterCause;

/// Removes secrets from the response of a receiver.
pub type Redact = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Sends deliveries to the targets of a configuration and waits until each has an outcome.
///
/// ```
/// use std::sync::Arc;
///
/// use jiff::Timestamp;
/// use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, targets};
/// use reflexarc_delivery::{Delivery, DirectDispatch, DirectOutcome, Redact};
/// use reflexarc_diagnostic::toml::{Document, FaultCodes};
/// use reflexarc_event::{EventIdentity, Json};
/// use reflexarc_reaction::Action;
///
/// # let folder = tempfile::tempdir()?;
/// let text = "[targets.log]\ntype = \"file\"\npath = \"log.ndjson\"";
/// let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
/// let context = ConfigContext::new(folder.path(), Secrets::Resolve(&|_| None));
/// let targets = targets(&ConfigTable::new(&context, document.root()));
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let redact: Redact = Arc::new(str::to_owned);
/// let outcomes = runtime.block_on(async {
///     let dispatch = DirectDispatch::start(targets, &redact);
///     let actions = [Action::send("log", Json::from(7)), Action::send("lgo", Json::from(8))];
///     let actions = actions.iter().map(|action| ("rule", action));
///     let event = EventIdentity::default();
///     let deliveries = Delivery::for_actions(&event, actions, Timestamp::now());
///     dispatch.deliver(deliveries, None).await
/// });
/// assert!(matches!(outcomes[0].outcome, DirectOutcome::Delivered { .. }));
/// let DirectOutcome::Undeliverable { reason, .. } = &outcomes[1].outcome else { panic!() };
/// assert_eq!(reason, "unknown target `lgo`; known targets: log");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DirectDispatch {
    /// In the order of the configuration.
    names: Vec<String>,
    queues: BTreeMap<String, QueueHandle>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatched {
    /// How many attempts were made.
    pub attempts: u32,
    /// How it ended.
    pub outcome: DirectOutcome,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectOutcome {
    /// The receiver accepted it.
    Delivered {
        /// Its response, shortened.
        response: String,
    },
    /// The call has an answer: that of the API, or one of our own.
    Answered(CallAnswer),
    /// It will not be tried again: the caller decides what to do with it.
    Undeliverable {
        /// What kind of reason.
        cause: DeadLetterCause,
        /// The reason, for people.
        reason: String,
    },
}

/// A queue, seen from outside. It ends when the last handle is gone and nothing waits.
struct QueueHandle {
    jobs: UnboundedSender<Job>,
    changes: Arc<Mutex<ChangeCounter>>,
    /// The type of a target that takes no calls.
    without_calls: Option<&'static str>,
}

impl DirectDispatch {
    /// Starts a queue for each target. Must be called within a tokio runtime, which must live as
    /// long as deliveries are under way. `redact` removes secrets from what receivers respond.
    pub fn start(targets: Vec<TargetConfig>, redact: &Redact) -> Self {
        let names = targets.iter().map(|target| target.name.clone()).collect();
        let queues = targets.into_iter().map(|target| {
            let (name, (jobs, incoming)) = (target.name.clone(), mpsc::unbounded_channel());
            let changes = Arc::new(Mutex::new(ChangeCounter::default()));
            let without_calls = target.calls.is_none().then(|| target.target.kind());
            let is_merging = target.target.rate_limit().is_some() || target.firing_limit.is_some();
            if without_calls.is_some() && is_merging {
                drop(tokio::spawn(
                    MergingQueue::new(target, redact.clone(), incoming).run(),
                ));
            } else {
                let changes = changes.clone();
                let queue = ConcurrentQueue::new(target, redact.clone(), incoming, changes);
                drop(tokio::spawn(queue.run()));
            }
            let handle = QueueHandle {
                jobs,
                changes,
                without_calls,
            };
            (name, handle)
        });
        Self {
            names,
            queues: queues.collect(),
        }
    }

    /// The names of the targets, in the order of the configuration.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Delivers, and waits until each delivery has an outcome; in the order of `deliveries`. Those
    /// of one order key are sent one after another. A delivery under an id that is under way already
    /// is not sent twice: both have its outcome.
    ///
    /// After `timeout`, what has none is given up: as [`DeadLetterCause::Expired`], and a call as
    /// answered with [`OwnCode::OutcomeUnknown`] or [`OwnCode::Expired`]. Where the future is dropped,
    /// an attempt that is running is finished, and no further one is made.
    pub fn deliver(
        &self,
        deliveries: Vec<Delivery>,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Vec<Dispatched>> + Send + use<> {
        let waiting: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| self.enqueue(delivery))
            .collect();
        async move {
            // A time that the clock cannot represent is as good as none.
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let mut dispatched = Vec::with_capacity(waiting.len());
            for one in waiting {
                dispatched.push(match one {
                    Ok(waiter) => waiter.outcome(deadline, timeout).await,
                    Err(ended) => ended,
                });
            }
            dispatched
        }
    }

    /// Lets a target make changes again that has reached the limit of its `max_changes`. Returns
    /// whether it was stopped; `None` for an unknown target.
    pub fn resume(&self, target: &str) -> Option<bool> {
        let changes = &self.queues.get(target)?.changes;
        let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
        Some(changes.resume())
    }

    /// Hands a delivery to the queue of its target.
    fn enqueue(&self, delivery: Delivery) -> Result<Waiter, Dispatched> {
        let (name, is_call) = (&delivery.target, delivery.action.is_call());
        let reason = match self.queues.get(name) {
            Some(QueueHandle {
                without_calls: Some(kind),
                ..
            }) if is_call => format!("{name} is of type {kind}, which takes no calls"),
            Some(queue) => {
                let (job, waiter) = Job::new(delivery);
                // A queue ends only with its handle, or with the runtime: then the waiter says so.
                drop(queue.jobs.send(job));
                return Ok(waiter);
            }
            None => unknown_target_message(name, &self.names),
        };
        let outcome = if is_call {
            DirectOutcome::Answered(CallAnswer::own(OwnCode::Undelivered, reason))
        } else {
            DirectOutcome::Undeliverable {
                cause: DeadLetterCause::UnknownTarget,
                reason,
            }
        };
        Err(Dispatched {
            attempts: 0,
            outcome,
        })
    }
}
