//! The content of a rule file, before its filter and its script are compiled.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::{
    ANY_NAME, DeValue, Document, EmbeddedText, FaultCodes, Spanned, TableReader, ValueShape,
};
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_reaction::{Gate, Level};

use crate::RuleSetLimits;
use crate::allow::Allowed;
use crate::event_key::EventKey;
use crate::fixed_texts;
use crate::gates::{Gates, KeyedGate};
use crate::inhibition::Inhibition;
use crate::lookup::Lookups;
use crate::lookup_keys;
use crate::misplaced_keys::MisplacedKeys;
use crate::rule_advice::ADVICE;
use crate::rule_test::RuleTest;
use crate::tables::UsedTables;
use crate::window_keys::{WindowKeys, read_by, row_paths};

/// The highest `max_entries` of `state`, in a rule and in the configuration: as many entries take
/// gigabytes.
pub const MAX_STATE_ENTRIES: u64 = 10_000_000;

/// The content of one rule file.
#[derive(Debug, Clone)]
pub(crate) struct RuleFile {
    pub(crate) description: String,
    pub(crate) level: Level,
    pub(crate) enabled: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) when: Option<EmbeddedText>,
    pub(crate) then: Option<EmbeddedText>,
    pub(crate) answered: Option<EmbeddedText>,
    pub(crate) notify: Option<NotifyKey>,
    pub(crate) lookups: Lookups,
    /// `by`: none where the rule does not have the key, and no paths where it is `[]`.
    pub(crate) by: Option<EventKey>,
    pub(crate) window: Option<WindowKeys>,
    pub(crate) gates: Gates,
    pub(crate) inhibits: Option<Inhibition>,
    /// How many consecutive failures are reported.
    pub(crate) report_after: Option<u32>,
    /// How many state entries the rule may have.
    pub(crate) max_entries: Option<usize>,
    pub(crate) allowed: Allowed,
    pub(crate) tests: Vec<RuleTest>,
}

/// `notify = […]` with the templates of `message`.
#[derive(Debug, Clone)]
pub(crate) struct NotifyKey {
    pub(crate) targets: Vec<EmbeddedText>,
    pub(crate) title: Option<EmbeddedText>,
    pub(crate) text: Option<EmbeddedText>,
}

/// What the parts of a rule file are read with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleReader<'r> {
    pub(crate) root: &'r TableReader<'r>,
    /// `by` of the rule.
    pub(crate) by: Option<&'r EventKey>,
    pub(crate) lookups: &'r Lookups,
    pub(crate) misplaced: &'r MisplacedKeys,
    pub(crate) limits: &'r RuleSetLimits,
}

impl RuleReader<'_> {
    /// Whether the rule has the key, or has it in the wrong place, which was reported.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.root.has(key) || self.misplaced.has(key)
    }
}

impl RuleFile {
    /// Reads the text of a rule file as far as it can be read, with all its faults.
    pub(crate) fn read(text: &str, tables: &UsedTables<'_>) -> (Self, Vec<Diagnostic>) {
        let document = Document::parse(text, "the rule", FaultCodes::RULE).with_advice(&ADVICE);
        let file = Self::read_document(&document, text, tables);
        (file, document.into_diagnostics())
    }

    /// Reads a parsed file, whose faults are reported to the document.
    pub(crate) fn read_document(
        document: &Document<'_>,
        text: &str,
        tables: &UsedTables<'_>,
    ) -> Self {
        let limits = tables.limits;
        // Every key is read even after a fault, so that an author sees all faults at once. Filter
        // and script are only taken from the file here; `Rule::compile` parses them.
        let root = document.root();
        let misplaced = MisplacedKeys::read(&root, text);
        let has = |key: &str| root.has(key) || misplaced.has(key);
        let levels = Level::ALL.map(|level| (level.lowercase(), level));
        let description = root.string("description").unwrap_or_default();
        if root.has("description") {
            report(
                &root,
                fixed_texts::placeholder(
                    &description,
                    "the description",
                    root.span_of("description"),
                    "it is the same for all events: use `message`, or a script",
                ),
            );
        }
        let level = root.choice("level", &levels).unwrap_or_default();
        let enabled = root.boolean("enabled").unwrap_or(true);
        let labels = labels(&root, limits);
        let when = root.embedded("when");
        let then = root.embedded("then");
        let answered = root.embedded("answered");
        // After a syntax error the key may be present, only unreadable.
        if !has("when") && !document.has_syntax_errors() {
            root.report_missing("when", missing_when(text));
        }
        let notify = notify(&root, &misplaced);
        if then.is_some() && root.has("notify") {
            root.fault(
                "notify",
                Code::RULE_CONFLICT,
                "a rule has `then` or `notify`, not both",
                "call notify(target, message) inside `then`, or remove `then`",
            );
        }
        // `has` and not `then.is_some()`: a `then` of the wrong type was reported already.
        let has_reaction = has("then") || has("notify");
        if when.is_some() && !has_reaction && !document.has_syntax_errors() {
            let warning = Diagnostic::warning(
                Code::RULE_WITHOUT_REACTION,
                root.span_of("when"),
                "this rule has no reaction",
            );
            root.report_absent(
                "notify",
                warning.with_help("add notify = [\"a-target\"], or a script in then = '''…'''"),
            );
        }
        let lookups = lookup_keys::read(&root, &misplaced, tables);
        let by = read_by(&root, "by", &lookups, limits);
        let reader = RuleReader {
            root: &root,
            by: by.as_ref(),
            lookups: &lookups,
            misplaced: &misplaced,
            limits,
        };
        let window = WindowKeys::read(&reader);
        let throttle = gate(&reader, ("throttle", "every"), Gate::throttle);
        let once = gate(&reader, ("once", "within"), Gate::once);
        let inhibits = Inhibition::read(&reader);
        let report_after = root.integer("report_after", 1..=u32::MAX.into());
        let max_entries = root.table("state").and_then(|table| {
            let max_entries = table.integer("max_entries", 1..=MAX_STATE_ENTRIES);
            misplaced.allow(&table);
            table.finish();
            max_entries
        });
        let allowed = Allowed::read(&root);
        let tests = root.tables("test").into_iter();
        let tests = tests.map(|table| RuleTest::read(table, &misplaced, &lookups, tables));
        let tests = tests.collect();
        root.finish();
        Self {
            description,
            level,
            enabled,
            labels,
            when,
            then,
            answered,
            notify,
            lookups,
            by,
            window,
            gates: Gates { once, throttle },
            inhibits,
            report_after,
            max_entries,
            allowed,
            tests,
        }
    }
}

/// The labels, within the limits.
fn labels(root: &TableReader<'_>, limits: &RuleSetLimits) -> BTreeMap<String, String> {
    let Some(table) = root.table("labels") else {
        return BTreeMap::new();
    };
    table.declare(ANY_NAME, vec![ValueShape::Text]);
    let found = table.raw().iter();
    if found.len() > limits.labels {
        root.fault(
            "labels",
            Code::RULE_LIMIT,
            format!(
                "{} labels, more than the {} allowed",
                found.len(),
                limits.labels
            ),
            "remove some of them",
        );
    }
    let label = |name: &str, value: &Spanned<DeValue<'_>>| {
        let Some(text) = value.get_ref().as_str() else {
            // Reports that it is none.
            return table.string(name).map(|text| (name.to_owned(), text));
        };
        // A name that templates and scripts can write: `rule.labels.team`.
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let fault = |message: String, help: &str| {
            let fault = Diagnostic::error(Code::RULE_VALUE, value.span(), message);
            root.report(fault.with_help(help));
        };
        if !is_name {
            fault(
                format!("invalid label name `{name}`"),
                "write it with letters, digits, `_`, `-` and `.`",
            );
        } else if name.len().max(text.len()) > limits.label_bytes {
            let bytes = limits.label_bytes;
            fault(
                format!("the label `{name}` has more than {bytes} bytes"),
                "shorten its name or value",
            );
        } else if text.chars().any(char::is_control) {
            fault(
                format!("the label `{name}` has a control character"),
                "write it on one line",
            );
        }
        let help = "it is the same for all events: use `message`, or a script";
        report(
            root,
            fixed_texts::placeholder(text, "a label", value.span(), help),
        );
        Some((name.to_owned(), text.to_owned()))
    };
    let labels = found.filter_map(|(name, value)| label(name.get_ref(), value));
    labels.collect()
}

fn notify(root: &TableReader<'_>, misplaced: &MisplacedKeys) -> Option<NotifyKey> {
    if root.has("message") && !root.has("notify") && !misplaced.has("notify") {
        let span = root.span_of("message");
        let fault = Diagnostic::error(Code::RULE_CONFLICT, span, "`message` needs `notify`");
        let help = "name the targets: notify = [\"a-target\"]";
        root.report_absent("notify", fault.with_help(help));
    }
    let targets = root.strings("notify");
    if root.is_recording() {
        read_message(root, misplaced);
    }
    let targets = targets?;
    // An empty list would be a rule that silently notifies no one.
    if targets.is_empty() {
        root.fault(
            "notify",
            Code::RULE_VALUE,
            "`notify` names no target",
            "name at least one target of the configuration: notify = [\"network-team\"]",
        );
    }
    for target in &targets {
        report(
            root,
            fixed_texts::placeholder(
                target.text(),
                "the name of a target",
                target.span(),
                "compute it in a script: notify(`team-${event.userId}`, \"a text\")",
            ),
        );
    }
    let (title, text) = read_message(root, misplaced);
    Some(NotifyKey {
        targets,
        title,
        text,
    })
}

/// The templates of `message`: title and text.
fn read_message(
    root: &TableReader<'_>,
    misplaced: &MisplacedKeys,
) -> (Option<EmbeddedText>, Option<EmbeddedText>) {
    let Some(message) = root.table("message") else {
        return (None, None);
    };
    let templates = (message.embedded("title"), message.embedded("text"));
    misplaced.allow(&message);
    message.finish();
    templates
}

/// `throttle` or `once`: its name, and what its duration is called.
fn gate(
    reader: &RuleReader<'_>,
    (key, duration_key): (&str, &str),
    gate: impl Fn(SignedDuration) -> Gate,
) -> Option<KeyedGate> {
    let table = reader.root.table(key)?;
    let own = match reader.by {
        // `key = []` is how a rule with `by` says that all its events share one window.
        Some(_) => table.strings("key"),
        None => table.nonempty_strings("key"),
    };
    // Without any key, all events of the rule share one window.
    let own = own.map(|paths| row_paths(&table, paths, reader.lookups));
    let event_key = match own {
        Some(Some(paths)) => Some(EventKey::new(paths)),
        // A path that could not be read was reported.
        Some(None) => None,
        None => reader.by.cloned(),
    };
    if !table.has(duration_key) {
        table.missing(
            duration_key,
            &format!("for example {key} = {{ key = \"content.eniId\", {duration_key} = \"10m\" }}"),
        );
    }
    let duration = table.duration(duration_key);
    reader.misplaced.allow(&table);
    table.finish();
    Some(KeyedGate {
        key: event_key.unwrap_or_default(),
        gate: gate(duration?),
    })
}

fn report(root: &TableReader<'_>, found: Option<Diagnostic>) {
    if let Some(found) = found {
        root.report(found);
    }
}

fn missing_when(text: &str) -> Diagnostic {
    // The first line, because there is no better place; without a `when` a rule would match every
    // event, which must be written explicitly.
    let line = text.lines().next().map_or(0, str::len);
    Diagnostic::error(
        Code::RULE_WITHOUT_WHEN,
        0..line,
        "missing key `when` in the rule",
    )
    .with_help("add the filter, for example when = 'content.result == \"failed\"'")
}
