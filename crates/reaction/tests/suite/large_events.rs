//! What comes from the event does not count as made by the script.

use reflexarc_reaction::{
    Effects, Event, Input, MemoryState, Reaction, ReactionError, ReactionLimits, ScriptEvent,
    Template,
};

use crate::{compile, now, rule};

/// An event with a text of so many bytes, and an array and a map with so many values.
fn large(text: usize, values: usize) -> Event {
    let numbers: Vec<String> = (0..values).map(|n| n.to_string()).collect();
    let members: Vec<String> = (0..values).map(|n| format!("\"k{n}\":{n}")).collect();
    let json = format!(
        r#"{{"content": {{"t": "{}", "list": [{}], "map": {{{}}}}}}}"#,
        "x".repeat(text),
        numbers.join(","),
        members.join(",")
    );
    Event::from_json(json).unwrap()
}

fn run(event: &Event, script: &str) -> Result<Effects, ReactionError> {
    let event = ScriptEvent::new(event);
    compile(script).run(&Input::new(&event, &rule(), now()), &MemoryState::new())
}

#[test]
fn text_of_the_event_is_sent_in_any_form() {
    for text in [5_000, 40_000, 200_000, 700_000] {
        let event = large(text, 0);
        for script in [
            r#"send("t", event)"#,
            r#"send("t", event.content.t)"#,
            r#"send("t", #{a: event.content.t})"#,
            r#"send("t", [#{a: [event.content.t]}])"#,
            r#"let m = #{}; m.a = event.content.t; send("t", m)"#,
            r#"let m = #{}; m["a"] = event.content.t; send("t", m)"#,
            r#"let c = event.content; c.more = 1; send("t", c)"#,
            r#"let c = event.content; c["more"] = 1; send("t", c)"#,
            r#"let a = []; a.push(event.content.t); send("t", a)"#,
            r#"fn of(t) { #{a: t} } send("t", of(event.content.t))"#,
            r#"emit(#{name: "x", t: event.content.t})"#,
            r#"notify("t", event.content.t)"#,
            r#"notify("t", #{title: "a", text: event.content.t})"#,
            r#"notify("t", `text: ${event.content.t}`)"#,
            r#"notify("t", "text: " + event.content.t)"#,
            r#"notify("t", event.content.t.to_upper())"#,
            r#"send("t", json(event))"#,
            r"log(event.content)",
        ] {
            run(&event, script).unwrap_or_else(|error| panic!("{text} {script}: {error}"));
        }
    }
    let twice = r#"send("t", #{a: event.content.t, b: event})"#;
    run(&large(40_000, 0), twice).unwrap();
}

#[test]
fn lists_and_maps_of_the_event_are_sent_in_any_form() {
    let event = large(0, 5_000);
    for script in [
        r#"send("t", #{list: event.content.list, map: event.content.map})"#,
        r#"let c = event.content; c.more = 1; send("t", c)"#,
        r#"send("t", event.content.list.filter(|n| n > 1))"#,
        r#"send("t", event.content.map.keys())"#,
    ] {
        run(&event, script).unwrap_or_else(|error| panic!("{script}: {error}"));
    }
}

#[test]
fn what_the_script_makes_itself_stays_limited() {
    let doubled = r#"let s = "0123456789"; for n in 0..20 { s += s; } send("t", s)"#;
    for (text, limit) in [(10, "32,768"), (40_000, "294,912"), (200_000, "1,081,344")] {
        let error = run(&large(text, 0), doubled).unwrap_err().to_string();
        let expected = format!("a string has more than {limit} bytes (limit `string`)");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn a_template_may_print_the_text_of_the_event() {
    let template = |source| Template::compile(source, &ReactionLimits::DEFAULT).unwrap();
    let render = |source, text| {
        let event = large(text, 0);
        template(source).render(&event, &rule(), now(), 0)
    };
    for text in [5_000, 40_000, 700_000] {
        let rendered = render("text: {{ event.content.t }}", text).unwrap();
        assert_eq!(rendered.len(), text + 6);
    }
    let wide = "{{ event.content.t }}".repeat(20);
    let cut = render(&wide, 40_000).unwrap();
    assert_eq!(cut.len(), 294_912);
    assert!(cut.ends_with("x…"));
}

#[test]
fn own_limits_are_raised_in_the_same_way() {
    let mut limits = ReactionLimits::DEFAULT;
    limits.string = 10;
    let reaction = Reaction::compile(r#"send("t", #{a: event.content.t})"#, &limits).unwrap();
    let run = |text| {
        let event = ScriptEvent::new(&large(text, 0));
        reaction.run(&Input::new(&event, &rule(), now()), &MemoryState::new())
    };
    assert!(run(10).is_ok() && run(11).is_err() && run(40_000).is_ok());
}
