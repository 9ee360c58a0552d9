//! The cases in `tests/corpus/patterns`: one file for each subject, one test for each case.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_event::Event;
use reflexarc_pattern::{Dialect, Matcher, Pattern, PatternError, Scratch, naive};
use serde::Deserialize;

use crate::evaluators::{answers, in_words};
use crate::mismatch::{Mismatch, fail_with};

/// All cases, and one matcher of all their patterns.
pub(crate) struct Corpus {
    cases: Vec<LoadedCase>,
    patterns: Vec<Pattern>,
    matcher: Matcher,
}

struct LoadedCase {
    /// The name of the file and of the case.
    name: String,
    case: Case,
    /// For each text: its position in [`Corpus::patterns`], or the error.
    parsed: Vec<(String, Result<usize, PatternError>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One pattern, in one or both notations, with the expected results.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Default: reflexarc.
    dialect: Option<String>,
    json: Option<String>,
    expression: Option<String>,
    /// Events that match.
    #[serde(default)]
    matches: Vec<String>,
    /// Events that do not match.
    #[serde(default)]
    other: Vec<String>,
    /// The codes of the errors from parsing either notation.
    errors: Option<Vec<String>>,
    /// The codes of the warnings, in at least one of the notations.
    warnings: Option<Vec<String>>,
    /// The codes of the errors from checking either notation for AWS; none if it is portable.
    aws: Option<Vec<String>>,
    /// The same for Alibaba Cloud.
    alibaba: Option<Vec<String>>,
}

impl Corpus {
    /// Reads and parses all cases.
    pub(crate) fn load() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/patterns");
        let mut files: Vec<_> = fs::read_dir(&folder)
            .expect("the folder of cases")
            .map(|entry| entry.expect("a folder entry").path())
            .collect();
        files.sort();
        let mut patterns = Vec::new();
        let cases = files
            .iter()
            .flat_map(|path| read(path))
            .map(|(name, case)| parse(name, case, &mut patterns))
            .collect();
        let matcher = Matcher::build(patterns.iter().map(Pattern::node)).expect("within limits");
        Self {
            cases,
            patterns,
            matcher,
        }
    }
}

/// The test of each case, named `file::case`, and the tests of the corpus itself.
pub(crate) fn trials(corpus: &Arc<Corpus>) -> Vec<Trial> {
    let mut trials = vec![trial("names_are_unique", corpus, names_are_unique)];
    for (position, loaded) in corpus.cases.iter().enumerate() {
        trials.push(trial(&loaded.name, corpus, move |corpus| {
            fail_with(&mismatches(&corpus.cases[position], corpus))
        }));
    }
    trials
}

fn trial(
    name: &str,
    corpus: &Arc<Corpus>,
    test: impl FnOnce(&Corpus) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let corpus = Arc::clone(corpus);
    Trial::test(name, move || test(&corpus))
}

fn names_are_unique(corpus: &Corpus) -> Result<(), Failed> {
    let mut names = BTreeSet::new();
    match corpus.cases.iter().find(|case| !names.insert(&case.name)) {
        Some(case) => Err(format!("two cases are named `{}`", case.name).into()),
        None => Ok(()),
    }
}

/// The cases of a file, with the names of their tests.
fn read(path: &Path) -> Vec<(String, Case)> {
    let text = fs::read_to_string(path).expect("a readable file");
    let file: File =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stem = path.file_stem().expect("a file name").to_string_lossy();
    file.case
        .into_iter()
        .map(|case| (format!("{stem}::{}", case.name), case))
        .collect()
}

fn parse(name: String, case: Case, patterns: &mut Vec<Pattern>) -> LoadedCase {
    let dialect: Dialect = case
        .dialect
        .as_deref()
        .unwrap_or("reflexarc")
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let parsed: Vec<_> = case
        .json
        .iter()
        .chain(&case.expression)
        .map(|text| {
            let result = Pattern::parse(text, dialect).map(|pattern| {
                patterns.push(pattern);
                patterns.len() - 1
            });
            (text.clone(), result)
        })
        .collect();
    assert!(!parsed.is_empty(), "{name}: missing `json` or `expression`");
    LoadedCase { name, case, parsed }
}

fn mismatches(loaded: &LoadedCase, corpus: &Corpus) -> Vec<Mismatch> {
    let case = &loaded.case;
    let mut mismatches = rejections(loaded);
    let ids: Vec<usize> = loaded
        .parsed
        .iter()
        .filter_map(|(_, parsed)| parsed.as_ref().ok().copied())
        .collect();
    let patterns: Vec<&Pattern> = ids.iter().map(|&id| &corpus.patterns[id]).collect();
    if let [one, other] = patterns.as_slice()
        && one.node() != other.node()
    {
        mismatches.push(about_pattern(
            "notations",
            other,
            one.to_expression(),
            other.to_expression(),
        ));
    }
    for (events, expected) in [(&case.matches, true), (&case.other, false)] {
        for event in events {
            mismatches.extend(wrong_answers(corpus, &ids, event, expected));
        }
    }
    for pattern in &patterns {
        mismatches.extend(dialect_mismatches(case, pattern));
    }
    mismatches.extend(warning_mismatch(case, &patterns));
    mismatches
}

/// The texts that are not accepted or rejected as expected.
fn rejections(loaded: &LoadedCase) -> Vec<Mismatch> {
    let expected = loaded.case.errors.as_ref();
    let mut mismatches = Vec::new();
    for (text, parsed) in &loaded.parsed {
        let found = match parsed {
            Ok(_) => None,
            Err(error) => Some(codes(error.diagnostics(), Severity::Error)),
        };
        if found.as_ref() != expected {
            let details = parsed.as_ref().err();
            mismatches.push(Mismatch {
                evaluator: "parse".to_owned(),
                pattern: text.clone(),
                event: None,
                expected: acceptance(expected),
                found: details.map_or_else(
                    || acceptance(None),
                    |details| format!("{}: {details}", acceptance(found.as_ref())),
                ),
            });
        }
    }
    mismatches
}

fn acceptance(errors: Option<&Vec<String>>) -> String {
    match errors {
        Some(codes) if !codes.is_empty() => format!("the errors {}", codes.join(", ")),
        _ => "no error".to_owned(),
    }
}

/// The evaluators whose answer for an event is not the expected one.
fn wrong_answers(corpus: &Corpus, ids: &[usize], text: &str, expected: bool) -> Vec<Mismatch> {
    let event = Event::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut mismatches = Vec::new();
    for &id in ids {
        let pattern = &corpus.patterns[id];
        let wrong = answers(pattern, text, event.tree())
            .into_iter()
            .filter(|answer| answer.found != Ok(expected))
            .map(|answer| Mismatch {
                evaluator: answer.evaluator.to_owned(),
                pattern: pattern.source().to_owned(),
                event: Some(text.to_owned()),
                expected: in_words(expected).to_owned(),
                found: answer
                    .found
                    .map_or_else(|error| error, |found| in_words(found).to_owned()),
            });
        mismatches.extend(wrong);
    }
    mismatches.extend(wrong_together(corpus, ids, text, &event, expected));
    mismatches
}

/// The patterns whose answer in the matcher of all patterns is wrong: of this case, for which an
/// answer is expected, and of all others, for which it is that of the reference evaluator.
fn wrong_together(
    corpus: &Corpus,
    ids: &[usize],
    text: &str,
    event: &Event,
    expected: bool,
) -> Vec<Mismatch> {
    let (mut scratch, mut by_bytes, mut by_event) = (Scratch::new(), Vec::new(), Vec::new());
    corpus
        .matcher
        .matching_bytes(text.as_bytes(), &mut scratch, &mut by_bytes)
        .expect("the event has been parsed");
    corpus.matcher.matching(event, &mut scratch, &mut by_event);
    let mut mismatches = Vec::new();
    for (id, pattern) in corpus.patterns.iter().enumerate() {
        let expected = if ids.contains(&id) {
            expected
        } else {
            naive::matches(pattern.node(), event.tree())
        };
        for (evaluator, found) in [
            ("all patterns, bytes", &by_bytes),
            ("all patterns, event", &by_event),
        ] {
            let found = found.iter().any(|&found| found as usize == id);
            if found != expected {
                mismatches.push(Mismatch {
                    evaluator: evaluator.to_owned(),
                    pattern: pattern.source().to_owned(),
                    event: Some(text.to_owned()),
                    expected: in_words(expected).to_owned(),
                    found: in_words(found).to_owned(),
                });
            }
        }
    }
    mismatches
}

/// The services for which checking or exporting does not give the expected result.
fn dialect_mismatches(case: &Case, pattern: &Pattern) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (service, expected) in [(Dialect::Aws, &case.aws), (Dialect::Alibaba, &case.alibaba)] {
        let found = codes(&pattern.check(service), Severity::Error);
        if let Some(expected) = expected.as_ref().filter(|expected| **expected != found) {
            mismatches.push(about_pattern(
                &format!("check for {service}"),
                pattern,
                acceptance(Some(expected)),
                acceptance(Some(&found)),
            ));
        }
        let exported = pattern.export(service).is_ok();
        if exported != found.is_empty() {
            mismatches.push(about_pattern(
                &format!("export for {service}"),
                pattern,
                acceptance(Some(&found)),
                if exported { "success" } else { "an error" }.to_owned(),
            ));
        }
    }
    mismatches
}

fn warning_mismatch(case: &Case, patterns: &[&Pattern]) -> Option<Mismatch> {
    let expected = case.warnings.as_ref()?;
    let all: Vec<&[Diagnostic]> = patterns.iter().map(|pattern| pattern.warnings()).collect();
    let met = all
        .iter()
        .any(|warnings| codes(warnings, Severity::Warning) == *expected);
    (!met).then(|| Mismatch {
        evaluator: "warnings".to_owned(),
        pattern: case.json.iter().chain(&case.expression).cloned().collect(),
        event: None,
        expected: format!("the warnings {expected:?}"),
        found: format!("{all:#?}"),
    })
}

fn about_pattern(evaluator: &str, pattern: &Pattern, expected: String, found: String) -> Mismatch {
    Mismatch {
        evaluator: evaluator.to_owned(),
        pattern: pattern.source().to_owned(),
        event: None,
        expected,
        found,
    }
}

fn codes(found: &[Diagnostic], severity: Severity) -> Vec<String> {
    found
        .iter()
        .filter(|found| found.severity == severity)
        .map(|found| found.code.to_string())
        .collect()
}
