use std::path::Path;
use std::time::Duration;

use reflexarc_diagnostic::Code;
use reflexarc_service::config::{Secrets, TEMPLATE};
use reflexarc_service::{Config, StoreLocation};

fn canary(name: &str) -> Option<String> {
    let secret = match name {
        "" => return None,
        // The address of a chat is a secret as a whole.
        "FEISHU_URL" => "https://example.com/canary-secret",
        _ => "canary-secret",
    };
    Some(secret.into())
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn read(text: &str) -> Result<Config, reflexarc_diagnostic::InvalidFiles> {
    Config::read(text, Path::new("."), Secrets::Resolve(&canary))
}

fn rendered(text: &str) -> String {
    read(text).err().unwrap().to_string()
}

/// The template; without the feature `cluster`, without what needs it.
fn template() -> String {
    let paragraphs = TEMPLATE.split("\n\n");
    let here = |text: &&str| cfg!(feature = "cluster") || !text.contains("\"jetstream\"");
    paragraphs.filter(here).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn the_template_is_valid_with_all_of_it_uncommented() {
    let template = template();
    let config = read(&template).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(
        config
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect::<Vec<_>>(),
        [
            "cmdb",
            "ecs",
            "ipam",
            "log",
            "network-team",
            "on-call",
            "platform-manager",
            "platform-team"
        ]
    );
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.split(' ').nth(1) == Some("=") => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    let all: String = template.lines().map(|line| on(line) + "\n").collect();
    let error = read(&all).err().unwrap();
    // Only the files with certificates and passwords are missing, and the program of a command.
    let found: Vec<_> = error
        .diagnostics()
        .map(|diagnostic| (diagnostic.code, &all[diagnostic.span.clone()]))
        .collect();
    let smtp = (Code::CONFIG_SECRET, "{ file = \"/run/secrets/smtp\" }");
    let creds = (
        Code::CONFIG_SECRET,
        "{ file = \"/run/secrets/nats.creds\" }",
    );
    let has_sources = cfg!(feature = "cluster");
    let missing = [
        (Code::CONFIG_FILE, "\"server.pem\""),
        (Code::CONFIG_FILE, "\"server.key\""),
        creds,
        smtp,
        (
            Code::CONFIG_FILE,
            "[\"/usr/local/bin/page\", \"--team\", \"network\"]",
        ),
    ];
    let missing = missing.into_iter();
    let missing: Vec<_> = missing.filter(|one| has_sources || *one != creds).collect();
    assert_eq!(found, missing);
    let here = |line: &&str| {
        let others = ["server.pem", "server.key", "[http.tls]", "nats.creds"];
        !others.iter().any(|other| line.contains(other))
    };
    let without: Vec<&str> = all.lines().filter(here).collect();
    let without = without
        .join("\n")
        .replace("{ file = \"/run/secrets/smtp\" }", "{ env = \"SMTP\" }");
    let config = read(&without).unwrap_or_else(|faults| panic!("{faults:?}"));
    for (name, kind) in [
        ("chat", "dingtalk"),
        ("cloud", "alibaba"),
        ("feishu-group", "feishu"),
        ("inventory", "webhook"),
        ("log", "file"),
        ("operators", "email"),
        ("page", "command"),
        ("pager", "pagerduty"),
    ] {
        let mut queues = config.queues.iter();
        let queue = queues.find(|queue| queue.name == name).unwrap();
        assert_eq!(queue.target.kind(), kind);
    }
    let sources = config.sources.iter().map(|source| source.name.as_str());
    assert_eq!(
        sources.collect::<Vec<_>>(),
        if has_sources { vec!["events"] } else { vec![] }
    );
    let stream = config.queues.iter().find(|queue| queue.name == "stream");
    assert_eq!(
        stream.map(|queue| queue.target.kind()),
        has_sources.then_some("jetstream")
    );
    assert!(
        config.eventbridge.is_some()
            && config
                .tokens
                .check(
                    &axum::http::HeaderMap::new(),
                    "",
                    reflexarc_service::security::Role::Read,
                    jiff::Timestamp::now()
                )
                .is_err()
    );
}

/// A rehearsal needs every target and no secret.
#[test]
fn targets_with_blank_secrets_can_render() {
    let template = template();
    let on = template.lines().map(|line| {
        line.strip_prefix("# ")
            .filter(|rest| !rest.ends_with(';'))
            .unwrap_or(line)
    });
    let from = on
        .skip_while(|line| !line.starts_with("[targets.log]"))
        .collect::<Vec<_>>()
        .join("\n");
    let settings = from
        .lines()
        .filter(|line| line.starts_with('[') || line.contains(" = "));
    let text = settings.collect::<Vec<_>>().join("\n");
    let config = Config::read(&text, Path::new("."), Secrets::Blank)
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut found: Vec<_> = config
        .queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue.target.kind()))
        .collect();
    found.sort_unstable();
    let all = [
        ("chat", "dingtalk"),
        ("cloud", "alibaba"),
        ("cmdb-api", "http"),
        ("feishu-group", "feishu"),
        ("inventory", "webhook"),
        ("log", "file"),
        ("operators", "email"),
        ("page", "command"),
        ("pager", "pagerduty"),
        ("stream", "jetstream"),
    ];
    let has_streams = cfg!(feature = "cluster");
    let all: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| has_streams || *name != "stream")
        .collect();
    assert_eq!(found, all);
    let send = crate::samples::send("any", 7);
    let event = crate::samples::incoming("1").identity;
    let now = crate::samples::at(0);
    let deliveries = reflexarc_delivery::Delivery::for_actions(&event, [("r", &send)], now);
    let summary = |queue: &reflexarc_delivery::config::TargetConfig| {
        queue.target.preview(&deliveries).unwrap().summary
    };
    let messages = config.queues.iter().filter(|queue| queue.calls.is_none());
    let mut summaries: Vec<String> = messages.map(summary).collect();
    summaries.sort_unstable();
    // Chats and mail have titles, others the document.
    let documents = if has_streams { 6 } else { 5 };
    assert_eq!(summaries[..documents], vec!["7"; documents]);
    assert_eq!(summaries[documents..], ["[info] r", "r"]);
    assert!(
        Config::read(&text, Path::new("."), Secrets::Skip)
            .unwrap()
            .queues
            .is_empty()
    );
}

#[test]
fn every_error_is_reported_at_its_location() {
    insta::assert_snapshot!(rendered(
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
from = "operator"
to = []
password = { env = "X" }
protection = "none"
"#
    ));
    insta::assert_snapshot!(rendered("[http\nlisten = \"127.0.0.1:1\"\n"));
    insta::assert_snapshot!(rendered(
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
fn the_number_of_state_entries_is_configured_for_rules_without_their_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    for (name, state) in [("own", "state = { max_entries = 7 }\n"), ("other", "")] {
        let text = format!("{state}when = 'id exists'\nthen = 'set(event.id, 1)'");
        std::fs::write(folder.path().join(format!("rules/{name}.toml")), text).unwrap();
    }
    let limits = |text: &str| {
        let config = Config::read(text, folder.path(), Secrets::Skip);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let rules = config
            .load_rules()
            .unwrap_or_else(|error| panic!("{error}"));
        ["own", "other"].map(|rule| rules.get(rule).unwrap().max_entries())
    };
    assert_eq!(limits(""), [7, 1_000_000]);
    assert_eq!(limits("[state]\nmax_entries = 5"), [7, 5]);
    for invalid in ["max_entries = 0", "max_entries = 10_000_001", "max = 5"] {
        let text = format!("[state]\n{invalid}");
        let error = Config::read(&text, folder.path(), Secrets::Skip)
            .err()
            .unwrap();
        assert_eq!(error.diagnostics().count(), 1, "{invalid}: {error}");
    }
}

#[test]
fn a_missing_secret_is_an_error_unless_secrets_are_skipped() {
    let text = r#"
[targets.robot]
type = "dingtalk"
token = { env = "DINGTALK_TOKEN" }
secret = { file = "/nonexistent/secret" }
"#;
    let error = Config::read(text, Path::new("."), Secrets::Resolve(&nothing))
        .err()
        .unwrap();
    let found: Vec<_> = error
        .diagnostics()
        .map(|diagnostic| (diagnostic.code, diagnostic.message.as_str()))
        .collect();
    assert_eq!(
        found[0],
        (
            Code::CONFIG_SECRET,
            "the environment variable DINGTALK_TOKEN is not set"
        )
    );
    assert!(
        found[1].1.starts_with("cannot read /nonexistent/secret"),
        "{found:?}"
    );
    let config = Config::read(text, Path::new("."), Secrets::Skip)
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    assert!(config.queues.is_empty());
}

#[test]
fn paths_are_relative_and_secrets_are_redacted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "file-secret\n").unwrap();
    let text = r#"
rules = ["a", "b"]
[targets.r]
type = "dingtalk"
token = { file = "token" }
secret = { env = "S" }
"#;
    let config = Config::read(text, folder.path(), Secrets::Resolve(&canary))
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(
        config.rule_paths,
        [folder.path().join("a"), folder.path().join("b")]
    );
    assert_eq!(
        config.store,
        StoreLocation::File(folder.path().join("reflexarc.db"))
    );
    assert_eq!(
        config
            .redactor
            .redact("?access_token=file-secret&sign=canary-secret"),
        "?access_token=[redacted]&sign=[redacted]"
    );
}

#[test]
fn the_deprecated_key_patience_is_read_with_a_warning() {
    let config = read("patience = \"9s\"\n").unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(9));
    let warnings = config.warnings.unwrap();
    let fix = warnings.diagnostics[0].fix.as_ref().expect("a fix");
    let mut fixed = warnings.text.clone();
    fixed.replace_range(fix.span.clone(), &fix.replacement);
    assert_eq!(fixed, "shutdown_timeout = \"9s\"\n");
    let config = read(&fixed).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(9));
    assert!(config.warnings.is_none());
    insta::assert_snapshot!(warnings.to_string());
    let both = "patience = \"9s\"\nshutdown_timeout = \"7s\"\n";
    let config = read(both).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(7));
    let warnings = config.warnings.unwrap().diagnostics;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].help.as_deref(),
        Some("remove it: `shutdown_timeout` is used")
    );
    let config = read("shutdown_timeout = \"7s\"\n").unwrap_or_else(|faults| panic!("{faults:?}"));
    assert!(config.warnings.is_none());
}

#[test]
fn dead_letters_are_kept_for_a_time_or_forever() {
    let days = |days: i64| Some(jiff::SignedDuration::from_hours(24 * days));
    for (text, expected) in [
        ("", days(90)),
        ("[dead_letters]\n", days(90)),
        ("[dead_letters]\nkeep = \"7d\"\n", days(7)),
        ("[dead_letters]\nkeep = \"forever\"\n", None),
    ] {
        let config = read(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        assert_eq!(config.retention.dead_letters, expected, "{text}");
    }
    for (keep, message) in [
        ("\"never\"", "keep"),
        ("7", "expected a duration, found a number"),
        ("\"0s\"", "keep"),
    ] {
        let error = rendered(&format!("[dead_letters]\nkeep = {keep}\n"));
        assert!(error.contains(message), "{keep}: {error}");
    }
    assert!(rendered("[dead_letters]\nage = \"7d\"\n").contains("age"));
}

/// The address of a collector is the operator's, so private ones are allowed.
#[test]
fn collectors_at_metadata_addresses_are_refused() {
    let text = |url: &str| format!("[telemetry]\nendpoint = \"{url}\"\n");
    for private in [
        "http://localhost:4318",
        "http://127.0.0.1:4318",
        "http://10.1.2.3:4318",
        "http://[fd12::1]:4318",
        "https://collector.example.com",
    ] {
        assert!(read(&text(private)).is_ok(), "{private}");
    }
    for metadata in [
        "http://169.254.169.254/v1",
        "http://2852039166:4318",
        "http://0xa9fea9fe:4318",
        "http://100.100.100.200",
        "http://[fd00:ec2::254]",
        "http://[::ffff:169.254.169.254]",
        "http://[fe80::1]:4318",
    ] {
        let found = rendered(&text(metadata));
        assert!(found.contains("metadata service"), "{metadata}: {found}");
    }
}

/// Also of addresses with `http`, which use none: a wrong file would be found at the change to `https`.
#[test]
fn authorities_are_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    for (name, text) in [("none.pem", "no certificate"), ("broken.pem", broken)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let tables = [
        "[telemetry]\nendpoint = \"SCHEME://127.0.0.1:4318\"",
        "[heartbeat]\nurl = \"SCHEME://127.0.0.1\"\nallow = [\"127.0.0.0/8\"]",
        "[targets.t]\ntype = \"webhook\"\nurl = \"SCHEME://127.0.0.1\"\nallow = [\"127.0.0.0/8\"]",
        "[targets.t]\ntype = \"http\"\nurl = \"SCHEME://127.0.0.1\"\nnetworks = [\"127.0.0.0/8\"]",
        "[targets.t]\ntype = \"email\"\nhost = \"127.0.0.1\"\nallow = [\"127.0.0.0/8\"]\n\
         from = \"a@example.com\"\nto = [\"b@example.com\"]",
    ];
    for table in tables {
        for scheme in ["http", "https"] {
            for (file, message) in [
                ("missing.pem", "cannot read"),
                ("none.pem", "`authorities` has no certificates"),
                ("broken.pem", "`authorities` has no certificates"),
            ] {
                let table = table.replace("SCHEME", scheme);
                let text = format!("{table}\nauthorities = \"{file}\"\n");
                let read = Config::read(&text, folder.path(), Secrets::Resolve(&canary));
                let faults = read
                    .err()
                    .map_or_else(String::new, |faults| faults.to_string());
                assert!(faults.contains(message), "{text}: {faults}");
                assert_eq!(faults.matches("error[").count(), 1, "{text}: {faults}");
            }
        }
    }
}

#[cfg(feature = "cluster")]
#[test]
fn files_for_nats_are_certificates_and_a_key() {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let target = "[targets.t]\ntype = \"jetstream\"\nurl = \"127.0.0.1\"\nsubject = \"a\"\n";
    let (pem, key, none) = ("localhost.pem", "localhost.key", "README.md");
    for (authorities, certificate, key, message) in [
        (none, pem, key, "`authorities` has no certificates"),
        (pem, none, key, "`certificate` has no certificates"),
        (pem, pem, none, "`key` has no private key"),
        (pem, pem, pem, "`key` has no private key"),
        (pem, pem, key, ""),
    ] {
        let files = format!(
            "authorities = \"{authorities}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
        );
        let text = format!("{target}{files}");
        let read = Config::read(&text, fixtures, Secrets::Resolve(&canary));
        let faults = read
            .err()
            .map_or_else(String::new, |faults| faults.to_string());
        assert!(faults.contains(message), "{files}: {faults}");
        let count = usize::from(!message.is_empty());
        assert_eq!(faults.matches("error[").count(), count, "{files}: {faults}");
    }
}

#[test]
fn the_console_has_an_address_and_names() {
    let text = "[console]\nlisten = \"127.0.0.1:8326\"\nhosts = [\"Reflexarc.internal\"]";
    let config = read(text).unwrap();
    assert_eq!(config.console, Some(([127, 0, 0, 1], 8326).into()));
    assert_eq!(config.console_hosts, ["reflexarc.internal"]);
    assert_eq!(read("").unwrap().console, None);

    for (text, expected) in [
        ("[console]", "listen = \"127.0.0.1:8326\""),
        ("[console]\nlisten = \"8326\"", "is not an address and port"),
        (
            "[console]\nlisten = \"0.0.0.0:8326\"",
            "missing tokens: without them anyone who can reach this address",
        ),
        (
            "[console]\nlisten = \"127.0.0.1:8326\"\nhosts = [\"a/b\"]",
            "expected the name of a host",
        ),
        (
            "[console]\nlisten = \"127.0.0.1:8326\"\nport = 1",
            "unknown key `port`",
        ),
    ] {
        let rendered = rendered(text);
        assert!(rendered.contains(expected), "{text}:\n{rendered}");
    }
}

#[test]
fn an_address_that_is_none_is_corrected() {
    for (written, right) in [
        ("8321", "127.0.0.1:8321"),
        (":9000", "127.0.0.1:9000"),
        ("localhost:9000", "127.0.0.1:9000"),
        ("10.0.0.7", "10.0.0.7:8321"),
        ("::1", "[::1]:8321"),
        ("fd00::7", "[fd00::7]:8321"),
        ("10.0.0.7:65536", "10.0.0.7:8321"),
        ("http://10.0.0.7:9000", "127.0.0.1:8321"),
        ("alerts.internal:9000", "127.0.0.1:8321"),
        ("", "127.0.0.1:8321"),
    ] {
        let rendered = rendered(&format!("[http]\nlisten = \"{written}\""));
        let help = format!("write it as \"{right}\"");
        assert!(rendered.contains(&help), "{written}:\n{rendered}");
        assert!(right.parse::<std::net::SocketAddr>().is_ok(), "{right}");
    }
}

#[test]
fn another_console_needs_a_restart() {
    let running = read("").unwrap().restart_settings();
    let edited = read("[console]\nlisten = \"127.0.0.1:8326\"").unwrap();
    let edited = edited.restart_settings();
    assert_eq!(running.differences(&edited), ["console"]);
}
