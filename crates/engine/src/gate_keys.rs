//! Warnings about paths of `by`, `distinct` and of the keys of `once` and `throttle` that no event
//! may have: such a gate holds nothing back, and such a window follows no event.

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_event::{Event, FieldShape, field_shape};

use crate::field_evidence::shows_one_value;
use crate::rule_test::{RuleTest, TestEvent};
use crate::vocabulary::{FieldName, FilterVocabulary};

/// How other languages begin a path.
const FOREIGN_ROOTS: [&str; 4] = ["event.", "$event.", "$.", "@."];

/// What a rule does with the values at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathUse {
    /// `by` of a rule or step with a time window.
    By,
    /// The key of `once` or `throttle`.
    Gate,
    /// `distinct`.
    Distinct,
    /// `key` of a lookup.
    Lookup,
}

impl PathUse {
    /// What becomes of an event without a value.
    fn without(self) -> &'static str {
        match self {
            Self::By => "is not followed",
            Self::Gate => "is not gated",
            Self::Distinct => "is not counted",
            Self::Lookup => "finds no row",
        }
    }
}

/// The warning about a path of a rule, located in its file. `filter` is that of the events that the
/// path is read in.
pub(crate) fn check(
    key: &EmbeddedText,
    path_use: PathUse,
    filter: &FilterVocabulary<'_>,
    tests: &[RuleTest],
) -> Option<Diagnostic> {
    let path = key.text();
    let is_evident = |path: &str| shows_one_value(events(tests), path);
    if is_evident(path) {
        return None;
    }
    let warning = |message: String| Diagnostic::warning(Code::UNKNOWN_KEY, key.span(), message);
    if let Some(list) = as_list(path) {
        let found = warning(format!("several paths in one text: `{path}`"));
        let found = found.with_help(format!("write a list: {list}"));
        return Some(found.with_fix(key.span(), list));
    }
    // A fix is an edit of the path, as it would be written without quotes and escapes.
    let write = |meant: &str| {
        let found = Diagnostic::warning(
            Code::UNKNOWN_KEY,
            0..path.len(),
            format!("no event has a value at the key `{path}`"),
        );
        let found = found.with_help(format!("write `{meant}`"));
        key.map_spans(found.with_fix(0..path.len(), meant))
    };
    let stripped = FOREIGN_ROOTS
        .iter()
        .find_map(|root| path.strip_prefix(root));
    if let Some(stripped) = stripped
        && (is_evident(stripped) || field_shape(stripped) == Some(FieldShape::One))
    {
        return Some(write(stripped));
    }
    if let Some(envelope) = filter.envelope_field(path).filter(|_| !filter.names(path)) {
        let rest = &path[envelope.first.len()..];
        return Some(match envelope.native {
            Some(native) if envelope.is_same_value => write(&format!("{native}{rest}")),
            Some(native) => warning(envelope.message())
                .with_help(format!("in the native form it is `{native}`")),
            None => warning(envelope.message()).with_help("the native form does not have it"),
        });
    }
    match (filter.field_name(path), field_shape(path)) {
        (FieldName::Misspelt(meant), _) => Some(write(meant)),
        (_, Some(FieldShape::Many)) => {
            let message = format!("the key `{path}` is a list in ECS events, which is no key");
            Some(warning(message).with_help("use a field with one value"))
        }
        (FieldName::Known, _) | (_, Some(FieldShape::One)) => None,
        // Spelt in the same way twice, or of events that are not part of the file: no mistake is
        // evident.
        _ if filter.names(path) || has_event_files(tests) => None,
        _ => {
            let message =
                format!("neither ECS events nor events of the rule's tests have the key `{path}`");
            Some(warning(message).with_help(format!(
                "an event without it {}; add a test with an event that has it",
                path_use.without()
            )))
        }
    }
}

/// The paths of `"content.eniId, regionId"` as a list; `None` for a text of another form.
fn as_list(path: &str) -> Option<String> {
    let paths: Vec<&str> = path.split(',').map(str::trim).collect();
    let is_path = |path: &&str| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        !path.is_empty() && path.chars().all(is_part)
    };
    (paths.len() > 1 && paths.iter().all(is_path))
        .then(|| format!("[\"{}\"]", paths.join("\", \"")))
}

/// The events in the tests of the rule file itself.
fn events(tests: &[RuleTest]) -> impl Iterator<Item = &Event> {
    test_events(tests).filter_map(|event| match event {
        TestEvent::Inline(event) => Some(event),
        TestEvent::File(_) => None,
    })
}

fn has_event_files(tests: &[RuleTest]) -> bool {
    test_events(tests).any(|event| matches!(event, TestEvent::File(_)))
}

fn test_events(tests: &[RuleTest]) -> impl Iterator<Item = &TestEvent> {
    let steps = tests.iter().flat_map(|test| &test.steps);
    steps.flat_map(|step| &step.events)
}
