//! Warnings: paths that no event has, written as in other languages.

// A path is keys joined by dots, and arrays need no step of their own. So what is a step in
// JSONPath (`$.a`, `a[*].b`, `a.0`), in scripts (`event.a`) or a property in JavaScript
// (`a.length`) is the name of a key here, and a filter with it never matches.
//
// A key may have any name, so each of these may be meant. In an expression a key in quotes is:
// `"event".a` and `a."0"` get no warning.

use std::collections::HashSet;

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::Json;

use crate::foreign_path::{ForeignPath, Step, is_root};
use crate::print::expression;
use crate::spanned::{SpannedField, SpannedNode};
use crate::{Path, Predicate};

/// Warnings about the paths of a pattern with this source.
pub(crate) fn warnings(tree: &SpannedNode, source: &str) -> Vec<Diagnostic> {
    // An expansion repeats conditions; each place in the text is looked at once.
    let mut seen = HashSet::new();
    let mut fields = tree.fields();
    fields.retain(|field| seen.insert((field.key.start, field.key.end)));
    let found = fields.iter().filter_map(|field| warning(field, source));
    found.collect()
}

/// What is wrong with a path.
struct Impossible {
    message: String,
    help: String,
    /// The span of the source to replace, and what to write there.
    fix: Option<(Span, String)>,
}

fn warning(field: &SpannedField, source: &str) -> Option<Diagnostic> {
    let after = source.get(field.key.end..)?.trim_start();
    let key = &source[field.key.clone()];
    let Impossible { message, help, fix } = impossible(field, key, after.starts_with(':'))?;
    let warning =
        Diagnostic::warning(Code::IMPOSSIBLE_PATH, field.key.clone(), message).with_help(help);
    Some(match fix {
        Some((span, replacement)) => warning.with_fix(span, replacement),
        None => warning,
    })
}

fn impossible(field: &SpannedField, key: &str, is_json: bool) -> Option<Impossible> {
    let segments: Vec<&str> = field.path.segments().collect();
    // In an expression `"0"` is a key that is meant; in JSON notation every key is in quotes.
    let is_quoted = |segment: &str| !is_json && key.contains(&format!("\"{segment}\""));
    let found = if is_json {
        other_notation(field, key)
    } else {
        root(field, key, &segments, is_quoted)
    };
    found
        .or_else(|| index(&segments, is_quoted))
        .or_else(|| length(field, &segments, is_quoted))
        .or_else(|| white_space(&segments))
}

/// A key of JSON notation with a step of another language.
// The expression notation has no such keys without quotes: there it is an error.
fn other_notation(field: &SpannedField, key: &str) -> Option<Impossible> {
    let text = field.path.to_string();
    // `cpu%` and `ok?` are names, although other languages have placeholders like them.
    let is_name = |text: &str| text.contains(['%', '?']);
    if is_name(&text.replace("?.", ".").replace("[?", "[")) {
        return None;
    }
    let found = ForeignPath::read(&text).filter(|found| found.path() != field.path)?;
    let first = text.split('.').next().unwrap_or_default();
    let (message, explanation) = if found.step == Step::Root {
        let message = format!("`{first}` is not a part of paths, which begin in the event");
        (message, "")
    } else {
        let message = format!("`{text}` is a path in the notation of another language");
        (message, found.step.explanation())
    };
    // The key may be only a part of the path: `{"a": {"b[*]": ["x"]}}`.
    let own = key.trim_matches('"');
    let fix = text.strip_suffix(own).and_then(|before| {
        let right = ForeignPath::read(own)?.path();
        let is_whole = format!("{before}{right}") == found.path().to_string();
        (is_whole && found.step <= Step::Elements)
            .then(|| (field.key.clone(), Json::from(right.to_string()).to_string()))
    });
    Some(Impossible {
        message,
        help: format!("write `{}`{explanation}", found.spell()),
        fix,
    })
}

/// A first key that stands for the event in other languages.
fn root(
    field: &SpannedField,
    key: &str,
    segments: &[&str],
    is_quoted: impl Fn(&str) -> bool,
) -> Option<Impossible> {
    let [first, rest @ ..] = segments else {
        return None;
    };
    if !is_root(first) || rest.is_empty() || is_quoted(first) {
        return None;
    }
    let rest = expression::path(&Path::from_keys(rest));
    let length = first.len() + ".".len();
    let start = field.key.start;
    Some(Impossible {
        message: format!("`{first}` is not a part of paths, which begin in the event"),
        help: format!("write `{rest}`"),
        fix: key
            .get(length..)
            .map(|_| (start..start + length, String::new())),
    })
}

/// A number as a key, which is an index in other languages.
fn index(segments: &[&str], is_quoted: impl Fn(&str) -> bool) -> Option<Impossible> {
    let is_index = |text: &str| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (at, segment) = segments
        .iter()
        .enumerate()
        .find(|(at, segment)| *at > 0 && is_index(segment) && !is_quoted(segment))?;
    let keys: Vec<&str> = [&segments[..at], &segments[at + 1..]].concat();
    Some(Impossible {
        message: format!("`{segment}` is a key here, not an index"),
        help: format!(
            "write `{}`{}",
            expression::path(&Path::from_keys(keys)),
            Step::Some.explanation()
        ),
        fix: None,
    })
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
        fix: None,
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
        fix: None,
    })
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
            (r#"{"$.a[*].b": [1]}"#, r#"{"a.b": [1]}"#),
            (r#"{"event['a']['b']": [1]}"#, r#"{"a.b": [1]}"#),
            (r#"{"/a/b": [1]}"#, r#"{"a.b": [1]}"#),
            (r#"{"a->b": [1]}"#, r#"{"a.b": [1]}"#),
            (r#"{"a?.b": [1]}"#, r#"{"a.b": [1]}"#),
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
        assert_eq!(
            fixed(r#"{"a.*.b": [1]}"#),
            format!("write `a.b`: {any}"),
            "`*` may mean every key of an object"
        );
        assert_eq!(fixed(r#"{"a": {"b[*]": [1]}}"#), r#"{"a": {"b": [1]}}"#);
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
            r#""a[0]" == 1"#,
            r#"".a" == 1"#,
            r#"a.length == "long""#,
            "event == 1",
            "$ == 1",
            "a.80 == 1",
            r#"{"cpu%": [1]}"#,
            r#"{"a": {"": [1]}}"#,
            r#"{"aws:tag/name": ["x"]}"#,
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
