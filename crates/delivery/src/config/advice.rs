//! What authors write in configurations who know other tools.

use reflexarc_diagnostic::toml::Meant::{Help, Key};
use reflexarc_diagnostic::toml::{Advice, ForeignKey, Meant, ValueKind, WrongValue};

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

const KEYS: [ForeignKey; 23] = [
    foreign("", &["server", "listener", "api", "web"], Key("http")),
    foreign("", &["loglevel", "logging", "verbosity"], Key("log")),
    foreign("", &["database", "db", "storage"], Key("store")),
    foreign("", &["timezone", "tz"], Key("time_zone")),
    foreign(
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
    foreign(
        "",
        &["rulesdir", "rulesfolder", "rulespath", "rulefiles"],
        Key("rules"),
    ),
    foreign("", &["listen", "port", "address", "bind"], Help(LISTEN)),
    foreign("http", &["port", "address", "bind", "host"], Help(LISTEN)),
    foreign(
        "http",
        &["token", "auth", "password"],
        Help(
            "write [[http.tokens]] with name = \"…\", token = { env = \"…\" } and roles = [\"ingest\"]",
        ),
    ),
    foreign(
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
    foreign("targets.*", &["accesstoken"], Key("token")),
    foreign(
        "targets.*",
        &["url", "uri", "webhook", "webhookurl"],
        Help(
            "only the access_token of the address is needed: token = { env = \"DINGTALK_TOKEN\" }",
        ),
    ),
    foreign(
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
    foreign("targets.*", &["username", "login"], Key("user")),
    foreign("targets.*", &["sender", "mailfrom"], Key("from")),
    foreign("targets.*", &["recipient", "recipients"], Key("to")),
    foreign("targets.*", &["kind"], Key("type")),
    foreign(
        "targets.*",
        &["method", "httpmethod"],
        Help("documents are always sent with POST: remove the key"),
    ),
    foreign(
        "targets.*",
        &["retries", "maxretries", "attempts", "retrypolicy"],
        Help("write retry = \"exponential\", or the waits: retry = [\"1s\", \"10s\", \"1m\"]"),
    ),
    foreign("targets.*", &["ratelimit", "rate"], Key("calls_per_minute")),
    foreign("targets.*", &["filename", "file"], Key("path")),
    foreign(
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
    foreign("targets.*.*", &["path", "filename"], Key("file")),
];

const VALUES: [WrongValue; 8] = [
    wrong(
        "targets.*",
        "retry",
        ValueKind::Number,
        "write \"exponential\", \"backoff\", waits such as [\"1s\", \"10s\"], or [] for one attempt",
    ),
    wrong(
        "targets.*",
        "headers",
        ValueKind::Array,
        "write names and values: headers = { X-Team = \"network\" }",
    ),
    wrong(
        "targets",
        "*",
        ValueKind::String,
        "write what it is: { type = \"webhook\", url = \"https://example.com/hook\" }",
    ),
    wrong("http", "listen", ValueKind::Number, LISTEN),
    wrong(
        "limits",
        "*",
        ValueKind::String,
        "write a number, without quotes and units: 8_388_608 are 8 MiB",
    ),
    wrong(
        "archive",
        "max_bytes",
        ValueKind::String,
        "write a number, without quotes and units: 10_000_000_000 are 10 GB",
    ),
    wrong(
        "store",
        "max_bytes",
        ValueKind::String,
        "write a number, without quotes and units: 10_000_000_000 are 10 GB",
    ),
    wrong(
        "",
        "targets",
        ValueKind::String,
        "write a table for each: [targets.NAME] with type = \"…\"",
    ),
];

const fn foreign(table: &'static str, names: &'static [&'static str], meant: Meant) -> ForeignKey {
    ForeignKey {
        table,
        names,
        meant,
    }
}

const fn wrong(
    table: &'static str,
    key: &'static str,
    found: ValueKind,
    help: &'static str,
) -> WrongValue {
    WrongValue {
        table,
        key,
        found,
        help,
        fix: None,
    }
}
