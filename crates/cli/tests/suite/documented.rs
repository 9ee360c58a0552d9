//! The command lines in help texts and documents: they run, or are at least accepted.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use reflexarc_service::config::TEMPLATE;

use crate::service_process::Workspace;
use crate::{reflexarc, root};

/// Command lines that need what a test does not have (another machine, the cloud's own command) or
/// do not end. Their arguments are checked all the same.
const ONLY_PARSED: [&str; 10] = [
    "aws ",
    "aliyun ",
    "hooks.example.com",
    "/etc/",
    "--listen",
    // They need a service that is stopped.
    " restore ",
    " store copy ",
    // It needs a rule that is gone.
    " state drop ",
    " serve",
    // Ends when it is interrupted.
    "reflexarc tail",
];

/// Documents whose command lines are checked.
const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "deploy/README.md",
    "crates/delivery/REFERENCE.md",
    "crates/engine/REFERENCE.md",
    "crates/pattern/REFERENCE.md",
    "crates/reaction/REFERENCE.md",
    "crates/service/src/config/template.toml",
    "docs/simulate.md",
];

/// The targets of the ready-made rules, which the template has, and of those that the examples of
/// `import` add to them.
fn targets() -> String {
    let (_, targets) = TEMPLATE.split_once("\n[targets]\n").unwrap();
    // A service of a test has no account. The template has an API on this machine, where a port is
    // named on which nothing listens.
    let stand_in = "http://127.0.0.1:8322";
    assert!(targets.contains(stand_in), "{targets}");
    let targets = targets.replace(stand_in, "http://127.0.0.1:1");
    let imported = [
        "eni-alerts-2",
        "instance-trouble-t1",
        "mail",
        "page",
        "robot",
    ];
    let imported = imported.map(|name| format!("{name} = {{ type = \"stdout\" }}\n"));
    format!("[targets]\n{}{targets}", imported.concat())
}

/// The names of all commands.
pub(crate) fn commands() -> Vec<String> {
    let help = reflexarc(&["--help"]).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let indented = commands.lines().take_while(|line| line.starts_with("  "));
    indented
        // The continuation of a description is indented further.
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// The command lines of the section `Examples:` of a help text, without their explanations.
fn examples(help: &str) -> Vec<String> {
    let Some((_, section)) = help.split_once("Examples:\n") else {
        return Vec::new();
    };
    let mut examples: Vec<String> = Vec::new();
    let mut continued = false;
    for line in section.lines().take_while(|line| line.starts_with("  ")) {
        let line = line.trim();
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line.split("   ").next().unwrap(), false),
        };
        match examples.last_mut() {
            Some(last) if continued => *last = format!("{last} {part}"),
            _ => examples.push(part.to_owned()),
        }
        continued = goes_on;
    }
    examples
}

#[test]
fn every_example_in_help_runs() {
    let workspace = workspace();
    let service = workspace.serve();
    // `trace` and `archive` show events that the service has accepted.
    let sent = workspace.run(&["send", "events.ndjson"]);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    let mut seen = BTreeSet::new();
    let (mut ran, mut parsed) = (0, 0);
    let own = reflexarc(&["--help"]).stdout;
    let of_commands = commands()
        .into_iter()
        .map(|name| reflexarc(&["help", &name]).stdout);
    for help in std::iter::once(own).chain(of_commands) {
        for example in examples(&help) {
            if !seen.insert(example.clone()) {
                continue;
            }
            if ONLY_PARSED.iter().any(|part| example.contains(part)) {
                assert_is_accepted(workspace.folder.path(), &example);
                parsed += 1;
                continue;
            }
            // The workspace has a configuration already.
            let empty = tempfile::tempdir().unwrap();
            let folder = if example.contains("config init") {
                empty.path()
            } else {
                workspace.folder.path()
            };
            let output = shell(folder, &example);
            let stderr = String::from_utf8_lossy(&output.stderr);
            // A negative result is a result.
            let is_result = matches!(output.status.code(), Some(0 | 1));
            assert!(is_result, "{example}\n{stderr}");
            assert!(!stderr.contains("hint: "), "{example}\n{stderr}");
            ran += 1;
        }
    }
    assert!(ran >= 30 && parsed <= 16, "{ran} ran, {parsed} were parsed");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn every_command_with_arguments_has_examples() {
    for name in commands() {
        // Not `help NAME`, which is the topic where a topic has the name of a command: `rule`.
        let help = reflexarc(&[&name, "--help"]).stdout;
        // Small commands whose whole use is in their usage.
        if !["config", "outbox", "target"].contains(&name.as_str()) {
            assert!(!examples(&help).is_empty(), "{name}");
        }
    }
}

#[test]
fn every_command_line_in_documents_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut documents: BTreeSet<_> = DOCUMENTS.iter().map(|name| root().join(name)).collect();
    let pages = crate::markdown::documents().into_iter();
    // The examples of help, which the page of commands repeats, have a test of their own.
    let pages = pages.filter(|(name, _)| name.starts_with("docs/") && name != "docs/cli.md");
    documents.extend(pages.map(|(_, path)| path));
    let mut count = 0;
    for document in documents {
        if document
            .extension()
            .is_none_or(|end| end != "md" && end != "toml")
        {
            continue;
        }
        let text = std::fs::read_to_string(&document).unwrap();
        for line in command_lines(&text) {
            assert_is_accepted(folder.path(), line);
            count += 1;
        }
    }
    assert!(count >= 35, "{count}");
}

/// The command lines in a document: in code blocks and between backticks.
fn command_lines(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_shell = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        }
        if is_shell || line.starts_with("    reflexarc ") {
            found.push(line.trim());
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found.retain(|line| line.starts_with("reflexarc "));
    found
}

/// A folder with everything that examples name, and a service that has the example events.
fn workspace() -> Workspace {
    let workspace = Workspace::new("log(1);", &targets());
    for name in ["rules", "examples"] {
        crate::readme::copy(&root().join(name), &workspace.path(name));
    }
    let events = std::fs::read_to_string(root().join("examples/eni-events.ndjson")).unwrap();
    workspace.write("events.ndjson", &events);
    workspace.write("event.json", events.lines().next().unwrap());
    let packed = zstd::encode_all(events.as_bytes(), 1).unwrap();
    std::fs::write(workspace.path("events.ndjson.zst"), packed).unwrap();
    workspace.write("FILE", &events);
    workspace.write(
        "filters.ndjson",
        "{\"id\": 1, \"pattern\": {\"level\": [\"WARN\"]}}\n",
    );
    for (name, response) in [
        ("rules.json", "eventbridge-rules.json"),
        ("targets.json", "eventbridge-targets.json"),
        ("rule-list.json", "cloudmonitor-rules.json"),
        ("alerts.json", "cloudmonitor-targets.json"),
        ("aws-rules.json", "aws-rules.json"),
        ("aws-targets.json", "aws-targets.json"),
        ("template.yaml", "infrastructure/template.yaml"),
    ] {
        let from = root().join("examples/subscriptions").join(response);
        std::fs::copy(from, workspace.path(name)).unwrap();
    }
    let infrastructure = root().join("examples/subscriptions/infrastructure");
    crate::readme::copy(&infrastructure, &workspace.path("infrastructure"));
    workspace
}

/// Runs a command line with the built program as `reflexarc`.
fn shell(folder: &Path, line: &str) -> std::process::Output {
    let program = Path::new(env!("CARGO_BIN_EXE_reflexarc")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", program.display()))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// Asserts that the arguments exist: with `--help` at the end they are parsed, and nothing runs.
fn assert_is_accepted(folder: &Path, line: &str) {
    let Some(start) = line.rfind("reflexarc ") else {
        return;
    };
    let line = line[start..].split([';', '|', '<', '>']).next().unwrap();
    let line = line.trim_end_matches(" &");
    // A text may mention an option without its value, such as `--dialect`.
    let accepted = ["--help", "aws --help"]
        .iter()
        .any(|end| shell(folder, &format!("{line} {end}")).status.success());
    assert!(accepted, "{line}");
}
