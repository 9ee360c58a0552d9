//! A machine without certificates of authorities, such as a container that has the program alone:
//! what needs none works, the rest says what is missing.

use std::process::Command;

use crate::service_process::{Workspace, event};

/// Where certificates are looked for: nothing is there.
const NONE: [(&str, &str); 2] = [
    ("SSL_CERT_FILE", "/dev/null"),
    ("SSL_CERT_DIR", "/nonexistent"),
];

/// Runs a command in the folder; its exit code, and what it prints.
fn run(workspace: &Workspace, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflexarc"));
    command.args(arguments).envs(NONE);
    let output = command
        .current_dir(workspace.folder.path())
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).unwrap();
    (output.status.code().unwrap(), printed)
}

/// A workspace whose targets, heartbeat and collector of traces are at this address.
fn calling(address: &str) -> Workspace {
    let workspace = Workspace::new("log(1);", "");
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    let address = address.replace("PORT", &workspace.port.to_string());
    let more = format!(
        "[telemetry]\nendpoint = \"{address}\"\n\
         [heartbeat]\nurl = \"{address}/healthz\"\nevery = \"1m\"\nallow = [\"127.0.0.0/8\"]\n\
         [targets.hook]\ntype = \"webhook\"\nurl = \"{address}/events\"\nallow = [\"127.0.0.0/8\"]\n\
         [targets.api]\ntype = \"http\"\nurl = \"{address}\"\nallow = [\"GET *\"]\n\
         networks = [\"127.0.0.0/8\"]\n\
         [targets.ecs]\ntype = \"alibaba\"\nendpoint = \"{address}\"\ncredentials = \"ecs-role\"\n\
         allow = [\"Describe*\"]\n"
    );
    workspace.write("reflexarc.toml", &format!("{config}{more}"));
    workspace
}

#[test]
fn addresses_with_http_are_called() {
    let workspace = calling("http://127.0.0.1:PORT");
    let [file, folder] = NONE.map(|(name, value)| format!("{name}={value}"));
    let program = env!("CARGO_BIN_EXE_reflexarc");
    let service = workspace.serve_as(&["env", &file, &folder, program, "serve"]);
    workspace.write("events.ndjson", &event("1", "eni-1"));
    let (code, printed) = run(&workspace, &["send", "events.ndjson"]);
    assert_eq!(
        (code, printed.contains("1 accepted")),
        (0, true),
        "{printed}"
    );
    // The service itself takes the place of the webhook's receiver.
    let (code, printed) = run(&workspace, &["target", "test", "hook"]);
    assert_eq!(code, 0, "{printed}");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn addresses_with_https_need_certificates() {
    let missing = "No CA certificates were loaded from the system";
    let workspace = calling("https://127.0.0.1:PORT");
    let (code, printed) = run(&workspace, &["config", "check"]);
    assert_eq!(code, 3, "{printed}");
    // Of the collector, of the heartbeat and of each target.
    assert_eq!(printed.matches(missing).count(), 5, "{printed}");
    let help = "install the certificates of the system (`ca-certificates`), or name a file: \
                authorities = \"ca.pem\"";
    assert_eq!(printed.matches(help).count(), 5, "{printed}");
    let status = ["status", "--url", "https://127.0.0.1:1"];
    let (code, printed) = run(&workspace, &status);
    assert_eq!((code, printed.contains(missing)), (5, true), "{printed}");
    // A file without any is no default.
    let with_file = [&status[..], &["--authorities", "reflexarc.toml"]].concat();
    let (code, printed) = run(&workspace, &with_file);
    let message = "reflexarc.toml: there is no certificate in PEM; --authorities is a file in PEM";
    assert_eq!((code, printed.contains(message)), (2, true), "{printed}");
}
