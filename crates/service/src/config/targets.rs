//! `[targets.NAME]`: a queue for each, of whatever type it is.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use lettre::message::Mailbox;
use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::EmbeddedText;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::keys::ConfigTable;
use crate::dispatch::{QueueConfig, SettingsDigest};
use reflexarc_delivery::dingtalk::{DingTalk, Format};
use reflexarc_delivery::email::{Email, SmtpServer, Templates, TlsMode};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::webhook::{Webhook, signing_key};
use reflexarc_delivery::{CommandTarget, FileTarget, Target};
use reflexarc_delivery::{RetryDelays, RetryPolicy};

#[derive(Clone, Copy)]
enum Type {
    Email,
    DingTalk,
    Webhook,
    Command,
    File,
    Stdout,
}

const TYPES: [(&str, Type); 6] = [
    ("email", Type::Email),
    ("dingtalk", Type::DingTalk),
    ("webhook", Type::Webhook),
    ("command", Type::Command),
    ("file", Type::File),
    ("stdout", Type::Stdout),
];

/// Every target that can be made, faults for the others. Where secrets are left alone nothing is made.
pub(super) fn read(root: &ConfigTable<'_>) -> Vec<QueueConfig> {
    let made = root
        .named_tables("targets")
        .into_iter()
        .filter_map(|(name, keys)| {
            let (digest, queue) = keys.digest(|keys| queue(name, keys));
            queue.map(|queue| QueueConfig { digest, ..queue })
        });
    made.collect()
}

fn queue(name: String, keys: ConfigTable<'_>) -> Option<QueueConfig> {
    if !keys.has("type") {
        keys.missing(
            "type",
            "one of: email, dingtalk, webhook, command, file, stdout",
        );
    }
    let kind = keys.choice("type", &TYPES);
    let ordered = matches!(kind, Some(Type::File | Type::Stdout));
    let concurrency = keys
        .integer("concurrency", 1..=256)
        .unwrap_or(if ordered { 1 } else { 4 });
    let timeout = keys
        .duration("timeout")
        .map_or(Duration::from_secs(30), SignedDuration::unsigned_abs);
    let policy = policy(&keys);
    let target: Option<Arc<dyn Target>> = match kind? {
        Type::Email => email(&keys).map(|target| Arc::new(target) as _),
        Type::DingTalk => dingtalk(&keys).map(|target| Arc::new(target) as _),
        Type::Webhook => webhook(&keys).map(|target| Arc::new(target) as _),
        Type::Command => command(&keys).map(|target| Arc::new(target) as _),
        Type::File => {
            if !keys.has("path") {
                keys.missing("path", "the file to append to");
            }
            keys.path("path")
                .map(|path| Arc::new(FileTarget::file(path)) as _)
        }
        Type::Stdout => Some(Arc::new(FileTarget::stdout())),
    };
    let wanted = keys.context.with_targets;
    keys.finish();
    let target = target.filter(|_| wanted)?;
    Some(QueueConfig {
        name,
        target,
        concurrency,
        timeout,
        policy,
        digest: SettingsDigest::default(),
    })
}

/// `retry = "exponential"`, `"backoff"`, or an own list of waits; `max_age`.
fn policy(keys: &ConfigTable<'_>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    match keys.nonempty_strings("retry").as_deref() {
        None => {}
        Some([word]) if word.text() == "exponential" => {}
        Some([word]) if word.text() == "backoff" => policy.delays = RetryDelays::Backoff,
        Some(list) => {
            let waits = list.iter().filter_map(|wait| keys.parse_duration(wait));
            policy.delays = RetryDelays::List(waits.collect());
        }
    }
    policy.max_age = keys.duration("max_age").unwrap_or(policy.max_age);
    policy
}

fn email(keys: &ConfigTable<'_>) -> Option<Email> {
    let host = keys.required_string("host", "the mail server's name");
    let protections = [
        ("starttls", TlsMode::StartTls),
        ("tls", TlsMode::Tls),
        ("none", TlsMode::None),
    ];
    let protection = keys.choice("protection", &protections).unwrap_or_default();
    let port = keys.integer("port", 1..=u16::MAX.into());
    let (user, password) = (keys.string("user"), keys.secret("password"));
    if keys.has("user") != keys.has("password") {
        keys.fault(
            "user",
            Code::CONFIG_MISSING,
            "`user` and `password` go together",
            "give both or neither",
        );
    }
    if protection == TlsMode::None && keys.has("password") {
        let message = "the password would be sent in the clear";
        keys.fault(
            "protection",
            Code::CONFIG_VALUE,
            message,
            "protection = \"starttls\" or \"tls\"",
        );
    }
    let authorities = if keys.has("authorities") {
        Some(keys.file("authorities")?)
    } else {
        None
    };
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
    let to: Vec<Mailbox> = keys
        .nonempty_strings("to")?
        .iter()
        .filter_map(mailbox)
        .collect();
    let template = |key| {
        keys.file(key)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let templates = Templates::new(
        keys.string("subject"),
        template("text_template"),
        template("html_template"),
    );
    let templates = templates.map_err(|error| {
        let key = match error.name {
            "subject" => "subject",
            "text" => "text_template",
            _ => "html_template",
        };
        keys.fault(
            key,
            Code::CONFIG_VALUE,
            error.to_string(),
            "templates are written in the syntax of minijinja",
        );
    });
    let server = SmtpServer {
        host: host?,
        port,
        tls: protection,
        credentials: user.zip(password),
        authorities,
    };
    let made = Email::new(&server, from?, to, templates.ok()?);
    made.map_err(|message| {
        keys.fault(
            "host",
            Code::CONFIG_VALUE,
            message,
            "check host and authorities",
        )
    })
    .ok()
}

fn dingtalk(keys: &ConfigTable<'_>) -> Option<DingTalk> {
    if !keys.has("token") {
        keys.missing(
            "token",
            "the access_token in the robot's webhook address, as { env = \"NAME\" }",
        );
    }
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
    let mut rate_limit = DingTalk::RATE_LIMIT;
    rate_limit.calls = keys
        .integer("calls_per_minute", 1..=10_000)
        .unwrap_or(rate_limit.calls);
    let (keywords, links) = (
        texts(keys.nonempty_strings("keywords").unwrap_or_default()),
        keys.boolean("links").unwrap_or_default(),
    );
    let (_, client) = outbound(keys)?;
    Some(DingTalk {
        endpoint: endpoint?,
        token: token?,
        secret,
        keywords,
        format,
        links,
        client,
        rate_limit,
    })
}

fn webhook(keys: &ConfigTable<'_>) -> Option<Webhook> {
    let address = keys
        .required_string("url", "where to post")
        .and_then(|text| url(keys, "url", &text));
    let secret = match keys.secret("secret") {
        Some(secret) => {
            let Some(key) = signing_key(secret.expose_secret()) else {
                keys.fault(
                    "secret",
                    Code::CONFIG_SECRET,
                    "what follows whsec_ is not base64",
                    "check the secret",
                );
                return None;
            };
            Some(key.into())
        }
        None if keys.has("secret") => return None,
        None => None,
    };
    let headers = headers(keys);
    let (reach, client) = outbound(keys)?;
    let address = address?;
    if let Err(forbidden) = reach.check_url(&address) {
        let help = "allow = [\"10.1.0.0/16\"] permits a private network";
        keys.fault("url", Code::CONFIG_VALUE, forbidden.to_string(), help);
    }
    Some(Webhook::new(address, reach, client, secret, headers))
}

fn command(keys: &ConfigTable<'_>) -> Option<CommandTarget> {
    if !keys.has("argv") {
        keys.missing(
            "argv",
            "program and arguments: argv = [\"/usr/local/bin/page\", \"--team\", \"network\"]",
        );
    }
    let (argv, folder) = (keys.nonempty_strings("argv"), keys.path("folder"));
    let environment = keys
        .map("environment")
        .into_iter()
        .map(|(name, value)| (name, value.expose_secret().to_owned()));
    let environment: Vec<_> = environment.collect();
    Some(CommandTarget {
        argv: texts(argv?),
        folder,
        environment,
    })
}

/// `headers`: names with values or secrets.
pub(super) fn headers(keys: &ConfigTable<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in keys.map("headers") {
        match (
            name.parse::<HeaderName>(),
            HeaderValue::from_str(value.expose_secret()),
        ) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.push((name, value));
            }
            _ => keys.fault(
                "headers",
                Code::CONFIG_VALUE,
                format!("`{name}` is no header with a value"),
                "one line each",
            ),
        }
    }
    headers
}

/// What may be called, by which client: `allow` and `authorities`.
fn outbound(keys: &ConfigTable<'_>) -> Option<(EgressPolicy, reqwest::Client)> {
    let mut reach = EgressPolicy::default();
    for text in keys.nonempty_strings("allow").unwrap_or_default() {
        let parsed = text.text().parse::<IpNet>();
        let message = |_| {
            format!(
                "invalid network `{}`; write it as \"10.1.0.0/16\"",
                text.text()
            )
        };
        reach
            .allowed
            .extend(keys.parsed(&text, parsed.map_err(message)));
    }
    let authorities = if keys.has("authorities") {
        Some(keys.file("authorities")?)
    } else {
        None
    };
    let client = reach.client(authorities.as_deref());
    let client = client.map_err(|message| {
        keys.fault(
            "authorities",
            Code::CONFIG_VALUE,
            message,
            "certificates in PEM",
        )
    });
    client.ok().map(|client| (reach, client))
}

pub(super) fn url(keys: &ConfigTable<'_>, key: &str, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            keys.fault(
                key,
                Code::CONFIG_VALUE,
                format!("`{text}` is no http or https URL"),
                "such as https://example.com/hook",
            );
            None
        }
    }
}

fn texts(embedded: Vec<EmbeddedText>) -> Vec<String> {
    embedded.into_iter().map(EmbeddedText::into_text).collect()
}
