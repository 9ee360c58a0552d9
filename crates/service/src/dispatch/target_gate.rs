//! Whether calls of a target may begin: its circuit breaker on the machine's clock, and the pauses
//! of operators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    BreakerChange, BreakerState, CallTicket, CircuitBreaker, NextCall, Receipt, SendError,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::signed;
use crate::store::{ChangePeriod, ChangeStop, TargetPause};
use crate::telemetry::{Metrics, ProblemKind, TargetLabel};

/// The gates of all targets by name, and the pauses of operators. Clones share them.
#[derive(Clone, Default)]
pub struct TargetGates(Arc<Mutex<Gates>>);

#[derive(Default)]
struct Gates {
    by_name: BTreeMap<String, Arc<TargetGate>>,
    /// Also of targets that do not exist: they are paused when they come back.
    pauses: BTreeMap<String, TargetPause>,
    /// Targets that make no more changes until they are resumed, and how many they have made.
    change_stops: BTreeMap<String, String>,
}

/// Decides when the next call of one target may begin.
pub(crate) struct TargetGate {
    target: String,
    /// See [`TargetGates::aging_after`].
    aging_after: SignedDuration,
    /// Whether it gets deliveries about acknowledgements.
    acknowledges: bool,
    /// The zero of the breaker's clock, which is monotonic: a wall clock that is set must neither
    /// lengthen nor end a pause.
    zero: Instant,
    state: Mutex<GateState>,
    /// When its queue last looked into the outbox or ended a call, or need not do so.
    looked: Mutex<Instant>,
    /// How long its queue may do neither while the gate is open.
    max_silence: Duration,
    /// Notified when an operator has paused or resumed the target, or wants to test it.
    changed: Notify,
    /// For tests by operators.
    tested: Arc<TestedTarget>,
    /// Tests that wait until the rate limit allows a call.
    tests: Mutex<Vec<oneshot::Sender<()>>>,
}

/// A target as operators test it.
pub(crate) struct TestedTarget {
    pub(crate) queue: TargetConfig,
    /// Held while a test runs: one at a time.
    pub(crate) running: tokio::sync::Mutex<()>,
}

struct GateState {
    breaker: CircuitBreaker,
    pause: Option<TargetPause>,
    /// When the log last said that the breaker is not closed.
    logged: Option<SignedDuration>,
    /// Probes that have failed since it opened.
    probes: u64,
    /// How often it has opened since without a line in the log.
    unlogged: u64,
    /// The rules whose firings are merged.
    flooding: Vec<String>,
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
    /// The rules whose firings are merged into one message a minute.
    pub(crate) flooding: Vec<String>,
    /// How many changes it has made, if it makes no more until it is resumed.
    pub(crate) changes_stopped: Option<String>,
}

/// How often the log repeats that a target does not accept deliveries.
// Once an hour: often enough for who reads only today's log, and 24 lines for a day.
const LOG_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// How often the log says that a target has opened again which had closed meanwhile.
const FLAPPING_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// How long a queue may neither look into the outbox nor end a call, besides the time that calls
/// may take.
// It looks every second, unless the store is slow.
const MAX_SILENCE: Duration = Duration::from_secs(120);

/// Calls that are running, and the pause of a rate limit, are no standstill.
fn max_silence(target: &TargetConfig) -> Duration {
    let limit = target.target.rate_limit();
    let pause = limit.map_or(Duration::ZERO, |limit| limit.per.unsigned_abs());
    MAX_SILENCE + target.timeout.saturating_mul(2) + pause
}

/// What the list of problems says of a target whose breaker is not closed.
pub(crate) fn failing(failures: u32, reason: &str) -> String {
    format!("{failures} failures in a row: {reason}")
}

/// What the list of problems says of a target that makes no more changes.
pub(crate) fn stopped_detail(limit: u32, per: ChangePeriod) -> String {
    format!("{limit} changes a {} were made", per.as_str())
}

/// What the list of problems says of a target that rules flood.
pub(crate) fn flood_detail(rules: &[String]) -> String {
    format!("firings are merged: {}", rules.join(", "))
}

impl TargetGates {
    /// Paused targets, as the store has kept them. For gates that are opened afterwards.
    pub(crate) fn restore(&self, pauses: Vec<(String, TargetPause)>) {
        self.lock().pauses = pauses.into_iter().collect();
    }

    /// Targets that make no more changes, as the store has kept them.
    pub(crate) fn restore_change_stops(&self, stops: Vec<(String, ChangeStop)>, metrics: &Metrics) {
        for (target, stop) in stops {
            let detail = stopped_detail(stop.limit, stop.per);
            metrics
                .problems
                .holds(ProblemKind::ChangesStopped, &target, &detail);
            self.stop_changes(&target, detail);
        }
    }

    /// Follows what operators have done through other nodes: pauses and resumes targets as the store
    /// has it.
    pub(crate) fn follow(
        &self,
        pauses: Vec<(String, TargetPause)>,
        stops: Vec<(String, ChangeStop)>,
        metrics: &Metrics,
    ) {
        let (mut paused, mut resumed) = (Vec::new(), Vec::new());
        {
            let mut gates = self.lock();
            let now: BTreeMap<_, _> = pauses.into_iter().collect();
            let before = std::mem::replace(&mut gates.pauses, now.clone());
            paused.extend(
                now.iter()
                    .filter(|(name, _)| !before.contains_key(*name))
                    .map(|(name, pause)| (gates.by_name.get(name).cloned(), pause.clone())),
            );
            let ended = before.keys().chain(gates.change_stops.keys());
            let is_over = |name: &&String| {
                let is_stopped = stops.iter().any(|(target, _)| target == *name);
                !now.contains_key(*name) && !is_stopped
            };
            let ended: Vec<String> = ended.filter(is_over).cloned().collect();
            for name in ended {
                gates.change_stops.remove(&name);
                resumed.extend(gates.by_name.get(&name).cloned());
            }
        }
        for (gate, pause) in paused {
            if let Some(gate) = gate {
                gate.pause(pause);
            }
        }
        for gate in resumed {
            gate.resume();
        }
        // Those that are known are not new occurrences.
        let is_new = |(target, _): &(String, _)| !self.lock().change_stops.contains_key(target);
        let new = stops.into_iter().filter(is_new).collect();
        self.restore_change_stops(new, metrics);
    }

    /// Shows that a target makes no more changes until it is resumed.
    pub(crate) fn stop_changes(&self, target: &str, detail: String) {
        self.lock().change_stops.insert(target.to_owned(), detail);
    }

    /// A new gate for a queue that starts, with a closed breaker: the settings that a reload has
    /// changed may be the cure. A pause of an operator stays.
    pub(crate) fn open(&self, target: &TargetConfig) -> Arc<TargetGate> {
        let gate = Arc::new(TargetGate::new(target));
        let target = target.name.as_str();
        let mut gates = self.lock();
        if let Some(pause) = gates.pauses.get(target) {
            gate.pause(pause.clone());
        }
        let earlier = gates.by_name.insert(target.to_owned(), gate.clone());
        if let Some(earlier) = earlier {
            // They would wait for a queue that has ended, or that never had the gate.
            gate.tests().append(&mut earlier.tests());
        }
        gate
    }

    /// Pauses a target, and returns the pause that is in effect: an earlier one stays.
    pub(crate) fn pause(&self, target: &str, pause: TargetPause) -> TargetPause {
        let mut gates = self.lock();
        if let Some(earlier) = gates.pauses.get(target) {
            return earlier.clone();
        }
        if let Some(gate) = gates.by_name.get(target) {
            gate.pause(pause.clone());
        }
        gates.pauses.insert(target.to_owned(), pause.clone());
        pause
    }

    /// Ends an operator's pause, and that of an open breaker: the next call may begin.
    pub(crate) fn resume(&self, target: &str) {
        let mut gates = self.lock();
        gates.pauses.remove(target);
        gates.change_stops.remove(target);
        if let Some(gate) = gates.by_name.get(target) {
            gate.resume();
        }
    }

    /// Removes the gates of targets that are not among `names`.
    pub(crate) fn retain(&self, names: &[String]) {
        self.lock().by_name.retain(|name, _| names.contains(name));
    }

    /// The state of one target, if a queue serves it.
    pub(crate) fn status(&self, target: &str) -> Option<TargetStatus> {
        let gates = self.lock();
        let status = gates.by_name.get(target)?.status();
        Some(gates.with_change_stop(status))
    }

    /// The state of every target, by name.
    pub(crate) fn statuses(&self) -> Vec<TargetStatus> {
        let gates = self.lock();
        let statuses = gates.by_name.values().map(|gate| gate.status());
        statuses
            .map(|status| gates.with_change_stop(status))
            .collect()
    }

    /// The targets that get deliveries about acknowledgements.
    pub(crate) fn acknowledging(&self) -> Vec<String> {
        let gates = self.lock();
        let gates = gates.by_name.iter().filter(|(_, gate)| gate.acknowledges);
        gates.map(|(target, _)| target.clone()).collect()
    }

    /// The age from which on pending deliveries of each target are a problem.
    pub(crate) fn aging_after(&self) -> BTreeMap<String, SignedDuration> {
        let gates = self.lock();
        let gates = gates.by_name.iter();
        gates
            .map(|(target, gate)| (target.clone(), gate.aging_after))
            .collect()
    }

    /// A target for a test, if a queue serves it.
    pub(crate) fn tested(&self, target: &str) -> Option<Arc<TestedTarget>> {
        let gates = self.lock();
        Some(gates.by_name.get(target)?.tested.clone())
    }

    /// Waits until the rate limit of a target allows a call, which then counts as made. Returns
    /// whether it does so within `limit`.
    pub(crate) async fn await_pace(&self, target: &str, limit: Duration) -> bool {
        let gate = self.lock().by_name.get(target).cloned();
        let Some(gate) = gate else { return false };
        let (sender, turn) = oneshot::channel();
        gate.tests().push(sender);
        gate.changed.notify_one();
        matches!(tokio::time::timeout(limit, turn).await, Ok(Ok(())))
    }

    /// Records that the queue of a target has looked into the outbox.
    pub(crate) fn record_look(&self, target: &str) {
        let gates = self.lock();
        if let Some(gate) = gates.by_name.get(target) {
            gate.record_look();
        }
    }

    /// The targets whose queues have not looked into the outbox for long, although calls may be
    /// made, each with how long.
    pub(crate) fn silent(&self, now: Instant) -> Vec<(String, Duration)> {
        let gates = self.lock();
        let silent = gates.by_name.iter().filter_map(|(name, gate)| {
            let silence = gate.silence(now)?;
            Some((name.clone(), silence))
        });
        silent.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Gates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TestedTarget {
    /// Whether the receiver limits how many calls are made, so that a test waits for its turn.
    pub(crate) fn is_paced(&self) -> bool {
        self.queue.calls.is_none() && self.queue.target.rate_limit().is_some()
    }
}

impl Gates {
    fn with_change_stop(&self, status: TargetStatus) -> TargetStatus {
        TargetStatus {
            changes_stopped: self.change_stops.get(&status.target).cloned(),
            ..status
        }
    }
}

impl TargetGate {
    fn new(target: &TargetConfig) -> Self {
        Self {
            target: target.name.clone(),
            aging_after: target.policy.aging_after(),
            acknowledges: target.target.acknowledges(),
            zero: Instant::now(),
            state: Mutex::new(GateState {
                breaker: CircuitBreaker::new(target.breaker),
                pause: None,
                logged: None,
                probes: 0,
                unlogged: 0,
                flooding: Vec::new(),
            }),
            looked: Mutex::new(Instant::now()),
            max_silence: max_silence(target),
            changed: Notify::new(),
            tested: Arc::new(TestedTarget {
                queue: target.clone(),
                running: tokio::sync::Mutex::default(),
            }),
            tests: Mutex::default(),
        }
    }

    /// Lets the next test begin, if one waits: its call is to be counted.
    pub(crate) fn admit_test(&self) -> bool {
        // One whose operator does not wait any more makes no call.
        while let Some(test) = self.tests().pop() {
            if test.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    /// Whether a test waits.
    pub(crate) fn has_test(&self) -> bool {
        !self.tests().is_empty()
    }

    fn tests(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_look(&self) {
        *self.looked() = Instant::now();
    }

    /// For how long its queue has done nothing, if that is too long. To be called regularly: the
    /// time does not count in which no call may begin.
    fn silence(&self, now: Instant) -> Option<Duration> {
        if pause_of(self.next_call()) != Some(Duration::ZERO) {
            self.record_look();
            return None;
        }
        let silence = now.saturating_duration_since(*self.looked());
        (silence > self.max_silence).then_some(silence)
    }

    fn looked(&self) -> MutexGuard<'_, Instant> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next call may begin.
    pub(crate) fn next_call(&self) -> NextCall {
        self.lock().breaker.next_call(self.now())
    }

    /// Whether the next probe should be a delivery that has failed before.
    ///
    /// Every other probe, from the first on. While the receiver is down, each delivery that fails
    /// first gives up the order of its resource after `order_wait`, so few should; but if those
    /// that have failed are what the receiver does not accept, another one must find out that it is
    /// up.
    pub(crate) fn prefers_retry(&self) -> bool {
        let state = self.lock();
        let probes = state.breaker.next_call(self.now()) == NextCall::Probe;
        probes && state.probes.is_multiple_of(2)
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
        self.record_look();
        let now = self.now();
        let mut state = self.lock();
        match state.breaker.record(ticket, outcome, now) {
            BreakerChange::None => {}
            BreakerChange::Opened => {
                state.probes = 0;
                let target = self.target.clone();
                metrics.opened.get_or_create(&TargetLabel { target }).inc();
                let reason = state.breaker.reason().unwrap_or_default();
                let detail = failing(state.breaker.failures(), reason);
                let kind = ProblemKind::TargetFailing;
                let is_logged = metrics.problems.holds(kind, &self.target, &detail);
                // One that opens and closes again and again has a line a minute.
                if !is_logged || state.logged.is_some_and(|at| now - at < FLAPPING_INTERVAL) {
                    state.unlogged += 1;
                    return;
                }
                tracing::warn!(
                    to = self.target,
                    failures = state.breaker.failures(),
                    reason,
                    next_call = in_words(state.breaker.next_call(now)),
                    more = state.unlogged,
                    "the target does not accept deliveries: they wait in the outbox, and single \
                     ones are attempted until one succeeds"
                );
                (state.logged, state.unlogged) = (Some(now), 0);
            }
            BreakerChange::Reopened => {
                state.probes += 1;
                self.log_reopened(&mut state, now);
            }
            BreakerChange::Closed { after, failures } => {
                metrics
                    .problems
                    .end(ProblemKind::TargetFailing, &self.target);
                if state.unlogged == 0 {
                    tracing::info!(
                        to = self.target,
                        failures,
                        after = format!("{:#}", SignedDuration::from_secs(after.as_secs())),
                        "the target accepts deliveries again"
                    );
                }
            }
        }
    }

    /// Says once an hour that the breaker is still open.
    fn log_reopened(&self, state: &mut GateState, now: SignedDuration) {
        if state.logged.is_some_and(|at| now - at < LOG_INTERVAL) {
            return;
        }
        state.logged = Some(now);
        tracing::warn!(
            to = self.target,
            failures = state.breaker.failures(),
            since = %self.wall(state.breaker.since()),
            reason = state.breaker.reason().unwrap_or_default(),
            "the target still does not accept deliveries"
        );
    }

    /// Records which rules flood the target, and logs what has changed.
    pub(crate) fn set_flooding(&self, rules: Vec<String>, metrics: &Metrics) {
        let mut state = self.lock();
        if state.flooding == rules {
            return;
        }
        for rule in state.flooding.iter().filter(|rule| !rules.contains(rule)) {
            tracing::info!(
                to = self.target,
                rule,
                "the rule does not flood the target any more"
            );
        }
        let begun: Vec<_> = rules
            .iter()
            .filter(|rule| !state.flooding.contains(rule))
            .collect();
        let problems = &metrics.problems;
        if rules.is_empty() {
            problems.end(ProblemKind::Flood, &self.target);
        } else if !begun.is_empty()
            && problems.holds(ProblemKind::Flood, &self.target, &flood_detail(&rules))
        {
            for rule in begun {
                tracing::warn!(
                    to = self.target,
                    rule,
                    "a rule floods the target: beyond `max_firings_per_minute` its firings are \
                     merged into one message a minute"
                );
            }
        }
        state.flooding = rules;
    }

    fn pause(&self, pause: TargetPause) {
        let mut state = self.lock();
        state.breaker.pause();
        state.pause = Some(pause);
        drop(state);
        self.changed.notify_one();
    }

    fn resume(&self) {
        let mut state = self.lock();
        state.breaker.resume(self.now());
        state.pause = None;
        drop(state);
        self.changed.notify_one();
    }

    /// Returns when an operator has paused or resumed the target since the last call, or wants to
    /// test it.
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
        let pause = state.pause.as_ref();
        let paused = pause.map(|pause| {
            let reason = pause.reason.clone();
            reason.unwrap_or_else(|| "paused by an operator".to_owned())
        });
        TargetStatus {
            target: self.target.clone(),
            state: breaker.state(now),
            since: pause.map(|pause| pause.since).or(open),
            reason: paused.or_else(|| breaker.reason().map(str::to_owned)),
            failures: breaker.failures(),
            next_call,
            paused_by: pause.map(|pause| pause.by.clone()),
            flooding: state.flooding.clone(),
            changes_stopped: None,
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

#[cfg(test)]
mod tests {
    use reflexarc_delivery::{BreakerPolicy, FileTarget, RetryPolicy};

    use super::*;

    fn target() -> TargetConfig {
        TargetConfig {
            name: "out".into(),
            target: Arc::new(FileTarget::stdout()),
            concurrency: 1,
            timeout: Duration::from_secs(30),
            policy: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            order_wait: SignedDuration::ZERO,
            firing_limit: None,
            calls: None,
            digest: [0; 32],
        }
    }

    #[test]
    fn a_queue_that_does_not_look_is_silent_unless_it_may_not_send() {
        let gates = TargetGates::default();
        drop(gates.open(&target()));
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        // Two minutes, and two timeouts.
        assert_eq!(gates.silent(after(179)), []);
        let silent = gates.silent(after(181));
        assert_eq!(silent.len(), 1);
        assert_eq!(silent[0].0, "out");
        gates.record_look("out");
        assert_eq!(gates.silent(after(179)), []);
        // While it is paused, the time does not count; it counts from the end of the pause on.
        let pause = TargetPause {
            since: Timestamp::now(),
            by: "test".into(),
            reason: None,
        };
        gates.pause("out", pause);
        assert_eq!(gates.silent(after(1_000)), []);
        gates.resume("out");
        assert_eq!(gates.silent(after(179)), []);
        assert_eq!(gates.silent(after(1_000)).len(), 1);
    }
}
