//! Recognises paths with a key that is an operator, a connective or part of a request.

// `{"severity": {"numeric": [">=", 7]}}` is a field `severity.numeric`. The parser warns of it when
// it has the text; an explanation has only the tree. So the field is written in JSON notation as
// its author may have written it, and the parser is asked once more:
//
//     severity.numeric in [">=", 7]
//     {"severity": {"numeric": [">=", 7]}}     RA0225, with a fix
//     {"severity": [{"numeric": [">=", 7]}]}   no warning: severity >= 7

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Json;

use super::hint::Hint;
use crate::print::{expression, json};
use crate::{Dialect, Field, PatternLimits, syntax};

/// Most mistakes in one path: `{"EventPattern": {"not": {"a": {"prefix": ["x"]}}}}` has three.
const MISTAKES: usize = 4;
/// Longest condition in a hint, in bytes: a longer one is no help.
const LONGEST: usize = 200;

/// The hint at a field with such a path.
pub(super) fn hint(field: &Field) -> Option<Hint> {
    let mut text = written(field);
    let mut first: Option<Diagnostic> = None;
    let mut condition = None;
    for _ in 0..=MISTAKES {
        let parsed = syntax::parse(&text, Dialect::Reflexarc, &PatternLimits::DEFAULT);
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        let tree = parsed
            .tree
            .filter(|_| !parsed.diagnostics.iter().any(is_error));
        let Some(tree) = tree else {
            break;
        };
        let is_mistake = |found: &&Diagnostic| {
            [Code::OPERATOR_AS_KEY, Code::WRAPPED_PATTERN].contains(&found.code)
        };
        let Some(found) = parsed.diagnostics.iter().find(is_mistake).cloned() else {
            // The text without mistakes; the first one has none if the path is a usual one.
            condition = first.is_some().then(|| expression::print(&tree.to_node()));
            break;
        };
        let fix = found.fix.clone();
        first.get_or_insert(found);
        let Some(fix) = fix else {
            break;
        };
        text.replace_range(fix.span, &fix.replacement);
    }
    let Diagnostic { message, help, .. } = first?;
    Some(Hint::SyntaxAsKey {
        message,
        help: help.unwrap_or_default(),
        condition: condition.filter(|text| text.len() <= LONGEST && !text.contains('\n')),
    })
}

/// The field as nested objects.
fn written(field: &Field) -> String {
    let keys: Vec<&str> = field.path.segments().collect();
    let leaf = json::leaf(&field.alternatives);
    let nested = keys.iter().rev().fold(leaf, |inner, key| {
        Json::Object(vec![((*key).to_owned(), inner)])
    });
    nested.to_string()
}
