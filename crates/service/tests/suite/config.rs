use std::path::Path;

use reflexarc_diagnostic::Code;
use reflexarc_service::{Config, Secrets, TEMPLATE};

fn canary(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| "canary-secret".into())
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn read(text: &str) -> Result<Config, Vec<reflexarc_diagnostic::Diagnostic>> {
    Config::read(text, Path::new("."), Secrets::Resolve(&canary))
}

fn drawn(text: &str) -> String {
    let faults = read(text).err().unwrap();
    faults
        .iter()
        .map(|fault| fault.render("reflexarc.toml", text, false))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_template_is_a_configuration_also_with_everything_in_it_switched_on() {
    let config = read(TEMPLATE).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(
        config
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect::<Vec<_>>(),
        ["log"]
    );
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.split(' ').nth(1) == Some("=") => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    let all: String = TEMPLATE.lines().map(|line| on(line) + "\n").collect();
    let faults = read(&all).err().unwrap();
    // Only the files with keys and passwords are not there.
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.code, &all[fault.span.clone()]))
        .collect();
    let smtp = (Code::CONFIG_SECRET, "{ file = \"/run/secrets/smtp\" }");
    assert_eq!(
        told,
        [
            (Code::CONFIG_FILE, "\"server.pem\""),
            (Code::CONFIG_FILE, "\"server.key\""),
            smtp
        ]
    );
    let here = |line: &&str| !line.contains("server.") && !line.contains("[http.tls]");
    let without: Vec<&str> = all.lines().filter(here).collect();
    let without = without
        .join("\n")
        .replace("{ file = \"/run/secrets/smtp\" }", "{ env = \"SMTP\" }");
    let config = read(&without).unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut names: Vec<_> = config
        .queues
        .iter()
        .map(|queue| queue.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["inventory", "log", "network-team", "operators", "page"]
    );
    assert!(
        config.eventbridge.is_some()
            && config
                .tokens
                .check(
                    &axum::http::HeaderMap::new(),
                    "",
                    reflexarc_service::Role::Read,
                    jiff::Timestamp::now()
                )
                .is_err()
    );
}

/// A rehearsal needs every target, and no secret.
#[test]
fn blank_secrets_make_targets_that_render() {
    let on = TEMPLATE.lines().map(|line| {
        line.strip_prefix("# ")
            .filter(|rest| !rest.ends_with(';'))
            .unwrap_or(line)
    });
    let from = on
        .skip_while(|line| !line.starts_with("[targets.log]"))
        .collect::<Vec<_>>()
        .join("\n");
    let told = from
        .lines()
        .filter(|line| line.starts_with('[') || line.contains(" = "));
    let text = told.collect::<Vec<_>>().join("\n");
    let config = Config::read(&text, Path::new("."), Secrets::Blank)
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut told: Vec<_> = config
        .queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue.target.kind()))
        .collect();
    told.sort_unstable();
    let all = [
        ("inventory", "webhook"),
        ("log", "file"),
        ("network-team", "dingtalk"),
        ("operators", "email"),
    ];
    assert_eq!(told, [&all[..], &[("page", "command")]].concat());
    let send = crate::samples::send("any", 7);
    let deliveries = crate::samples::incoming("1").deliveries(
        &crate::samples::evaluation("r", vec![send], vec![]),
        crate::samples::at(0),
    );
    let summary =
        |queue: &reflexarc_service::Queue| queue.target.preview(&deliveries).unwrap().summary;
    let mut summaries: Vec<String> = config.queues.iter().map(summary).collect();
    summaries.sort_unstable();
    assert_eq!(summaries, ["7", "7", "7", "[info] r", "r"]);
    assert!(
        Config::read(&text, Path::new("."), Secrets::Leave)
            .unwrap()
            .queues
            .is_empty()
    );
}

#[test]
fn everything_wrong_is_shown_at_once_where_it_stands() {
    insta::assert_snapshot!(drawn(
        r#"ruels = "rules"
log = 7

[store]
duplicates = "soon"
max_bytes = 10

[http]
listen = "0.0.0.0:8321"

[targets.team]
type = "dingtlak"

[targets.robot]
type = "dingtalk"
token = "in-the-clear"
format = "card"
timeoout = "30s"

[targets.hook]
type = "webhook"
url = "http://169.254.169.254/latest/meta-data"
secret = { environment = "X" }
retry = ["1s", "later"]

[targets.mail]
type = "email"
from = "nobody"
to = []
password = { env = "X" }
protection = "none"
"#
    ));
    insta::assert_snapshot!(drawn("[http\nlisten = \"127.0.0.1:1\"\n"));
    insta::assert_snapshot!(drawn(
        r#"[http]
listen = "8321"
[[http.tokens]]
name = "cloud"
token = { env = "X" }
roles = ["injest"]
expires = "tomorrow"
[http.eventbridge]
url = "hooks"
[limits]
queue_events = 5
"#
    ));
}

#[test]
fn a_secret_that_cannot_be_found_is_named_and_can_be_left_alone() {
    let text = r#"
[targets.robot]
type = "dingtalk"
token = { env = "DINGTALK_TOKEN" }
secret = { file = "/nonexistent/secret" }
"#;
    let faults = Config::read(text, Path::new("."), Secrets::Resolve(&nothing))
        .err()
        .unwrap();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.code, fault.message.as_str()))
        .collect();
    assert_eq!(
        told[0],
        (
            Code::CONFIG_SECRET,
            "the environment variable DINGTALK_TOKEN is not set"
        )
    );
    assert!(
        told[1].1.starts_with("cannot read /nonexistent/secret"),
        "{told:?}"
    );
    let config = Config::read(text, Path::new("."), Secrets::Leave)
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    assert!(config.queues.is_empty());
}

#[test]
fn paths_start_from_the_folder_and_secrets_are_known_to_the_redactor() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "file-secret\n").unwrap();
    let text = "rules = [\"a\", \"b\"]\n[targets.r]\ntype = \"dingtalk\"\ntoken = { file = \"token\" }\nsecret = { env = \"S\" }\n";
    let config = Config::read(text, folder.path(), Secrets::Resolve(&canary))
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(
        config.rules,
        [folder.path().join("a"), folder.path().join("b")]
    );
    assert_eq!(config.store_path, folder.path().join("reflexarc.db"));
    assert_eq!(
        config
            .redactor
            .redact("?access_token=file-secret&sign=canary-secret"),
        "?access_token=[redacted]&sign=[redacted]"
    );
}
