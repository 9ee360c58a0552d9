//! `reflexarc status`: what is wrong with a running service.

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// The names and subjects of the problems, in their order.
fn problems(status: &Json) -> Vec<String> {
    let problems = status.get("problems").unwrap().elements().iter();
    let text = |problem: &Json, key| problem.get(key).unwrap().as_str().unwrap().to_owned();
    problems
        .map(|one| [text(one, "problem"), text(one, "subject")].join(" "))
        .collect()
}

fn status_json(workspace: &Workspace) -> Json {
    let outcome = workspace.run(&["status", "--format", "json"]);
    Json::parse(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stderr))
}

fn send(workspace: &Workspace, id: &str, eni: &str) {
    let sent = workspace.run_with_stdin(&["send"], &event(id, eni));
    assert_eq!(sent.code, 0, "{}", sent.stderr);
}

#[test]
fn nothing_is_wrong_with_a_service_that_has_just_started() {
    let workspace = Workspace::new(r#"send("out", 1);"#, OUT);
    let service = workspace.serve();
    let status = workspace.run(&["status"]);
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
    let lines: Vec<&str> = status.stdout.lines().collect();
    assert_eq!(lines[0], "nothing is wrong");
    for line in [
        "rules         1",
        "targets       1: 1 working",
        "pending       0 keys",
        "dead letters  0",
        "store         ready",
    ] {
        assert!(lines.contains(&line), "{line}: {}", status.stdout);
    }
    assert_eq!(service.terminate(), 0);
    let gone = workspace.run(&["status"]);
    assert_eq!(gone.code, 5);
    assert!(
        gone.stderr.contains("cannot reach the service"),
        "{}",
        gone.stderr
    );
}

/// A rule that names a target that does not exist, one that fails, and a target that is paused.
fn service_with_problems() -> (Workspace, ServiceProcess) {
    let script = r#"if event.content.eniId == "eni-bad" { throw "no such team" }
        send(event.content.eniId, 1);"#;
    let workspace = Workspace::new(script, OUT);
    let service = workspace.serve();
    send(&workspace, "1", "eni-unknown");
    for id in ["2", "3", "4"] {
        send(&workspace, id, "eni-bad");
    }
    let paused = workspace.run(&["target", "pause", "out", "--reason", "its disk is replaced"]);
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    (workspace, service)
}

#[test]
fn problems_are_listed_with_what_to_do_the_worst_first() {
    let (workspace, service) = service_with_problems();
    let expected = [
        "dead_letters eni-unknown",
        "reaction_failed failed",
        "rule_failing failed",
        "target_paused out",
        "unknown_target eni-unknown",
    ];
    let status = eventually("all five problems", || {
        let status = status_json(&workspace);
        let mut found = problems(&status);
        found.sort();
        (found == expected).then_some(status)
    });
    let found = status.get("problems").unwrap().elements();
    for problem in found {
        for key in ["since", "subject", "detail", "action", "severity"] {
            let text = problem.get(key).and_then(Json::as_str);
            assert!(
                text.is_some_and(|text| !text.is_empty()),
                "{key}: {problem}"
            );
        }
        assert!(
            problem.get("count").and_then(Json::as_i64).unwrap() > 0,
            "{problem}"
        );
    }
    let severities = found
        .iter()
        .map(|one| one.get("severity").unwrap().as_str().unwrap());
    let severities: Vec<&str> = severities.collect();
    assert_eq!(
        severities,
        ["critical", "critical", "critical", "warning", "warning"]
    );

    let human = workspace.run(&["status"]);
    assert_eq!(human.code, 1, "{}", human.stderr);
    let text = &human.stdout;
    assert!(text.starts_with("5 problems\n\ncritical  "), "{text}");
    for part in [
        "critical  unknown_target eni-unknown\n",
        "critical  rule_failing failed\n",
        "  3 failures in a row: ",
        "warning  target_paused out\n",
        ": its disk is replaced\n",
        "  → send what waits with `reflexarc target resume NAME`, when its receiver may\n    get it\n",
        "targets       1: 0 working, 1 paused (out)\n",
        "dead letters  1 (eni-unknown 1)\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest.unwrap() <= 80, "{text}");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn a_token_that_may_not_read_is_refused() {
    let tokens = "[[http.tokens]]\nname = \"cloud\"\ntoken = { file = \"cloud.secret\" }\n\
                  roles = [\"ingest\"]\n[[http.tokens]]\nname = \"eyes\"\n\
                  token = { file = \"eyes.secret\" }\nroles = [\"read\"]\n";
    let workspace = Workspace::new(r#"send("out", 1);"#, &format!("{tokens}{OUT}"));
    workspace.write("cloud.secret", "secret-of-cloud\n");
    workspace.write("eyes.secret", "secret-of-eyes\n");
    let service = workspace.serve();
    // The token with the role is found in the configuration.
    assert_eq!(workspace.run(&["status"]).code, 0);
    let without = workspace.run(&["status", "--url", &workspace.url()]);
    assert_eq!(without.code, 5);
    assert!(without.stderr.contains("401"), "{}", without.stderr);
    assert_eq!(service.terminate(), 0);
}
