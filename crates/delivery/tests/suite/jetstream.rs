//! The configuration of targets of type `jetstream`. What they send is tested with a real server,
//! in `tests/python/service`.

use std::path::Path;

use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_diagnostic::{Diagnostic, Severity};

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

fn read(keys: &str) -> (Vec<TargetConfig>, Vec<Diagnostic>) {
    let environment = |name: &str| {
        let values = [
            ("SEED", SEED),
            ("PASSWORD", "canary-password"),
            ("URLS", "nats://a:4222, tls://b"),
            ("CREDENTIALS", "no credentials"),
        ];
        let found = values.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let text = format!("[targets.stream]\ntype = \"jetstream\"\n{keys}\n");
    let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
    let context = ConfigContext::new(Path::new("/nonexistent"), Secrets::Resolve(&environment));
    let root = ConfigTable::new(&context, document.root());
    let targets = targets(&root);
    root.finish();
    (targets, document.into_diagnostics())
}

const VALID: &str = "url = \"nats://nats.example.com\"\nsubject = \"alerts.reflexarc\"\n";

#[cfg(not(feature = "cluster"))]
#[test]
fn a_build_without_the_feature_says_so() {
    let (targets, diagnostics) = read(VALID);
    assert!(targets.is_empty());
    let [fault] = &diagnostics[..] else {
        panic!("{diagnostics:?}");
    };
    assert_eq!(fault.message, "this program was built without JetStream");
    assert!(
        fault
            .help
            .as_deref()
            .unwrap()
            .contains("--features cluster")
    );
    assert_eq!(fault.severity, Severity::Error);
}

#[cfg(feature = "cluster")]
#[test]
fn servers_may_be_one_or_several_or_a_secret() {
    for (url, endpoint) in [
        ("\"nats.example.com\"", "nats.example.com:4222"),
        (
            "[\"nats://10.1.2.3:4223\", \"tls://b\"]",
            "10.1.2.3:4223, b:4222",
        ),
        ("{ env = \"URLS\" }", "a:4222, b:4222"),
    ] {
        let (targets, diagnostics) = read(&format!("url = {url}\nsubject = \"a\""));
        assert_eq!(diagnostics, [], "{url}");
        assert_eq!(targets[0].target.endpoint(), endpoint);
        assert_eq!(targets[0].target.kind(), "jetstream");
    }
}

#[cfg(feature = "cluster")]
#[test]
fn every_fault_is_reported_with_what_to_write() {
    for (keys, message) in [
        ("subject = \"a\"", "missing key `url`"),
        ("url = \"localhost\"", "missing key `subject`"),
        (
            "url = \"http://a\"\nsubject = \"a\"",
            "expected nats://host:port",
        ),
        ("url = \"ws://a\"\nsubject = \"a\"", "not a web socket"),
        (
            "url = \"nats://169.254.169.254\"\nsubject = \"a\"",
            "169.254.169.254",
        ),
        ("url = \"a\"\nsubject = \"a.>\"", "invalid subject `a.>`"),
        (
            "url = \"a\"\nsubject = \"a\"\nuser = \"u\"",
            "must be set together",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\nheaders = { Nats-Rollup = \"all\" }",
            "invalid header `Nats-Rollup`",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\nnkey = { env = \"SEED\" }\ntoken = { env = \"PASSWORD\" }",
            "both `token` and `nkey`",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\ncredentials = { env = \"CREDENTIALS\" }",
            "not a credentials file",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\nretry_statuses = [404]",
            "retry_statuses",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\nbody = \"{{ titel }}\"",
            "titel",
        ),
        (
            "url = \"a\"\nsubject = \"a\"\ncertificate = \"c.pem\"",
            "must be set together",
        ),
    ] {
        let (targets, diagnostics) = read(keys);
        let mut errors = diagnostics.iter();
        let is_found = errors
            .any(|fault| fault.severity == Severity::Error && fault.message.contains(message));
        assert!(is_found, "{keys}: {diagnostics:?}");
        let no_subject_or_url = targets.is_empty() || !message.starts_with("missing");
        assert!(no_subject_or_url, "{keys}");
    }
}

#[cfg(feature = "cluster")]
#[test]
fn secrets_in_the_clear_are_a_warning() {
    let password = "user = \"u\"\npassword = { env = \"PASSWORD\" }";
    for (keys, is_warned) in [
        (format!("{VALID}{password}"), true),
        (format!("{VALID}{password}\ntls = true"), false),
        (format!("{VALID}nkey = {{ env = \"SEED\" }}"), false),
        (
            format!("url = \"127.0.0.1\"\nsubject = \"a\"\n{password}"),
            false,
        ),
        (
            format!("url = \"tls://a\"\nsubject = \"a\"\n{password}"),
            false,
        ),
    ] {
        let (targets, diagnostics) = read(&keys);
        assert_eq!(targets.len(), 1, "{keys}: {diagnostics:?}");
        let warnings = diagnostics
            .iter()
            .filter(|found| found.message.contains("in the clear"));
        assert_eq!(
            warnings.count(),
            usize::from(is_warned),
            "{keys}: {diagnostics:?}"
        );
    }
}
