//! What a `[[test]]` of a rule file says.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::{Event, EventError, Json};
use toml::de::DeTable;

use crate::embedded::Embedded;
use crate::keys::Keys;

/// One `[[test]]`: steps on a virtual clock. A test without `[[test.step]]` is one step at 0s.
#[derive(Debug, Clone)]
pub(crate) struct RuleTest {
    pub(crate) name: String,
    /// Where its table stands in the file.
    pub(crate) place: Span,
    /// What the clock shows at 0s; the time of the first event when absent.
    pub(crate) clock: Option<Timestamp>,
    pub(crate) steps: Vec<Step>,
    /// Whether the steps are written as `[[test.step]]`.
    pub(crate) stepwise: bool,
}

/// Events that come at one moment, and what is expected of them together.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Where its table stands in the file.
    pub(crate) place: Span,
    /// How long after 0s.
    pub(crate) at: SignedDuration,
    pub(crate) events: Vec<TestEvent>,
    pub(crate) expected: Expected,
}

/// An event in the file itself, or in a file named relative to it.
#[derive(Debug, Clone)]
pub(crate) enum TestEvent {
    Here(Event),
    File(String),
}

/// What a step expects; whatever is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// One word for all events, or one for each.
    pub(crate) matches: Option<Vec<bool>>,
    /// Subsets of the actions, one each, in order.
    pub(crate) actions: Option<Vec<Json>>,
    /// Subsets of the derived events, one each, in order.
    pub(crate) emits: Option<Vec<Json>>,
    /// Entries of the rule's state after the step; others may be there.
    pub(crate) state: Option<Vec<(String, Json)>>,
    /// Parts of the log lines, one each, in order.
    pub(crate) log: Option<Vec<String>>,
    /// Parts of the failures, one each, in order; when absent, none may happen.
    pub(crate) failures: Option<Vec<String>>,
    /// A part of the reason why the last event ended without actions.
    pub(crate) skipped: Option<String>,
}

const EXPECTED: [&str; 7] = [
    "matches", "actions", "emits", "state", "log", "failures", "skipped",
];
const EVENTS: [&str; 3] = ["event", "event_file", "events"];
const ACTION: [&str; 7] = ["target", "title", "text", "level", "at", "link", "payload"];

impl RuleTest {
    /// Reads one `[[test]]` table of a rule.
    pub(crate) fn read(rule: &mut Keys<'_>, table: &DeTable<'_>, place: Span) -> Self {
        let known: Vec<_> = ["name", "clock", "step"]
            .into_iter()
            .chain(EVENTS)
            .chain(EXPECTED)
            .collect();
        let mut keys = rule.inner(table, place.clone(), "a test", &known);
        let name = keys.text("name").map(|name| name.text().to_owned());
        if !keys.has("name") {
            keys.fault(
                Diagnostic::error(Code::RULE_VALUE, place.clone(), "a test needs `name`")
                    .with_help("say what it shows: name = \"a failed attach is announced\""),
            );
        }
        let clock = clock(&mut keys);
        let stepwise = keys.has("step");
        let steps = if stepwise {
            steps(&mut keys)
        } else {
            vec![Step::read(&mut keys, SignedDuration::ZERO)]
        };
        Self {
            name: name.unwrap_or_default(),
            place,
            clock,
            steps,
            stepwise,
        }
    }
}

impl Step {
    fn read(keys: &mut Keys<'_>, at: SignedDuration) -> Self {
        let events = events(keys);
        let expected = Expected {
            matches: keys.booleans("matches"),
            actions: keys.json_tables("actions", "an expected action", &ACTION),
            emits: keys.json_tables("emits", "an expected event", &[]),
            state: keys.json_table("state"),
            log: strings(keys, "log"),
            failures: strings(keys, "failures"),
            skipped: keys.text("skipped").map(|text| text.text().to_owned()),
        };
        if let Some(matches) = &expected.matches
            && matches.len() != 1
            && matches.len() != events.len()
        {
            let message = format!(
                "`matches` has {} words for {} events",
                matches.len(),
                events.len()
            );
            keys.fault(
                Diagnostic::error(Code::RULE_VALUE, keys.span_of("matches"), message)
                    .with_help("write one word for all of them, or one for each"),
            );
        }
        Self {
            place: keys.place(),
            at,
            events,
            expected,
        }
    }
}

fn steps(keys: &mut Keys<'_>) -> Vec<Step> {
    for key in EVENTS
        .into_iter()
        .chain(EXPECTED)
        .filter(|key| keys.has(key))
        .collect::<Vec<_>>()
    {
        let message = format!("a test with steps has `{key}` in its steps, not beside them");
        keys.fault(Diagnostic::error(
            Code::RULE_CONFLICT,
            keys.span_of(key),
            message,
        ));
    }
    let known: Vec<_> = ["at"].into_iter().chain(EVENTS).chain(EXPECTED).collect();
    let mut steps: Vec<Step> = Vec::new();
    for (table, place) in keys.tables("step").unwrap_or_default() {
        let mut step = keys.inner(table, place, "a step", &known);
        let at = at(&mut step);
        let before = steps.last().map_or(SignedDuration::ZERO, |last| last.at);
        let at = at.unwrap_or(before);
        if at < before {
            let fault = Diagnostic::error(
                Code::RULE_VALUE,
                step.span_of("at"),
                "the clock does not run backwards",
            );
            step.fault(
                fault.with_help(
                    "`at` counts from the beginning of the test, not from the step before",
                ),
            );
        }
        steps.push(Step::read(&mut step, at));
    }
    steps
}

/// How long after the beginning; `"0s"` is the beginning itself.
fn at(step: &mut Keys<'_>) -> Option<SignedDuration> {
    match step.text("at") {
        None => Some(SignedDuration::ZERO),
        Some(text)
            if text
                .text()
                .parse()
                .is_ok_and(|at: SignedDuration| at.is_zero()) =>
        {
            Some(SignedDuration::ZERO)
        }
        Some(_) => step.duration("at"),
    }
}

fn clock(keys: &mut Keys<'_>) -> Option<Timestamp> {
    let text = keys.text("clock")?;
    let time = text.text().parse().ok();
    if time.is_none() {
        let fault = Diagnostic::error(
            Code::RULE_VALUE,
            text.whole(),
            "`clock` is not a moment in time",
        );
        keys.fault(fault.with_help("write it like \"2019-04-09T04:18:26Z\""));
    }
    time
}

fn events(keys: &mut Keys<'_>) -> Vec<TestEvent> {
    let mut events = Vec::new();
    for key in ["event", "events"] {
        for text in keys.texts(key).unwrap_or_default() {
            match Event::from_json(text.text()) {
                Ok(event) => events.push(TestEvent::Here(event)),
                Err(error) => keys.fault(event_fault(&text, &error)),
            }
        }
    }
    for name in keys.texts("event_file").unwrap_or_default() {
        events.push(TestEvent::File(name.text().to_owned()));
    }
    if !EVENTS.iter().any(|key| keys.has(key)) {
        let fault = Diagnostic::error(
            Code::TEST_EVENT,
            keys.place(),
            "there is no event to test with",
        );
        keys.fault(fault.with_help("add event = '''{ … }''', or event_file = \"name.json\""));
    }
    events
}

fn event_fault(text: &Embedded, error: &EventError) -> Diagnostic {
    let span = match error {
        EventError::Json(error) => {
            let start = error.offset.min(text.text().len());
            let width = text.text()[start..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
            text.locate(&(start..start + width))
        }
        _ => text.whole(),
    };
    Diagnostic::error(
        Code::TEST_EVENT,
        span,
        format!("the test's event is no event: {error}"),
    )
}

fn strings(keys: &mut Keys<'_>, key: &str) -> Option<Vec<String>> {
    Some(
        keys.texts(key)?
            .iter()
            .map(|text| text.text().to_owned())
            .collect(),
    )
}
