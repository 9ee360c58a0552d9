//! What authors write in rule files who know other tools.

use reflexarc_diagnostic::toml::Meant::{Help, Key};
use reflexarc_diagnostic::toml::{Advice, ForeignKey, Meant, ValueKind, WrongValue};

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
    foreign("", WHEN, Key("when")),
    foreign(
        "",
        &["action", "actions", "do", "script", "reaction", "run"],
        Help("write notify = \"a-target\" for a message, or a script in then = '''…'''"),
    ),
    foreign(
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
    foreign("", &["severity", "priority"], Key("level")),
    foreign(
        "",
        &["groupby", "groupbyattributes", "partitionby", "aggregateby"],
        Key("by"),
    ),
    foreign("", &["tags", "label"], Key("labels")),
    foreign("", &["comment", "desc", "summary"], Key("description")),
    foreign("", &["disabled"], Help("write enabled = false")),
    foreign(
        "",
        &["name", "alert", "id", "rulename", "ruleid"],
        Help("a rule has the name of its file, without `.toml`"),
    ),
    foreign(
        "",
        &["title", "text", "body", "subject", "template"],
        Help("write it in `message`: message = { title = \"…\", text = \"…\" }"),
    ),
    foreign(
        "",
        &["rule", "rules", "groups"],
        Help("a file is one rule, with its keys at the top: when = '…'"),
    ),
    foreign(
        "",
        &["threshold", "timeframe", "timespan", "within", "window"],
        Help("write count = { at_least = 6, within = \"10m\" }"),
    ),
    foreign(
        "",
        &["for"],
        Help(
            "write not_followed_by = { when = '…', within = \"10m\" } for what is not resolved in \
             time, or count = { at_least = 6, within = \"10m\" }",
        ),
    ),
    foreign(
        "",
        &["dedup", "dedupkey", "deduplicate", "suppress"],
        Help("write once = { key = \"content.requestId\", within = \"24h\" }"),
    ),
    foreign(
        "",
        &["ratelimit", "repeatinterval", "cooldown"],
        Help("write throttle = { key = \"content.eniId\", every = \"10m\" }"),
    ),
    foreign(
        "message",
        &["body", "content", "message", "description"],
        Key("text"),
    ),
    foreign("message", &["subject", "summary", "header"], Key("title")),
    foreign("throttle", &["within"], Key("every")),
    foreign("throttle", DURATION, Key("every")),
    foreign("once", &["every"], Key("within")),
    foreign("once", DURATION, Key("within")),
    foreign(
        "count",
        &["threshold", "min", "minimum", "times", "count"],
        Key("at_least"),
    ),
    foreign("count", DURATION, Key("within")),
    foreign("followed_by", WHEN, Key("when")),
    foreign("followed_by", DURATION, Key("within")),
    foreign("not_followed_by", WHEN, Key("when")),
    foreign("not_followed_by", DURATION, Key("within")),
    foreign("batch", DURATION, Key("within")),
    foreign(
        "test",
        &["expect", "expected", "match", "shouldmatch", "result"],
        Key("matches"),
    ),
    foreign("test", &["input", "payload", "data", "given"], Key("event")),
    foreign("test", &["inputs", "payloads"], Key("events")),
    foreign("lookup.*", &["file", "name"], Key("table")),
    foreign("lookup.*", &["field", "path", "by"], Key("key")),
];

const VALUES: [WrongValue; 18] = [
    wrong(
        "when",
        ValueKind::Array,
        "join the filters with `and` or `or`: when = 'a == 1 and b == 2'",
    ),
    wrong(
        "when",
        ValueKind::Table,
        "write the filter as a text: when = '''{\"source\": [\"aws.ec2\"]}'''",
    ),
    wrong(
        "notify",
        ValueKind::Table,
        "name the targets, notify = \"team\", and write texts in message = { title = \"…\" }",
    ),
    fixed(
        "message",
        ValueKind::String,
        "a message has a title, a text or both",
        "{ text = {} }",
    ),
    fixed(
        "throttle",
        ValueKind::String,
        "write how often in `every`, and for which events in `key`",
        "{ every = {} }",
    ),
    fixed(
        "once",
        ValueKind::String,
        "write for how long in `within`, and for which events in `key`",
        "{ within = {} }",
    ),
    wrong(
        "count",
        ValueKind::Number,
        "write in which time too: count = { at_least = 6, within = \"10m\" }",
    ),
    fixed(
        "batch",
        ValueKind::String,
        "write for how long in `within`",
        "{ within = {} }",
    ),
    wrong(
        "absent_for",
        ValueKind::Table,
        "write the duration only: absent_for = \"24h\"",
    ),
    wrong(
        "labels",
        ValueKind::Array,
        "write names and values: labels = { team = \"network\" }",
    ),
    wrong(
        "lookup",
        ValueKind::String,
        "name the row: lookup = { row = { table = \"vswitches\", key = \"content.primaryPrivateIp\" } }",
    ),
    wrong(
        "resolved",
        ValueKind::Boolean,
        "write resolved = {} for a message without texts of your own",
    ),
    WrongValue {
        table: "labels",
        key: "*",
        found: ValueKind::Number,
        help: "labels are texts",
        fix: Some("\"{}\""),
    },
    WrongValue {
        table: "labels",
        key: "*",
        found: ValueKind::Boolean,
        help: "labels are texts",
        fix: Some("\"{}\""),
    },
    in_test("test", "event", ValueKind::Table, EVENT),
    in_test("test.step", "event", ValueKind::Table, EVENT),
    in_test(
        "test.step",
        "at",
        ValueKind::Number,
        "write a unit: at = \"10m\"",
    ),
    in_test(
        "test",
        "clock",
        ValueKind::Number,
        "write it as clock = \"2024-05-14T08:00:00Z\"",
    ),
];

const EVENT: &str = "write the event as JSON in a text: event = '''{\"name\": \"x\"}'''";

const fn foreign(table: &'static str, names: &'static [&'static str], meant: Meant) -> ForeignKey {
    ForeignKey {
        table,
        names,
        meant,
    }
}

const fn wrong(key: &'static str, found: ValueKind, help: &'static str) -> WrongValue {
    WrongValue {
        table: "",
        key,
        found,
        help,
        fix: None,
    }
}

const fn fixed(
    key: &'static str,
    found: ValueKind,
    help: &'static str,
    fix: &'static str,
) -> WrongValue {
    WrongValue {
        table: "",
        key,
        found,
        help,
        fix: Some(fix),
    }
}

const fn in_test(
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
