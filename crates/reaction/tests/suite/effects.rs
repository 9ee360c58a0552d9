//! The effects of valid calls, and the errors of invalid ones.

use std::sync::Arc;

use reflexarc_event::Json;
use reflexarc_reaction::{
    Action, Entry, Input, KeptMatches, Level, MemoryState, Message, NoState, Reaction,
    ReactionLimits, State, StateChange, Timestamp, sealed,
};

use crate::{fails, now, rule, run, run_on};

#[test]
fn a_string_becomes_a_message_with_the_rules_level() {
    let effects = run(r#"notify("network-team", `${event.content.operation} failed`)"#).unwrap();
    let message = Message::new("AttachNetworkInterface failed").with_level(Level::Warn);
    assert_eq!(effects.actions, [Action::notify("network-team", message)]);
}

#[test]
fn a_map_sets_every_field_of_a_message() {
    let effects = run(r#"notify("t", #{
        title: "a", text: "b", level: "CRITICAL", at: ["all", 13800000000], link: "https://x.test",
    })"#)
    .unwrap();
    let message = Message::new("b")
        .with_title("a")
        .with_level(Level::Critical)
        .with_at(["all", "13800000000"])
        .with_link("https://x.test");
    assert_eq!(effects.actions, [Action::notify("t", message)]);
}

#[test]
fn optional_fields_that_are_missing_are_left_out() {
    let expected = run(r#"notify("t", #{text: "b"})"#).unwrap().actions;
    for field in ["title", "level", "at", "link"] {
        let script = format!(r#"notify("t", #{{text: "b", {field}: event.nowhere}})"#);
        assert_eq!(run(&script).unwrap().actions, expected, "{field}");
    }
    let all = r#"notify("t", #{title: (), text: "b", level: (), at: [(), ()], link: ()})"#;
    assert_eq!(run(all).unwrap().actions, expected);
    let message = fails(r#"notify("t", #{title: event.nowhere, text: event.nowhere})"#);
    assert!(message.contains("needs a `title` or a `text`"), "{message}");
}

#[test]
fn payloads_keep_numbers_and_are_sorted_by_key() {
    let effects = run(r#"send("cmdb", #{
        z: event.content.count, a: event.content.ratio,
        ips: event.content.secondaryPrivateIps, none: (),
    })"#)
    .unwrap();
    let Action::Send { payload, .. } = &effects.actions[0] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        payload.to_string(),
        r#"{"a":0.25,"ips":["192.168.0.9","10.0.0.7"],"none":null,"z":3}"#
    );
}

#[test]
fn a_missing_field_is_unit() {
    let effects = run(r"
        log(type_of(event.nowhere));
        log(event.nowhere?.deeper?.still == ());
        log(event.content?.eniId);
    ")
    .unwrap();
    assert_eq!(effects.log, ["()", "true", "eni-bp1"]);
    let message = fails("let x = event.nowhere.deeper;");
    assert!(
        message.starts_with("line 1, column 23: cannot read `deeper` of a missing value (`()`)"),
        "{message}"
    );
}

#[test]
fn rule_and_time_are_predefined() {
    let effects = run("log(`${rule.name} ${rule.level} ${rule.description} ${now}`)").unwrap();
    assert_eq!(
        effects.log,
        ["failed-operation warn Notify about failures 1554783506922"]
    );
}

#[test]
fn methods_cannot_change_predefined_variables() {
    for script in [
        "event.content.clear();",
        "event.content.secondaryPrivateIps.push(1);",
        "rule.clear();",
    ] {
        let message = fails(script);
        assert!(
            message.contains("cannot change a constant; copy it first"),
            "{script}: {message}"
        );
    }
}

#[test]
fn a_run_sees_its_own_state_changes() {
    let effects = run(r#"
        set("k", #{n: 1}, "10m");
        log(get("k").n);
        remove("k");
        log(get("k") == ());
        set("z", 1); set("a", "kept", 60); log(`${add("n", 2)} ${add("n", -5)}`);
    "#)
    .unwrap();
    assert_eq!(effects.log, ["1", "true", "2 -3"]);
    let minute = now() + jiff::SignedDuration::from_mins(1);
    assert_eq!(
        effects.changes,
        [
            StateChange::Set {
                key: "a".into(),
                value: "kept".into(),
                expires: Some(minute)
            },
            StateChange::Set {
                key: "n".into(),
                value: Json::from(-3),
                expires: None
            },
            StateChange::Set {
                key: "z".into(),
                value: Json::from(1),
                expires: None
            },
        ]
    );
}

#[test]
fn a_counter_keeps_its_ttl() {
    let mut state = MemoryState::new();
    state.apply(&rule().name, &run(r#"set("n", 1, "10m")"#).unwrap().changes);
    state.apply(
        &rule().name,
        &run_on(r#"add("n", 1)"#, &state).unwrap().changes,
    );
    let expires = now() + jiff::SignedDuration::from_mins(10);
    assert_eq!(
        state.get(&rule().name, "n", now()),
        Some(Entry::new(Json::from(2)).with_expiry(expires).into())
    );
    assert_eq!(
        state.get(&rule().name, "n", expires),
        None,
        "an entry expires exactly at its time"
    );
}

#[test]
fn values_of_every_type_are_logged() {
    let script = r#"log("text"); log(1); log(1.5); log(0.5 + 0.5); log(true); log(()); log([1])"#;
    let effects = run(script).unwrap();
    let expected = ["text", "1", "1.5", "1.0", "true", "null", "[1]"];
    assert_eq!(effects.log, expected);
}

#[test]
fn skip_ends_without_actions() {
    let effects =
        run(r#"notify("t", "x"); set("seen", true); skip("known"); log("never")"#).unwrap();
    assert_eq!(effects.skipped.as_deref(), Some("known"));
    assert!(effects.actions.is_empty() && effects.log.is_empty());
    assert_eq!(effects.changes.len(), 1);
    let caught = run(r#"try { skip("known") } catch { notify("t", "x") }"#).unwrap();
    assert_eq!(caught.skipped.as_deref(), Some("known"));
}

#[test]
fn emit_makes_an_event() {
    let effects = run(r#"emit(#{name: "derived", from: event.id})"#).unwrap();
    assert_eq!(
        effects.emitted[0].bytes(),
        br#"{"from":"2256A988-0B26-4E2B-820A-8A0000000001","name":"derived"}"#
    );
}

#[test]
fn addresses_are_in_networks_of_their_family() {
    let effects = run(r#"
        let ips = event.content.secondaryPrivateIps.filter(|ip| cidr_contains("10.0.0.0/8", ip));
        log(json([ips, cidr_contains("::/0", "10.0.0.1"), cidr_contains("10.1.2.3", "10.1.2.3"),
            cidr_contains("10.0.0.0/8", "10.***125"),
            cidr_contains("10.0.0.0/8", event.content.nowhere)]));
    "#)
    .unwrap();
    assert_eq!(effects.log, [r#"[["10.0.0.7"],false,true,false,false]"#]);
}

#[test]
fn addresses_and_networks_have_several_spellings() {
    let effects = run(r#"
        let ips = ["10.2.3.4", "010.002.003.004", "::ffff:10.2.3.4", "0:0:0:0:0:FFFF:A02:304"];
        for net in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::FFFF:10.2.3.4", "10.2.3.4"] {
            let found = [];
            for ip in ips { found.push(cidr_contains(net, ip)); }
            log(json([found.contains(false), cidr_contains(net, "::10.2.3.4")]));
        }
        log(json([cidr_contains("2001:DB8:0::/32", "2001:db8::0.0.0.1"),
            cidr_contains("fe80::/10", "fe80::1%eth0"), cidr_contains("::/0", "[::1]")]));
    "#)
    .unwrap();
    let network = "[false,false]";
    assert_eq!(
        effects.log,
        [network, network, network, network, "[true,false,false]"]
    );
}

#[test]
fn errors_name_the_function_and_its_arguments() {
    const NOTIFY: &str = "notify(target, text) or \
        notify(target, #{title, text, level, at, link, after, key})";
    let notify = format!(
        "line 1, column 12: invalid arguments for `notify`: expected {NOTIFY}, \
         found a string and an integer"
    );
    let cases = [
        (
            "let x = true; skip(x)",
            "line 1, column 15: invalid arguments for `skip`: expected skip(reason), \
             found a boolean",
        ),
        (r#"let x = 5; notify("t", x)"#, notify.as_str()),
        (
            r#"let x = #{txt: "x"}; notify("t", x)"#,
            "line 1, column 22: unknown field `txt` in the message of `notify`; \
             did you mean `text`?",
        ),
        (
            r#"let x = #{colour: "x"}; notify("t", x)"#,
            "line 1, column 25: unknown field `colour` in the message of `notify`; \
             expected one of: title, text, level, at, link, after, key",
        ),
        (
            r#"notify("t", #{at: "x", title: ()} + #{})"#,
            "line 1, column 1: the message of `notify` needs a `title` or a `text`",
        ),
        (
            r#"notify("t", #{text: event.nowhere})"#,
            "line 1, column 1: the message of `notify` needs a `title` or a `text`",
        ),
        (
            r#"notify("t", #{text: "x", level: "" + "loud"})"#,
            "line 1, column 1: unknown level `loud` in `notify`; \
             expected info, warn or critical",
        ),
        (
            r#"notify("" + " ", "x")"#,
            "line 1, column 1: the target of `notify` is empty",
        ),
    ];
    assert_fail(&cases);
}

#[test]
fn errors_of_send_and_state_name_the_value() {
    assert_fail(&[
        (
            r#"send("t", [#{f: |x| x}])"#,
            "line 1, column 1: the payload of `send` cannot be written as JSON: \
             a function at `[0].f`",
        ),
        (
            r#"send("t", 1.0e308 * 10.0)"#,
            "line 1, column 1: the payload of `send` cannot be written as JSON: the number inf",
        ),
        (
            r#"set("k", 1, "" + "soon")"#,
            "line 1, column 1: the ttl of `set`: invalid duration `soon`; \
             write it as 90s, 10m, 1h30m, 24h or 7d",
        ),
        (
            r#"set("k", 1, 0 + 0)"#,
            "line 1, column 1: the ttl of `set`: expected at least 1 second, found 0",
        ),
        (
            r#"set("$" + "k", 1)"#,
            "line 1, column 1: `set`: the key `$k` is reserved, as all keys that start with `$`",
        ),
        (
            r#"set("k", "x"); add("k", 1)"#,
            "line 1, column 16: `add`: expected an integer in the state entry `k`, \
             found a string",
        ),
    ]);
}

#[test]
fn errors_of_expressions_name_the_operands() {
    assert_fail(&[
        (
            r#"cidr_contains("" + "10.0.0.0/99", "10.0.0.1")"#,
            "line 1, column 1: invalid network `10.0.0.0/99` in `cidr_contains`; \
             write it as 10.0.0.0/8",
        ),
        (
            r#"cidr_contains("" + "::ffff:10.0.0.0/8", "10.0.0.1")"#,
            "line 1, column 1: invalid network `::ffff:10.0.0.0/8` in `cidr_contains`; \
             write it as 10.0.0.0/8",
        ),
        (
            r"let a = [1]; a[3]",
            "line 1, column 16: index 3 is out of range; the array has 1 element",
        ),
        (
            r"1 + ()",
            "line 1, column 3: cannot apply `+` to an integer and a missing value (`()`); \
             give it a default: `(value ?? 0)`",
        ),
        (r#"throw "no such zone""#, "line 1, column 1: no such zone"),
    ]);
}

/// Each script fails with its message.
fn assert_fail(cases: &[(&str, &str)]) {
    for (script, message) in cases {
        assert_eq!(fails(script), *message, "{script}");
    }
}

#[test]
fn unparsable_names_and_times_are_unit() {
    let effects = run(r#"
        log(arn(event.resourceId));
        log(`${arn("eni-1")?.id == ()} ${arn(event.nowhere)?.id == ()}`);
        log([parse_time(event.eventTime), parse_time("2019-11-11T11:00Z")]);
        log([parse_time("soon"), parse_time(event.nowhere)]);
    "#)
    .unwrap();
    assert_eq!(
        effects.log,
        [
            concat!(
                r#"{"account":"169070000000001","id":"eni-bp1","kind":"eni","#,
                r#""region":"cn-hangzhou","service":"ecs"}"#
            ),
            "true true",
            "[1554783506922,1573470000000]",
            "[null,null]",
        ]
    );
}

#[test]
fn overwriting_an_entry_does_not_read_it() {
    /// A state with an entry at each key, of which only the existence may be read.
    struct Unreadable;
    impl sealed::Sealed for Unreadable {}
    impl State for Unreadable {
        fn get(&self, _: &str, key: &str, _: Timestamp) -> Option<Arc<Entry>> {
            panic!("`{key}` was read")
        }

        fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
            true
        }

        fn has_room(&self, _: &str, _: usize, _: usize, _: Timestamp) -> bool {
            false
        }

        fn matches(&self) -> &dyn KeptMatches {
            &NoState
        }
    }
    let script = r#"
        set("a", 1);
        set("a", get("a") + 1);
        remove("b");
        if get("b") == () { set("b", add("a", 1)); }
        remove("c")"#;
    let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
    let (event, rule) = (crate::event(), rule());
    let input = Input::new(&event, &rule, now());
    let effects = reaction.run(&input, &Unreadable).unwrap();
    let set = |key: &str| StateChange::Set {
        key: key.into(),
        value: 3.into(),
        expires: None,
    };
    let removed = StateChange::Remove { key: "c".into() };
    assert_eq!(effects.changes, [set("a"), set("b"), removed]);
}

#[test]
fn actions_are_delayed_and_named() {
    let effects = run(r#"
        notify("t", #{text: "a", after: "90s", key: "manager"});
        send("u", 1, #{after: "1h 30m"});
        send("u", #{after: "x"}, #{key: `k ${event.content.eniId}`});
        send("u", 3, #{after: (), key: event.nowhere});
    "#)
    .unwrap();
    let text = Message::new("a").with_level(Level::Warn);
    let minutes = jiff::SignedDuration::from_mins;
    let seconds = jiff::SignedDuration::from_secs;
    let payload = Json::parse(r#"{"after": "x"}"#).unwrap();
    let expected = [
        Action::notify("t", text)
            .with_after(seconds(90))
            .with_key("manager"),
        Action::send("u", 1).with_after(minutes(90)),
        Action::send("u", payload).with_key("k eni-bp1"),
        Action::send("u", 3),
    ];
    assert_eq!(effects.actions, expected);
    assert_eq!(effects.cancelled, Vec::<String>::new());
}

#[test]
fn a_cancelled_name_is_recorded_and_removes_earlier_actions() {
    let effects = run(r#"
        send("t", 1, #{after: "1m", key: "a"});
        send("t", 2, #{after: "1m", key: "b"});
        send("t", 3, #{after: "1m"});
        cancel("a"); cancel("c"); cancel("a");
        send("t", 4, #{key: "c"});
    "#)
    .unwrap();
    let sent = |action: &Action| action.to_json().get("send").unwrap().to_string();
    assert_eq!(
        effects.actions.iter().map(sent).collect::<Vec<_>>(),
        ["2", "3", "4"]
    );
    assert_eq!(effects.cancelled, ["a", "c"]);
    assert_eq!(effects.notes, Vec::<String>::new());
}

#[test]
fn a_later_action_takes_the_place_of_one_of_its_name() {
    let effects = run(r#"
        notify("t", #{text: "first", after: "1m", key: "a"});
        send("t", 2, #{after: "1m", key: "b"});
        notify("u", #{text: "second", after: "2m", key: "a"});
    "#)
    .unwrap();
    let targets: Vec<_> = effects.actions.iter().map(Action::target).collect();
    assert_eq!(targets, ["t", "u"]);
    assert_eq!(
        effects.notes,
        ["key: `a` is given twice, and the later action counts"]
    );
}

#[test]
fn skip_drops_actions_and_keeps_what_was_cancelled() {
    let effects = run(r#"cancel("a"); send("t", 1, #{after: "1m", key: "a"}); skip("x")"#).unwrap();
    assert_eq!(
        (effects.actions.len(), effects.cancelled),
        (0, vec!["a".to_owned()])
    );
}

#[test]
fn computed_delays_and_names_are_checked() {
    for (script, message) in [
        (
            r#"let m = #{text: "x"}; m.after = event.content.eniId; notify("t", m)"#,
            "`after` of `notify`: invalid duration `eni-bp1`",
        ),
        (
            r#"send("t", 1, #{after: event.content.count})"#,
            "`after` of `send`: expected a string, found an integer",
        ),
        (
            r#"let k = " "; send("t", 1, #{key: k})"#,
            "the key of `send` is empty",
        ),
        (r#"let k = ""; cancel(k)"#, "the key of `cancel` is empty"),
        ("cancel(event.nowhere)", "cancel"),
        (
            r#"let m = #{afer: "1m"}; send("t", 1, m)"#,
            "unknown field `afer` in the last map of `send`; did you mean `after`?",
        ),
        (
            r#"let w = "31d"; send("t", 1, #{after: w})"#,
            "`after` of `send`: 31d is longer than 30d",
        ),
    ] {
        let found = fails(script);
        assert!(found.contains(message), "{script}: {found}");
    }
}

#[test]
fn literal_delays_beside_the_call_are_warned_of() {
    for (script, expected) in [
        (
            r#"const WAIT = "10x"; notify("t", #{text: "x", after: WAIT})"#,
            1,
        ),
        (
            r#"fn later(w) { send("t", 1, #{after: w}) } later("31d"); later("1m")"#,
            1,
        ),
        (
            r#"send("t", 1, #{after: if event.a { "2m" } else { "soon" }})"#,
            1,
        ),
        (
            r#"const WAIT = "10m"; notify("t", #{text: "x", after: WAIT})"#,
            0,
        ),
        (
            r#"const WAIT = ""; notify("t", #{text: "x", after: WAIT})"#,
            0,
        ),
    ] {
        let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
        assert_eq!(
            reaction.warnings().len(),
            expected,
            "{script}: {:?}",
            reaction.warnings()
        );
    }
    let script = r#"send("team", 1, #{after: "1m"}); fn f(t) { send(t, 1, #{}) } f("other")"#;
    let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
    let targets: Vec<_> = reaction
        .targets()
        .into_iter()
        .map(|target| target.name)
        .collect();
    assert_eq!(targets, ["team", "other"]);
}
