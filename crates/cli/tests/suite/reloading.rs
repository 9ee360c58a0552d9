//! Reloads of a running service whose files are not what they should be.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::service_process::{ServiceProcess, Workspace, eventually};

const THEN: &str = r#"send("out", event.content);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
const FIFO: &str = "expected a regular file, found a FIFO (named pipe)";

fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success());
}

fn make_fifo(workspace: &Workspace, name: &str) {
    run("mkfifo", &[workspace.path(name).to_str().unwrap()]);
}

fn hang_up(service: &ServiceProcess) {
    run("kill", &["-HUP", &service.child.id().to_string()]);
}

fn wait_for_log(service: &ServiceProcess, part: &str) {
    eventually(part, || service.log().contains(part).then_some(()));
}

/// The status of a request without a body, and its body.
fn get(service: &ServiceProcess, path: &str) -> String {
    service.call("GET", path, "").unwrap().1
}

#[test]
fn a_fifo_does_not_hang_later_reloads() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    make_fifo(&workspace, "rules/x.toml");
    hang_up(&service);
    wait_for_log(&service, FIFO);
    assert!(get(&service, "/status").contains(FIFO));
    std::fs::remove_file(workspace.path("rules/x.toml")).unwrap();
    hang_up(&service);
    wait_for_log(&service, "\"message\":\"reloaded\"");
    assert!(get(&service, "/status").contains(r#""refused_reload":null"#));
    assert_eq!(service.terminate(), 0);
}

#[test]
fn signals_and_changes_of_files_confirm_nothing() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    // The watcher sees that the only rule is gone.
    std::fs::rename(workspace.path("rules/failed.toml"), workspace.path("kept")).unwrap();
    wait_for_log(&service, "no rules in");
    hang_up(&service);
    let refusals = || service.log().matches("reload refused").count();
    eventually("refused again", || (refusals() >= 2).then_some(()));
    let status = get(&service, "/status");
    assert!(status.contains(r#""rules":1,"#), "{status}");
    assert!(
        status.contains(r#""confirm":"reflexarc reload --force""#),
        "{status}"
    );
    let refused = workspace.run(&["reload"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("reflexarc reload --force"),
        "{}",
        refused.stderr
    );
    let forced = workspace.run(&["reload", "--force"]);
    assert_eq!(
        forced.stdout, "reloaded: 0 rules, 1 target\n",
        "{}",
        forced.stderr
    );
    assert!(get(&service, "/status").contains(r#""refused_reload":null"#));
    assert_eq!(service.terminate(), 0);
}

#[test]
fn a_token_is_revoked_while_a_rule_is_broken() {
    let entry = |name: &str| {
        format!(
            "[[http.tokens]]\nname = \"{name}\"\ntoken = {{ file = \"{name}\" }}\n\
             roles = [\"ingest\", \"read\", \"operate\"]\n"
        )
    };
    let workspace = Workspace::new(THEN, &entry("ops"));
    let start = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    workspace.write("ops", "token-ops");
    workspace.write("old", "token-old");
    workspace.write("reflexarc.toml", &format!("{start}{}{OUT}", entry("old")));
    let service = workspace.serve();
    let status = |token: &str| {
        let path = format!("/status?token={token}");
        service.call("GET", &path, "").unwrap().0
    };
    assert_eq!((status("token-ops"), status("token-old")), (200, 200));
    workspace.write("rules/broken.toml", "when = 'x ='");
    workspace.write("reflexarc.toml", &format!("{start}{OUT}"));
    let refused = workspace.run(&["reload"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("reloaded nevertheless: http.tokens"),
        "{}",
        refused.stderr
    );
    assert_eq!((status("token-ops"), status("token-old")), (200, 401));
    assert_eq!(service.terminate(), 0);
}

/// Commands that read rules or a configuration end at once, with the reason.
#[test]
fn commands_refuse_special_files() {
    let workspace = Workspace::new(THEN, OUT);
    let refused = |args: &[&str], code: i32, message: &str| {
        let begun = Instant::now();
        let outcome = workspace.run(args);
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.stderr);
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains(message), "{args:?}: {text}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{args:?}");
    };
    let all = |message: &str| {
        for args in [
            &["serve"][..],
            &["config", "check"],
            &["check", "rules"],
            &["test", "rules"],
            &["fmt", "rules"],
            &["run", "rules", "-"],
        ] {
            refused(args, 3, message);
        }
    };
    make_fifo(&workspace, "rules/x.toml");
    all(FIFO);
    refused(&["check", "rules/x.toml"], 3, FIFO);
    std::fs::remove_file(workspace.path("rules/x.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", workspace.path("rules/x.toml")).unwrap();
    all("expected a regular file, found a device");
    std::fs::remove_file(workspace.path("rules/x.toml")).unwrap();
    std::os::unix::fs::symlink(".", workspace.path("rules/loop")).unwrap();
    all("leads to a folder around it");
    std::fs::remove_file(workspace.path("rules/loop")).unwrap();
    std::fs::remove_file(workspace.path("reflexarc.toml")).unwrap();
    make_fifo(&workspace, "reflexarc.toml");
    for args in [
        &["serve"][..],
        &["config", "check"],
        &["reload"],
        &["outbox", "list"],
        &["target", "list"],
    ] {
        refused(args, 3, FIFO);
    }
}
