//! Running the `[[test]]`s of rules on a virtual clock.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_pattern::canonical_scalar;
use reflexarc_reaction::{MemoryState, State as _};

use crate::coverage::{Coverage, CoverageRecorder};
use crate::event_time::event_time;
use crate::rule::Rule;
use crate::rule_test::{Expected, ExpectedSkip, RuleTest, TestEvent, TestStep};
use crate::subset::is_subset;
use crate::test_calls::TestCalls;
use crate::{Evaluation, RuleSet};

/// The results of the tests of one rule.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("a.toml", r#"
///     when = 'id exists'
///     notify = ["team"]
///     [[test]]
///     name = "an event with an id matches"
///     event = '{"id": 1}'
///     matches = true
/// "#)])?;
/// let report = &rules.test("with an id")[0];
/// assert_eq!(report.rule, "a");
/// assert!(report.tests[0].passed());
/// assert!(rules.test("no test has this name").is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuleReport {
    /// The rule's name.
    pub rule: String,
    /// The path of its file.
    pub file: String,
    /// Whether it is evaluated outside of tests: see [`Rule::enabled`].
    pub enabled: bool,
    /// Its tests, in the order of the file.
    pub tests: Vec<TestReport>,
    /// What the tests have exercised; meaningful only when all tests of the rule have run.
    pub coverage: Coverage,
}

/// The result of one test.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("a.toml", r#"
///     when = 'id exists'
///     then = 'send("inventory", event.id)'
///     [[test]]
///     name = "the id is sent"
///     event = '{"id": 1}'
///     actions = [{ payload = 2 }]
/// "#)])?;
/// let test = &rules.test("")[0].tests[0];
/// assert!(!test.passed());
/// assert_eq!(test.actual_actions[0][0].to_string(), r#"{"target":"inventory","payload":1}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestReport {
    /// The position among the tests of its file, from 0.
    pub index: usize,
    /// The test's name.
    pub name: String,
    /// Its first line in the file, from 1.
    pub line: usize,
    /// The failed expectations; none when the test passed.
    pub mismatches: Vec<Mismatch>,
    /// The actions of each step, in the form of the key `actions`.
    pub actual_actions: Vec<Vec<Json>>,
}

/// A failed expectation.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("a.toml", r#"
///     when = 'id exists'
///     notify = ["team"]
///     [[test]]
///     name = "an event without id matches"
///     event = '{}'
///     matches = true
/// "#)])?;
/// let mismatch = &rules.test("")[0].tests[0].mismatches[0];
/// assert_eq!((mismatch.line, mismatch.key), (4, "matches"));
/// assert_eq!(mismatch.expected, ["true"]);
/// assert_eq!(mismatch.actual, ["false"]);
/// assert!(mismatch.near_misses[0].contains("`id` is missing"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The step, from 0; `None` for a test without steps.
    pub step: Option<usize>,
    /// The line of the step or test, from 1.
    pub line: usize,
    /// The key of the expectation: `matches`, `actions` …
    pub key: &'static str,
    /// The expected values.
    pub expected: Vec<String>,
    /// The actual values.
    pub actual: Vec<String>,
    /// Why the rule does not match events of the step: one explanation for each event that is not
    /// expected to be one that does not match. Only of the first failed expectation of a step.
    pub near_misses: Vec<String>,
}

/// The start of the virtual clock where neither the test nor its first event has a time.
const DEFAULT_CLOCK: Timestamp = Timestamp::UNIX_EPOCH;

impl TestReport {
    /// Whether all expectations were met.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

// Here and not in `rule_set.rs`, so that rule sets do not depend on how tests are run.
impl RuleSet {
    /// Runs the `[[test]]`s whose name, or whose rule's name, contains `filter`. Rules without such
    /// tests are left out unless the filter is empty. Each rule is tested alone.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rule = "when = 'id exists'\nnotify = ['team']\n";
    /// let test = "[[test]]\nname = 'no id'\nevent = '{}'\nmatches = false";
    /// let files = [("a.toml", format!("{rule}{test}")), ("b.toml", rule.to_owned())];
    /// let rules = RuleSet::compile(files)?;
    /// assert_eq!(rules.test("").len(), 2);
    /// assert_eq!(rules.test("no id").len(), 1);
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn test(&self, filter: &str) -> Vec<RuleReport> {
        let reports = self.shared_rules().iter().map(|rule| {
            test_rule(self, rule, &|test| {
                rule.name().contains(filter) || test.contains(filter)
            })
        });
        reports
            .filter(|report| filter.is_empty() || !report.tests.is_empty())
            .collect()
    }

    /// Runs the tests of one rule; `None` if no rule has this name.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rule = "when = 'id exists'\nnotify = ['team']\n";
    /// let test = "[[test]]\nname = 'no id'\nevent = '{}'\nmatches = false";
    /// let files = [("a.toml", format!("{rule}{test}")), ("ab.toml", rule.to_owned())];
    /// let rules = RuleSet::compile(files)?;
    /// assert_eq!(rules.test_rule("a").map(|report| report.tests.len()), Some(1));
    /// assert!(rules.test_rule("b").is_none());
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn test_rule(&self, name: &str) -> Option<RuleReport> {
        let rule = self.shared_rules().iter().find(|rule| rule.name() == name);
        rule.map(|rule| test_rule(self, rule, &|_| true))
    }
}

/// Runs the tests of a rule whose names `is_selected` accepts.
fn test_rule(rules: &RuleSet, rule: &Arc<Rule>, is_selected: &dyn Fn(&str) -> bool) -> RuleReport {
    let mut coverage = CoverageRecorder::new(rule);
    // A test states what one rule does; it must not change when another rule is added.
    let alone = rules.only(rule);
    let selected = rule.tests.iter().enumerate();
    let selected = selected.filter(|(_, test)| is_selected(&test.name));
    let tests = selected
        .map(|(index, test)| TestReport {
            index,
            ..run_test(&alone, rule, test, &mut coverage)
        })
        .collect();
    RuleReport {
        rule: rule.name().to_owned(),
        file: rule.file().to_owned(),
        enabled: rule.enabled(),
        tests,
        coverage: coverage.finish(rule),
    }
}

fn run_test(
    alone: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
    coverage: &mut CoverageRecorder,
) -> TestReport {
    let (line, _) = rule.line_and_column(test.span.start);
    let mut report = TestReport {
        index: 0,
        name: test.name.clone(),
        line,
        mismatches: Vec::new(),
        actual_actions: Vec::new(),
    };
    let with_tables = match with_tables(alone, rule, test) {
        Ok(with_tables) => with_tables,
        Err(found) => {
            let mut check = StepCheck {
                step: None,
                line,
                mismatches: &mut report.mismatches,
            };
            check.mismatch("tables", Vec::new(), found);
            return report;
        }
    };
    let alone = with_tables.as_ref().unwrap_or(alone);
    let steps = match read_steps(alone, rule, test) {
        Ok(steps) => steps,
        Err((number, error)) => {
            let step = &test.steps[number];
            let mut check = StepCheck {
                step: test.stepwise.then_some(number),
                line: rule.line_and_column(step.span.start).0,
                mismatches: &mut report.mismatches,
            };
            check.mismatch("event_file", vec!["an event".to_owned()], vec![error]);
            return report;
        }
    };
    let start = start(test, &steps);
    // Empty at the start of each test, kept from step to step: tests do not depend on each other.
    let mut state = MemoryState::new();
    alone.arm(&mut state, start);
    let mut calls = TestCalls::new();
    let (mut firings, mut has_matched) = (Vec::new(), false);
    for (number, (step, events)) in test.steps.iter().zip(&steps).enumerate() {
        let mut check = StepCheck {
            step: test.stepwise.then_some(number),
            line: rule.line_and_column(step.span.start).0,
            mismatches: &mut report.mismatches,
        };
        // Beyond the year 9999 the clock stands still: no window lasts that long.
        let now = start.checked_add(step.at).unwrap_or(Timestamp::MAX);
        let mut results = Vec::new();
        // What becomes due at the time of the step comes before its events, as in the service.
        let trace = &coverage.executed_lines;
        while let Some(mut due) = alone.fire_next_traced(&mut state, now, trace) {
            calls.add(&mut due.evaluation, None, due.at);
            results.push((None, due.evaluation));
        }
        calls.advance(now);
        state.advance(now);
        for event in events {
            let matched = alone.matching(event);
            coverage.record(event);
            let trace = &coverage.executed_lines;
            let mut evaluation = alone.evaluate_traced(event, &matched, &state, now, trace);
            // Committed after each event, as the service does.
            commit(&evaluation, &mut state);
            calls.add(&mut evaluation, Some(event), now);
            results.push((Some(matched.is_match()), evaluation));
        }
        // After the events: a test without steps has both an event and the answer to its call.
        for answer in &step.answers {
            let call = match calls.answer(answer) {
                Ok(call) => call,
                Err(found) => {
                    let expected = format!("a call of {} {}", answer.target, answer.operation);
                    check.mismatch("answer", vec![expected], found);
                    continue;
                }
            };
            let trace = &coverage.executed_lines;
            let mut evaluation = alone.answer_traced(&call, &state, now, trace);
            commit(&evaluation, &mut state);
            calls.add(&mut evaluation, call.event.as_ref(), now);
            results.push((None, evaluation));
        }
        let effects = results.iter().flat_map(|(_, evaluation)| &evaluation.rules);
        let reasons = effects.filter_map(|effects| effects.firing.as_ref());
        firings.extend(reasons.map(|firing| firing.reason));
        has_matched |= results.iter().any(|(matched, _)| *matched == Some(true));
        report.actual_actions.push(actions(&results));
        let before = check.mismatches.len();
        check.step(rule, step, &results, &state, now);
        if let Some(first) = check.mismatches.get_mut(before) {
            first.near_misses = near_misses(alone, rule, step, events, &results);
        }
    }
    coverage.record_matches(&firings, has_matched);
    report
}

fn commit(evaluation: &Evaluation, state: &mut MemoryState) {
    for (rule, changes) in evaluation.changes() {
        state.apply(rule, changes);
    }
}

/// The rule alone with the tables of a test; `None` if that has none of its own.
//
// Compiled anew, which only such tests pay for: with tables that could be exchanged, each lookup of
// the service would have to find out which it uses.
fn with_tables(
    alone: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
) -> Result<Option<RuleSet>, Vec<String>> {
    if test.tables.is_empty() {
        return Ok(None);
    }
    let tables = alone.tables().with(&test.tables);
    match alone.recompile(rule, &tables) {
        Ok(rule) => Ok(Some(alone.only(&Arc::new(rule)))),
        Err(found) => Err(found.into_iter().map(|found| found.message).collect()),
    }
}

/// The events of each step, or the number of the step whose event cannot be read, and why.
fn read_steps(
    alone: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
) -> Result<Vec<Vec<NativeEvent>>, (usize, String)> {
    let steps = test.steps.iter().enumerate().map(|(number, step)| {
        let events = step.events.iter().map(|event| read(alone, rule, event));
        let events = events.collect::<Result<Vec<_>, _>>();
        events.map_err(|error| (number, error))
    });
    steps.collect()
}

/// The time of the clock at 0s.
fn start(test: &RuleTest, steps: &[Vec<NativeEvent>]) -> Timestamp {
    if let Some(clock) = test.clock {
        return clock;
    }
    // The time of the first event makes `parse_time(event.eventTime)` and `now` agree without a
    // `clock`. Where steps before it only move the clock, it comes at the time of its step.
    let mut events = steps.iter().zip(&test.steps).enumerate();
    let first = events.find(|(_, (events, _))| !events.is_empty());
    let Some((number, (events, step))) = first else {
        return DEFAULT_CLOCK;
    };
    let Some(time) = events.first().and_then(event_time) else {
        return DEFAULT_CLOCK;
    };
    if number == 0 {
        time
    } else {
        time.checked_sub(step.at).unwrap_or(DEFAULT_CLOCK)
    }
}

fn read(alone: &RuleSet, rule: &Rule, event: &TestEvent) -> Result<NativeEvent, String> {
    // A file that cannot be read fails the test; it must not fail the rule set, which a service
    // loads without the files of its tests.
    match event {
        TestEvent::Inline(event) => {
            NativeEvent::new(event.clone()).map_err(|error| error.to_string())
        }
        TestEvent::File(name) => {
            let bytes = alone.event_file(rule, name)?;
            NativeEvent::from_json(bytes).map_err(|error| format!("{name}: {error}"))
        }
    }
}

/// The evaluations of a step: of what was due, then of each event with whether the rule matched it,
/// and of each answer.
type StepResults = [(Option<bool>, Evaluation)];

/// Why the rule does not match events of a step that may be expected to match.
fn near_misses(
    alone: &RuleSet,
    rule: &Rule,
    step: &TestStep,
    events: &[NativeEvent],
    results: &StepResults,
) -> Vec<String> {
    /// Most events that are explained: the first ones show what is wrong.
    const EXPLAINED: usize = 3;
    let matched = results.iter().filter_map(|(matched, _)| *matched);
    let expected = |number: usize| {
        let matches = step.expected.matches.as_ref()?;
        matches.get(number.min(matches.len().checked_sub(1)?))
    };
    let missed = events.iter().zip(matched).enumerate();
    let missed = missed.filter(|(number, (_, matched))| {
        !matched && expected(*number).is_none_or(|expected| *expected)
    });
    let explained = missed.filter_map(|(_, (event, _))| alone.explain(event, rule.name()));
    let texts = explained.map(|explanation| explanation.render(false));
    texts.take(EXPLAINED).collect()
}

fn actions(results: &StepResults) -> Vec<Json> {
    results
        .iter()
        .flat_map(|(_, evaluation)| evaluation.actions())
        .map(|(_, _, action)| action.to_flat_json())
        .collect()
}

/// Compares one step with its expectations.
struct StepCheck<'a> {
    step: Option<usize>,
    line: usize,
    mismatches: &'a mut Vec<Mismatch>,
}

impl StepCheck<'_> {
    fn step(
        &mut self,
        rule: &Rule,
        step: &TestStep,
        results: &StepResults,
        state: &MemoryState,
        now: Timestamp,
    ) {
        let Expected {
            matches,
            actions: expected_actions,
            emits,
            state: entries,
            absent,
            log,
            failures,
            skipped,
            notes,
            pending,
            cancelled,
        } = &step.expected;
        let effects = || results.iter().flat_map(|(_, evaluation)| &evaluation.rules);
        if let Some(matches) = matches {
            // One value stands for all events: the last one repeats.
            let actual: Vec<_> = results.iter().filter_map(|(matched, _)| *matched).collect();
            let expected: Vec<_> = (0..actual.len())
                .map(|i| matches[i.min(matches.len() - 1)])
                .collect();
            if expected != actual {
                let texts = |values: Vec<bool>| values.iter().map(bool::to_string).collect();
                self.mismatch("matches", texts(expected), texts(actual));
            }
        }
        if let Some(expected) = expected_actions {
            self.subsets("actions", expected, &actions(results));
        }
        if let Some(emits) = emits {
            let emitted: Vec<_> = effects()
                .flat_map(|e| &e.emitted)
                .map(|event| event.tree().clone())
                .collect();
            self.subsets("emits", emits, &emitted);
        }
        // At the time of the step: an entry that has expired by then is missing.
        if let Some(entries) = entries {
            for (key, value) in entries {
                let actual = state.get(rule.name(), key, now);
                self.entry(key, value, actual.as_ref().map(|entry| &entry.value));
            }
        }
        // `state = {}` says that there are no entries; those of `once` and `throttle`, which start
        // with `$`, are not the author's.
        let actual: Vec<_> = state
            .entries(now)
            .filter(|(name, key, _)| *name == rule.name() && !key.starts_with('$'))
            .collect();
        if entries.as_ref().is_some_and(Vec::is_empty) && !actual.is_empty() {
            let lines = actual.iter();
            let lines = lines.map(|(_, key, entry)| format!("{key} = {}", entry.value));
            self.mismatch("state", Vec::new(), lines.collect());
        }
        let absent = absent.iter().flatten();
        for key in absent {
            if let Some(entry) = state.get(rule.name(), key, now) {
                let actual = format!("{key} = {}", entry.value);
                self.mismatch("absent", vec![format!("no {key}")], vec![actual]);
            }
        }
        if let Some(log) = log {
            let lines: Vec<_> = effects()
                .flat_map(|effects| effects.log.iter().cloned())
                .collect();
            self.parts("log", log, lines);
        }
        if let Some(notes) = notes {
            let noted = effects().flat_map(|effects| effects.remarks().map(str::to_owned));
            self.parts("notes", notes, noted.collect());
        }
        if let Some(expected) = pending {
            self.pending(rule, expected, state, now);
        }
        if let Some(expected) = cancelled {
            let names = effects().flat_map(|effects| &effects.cancelled);
            self.equal("cancelled", expected, names.cloned().collect());
        }
        // The one expectation that holds by default: a test with a failure that it does not expect
        // fails.
        let failed = results
            .iter()
            .flat_map(|(_, evaluation)| &evaluation.failures);
        let failed: Vec<_> = failed.map(|failure| failure.message.clone()).collect();
        self.parts("failures", failures.as_deref().unwrap_or_default(), failed);
        if let Some(skipped) = skipped {
            let reasons: Vec<_> = effects()
                .filter_map(|effects| effects.skipped.clone())
                .collect();
            let (met, expected) = match skipped {
                ExpectedSkip::Any(any) => (*any != reasons.is_empty(), any.to_string()),
                ExpectedSkip::Part(part) => {
                    let met = reasons.iter().any(|reason| reason.contains(part));
                    (met, part.clone())
                }
            };
            if !met {
                self.mismatch("skipped", vec![expected], reasons);
            }
        }
    }

    /// Compares the keys that wait.
    fn pending(&mut self, rule: &Rule, expected: &[Json], state: &MemoryState, now: Timestamp) {
        // As scripts see them: without `by`, the one key is an empty text.
        let key = |text: &str| match Json::parse(text) {
            Ok(Json::Array(values)) if values.is_empty() => String::new(),
            Ok(key) => key_text(&key),
            Err(_) => text.to_owned(),
        };
        let mut actual: Vec<String> = RuleSet::pending(rule.name(), state, now).map(key).collect();
        let mut keys: Vec<String> = expected.iter().map(key_text).collect();
        actual.sort();
        keys.sort();
        if actual != keys {
            self.mismatch("pending", keys, actual);
        }
    }

    fn subsets(&mut self, key: &'static str, expected: &[Json], actual: &[Json]) {
        // In order and in number: `actions = []` asserts that there are none, `actions = [{}]` that
        // there is one, whichever.
        let fits = |e: &Json, a: &Json| *e == Json::Object(Vec::new()) || is_subset(e, a);
        let equal =
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| fits(e, a));
        if !equal {
            let lines = |list: &[Json]| list.iter().map(Json::to_string).collect();
            self.mismatch(key, lines(expected), lines(actual));
        }
    }

    /// Compares a state entry.
    fn entry(&mut self, key: &str, expected: &Json, actual: Option<&Json>) {
        // Equal except for the order of members and the spelling of numbers: each is a subset of
        // the other.
        let is_equal = |actual: &Json| is_subset(expected, actual) && is_subset(actual, expected);
        if !actual.is_some_and(is_equal) {
            let actual = actual.map_or_else(
                || format!("{key} is missing"),
                |actual| format!("{key} = {actual}"),
            );
            self.mismatch("state", vec![format!("{key} = {expected}")], vec![actual]);
        }
    }

    fn equal(&mut self, key: &'static str, expected: &[String], actual: Vec<String>) {
        if actual != expected {
            self.mismatch(key, expected.to_vec(), actual);
        }
    }

    fn parts(&mut self, key: &'static str, expected: &[String], actual: Vec<String>) {
        let equal = expected.len() == actual.len()
            && expected
                .iter()
                .zip(&actual)
                .all(|(e, a)| a.contains(e.as_str()));
        if !equal {
            self.mismatch(key, expected.to_vec(), actual);
        }
    }

    fn mismatch(&mut self, key: &'static str, expected: Vec<String>, actual: Vec<String>) {
        self.mismatches.push(Mismatch {
            step: self.step,
            line: self.line,
            key,
            expected,
            actual,
            near_misses: Vec::new(),
        });
    }
}

/// A key as text: `eni-1` for the text, and JSON for all else. Values that filters take for equal
/// are one key.
fn key_text(key: &Json) -> String {
    match canonical_scalar(key) {
        Some(Json::String(text)) => text,
        Some(scalar) => scalar.to_string(),
        None => match key {
            Json::Array(values) => {
                let canonical = |value: &Json| canonical_scalar(value).unwrap_or(value.clone());
                Json::Array(values.iter().map(canonical).collect()).to_string()
            }
            key => key.to_string(),
        },
    }
}
