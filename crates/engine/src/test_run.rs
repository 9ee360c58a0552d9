//! Running the `[[test]]`s of rules on a virtual clock.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{MemoryState, State as _};

use crate::coverage::{Coverage, Watch};
use crate::event_time::event_time;
use crate::rule::Rule;
use crate::rule_test::{Expected, RuleTest, Step, TestEvent};
use crate::subset::is_subset;
use crate::{Evaluation, RuleSet};

/// What the tests of one rule came to.
#[derive(Debug, Clone)]
pub struct RuleReport {
    /// The rule's name.
    pub rule: String,
    /// The path of its file.
    pub file: String,
    /// Its tests, in the order of the file.
    pub tests: Vec<TestReport>,
    /// What the tests have exercised; judge it only when all of the rule's tests have run.
    pub coverage: Coverage,
}

/// What one test came to.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// Which of the file's tests it is, from 0.
    pub index: usize,
    /// The test's name.
    pub name: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// What was not as expected; empty when the test passed.
    pub mismatches: Vec<Mismatch>,
    /// What each step really asked for, as `actions` would have it.
    pub actual_actions: Vec<Vec<Json>>,
}

/// One thing that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The step, from 0; `None` for a test without steps.
    pub step: Option<usize>,
    /// The line of the step or test, from 1.
    pub line: usize,
    /// The key of the expectation: `matches`, `actions` …
    pub key: &'static str,
    /// What was expected, one thing a line.
    pub expected: Vec<String>,
    /// What happened, one thing a line.
    pub actual: Vec<String>,
}

/// Which moment the virtual clock starts at when neither the test nor its first event says so.
const START: Timestamp = Timestamp::UNIX_EPOCH;

impl TestReport {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Runs those tests of a rule whose name `wanted` accepts.
pub(crate) fn run(set: &RuleSet, rule: &Arc<Rule>, wanted: &dyn Fn(&str) -> bool) -> RuleReport {
    let mut watch = Watch::new(rule);
    let alone = set.only(rule);
    let tests = rule
        .tests
        .iter()
        .enumerate()
        .filter(|(_, test)| wanted(&test.name));
    let tests = tests
        .map(|(index, test)| TestReport {
            index,
            ..run_test(&alone, rule, test, &mut watch)
        })
        .collect();
    RuleReport {
        rule: rule.name().to_owned(),
        file: rule.file().to_owned(),
        tests,
        coverage: watch.finish(rule),
    }
}

fn run_test(alone: &RuleSet, rule: &Rule, test: &RuleTest, watch: &mut Watch) -> TestReport {
    let (line, _) = rule.line_and_column(test.span.start);
    let mut report = TestReport {
        index: 0,
        name: test.name.clone(),
        line,
        mismatches: Vec::new(),
        actual_actions: Vec::new(),
    };
    let mut state = MemoryState::new();
    let mut start = test.clock;
    for (number, step) in test.steps.iter().enumerate() {
        let mut judge = Judge {
            step: test.stepwise.then_some(number),
            line: rule.line_and_column(step.span.start).0,
            mismatches: &mut report.mismatches,
        };
        let events = match step
            .events
            .iter()
            .map(|event| read(alone, rule, event))
            .collect::<Result<Vec<_>, _>>()
        {
            Ok(events) => events,
            Err(why) => {
                judge.mismatch("event_file", vec!["an event".to_owned()], vec![why]);
                return report;
            }
        };
        let start =
            *start.get_or_insert_with(|| events.first().and_then(event_time).unwrap_or(START));
        let now = start.checked_add(step.at).unwrap_or(Timestamp::MAX);
        let mut seen = Vec::new();
        for event in &events {
            let matched = alone.matching(event);
            watch.event(event);
            let evaluation = alone.react_traced(event, &matched, &state, now, &watch.ran);
            for effects in &evaluation.rules {
                state.apply(&effects.rule, &effects.changes);
            }
            seen.push((matched.is_match(), evaluation));
        }
        report.actual_actions.push(actions(&seen));
        judge.judge(rule, step, &seen, &state, now);
    }
    report
}

fn read(alone: &RuleSet, rule: &Rule, event: &TestEvent) -> Result<NativeEvent, String> {
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

/// For each event of a step whether the rule matched it, and what followed.
type Seen = [(bool, Evaluation)];

fn actions(seen: &Seen) -> Vec<Json> {
    seen.iter()
        .flat_map(|(_, evaluation)| evaluation.actions())
        .map(|(_, _, action)| action.to_flat_json())
        .collect()
}

/// Compares one step with what it expects.
struct Judge<'a> {
    step: Option<usize>,
    line: usize,
    mismatches: &'a mut Vec<Mismatch>,
}

impl Judge<'_> {
    fn judge(
        &mut self,
        rule: &Rule,
        step: &Step,
        seen: &Seen,
        state: &MemoryState,
        now: Timestamp,
    ) {
        let Expected {
            matches,
            actions: expected,
            emits,
            state: entries,
            log,
            failures,
            skipped,
        } = &step.expected;
        let effects = || seen.iter().flat_map(|(_, evaluation)| &evaluation.rules);
        if let Some(matches) = matches {
            let expected: Vec<_> = (0..seen.len())
                .map(|i| matches[i.min(matches.len() - 1)])
                .collect();
            let actual: Vec<_> = seen.iter().map(|(matched, _)| *matched).collect();
            if expected != actual {
                let words = |words: Vec<bool>| words.iter().map(bool::to_string).collect();
                self.mismatch("matches", words(expected), words(actual));
            }
        }
        if let Some(expected) = expected {
            self.subsets("actions", expected, &actions(seen));
        }
        if let Some(emits) = emits {
            let emitted: Vec<_> = effects()
                .flat_map(|e| &e.emitted)
                .map(|event| event.tree().clone())
                .collect();
            self.subsets("emits", emits, &emitted);
        }
        if let Some(entries) = entries {
            for (key, value) in entries {
                let actual = state.get(rule.name(), key, now).map(|entry| entry.value);
                if !actual
                    .as_ref()
                    .is_some_and(|actual| is_subset(value, actual) && is_subset(actual, value))
                {
                    let actual = actual.map_or_else(
                        || format!("{key} is not there"),
                        |actual| format!("{key} = {actual}"),
                    );
                    self.mismatch("state", vec![format!("{key} = {value}")], vec![actual]);
                }
            }
        }
        if let Some(log) = log {
            let lines: Vec<_> = effects()
                .flat_map(|effects| effects.log.iter().cloned())
                .collect();
            self.parts("log", log, lines);
        }
        let failed = seen.iter().flat_map(|(_, evaluation)| &evaluation.failures);
        let failed: Vec<_> = failed.map(|failure| failure.message.clone()).collect();
        self.parts("failures", failures.as_deref().unwrap_or_default(), failed);
        if let Some(skipped) = skipped {
            let reasons: Vec<_> = effects()
                .filter_map(|effects| effects.skipped.clone())
                .collect();
            if !reasons.iter().any(|reason| reason.contains(skipped)) {
                self.mismatch("skipped", vec![skipped.clone()], reasons);
            }
        }
    }

    fn subsets(&mut self, key: &'static str, expected: &[Json], actual: &[Json]) {
        let alike = expected.len() == actual.len()
            && expected.iter().zip(actual).all(|(e, a)| is_subset(e, a));
        if !alike {
            let lines = |list: &[Json]| list.iter().map(Json::to_string).collect();
            self.mismatch(key, lines(expected), lines(actual));
        }
    }

    fn parts(&mut self, key: &'static str, expected: &[String], actual: Vec<String>) {
        let alike = expected.len() == actual.len()
            && expected
                .iter()
                .zip(&actual)
                .all(|(e, a)| a.contains(e.as_str()));
        if !alike {
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
        });
    }
}
