//! The answer of the scalar matcher for an event that is a JSON tree.

use reflexarc_event::Json;
use reflexarc_pattern::{FieldSet, Matcher, Node, Path, ScalarMatcher};

/// `None` if the scalar matcher does not support the pattern or the event.
pub(crate) fn answer(pattern: &Node, event: &Json) -> Option<bool> {
    let paths = Matcher::build([pattern])
        .expect("a small pattern")
        .paths()
        .to_vec();
    let matcher = ScalarMatcher::new(pattern, &paths)?;
    let mut satisfied = FieldSet::default();
    visit(&matcher, &paths, &mut satisfied, None, event).then(|| matcher.matches(satisfied))
}

/// Visits every value at the paths; false if one lies in an object or array that is an element of
/// an array.
fn visit(
    matcher: &ScalarMatcher,
    paths: &[Path],
    satisfied: &mut FieldSet,
    at: Option<&str>,
    value: &Json,
) -> bool {
    let slot = || paths.iter().position(|path| Some(path.as_str()) == at);
    let is_prefix = || at.is_none_or(|at| paths.iter().any(|path| path.as_str().starts_with(at)));
    match value {
        Json::Object(members) => members.iter().all(|(key, value)| {
            let at = at.map_or_else(|| key.clone(), |at| format!("{at}.{key}"));
            visit(matcher, paths, satisfied, Some(&at), value)
        }),
        Json::Array(items) => items.iter().all(|item| match item {
            Json::Array(_) | Json::Object(_) => !is_prefix(),
            scalar => visit(matcher, paths, satisfied, at, scalar),
        }),
        scalar => {
            if let Some(slot) = slot() {
                *satisfied |= match scalar {
                    Json::Null => matcher.null(slot),
                    Json::Bool(value) => matcher.bool(slot, *value),
                    Json::Number(text) => text
                        .parse()
                        .ok()
                        .filter(|_| !text.contains(['.', 'e', 'E']))
                        .map_or_else(
                            || matcher.number(slot, text),
                            |number| matcher.integer(slot, number),
                        ),
                    Json::String(text) if matcher.exact_strings(slot).contains(&text.as_str()) => {
                        matcher.string(slot, text)
                    }
                    Json::String(text) => {
                        let one = matcher.string(slot, text);
                        assert_eq!(matcher.other_string(slot).unwrap_or(one), one, "{text}");
                        one
                    }
                    Json::Array(_) | Json::Object(_) => FieldSet::default(),
                };
            }
            true
        }
    }
}
