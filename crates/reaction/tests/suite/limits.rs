//! Every limit is reached at its value, and not below.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_reaction::{
    Effects, Entry, Input, KeptMatches, MemoryState, NoState, Reaction, ReactionError,
    ReactionLimits, State, sealed,
};

use crate::{event, now, rule};

fn run_with_limits(limits: ReactionLimits, script: &str) -> Result<Effects, ReactionError> {
    Reaction::compile(script, &limits)
        .unwrap()
        .run(&Input::new(&event(), &rule(), now()), &MemoryState::new())
}

/// Asserts that the script is within the first limits and exceeds the named one of the second.
fn reaches(name: &str, sufficient: ReactionLimits, exceeded: ReactionLimits, script: &str) {
    run_with_limits(sufficient, script).unwrap_or_else(|error| panic!("{name}: {error}"));
    match run_with_limits(exceeded, script) {
        Err(ReactionError::Limit { limit, .. }) => assert_eq!(limit, name),
        other => panic!("{name} was not exceeded: {other:?}"),
    }
}

/// Asserts that a script is within the limit with the first value and exceeds it with the second.
macro_rules! reaches {
    ($limit:ident, $sufficient:literal, $exceeded:literal, $script:expr) => {
        let with = |value| {
            let mut limits = ReactionLimits::DEFAULT;
            limits.$limit = value;
            limits
        };
        reaches(
            stringify!($limit),
            with($sufficient),
            with($exceeded),
            $script,
        );
    };
}

#[test]
fn each_limit_of_a_run_is_reached() {
    let count = "let n = 0; while n < 10 { n += 1; }";
    reaches!(operations, 100, 50, count);
    let recurse = "fn f(n) { if n > 1 { f(n - 1) } } f(5);";
    reaches!(call_depth, 5, 4, recurse);
    // Three variables are predefined.
    let variables = "let a = 1; let b = 2; if true { let c = 3; }";
    reaches!(variables, 6, 5, variables);
    reaches!(string, 10, 9, r#"let a = "12345"; a += "67890";"#);
    reaches!(array, 4, 3, "let a = [1, 2]; a.push([3]);");
    reaches!(map, 3, 2, "let m = #{a: 1}; m.b = #{c: 2};");
    reaches!(depth, 3, 2, r#"send("t", [[#{a: 1}]])"#);
    reaches!(actions, 2, 1, r#"notify("t", "x"); send("t", 1);"#);
    let named = r#"let k = "abc"; notify("t", #{text: "x", key: k});"#;
    reaches!(delay_key_bytes, 3, 2, named);
    reaches!(delay_key_bytes, 3, 2, r#"let k = "abc"; cancel(k)"#);
    reaches!(cancelled, 2, 1, r#"cancel("a"); cancel("b"); cancel("a");"#);
    reaches!(
        effect_bytes,
        2,
        1,
        r#"cancel("a"); cancel("b"); cancel("a");"#
    );
    reaches!(
        action_bytes,
        4,
        3,
        r#"send("t", 1, #{after: "1m", key: "ab"})"#
    );
    reaches!(emitted, 2, 1, "emit(#{}); emit(#{});");
    reaches!(action_bytes, 10, 8, r#"send("t", [1, "ab"])"#);
    let message = r#"notify("t", #{title: "ab", text: "cd", link: "ef", at: ["gh"]})"#;
    reaches!(action_bytes, 9, 8, message);
    let together = r#"send("t", 1); notify("t", "x"); log("12"); set("k", 1); emit(#{});"#;
    reaches!(effect_bytes, 8, 7, together);
    reaches!(state_keys, 2, 1, r#"get("a"); set("b", 1); get("a");"#);
    reaches!(state_key_bytes, 3, 2, r#"get("abc")"#);
    reaches!(state_value_bytes, 5, 4, r#"set("k", "abc")"#);
    reaches!(state_entries, 2, 1, r#"set("a", 1); set("b", 1);"#);
}

#[test]
fn a_delay_has_a_longest_value() {
    let with = |seconds| {
        let mut limits = ReactionLimits::DEFAULT;
        limits.delay = Duration::from_secs(seconds);
        limits
    };
    for script in [
        r#"let wait = "1m"; notify("t", #{text: "x", after: wait});"#,
        r#"let wait = "1m"; send("t", 1, #{after: wait});"#,
    ] {
        reaches("delay", with(60), with(59), script);
    }
    // Written in the call, they are found at load.
    for script in [
        r#"notify("t", #{text: "x", after: "31d"})"#,
        r#"send("t", 1, #{after: "721h"})"#,
    ] {
        let error = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap_err();
        assert!(error.to_string().contains("is longer than 30d"), "{error}");
    }
    let key = "k".repeat(201);
    let error = Reaction::compile(&format!("cancel(\"{key}\")"), &ReactionLimits::DEFAULT);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("the key of `cancel` has more than 200 bytes"),
        "{error}"
    );
}

#[test]
fn a_log_over_its_limits_is_cut_and_the_actions_stay() {
    // The limits, a script, and the log and the notes of its run.
    type Case = (
        fn(&mut ReactionLimits),
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: [Case; 7] = [
        (|l| l.log_bytes = 3, r#"log("abc")"#, &["abc"], &[]),
        (
            |l| l.log_bytes = 2,
            r#"log("abc")"#,
            &["ab…"],
            &["log: 1 line cut to 2 bytes"],
        ),
        (
            |l| l.log_bytes = 4,
            r#"log("网络"); log([1, 2, 3])"#,
            &["网…", "[1,2…"],
            &["log: 2 lines cut to 4 bytes"],
        ),
        (|l| l.log_lines = 2, "log(1); log(2)", &["1", "2"], &[]),
        (
            |l| l.log_lines = 1,
            "log(1); log(2); log(3)",
            &["1"],
            &["log: 2 lines left out; a run may log 1 lines and 4,194,304 bytes"],
        ),
        (
            |l| l.effect_bytes = 6,
            r#"log("abcde"); log("fg"); log("h")"#,
            &["abcde", "h"],
            &["log: 1 line left out; a run may log 100 lines and 6 bytes"],
        ),
        (
            |l| l.depth = 1,
            "log([[1]]); log([1])",
            &["[1]"],
            &["log: 1 line left out; a run may log 100 lines and 4,194,304 bytes"],
        ),
    ];
    for (set, script, log, notes) in cases {
        let mut limits = ReactionLimits::DEFAULT;
        set(&mut limits);
        let script = format!(r#"notify("t", "x"); {script}; set("k", 1);"#);
        let effects = run_with_limits(limits, &script).unwrap();
        assert_eq!(effects.log, log, "{script}");
        assert_eq!(effects.notes, notes, "{script}");
        assert_eq!(
            (effects.actions.len(), effects.changes.len()),
            (1, 1),
            "{script}"
        );
    }
}

#[test]
fn a_long_reason_of_skip_is_cut_with_a_note() {
    let mut limits = ReactionLimits::DEFAULT;
    limits.log_bytes = 3;
    let run = |script| run_with_limits(limits, script).unwrap();
    assert_eq!(run(r#"skip("abc")"#).notes, [""; 0]);
    let effects = run(r#"set("k", 1); skip("abcd"); set("k", 2);"#);
    assert_eq!(effects.skipped.as_deref(), Some("abc…"));
    assert_eq!(effects.notes, ["skip: the reason cut to 3 bytes"]);
    assert_eq!(effects.changes.len(), 1);
}

#[test]
fn existing_state_entries_count() {
    let mut limits = ReactionLimits::DEFAULT;
    limits.state_entries = 2;
    let mut state = MemoryState::new();
    state.apply(
        &rule().name,
        &run_with_limits(limits, r#"set("a", 1); set("b", 1)"#)
            .unwrap()
            .changes,
    );
    let run = |script| {
        Reaction::compile(script, &limits)
            .unwrap()
            .run(&Input::new(&event(), &rule(), now()), &state)
            .map(|_| ())
    };
    assert_eq!(run(r#"set("a", 2); set("b", 2)"#), Ok(()));
    assert_eq!(run(r#"remove("a"); set("c", 1)"#), Ok(()));
    assert!(
        run(r#"set("c", 1)"#)
            .unwrap_err()
            .to_string()
            .contains("more than 2 state entries")
    );
}

#[test]
fn a_run_is_stopped_at_its_deadline() {
    let ticks = Cell::new(0);
    let stopwatch = || {
        ticks.set(ticks.get() + 1);
        Duration::from_millis(10 * ticks.get())
    };
    let event = event();
    let rule = rule();
    let input = Input::new(&event, &rule, now()).with_stopwatch(&stopwatch);
    let reaction = Reaction::compile(
        "loop { try { loop {} } catch {} }",
        &ReactionLimits::DEFAULT,
    )
    .unwrap();
    let error = reaction.run(&input, &MemoryState::new()).unwrap_err();
    assert!(
        matches!(
            &error,
            ReactionError::Limit {
                limit: "deadline",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("the script runs for more than 50ms"),
        "{error}"
    );
    let short = Reaction::compile("log(1)", &ReactionLimits::DEFAULT).unwrap();
    assert_eq!(short.run(&input, &MemoryState::new()).unwrap().log, ["1"]);
}

#[test]
fn a_nested_run_does_not_affect_the_outer_one() {
    struct Reentrant;
    impl sealed::Sealed for Reentrant {}
    impl State for Reentrant {
        fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Arc<Entry>> {
            let inner = run_with_limits(ReactionLimits::DEFAULT, r#"log("inner"); throw "inner""#)
                .unwrap_err();
            Some(Entry::new(inner.message().into()).into())
        }

        fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
            true
        }

        fn has_room(&self, _: &str, _: usize, _: usize, _: Timestamp) -> bool {
            true
        }

        fn matches(&self) -> &dyn KeptMatches {
            &NoState
        }
    }
    let reaction =
        Reaction::compile(r#"log("outer"); log(get("k"))"#, &ReactionLimits::DEFAULT).unwrap();
    let effects = reaction
        .run(&Input::new(&event(), &rule(), now()), &Reentrant)
        .unwrap();
    assert_eq!(effects.log, ["outer", "inner"]);
}

#[test]
fn a_panic_fails_one_reaction_only() {
    struct Broken;
    impl sealed::Sealed for Broken {}
    impl State for Broken {
        fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Arc<Entry>> {
            panic!("the disk is gone")
        }

        fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
            true
        }

        fn has_room(&self, _: &str, _: usize, _: usize, _: Timestamp) -> bool {
            true
        }

        fn matches(&self) -> &dyn KeptMatches {
            &NoState
        }
    }
    let reaction = Reaction::compile(r#"log(get("k"))"#, &ReactionLimits::DEFAULT).unwrap();
    let (event, rule) = (event(), rule());
    let input = Input::new(&event, &rule, now());
    assert_eq!(
        reaction.run(&input, &Broken).unwrap_err().to_string(),
        "the script interpreter panicked: the disk is gone"
    );
    assert_eq!(
        reaction.run(&input, &MemoryState::new()).unwrap().log,
        ["null"]
    );
}

#[test]
fn reactions_can_be_sent_between_threads() {
    fn is_sendable<T: Send + Sync + Clone>() {}
    is_sendable::<Reaction>();
    is_sendable::<reflexarc_reaction::ScriptEvent>();
    is_sendable::<reflexarc_reaction::Template>();
}
