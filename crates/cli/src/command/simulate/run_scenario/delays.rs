//! Actions of rules: at once, or when the time has come to which they are delayed.

use std::collections::VecDeque;

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_event::{EventIdentity, Json, NativeEvent};

use super::super::delayed_actions::{DelayName, DelayStep, RuleAction, due};
use super::super::pending_calls::CallOrigin;
use super::super::target_queues::TargetQueues;
use super::super::timeline::{Content, Entry};
use super::{Cause, ScenarioRun, interface_of};

impl ScenarioRun {
    /// Cancels and delays what an evaluation cancels and delays. Returns the other actions, and
    /// what was cancelled or replaced.
    pub(super) fn delay(
        &mut self,
        at: Timestamp,
        account: &str,
        cause: &Cause,
        identity: Option<EventIdentity>,
        evaluation: &Evaluation,
    ) -> (Vec<RuleAction>, Vec<RuleAction>) {
        let (queues, event) = (self.queues.as_mut(), &cause.native);
        let deliveries = queues.map(|queues| queues.deliveries(at, event, identity, evaluation));
        let mut deliveries = deliveries.map(VecDeque::from);
        let interface = interface_of(event.original());
        let interface = interface.map(|id| self.simulation.name_of(id).to_owned());
        let (mut now, mut cancelled) = (Vec::new(), Vec::new());
        for effects in &evaluation.rules {
            let scope = effects.key.as_ref().map(Json::to_string);
            for key in &effects.cancelled {
                cancelled.extend(self.cancel(&DelayName {
                    account,
                    rule: &effects.rule,
                    scope: scope.as_deref(),
                    key,
                }));
            }
            for action in &effects.actions {
                if let Some(key) = action.key() {
                    cancelled.extend(self.cancel(&DelayName {
                        account,
                        rule: &effects.rule,
                        scope: scope.as_deref(),
                        key,
                    }));
                }
                let call = action.is_call().then(|| CallOrigin {
                    event: effects
                        .event
                        .clone()
                        .map(NativeEvent::as_is)
                        .or_else(|| cause.event()),
                    hop: effects.hop + 1,
                    key: effects.key.clone(),
                });
                let rule_action = RuleAction {
                    account: account.to_owned(),
                    rule: effects.rule.clone(),
                    interface: interface.clone(),
                    scope: scope.clone(),
                    action: action.clone(),
                    call,
                    delivery: deliveries.as_mut().and_then(VecDeque::pop_front),
                };
                match action.after() {
                    Some(after) => self.delayed.add(due(at, after), rule_action),
                    None => now.push(rule_action),
                }
            }
        }
        (now, cancelled)
    }

    /// Delivers the delayed action whose time has come.
    pub(super) fn deliver_delayed(&mut self) -> Option<()> {
        if self.is_truncated() {
            return None;
        }
        let (at, mut action) = self.delayed.take_next()?;
        self.add_delay_step(at, &action, DelayStep::Due);
        if let Some(delivery) = &mut action.delivery {
            // Its age counts from here: it could not be delivered before.
            delivery.queued_at = at;
        }
        self.deliver(at, action);
        Some(())
    }

    /// Queues an action for its target. Without targets only calls have an effect.
    pub(super) fn deliver(&mut self, at: Timestamp, action: RuleAction) {
        if action.call.is_some() {
            self.queue_call(at, action);
            return;
        }
        let RuleAction {
            account, delivery, ..
        } = action;
        if let (Some(queues), Some(delivery)) = (&mut self.queues, delivery)
            && let Some(failed) = queues.enqueue(at, &account, delivery)
        {
            self.add_call(failed);
        }
    }

    pub(super) fn add_delay_step(&mut self, at: Timestamp, action: &RuleAction, step: DelayStep) {
        let RuleAction {
            account,
            rule,
            interface,
            action,
            ..
        } = action;
        self.entries.push(Entry {
            at,
            account: Some(self.account_name(account)),
            interface: interface.clone(),
            content: Content::Delay {
                rule: rule.clone(),
                action: action.clone(),
                step,
            },
        });
    }

    /// Adds an entry for each delayed action that is cut off by `until`, and a note with the number
    /// of deliveries that are.
    pub(super) fn report_waiting(&mut self) {
        let Some(end) = self.simulation.until() else {
            return;
        };
        let delayed = self.delayed.iter();
        let delayed: Vec<_> = delayed.map(|(at, action)| (at, action.clone())).collect();
        for (at, action) in delayed {
            self.add_delay_step(end, &action, DelayStep::Waiting(at));
        }
        let waiting = self.queues.as_ref().map_or(0, TargetQueues::waiting);
        if self.calls.len() > 0 {
            let text = format!(
                "end of the scenario; calls without an answer: {}",
                self.calls.len()
            );
            self.entries.push(Entry::note(end, text));
        }
        if waiting > 0 {
            let text = format!("end of the scenario; deliveries still waiting: {waiting}");
            self.entries.push(Entry::note(end, text));
        }
    }

    fn cancel(&mut self, name: &DelayName<'_>) -> Vec<RuleAction> {
        if let Some(queues) = &mut self.queues {
            queues.cancel(name);
        }
        let mut cancelled = self.delayed.cancel(name);
        cancelled.extend(self.calls.cancel(name));
        cancelled
    }
}
