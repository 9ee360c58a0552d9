use super::*;
use crate::operate::what_if::tests::compare_texts;

/// An action, an emitted event, a cancelled name and a failure in one line each.
fn line(effect: &ReactionEffect) -> String {
    match effect {
        ReactionEffect::Action(action) => {
            let action = Action::from_json(action).unwrap();
            let payload = action.to_flat_json();
            let payload = payload.get("payload").or(payload.get("text")).unwrap();
            format!("{} {payload}", action.target())
        }
        ReactionEffect::Emit(event) => format!("emit {event}"),
        ReactionEffect::Cancel(name) => format!("cancel {name}"),
        ReactionEffect::Failure(message) => format!("fail {message}"),
    }
}

/// Texts before and after, events with other effects, and the newest of these before and after.
type Case<'a> = (String, String, u64, &'a [&'a str], &'a [&'a str]);

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.effects.iter().map(line).collect()
}

/// Of ten events with `n` from 1, with these texts before and after.
fn found(before: &str, after: &str) -> ReactionChanges {
    let found = compare_texts(before, after, &WhatIfLimits::LIMITS).unwrap();
    assert!(!found.has_window);
    found.reactions.unwrap()
}

#[test]
fn changed_reactions_are_counted_and_shown() {
    let script = |script: &str| format!("when = 'n >= 9'\nthen = '''\n{script}\n'''");
    let send = script(r#"send("a", event.n);"#);
    let moved = format!("\n\n{}", script(r#"throw "no";"#));
    let window = "count = { at_least = 2, within = \"1h\" }\nby = \"id\"\n";
    let window = format!("{window}when = 'n >= 9'\nnotify = ['a']");
    let none: [&str; 0] = [];
    let table: [Case<'_>; 9] = [
        (send.clone(), send.clone(), 0, &none, &none),
        (
            send.clone(),
            script(r#"let n = event.n; send("a", n); log("sent"); set("x", n);"#),
            0,
            &none,
            &none,
        ),
        (
            send.clone(),
            script(r#"send("b", event.n);"#),
            2,
            &["a 10"],
            &["b 10"],
        ),
        // From the first that differs.
        (
            send.clone(),
            script(r#"send("a", event.n); if event.n == 9 { send("c", 1); }"#),
            1,
            &none,
            &["c 1"],
        ),
        (
            send.clone(),
            script(r#"throw "no";"#),
            2,
            &["a 10"],
            &["fail rule.toml:3:1: no"],
        ),
        (moved, script(r#"throw "no";"#), 0, &none, &none),
        (
            send.clone(),
            script(r#"cancel("later"); emit(#{name: "x"});"#),
            2,
            &["a 10"],
            &["cancel later", r#"emit {"name":"x"}"#],
        ),
        // As if it were enabled, and on an empty state.
        (
            send.clone(),
            format!("enabled = false\n{}", script(r#"send("a", get("n"));"#)),
            2,
            &["a 10"],
            &["a null"],
        ),
        (
            script(r#"skip("small");"#),
            send.clone(),
            2,
            &none,
            &["a 10"],
        ),
    ];
    for (before, after, changed, first, second) in table {
        let found = found(&before, &after);
        assert_eq!((found.compared, found.left_out), (2, 0), "{after}");
        assert_eq!(found.changed, changed, "{after}");
        assert_eq!(found.examples.len() as u64, changed, "{after}");
        let Some(example) = found.examples.first() else {
            continue;
        };
        assert_eq!(lines(&example.before), first, "{after}");
        assert_eq!(lines(&example.after), second, "{after}");
    }
    for [before, after] in [[&send, &window], [&window, &send]] {
        let found = compare_texts(before, after, &WhatIfLimits::LIMITS).unwrap();
        assert!(found.has_window && found.reactions.is_none());
        assert_eq!((found.before, found.after), (2, 2));
    }
}

#[test]
fn newly_matched_events_have_what_would_be_sent() {
    let before = "when = 'n >= 9'\nnotify = ['a']";
    let found = found(before, "when = 'n >= 8'\nthen = 'send(\"b\", event.n)'");
    assert_eq!((found.compared, found.changed), (2, 2));
    let [newly] = found.newly.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(newly.event.seq, 8);
    assert_eq!(newly.before, Outcome::default());
    assert_eq!(lines(&newly.after), ["b 8"]);
}

#[test]
fn limits_of_reactions_are_reached() {
    let before = "when = 'n >= 5'\nnotify = ['a']";
    let after = "when = 'n >= 4'\nthen = 'for n in 0..7 { send(\"b\", n); }'";
    let limits = WhatIfLimits {
        reactions: 3,
        ..WhatIfLimits::LIMITS
    };
    let found = compare_texts(before, after, &limits).unwrap();
    let reactions = found.reactions.unwrap();
    assert_eq!((reactions.compared, reactions.left_out), (3, 3));
    assert_eq!((found.before, found.after, found.compared), (6, 7, 10));
    assert!(reactions.newly.is_empty());

    let limits = WhatIfLimits {
        examples: 1,
        effects: 2,
        ..WhatIfLimits::LIMITS
    };
    let found = compare_texts(before, after, &limits).unwrap().reactions;
    let found = found.unwrap();
    assert_eq!((found.changed, found.examples.len()), (6, 1));
    let shown = &found.examples[0].after;
    assert_eq!((shown.effects.len(), shown.left_out), (2, 5));

    let limits = WhatIfLimits {
        reaction_time: Duration::ZERO,
        ..WhatIfLimits::LIMITS
    };
    let found = compare_texts(before, after, &limits).unwrap().reactions;
    let found = found.unwrap();
    assert_eq!((found.compared, found.left_out), (0, 6));
    // Time that ends between the runs of one evaluation.
    let time = TimeLeft {
        began: Instant::now(),
        left: Duration::ZERO,
    };
    let rules = RuleSet::compile([("a.toml", before)]).unwrap();
    let event = NativeEvent::from_json(r#"{"n": 5}"#).unwrap();
    let matched = rules.matching(&event);
    let now = Timestamp::UNIX_EPOCH;
    let ended = rules.evaluate_within(&event, &matched, &NoState, now, None, &time);
    assert_eq!(effects(ended), None);
}

#[test]
fn locations_are_no_difference() {
    for (message, rest) in [
        ("a.toml:3:10: no", "no"),
        ("b.toml:3:10: no", "b.toml:3:10: no"),
        ("a.toml: no", "a.toml: no"),
        ("a.toml:3: no", "a.toml:3: no"),
    ] {
        assert_eq!(without_location(message, "a.toml"), rest);
    }
}
