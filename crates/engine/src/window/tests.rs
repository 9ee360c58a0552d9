use proptest::prelude::*;

use super::naive::{self, Event};
use super::*;

/// Seconds, so that numbers in failing cases are small.
const SECOND: Micros = 1_000_000;

#[derive(Debug, Clone)]
struct Scenario {
    window: Window,
    events: Vec<Event>,
    end: Micros,
    /// How the reaction to each firing ends, by the position of its opening event.
    endings: Vec<Ending>,
}

fn window() -> impl Strategy<Value = Window> {
    let within = (1..30_i64).prop_map(|s| s * SECOND);
    let quiet = prop::option::of((1..40_i64).prop_map(|s| s * SECOND));
    let span = prop_oneof![
        within.clone().prop_map(Span::Within),
        within.clone().prop_map(Span::Every)
    ];
    let shape = prop_oneof![
        3 => (1..5_usize, span, quiet.clone()).prop_map(|(at_least, span, quiet)| {
            Shape::Count(Count { at_least, span, quiet })
        }),
        3 => prop::collection::vec(within.clone(), 1..4)
            .prop_map(|within| Shape::Sequence(Sequence { within })),
        4 => (within.clone(), any::<bool>())
            .prop_map(|(within, restart)| Shape::Absence(Absence { within, restart })),
        1 => within.clone().prop_map(|duration| Shape::Silence(Silence { duration })),
        1 => (within, quiet, 1..6_u64)
            .prop_map(|(within, idle, max)| Shape::Batch(Batch { within, idle, max })),
    ];
    let seconds = |range: std::ops::Range<i64>| range.prop_map(|s| s * SECOND);
    (
        shape,
        seconds(1..6),
        seconds(1..20),
        seconds(30..200),
        any::<bool>(),
    )
        .prop_map(|(shape, grace, settle, forget, resolves)| Window {
            shape,
            grace,
            settle,
            forget,
            resolves,
        })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let event = (
        // Often at the same time as the one before, sometimes much later.
        prop_oneof![3 => 0..4_i64, 1 => 0..60_i64],
        // Most are on time, and some come late.
        prop_oneof![3 => Just(0), 2 => 0..40_i64],
        1..16_u32,
        prop::option::of(0..4_u8),
    );
    let ending = prop_oneof![
        4 => Just(Ending::Completed),
        1 => Just(Ending::Suppressed),
        1 => Just(Ending::Failed),
    ];
    let events = prop::collection::vec(event, 0..24);
    let endings = prop::collection::vec(ending, 24);
    (window(), events, endings, any::<bool>(), 0..100_i64).prop_map(
        |(window, events, endings, distinct, rest)| {
            let mut at = 1000 * SECOND;
            let events = events.into_iter().zip(0..);
            let events: Vec<_> = events
                .map(|((step, late, roles, value), position)| {
                    at += step * SECOND;
                    let time = at - late * SECOND;
                    let value = value.filter(|_| distinct).map(|value| value.to_string());
                    Event {
                        seen: Seen { time, position, at },
                        roles: roles_of(roles, &window.shape),
                        value,
                        is_relevant: true,
                    }
                })
                .filter(|event| !event.roles.is_empty())
                .collect();
            Scenario {
                window,
                events,
                end: at + rest * SECOND,
                endings,
            }
        },
    )
}

/// Roles that the shape has, of four random bits.
fn roles_of(bits: u32, shape: &Shape) -> Roles {
    let steps = match shape {
        Shape::Sequence(sequence) => sequence.within.len(),
        Shape::Absence(_) => 1,
        _ => return Roles::OPENING,
    };
    let mut roles = Roles::default();
    if bits & 1 == 1 {
        roles = roles.and(Roles::OPENING);
    }
    for step in 0..steps {
        if bits >> (step + 1) & 1 == 1 {
            roles = roles.and(Roles::step(step));
        }
    }
    if matches!(shape, Shape::Sequence(_)) && bits == 15 {
        roles = roles.and(Roles::UNTIL);
    }
    roles
}

/// What the incremental evaluation fires. The state is written and read again at each step, as it
/// is where a service restarts.
fn incremental(scenario: &Scenario) -> Vec<(Micros, Firing)> {
    let window = &scenario.window;
    let ending = |firing: &Firing| ending(scenario, firing);
    let (mut text, mut fired) = (None::<String>, Vec::new());
    let mut newest_late = None;
    let read = |text: &Option<String>, at: Micros| match text {
        Some(text) => {
            let state: KeyState = serde_json::from_str(text).unwrap();
            let expired = window.expires(&state).is_some_and(|expires| expires <= at);
            if expired { KeyState::default() } else { state }
        }
        None => KeyState::default(),
    };
    let advance = |text: &mut Option<String>, to, newest_late, fired: &mut Vec<_>| {
        let mut state = read(text, to);
        while let Some(due) = window.due(&state, newest_late).filter(|due| *due <= to) {
            let firing = window.fire(&mut state, due, newest_late).unwrap();
            fired.push((due, firing.clone()));
            window.end(&mut state, &firing, ending(&firing), due);
        }
        *text = Some(serde_json::to_string(&state).unwrap());
    };
    if let Some(first) = scenario.events.first() {
        let mut state = KeyState::default();
        window.arm(&mut state, first.seen.at);
        text = Some(serde_json::to_string(&state).unwrap());
    } else {
        let mut state = KeyState::default();
        window.arm(&mut state, scenario.end);
        text = Some(serde_json::to_string(&state).unwrap()).or(text);
    }
    for event in &scenario.events {
        let at = event.seen.at;
        advance(&mut text, at, newest_late, &mut fired);
        if event.seen.is_late(window.grace) {
            newest_late = Some(at);
        }
        let mut state = read(&text, at);
        let arrival = Arrival {
            seen: event.seen,
            own_time: Some(event.seen.time),
            roles: event.roles,
            value: event.value.as_deref(),
            bytes: 10,
            hop: 0,
        };
        if let Some(firing) = window.apply(&mut state, &arrival).firing {
            fired.push((at, firing.clone()));
            window.end(&mut state, &firing, ending(&firing), at);
        }
        text = Some(serde_json::to_string(&state).unwrap());
    }
    advance(&mut text, scenario.end, newest_late, &mut fired);
    fired
}

fn ending(scenario: &Scenario, firing: &Firing) -> Ending {
    let at = usize::try_from(firing.opening.position).unwrap();
    scenario.endings[at % scenario.endings.len()]
}

#[test]
fn sequences_remember_a_bounded_number_of_events() {
    let window = Window {
        shape: Shape::Sequence(Sequence {
            within: vec![1_000 * SECOND, 1_000 * SECOND],
        }),
        grace: SECOND,
        settle: SECOND,
        forget: SECOND,
        resolves: false,
    };
    let mut state = KeyState::default();
    let mut most = 0;
    for position in 0..1_000_u64 {
        let time = i64::try_from(position).unwrap();
        // Opening events, then first steps, each of which goes on with the newest before it.
        let roles = if position % 100 < 60 {
            Roles::OPENING
        } else {
            Roles::step(0)
        };
        let seen = Seen {
            time,
            position,
            at: 1_000,
        };
        let arrival = Arrival {
            seen,
            own_time: Some(seen.time),
            roles,
            value: None,
            bytes: 1,
            hop: 0,
        };
        assert_eq!(window.apply(&mut state, &arrival).firing, None);
        let Progress::Sequence(progress) = &state.progress else {
            panic!("{state:?}");
        };
        most = most.max(progress.events());
    }
    let bound = 2 * sequence::MAX_REMEMBERED;
    assert!((bound..bound + 4).contains(&most), "{most}");
}

#[test]
fn absences_keep_a_bounded_number_of_events() {
    let window = Window {
        shape: Shape::Absence(Absence {
            within: 1_000_000 * SECOND,
            restart: false,
        }),
        grace: SECOND,
        settle: SECOND,
        forget: SECOND,
        resolves: false,
    };
    let arrival = |time: Micros, position: u64, roles| Arrival {
        seen: Seen {
            time,
            position,
            at: i64::try_from(position).unwrap(),
        },
        own_time: Some(time),
        roles,
        value: None,
        bytes: 1,
        hop: 0,
    };
    let mut state = KeyState::default();
    for position in 0..300_u64 {
        let time = i64::try_from(position).unwrap();
        window.apply(&mut state, &arrival(time, position, Roles::OPENING));
    }
    // The first ones and the last.
    let positions = Window::positions(&state);
    assert_eq!(positions.len(), MAX_EVENTS);
    assert_eq!((positions[0], positions[MAX_EVENTS - 1]), (0, 299));
    let due = window.due(&state, None).unwrap();
    let firing = window.fire(&mut state, due, None).unwrap();
    assert_eq!((firing.count, firing.events.len()), (300, MAX_EVENTS));
    // Each closing event is later than the one before by application, and earlier by its own time.
    for position in 0..50_u64 {
        let time = -i64::try_from(position).unwrap();
        window.apply(&mut state, &arrival(time, 300 + position, Roles::step(0)));
    }
    let Progress::Absence(progress) = &state.progress else {
        panic!("{state:?}");
    };
    assert_eq!(progress.closings(), absence::MAX_CLOSINGS);
}

#[test]
fn batches_end_at_their_size() {
    let window = Window {
        shape: Shape::Batch(Batch {
            within: SECOND,
            idle: None,
            max: 1_000,
        }),
        grace: 0,
        settle: SECOND,
        forget: SECOND,
        resolves: false,
    };
    let mut state = KeyState::default();
    let bytes = batch::MAX_BYTES / 3;
    let fired = [bytes, bytes, bytes, 1, 1].map(|bytes| {
        let seen = Seen {
            time: 0,
            position: 0,
            at: 0,
        };
        let arrival = Arrival {
            seen,
            own_time: Some(seen.time),
            roles: Roles::OPENING,
            value: None,
            bytes,
            hop: 0,
        };
        let applied = window.apply(&mut state, &arrival);
        applied.firing.map_or(0, |firing| firing.count)
    });
    assert_eq!(fired, [0, 0, 0, 4, 0]);
}

proptest! {
    #[test]
    fn incremental_evaluation_equals_the_naive_twin(scenario in scenario()) {
        let ending = |firing: &Firing| ending(&scenario, firing);
        let expected = naive::firings(&scenario.window, &scenario.events, scenario.end, &ending);
        prop_assert_eq!(incremental(&scenario), expected);
    }
}
