//! What a rule file says, before its filter and its script are compiled.

use jiff::SignedDuration;
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_reaction::{Gate, Level};
use toml::de::DeTable;

use crate::embedded::Embedded;
use crate::gate::{Gates, KeyedGate};
use crate::keys::Keys;
use crate::rule_test::RuleTest;

/// The content of one rule file.
#[derive(Debug, Clone)]
pub(crate) struct RuleFile {
    pub(crate) description: String,
    pub(crate) level: Level,
    pub(crate) when: Option<Embedded>,
    pub(crate) then: Option<Embedded>,
    pub(crate) notify: Option<NotifyKey>,
    pub(crate) gates: Gates,
    /// How many failures in a row are reported.
    pub(crate) report_after: Option<u32>,
    pub(crate) tests: Vec<RuleTest>,
}

/// `notify = […]` with the templates of `message`.
#[derive(Debug, Clone)]
pub(crate) struct NotifyKey {
    pub(crate) targets: Vec<String>,
    pub(crate) title: Option<Embedded>,
    pub(crate) text: Option<Embedded>,
}

const KEYS: [&str; 10] = [
    "description",
    "level",
    "when",
    "then",
    "notify",
    "message",
    "throttle",
    "once",
    "report_after",
    "test",
];

impl RuleFile {
    /// Reads the text of a rule file as far as it can be read, with everything that is wrong with it.
    pub(crate) fn read(text: &str) -> (Self, Vec<Diagnostic>) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut faults: Vec<_> = errors.iter().map(|error| toml_fault(error, text)).collect();
        let recovered = !faults.is_empty();
        let mut keys = Keys::open(text, document.get_ref(), 0..0, "a rule", &KEYS, &mut faults);

        let description = keys
            .text("description")
            .map_or_else(String::new, |text| text.text().to_owned());
        let level = level(&mut keys).unwrap_or_default();
        let when = keys.text("when");
        let then = keys.text("then");
        // After a syntax error the key may be there, only not where a reader of TOML finds it.
        if !keys.has("when") && !recovered && !keys.is_misspelt("when") {
            keys.fault(without_when(text));
        }
        let notify = notify(&mut keys);
        if let (Some(_), true) = (&then, keys.has("notify")) {
            let fault = Diagnostic::error(
                Code::RULE_CONFLICT,
                keys.span_of("notify"),
                "a rule has `then` or `notify`, not both",
            );
            keys.fault(
                fault.with_help("call notify(target, message) inside `then`, or leave `then` out"),
            );
        }
        if when.is_some() && !keys.has("then") && !keys.has("notify") && !recovered {
            let warning = Diagnostic::warning(
                Code::RULE_WITHOUT_REACTION,
                keys.span_of("when"),
                "this rule does nothing when it matches",
            );
            keys.fault(
                warning.with_help("add notify = [\"a-target\"], or a script in then = '''…'''"),
            );
        }
        let throttle = window(&mut keys, "throttle", "a throttle", "every", Gate::throttle);
        let once = window(&mut keys, "once", "`once`", "within", Gate::once);
        let report_after = keys.count("report_after", 1);
        let mut tests = Vec::new();
        for (table, place) in keys.tables("test").unwrap_or_default() {
            tests.push(RuleTest::read(&mut keys, table, place));
        }
        faults.sort_by_key(|fault| fault.span.start);
        (
            Self {
                description,
                level,
                when,
                then,
                notify,
                gates: Gates { once, throttle },
                report_after,
                tests,
            },
            faults,
        )
    }
}

fn level(keys: &mut Keys<'_>) -> Option<Level> {
    let text = keys.text("level")?;
    match text.text() {
        "info" => Some(Level::Info),
        "warn" => Some(Level::Warn),
        "critical" => Some(Level::Critical),
        other => {
            let fault = Diagnostic::error(
                Code::RULE_VALUE,
                text.whole(),
                format!("there is no level `{other}`"),
            );
            keys.fault(fault.with_help("the levels are \"info\", \"warn\" and \"critical\""));
            None
        }
    }
}

fn notify(keys: &mut Keys<'_>) -> Option<NotifyKey> {
    if keys.has("message") && !keys.has("notify") {
        let fault = Diagnostic::error(
            Code::RULE_CONFLICT,
            keys.span_of("message"),
            "`message` needs `notify`",
        );
        keys.fault(fault.with_help("say whom to tell: notify = [\"a-target\"]"));
    }
    let targets = keys.texts("notify")?;
    if targets.is_empty() {
        let fault = Diagnostic::error(
            Code::RULE_VALUE,
            keys.span_of("notify"),
            "`notify` names no target",
        );
        keys.fault(fault.with_help(
            "name at least one target of the configuration: notify = [\"network-team\"]",
        ));
    }
    let targets = targets
        .iter()
        .map(|target| target.text().to_owned())
        .collect();
    let (mut title, mut text) = (None, None);
    if let Some((table, place)) = keys.table("message") {
        let mut message = keys.inner(table, place, "a message", &["title", "text"]);
        title = message.text("title");
        text = message.text("text");
    }
    Some(NotifyKey {
        targets,
        title,
        text,
    })
}

fn window(
    keys: &mut Keys<'_>,
    key: &str,
    name: &'static str,
    length: &str,
    gate: impl Fn(SignedDuration) -> Gate,
) -> Option<KeyedGate> {
    let (table, place) = keys.table(key)?;
    let mut window = keys.inner(table, place, name, &["key", length]);
    let paths = window
        .texts("key")
        .unwrap_or_default()
        .iter()
        .map(|path| path.text().to_owned())
        .collect();
    if !window.has(length) {
        let fault = Diagnostic::error(
            Code::RULE_VALUE,
            window.place(),
            format!("{name} needs `{length}`"),
        );
        window.fault(fault.with_help(format!(
            "for example {key} = {{ key = \"content.eniId\", {length} = \"10m\" }}"
        )));
    }
    Some(KeyedGate {
        paths,
        gate: gate(window.duration(length)?),
    })
}

fn without_when(text: &str) -> Diagnostic {
    let line = text.lines().next().map_or(0, str::len);
    Diagnostic::error(
        Code::RULE_WITHOUT_WHEN,
        0..line,
        "a rule needs `when`: which events is it for?",
    )
    .with_help("for example when = 'content.result == \"failed\"'")
}

fn toml_fault(error: &toml::de::Error, text: &str) -> Diagnostic {
    let span: Span = error.span().unwrap_or(text.len()..text.len());
    Diagnostic::error(
        Code::RULE_TOML,
        span,
        format!("not TOML: {}", error.message().replace('\n', ", ")),
    )
}
