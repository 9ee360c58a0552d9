//! The tables `[targets.NAME]`, one for each target.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use reflexarc_diagnostic::toml::{DeValue, EmbeddedText};
use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::urls::{url, url_or_reference};
use super::{ConfigDigest, ConfigTable, Secrets, TargetConfig};
use crate::answer_policy::AnswerPolicy;
use crate::circuit_breaker::BreakerPolicy;
use crate::http::{EgressDenied, EgressPolicy};
use crate::readable_time;
use crate::retry::{RetryDelays, RetryPolicy};
use crate::target::dingtalk::{DingTalk, Format};
use crate::target::email::{Email, InvalidTemplates, SmtpServer, Templates, TlsMode};
use crate::target::webhook::{Webhook, signing_key};
use crate::target::{CommandTarget, FileTarget, Target};

#[derive(Clone, Copy)]
enum TargetType {
    Email,
    DingTalk,
    Webhook,
    Command,
    File,
    Stdout,
}

const TARGET_TYPES: [(&str, TargetType); 6] = [
    ("email", TargetType::Email),
    ("dingtalk", TargetType::DingTalk),
    ("webhook", TargetType::Webhook),
    ("command", TargetType::Command),
    ("file", TargetType::File),
    ("stdout", TargetType::Stdout),
];

/// Reads every target of the configuration, and reports the errors of those that cannot be made.
/// With [`Secrets::Skip`] the tables are checked and no target is returned: it could not send.
pub fn targets(root: &ConfigTable<'_>) -> Vec<TargetConfig> {
    let default_zone = time_zone(root);
    let targets = root
        .named_tables("targets")
        .into_iter()
        .filter_map(|(name, keys)| {
            let (digest, config) = keys.digest(|keys| target(name, keys, default_zone.as_ref()));
            config.map(|config| TargetConfig { digest, ..config })
        });
    targets.collect()
}

/// The names of all targets of the configuration, with whatever secrets and errors they have.
pub fn target_names(root: &ConfigTable<'_>) -> Vec<String> {
    let mut keys = root.raw().iter();
    let targets = keys.find(|(key, _)| key.get_ref() == "targets");
    match targets.map(|(_, value)| value.get_ref()) {
        Some(DeValue::Table(tables)) => {
            let names = tables.keys().map(|name| name.get_ref().to_string());
            names.collect()
        }
        _ => Vec::new(),
    }
}

/// Reads one table. Every key is looked up even where an earlier one is wrong: all errors are
/// reported at once, and no key is reported as unknown that was only not reached.
fn target(
    name: String,
    keys: ConfigTable<'_>,
    default_zone: Option<&TimeZone>,
) -> Option<TargetConfig> {
    if !keys.has("type") {
        keys.missing(
            "type",
            "one of: email, dingtalk, webhook, command, file, stdout",
        );
    }
    let kind = keys.choice("type", &TARGET_TYPES);
    // Lines of a file are in the order of the events unless several are written at a time.
    let ordered = matches!(kind, Some(TargetType::File | TargetType::Stdout));
    // 4 sends at a time are 20 deliveries a second to a receiver that takes 200 ms for each.
    let concurrency = keys
        .integer("concurrency", 1..=256)
        .unwrap_or(if ordered { 1 } else { 4 });
    // Longer than a slow receiver needs, and short enough that 4 stalled sends do not hold the
    // target's other deliveries for long.
    let timeout = keys
        .duration("timeout")
        .map_or(Duration::from_secs(30), SignedDuration::unsigned_abs);
    let policy = policy(&keys);
    let breaker = breaker(&keys);
    // An unknown type ends the reading here: which other keys are known depends on it.
    let target: Option<Arc<dyn Target>> = match kind? {
        TargetType::Email => {
            let email = email(&keys, own_zone(&keys, default_zone));
            email.map(|target| Arc::new(target.with_list(&name)) as _)
        }
        TargetType::DingTalk => {
            let robot = dingtalk(&keys, own_zone(&keys, default_zone));
            robot.map(|target| Arc::new(target) as _)
        }
        TargetType::Webhook => webhook(&keys).map(|target| Arc::new(target) as _),
        TargetType::Command => command(&keys).map(|target| Arc::new(target) as _),
        TargetType::File => {
            if !keys.has("path") {
                keys.missing("path", "the file to append to");
            }
            let path = keys.path("path");
            if let Some(folder) = path.as_deref().and_then(Path::parent) {
                warn_if_missing(&keys, "path", folder, "the folder");
            }
            path.map(|path| Arc::new(FileTarget::file(path)) as _)
        }
        TargetType::Stdout => Some(Arc::new(FileTarget::stdout())),
    };
    let skip = matches!(keys.context().mode(), Secrets::Skip);
    keys.finish();
    let target = target.filter(|_| !skip)?;
    Some(TargetConfig {
        name,
        target,
        concurrency,
        timeout,
        policy,
        breaker,
        digest: ConfigDigest::default(),
    })
}

/// `retry` is `"exponential"`, `"backoff"`, or one or more delays; `max_age` is a duration.
fn policy(keys: &ConfigTable<'_>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    match keys.strings("retry").as_deref() {
        // Also where it is invalid, which is reported. An empty list is a list without delays: each
        // delivery is attempted once.
        None => {}
        // A single string is a name or a delay: `retry = "backoff"`, `retry = "5m"`.
        Some([name]) if name.text() == "exponential" => {}
        Some([name]) if name.text() == "backoff" => policy.delays = RetryDelays::Backoff,
        Some(list) => {
            let delays = list.iter().filter_map(|delay| keys.parse_duration(delay));
            policy.delays = RetryDelays::List(delays.collect());
        }
    }
    policy.max_age = keys.duration("max_age").unwrap_or(policy.max_age);
    policy
}

/// `final_statuses` and `retry_statuses`, of these numbers.
fn answers(keys: &ConfigTable<'_>, numbers: RangeInclusive<u64>) -> AnswerPolicy {
    let read = |key| {
        let numbers: Option<Vec<u32>> = keys.integers(key, numbers.clone());
        numbers
            .unwrap_or_default()
            .into_iter()
            .map(i64::from)
            .collect()
    };
    let policy = AnswerPolicy {
        final_statuses: read("final_statuses"),
        retry_statuses: read("retry_statuses"),
    };
    if let Some(both) = policy
        .final_statuses
        .iter()
        .find(|status| policy.retry_statuses.contains(status))
    {
        let message = format!("{both} is in `final_statuses` and in `retry_statuses`");
        let help = "keep it in one of them";
        keys.fault("retry_statuses", Code::CONFIG_VALUE, message, help);
    }
    policy
}

/// `breaker`: `{ failures = 5, pause = "1s", max_pause = "10s" }`.
fn breaker(keys: &ConfigTable<'_>) -> BreakerPolicy {
    let mut policy = BreakerPolicy::default();
    let Some(table) = keys.table("breaker") else {
        return policy;
    };
    policy.failures = table
        .integer("failures", 0..=1_000)
        .unwrap_or(policy.failures);
    policy.pause = table.duration("pause").unwrap_or(policy.pause);
    let max_pause = table.duration("max_pause");
    // `pause = "1m"` alone: all pauses are of a minute.
    policy.max_pause = max_pause.unwrap_or(policy.max_pause.max(policy.pause));
    if policy.max_pause < policy.pause {
        let message = "`max_pause` is shorter than `pause`";
        let help = "the first pause is `pause`; it doubles up to `max_pause`";
        table.fault("max_pause", Code::CONFIG_VALUE, message, help);
    }
    // As with `Retry-After`: a receiver that is back gets its deliveries within an hour.
    let longest = RetryPolicy::MAX_RETRY_AFTER;
    if policy.max_pause > longest {
        let message = format!("a pause is longer than {longest:#}");
        let key = if max_pause.is_some() {
            "max_pause"
        } else {
            "pause"
        };
        table.fault(key, Code::CONFIG_VALUE, message, "set it to \"1h\" or less");
    }
    table.finish();
    policy
}

/// `time_zone`.
fn time_zone(keys: &ConfigTable<'_>) -> Option<TimeZone> {
    let text = keys.string("time_zone")?;
    let zone = readable_time::time_zone(&text);
    if zone.is_none() {
        let message = format!("unknown time zone `{text}`");
        let help = "write a name such as \"Asia/Shanghai\", or an offset such as \"+08:00\"";
        keys.fault("time_zone", Code::CONFIG_VALUE, message, help);
    }
    zone
}

/// The time zone of a target for people: its own, or that of the whole configuration.
fn own_zone(keys: &ConfigTable<'_>, default: Option<&TimeZone>) -> Option<TimeZone> {
    let zone = time_zone(keys).or_else(|| default.cloned());
    // A reload must replace the target when only the default has changed.
    keys.context()
        .record_content(format!("{zone:?}").as_bytes());
    zone
}

fn email(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<Email> {
    let host = keys.required_string("host", "the mail server: host = \"smtp.example.com\"");
    let tls_modes = [
        ("starttls", TlsMode::StartTls),
        ("tls", TlsMode::Tls),
        ("none", TlsMode::None),
    ];
    let tls = keys.choice("protection", &tls_modes).unwrap_or_default();
    let port = keys.integer("port", 1..=u16::MAX.into());
    let answers = answers(keys, 400..=599);
    let mut policy = EgressPolicy::operator_hosts();
    policy.allowed.extend(allowed_networks(keys));
    if let Some(host) = &host {
        check_address(keys, "host", policy.check_host(host));
    }
    let (user, password) = (keys.string("user"), keys.secret("password"));
    // A user without a password would connect without authentication, and the server would refuse
    // every mail.
    if keys.has("user") != keys.has("password") {
        keys.fault(
            "user",
            Code::CONFIG_MISSING,
            "`user` and `password` must be set together",
            "set both or neither",
        );
    }
    // Not a warning: the password could be read by every host on the way.
    if tls == TlsMode::None && keys.has("password") {
        let message = "the password would be sent in the clear";
        keys.fault(
            "protection",
            Code::CONFIG_VALUE,
            message,
            "set `protection` to \"starttls\" or \"tls\"",
        );
    }
    let authorities = authorities(keys);
    let mailbox = |text: &EmbeddedText| {
        let parsed = text.text().parse::<Mailbox>();
        let message = |_| format!("invalid mail address `{}`", text.text());
        keys.parsed(text, parsed.map_err(message))
    };
    if !keys.has("from") {
        keys.missing("from", "the sender: from = \"Alerts <alerts@example.com>\"");
    }
    let from = keys.embedded("from").and_then(|text| mailbox(&text));
    if !keys.has("to") {
        keys.missing("to", "the recipients: to = [\"operators@example.com\"]");
    }
    let to = keys.nonempty_strings("to");
    let to = to.map(|list| list.iter().filter_map(mailbox).collect());
    let template = |key| {
        let text = String::from_utf8(keys.file(key)?);
        let help = "save the template as UTF-8";
        text.map_err(|_| keys.fault(key, Code::CONFIG_FILE, "the file is not UTF-8", help))
            .ok()
    };
    // The subject is one line and stands in the configuration; the others are files.
    let subject = keys.embedded("subject");
    let templates = Templates::new(
        subject.as_ref().map(|subject| subject.text().to_owned()),
        template("text_template"),
        template("html_template"),
    );
    let templates = checked_templates(keys, subject.as_ref(), templates);
    let server = SmtpServer {
        host: host?,
        port,
        tls,
        credentials: user.zip(password),
        authorities: authorities?,
    };
    let email = Email::new(&server, from?, to?, templates?);
    email
        .map(|email| {
            email
                .with_time_zone(zone)
                .with_policy(policy)
                .with_answers(answers)
        })
        .map_err(|error| {
            keys.fault(
                "host",
                Code::CONFIG_VALUE,
                error.to_string(),
                "check `host` and `authorities`",
            );
        })
        .ok()
}

/// The templates, whose findings are reported: those of the subject where they are, those of a file
/// at its path, with line and column in the message.
fn checked_templates(
    keys: &ConfigTable<'_>,
    subject: Option<&EmbeddedText>,
    templates: Result<Templates, InvalidTemplates>,
) -> Option<Templates> {
    let (templates, findings) = match templates {
        Ok(templates) => {
            let warnings = templates.warnings().to_vec();
            (Some(templates), warnings)
        }
        Err(invalid) => (None, invalid.findings),
    };
    for finding in findings {
        let mut found = finding.diagnostic.clone();
        if found.severity == Severity::Error {
            found.code = Code::CONFIG_VALUE;
        }
        // The built-in templates have no findings, so one of the subject is of the configured one.
        if let Some(subject) = subject.filter(|_| finding.template == "subject") {
            keys.report(subject.map_spans(found));
            continue;
        }
        found.span = keys.span_of(&format!("{}_template", finding.template));
        found.message = finding.to_string();
        // Its place is in another file.
        found.fix = None;
        keys.report(found);
    }
    templates
}

fn dingtalk(keys: &ConfigTable<'_>, time_zone: Option<TimeZone>) -> Option<DingTalk> {
    if !keys.has("token") {
        keys.missing(
            "token",
            "the access_token in the robot's webhook address, as { env = \"NAME\" }",
        );
    }
    // The robot's address contains its token; as a secret of its own it can be redacted.
    let (token, secret) = (keys.secret("token"), keys.secret("secret"));
    let formats = [
        ("text", Format::Text),
        ("markdown", Format::Markdown),
        ("link", Format::Link),
        ("actionCard", Format::ActionCard),
    ];
    let format = keys.choice("format", &formats).unwrap_or_default();
    let endpoint = keys
        .string("endpoint")
        .unwrap_or_else(|| "https://oapi.dingtalk.com/robot/send".to_owned());
    let endpoint = url(keys, "endpoint", &endpoint);
    // A robot that other senders share needs a lower limit: their calls count too.
    let mut rate_limit = DingTalk::RATE_LIMIT;
    rate_limit.calls = keys
        .integer("calls_per_minute", 1..=10_000)
        .unwrap_or(rate_limit.calls);
    let (keywords, links) = (
        texts(keys.nonempty_strings("keywords").unwrap_or_default()),
        keys.boolean("links").unwrap_or_default(),
    );
    // Its own error codes have up to six digits.
    let answers = answers(keys, 300..=999_999);
    let (policy, client) = egress(keys)?;
    let endpoint = endpoint?;
    // A name must lead to public addresses, or to those of `allow`, each time it is resolved. An
    // address that the operator wrote needs no permission, unless no operator means it.
    let written = EgressPolicy {
        allowed: [policy.allowed, EgressPolicy::operator_hosts().allowed].concat(),
    };
    check_address(keys, "endpoint", written.check_url(&endpoint));
    Some(DingTalk {
        endpoint,
        token: token?,
        secret,
        keywords,
        format,
        links,
        time_zone,
        client,
        rate_limit,
        answers,
    })
}

fn webhook(keys: &ConfigTable<'_>) -> Option<Webhook> {
    let help = "the address to post to: url = \"https://example.com/hook\"";
    let address = url_or_reference(keys, "url", help);
    let key = keys.secret("secret").and_then(|secret| {
        let key = signing_key(secret.expose_secret());
        if key.is_none() {
            let message = "invalid secret: expected base64 after `whsec_`";
            let help = "copy it again, or use one that does not begin with `whsec_`";
            keys.fault("secret", Code::CONFIG_SECRET, message, help);
        }
        key
    });
    let headers = headers(keys);
    let answers = answers(keys, 300..=599);
    let (policy, client) = egress(keys)?;
    let address = address?;
    // Checked again at each send, for names. Here an address that can never be called is found
    // before the first delivery.
    check_address(keys, "url", policy.check_url(&address));
    // A secret that cannot be read must not make an unsigned webhook.
    if key.is_none() && keys.has("secret") {
        return None;
    }
    let webhook = Webhook::new(address, policy, client, key.map(Into::into), headers);
    Some(webhook.with_answers(answers))
}

/// Reports an address that may never be called.
fn check_address(keys: &ConfigTable<'_>, key: &str, checked: Result<(), EgressDenied>) {
    if let Err(denied) = checked {
        let help = "permit a private network with `allow`: allow = [\"10.1.0.0/16\"]";
        keys.fault(key, Code::CONFIG_VALUE, denied.to_string(), help);
    }
}

fn command(keys: &ConfigTable<'_>) -> Option<CommandTarget> {
    if !keys.has("argv") {
        keys.missing(
            "argv",
            "program and arguments: argv = [\"/usr/local/bin/page\", \"--team\", \"network\"]",
        );
    }
    let (argv, folder) = (keys.nonempty_strings("argv"), keys.path("folder"));
    // A program without a folder is looked for in PATH when it is started.
    let program = argv
        .iter()
        .flatten()
        .next()
        .map(|program| Path::new(program.text()));
    if let Some(program) = program.filter(|program| program.is_absolute()) {
        warn_if_missing(keys, "argv", program, "the program");
    }
    if let Some(folder) = &folder {
        warn_if_missing(keys, "folder", folder, "the folder");
    }
    // Values may be secrets by reference; the program gets them in the clear.
    let environment = keys
        .map("environment")
        .into_iter()
        .map(|(name, value)| (name, value.expose_secret().to_owned()));
    let environment: Vec<_> = environment.collect();
    let answers = answers(keys, 1..=255);
    Some(CommandTarget {
        argv: texts(argv?),
        folder,
        environment,
        answers,
    })
}

/// Warns of a path that does not exist: every delivery would fail. No error, because it may be
/// mounted or installed later. Not where secrets are left out: there the configuration may be
/// checked on another machine than that of the service.
fn warn_if_missing(keys: &ConfigTable<'_>, key: &str, path: &Path, what: &str) {
    let is_here = matches!(keys.context().mode(), Secrets::Resolve(_));
    if is_here && !path.as_os_str().is_empty() && !path.exists() {
        let message = format!("{what} {} does not exist", path.display());
        let warning = Diagnostic::warning(Code::CONFIG_FILE, keys.span_of(key), message);
        keys.report(warning.with_help("every delivery fails until it does"));
    }
}

/// The table `headers`: names with values or secrets.
pub fn headers(keys: &ConfigTable<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in keys.map("headers") {
        match (
            name.parse::<HeaderName>(),
            HeaderValue::from_str(value.expose_secret()),
        ) {
            (Ok(name), Ok(mut value)) => {
                // `Debug` output of requests then omits it: it may be a bearer token.
                value.set_sensitive(true);
                headers.push((name, value));
            }
            _ => keys.fault(
                "headers",
                Code::CONFIG_VALUE,
                format!("invalid header `{name}`"),
                "a name is of letters, digits and `-`; a value is one line",
            ),
        }
    }
    headers
}

/// The networks of `allow`.
fn allowed_networks(keys: &ConfigTable<'_>) -> Vec<IpNet> {
    let mut allowed = Vec::new();
    for text in keys.nonempty_strings("allow").unwrap_or_default() {
        let parsed = text.text().parse::<IpNet>();
        let message = |_| {
            format!(
                "invalid network `{}`; write it as \"10.1.0.0/16\"",
                text.text()
            )
        };
        allowed.extend(keys.parsed(&text, parsed.map_err(message)));
    }
    allowed
}

/// The egress policy with the networks of `allow`, and a client that trusts `authorities`.
fn egress(keys: &ConfigTable<'_>) -> Option<(EgressPolicy, reqwest::Client)> {
    let policy = EgressPolicy {
        allowed: allowed_networks(keys),
    };
    let authorities = authorities(keys)?;
    let client = policy.client(authorities.as_deref());
    let client = client.map_err(|error| {
        keys.fault(
            "authorities",
            Code::CONFIG_VALUE,
            error.to_string(),
            "use certificates in PEM",
        );
    });
    client.ok().map(|client| (policy, client))
}

/// The file of `authorities`: `Some(None)` without the key, `None` when the file cannot be read.
#[expect(
    clippy::option_option,
    reason = "`?` ends the reading of a target whose file cannot be read"
)]
fn authorities(keys: &ConfigTable<'_>) -> Option<Option<Vec<u8>>> {
    if keys.has("authorities") {
        keys.file("authorities").map(Some)
    } else {
        Some(None)
    }
}

fn texts(embedded: Vec<EmbeddedText>) -> Vec<String> {
    embedded.into_iter().map(EmbeddedText::into_text).collect()
}
