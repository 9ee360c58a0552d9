use proptest::prelude::*;

use super::*;

const POLICY: BreakerPolicy = BreakerPolicy {
    failures: 3,
    pause: SignedDuration::from_secs(1),
    max_pause: SignedDuration::from_secs(5),
};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn fails() -> Result<Receipt, SendError> {
    Err(SendError::transient("connection refused"))
}

#[expect(clippy::unnecessary_wraps, reason = "outcomes of both kinds are mixed")]
fn answers() -> Result<Receipt, SendError> {
    Ok(Receipt::complete("ok"))
}

fn pauses(pause: i64) -> Result<Receipt, SendError> {
    Err(SendError::RateLimited {
        reason: "429".into(),
        pause: seconds(pause),
    })
}

/// A breaker that opened at second 0, for one second.
fn opened() -> CircuitBreaker {
    let mut breaker = CircuitBreaker::new(POLICY);
    for _ in 0..3 {
        let ticket = breaker.begin(seconds(0)).unwrap();
        breaker.record(ticket, &fails(), seconds(0));
    }
    assert_eq!(breaker.state(seconds(0)), BreakerState::Open);
    breaker
}

#[test]
fn refused_and_partial_deliveries_are_answers() {
    let mut breaker = CircuitBreaker::new(POLICY);
    let refused = Err(SendError::Refused {
        reason: "422".into(),
    });
    let partial = Err(SendError::Partial {
        delivered: vec!["a".into()],
        rest: Box::new(SendError::transient("mailbox full")),
    });
    for outcome in [fails(), fails(), refused, fails(), fails(), partial] {
        let ticket = breaker.begin(seconds(0)).unwrap();
        breaker.record(ticket, &outcome, seconds(0));
    }
    assert_eq!(breaker.failures(), 0);
}

#[test]
fn failed_probes_double_the_pause() {
    let mut breaker = opened();
    let (mut now, mut pauses) = (seconds(0), Vec::new());
    for _ in 0..5 {
        let NextCall::After(pause) = breaker.next_call(now) else {
            panic!("open")
        };
        pauses.push(pause.as_secs());
        now += pause;
        let probe = breaker.begin(now).unwrap();
        assert_eq!(
            breaker.record(probe, &fails(), now),
            BreakerChange::Reopened
        );
    }
    assert_eq!(pauses, [1, 2, 4, 5, 5]);
    assert_eq!(breaker.since(), seconds(0));
}

#[test]
fn requested_pauses_are_at_most_an_hour() {
    let mut breaker = CircuitBreaker::new(POLICY);
    let ticket = breaker.begin(seconds(0)).unwrap();
    breaker.record(ticket, &pauses(86_400), seconds(0));
    assert_eq!(
        breaker.next_call(seconds(0)),
        NextCall::After(seconds(3_600))
    );
}

#[test]
fn calls_that_began_before_do_not_close_it() {
    let mut breaker = CircuitBreaker::new(POLICY);
    let earlier = breaker.begin(seconds(0)).unwrap();
    for _ in 0..3 {
        let ticket = breaker.begin(seconds(0)).unwrap();
        breaker.record(ticket, &fails(), seconds(0));
    }
    breaker.record(earlier, &answers(), seconds(0));
    assert_eq!(breaker.state(seconds(0)), BreakerState::Open);
    let probe = breaker.begin(seconds(1)).unwrap();
    breaker.record(earlier, &pauses(60), seconds(1));
    breaker.record(probe, &answers(), seconds(1));
    assert_eq!(
        breaker.next_call(seconds(1)),
        NextCall::After(seconds(60)),
        "a pause that is requested during the probe holds"
    );
}

#[test]
fn a_paused_target_waits_until_it_is_resumed() {
    let mut breaker = opened();
    breaker.pause();
    assert_eq!(breaker.next_call(seconds(9)), NextCall::Unknown);
    assert_eq!(breaker.state(seconds(9)), BreakerState::Paused);
    breaker.resume(seconds(9));
    assert!(breaker.begin(seconds(9)).is_some());

    let mut breaker = opened();
    breaker.resume(seconds(0));
    assert_eq!(breaker.next_call(seconds(0)), NextCall::Probe);
}

#[test]
fn without_a_number_of_failures_only_requests_open_it() {
    let mut breaker = CircuitBreaker::new(BreakerPolicy {
        failures: 0,
        ..POLICY
    });
    for _ in 0..100 {
        let ticket = breaker.begin(seconds(0)).unwrap();
        breaker.record(ticket, &fails(), seconds(0));
    }
    let ticket = breaker.begin(seconds(0)).unwrap();
    let change = breaker.record(ticket, &pauses(7), seconds(0));
    assert_eq!(change, BreakerChange::Opened);
}

/// The naive twin for calls one after another: from the outcomes and ends of all calls so far,
/// when the next one may begin at the earliest.
fn naive_next(calls: &[(i64, Result<Receipt, SendError>)]) -> i64 {
    let failed = calls.iter().rev().take_while(|(_, call)| call.is_err());
    let failed: Vec<_> = failed.collect::<Vec<_>>().into_iter().rev().collect();
    let requested = |call: &Result<Receipt, SendError>| match call {
        Err(SendError::RateLimited { pause, .. }) => pause.as_secs(),
        _ => 0,
    };
    // The failure that opened it: the third, or the first with a requested pause.
    let first = (0..failed.len()).find(|n| *n >= 2 || requested(&failed[*n].1) > 0);
    let (Some(first), Some((end, last))) = (first, failed.last()) else {
        return i64::MIN;
    };
    let openings = u32::try_from(failed.len() - first).unwrap();
    end + (1 << (openings - 1).min(10)).min(5).max(requested(last))
}

fn outcome() -> impl Strategy<Value = Result<Receipt, SendError>> {
    prop_oneof![
        4 => Just(fails()),
        2 => Just(answers()),
        1 => (0_i64..20).prop_map(pauses),
    ]
}

proptest! {
    #[test]
    fn calls_in_a_row_equal_the_naive_twin(
        steps in prop::collection::vec((0_i64..8, outcome()), 1..60),
    ) {
        let (mut breaker, mut now, mut calls) = (CircuitBreaker::new(POLICY), 0, Vec::new());
        for (wait, outcome) in steps {
            now += wait;
            let earliest = naive_next(&calls);
            let ticket = breaker.begin(seconds(now));
            prop_assert_eq!(ticket.is_some(), now >= earliest);
            if let Some(ticket) = ticket {
                breaker.record(ticket, &outcome, seconds(now));
                calls.push((now, outcome));
            }
        }
    }

    /// Calls overlap: each step waits, begins one, or ends one of those that run.
    #[test]
    fn one_probe_at_a_time_and_never_stuck(
        steps in prop::collection::vec((0_i64..4, any::<bool>(), 0_usize..8, outcome()), 1..80),
    ) {
        let (mut breaker, mut now) = (CircuitBreaker::new(POLICY), 0);
        let (mut running, mut probe) = (Vec::new(), None);
        for (wait, begin, which, outcome) in steps {
            now += wait;
            if begin {
                let state = breaker.state(seconds(now));
                if let Some(ticket) = breaker.begin(seconds(now)) {
                    prop_assert_ne!(state, BreakerState::Open);
                    if state == BreakerState::HalfOpen {
                        prop_assert!(probe.replace(ticket).is_none(), "two probes");
                    }
                    running.push(ticket);
                }
            } else if !running.is_empty() {
                let ticket = running.remove(which % running.len());
                breaker.record(ticket, &outcome, seconds(now));
            }
            // A stale probe, whose phase a requested pause has ended, does not count.
            let generation = breaker.generation;
            let is_current = |probe: &CallTicket| probe.0 == generation;
            probe = probe.filter(|probe| running.contains(probe) && is_current(probe));
        }
        // Whatever happened, once all calls have ended another one can begin after its wait.
        for ticket in running {
            breaker.record(ticket, &fails(), seconds(now));
        }
        let wait = match breaker.next_call(seconds(now)) {
            NextCall::Now | NextCall::Probe => seconds(0),
            NextCall::After(wait) => wait,
            NextCall::Unknown => return Err(TestCaseError::fail("stuck")),
        };
        prop_assert!(wait <= seconds(20), "{:?}", wait);
        prop_assert!(breaker.begin(seconds(now) + wait).is_some());
    }
}
