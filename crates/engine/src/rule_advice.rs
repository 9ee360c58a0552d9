//! What authors write in rule files who know other tools.

use reflexarc_diagnostic::toml::Meant::{Help, Instead, Key};
use reflexarc_diagnostic::toml::{Advice, ForeignKey, ValueKind, WrongValue};

/// Known mistakes in rule files.
pub(crate) const ADVICE: Advice = Advice {
    keys: &KEYS,
    words: &[
        // Not `error` and `high`, which have no level of the same meaning.
        ("level", &["warning"], "warn"),
        ("level", &["crit", "fatal", "emergency"], "critical"),
        ("level", &["information", "informational"], "info"),
    ],
    values: &VALUES,
    top_level: &[],
};

const WHEN: &[&str] = &[
    "filter",
    "filters",
    "condition",
    "conditions",
    "if",
    "match",
    "pattern",
    "eventpattern",
    "filterpattern",
    "expr",
    "expression",
    "query",
    "where",
];

const DURATION: &[&str] = &[
    "window",
    "timeframe",
    "timespan",
    "interval",
    "period",
    "duration",
    "for",
    "in",
    "time",
    "timeout",
];

const KEYS: [ForeignKey; 33] = [
    ForeignKey::new("", WHEN, Key("when")),
    ForeignKey::new(
        "",
        &["action", "actions", "do", "script", "reaction", "run"],
        Instead(
            "notify",
            "write notify = \"a-target\" for a message, or a script in then = '''…'''",
        ),
    ),
    ForeignKey::new(
        "",
        &[
            "target",
            "targets",
            "receiver",
            "receivers",
            "channel",
            "channels",
            "to",
            "output",
            "outputs",
        ],
        Key("notify"),
    ),
    ForeignKey::new("", &["severity", "priority"], Key("level")),
    ForeignKey::new(
        "",
        &["groupby", "groupbyattributes", "partitionby", "aggregateby"],
        Key("by"),
    ),
    ForeignKey::new("", &["tags", "label"], Key("labels")),
    ForeignKey::new("", &["comment", "desc", "summary"], Key("description")),
    ForeignKey::new("", &["disabled"], Help("write enabled = false")),
    ForeignKey::new(
        "",
        &["name", "alert", "id", "rulename", "ruleid"],
        Help("a rule has the name of its file, without `.toml`"),
    ),
    ForeignKey::new(
        "",
        &["title", "text", "body", "subject", "template"],
        Help("write it in `message`: message = { title = \"…\", text = \"…\" }"),
    ),
    ForeignKey::new(
        "",
        &["rule", "rules", "groups"],
        Help("a file is one rule, with its keys at the top: when = '…'"),
    ),
    ForeignKey::new(
        "",
        &["threshold", "timeframe", "timespan", "within", "window"],
        Help("write count = { at_least = 6, within = \"10m\" }"),
    ),
    ForeignKey::new(
        "",
        &["for"],
        Help(
            "write not_followed_by = { when = '…', within = \"10m\" } for what is not resolved in \
             time, or count = { at_least = 6, within = \"10m\" }",
        ),
    ),
    ForeignKey::new(
        "",
        &["dedup", "dedupkey", "deduplicate", "suppress"],
        Help("write once = { key = \"content.requestId\", within = \"24h\" }"),
    ),
    ForeignKey::new(
        "",
        &["ratelimit", "repeatinterval", "cooldown"],
        Help("write throttle = { key = \"content.eniId\", every = \"10m\" }"),
    ),
    ForeignKey::new(
        "message",
        &["body", "content", "message", "description"],
        Key("text"),
    ),
    ForeignKey::new("message", &["subject", "summary", "header"], Key("title")),
    ForeignKey::new("throttle", &["within"], Key("every")),
    ForeignKey::new("throttle", DURATION, Key("every")),
    ForeignKey::new("once", &["every"], Key("within")),
    ForeignKey::new("once", DURATION, Key("within")),
    ForeignKey::new(
        "count",
        &["threshold", "min", "minimum", "times", "count"],
        Key("at_least"),
    ),
    ForeignKey::new("count", DURATION, Key("within")),
    ForeignKey::new("followed_by", WHEN, Key("when")),
    ForeignKey::new("followed_by", DURATION, Key("within")),
    ForeignKey::new("not_followed_by", WHEN, Key("when")),
    ForeignKey::new("not_followed_by", DURATION, Key("within")),
    ForeignKey::new("batch", DURATION, Key("within")),
    ForeignKey::new(
        "test",
        &["expect", "expected", "match", "shouldmatch", "result"],
        Key("matches"),
    ),
    ForeignKey::new("test", &["input", "payload", "data", "given"], Key("event")),
    ForeignKey::new("test", &["inputs", "payloads"], Key("events")),
    ForeignKey::new("lookup.*", &["file", "name"], Key("table")),
    ForeignKey::new("lookup.*", &["field", "path", "by"], Key("key")),
];

const VALUES: [WrongValue; 18] = [
    WrongValue::new(
        "",
        "when",
        ValueKind::Array,
        "join the filters with `and` or `or`: when = 'a == 1 and b == 2'",
    ),
    WrongValue::new(
        "",
        "when",
        ValueKind::Table,
        "write the filter as a text: when = '''{\"source\": [\"aws.ec2\"]}'''",
    ),
    WrongValue::new(
        "",
        "notify",
        ValueKind::Table,
        "name the targets, notify = \"team\", and write texts in message = { title = \"…\" }",
    ),
    WrongValue::new(
        "",
        "message",
        ValueKind::String,
        "a message has a title, a text or both",
    )
    .with_fix("{ text = {} }"),
    WrongValue::new(
        "",
        "throttle",
        ValueKind::String,
        "write how often in `every`, and for which events in `key`",
    )
    .with_fix("{ every = {} }"),
    WrongValue::new(
        "",
        "once",
        ValueKind::String,
        "write for how long in `within`, and for which events in `key`",
    )
    .with_fix("{ within = {} }"),
    WrongValue::new(
        "",
        "count",
        ValueKind::Number,
        "write in which time too: count = { at_least = 6, within = \"10m\" }",
    ),
    WrongValue::new(
        "",
        "batch",
        ValueKind::String,
        "write for how long in `within`",
    )
    .with_fix("{ within = {} }"),
    WrongValue::new(
        "",
        "absent_for",
        ValueKind::Table,
        "write the duration only: absent_for = \"24h\"",
    ),
    WrongValue::new(
        "",
        "labels",
        ValueKind::Array,
        "write names and values: labels = { team = \"network\" }",
    ),
    WrongValue::new(
        "",
        "lookup",
        ValueKind::String,
        "name the row: lookup = { row = { table = \"vswitches\", key = \"content.primaryPrivateIp\" } }",
    ),
    WrongValue::new(
        "",
        "resolved",
        ValueKind::Boolean,
        "write resolved = {} for a message without texts of your own",
    ),
    WrongValue::new("labels", "*", ValueKind::Number, "labels are texts").with_fix("\"{}\""),
    WrongValue::new("labels", "*", ValueKind::Boolean, "labels are texts").with_fix("\"{}\""),
    WrongValue::new("test", "event", ValueKind::Table, EVENT),
    WrongValue::new("test.step", "event", ValueKind::Table, EVENT),
    WrongValue::new(
        "test.step",
        "at",
        ValueKind::Number,
        "write a unit: at = \"10m\"",
    ),
    WrongValue::new(
        "test",
        "clock",
        ValueKind::Number,
        "write it as clock = \"2024-05-14T08:00:00Z\"",
    ),
];

const EVENT: &str = "write the event as JSON in a text: event = '''{\"name\": \"x\"}'''";
