use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn reading(true_second: i64, offset: i64) -> Reading {
    Reading {
        wall: second(true_second + offset),
        elapsed: Duration::from_secs(true_second.unsigned_abs()),
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

#[test]
fn a_jump_counts_only_when_it_has_lasted() {
    let mut check = ClockCheck::new(reading(0, 0));
    assert_eq!(check.observe(reading(10, 0)), second(10));
    for offset in [25 * HOUR, -25 * HOUR, 31 * DAY] {
        let mut check = ClockCheck::new(reading(0, 0));
        assert_eq!(check.observe(reading(20, offset)), second(20), "{offset}");
        assert_eq!(check.jump.unwrap().offset.as_secs(), offset);
        // Corrected in time: nothing has happened.
        assert_eq!(check.observe(reading(300, 0)), second(300));
        assert_eq!(check.jump, None);
        assert_eq!(check.adopt(reading(300, 0)), None);
        // It comes again, and lasts.
        assert_eq!(check.observe(reading(1_000, offset)), second(1_000));
        assert_eq!(check.observe(reading(1_599, offset)), second(1_599));
        assert_eq!(check.adopt(reading(1_599, offset)), None);
        // Accepted, and the time only when it is adopted.
        assert_eq!(check.observe(reading(1_600, offset)), second(1_600));
        assert!(check.has_accepted());
        let by = SignedDuration::from_secs(offset);
        let adopted = check.adopt(reading(1_601, offset));
        assert_eq!(adopted, Some((second(1_601 + offset), by)));
        let now = check.observe(reading(1_602, offset));
        assert_eq!(now, second(1_602 + offset));
        assert_eq!(check.jump, None);
        // And back, confirmed.
        assert_eq!(check.observe(reading(1_700, 0)), second(1_700 + offset));
        assert!(check.confirm(reading(1_701, 0)).is_some());
        assert_eq!(check.observe(reading(1_701, 0)), second(1_701 + offset));
        let adopted = check.adopt(reading(1_702, 0));
        assert_eq!(adopted, Some((second(1_702), -by)));
        assert_eq!(check.observe(reading(1_703, 0)), second(1_703));
    }
}

#[test]
fn suspended_time_is_no_jump() {
    let mut check = ClockCheck::new(reading(0, 0));
    // Both clocks go on while the machine sleeps for three days.
    assert_eq!(check.observe(reading(3 * DAY, 0)), second(3 * DAY));
    assert_eq!(check.jump, None);
}

#[test]
fn many_small_jumps_are_one_large_jump() {
    let mut check = ClockCheck::new(reading(0, 0));
    for step in 1..30 {
        check.observe(reading(step * 10, step * 50));
    }
    assert!(check.jump.is_some());
    assert!(check.observe(reading(300, 30 * 50)) <= second(360));
}

/// A record of the reading at `true_second`, by a process that saw no jump.
fn record(boot: &str, true_second: i64) -> ClockRecord {
    ClockRecord {
        boot: boot.to_owned(),
        at: reading(true_second, 0),
    }
}

#[test]
fn a_start_is_compared_with_the_newest_event() {
    let start = |newest: i64| ClockCheck::start(reading(0, 0), None, "b", Some(second(newest)));
    assert_eq!(start(-1_800).suspected(), None);
    assert_eq!(start(-1_800).observe(reading(0, 0)), second(0));
    // Behind: time does not run backwards.
    let mut check = start(31 * DAY);
    assert!(check.suspected().is_some());
    assert_eq!(check.observe(reading(60, 0)), second(31 * DAY + 60));
    check.observe(reading(600, 0));
    assert!(check.adopt(reading(600, 0)).is_some());
    assert_eq!(check.observe(reading(600, 0)), second(600));
    // Ahead: most likely the machine was off, so only ages are held back.
    let mut check = start(-31 * DAY);
    assert!(check.suspected().is_some());
    assert_eq!(check.observe(reading(60, 0)), second(60));
    assert_eq!(check.observe_age(reading(60, 0)), second(60 - 31 * DAY));
    assert_eq!(check.observe_age(reading(600, 0)), second(600));
    assert_eq!(check.suspected(), None);
}

#[test]
fn a_restart_of_one_boot_knows_the_time() {
    let last = record("boot", 1_000);
    let start = |now, boot| ClockCheck::start(now, Some(&last), boot, Some(second(900)));
    // The service was stopped for five hours.
    let later = 1_000 + 5 * HOUR;
    assert_eq!(start(reading(later, 0), "boot").suspected(), None);
    // The clock jumped meanwhile, or before: the process before this one did not trust it either.
    for offset in [25 * HOUR, -25 * HOUR, 31 * DAY] {
        let mut check = start(reading(later, offset), "boot");
        assert_eq!(check.suspected().unwrap().offset.as_secs(), offset);
        for time in [
            check.observe(reading(later, offset)),
            check.observe_age(reading(later, 0)),
        ] {
            assert_eq!(time, second(later));
        }
    }
    // After another boot the hours may be those without power.
    let mut check = start(reading(later, 0), "other");
    assert_eq!(check.suspected().unwrap().offset.as_secs(), 5 * HOUR);
    assert_eq!(check.observe(reading(later, 0)), second(later));
    assert_eq!(check.observe_age(reading(later, 0)), second(1_000));
    assert!(check.confirm(reading(later, 0)).is_some());
    assert_eq!(check.observe_age(reading(later, 0)), second(later));
    // A clock without a battery begins in 1970 or 2000.
    let mut check = start(reading(later, -10_000 * DAY), "other");
    assert_eq!(check.observe(reading(later, -10_000 * DAY)), second(1_000));
}

#[test]
fn a_jump_after_hours_without_power_is_a_jump() {
    let mut check = ClockCheck::start(reading(9 * HOUR, 0), None, "", Some(second(0)));
    let now = 9 * HOUR + 60;
    assert_eq!(check.observe(reading(now, 25 * HOUR)), second(now));
    assert_eq!(check.suspected().unwrap().offset.as_secs(), 25 * HOUR);
    assert_eq!(check.observe_age(reading(now, 25 * HOUR)), second(60));
}

proptest! {
    /// Against a naive definition over the whole history: the wall clock is used exactly if it is
    /// near the last trusted reading, or has agreed with itself for the whole period.
    #[test]
    fn ages_never_follow_a_short_jump(
        steps in prop::collection::vec((1..300_i64, prop::sample::select(
            vec![0, 0, 0, 10, -20, 25 * HOUR, -25 * HOUR, 31 * DAY],
        )), 1..60),
    ) {
        let mut check = ClockCheck::new(reading(0, 0));
        let (mut now, mut trusted, mut began) = (0, 0, None::<(i64, i64)>);
        for (wait, offset) in steps {
            now += wait;
            check.observe(reading(now, offset));
            check.adopt(reading(now, offset));
            let aging = check.observe(reading(now, offset)).as_second() - second(0).as_second();
            // `trusted` is the offset of a time that was used; only a jump that lasts changes it
            // by more than the limit (with the small corrections, by less than two).
            let used = aging - now;
            if (used - trusted).abs() > 120 {
                let (since, agreed) = began.expect("a jump was suspected before");
                prop_assert!((agreed - offset).abs() <= 60);
                prop_assert!(now - since >= 600, "{now} {since}");
                trusted = used;
            }
            began = match (began, check.jump) {
                (_, None) => None,
                (Some((since, agreed)), Some(_)) if (agreed - offset).abs() <= 60 => {
                    Some((since, agreed))
                }
                (_, Some(_)) => Some((now, offset)),
            };
        }
    }
}
