//! What scripts and templates of rules with a time window see.

use reflexarc_reaction::{
    CompileError, Diagnostic, Event, Input, Json, NoState, Reaction, ReactionLimits, ScriptEvent,
    Template, Timestamp, VariableScope, WindowInput,
};

use crate::{now, rule};

const WINDOW: VariableScope = VariableScope::Window {
    event_may_be_missing: false,
};

const RESOLVED: VariableScope = VariableScope::Resolved {
    event_may_be_missing: false,
    closing_may_be_missing: false,
};

/// A match of three events, and what opens and closes it.
struct Match {
    events: Vec<Event>,
    closing: Option<Event>,
    deadline: Option<Timestamp>,
    key: Json,
}

impl Match {
    fn new() -> Self {
        let event = |json: &str| Event::from_json(json).unwrap();
        let ids = [r#"{"id": "a", "n": 1}"#, r#"{"id": "b"}"#, r#"{"id": "c"}"#];
        Self {
            events: ids.map(event).into(),
            closing: Some(event(r#"{"id": "d", "content": {"eniId": "eni-1"}}"#)),
            deadline: Some("2019-04-09T05:00:00Z".parse().unwrap()),
            key: Json::from("eni-1"),
        }
    }

    fn window(&self) -> WindowInput<'_> {
        WindowInput {
            events: &self.events,
            count: 7,
            opened: "2019-04-09T04:00:00.5Z".parse().unwrap(),
            deadline: self.deadline,
            key: &self.key,
            late: true,
            closing: self.closing.as_ref(),
        }
    }

    /// The log of a script, or its error.
    fn run(&self, script: &str, scope: VariableScope) -> String {
        let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT)
            .unwrap_or_else(|error| panic!("{script}\n{error}"));
        let (rule, window) = (rule(), self.window());
        let event = self.events.first().map(ScriptEvent::new);
        let input = match &event {
            Some(event) => Input::new(event, &rule, now()),
            None => Input::without_event(&rule, now()),
        };
        match reaction.run(&input.with_window(&window), &NoState) {
            Ok(effects) => effects.log.join(" "),
            Err(error) => error.to_string(),
        }
    }

    fn render(&self, source: &str, scope: VariableScope) -> String {
        let template = Template::compile_in(source, scope, &ReactionLimits::DEFAULT)
            .unwrap_or_else(|error| panic!("{source}\n{error}"));
        let event = self.events.first();
        template
            .render_window(event, &self.window(), &rule(), now(), 2)
            .unwrap()
    }
}

fn errors(script: &str, scope: VariableScope) -> Vec<Diagnostic> {
    let result = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT);
    result
        .err()
        .map_or_else(Vec::new, CompileError::into_diagnostics)
}

#[test]
fn scripts_see_the_match() {
    let example = Match::new();
    for (script, expected) in [
        ("log(event.id)", "a"),
        ("log(count)", "7"),
        ("log(opened); log(deadline)", "1554782400500 1554786000000"),
        ("log(key)", "eni-1"),
        ("log(late)", "true"),
        ("log(events.map(|event| event.id))", r#"["a","b","c"]"#),
        ("for e in events { log(e.n ?? 0) }", "1 0 0"),
        ("log(events[2])", r#"{"id":"c"}"#),
        ("log(deadline - now > 0)", "true"),
        (r#"log(is_def_var("events") && is_def_var("key"))"#, "true"),
        (r#"log(is_def_var("closing"))"#, "false"),
        ("log(loop { break events.len() })", "3"),
    ] {
        assert_eq!(example.run(script, WINDOW), expected, "{script}");
        let expected = expected.replace("false", "true");
        assert_eq!(example.run(script, RESOLVED), expected, "{script}");
    }
}

#[test]
fn resolved_scripts_see_the_closing_event() {
    let mut example = Match::new();
    for (script, expected) in [
        ("log(closing.id)", "d"),
        ("log(closing.content.eniId); log(event.id)", "eni-1 a"),
        ("let c = closing.content; log(c.eniId)", "eni-1"),
        ("log(closing.keys())", r#"["content","id"]"#),
    ] {
        assert_eq!(example.run(script, RESOLVED), expected, "{script}");
    }
    example.closing = None;
    assert_eq!(example.run("log(closing?.id)", RESOLVED), "null");
    assert_eq!(example.run("log(closing == ())", RESOLVED), "true");
}

#[test]
fn what_is_missing_is_a_unit() {
    let mut example = Match::new();
    example.events.clear();
    example.deadline = None;
    for (script, expected) in [
        ("log(event == ())", "true"),
        ("log(event?.id)", "null"),
        ("log(deadline == ())", "true"),
        ("log(events)", "[]"),
        (
            "log(event.id)",
            "line 1, column 11: cannot read `id` of a missing value (`()`); \
             write `?.id` to get `()` instead",
        ),
    ] {
        assert_eq!(example.run(script, WINDOW), expected, "{script}");
    }
}

#[test]
fn an_event_leaves_nothing_for_a_run_without_one() {
    let scope = VariableScope::Window {
        event_may_be_missing: true,
    };
    let script = "log(event?.a?.b)";
    let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT).unwrap();
    let (example, rule) = (Match::new(), rule());
    let (window, now) = (example.window(), now());
    let event = ScriptEvent::new(&Event::from_json(r#"{"a": {"b": 1}}"#).unwrap());
    let with = Input::new(&event, &rule, now).with_window(&window);
    let without = Input::without_event(&rule, now).with_window(&window);
    for (input, expected) in [
        (with, "1"),
        (without, "null"),
        (with, "1"),
        (without, "null"),
    ] {
        assert_eq!(reaction.run(&input, &NoState).unwrap().log, [expected]);
    }
}

#[test]
fn keys_have_the_kinds_of_their_values() {
    let mut example = Match::new();
    for (key, expected) in [
        (r#""""#, r#"["string",""]"#),
        ("7", r#"["i64",7]"#),
        ("true", r#"["bool",true]"#),
        (r#"["eni-1",7]"#, r#"["array",["eni-1",7]]"#),
    ] {
        example.key = Json::parse(key).unwrap();
        assert_eq!(
            example.run("log([type_of(key), key])", WINDOW),
            expected,
            "{key}"
        );
    }
}

#[test]
fn only_the_first_events_are_visible() {
    let mut example = Match::new();
    let event = |bytes: usize| {
        let text = "x".repeat(bytes - r#"{"t":""}"#.len());
        Event::from_json(format!(r#"{{"t":"{text}"}}"#)).unwrap()
    };
    let visible = "log(events.len())";
    example.events = vec![event(10); 100];
    assert_eq!(example.run(visible, WINDOW), "100");
    example.events.push(event(10));
    assert_eq!(example.run(visible, WINDOW), "100");
    assert_eq!(example.render("{{ events | length }}", WINDOW), "100");
    example.events = vec![event(256 << 10); 4];
    assert_eq!(example.run(visible, WINDOW), "4");
    example.events = vec![
        event(256 << 10),
        event((256 << 10) + 1),
        event(512 << 10),
        event(9),
    ];
    assert_eq!(example.run(visible, WINDOW), "2");
    assert_eq!(example.render("{{ events | length }}", WINDOW), "2");
    // All that is visible can be sent: the limits of the run are larger by its text.
    let sent = r#"let all = #{events: events}; send("t", all.events[1].t); log("sent")"#;
    assert_eq!(example.run(sent, WINDOW), "sent");
}

#[test]
fn variables_of_the_script_hide_those_of_the_window() {
    let own = "let count = 0; count += 1; let key = #{a: 1}; key.b = 2; \
               let events = []; events.push(count); let late = 1; let opened = 2; \
               const deadline = 3; log([count, key, events, late, opened, deadline]);";
    let expected = r#"[1,{"a":1,"b":2},[1],1,2,3]"#;
    let loops = "for key in [1, 2] { log(key) } for (event_, count) in [5] { log(count) } \
                 try { throw 1 } catch (late) { log(late) }";
    let functions = "fn f(count, key) { count + key } log(f(1, 2)); \
                     log([3].map(|events| events))";
    let closing = "let closing = #{a: 1}; closing.a = 2; log(closing.a)";
    let example = Match::new();
    for scope in [VariableScope::Event, WINDOW, RESOLVED] {
        for (script, expected) in [
            (own, expected),
            (loops, "1 2 0 1"),
            (functions, "3 [3]"),
            (closing, "2"),
        ] {
            assert_eq!(example.run(script, scope), expected, "{script}");
        }
    }
    let inner = "if true { let count = 1; log(count) } log(count)";
    assert_eq!(example.run(inner, WINDOW), "1 7");
}

#[test]
fn own_variables_of_that_name_read_nothing() {
    let reads = |script, scope| {
        let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT);
        reaction.unwrap().reads_events()
    };
    assert!(reads("log(events)", WINDOW));
    assert!(reads("let events = events; log(events)", WINDOW));
    assert!(reads("if true { let events = []; } log(events)", RESOLVED));
    assert!(!reads("let events = []; log(events)", WINDOW));
    assert!(!reads("fn f(events) { events } log(f(1))", WINDOW));
    assert!(!reads("let events = []; log(events)", VariableScope::Event));
}

#[test]
fn variables_of_other_scopes_are_unknown() {
    for (script, scope, help) in [
        (
            "log(count)",
            VariableScope::Event,
            "`count` exists only in rules with `count`, `followed_by`, `not_followed_by`, \
             `absent_for` or `batch`",
        ),
        (
            "log(events)",
            VariableScope::Event,
            "did you mean `event`? `events` exists only in rules with `count`, `followed_by`, \
             `not_followed_by`, `absent_for` or `batch`",
        ),
        (
            "log(closing.id)",
            WINDOW,
            "`closing` exists only in `resolved`",
        ),
        (
            "log(closing)",
            VariableScope::Event,
            "`closing` exists only in `resolved`",
        ),
        ("log(cuont)", WINDOW, "did you mean `count`?"),
        (
            "log(nowhere)",
            WINDOW,
            "predefined are `event`, `rule`, `now`, `events`, `count`, `opened`, `deadline`, \
             `key` and `late`; define others with `let name = …`",
        ),
        (
            "fn f() { count } log(f())",
            WINDOW,
            "functions and closures see only their own parameters and variables; pass the value \
             as an argument, or replace the closure by a `for` loop",
        ),
    ] {
        let found = errors(script, scope);
        assert_eq!(found[0].help.as_deref(), Some(help), "{script}");
        assert!(found[0].message.starts_with("unknown variable"), "{script}");
    }
}

#[test]
fn variables_of_the_window_are_read_only() {
    for script in [
        "count = 1",
        "count += 1",
        "events[0] = 1",
        "key.a = 1",
        "closing.a = 1",
    ] {
        let found = errors(script, RESOLVED);
        let name = script.split([' ', '[', '.']).next().unwrap();
        assert_eq!(
            found[0].message,
            format!("`{name}` is read-only"),
            "{script}"
        );
        let copied = format!("let copy = {name}; log(1)");
        assert_eq!(Match::new().run(&copied, RESOLVED), "1");
    }
    let reserved = errors("let event = 1", WINDOW);
    assert_eq!(
        reserved[0].message,
        "`event` is predefined and cannot be redefined"
    );
}

#[test]
fn templates_see_the_match() {
    let mut example = Match::new();
    for (source, expected) in [
        (
            "{{ event.id }} {{ count }} {{ key }} {{ late }}",
            "a 7 eni-1 true",
        ),
        (
            "{{ opened }} to {{ deadline }}",
            "2019-04-09T04:00:00.5Z to 2019-04-09T05:00:00Z",
        ),
        ("{{ events | length }}: {{ events[1].id }}", "3: b"),
        ("{% for e in events %}{{ e.id }},{% endfor %}", "a,b,c,"),
        ("{% for key in events %}{{ key.n }}{% endfor %}", "1"),
        (
            "{{ suppressed }} {{ rule.name }} {{ now }}",
            "2 failed-operation 1554783506922",
        ),
    ] {
        assert_eq!(example.render(source, WINDOW), expected, "{source}");
        assert_eq!(example.render(source, RESOLVED), expected, "{source}");
    }
    let closing = "{{ closing.id }} {{ closing.content.eniId }}{{ closing.x.y }}";
    assert_eq!(example.render(closing, RESOLVED), "d eni-1");
    (example.closing, example.deadline) = (None, None);
    example.events.clear();
    example.key = Json::parse(r#"["eni-1", 7]"#).unwrap();
    for (source, expected) in [
        (
            "[{{ event.content.eniId }}{{ closing.content.eniId }}]",
            "[]",
        ),
        ("[{{ deadline }}{% if deadline %}x{% endif %}]", "[]"),
        ("{{ key | join(', ') }}: {{ key[0] }}", "eni-1, 7: eni-1"),
        ("{{ events | length }}", "0"),
    ] {
        assert_eq!(example.render(source, RESOLVED), expected, "{source}");
    }
}

#[test]
fn templates_know_the_variables_of_their_scope() {
    let found = |source, scope| {
        let error = Template::compile_in(source, scope, &ReactionLimits::DEFAULT).unwrap_err();
        error.into_diagnostics().remove(0)
    };
    let plain = found("{{ count }}", VariableScope::Event);
    assert_eq!(plain.message, "unknown variable `count` in a template");
    let help = plain.help.unwrap();
    assert!(
        help.starts_with("`count` exists only in rules with"),
        "{help}"
    );
    let closing = found("{{ closing.id }}", WINDOW);
    assert_eq!(
        closing.help.as_deref(),
        Some("`closing` exists only in `resolved`")
    );
    let field = found("{{ count.x }}", WINDOW);
    assert_eq!(field.message, "unknown field `x` of `count` in a template");
    let misspelt = found("{{ openend }}", WINDOW);
    assert_eq!(misspelt.fix.unwrap().replacement, "opened");
}
