//! Answers to calls: from the end of a call to what its rule does with the answer.
//!
//! ```text
//! the call queue    the API answered, or will not be asked      submit_answers
//! the store         cancelled, expired, rule or target gone     withdrawn calls, answer_regularly
//!                                  │
//!         one transaction: settle the delivery, once → `answered` of the rule → entry, deliveries
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reflexarc::{AnsweredCall, Evaluation, RuleSet};
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, CallAnswer};
use tokio::sync::{Notify, watch};

use super::ServiceTimeline;
use super::entries::answer_entry;
use super::report::{AnsweredReport, Report};
use crate::intake::answer;
use crate::service::blocking;
use crate::shutdown::stopped;
use crate::store::{AttemptOutcome, Reply, StoreError, TimeTransaction, TimeWork, WaitingCall};
use crate::telemetry::ProblemKind;

/// A call that has an answer.
#[derive(Debug, Clone)]
pub(crate) struct EndedCall {
    pub(crate) id: DeliveryId,
    /// The attempt that led to it, if one did.
    pub(crate) attempt: Option<AttemptOutcome>,
    pub(crate) answer: CallAnswer,
}

/// Withdrawn calls that are answered in one transaction.
// Some milliseconds, as for deadlines: events that are accepted meanwhile wait for it.
const STEP: usize = 64;
/// Withdrawn calls among which a node looks for those of its rules, while other nodes have others.
const SEARCHED: usize = 1_000;
/// How often the store is asked for withdrawn calls: another process may have cancelled some.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl ServiceTimeline {
    /// Ends a call, and processes its answer in the same transaction. Nothing happens if it was
    /// answered before.
    pub(crate) fn submit_answer(&self, ended: EndedCall) -> Reply<()> {
        let timeline = self.clone();
        let work: TimeWork = Box::new(move |transaction| {
            let mut report = Report::default();
            timeline.answer(transaction, &ended, &mut report)?;
            Ok(Some(timeline.after_commit(transaction, report, None)?))
        });
        self.submit(work).unwrap_or_else(|error| {
            let (sender, reply) = Reply::channel();
            sender.send(Err(error));
            reply
        })
    }

    /// Withdraws the calls of rules that are not live any more; later, if another node may have them.
    /// Blocks. After a failure, which is reported, too: meanwhile the queues look at the rule of each
    /// call.
    pub(crate) fn withdraw_calls_of_other_rules(&self) {
        let parts = &self.inner.parts;
        let Some(store) = parts.store.upgrade() else {
            return;
        };
        if !parts.nodes.agree() {
            self.defer();
            return;
        }
        let rules = parts.rules.load_full();
        let live = rules.rules().filter(|rule| rule.enabled());
        let live = live.map(|rule| rule.name().to_owned()).collect();
        let now = parts.clock.now();
        match store.submit_withdraw_calls_of_other_rules(live, now).wait() {
            Ok(0) => {}
            Ok(calls) => {
                tracing::warn!(calls, "calls of removed or disabled rules are not sent");
            }
            Err(error) => {
                self.defer();
                let detail = format!("cannot withdraw calls of other rules: {error}");
                let kind = ProblemKind::StoreOperationFailed;
                self.problems().report(kind, "answers", 1, &detail);
            }
        }
    }

    /// Processes the answers of calls that were withdrawn, at most `limit`, and counts them in
    /// `answered`. Those of rules that only other nodes have are left to these. `None` if the store
    /// is gone.
    fn submit_withdrawn(&self, limit: usize, answered: Arc<AtomicUsize>) -> Option<Reply<()>> {
        let timeline = self.clone();
        let work: TimeWork = Box::new(move |transaction| {
            let mut report = Report::default();
            let rules = timeline.inner.parts.rules.load_full();
            let are_others = transaction.has_other_rules(&rules.hash())?;
            // Behind those of others may be some of these rules.
            let searched = if are_others { SEARCHED } else { limit };
            let mut withdrawn = transaction.withdrawn_calls(searched)?;
            if are_others {
                withdrawn.retain(|call| rules.processes_answers(&call.rule));
                withdrawn.truncate(limit);
            }
            for withdrawn in withdrawn {
                answered.fetch_add(1, Ordering::Relaxed);
                let ended = EndedCall {
                    id: withdrawn.id,
                    attempt: None,
                    answer: CallAnswer::own(withdrawn.code, withdrawn.reason),
                };
                timeline.answer(transaction, &ended, &mut report)?;
            }
            Ok(Some(timeline.after_commit(transaction, report, None)?))
        });
        self.submit(work).ok()
    }

    fn answer(
        &self,
        transaction: &mut dyn TimeTransaction,
        ended: &EndedCall,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let parts = &self.inner.parts;
        let now = parts.clock.now();
        let attempt = ended.attempt.as_ref();
        let Some(waiting) = transaction.settle_call(ended.id, attempt, &ended.answer, now)? else {
            return Ok(());
        };
        let Some(call) = answered_call(&waiting) else {
            return Ok(());
        };
        // Never before what is in the archive already: a clock may step back.
        let at = now.max(transaction.clock()?);
        let rules = parts.rules.load_full();
        let evaluation = answer(&rules, &call, transaction, at)?;
        let entry = answer_entry(at, &waiting, &call);
        let accepted = transaction.add(entry, &evaluation, now)?;
        report.add_answer(
            AnsweredReport {
                delivery: ended.id,
                is_processed: is_processed(&rules, &call.rule, &evaluation),
                call,
                evaluation,
                at,
            },
            accepted,
            waiting.next_is_due,
        );
        Ok(())
    }

    /// Whether there are withdrawn calls; false if the store is gone.
    async fn has_withdrawn(&self) -> Result<bool, StoreError> {
        let Some(store) = self.inner.parts.store.upgrade() else {
            return Ok(false);
        };
        blocking(move || store.has_withdrawn_calls()).await
    }
}

/// Processes the answers of withdrawn calls until `stop` becomes true. Woken by `withdrawn`.
pub(crate) async fn answer_regularly(
    timeline: ServiceTimeline,
    withdrawn: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match answer_step(&timeline).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                let detail = format!("{error}; answers of cancelled calls wait until it works");
                let kind = ProblemKind::StoreOperationFailed;
                timeline.problems().report(kind, "answers", 1, &detail);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = withdrawn.notified() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// Processes some answers. Returns whether it did, and there are more.
async fn answer_step(timeline: &ServiceTimeline) -> Result<bool, StoreError> {
    if !timeline.has_withdrawn().await? {
        return Ok(false);
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let Some(reply) = timeline.submit_withdrawn(STEP, answered.clone()) else {
        return Ok(false);
    };
    reply.await?;
    Ok(answered.load(Ordering::Relaxed) > 0 && timeline.has_withdrawn().await?)
}

/// What the rule sees of a call; `None` for a delivery that is none.
fn answered_call(waiting: &WaitingCall) -> Option<AnsweredCall> {
    let delivery = &waiting.delivery;
    let Action::Call {
        target,
        operation,
        parameters,
        ..
    } = &delivery.action
    else {
        return None;
    };
    let key = delivery.key.as_deref();
    let call = AnsweredCall::new(
        delivery.rule.as_str(),
        waiting.event.clone(),
        target.as_str(),
        operation.as_str(),
        parameters.clone(),
        waiting.answer.clone(),
    );
    let key = key.map(|key| Json::parse(key).unwrap_or_else(|_| key.into()));
    Some(call.with_key(key).with_hop(waiting.hop))
}

/// Whether the rule has seen the answer.
fn is_processed(rules: &RuleSet, rule: &str, evaluation: &Evaluation) -> bool {
    rules.processes_answers(rule) || !evaluation.is_empty()
}
