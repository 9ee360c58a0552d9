//! The content of a `[[test]]` of a rule file.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::toml::{DeValue, EmbeddedText, TableReader, ValueShape};
use reflexarc_diagnostic::{Code, Diagnostic, Span, format_duration, parse_duration};
use reflexarc_event::{Event, EventError, Json, Level};

use crate::lookup::Lookups;
use crate::misplaced_keys::MisplacedKeys;
use crate::tables::UsedTables;
use crate::test_answer::{self, TestAnswer};
use crate::test_tables::{self, TestTables};
use crate::toml_json::{error_span, json_table, json_tables, json_values};

/// One `[[test]]`: steps on a virtual clock. A test without `[[test.step]]` has one step at 0s.
#[derive(Debug, Clone)]
pub(crate) struct RuleTest {
    pub(crate) name: String,
    /// The location of its table in the file.
    pub(crate) span: Span,
    /// The time of the clock at 0s; that of the first event when absent.
    pub(crate) clock: Option<Timestamp>,
    pub(crate) steps: Vec<TestStep>,
    /// The tables that it has in place of those of the files.
    pub(crate) tables: TestTables,
    /// Whether the steps are written as `[[test.step]]`.
    pub(crate) stepwise: bool,
}

/// Events and answers that come at the same time, and what is expected of them together.
#[derive(Debug, Clone)]
pub(crate) struct TestStep {
    /// The location of its table in the file.
    pub(crate) span: Span,
    /// The time since 0s.
    pub(crate) at: SignedDuration,
    pub(crate) events: Vec<TestEvent>,
    /// Answers to calls, which come after the events.
    pub(crate) answers: Vec<TestAnswer>,
    pub(crate) expected: Expected,
}

/// An event in the file itself, or in a file named relative to it.
#[derive(Debug, Clone)]
pub(crate) enum TestEvent {
    Inline(Event),
    File(String),
}

/// What a step expects; a field that is `None` is not checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// One value for all events, or one for each.
    pub(crate) matches: Option<Vec<bool>>,
    /// Subsets of the actions, one each, in order.
    pub(crate) actions: Option<Vec<Json>>,
    /// Subsets of the emitted events, one each, in order.
    pub(crate) emits: Option<Vec<Json>>,
    /// Entries of the rule's state after the step; it may have others, unless there are none here.
    pub(crate) state: Option<Vec<(String, Json)>>,
    /// Keys without an entry after the step.
    pub(crate) absent: Option<Vec<String>>,
    /// Parts of the log lines, one each, in order.
    pub(crate) log: Option<Vec<String>>,
    /// Parts of the failures, one each, in order; when absent, none may happen.
    pub(crate) failures: Option<Vec<String>>,
    /// Why an event ended without actions.
    pub(crate) skipped: Option<ExpectedSkip>,
    /// Parts of the notes, one each, in order.
    pub(crate) notes: Option<Vec<String>>,
    /// The keys that wait after the step, in any order.
    pub(crate) pending: Option<Vec<Json>>,
    /// The names that scripts gave to `cancel`, in order.
    pub(crate) cancelled: Option<Vec<String>>,
}

/// What is expected of the reasons why events of a step ended without actions.
#[derive(Debug, Clone)]
pub(crate) enum ExpectedSkip {
    /// There is one, or there is none.
    Any(bool),
    /// This is a part of one.
    Part(String),
}

const EVENTS: [&str; 3] = ["event", "event_file", "events"];
const ANSWER: &str = "answer";
const EXPECTED: [&str; 11] = [
    "matches",
    "actions",
    "emits",
    "state",
    "absent",
    "log",
    "failures",
    "skipped",
    "notes",
    "pending",
    "cancelled",
];
const ACTION: [&str; 11] = [
    "target",
    "title",
    "text",
    "level",
    "at",
    "link",
    "payload",
    "operation",
    "parameters",
    "after",
    "key",
];

impl RuleTest {
    /// Reads one `[[test]]` table of a rule.
    pub(crate) fn read(
        table: TableReader<'_>,
        misplaced: &MisplacedKeys,
        lookups: &Lookups,
        tables: &UsedTables<'_>,
    ) -> Self {
        let help = "name what it asserts: name = \"a failed attach sends a notification\"";
        // The name selects and reports the test. A comment could say the same, but is lost in
        // reports.
        let name = table.required_string("name", help).unwrap_or_default();
        let clock = table.timestamp("clock");
        let stepwise = table.has("step");
        let only_step = || TestStep::read(&table, misplaced, SignedDuration::ZERO, false);
        if stepwise && table.is_recording() {
            only_step();
        }
        let steps = if stepwise {
            read_steps(&table, misplaced)
        } else {
            vec![only_step()]
        };
        let tables = test_tables::read(&table, lookups, tables);
        let span = table.span();
        // An answer asserts that the rule made the call.
        let asserts = |step: &TestStep| !step.expected.is_empty() || !step.answers.is_empty();
        if !steps.iter().any(asserts) {
            let warning = Diagnostic::warning(
                Code::TEST_WITHOUT_ASSERTION,
                span.clone(),
                "this test asserts nothing",
            );
            table.report_absent(
                "matches",
                warning.with_help("add matches = true, or actions = […]"),
            );
        }
        misplaced.allow(&table);
        table.finish();
        Self {
            name,
            span,
            clock,
            steps,
            tables,
            stepwise,
        }
    }
}

impl Expected {
    /// Whether nothing is expected, but that there is no failure.
    fn is_empty(&self) -> bool {
        let Self {
            matches,
            actions,
            emits,
            state,
            absent,
            log,
            failures,
            skipped,
            notes,
            pending,
            cancelled,
        } = self;
        matches.is_none()
            && actions.is_none()
            && emits.is_none()
            && state.is_none()
            && absent.as_ref().is_none_or(Vec::is_empty)
            && log.is_none()
            && failures.is_none()
            && skipped.is_none()
            && notes.is_none()
            && pending.is_none()
            && cancelled.is_none()
    }
}

impl TestStep {
    fn read(
        table: &TableReader<'_>,
        misplaced: &MisplacedKeys,
        at: SignedDuration,
        is_step: bool,
    ) -> Self {
        let events = read_events(table, is_step);
        let answers = test_answer::read(table, misplaced);
        let expected = Expected {
            matches: table.booleans("matches"),
            actions: json_tables(table, "actions", check_action).map(canonical_delays),
            emits: json_tables(table, "emits", |event| event.declare_open()),
            state: json_table(table, "state"),
            absent: strings(table, "absent"),
            log: parts(table, "log"),
            failures: parts(table, "failures"),
            skipped: read_skip(table),
            notes: parts(table, "notes"),
            pending: json_values(table, "pending"),
            cancelled: strings(table, "cancelled"),
        };
        // It would hold for any value.
        if events.is_empty()
            && expected.matches.is_some()
            && !EVENTS.iter().any(|key| table.has(key))
        {
            let fault = Diagnostic::error(
                Code::TEST_EVENT,
                table.span_of("matches"),
                "`matches` in a step without an event",
            );
            table.report(fault.with_help("add an event, or remove `matches`"));
        }
        // `matches = true` holds for any number of events; `[true, false]` needs exactly two.
        if let Some(matches) = &expected.matches
            && matches.len() != 1
            && matches.len() != events.len()
        {
            table.fault(
                "matches",
                Code::RULE_VALUE,
                format!(
                    "`matches` has {} values for {} events",
                    matches.len(),
                    events.len()
                ),
                "write one value for all of them, or one for each",
            );
        }
        Self {
            span: table.span(),
            at,
            events,
            answers,
            expected,
        }
    }
}

fn read_steps(test: &TableReader<'_>, misplaced: &MisplacedKeys) -> Vec<TestStep> {
    // It would be ambiguous whether events and expectations beside steps come before or after them.
    for key in EVENTS.into_iter().chain([ANSWER]).chain(EXPECTED) {
        if test.has(key) {
            test.fault(
                key,
                Code::RULE_CONFLICT,
                format!("`{key}` is set beside `[[test.step]]`"),
                "move it into a step",
            );
        }
    }
    let mut steps: Vec<TestStep> = Vec::new();
    let help = "add a [[test.step]] with an event";
    report_empty(test, "step", help);
    for table in test.tables("step") {
        // After a fault the step takes the time of the previous one, so that it is reported once.
        let previous = steps.last().map_or(SignedDuration::ZERO, |last| last.at);
        let at = step_time(&table).unwrap_or(previous);
        if at < previous {
            table.fault(
                "at",
                Code::RULE_VALUE,
                "a step cannot be before the step above it",
                "`at` counts from the start of the test, not from the previous step",
            );
        }
        steps.push(TestStep::read(&table, misplaced, at, true));
        misplaced.allow(&table);
        table.finish();
    }
    steps
}

/// The time of a step since the start of its test. `"0s"`, which is no duration elsewhere, is the
/// start itself.
fn step_time(step: &TableReader<'_>) -> Option<SignedDuration> {
    let Some(text) = step.embedded("at") else {
        // Only absent means 0s; a value of another type has been reported.
        return (!step.has("at")).then_some(SignedDuration::ZERO);
    };
    match text.text().parse::<SignedDuration>() {
        Ok(at) if at.is_zero() => Some(at),
        _ => step.parse_duration(&text),
    }
}

fn read_events(table: &TableReader<'_>, is_step: bool) -> Vec<TestEvent> {
    // Events are parsed here, once, and not at each run of the test; files are read when it runs,
    // because they are not part of the rule file.
    let mut events = Vec::new();
    for key in ["event", "events"] {
        for text in table.strings(key).unwrap_or_default() {
            match Event::from_json(text.text()) {
                Ok(event) => events.push(TestEvent::Inline(event)),
                Err(error) => table.report(invalid_event(&text, &error)),
            }
        }
    }
    // Files come after the events in the rule file, whatever the order of the keys: TOML tables
    // have no order.
    let files = strings(table, "event_file").unwrap_or_default();
    events.extend(files.into_iter().map(TestEvent::File));
    // Without an event every expectation but `actions = [{}]` would hold.
    for key in EVENTS {
        report_empty(table, key, "write at least one event, or remove the key");
    }
    report_empty(
        table,
        ANSWER,
        "write at least one answer, or remove the key",
    );
    // A step without an event only moves the clock.
    if !is_step && !EVENTS.iter().any(|key| table.has(key)) {
        let fault = Diagnostic::error(Code::TEST_EVENT, table.span(), "missing event to test with");
        table.report(fault.with_help("add event = '''{ … }''', or event_file = \"name.json\""));
    }
    events
}

fn invalid_event(text: &EmbeddedText, error: &EventError) -> Diagnostic {
    // The offset of a syntax error is in the JSON text; `locate` finds its byte in the rule file,
    // for example the missing value in `event = '{"a": }'`.
    let span = match error {
        EventError::Json(error) => error_span(text, error.offset),
        _ => text.span(),
    };
    Diagnostic::error(Code::TEST_EVENT, span, format!("invalid event: {error}"))
}

/// Reports an empty array of events or steps.
fn report_empty(table: &TableReader<'_>, key: &str, help: &str) {
    if let Some(value) = table.lookup(key)
        && matches!(value.get_ref(), DeValue::Array(elements) if elements.is_empty())
    {
        table.fault(key, Code::TEST_EVENT, format!("`{key}` is empty"), help);
    }
}

fn strings(table: &TableReader<'_>, key: &str) -> Option<Vec<String>> {
    let texts = table.strings(key)?;
    Some(texts.into_iter().map(EmbeddedText::into_text).collect())
}

/// Texts of which each is expected to be a part of another.
fn parts(table: &TableReader<'_>, key: &str) -> Option<Vec<String>> {
    let texts = table.strings(key)?;
    for text in texts.iter().filter(|text| text.text().is_empty()) {
        report_empty_part(table, text, key);
    }
    Some(texts.into_iter().map(EmbeddedText::into_text).collect())
}

fn read_skip(table: &TableReader<'_>) -> Option<ExpectedSkip> {
    table.declare("skipped", vec![ValueShape::Boolean, ValueShape::Text]);
    let value = table.lookup("skipped")?;
    if let DeValue::Boolean(skipped) = value.get_ref() {
        return Some(ExpectedSkip::Any(*skipped));
    }
    let text = table.embedded("skipped")?;
    if text.text().is_empty() {
        report_empty_part(table, &text, "skipped");
    }
    Some(ExpectedSkip::Part(text.into_text()))
}

fn report_empty_part(table: &TableReader<'_>, text: &EmbeddedText, key: &str) {
    let warning = Diagnostic::warning(
        Code::TEST_WITHOUT_ASSERTION,
        text.span(),
        "an empty text is a part of every text",
    );
    table.report(warning.with_help(match key {
        "skipped" => "write a part of the reason, or true or false".to_owned(),
        _ => format!("write a part of the text; to assert that there is none, {key} = []"),
    }));
}

/// Reports keys and levels of an expected action that no action can have.
fn check_action(action: TableReader<'_>) {
    let levels = Level::ALL.map(|level| (level.lowercase(), level));
    action.choice("level", &levels);
    action.duration("after");
    action.embedded("key");
    action.allow(&ACTION);
    action.finish();
}

/// The expected actions with each `after` as actions have it: `90s` is `1m30s`.
fn canonical_delays(mut actions: Vec<Json>) -> Vec<Json> {
    for action in &mut actions {
        let Json::Object(members) = action else {
            continue;
        };
        for (key, value) in members {
            let duration = value.as_str().map(parse_duration);
            if let (Some(Ok(duration)), "after") = (duration, key.as_str()) {
                *value = Json::from(format_duration(duration));
            }
        }
    }
    actions
}
