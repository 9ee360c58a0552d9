use jiff::Timestamp;
use proptest::prelude::*;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::Action;

use super::*;
use crate::delivery::{ArchivePosition, DeliveryId};
use crate::phase::Phase;

/// A firing of a rule, number `number` of all.
fn firing(rule: &str, number: i64) -> Delivery {
    let action = Action::send("t", Json::Null);
    let event = EventIdentity::default();
    let actions = [(rule, &action)];
    let position = ArchivePosition {
        seq: number,
        received: Timestamp::UNIX_EPOCH,
    };
    Delivery {
        id: DeliveryId::derive(&event, position, rule, 0, None),
        phase: Phase::Fired,
        ..Delivery::for_actions(&event, actions, Timestamp::UNIX_EPOCH).remove(0)
    }
}

fn firings(rule: &str, count: i64) -> Vec<Delivery> {
    (0..count).map(|number| firing(rule, number)).collect()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn control() -> FloodControl {
    FloodControl::new(Some(FiringLimit::DEFAULT))
}

#[test]
fn twenty_firings_are_alone_and_the_rest_is_merged_a_minute_later() {
    let mut control = control();
    let all = firings("r", 500);
    for (number, one) in all.iter().enumerate() {
        let expected = if number < 20 {
            Admission::Alone
        } else {
            Admission::Held(seconds(60))
        };
        assert_eq!(control.admit(one, seconds(0)), expected);
    }
    assert_eq!(control.flooding(seconds(0)), ["r"]);
    for one in &all[20..] {
        assert_eq!(control.admit(one, seconds(60)), Admission::Merged);
    }
    control.record_merged(&all[20..], seconds(60));
    // They count: the next message about the rule comes a minute later.
    let late = firing("r", 1_000);
    assert_eq!(
        control.admit(&late, seconds(61)),
        Admission::Held(seconds(120))
    );
    assert_eq!(control.admit(&late, seconds(120)), Admission::Merged);
    control.record_merged(std::slice::from_ref(&late), seconds(120));
    assert_eq!(control.flooding(seconds(120)), Vec::<String>::new());
    assert_eq!(
        control.admit(&firing("r", 1_001), seconds(121)),
        Admission::Alone
    );
}

#[test]
fn other_rules_and_other_messages_are_not_held() {
    let mut control = control();
    for one in firings("r", 21) {
        control.admit(&one, seconds(0));
    }
    assert_eq!(control.admit(&firing("s", 0), seconds(0)), Admission::Alone);
    let message = Delivery {
        phase: Phase::Event,
        ..firing("r", 50)
    };
    assert_eq!(control.admit(&message, seconds(0)), Admission::Alone);
    let partly = Delivery {
        delivered_parts: vec!["1/3".into()],
        ..firing("r", 51)
    };
    assert_eq!(control.admit(&partly, seconds(0)), Admission::Alone);
    let mut none = FloodControl::new(None);
    for one in firings("r", 100) {
        assert_eq!(none.admit(&one, seconds(0)), Admission::Alone);
    }
}

#[test]
fn another_attempt_of_a_firing_is_no_other_message() {
    let mut control = control();
    let all = firings("r", 20);
    for at in [0, 1, 59] {
        for one in &all {
            assert_eq!(control.admit(one, seconds(at)), Admission::Alone);
        }
    }
}

#[test]
fn rules_are_forgotten_after_the_period() {
    let mut control = control();
    for one in firings("r", 500) {
        control.admit(&one, seconds(0));
    }
    assert_eq!(control.flooding(seconds(119)), ["r"]);
    // What was held was cancelled.
    assert_eq!(control.flooding(seconds(120)), Vec::<String>::new());
    assert!(control.rules.is_empty());
}

/// The same by the list of everything that was ever admitted.
#[derive(Default)]
struct Naive {
    admitted: Vec<(SignedDuration, String, Admitted)>,
    held_until: BTreeMap<String, SignedDuration>,
}

impl Naive {
    fn count(&self, rule: &str, at: SignedDuration) -> usize {
        let recent = self
            .admitted
            .iter()
            .filter(|(admitted, of, _)| of == rule && at - *admitted < FiringLimit::DEFAULT.per);
        recent.map(|(.., one)| one.count()).sum()
    }

    fn admit(&mut self, delivery: &Delivery, now: SignedDuration) -> Admission {
        let (limit, rule) = (FiringLimit::DEFAULT, delivery.rule.as_str());
        if let Some(until) = self.held_until.get(rule)
            && now - *until >= limit.per
        {
            self.held_until.remove(rule);
        }
        let is_known = self.admitted.iter().any(|(at, _, one)| {
            now - *at < limit.per
                && matches!(one, Admitted::One(one) if *one == FiringIdentity::of(delivery))
        });
        if is_known {
            return Admission::Alone;
        }
        let held = self.held_until.get(rule).copied();
        if let Some(until) = held.filter(|until| now < *until) {
            return Admission::Held(until);
        }
        // The first second from now on at which few enough are within the period.
        let free = (0..=60)
            .map(|after| now + seconds(after))
            .find(|at| self.count(rule, *at) < limit.firings);
        let free = free.unwrap();
        if free > now {
            self.held_until.insert(rule.to_owned(), free);
            return Admission::Held(free);
        }
        if held.is_some() {
            return Admission::Merged;
        }
        let admitted = (
            now,
            rule.to_owned(),
            Admitted::One(FiringIdentity::of(delivery)),
        );
        self.admitted.push(admitted);
        Admission::Alone
    }

    fn record_merged(&mut self, firings: &[Delivery], now: SignedDuration) {
        let rule = firings[0].rule.clone();
        let admitted = match firings {
            [one] => Admitted::One(FiringIdentity::of(one)),
            several => Admitted::Merged(several.len()),
        };
        self.held_until.remove(&rule);
        self.admitted.push((now, rule, admitted));
    }
}

proptest! {
    /// Firings of two rules come in bursts; what is held comes again when it may be sent.
    #[test]
    fn admissions_equal_those_by_the_whole_history(
        bursts in prop::collection::vec((0_i64..90, 0_usize..2, 1_i64..30), 1..30),
    ) {
        let (mut control, mut naive) = (control(), Naive::default());
        let (mut number, mut now) = (0, 0);
        let mut due: BTreeMap<i64, Vec<Delivery>> = BTreeMap::new();
        for (pause, rule, count) in bursts {
            now += pause;
            let rule = ["r", "s"][rule];
            due.entry(now).or_default().extend((0..count).map(|one| firing(rule, number + one)));
            number += count;
        }
        let (mut alone, mut merged) = (Vec::new(), 0);
        while let Some((at, batch)) = due.pop_first() {
            let mut groups: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
            for one in batch {
                let admission = control.admit(&one, seconds(at));
                prop_assert_eq!(admission, naive.admit(&one, seconds(at)));
                match admission {
                    Admission::Alone => alone.push((at, one.rule)),
                    Admission::Held(until) => {
                        prop_assert!(until > seconds(at) && until <= seconds(at + 60));
                        due.entry(until.as_secs()).or_default().push(one);
                    }
                    Admission::Merged => groups.entry(one.rule.clone()).or_default().push(one),
                }
            }
            for group in groups.values() {
                merged += group.len();
                control.record_merged(group, seconds(at));
                naive.record_merged(group, seconds(at));
            }
        }
        // Nothing is lost, and no minute has more than twenty messages of single firings.
        prop_assert_eq!(i64::try_from(alone.len() + merged).unwrap(), number);
        for (at, rule) in &alone {
            let within = alone.iter().filter(|(other, of)| {
                of == rule && (*at..at + 60).contains(other)
            });
            prop_assert!(within.count() <= 20);
        }
    }
}
