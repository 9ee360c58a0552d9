//! The circuit breaker of a target: no calls while its receiver fails or requests a pause.
//!
//! Like the retry policy it is pure: time comes in as an argument, so that the service runs it on
//! the machine's clock and a rehearsal on the scenario's.
//!
//! ```text
//!            5 failures in a row, or a requested pause
//!   closed ───────────────────────────────────────────▶ open ◀────────┐
//!      ▲                                                 │ its pause  │ the probe fails
//!      │                                                 ▼ is over    │
//!      └────────────────────────────────────────────  half-open ──────┘
//!                     the probe succeeds
//! ```

use jiff::SignedDuration;

use crate::outcome::{Receipt, SendError};
use crate::retry::RetryPolicy;

/// When a circuit breaker opens, and for how long.
///
/// ```
/// use jiff::SignedDuration;
/// use reflexarc_delivery::BreakerPolicy;
///
/// let policy = BreakerPolicy::default();
/// assert_eq!((policy.failures, policy.max_pause), (5, SignedDuration::from_secs(10)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// It opens after this many failures in a row; 0: only when the receiver requests a pause.
    pub failures: u32,
    /// The first pause; it doubles after each probe that fails.
    pub pause: SignedDuration,
    /// The longest pause, unless the receiver requests a longer one.
    pub max_pause: SignedDuration,
}

/// The circuit breaker of one target. Times are counted from a zero that the caller chooses.
///
/// ```
/// use jiff::SignedDuration;
/// use reflexarc_delivery::{BreakerPolicy, CircuitBreaker, NextCall, Receipt, SendError};
///
/// let seconds = SignedDuration::from_secs;
/// let mut breaker = CircuitBreaker::new(BreakerPolicy::default());
/// for second in 0..5 {
///     let ticket = breaker.begin(seconds(second)).expect("it is closed");
///     breaker.record(ticket, &Err(SendError::transient("no route")), seconds(second));
/// }
/// assert!(breaker.begin(seconds(4)).is_none());
/// assert_eq!(breaker.next_call(seconds(4)), NextCall::After(seconds(1)));
///
/// let probe = breaker.begin(seconds(5)).expect("the pause is over");
/// assert!(breaker.begin(seconds(5)).is_none(), "one probe at a time");
/// breaker.record(probe, &Ok(Receipt::complete("ok")), seconds(6));
/// assert_eq!(breaker.next_call(seconds(6)), NextCall::Now);
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    policy: BreakerPolicy,
    phase: Phase,
    /// An operator's pause, which is independent of the receiver's health.
    paused: bool,
    /// Failures since the last success.
    failures: u32,
    /// How often it opened since the last success.
    openings: u32,
    /// When it last left or entered `Closed`.
    since: SignedDuration,
    /// The error that opened it, or that of the last probe.
    reason: String,
    /// Increases whenever the phase changes; a ticket of an earlier one is stale.
    generation: u64,
}

/// The right to make one call, and the phase in which the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTicket(u64);

/// When the next call of a target may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextCall {
    /// Now; any number of calls at a time.
    Now,
    /// Now, but only one: it shows whether the receiver is back.
    Probe,
    /// After this time.
    After(SignedDuration),
    /// Not before the probe that is under way ends, or an operator resumes the target.
    Unknown,
}

/// The state of a circuit breaker, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// No calls are made until a pause is over.
    Open,
    /// One call decides whether it closes.
    HalfOpen,
    /// An operator has paused the target.
    Paused,
}

/// What a recorded outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerChange {
    /// Nothing that a log should mention.
    None,
    /// It was closed and is open.
    Opened,
    /// It was half-open or open and is open for another pause.
    Reopened,
    /// It is closed again.
    Closed {
        /// How long it was not.
        after: SignedDuration,
        /// The failures since the last success before.
        failures: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Half-open once `until` has come.
    Open {
        until: SignedDuration,
    },
    /// Half-open with its probe under way.
    Probing,
}

/// What an outcome says about the receiver, and not about one delivery.
enum Health {
    /// It answered for this delivery.
    Answers,
    /// It did not, or it rejects all of them.
    Fails,
    /// It requests a pause for all of them.
    Pauses(SignedDuration),
}

impl BreakerState {
    /// All states, in the order of the metric's series.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::Paused];

    /// Its name in metrics and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Paused => "paused",
        }
    }
}

impl Default for BreakerPolicy {
    /// Opens after 5 failures in a row, for 1, 2, 4, 8 and then 10 s.
    //
    // 5 failures in a row are no coincidence where one call in ten fails (1 in 100,000), and with
    // the default retries a single delivery to a dead receiver takes 15 s for them. A call every
    // 10 s costs such a receiver nothing, and one that is back gets its messages soon.
    fn default() -> Self {
        Self {
            failures: 5,
            pause: SignedDuration::from_secs(1),
            max_pause: SignedDuration::from_secs(10),
        }
    }
}

impl CircuitBreaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            phase: Phase::Closed,
            paused: false,
            failures: 0,
            openings: 0,
            since: SignedDuration::ZERO,
            reason: String::new(),
            generation: 0,
        }
    }

    /// When the next call may begin.
    pub fn next_call(&self, now: SignedDuration) -> NextCall {
        match self.phase {
            _ if self.paused => NextCall::Unknown,
            Phase::Closed => NextCall::Now,
            Phase::Open { until } if until > now => NextCall::After(until - now),
            Phase::Open { .. } => NextCall::Probe,
            Phase::Probing => NextCall::Unknown,
        }
    }

    /// Begins a call, if one may begin now; its outcome must be recorded with the ticket.
    pub fn begin(&mut self, now: SignedDuration) -> Option<CallTicket> {
        match self.next_call(now) {
            NextCall::Now => Some(CallTicket(self.generation)),
            NextCall::Probe => {
                self.enter(Phase::Probing);
                Some(CallTicket(self.generation))
            }
            NextCall::After(_) | NextCall::Unknown => None,
        }
    }

    /// Records how a call ended.
    pub fn record(
        &mut self,
        ticket: CallTicket,
        outcome: &Result<Receipt, SendError>,
        now: SignedDuration,
    ) -> BreakerChange {
        // Four calls run when the receiver goes down. The fifth failure in a row opens the breaker,
        // and the three others end while it is open: they began before, so that they say nothing
        // about the time after. Only a pause that one of them brings counts, as it is about the
        // future.
        let stale = ticket.0 != self.generation;
        match health(outcome) {
            Health::Answers if stale => BreakerChange::None,
            Health::Answers => self.succeed(now),
            Health::Fails => {
                self.failures = self.failures.saturating_add(1);
                let probing = self.phase == Phase::Probing;
                let enough = self.policy.failures > 0 && self.failures >= self.policy.failures;
                if stale || !(probing || enough) {
                    return BreakerChange::None;
                }
                self.open(SignedDuration::ZERO, outcome, now)
            }
            Health::Pauses(pause) => {
                self.failures = self.failures.saturating_add(1);
                match &mut self.phase {
                    Phase::Open { until } => {
                        *until = (*until).max(now.saturating_add(pause));
                        BreakerChange::None
                    }
                    Phase::Closed | Phase::Probing => self.open(pause, outcome, now),
                }
            }
        }
    }

    /// Pauses the target until [`CircuitBreaker::resume`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Ends an operator's pause, and the pause of an open breaker too: the next call may begin.
    pub fn resume(&mut self, now: SignedDuration) {
        self.paused = false;
        if let Phase::Open { until } = &mut self.phase {
            *until = (*until).min(now);
        }
    }

    /// Its state.
    pub fn state(&self, now: SignedDuration) -> BreakerState {
        match self.phase {
            _ if self.paused => BreakerState::Paused,
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if until > now => BreakerState::Open,
            Phase::Open { .. } | Phase::Probing => BreakerState::HalfOpen,
        }
    }

    /// When it last opened or closed; a probe that fails does not change this.
    pub fn since(&self) -> SignedDuration {
        self.since
    }

    /// The failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The error that opened it, or that of the last probe; `None` while it is closed.
    pub fn reason(&self) -> Option<&str> {
        (self.phase != Phase::Closed).then_some(self.reason.as_str())
    }

    fn succeed(&mut self, now: SignedDuration) -> BreakerChange {
        let failures = std::mem::take(&mut self.failures);
        self.openings = 0;
        if self.phase == Phase::Closed {
            return BreakerChange::None;
        }
        let after = now - self.since;
        self.since = now;
        self.enter(Phase::Closed);
        BreakerChange::Closed { after, failures }
    }

    fn open(
        &mut self,
        requested: SignedDuration,
        outcome: &Result<Receipt, SendError>,
        now: SignedDuration,
    ) -> BreakerChange {
        // 1, 2, 4, 8, 10, 10 … s with the defaults. A receiver's request makes a pause longer,
        // never shorter: one that says "1 second" to every probe gets fewer and fewer of them.
        let doubled = self.policy.pause.saturating_mul(1 << self.openings.min(20));
        let pause = doubled.min(self.policy.max_pause).max(requested);
        self.openings = self.openings.saturating_add(1);
        let change = if self.phase == Phase::Closed {
            self.since = now;
            BreakerChange::Opened
        } else {
            BreakerChange::Reopened
        };
        if let Err(error) = outcome {
            error.reason().clone_into(&mut self.reason);
        }
        self.enter(Phase::Open {
            until: now.saturating_add(pause),
        });
        change
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

fn health(outcome: &Result<Receipt, SendError>) -> Health {
    match outcome {
        // A receiver that refuses one delivery, or accepts a part of one, is there.
        Ok(_) | Err(SendError::Refused { .. } | SendError::Partial { .. }) => Health::Answers,
        Err(SendError::RateLimited { pause, .. }) if pause.is_positive() => {
            // Bounded as a single delivery's delay is: a receiver could stop its queue for a year.
            Health::Pauses((*pause).min(RetryPolicy::MAX_RETRY_AFTER))
        }
        // Also where it is misconfigured: a revoked token rejects every delivery, and those that
        // wait until an operator has replaced it are not lost to the dead letters.
        Err(_) => Health::Fails,
    }
}

#[cfg(test)]
mod tests;
