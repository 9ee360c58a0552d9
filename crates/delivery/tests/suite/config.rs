use std::path::Path;

use jiff::SignedDuration;
use reflexarc_delivery::config::{
    ConfigContext, ConfigTable, Secrets, TargetConfig, targets, unknown_target_message,
};
use reflexarc_delivery::{BreakerPolicy, RetryDelays};
use reflexarc_diagnostic::Severity;
use reflexarc_diagnostic::toml::{Document, FaultCodes};

/// The targets of a configuration, and the messages about it.
fn read(text: &str, secrets: Secrets<'_>) -> (Vec<TargetConfig>, Vec<String>) {
    let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
    let context = ConfigContext::new(Path::new("/nonexistent"), secrets);
    let root = ConfigTable::new(&context, document.root());
    let targets = targets(&root);
    root.finish();
    let messages = document.into_diagnostics();
    (
        targets,
        messages.into_iter().map(|found| found.message).collect(),
    )
}

#[test]
fn an_error_does_not_make_later_keys_unknown() {
    let text = r#"
[targets.mail]
type = "email"
host = "smtp.example.com"
authorities = "missing.pem"
from = "alerts@example.com"
to = []
subject = "{{ title }}"

[targets.hook]
type = "webhook"
url = "https://example.com/"
secret = { env = "SECRET" }
headers = { x-team = "network" }
allow = ["10.1.0.0/16"]
"#;
    let (targets, messages) = read(text, Secrets::Resolve(&|_| Some("whsec_!".into())));
    assert!(targets.is_empty());
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[0].starts_with("cannot read /nonexistent/missing.pem"));
    assert!(messages[1].contains("`to`"), "{messages:?}");
    assert_eq!(
        messages[2],
        "invalid secret: expected base64 after `whsec_`"
    );
}

#[test]
fn digests_change_with_values_and_secrets_and_not_with_layout() {
    let digest = |text: &str, secret: &str| {
        let lookup = |_: &str| Some(secret.to_owned());
        let (targets, messages) = read(text, Secrets::Resolve(&lookup));
        assert!(messages.is_empty(), "{messages:?}");
        targets[0].digest
    };
    let text = "[targets.r]\ntype = \"dingtalk\"\ntoken = { env = \"T\" }\n";
    let same = "[targets.r]\ntoken = {env='T'} # the robot's\ntype = 'dingtalk'\n";
    let other = "[targets.r]\ntype = \"dingtalk\"\ntoken = { env = \"U\" }\n";
    assert_eq!(digest(text, "a"), digest(same, "a"));
    assert_ne!(digest(text, "a"), digest(text, "b"));
    assert_ne!(digest(text, "a"), digest(other, "a"));
}

#[test]
fn targets_for_people_have_a_pace() {
    let mail = "[targets.t]\ntype = \"email\"\nhost = \"localhost\"\nfrom = \"a@example.com\"\n\
                to = [\"b@example.com\"]\n";
    let robot = "[targets.t]\ntype = \"dingtalk\"\ntoken = { env = \"T\" }\n";
    let calls = |target: &str, pace: &str| {
        let (targets, messages) = read(&format!("{target}{pace}"), Secrets::Blank);
        assert!(messages.is_empty(), "{messages:?}");
        targets[0].target.rate_limit().map(|limit| limit.calls)
    };
    assert_eq!(calls(mail, ""), Some(60));
    assert_eq!(calls(mail, "calls_per_minute = 5"), Some(5));
    assert_eq!(calls(mail, "calls_per_minute = 0"), None);
    assert_eq!(calls(robot, ""), Some(20));
    assert_eq!(calls(robot, "calls_per_minute = 5"), Some(5));
    let firings = |target: &str, limit: &str| {
        let (targets, messages) = read(&format!("{target}{limit}"), Secrets::Blank);
        assert!(messages.is_empty(), "{messages:?}");
        targets[0].firing_limit.map(|limit| limit.firings)
    };
    for target in [mail, robot] {
        assert_eq!(firings(target, ""), Some(20));
        assert_eq!(firings(target, "max_firings_per_minute = 5"), Some(5));
        assert_eq!(firings(target, "max_firings_per_minute = 0"), None);
    }
    for machine in [
        "type = \"file\"\npath = \"f\"",
        "type = \"stdout\"",
        "type = \"command\"\nargv = [\"a\"]",
        "type = \"webhook\"\nurl = \"https://example.com/\"",
    ] {
        assert_eq!(calls("[targets.t]\n", machine), None);
        assert_eq!(firings("[targets.t]\n", machine), None);
    }
    for wrong in ["calls_per_minute = -1", "max_firings_per_minute = 1001"] {
        let (_, messages) = read(&format!("{mail}{wrong}"), Secrets::Blank);
        assert_eq!(messages.len(), 1, "{messages:?}");
    }
    let (_, messages) = read(
        "[targets.t]\ntype = \"stdout\"\nmax_firings_per_minute = 5\n",
        Secrets::Blank,
    );
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[test]
fn skipped_secrets_make_no_targets_and_blank_ones_do() {
    let text = "[targets.r]\ntype = \"dingtalk\"\ntoken = { env = \"T\" }\n";
    assert!(read(text, Secrets::Skip).0.is_empty());
    assert_eq!(read(text, Secrets::Blank).0[0].name, "r");
}

#[test]
fn unknown_targets_are_reported_with_the_known_ones() {
    assert_eq!(
        unknown_target_message("team", &[]),
        "unknown target `team`; no targets are configured"
    );
    let known = ["log".to_owned(), "page".to_owned()];
    assert_eq!(
        unknown_target_message("team", &known),
        "unknown target `team`; known targets: log, page"
    );
}

#[test]
fn time_zones_are_set_for_all_targets_or_for_one() {
    let mail = "type = \"email\"\nhost = \"localhost\"\nfrom = \"a@example.com\"\n\
                to = [\"b@example.com\"]\n";
    let digests = |text: &str| {
        let context = ConfigContext::new(Path::new(""), Secrets::Blank);
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
        let root = ConfigTable::new(&context, document.root());
        let found: Vec<_> = targets(&root).iter().map(|target| target.digest).collect();
        (found, document.into_diagnostics())
    };
    let (utc, faults) = digests(&format!("[targets.mail]\n{mail}"));
    assert!(faults.is_empty(), "{faults:?}");
    let (all, _) = digests(&format!(
        "time_zone = \"Asia/Shanghai\"\n[targets.mail]\n{mail}"
    ));
    // A reload replaces the target when only the default has changed.
    assert_ne!(utc, all);
    let (own, faults) = digests(&format!("[targets.mail]\ntime_zone = \"+08:00\"\n{mail}"));
    assert!(faults.is_empty() && own != utc, "{faults:?}");
    for text in [
        format!("time_zone = \"Asia/Shangai\"\n[targets.mail]\n{mail}"),
        format!("[targets.mail]\ntime_zone = \"Asia/Shangai\"\n{mail}"),
    ] {
        let (_, faults) = digests(&text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].message, "unknown time zone `Asia/Shangai`");
    }
}

#[test]
fn unknown_names_in_mail_templates_are_errors_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = |more: &str| {
        let text = format!(
            "[targets.mail]\ntype = \"email\"\nhost = \"localhost\"\n\
             from = \"a@example.com\"\nto = [\"b@example.com\"]\n{more}"
        );
        let context = ConfigContext::new(folder.path(), Secrets::Blank);
        let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
        let root = ConfigTable::new(&context, document.root());
        let made = targets(&root).len();
        let found = document.into_diagnostics();
        // Warnings do not refuse a target.
        let errors = found
            .iter()
            .filter(|found| found.severity == Severity::Error);
        assert_eq!(made == 0, errors.count() > 0, "{found:?}");
        found
            .into_iter()
            .map(|found| {
                let fix = found.fix.map(|fix| fix.replacement);
                (text[found.span].to_owned(), found.message, fix)
            })
            .collect::<Vec<_>>()
    };
    let one = |at: &str, message: &str, fix: Option<&str>| {
        vec![(at.to_owned(), message.to_owned(), fix.map(str::to_owned))]
    };
    assert_eq!(
        check(r#"subject = "网 \"{{ titel }}\"""#),
        one(
            "titel",
            "unknown variable `titel` in a template",
            Some("title")
        )
    );
    assert_eq!(
        check("subject = '{{ title | upcase }}'"),
        one(
            "upcase",
            "unknown filter `upcase` in a template",
            Some("upper")
        )
    );
    assert_eq!(
        check("subject = '{{ x }}'"),
        one("x", "unknown variable `x` in a template", None)
    );
    assert_eq!(
        check("subject = '${title}'"),
        one(
            "${title}",
            "`${title}` is not replaced in a template, but sent as it stands",
            Some("{{ title }}")
        )
    );
    std::fs::write(folder.path().join("broken.j2"), "a\n{{ titel").unwrap();
    std::fs::write(
        folder.path().join("unknown.j2"),
        "{{ x }}\n{{ y }} ${title}",
    )
    .unwrap();
    let all = check(
        "subject = '{{ a }}{{ b }}'\ntext_template = 'broken.j2'\nhtml_template = 'unknown.j2'",
    );
    let messages: Vec<_> = all.iter().map(|(_, message, _)| message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "unknown variable `a` in a template",
            "unknown variable `b` in a template",
            "template text: line 2, column 4: syntax error: unexpected end of input, expected end \
             of variable block",
            "template html: line 1, column 4: unknown variable `x` in a template",
            "template html: line 2, column 4: unknown variable `y` in a template",
            "template html: line 2, column 9: `${title}` is not replaced in a template, but sent \
             as it stands",
        ]
    );
    for key in ["text_template", "html_template"] {
        std::fs::write(folder.path().join("t.j2"), "a\n {{ titel }}").unwrap();
        let message = format!(
            "template {}: line 2, column 5: unknown variable `titel` in a template",
            key.trim_end_matches("_template")
        );
        assert_eq!(
            check(&format!("{key} = 't.j2'")),
            one("'t.j2'", &message, None)
        );
        std::fs::write(folder.path().join("t.j2"), "{{ title | e }} {{ event.id }}").unwrap();
        assert_eq!(check(&format!("{key} = 't.j2'")), []);
    }
}

fn errors_of(text: &str) -> Vec<String> {
    read(text, Secrets::Blank).1
}

#[test]
fn an_empty_list_of_retries_means_one_attempt() {
    let (targets, messages) = read(
        "[targets.a]\ntype = \"stdout\"\nretry = []\n",
        Secrets::Blank,
    );
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(targets[0].policy.delays, RetryDelays::List(Vec::new()));
}

#[test]
fn breakers_are_configured_and_bounded() {
    let breaker = |keys: &str| {
        let text = format!("[targets.a]\ntype = \"stdout\"\nbreaker = {{ {keys} }}\n");
        let (targets, messages) = read(&text, Secrets::Blank);
        messages.first().cloned().ok_or_else(|| targets[0].breaker)
    };
    let seconds = SignedDuration::from_secs;
    let policy = |failures, pause, max_pause| {
        Err(BreakerPolicy {
            failures,
            pause: seconds(pause),
            max_pause: seconds(max_pause),
        })
    };
    assert_eq!(breaker(""), policy(5, 1, 10));
    assert_eq!(breaker("failures = 0, pause = \"1m\""), policy(0, 60, 60));
    assert_eq!(breaker("max_pause = \"1h\""), policy(5, 1, 3_600));
    for (keys, message) in [
        ("failures = 1001", "`failures` is out of range"),
        (
            "max_pause = \"100ms\"",
            "`max_pause` is shorter than `pause`",
        ),
        ("pause = \"61m\"", "a pause is longer than 1h"),
        ("pauses = \"1s\"", "unknown key `pauses`"),
    ] {
        let found = breaker(keys).unwrap();
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn order_wait_is_configured_and_bounded() {
    let wait = |keys: &str| {
        let text = format!("[targets.a]\ntype = \"stdout\"\n{keys}\n");
        let (targets, messages) = read(&text, Secrets::Blank);
        messages
            .first()
            .cloned()
            .ok_or_else(|| targets[0].order_wait)
    };
    let seconds = SignedDuration::from_secs;
    assert_eq!(wait(""), Err(seconds(60)));
    assert_eq!(wait("order_wait = \"5s\""), Err(seconds(5)));
    for zero in ["0s", "0m", "0 seconds"] {
        assert_eq!(
            wait(&format!("order_wait = \"{zero}\"")),
            Err(SignedDuration::ZERO)
        );
    }
    assert_eq!(wait("order_wait = \"24h\""), Err(seconds(86_400)));
    for (keys, message) in [
        ("order_wait = \"25h\"", "`order_wait` is longer than 24h"),
        ("order_wait = \"-1s\"", "invalid duration `-1s`; it must be"),
        ("order_wait = \"soon\"", "invalid duration `soon`"),
        ("order_wait = 5", "`order_wait`: expected a string"),
    ] {
        let found = wait(keys).unwrap();
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn statuses_of_final_answers_are_configured() {
    let webhook = "[targets.a]\ntype = \"webhook\"\nurl = \"https://example.com\"\n";
    for (keys, message) in [
        ("retry_statuses = [401, 404]\nfinal_statuses = 500", None),
        (
            "retry_statuses = [200]",
            Some("`retry_statuses` is out of range"),
        ),
        (
            "retry_statuses = [404]\nfinal_statuses = [404]",
            Some("404 is in `final_statuses` and in `retry_statuses`"),
        ),
    ] {
        let found = errors_of(&format!("{webhook}{keys}\n"));
        assert_eq!(found.first().map(String::as_str), message, "{found:?}");
    }
}

#[test]
fn operators_hosts_are_checked_for_metadata_services() {
    let dingtalk = |endpoint: &str| {
        format!(
            "[targets.a]\ntype = \"dingtalk\"\ntoken = {{ env = \"T\" }}\n\
             endpoint = \"{endpoint}\"\n"
        )
    };
    let email = |host: &str| {
        format!(
            "[targets.a]\ntype = \"email\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n\
             host = \"{host}\"\n"
        )
    };
    for private in [
        dingtalk("http://10.1.2.3/robot"),
        dingtalk("http://127.0.0.1:8080/robot"),
        email("10.1.2.3"),
        email("localhost"),
        email("::1"),
    ] {
        assert_eq!(errors_of(&private), Vec::<String>::new(), "{private}");
    }
    for metadata in [
        dingtalk("http://169.254.169.254/robot"),
        dingtalk("http://2852039166/robot"),
        dingtalk("http://[fd00:ec2::254]/robot"),
        email("100.100.100.200"),
        email("169.254.169.254"),
        email("[fe80::1]"),
    ] {
        let found = errors_of(&metadata);
        assert!(found[0].contains("metadata service"), "{found:?}");
        let allowed = errors_of(&format!(
            "{metadata}allow = [\"169.254.0.0/16\", \"100.100.100.200/32\", \"fe80::/10\", \
             \"fd00:ec2::254/128\"]\n"
        ));
        assert_eq!(allowed, Vec::<String>::new());
    }
}
