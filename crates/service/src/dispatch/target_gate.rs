//! Whether calls of a target may begin: its circuit breaker on the machine's clock, and the pauses
//! of operators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{
    BreakerChange, BreakerPolicy, BreakerState, CallTicket, CircuitBreaker, NextCall, Receipt,
    SendError,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::signed;
use crate::telemetry::{Metrics, TargetLabel};

/// The gates of all targets by name. Clones share them.
#[derive(Clone, Default)]
pub struct TargetGates(Arc<Mutex<BTreeMap<String, Arc<TargetGate>>>>);

/// Decides when the next call of one target may begin.
pub(crate) struct TargetGate {
    target: String,
    /// The zero of the breaker's clock, which is monotonic: a wall clock that is set must neither
    /// lengthen nor end a pause.
    zero: Instant,
    state: Mutex<GateState>,
    /// Notified when an operator has paused or resumed the target.
    changed: Notify,
}

struct GateState {
    breaker: CircuitBreaker,
    pause: Option<TargetPause>,
    /// When the log last said that the breaker is not closed.
    logged: SignedDuration,
}

/// An operator's pause of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetPause {
    /// When it began.
    pub(crate) since: Timestamp,
    /// The name of the operator's token.
    pub(crate) by: String,
}

/// The state of a target, for `/status` and listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetStatus {
    pub(crate) target: String,
    pub(crate) state: BreakerState,
    /// When it left the state `closed`; `None` while it is in it.
    pub(crate) since: Option<Timestamp>,
    /// Why it is not closed.
    pub(crate) reason: Option<String>,
    /// Failures since the last success.
    pub(crate) failures: u32,
    /// When the next call may begin, if that is known.
    pub(crate) next_call: Option<Timestamp>,
    /// The operator who paused it.
    pub(crate) paused_by: Option<String>,
}

/// How often the log repeats that a target does not accept deliveries.
// Once an hour: often enough for who reads only today's log, and 24 lines for a day.
const LOG_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

impl TargetGates {
    /// A new gate for a queue that starts, with a closed breaker: the settings that a reload has
    /// changed may be the cure. A pause of an operator stays.
    pub(crate) fn open(&self, target: &str, policy: BreakerPolicy) -> Arc<TargetGate> {
        let mut gates = self.lock();
        let pause = gates.get(target).and_then(|gate| gate.lock().pause.clone());
        let gate = Arc::new(TargetGate::new(target, policy));
        if let Some(pause) = pause {
            gate.pause(pause);
        }
        gates.insert(target.to_owned(), gate.clone());
        gate
    }

    /// Removes the gates of targets that are not among `names`.
    pub(crate) fn retain(&self, names: &[String]) {
        self.lock().retain(|name, _| names.contains(name));
    }

    /// The gate of this target, if a queue serves it.
    pub(crate) fn get(&self, target: &str) -> Option<Arc<TargetGate>> {
        self.lock().get(target).cloned()
    }

    /// The state of every target, by name.
    pub(crate) fn statuses(&self) -> Vec<TargetStatus> {
        let gates: Vec<_> = self.lock().values().cloned().collect();
        gates.iter().map(|gate| gate.status()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<TargetGate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TargetGate {
    fn new(target: &str, policy: BreakerPolicy) -> Self {
        Self {
            target: target.to_owned(),
            zero: Instant::now(),
            state: Mutex::new(GateState {
                breaker: CircuitBreaker::new(policy),
                pause: None,
                logged: SignedDuration::ZERO,
            }),
            changed: Notify::new(),
        }
    }

    /// When the next call may begin.
    pub(crate) fn next_call(&self) -> NextCall {
        self.lock().breaker.next_call(self.now())
    }

    /// Begins a call, if one may begin now.
    pub(crate) fn begin(&self) -> Option<CallTicket> {
        self.lock().breaker.begin(self.now())
    }

    /// Records how a call ended, whose reason contains no secrets, and logs what that changes.
    pub(crate) fn record(
        &self,
        ticket: CallTicket,
        outcome: &Result<Receipt, SendError>,
        metrics: &Metrics,
    ) {
        let now = self.now();
        let mut state = self.lock();
        match state.breaker.record(ticket, outcome, now) {
            BreakerChange::None => {}
            BreakerChange::Opened => {
                state.logged = now;
                let target = self.target.clone();
                metrics.opened.get_or_create(&TargetLabel { target }).inc();
                tracing::warn!(
                    to = self.target,
                    failures = state.breaker.failures(),
                    reason = state.breaker.reason().unwrap_or_default(),
                    next_call = in_words(state.breaker.next_call(now)),
                    "the target does not accept deliveries: they wait in the outbox, and single \
                     ones are attempted until one succeeds"
                );
            }
            BreakerChange::Reopened if now - state.logged < LOG_INTERVAL => {}
            BreakerChange::Reopened => {
                state.logged = now;
                tracing::warn!(
                    to = self.target,
                    failures = state.breaker.failures(),
                    since = %self.wall(state.breaker.since()),
                    reason = state.breaker.reason().unwrap_or_default(),
                    "the target still does not accept deliveries"
                );
            }
            BreakerChange::Closed { after, failures } => tracing::info!(
                to = self.target,
                failures,
                after = format!("{:#}", SignedDuration::from_secs(after.as_secs())),
                "the target accepts deliveries again"
            ),
        }
    }

    /// Pauses the target; `false` if it is paused already.
    pub(crate) fn pause(&self, pause: TargetPause) -> bool {
        let mut state = self.lock();
        if state.pause.is_some() {
            return false;
        }
        state.breaker.pause();
        state.pause = Some(pause);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Ends an operator's pause, and that of an open breaker: the next call may begin.
    pub(crate) fn resume(&self) {
        let mut state = self.lock();
        state.breaker.resume(self.now());
        state.pause = None;
        drop(state);
        self.changed.notify_one();
    }

    /// Returns when an operator has paused or resumed the target since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The state of the target.
    pub(crate) fn status(&self) -> TargetStatus {
        let (now, state) = (self.now(), self.lock());
        let breaker = &state.breaker;
        let open = breaker.reason().map(|_| self.wall(breaker.since()));
        let next_call = match breaker.next_call(now) {
            NextCall::After(wait) => Some(self.wall(now + wait)),
            NextCall::Now | NextCall::Probe | NextCall::Unknown => None,
        };
        let reason = breaker.reason().map(str::to_owned);
        let paused = || "paused by an operator".to_owned();
        TargetStatus {
            target: self.target.clone(),
            state: breaker.state(now),
            since: state.pause.as_ref().map(|pause| pause.since).or(open),
            reason: reason.or_else(|| state.pause.as_ref().map(|_| paused())),
            failures: breaker.failures(),
            next_call,
            paused_by: state.pause.as_ref().map(|pause| pause.by.clone()),
        }
    }

    fn now(&self) -> SignedDuration {
        signed(self.zero.elapsed())
    }

    /// A time of the breaker's clock on the wall clock as it is now.
    fn wall(&self, at: SignedDuration) -> Timestamp {
        let wall = Timestamp::now().saturating_add(at - self.now());
        wall.unwrap_or(Timestamp::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time until the next call, as a sleep; `None` where no call may begin.
pub(crate) fn pause_of(next: NextCall) -> Option<Duration> {
    match next {
        // At least a millisecond: the timer's rounding must not make a queue spin.
        NextCall::After(wait) => Some(wait.unsigned_abs().max(Duration::from_millis(1))),
        NextCall::Now | NextCall::Probe => Some(Duration::ZERO),
        NextCall::Unknown => None,
    }
}

fn in_words(next: NextCall) -> String {
    match next {
        NextCall::After(wait) => format!("in {:#}", SignedDuration::from_secs(wait.as_secs())),
        NextCall::Now | NextCall::Probe => "now".to_owned(),
        NextCall::Unknown => "when it is resumed".to_owned(),
    }
}
