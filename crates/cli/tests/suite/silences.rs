//! `silence`, and what it does to a running service.

use reflexarc_event::Json;

use crate::service_process::{Workspace, event, eventually};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
                   [targets.other]\ntype = \"file\"\npath = \"other.ndjson\"\n";
const THEN: &str = r#"send("out", #{ id: event.id }); send("other", #{ id: event.id });"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new(THEN, OUT);
    let rule = format!(
        "when = 'content.result == \"failed\"'\nthen = '''\n{THEN}\n'''\n\
         [labels]\nteam = \"net\"\n"
    );
    workspace.write("rules/failed.toml", &rule);
    workspace
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_silence_withholds_until_it_is_ended() {
    let workspace = workspace();
    let service = workspace.serve();
    service
        .call("POST", "/events", &event("e1", "eni-1"))
        .unwrap();
    eventually("the first is sent", || {
        (workspace.lines("out.ndjson").len() == 1).then_some(())
    });
    // What it matches is shown first, and what it does not match, with the nearest.
    let pattern = "labels.team == \"nte\" and target == \"out\"";
    let preview = workspace.run(&["silence", "preview", pattern]);
    assert_eq!(preview.code, 1);
    assert!(
        preview.stdout.contains("matches 0 pending"),
        "{}",
        preview.stdout
    );
    assert!(preview.stdout.contains("nearest: "), "{}", preview.stdout);
    assert!(
        preview.stdout.contains("labels.team is \"net\""),
        "{}",
        preview.stdout
    );
    let add = [
        "silence", "add", pattern, "--for", "1h", "--reason", "deploy",
    ];
    let refused = workspace.run(&add);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    assert_eq!(workspace.run(&["silence", "list"]).code, 1);

    let pattern = "labels.team == \"net\" and target == \"out\" and \
                   event.content.eniId == \"eni-1\"";
    let add = [
        "silence", "add", pattern, "--for", "1h", "--reason", "deploy", "--owner", "alice",
    ];
    let added = workspace.run(&add);
    assert_eq!(added.code, 0, "{}", added.stderr);
    let first = "matches 0 pending, 0 withheld and 1 other deliveries of the last 24 hours\n";
    assert!(added.stdout.starts_with(first), "{}", added.stdout);
    assert!(
        added.stdout.contains("added silence 1, active until"),
        "{}",
        added.stdout
    );

    for (id, eni) in [("e2", "eni-1"), ("e3", "eni-2")] {
        service.call("POST", "/events", &event(id, eni)).unwrap();
    }
    eventually("the others are sent", || {
        let count = (
            workspace.lines("out.ndjson").len(),
            workspace.lines("other.ndjson").len(),
        );
        (count == (2, 3)).then_some(())
    });
    let withheld = workspace.run(&["outbox", "list", "--withheld", "--format", "json"]);
    let withheld = json(&withheld.stdout);
    assert_eq!(withheld.elements().len(), 1, "{withheld}");
    let trace = workspace.run(&["trace", "e2"]).stdout;
    assert!(trace.contains("to out: withheld"), "{trace}");
    assert!(
        trace.contains("withheld by silence 1 (alice: deploy) since"),
        "{trace}"
    );
    let status = json(&service.call("GET", "/status", "").unwrap().1);
    let silences = status.get("silences").unwrap();
    assert_eq!(
        silences.get("withheld"),
        Some(&Json::count(1_u64)),
        "{silences}"
    );
    let metrics = service.call("GET", "/metrics", "").unwrap().1;
    assert!(
        metrics.contains("reflexarc_deliveries_withheld{target=\"out\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("reflexarc_silences_active 1"), "{metrics}");

    let ended = workspace.run(&["silence", "end", "1"]);
    assert_eq!(ended.stdout, "ended silence 1: 1 withheld, released now\n");
    eventually("it is sent", || {
        (workspace.lines("out.ndjson").len() == 3).then_some(())
    });
    let trace = workspace.run(&["trace", "e2"]).stdout;
    assert!(trace.contains("to out: delivered"), "{trace}");
    assert!(
        trace.contains("withheld by silence 1 (alice: deploy) since"),
        "{trace}"
    );
    assert_eq!(workspace.run(&["silence", "list"]).code, 1);
    let expired = workspace.run(&["silence", "list", "--expired"]);
    assert!(expired.stdout.contains("0 of 1"), "{}", expired.stdout);
    let again = workspace.run(&["silence", "end", "1"]);
    assert_eq!(again.code, 1);
    let shown = workspace.run(&["silence", "show", "1"]).stdout;
    assert!(shown.contains("status:     ended"), "{shown}");
    assert_eq!(workspace.run(&["silence", "show", "2"]).code, 1);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn silences_are_made_and_ended_over_http() {
    let workspace = workspace();
    let service = workspace.serve();
    let call = |method, path: &str, body: &str| {
        let (status, answer) = service.call(method, path, body).unwrap();
        (status, json(&answer))
    };
    let post = |body: &str| call("POST", "/silences", body);
    let body = r#"{"pattern": {"rule": ["failed"]}, "for": "2s", "reason": "r", "owner": "bob"}"#;
    let (status, answer) = post(body);
    assert_eq!(status, 409, "{answer}");
    assert!(answer.get("preview").is_some(), "{answer}");
    let confirmed = body.replace("\"reason\"", "\"confirm\": true, \"reason\"");
    let (status, answer) = post(&confirmed);
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer.get("status"), Some(&"active".into()));
    service
        .call("POST", "/events", &event("e1", "eni-1"))
        .unwrap();
    let (status, shown) = call("GET", "/silences/1", "");
    assert_eq!(status, 200, "{shown}");
    let (_, preview) = call(
        "POST",
        "/silences/preview",
        r#"{"pattern": "rule == \"failed\""}"#,
    );
    assert_eq!(
        preview.get("compared"),
        Some(&Json::count(2_u64)),
        "{preview}"
    );
    // It expires by itself.
    eventually("both are sent", || {
        let lines = ["out.ndjson", "other.ndjson"].map(|name| workspace.lines(name).len());
        (lines == [1, 1]).then_some(())
    });
    let (_, list) = call("GET", "/silences?expired=true", "");
    assert_eq!(list.elements()[0].get("status"), Some(&"expired".into()));
    assert_eq!(
        list.elements()[0].get("withheld"),
        Some(&Json::count(2_u64))
    );

    let longer = confirmed.replace("2s", "1h");
    assert_eq!(post(&longer).0, 201);
    service
        .call("POST", "/events", &event("e2", "eni-1"))
        .unwrap();
    eventually("both are withheld", || {
        let (_, shown) = call("GET", "/silences/2", "");
        (shown.get("open") == Some(&Json::count(2_u64))).then_some(())
    });
    let (status, ended) = call("POST", "/silences/2/end?drop=true", "");
    assert_eq!((status, ended.get("ended_drop")), (200, Some(&true.into())));
    eventually("both are dropped", || {
        let (_, shown) = call("GET", "/silences/2", "");
        (shown.get("dropped") == Some(&Json::count(2_u64))).then_some(())
    });
    let trace = workspace.run(&["trace", "e2"]).stdout;
    assert!(trace.contains("to out: silenced"), "{trace}");
    assert!(trace.contains("silenced: silence 2 (bob: r)"), "{trace}");
    assert_eq!(call("POST", "/silences/2/end", "").0, 409);
    assert_eq!(call("POST", "/silences/3/end", "").0, 404);
    assert_eq!(call("GET", "/silences/x", "").0, 400);
    for (faulty, why) in [
        (
            r#"{"pattern": "rule =", "for": "1h", "reason": "r"}"#,
            "invalid `pattern`",
        ),
        (
            r#"{"pattern": "rule == \"a\"", "reason": "r"}"#,
            "expected `until` or `for`",
        ),
        (
            r#"{"pattern": "rule == \"a\"", "for": "1h"}"#,
            "missing `reason`",
        ),
        (
            r#"{"pattern": "rule == \"a\"", "for": "1h", "reson": "r"}"#,
            "unknown member `reson`",
        ),
        ("[]", "expected a JSON object"),
    ] {
        let (status, answer) = post(faulty);
        assert_eq!(status, 400, "{faulty}");
        assert!(answer.to_string().contains(why), "{answer}");
    }
    assert_eq!(service.terminate(), 0);
}

#[test]
fn faulty_silences_are_refused() {
    let workspace = workspace();
    workspace.serve().terminate();
    let long_pattern = format!("rule == \"{}\"", "x".repeat(4_096));
    let long_reason = "x".repeat(501);
    let valid = "rule == \"failed\"";
    for (pattern, lasts, reason, why) in [
        ("rule = 1", "1h", "r", "invalid `pattern`"),
        (" ", "1h", "r", "missing `pattern`"),
        (&long_pattern, "1h", "r", "longer than 4096 bytes"),
        (valid, "1h", " ", "missing `reason`"),
        (valid, "1h", &long_reason, "longer than 500 bytes"),
        (valid, "9000h", "r", "366 days at most"),
        (valid, "0s", "r", "longer than zero"),
    ] {
        let args = [
            "silence", "add", pattern, "--for", lasts, "--reason", reason, "--yes",
        ];
        let refused = workspace.run(&args);
        assert_eq!(refused.code, 2, "{why}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
    }
    let args = [
        "silence",
        "add",
        valid,
        "--until",
        "2020-01-01T00:00:00Z",
        "--reason",
        "r",
        "--yes",
    ];
    assert_eq!(workspace.run(&args).code, 2);
    assert_eq!(workspace.run(&["silence", "list"]).code, 1);
}
