//! The tables `[targets.NAME]`, one for each target.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use reflexarc_diagnostic::toml::{DeValue, EmbeddedText};
use reflexarc_diagnostic::{Code, Diagnostic};
use secrecy::ExposeSecret;

use super::alibaba::alibaba;
use super::calls::CallKeys;
use super::chat::{feishu, slack, teams, wecom};
use super::email::email;
use super::http_api::http_api;
#[cfg(feature = "cluster")]
use super::jetstream::jetstream;
use super::network::{check_address, egress};
use super::pagerduty::pagerduty;
use super::policies::{answers, breaker, firing_limit, order_wait, policy};
use super::urls::url;
use super::webhook::webhook;
use super::{ConfigDigest, ConfigTable, KnownTarget, Secrets, TargetConfig, TargetInput};
use crate::call::{CallApi, CallSettings};
use crate::http::EgressPolicy;
use crate::readable_time;
use crate::target::dingtalk::{DingTalk, Format};
use crate::target::{CallTarget, CommandTarget, FileTarget, Target};

#[derive(Clone, Copy)]
enum TargetType {
    Email,
    DingTalk,
    Feishu,
    WeCom,
    Slack,
    Teams,
    PagerDuty,
    Webhook,
    JetStream,
    Alibaba,
    Http,
    Command,
    File,
    Stdout,
}

impl TargetType {
    fn takes_calls(self) -> bool {
        matches!(self, Self::Alibaba | Self::Http)
    }

    /// Whether people read what it gets one by one.
    fn is_for_people(self) -> bool {
        let is_chat = matches!(self, Self::Feishu | Self::WeCom | Self::Slack | Self::Teams);
        is_chat || matches!(self, Self::Email | Self::DingTalk)
    }
}

const TARGET_TYPES: [(&str, TargetType); 14] = [
    ("email", TargetType::Email),
    ("dingtalk", TargetType::DingTalk),
    ("feishu", TargetType::Feishu),
    ("wecom", TargetType::WeCom),
    ("slack", TargetType::Slack),
    ("teams", TargetType::Teams),
    ("pagerduty", TargetType::PagerDuty),
    ("webhook", TargetType::Webhook),
    ("jetstream", TargetType::JetStream),
    ("alibaba", TargetType::Alibaba),
    ("http", TargetType::Http),
    ("command", TargetType::Command),
    ("file", TargetType::File),
    ("stdout", TargetType::Stdout),
];

/// Reads every target of the configuration, and reports the errors of those that cannot be made.
/// With [`Secrets::Skip`] or [`Secrets::Store`] the tables are checked and no target is returned: it could not send.
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

/// All targets of the configuration, with whatever secrets and errors they have.
pub fn known_targets(root: &ConfigTable<'_>) -> Vec<KnownTarget> {
    let mut keys = root.raw().iter();
    let targets = keys.find(|(key, _)| key.get_ref() == "targets");
    match targets.map(|(_, value)| value.get_ref()) {
        Some(DeValue::Table(tables)) => {
            let known = tables.iter().map(|(name, table)| KnownTarget {
                name: name.get_ref().to_string(),
                input: input(table.get_ref()),
            });
            known.collect()
        }
        _ => Vec::new(),
    }
}

/// What the target of a table takes, by its type alone.
fn input(table: &DeValue<'_>) -> TargetInput {
    let DeValue::Table(keys) = table else {
        return TargetInput::Unknown;
    };
    let written = keys.get("type").and_then(|value| value.get_ref().as_str());
    let mut kinds = TARGET_TYPES.iter();
    match kinds.find(|(name, _)| Some(*name) == written) {
        Some((name, kind)) if kind.takes_calls() => TargetInput::Calls(name),
        Some((name, _)) => TargetInput::Messages(name),
        None => TargetInput::Unknown,
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
            &format!("one of: {}", TARGET_TYPES.map(|(name, _)| name).join(", ")),
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
    let takes_calls = kind.is_some_and(TargetType::takes_calls);
    let mut policy = policy(&keys, takes_calls);
    let breaker = breaker(&keys);
    let order_wait = order_wait(&keys);
    let is_for_people = kind.is_some_and(TargetType::is_for_people);
    let firing_limit = is_for_people.then(|| firing_limit(&keys)).flatten();
    let call_keys = takes_calls.then(|| CallKeys::read(&keys));
    let mut calls = None;
    // An unknown type ends the reading here: which other keys are known depends on it.
    let kind = kind?;
    #[cfg(not(feature = "cluster"))]
    if matches!(kind, TargetType::JetStream) {
        report_missing_feature(&keys, "type", "JetStream");
        return None;
    }
    let target: Option<Arc<dyn Target>> = match kind {
        TargetType::Email => {
            let email = email(&keys, own_zone(&keys, default_zone));
            email.map(|target| Arc::new(target.with_list(&name)) as _)
        }
        TargetType::DingTalk => {
            let robot = dingtalk(&keys, own_zone(&keys, default_zone));
            robot.map(|target| Arc::new(target) as _)
        }
        TargetType::Feishu => feishu(&keys, own_zone(&keys, default_zone)).map(shared),
        TargetType::WeCom => wecom(&keys, own_zone(&keys, default_zone)).map(shared),
        TargetType::Slack => slack(&keys, own_zone(&keys, default_zone)).map(shared),
        TargetType::Teams => teams(&keys, own_zone(&keys, default_zone)).map(shared),
        TargetType::PagerDuty => pagerduty(&keys).map(shared),
        TargetType::Webhook => webhook(&keys).map(|target| Arc::new(target) as _),
        #[cfg(feature = "cluster")]
        TargetType::JetStream => jetstream(&keys).map(shared),
        #[cfg(not(feature = "cluster"))]
        TargetType::JetStream => None,
        TargetType::Alibaba => call_keys.and_then(|call_keys| {
            let api = alibaba(&keys, &call_keys, timeout)?;
            let host = api.host();
            Some(call_target(
                "alibaba",
                host,
                Arc::new(api),
                &call_keys,
                &mut calls,
            ))
        }),
        TargetType::Http => call_keys.and_then(|call_keys| {
            let api = http_api(&keys, &call_keys, timeout)?;
            let host = api.host();
            Some(call_target(
                "http",
                host,
                Arc::new(api),
                &call_keys,
                &mut calls,
            ))
        }),
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
    let skip = matches!(keys.context().mode(), Secrets::Skip | Secrets::Store(_));
    keys.finish();
    let target = target.filter(|_| !skip)?;
    if let Some(calls) = &calls {
        policy.max_age = calls.expires;
    }
    Some(TargetConfig {
        name,
        target,
        concurrency,
        timeout,
        policy,
        breaker,
        order_wait,
        firing_limit,
        calls,
        digest: ConfigDigest::default(),
    })
}

/// Reports the value of a key that needs the Cargo feature `cluster`.
#[cfg(not(feature = "cluster"))]
pub fn report_missing_feature(keys: &ConfigTable<'_>, key: &str, needed: &str) {
    let message = format!("this program was built without {needed}");
    let help =
        "use a released program, or build it with `cargo build --release --features cluster`";
    keys.fault(key, Code::CONFIG_VALUE, message, help);
}

fn shared(target: impl Target + 'static) -> Arc<dyn Target> {
    Arc::new(target)
}

/// The target and the settings of an API.
fn call_target(
    kind: &'static str,
    host: String,
    api: Arc<dyn CallApi>,
    keys: &CallKeys,
    calls: &mut Option<CallSettings>,
) -> Arc<dyn Target> {
    *calls = Some(CallSettings {
        api: Arc::clone(&api),
        changes: keys.changes,
        expires: keys.expires,
    });
    Arc::new(CallTarget::new(kind, host, api))
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
    let (policy, client) = egress(keys, endpoint.as_ref())?;
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

pub(super) fn texts(embedded: Vec<EmbeddedText>) -> Vec<String> {
    embedded.into_iter().map(EmbeddedText::into_text).collect()
}
