//! Errors that are found before a script runs.

use reflexarc_diagnostic::Diagnostic;
use reflexarc_reaction::{CompileError, Reaction, ReactionLimits};

/// Invalid scripts, by the kind of error.
const INVALID: &[&str] = &[
    // syntax
    "let x = ",
    r#"let s = "abc"#,
    "let x = 1 let y = 2",
    "let x = 'ab';",
    "let l = 99999999999999999999;",
    "'网' + €",
    "goto",
    "break;",
    "const PI = 3; PI = 4;",
    "fn f() { fn g() {} }",
    // not available
    r#"import "x" as y;"#,
    "export let x = 1;",
    r#"eval("1")"#,
    "print(1)",
    "debug(1)",
    "sleep(1)",
    "sleep(0.5)",
    "exit()",
    "timestamp()",
    "rand()",
    r#"let f = Fn("a"); f.call()"#,
    // variables
    r#"notify("t", evnt.name)"#,
    "let count = 1; log(cuont)",
    "let n = 1; [1].filter(|x| x == n)",
    "fn f(x) { event.y } f(1)",
    "fn f(x) { let y = x; for (z, i) in [y] { yy } } f(1)",
    // predefined variables
    "let event = 1;",
    "for rule in [1] {}",
    "event.content.a[1].b = 1; now += 1",
    // functions
    r#"notfiy("t", "x")"#,
    r#"event.name.starts_wth("x")"#,
    "unknown(other(1), [1].map(|x| third(x)))",
    "fn notify(a, b) { 1 } notify(1, 2)",
    "fn g(x) { x } g(1, 2)",
    // arguments
    r#"notify("t")"#,
    r#"notify("t", 5)"#,
    r#"notify("t", #{title: "a", txt: "b", colour: "c"})"#,
    "event.name.starts_with()",
    r#"set("b", 2, "10x")"#,
    r#"set("b", 2, "1mo"); set("b", 2, 0); set("b", 2, -5)"#,
    r#"get(""); set("$once", 1); add("$x", 1); remove("")"#,
    r#"notify(" ", "x"); send("", 1)"#,
    r#"if cidr_contains("10.0.0.0/33", event.ip) {}"#,
    r#"notify("t", #{titel: "a"})"#,
    r#"notify("t", #{text: "a", body: "b", severity: "warn"})"#,
    r#"notify("t", #{text: "a", level: "wran"})"#,
    r#"notify("t", #{text: "a", level: "loud"})"#,
    r#"notify("t", #{title: 5, at: true})"#,
    r#"notify("t", #{level: "warn", text: ()})"#,
    r#"fn tell(t) { notify(t, #{titel: "a"}) } tell("t")"#,
    r#"set("k", 1, 2.5)"#,
    "skip()",
    // delays
    r#"notify("t", #{text: "x", after: "soon"}); send("t", 1, #{after: "0s"})"#,
    r#"notify("t", #{text: "x", after: 90, key: 7}); send("t", 1, #{after: "31d", key: true})"#,
    r#"notify("t", #{text: "x", key: ""}); send("t", 1, #{key: " "}); cancel("")"#,
    r#"notify("t", #{text: "x", delay: "2m"})"#,
    r#"send("t", 1, #{afer: "2m", name: "x"}); send("t", 1, #{"kye": "x"})"#,
    r#"send("t", 1, "2m"); cancel(1); cancel()"#,
    "fn cancel(a) { a } cancel(1)",
];

/// Scripts without errors that could be found.
const VALID: &[&str] = &[
    "",
    "// a comment",
    "let notify = 1; notify + 1",
    r#"fn f(event) { event.x = 1; event } send("t", f(event))"#,
    r#"let copy = event; copy.x = 1; send("t", copy)"#,
    r#"let s = "a".to_upper(); s.len(); [1].len(); #{}.keys(); 5.to_string(); -1.5.abs()"#,
    r"let m = #{}; for ip in event.content.ips { m[ip] = true; } log(m.keys())",
    r#"switch event.name { "a" => log("a"), _ => log("other") }"#,
    r#"try { throw "x" } catch (problem) { log(problem) }"#,
    r#"log(event.a?.b ?? "none")"#,
    "fn twice() { this * 2 } let x = 1; x.twice()",
    "notify(event.target, event.text)",
    r#"notify("t", #{"title": "a", level: "CRITICAL", at: [1, "all"], link: ()})"#,
    r#"set("a", 1, "1h 30m"); set("b", 1, 60); set("c", 1, event.ttl); get(event.key)"#,
    r#"cidr_contains("::ffff:10.0.0.0/104", event.ip); cidr_contains(event.net, "10.0.0.1")"#,
    r#"notify("t", #{text: "x", after: "30d", key: event.id}); cancel(event.id)"#,
    r#"send("t", 1, #{}); send("t", 1, #{after: event.wait, key: ()}); send("t", #{after: "x"})"#,
    "fn one(x) { x } fn two(y, z) { y + z } fn none() { 1 } log(one(1) + two(1, 2) + none())",
];

fn errors(script: &str) -> Vec<Diagnostic> {
    Reaction::compile(script, &ReactionLimits::DEFAULT)
        .err()
        .map(CompileError::into_diagnostics)
        .unwrap_or_default()
}

#[test]
fn errors_are_found_at_their_location() {
    let rendered: Vec<String> = INVALID
        .iter()
        .map(|script| {
            let diagnostics = errors(script);
            assert!(!diagnostics.is_empty(), "no error in {script}");
            let rendered: Vec<String> = diagnostics
                .iter()
                .map(|d| d.render("then", script, false))
                .collect();
            rendered.join("\n")
        })
        .collect();
    insta::assert_snapshot!(rendered.join("\n\n"));
}

#[test]
fn valid_scripts_compile() {
    for script in VALID {
        assert_eq!(errors(script), [], "{script}");
    }
}

#[test]
fn spans_are_bytes_and_fixes_can_be_applied() {
    let script = "let eni = 1; // 网卡\nnotfiy(\"团队\", \"x\");\nlog(\"网\" + emi);";
    let first = &errors(script)[0];
    assert_eq!(
        &script[first.span.clone()],
        "emi",
        "rhai reports unknown variables first"
    );
    let script = script.replace("emi", "eni");
    let diagnostic = &errors(&script)[0];
    assert_eq!(&script[diagnostic.span.clone()], "notfiy");
    let fix = diagnostic.fix.as_ref().unwrap();
    let mut fixed = script.clone();
    fixed.replace_range(fix.span.clone(), &fix.replacement);
    assert_eq!(errors(&fixed), []);
}

#[test]
fn scripts_are_limited_in_size_and_depth() {
    let messages = |script: &str| {
        errors(script)
            .into_iter()
            .map(|d| format!("{} {}", d.code, d.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        messages(&" ".repeat((64 << 10) + 1)),
        ["RA0505 the script has 65,537 bytes, more than the 65,536 allowed"]
    );
    assert_eq!(messages(&" ".repeat(64 << 10)), [""; 0]);
    let deep = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(
        messages(&deep(10_000)),
        ["RA0505 expressions are nested more than 64 deep"]
    );
    assert_eq!(messages(&deep(30)), [""; 0]);
    let functions = (0..33)
        .map(|i| format!("fn f{i}() {{}}\n"))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(
        messages(&functions),
        ["RA0505 the script defines more than 32 functions"]
    );
    let text = format!("let x = \"{}\";", "x".repeat((32 << 10) + 1));
    assert_eq!(
        messages(&text),
        ["RA0505 a string has more than 32,768 bytes"]
    );
    let sum = format!("let x = 1{};", " + 1".repeat(40));
    assert_eq!(messages(&sum), [""; 0], "a long sum is not deep");
    let interpolated = format!("`{}`", "${now} ".repeat(60));
    assert_eq!(
        messages(&interpolated),
        [""; 0],
        "a long string is not deep"
    );
}

#[test]
fn invalid_ttls_are_found_where_they_are_written() {
    for (script, ttl) in [
        ("const T = \"10x\"; set(\"b\", 1, T);", "\"10x\""),
        (
            "let t = if event.a == 1 { \"1 dya\" } else { \"5m\" }; set(\"b\", 1, t);",
            "\"1 dya\"",
        ),
        (
            "fn keep(key, ttl) { set(key, 1, ttl) } keep(\"a\", \"soon\");",
            "\"soon\"",
        ),
        ("set(\"b\", 1, event.ttl ?? \"x\");", "\"x\""),
    ] {
        let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
        let found = reaction.warnings().iter();
        let found: Vec<_> = found.map(|found| &script[found.span.clone()]).collect();
        assert_eq!(found, [ttl], "{script}");
    }
    for script in [
        "const T = \"10m\"; set(\"b\", 1, T);",
        "let t = if event.a == 1 { \"5m\" } else { \"\" }; if t != \"\" { set(\"b\", 1, t); }",
        "let t = 60; set(\"b\", 1, t);",
    ] {
        let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
        assert_eq!(reaction.warnings(), [], "{script}");
    }
}
