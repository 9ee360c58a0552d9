//! Warnings: paths that no event has, written as in other languages.

// A path is keys joined by dots, and arrays need no step of their own. So what is a step in
// JSONPath (`$.a`, `a[*].b`, `a.0`), in scripts (`event.a`) or a property in JavaScript
// (`a.length`) is the name of a key here, and a filter with it never matches.
//
// A key may have any name, so each of these may be meant. In an expression a key in quotes is:
// `"event".a` and `a."0"` get no warning.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use crate::print::expression;
use crate::spanned::{SpannedField, SpannedNode};
use crate::{Path, Predicate};

/// Most warnings for one pattern, as many as diagnostics are reported.
const WARNINGS: usize = 100;

/// Warnings about the paths of a pattern with this source.
pub(crate) fn warnings(tree: &SpannedNode, source: &str) -> Vec<Diagnostic> {
    let fields = tree.fields();
    let found = fields.iter().filter_map(|field| warning(field, source));
    found.take(WARNINGS).collect()
}

/// Whether a first key, not in quotes, stands for the event in other languages.
pub(crate) fn is_root(key: &str) -> bool {
    matches!(key, "$" | "@" | "event" | "$event")
}

/// What is wrong with a path.
struct Impossible {
    message: String,
    help: String,
    /// The part of the path as it is written, and what to write instead; the edit is offered if
    /// the key has the part once.
    edit: Option<(String, &'static str)>,
}

fn warning(field: &SpannedField, source: &str) -> Option<Diagnostic> {
    let key = &source[field.key.clone()];
    let Impossible {
        message,
        help,
        edit,
    } = impossible(field, key)?;
    let warning =
        Diagnostic::warning(Code::IMPOSSIBLE_PATH, field.key.clone(), message).with_help(help);
    Some(match edit.and_then(|edit| locate(edit, key, &field.key)) {
        Some((span, replacement)) => warning.with_fix(span, replacement),
        None => warning,
    })
}

fn impossible(field: &SpannedField, key: &str) -> Option<Impossible> {
    let segments: Vec<&str> = field.path.segments().collect();
    // In an expression `"0"` is a key that is meant; in JSON notation every key is in quotes.
    let is_expression = !key.starts_with('"') || key.contains("\".") || key.contains(".\"");
    let is_quoted = |segment: &str| is_expression && key.contains(&format!("\"{segment}\""));
    root(&segments, is_quoted)
        .or_else(|| element(&segments, is_quoted))
        .or_else(|| length(field, &segments, is_quoted))
        .or_else(|| white_space(&segments))
}

/// A first key that stands for the event in other languages.
fn root(segments: &[&str], is_quoted: impl Fn(&str) -> bool) -> Option<Impossible> {
    let [first, rest @ ..] = segments else {
        return None;
    };
    if !is_root(first) || rest.is_empty() || is_quoted(first) {
        return None;
    }
    let rest = expression::path(&Path::from_keys(rest));
    Some(Impossible {
        message: format!("`{first}` is not a part of paths, which begin in the event"),
        help: format!("write `{rest}`"),
        edit: Some((format!("{first}."), "")),
    })
}

/// An index of an array, or a sign for all of its elements.
fn element(segments: &[&str], is_quoted: impl Fn(&str) -> bool) -> Option<Impossible> {
    let without = |at: usize, key: Option<&str>| {
        let keys = segments[..at].iter().copied();
        let rest = segments[at + 1..].iter().copied();
        expression::path(&Path::from_keys(
            keys.chain(key).chain(rest).collect::<Vec<_>>(),
        ))
    };
    for (at, segment) in segments.iter().enumerate() {
        let is_index = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_digit());
        if at > 0 && is_index(segment) && !is_quoted(segment) {
            return Some(Impossible {
                message: format!("`{segment}` is a key here, not an index"),
                help: format!(
                    "write `{}`: a condition holds if any element of an array satisfies it",
                    without(at, None)
                ),
                edit: None,
            });
        }
        let all = "a condition holds if any element of an array satisfies it";
        if *segment == "*" && segments.len() > 1 {
            return Some(Impossible {
                message: "`*` is a key here, not every key or element".to_owned(),
                help: format!("write `{}`: {all}", without(at, None)),
                edit: (at > 0).then(|| (".*".to_owned(), "")),
            });
        }
        if let Some((name, index)) = segment
            .strip_suffix(']')
            .and_then(|text| text.rsplit_once('['))
            && !name.is_empty()
            && (index.is_empty() || index == "*" || index.bytes().all(|b| b.is_ascii_digit()))
        {
            // `a[*].b` is any element in JSONPath, too; `a[0].b` is the first one.
            let edit = (index == "*" || index.is_empty()).then(|| (format!("[{index}]"), ""));
            return Some(Impossible {
                message: format!("`[{index}]` is a part of the key here, not an index"),
                help: format!("write `{}`: {all}", without(at, Some(name))),
                edit,
            });
        }
    }
    None
}

/// The length of an array or text, compared with a number.
fn length(
    field: &SpannedField,
    segments: &[&str],
    is_quoted: impl Fn(&str) -> bool,
) -> Option<Impossible> {
    let [parent @ .., "length"] = segments else {
        return None;
    };
    let is_number = |predicate: &Predicate| match predicate {
        Predicate::Number(_) | Predicate::Range { .. } => true,
        Predicate::AnythingBut(excluded) => excluded
            .iter()
            .all(|one| matches!(one, Predicate::Number(_))),
        _ => false,
    };
    if parent.is_empty()
        || is_quoted("length")
        || !field
            .predicates()
            .all(|spanned| is_number(&spanned.predicate))
    {
        return None;
    }
    let parent = expression::path(&Path::from_keys(parent));
    Some(Impossible {
        message: "`length` is a key here, not the number of elements".to_owned(),
        help: format!(
            "compare the length in the script: `if event.{parent}.len() > 2 {{ … }}`; \
             `{parent} exists` is true of an array that is not empty"
        ),
        edit: None,
    })
}

/// A key with white space around it.
fn white_space(segments: &[&str]) -> Option<Impossible> {
    let segment = segments
        .iter()
        .find(|key| key.trim() != **key && !key.trim().is_empty())?;
    let right: Vec<&str> = segments.iter().map(|key| key.trim()).collect();
    Some(Impossible {
        message: format!("the key `{segment}` has white space around it"),
        help: format!("write `{}`", expression::path(&Path::from_keys(right))),
        edit: None,
    })
}

/// The span of the part in the key, if it has it once.
fn locate(
    (part, replacement): (String, &'static str),
    key: &str,
    span: &Span,
) -> Option<(Span, String)> {
    let mut places = key.match_indices(&part);
    let (at, _) = places.next()?;
    let start = span.start + at;
    places
        .next()
        .is_none()
        .then(|| (start..start + part.len(), replacement.to_owned()))
}

#[cfg(test)]
mod tests {
    use reflexarc_diagnostic::{Code, Severity};

    use crate::Pattern;

    /// The text after the fix of the warning, its help where there is no fix; empty without one.
    fn fixed(text: &str) -> String {
        let pattern: Pattern = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut found = pattern.warnings().iter();
        let Some(warning) = found.find(|one| one.code == Code::IMPOSSIBLE_PATH) else {
            return String::new();
        };
        assert_eq!(warning.severity, Severity::Warning);
        let Some(fix) = &warning.fix else {
            return warning.help.clone().expect("help");
        };
        let mut changed = text.to_owned();
        changed.replace_range(fix.span.clone(), &fix.replacement);
        let right: Pattern = changed
            .parse()
            .unwrap_or_else(|error| panic!("{changed}: {error}"));
        assert!(right.warnings().is_empty(), "{changed}");
        changed
    }

    #[test]
    fn roots_of_other_languages_are_removed() {
        let cases = [
            ("event.a == 1", "a == 1"),
            ("$.a.b == 1", "a.b == 1"),
            ("@.a exists", "a exists"),
            (r#"{"$.a": [1]}"#, r#"{"a": [1]}"#),
            (
                r#"{"event.content.result": ["x"]}"#,
                r#"{"content.result": ["x"]}"#,
            ),
            (
                r#"{"event": {"content": {"result": ["x"]}}}"#,
                "write `content.result`",
            ),
            (r#"not (event.a == "x")"#, r#"not (a == "x")"#),
        ];
        for (text, expected) in cases {
            assert_eq!(fixed(text), expected, "{text}");
        }
    }

    #[test]
    fn elements_need_no_step() {
        let any = "a condition holds if any element of an array satisfies it";
        assert_eq!(fixed("a.0 == 1"), format!("write `a`: {any}"));
        assert_eq!(fixed("a.0.b == 1"), format!("write `a.b`: {any}"));
        assert_eq!(
            fixed(r#"{"a": {"0": {"b": [1]}}}"#),
            format!("write `a.b`: {any}")
        );
        assert_eq!(fixed(r#"{"a[0].b": [1]}"#), format!("write `a.b`: {any}"));
        assert_eq!(fixed(r#"{"a[*].b": [1]}"#), r#"{"a.b": [1]}"#);
        assert_eq!(fixed(r#"{"a.*.b": [1]}"#), r#"{"a.b": [1]}"#);
        assert_eq!(
            fixed(r#"{"a": {"*": {"b": [1]}}}"#),
            format!("write `a.b`: {any}")
        );
    }

    #[test]
    fn a_length_is_compared_in_the_script() {
        for text in [
            "a.length > 2",
            "a.length == 0",
            r#"{"a": {"length": [{"numeric": [">", 2]}]}}"#,
        ] {
            assert!(fixed(text).contains("event.a.len()"), "{text}");
        }
    }

    #[test]
    fn keys_that_are_meant_get_no_warning() {
        let texts = [
            r#""event".a == 1"#,
            r#"a."0" == 1"#,
            r#"a.length == "long""#,
            "event == 1",
            "$ == 1",
            "a.80 == 1",
            "a.event.b == 1",
            r#"{"a-0": [1]}"#,
            "length > 2",
        ];
        for text in texts {
            assert_eq!(fixed(text), "", "{text}");
        }
    }

    #[test]
    fn white_space_around_a_key_is_reported() {
        assert_eq!(fixed(r#"{"a ": [1]}"#), "write `a`");
        assert_eq!(fixed(r#"{"odd key": [1]}"#), "");
    }
}
