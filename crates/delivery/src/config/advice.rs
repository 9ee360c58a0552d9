//! What authors write in configurations who know other tools.

use reflexarc_diagnostic::toml::Meant::{Help, Instead, Key};
use reflexarc_diagnostic::toml::{Advice, ForeignKey, ValueKind, WrongValue};

/// Known mistakes in configurations.
pub const ADVICE: Advice = Advice {
    keys: &KEYS,
    words: &[
        ("type", &["mail", "smtp", "e-mail"], "email"),
        ("type", &["dingding"], "dingtalk"),
        ("type", &["lark"], "feishu"),
        ("type", &["wechat", "wechatwork", "wework"], "wecom"),
        ("type", &["msteams"], "teams"),
        ("type", &["exec", "script", "shell", "program"], "command"),
        ("type", &["console", "print"], "stdout"),
    ],
    values: &VALUES,
    top_level: &[
        "rules",
        "log",
        "log_format",
        "time_zone",
        "shutdown_timeout",
    ],
};

const LISTEN: &str = "write listen = \"127.0.0.1:8321\" in [http]";

const KEYS: [ForeignKey; 24] = [
    ForeignKey::new("", &["server", "listener", "api", "web"], Key("http")),
    ForeignKey::new("", &["loglevel", "logging", "verbosity"], Key("log")),
    ForeignKey::new("", &["database", "db", "storage"], Key("store")),
    ForeignKey::new("", &["timezone", "tz"], Key("time_zone")),
    ForeignKey::new(
        "",
        &[
            "receivers",
            "receiver",
            "sinks",
            "outputs",
            "destinations",
            "notifiers",
            "contactpoints",
        ],
        Key("targets"),
    ),
    ForeignKey::new(
        "",
        &["rulesdir", "rulesfolder", "rulespath", "rulefiles"],
        Key("rules"),
    ),
    ForeignKey::new("", &["listen", "port", "address", "bind"], Help(LISTEN)),
    ForeignKey::new("http", &["port", "address", "bind", "host"], Help(LISTEN)),
    ForeignKey::new(
        "http",
        &["token", "auth", "password"],
        Help(
            "write [[http.tokens]] with name = \"…\", token = { env = \"…\" } and roles = [\"ingest\"]",
        ),
    ),
    ForeignKey::new(
        "targets.*",
        &[
            "uri",
            "endpoint",
            "address",
            "webhook",
            "webhookurl",
            "link",
        ],
        Key("url"),
    ),
    ForeignKey::new("targets.*", &["accesstoken"], Key("token")),
    ForeignKey::new(
        "targets.*",
        &["url", "uri", "webhook", "webhookurl"],
        Instead(
            "token",
            "only the access_token of the address is needed: token = { env = \"DINGTALK_TOKEN\" }",
        ),
    ),
    ForeignKey::new(
        "targets.*",
        &[
            "server",
            "smtp",
            "smtphost",
            "smtpserver",
            "smarthost",
            "relay",
        ],
        Key("host"),
    ),
    ForeignKey::new("targets.*", &["username", "login"], Key("user")),
    ForeignKey::new("targets.*", &["sender", "mailfrom"], Key("from")),
    ForeignKey::new("targets.*", &["recipient", "recipients"], Key("to")),
    ForeignKey::new("targets.*", &["kind"], Key("type")),
    ForeignKey::new(
        "targets.*",
        &["method", "httpmethod"],
        Help("documents are always sent with POST: remove the key"),
    ),
    ForeignKey::new(
        "targets.*",
        &["retries", "maxretries", "attempts", "retrypolicy"],
        Help("write retry = \"exponential\", or the waits: retry = [\"1s\", \"10s\", \"1m\"]"),
    ),
    ForeignKey::new("targets.*", &["ratelimit", "rate"], Key("calls_per_minute")),
    // Of targets that take calls: the other ones have the key.
    ForeignKey::new(
        "targets.*",
        &["maxage"],
        Help("write `expires`, the longest time from when a call is due to its last attempt"),
    ),
    ForeignKey::new("targets.*", &["filename", "file"], Key("path")),
    ForeignKey::new(
        "targets.*.*",
        &[
            "environment",
            "var",
            "variable",
            "envvar",
            "environmentvariable",
        ],
        Key("env"),
    ),
    ForeignKey::new("targets.*.*", &["path", "filename"], Key("file")),
];

const VALUES: [WrongValue; 8] = [
    WrongValue::new(
        "targets.*",
        "retry",
        ValueKind::Number,
        "write \"exponential\", \"backoff\", waits such as [\"1s\", \"10s\"], or [] for one attempt",
    ),
    WrongValue::new(
        "targets.*",
        "headers",
        ValueKind::Array,
        "write names and values: headers = { X-Team = \"network\" }",
    ),
    WrongValue::new(
        "targets",
        "*",
        ValueKind::String,
        "write what it is: { type = \"webhook\", url = \"https://example.com/hook\" }",
    ),
    WrongValue::new("http", "listen", ValueKind::Number, LISTEN),
    WrongValue::new(
        "limits",
        "*",
        ValueKind::String,
        "write a number, without quotes and units: 8_388_608 are 8 MiB",
    ),
    WrongValue::new(
        "archive",
        "max_bytes",
        ValueKind::String,
        "write a number, without quotes and units: 10_000_000_000 are 10 GB",
    ),
    WrongValue::new(
        "store",
        "max_bytes",
        ValueKind::String,
        "write a number, without quotes and units: 10_000_000_000 are 10 GB",
    ),
    WrongValue::new(
        "",
        "targets",
        ValueKind::String,
        "write a table for each: [targets.NAME] with type = \"…\"",
    ),
];
