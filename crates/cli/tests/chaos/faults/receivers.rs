//! Faults of receivers.

use std::time::Duration;

use super::seconds;
use crate::fault::{Fault, Part, Sign, end_with};
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::world::{TARGETS, World};

/// A receiver fails in one of the ways in which receivers fail.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn fails(_: &World, random: &mut Random) -> Option<Fault> {
    let target = *random.choose(&TARGETS);
    let behaviour = *random.choose(&[
        Behaviour::Dead,
        Behaviour::Silent,
        Behaviour::Status(500, None),
        Behaviour::Status(503, Some(2)),
        Behaviour::Status(429, Some(3)),
        Behaviour::CutOff,
    ]);
    // Failures in a row come at the pace of the events; each silence takes a timeout of 1 s.
    let sign = match behaviour {
        Behaviour::Silent => 20,
        _ => 15,
    };
    let lasts = seconds(random, 5, 25);
    let sign = Sign::level_of("target_failing", target, sign);
    Some(with(target, behaviour, lasts, sign))
}

/// A receiver is slow, but answers within its timeout.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn slow(_: &World, random: &mut Random) -> Option<Fault> {
    let target = *random.choose(&TARGETS);
    let wait = random.between(Duration::from_millis(50), Duration::from_millis(300));
    let lasts = seconds(random, 5, 15);
    Some(with(target, Behaviour::Slow(wait), lasts, None))
}

fn with(
    target: &'static str,
    behaviour: Behaviour,
    lasts: Duration,
    expected_sign: Option<Sign>,
) -> Fault {
    Fault {
        name: format!("receiver {target}: {behaviour:?}"),
        part: Part::Receiver(target),
        lasts,
        expected_sign,
        start: Box::new(move |world| {
            world.receivers[target].behave(behaviour);
            end_with(move |world| world.receivers[target].behave(Behaviour::Healthy))
        }),
    }
}
