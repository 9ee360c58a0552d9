//! Faults of the process and its clock.

use std::time::Duration;

use super::seconds;
use crate::fault::{Fault, Part, Sign, end_with, over};
use crate::random::Random;
use crate::world::World;

/// `SIGKILL`. While the service is down no sign can be in `/status`: `up` is 0 in Prometheus.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn killed(_: &World, random: &mut Random) -> Option<Fault> {
    Some(signalled("killed", "KILL", random))
}

/// `SIGTERM`.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn terminated(_: &World, random: &mut Random) -> Option<Fault> {
    Some(signalled("terminated", "TERM", random))
}

fn signalled(name: &str, signal: &'static str, random: &mut Random) -> Fault {
    Fault {
        name: name.to_owned(),
        part: Part::Process,
        lasts: random.between(Duration::from_millis(100), Duration::from_secs(4)),
        expected_sign: None,
        start: Box::new(move |world| {
            world.service.signal(signal);
            over()
        }),
    }
}

/// `SIGSTOP`, as a virtual machine that is suspended.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn frozen(_: &World, random: &mut Random) -> Option<Fault> {
    Some(Fault {
        name: "frozen".to_owned(),
        part: Part::Process,
        lasts: seconds(random, 1, 4),
        expected_sign: None,
        start: Box::new(|world| {
            world.service.signal("STOP");
            end_with(|world| world.service.signal("CONT"))
        }),
    })
}

/// The wall clock jumps and comes back. By less than an hour it is a correction, not a fault.
pub(super) fn clock_jump(world: &World, random: &mut Random) -> Option<Fault> {
    world.control.as_ref()?;
    let hours = |hours: i64| hours * 3_600;
    let offset = *random.choose(&[hours(25), hours(24 * 31), hours(-3), hours(-25), 2_400]);
    let is_small = offset.abs() < 3_600;
    Some(Fault {
        name: format!("clock {offset:+} s"),
        part: Part::Clock,
        lasts: seconds(random, 12, 25),
        expected_sign: Sign::level("clock_jump", 14).filter(|_| !is_small),
        start: Box::new(move |world| {
            let set = |world: &World, offset| {
                if let Some(control) = &world.control {
                    control.set_clock_offset(offset);
                }
            };
            set(world, offset);
            end_with(move |world| set(world, 0))
        }),
    })
}
