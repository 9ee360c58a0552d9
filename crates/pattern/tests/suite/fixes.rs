//! Fixes: what a text becomes when the fixes of its diagnostics are applied.

use reflexarc_diagnostic::Diagnostic;
use reflexarc_pattern::{Dialect, Pattern};

/// As often as `check --fix` repeats.
const ROUNDS: usize = 16;

/// The diagnostics of a text: its errors, or its warnings and hints.
pub(crate) fn findings(text: &str, dialect: Dialect) -> Vec<Diagnostic> {
    match Pattern::parse(text, dialect) {
        Ok(pattern) => pattern.warnings().to_vec(),
        Err(errors) => errors.into_diagnostics(),
    }
}

/// The text after the first fix, then the first of what remains, and so on; `None` if there is no
/// fix at the beginning.
pub(crate) fn fixed(text: &str, dialect: Dialect) -> Option<String> {
    let mut fixed = text.to_owned();
    for _ in 0..ROUNDS {
        let fix = findings(&fixed, dialect)
            .into_iter()
            .find_map(|found| found.fix);
        let Some(fix) = fix else { break };
        fixed.replace_range(fix.span, &fix.replacement);
    }
    (fixed != text).then_some(fixed)
}

/// Asserts what each text becomes: an accepted filter, or unchanged where there is no fix.
#[track_caller]
pub(crate) fn check(cases: &[(&str, Option<&str>)]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = fixed(text, Dialect::Reflexarc);
        if found.as_deref() != *expected {
            wrong.push(format!(
                "{text}\n  became   {found:?}\n  expected {expected:?}"
            ));
        } else if let Some(found) = found
            && let Err(error) = found.parse::<Pattern>()
        {
            wrong.push(format!("{text}\n  became {found}\n  {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn negations_stay_negations() {
    check(&[
        (r#"a nin ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a notin ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a not_in ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a NOT IN ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a !in ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a is not in ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a notn in ["x"]"#, None),
        (r#"a noi starts with "x""#, None),
        (r#"a -n cidr "10.0.0.0/24""#, None),
        (r#"a is none of ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a not one of ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a is not one of ["x"]"#, Some(r#"a not in ["x"]"#)),
        (r#"a is not "x""#, Some(r#"a != "x""#)),
        (r#"a isnt "x""#, Some(r#"a != "x""#)),
        (r#"a ne "x""#, Some(r#"a != "x""#)),
        (r#"a <> "x""#, Some(r#"a != "x""#)),
        (r#"a does not equal "x""#, Some(r#"a != "x""#)),
        (r#"a not equals "x""#, Some(r#"a not == "x""#)),
        (r#"a does not contain "x""#, Some(r#"a not contains "x""#)),
        (r#"a doesnt contain "x""#, Some(r#"a not contains "x""#)),
        (r#"a !contains "x""#, Some(r#"a not contains "x""#)),
        (r#"a notContains "x""#, Some(r#"a not contains "x""#)),
        (r#"a excludes "x""#, Some(r#"a not contains "x""#)),
        (
            r#"a does not start with "x""#,
            Some(r#"a not starts with "x""#),
        ),
        (r#"a !startsWith "x""#, Some(r#"a not starts with "x""#)),
        (r#"a not_like "x*""#, Some(r#"a not like "x*""#)),
        (r#"a unlike "x*""#, Some(r#"a not like "x*""#)),
        (r#"a !~ "^x.*""#, Some(r#"a not matches "^x.*""#)),
        (r#"a !~ "x""#, None),
        (
            r#"a not cidr "10.0.0.0/8""#,
            Some(r#"a not in cidr "10.0.0.0/8""#),
        ),
        (
            r#"a not_in_cidr "10.0.0.0/8""#,
            Some(r#"a not in cidr "10.0.0.0/8""#),
        ),
        (
            r#"a not in "10.0.0.0/8""#,
            Some(r#"a not in cidr "10.0.0.0/8""#),
        ),
        ("a not exists", Some("a is missing")),
        ("a !exists", Some("a is missing")),
        ("a does not exist", Some("a is missing")),
        ("a not_exists", Some("a is missing")),
        ("a is not present", Some("a is missing")),
        ("a exists false", Some("a is missing")),
        ("a is missing false", Some("a exists")),
        ("a exists true", Some("a exists")),
        ("a is not missing", Some("a exists")),
        ("a is not null", Some("a != null")),
        ("a is not defined", Some("a is missing")),
        (r#"a mismatches "x""#, None),
        ("a == 1 nor b == 2", None),
        ("a == 1 xor b == 2", None),
        ("a == 1 nand b == 2", None),
        ("a == 1 unless b == 2", Some("a == 1 and not b == 2")),
        ("a == 1 unless b == 2 or c == 3", None),
        ("a == 1 && !(b == 2)", Some("a == 1 and not (b == 2)")),
        ("a==1&&b==2||c==3", Some("a==1 and b==2 or c==3")),
        ("!a exists", Some("not a exists")),
        (r#"a!="x"&&!(b=="y")"#, Some(r#"a!="x" and not (b=="y")"#)),
    ]);
}

#[test]
fn case_is_ignored_where_it_was() {
    check(&[
        (
            r#"a icontains "x""#,
            Some(r#"a contains "x" ignoring case"#),
        ),
        (
            r#"a not icontains "x""#,
            Some(r#"a not contains "x" ignoring case"#),
        ),
        (
            r#"a istartswith "x""#,
            Some(r#"a starts with "x" ignoring case"#),
        ),
        (r#"a iequals "x""#, Some(r#"a == "x" ignoring case"#)),
        (r#"a ilike "x*""#, Some(r#"a like "x*" ignoring case"#)),
        (r#"a ilike "x%""#, None),
        (
            r#"a equalsIgnoreCase "x""#,
            Some(r#"a == "x" ignoring case"#),
        ),
        (
            r#"a contains_ci "x""#,
            Some(r#"a contains "x" ignoring case"#),
        ),
        (r#"a ~* "^x$""#, Some(r#"a matches "^x$" ignoring case"#)),
        (
            r#"a !~* "^x$""#,
            Some(r#"a not matches "^x$" ignoring case"#),
        ),
        (r#"a iin ["x", "y"]"#, None),
        (r#"a ieq 5"#, None),
        (r#"a == "x" ignore case"#, Some(r#"a == "x" ignoring case"#)),
        (
            r#"a == "x" case insensitive"#,
            Some(r#"a == "x" ignoring case"#),
        ),
        (r#"a == "x" case sensitive"#, None),
        (r#"a == "x" honoring case"#, None),
        (r#"lower(a) == "x""#, Some(r#"a == "x" ignoring case"#)),
        (r#"lower(a) == "X""#, None),
        (
            r#"a.toLowerCase() != "x" or b == 1"#,
            Some(r#"a != "x" ignoring case or b == 1"#),
        ),
    ]);
}

#[test]
fn all_is_not_any() {
    check(&[
        (
            r#"a contains all ["x", "y"]"#,
            Some(r#"a contains "x" and a contains "y""#),
        ),
        (
            r#"not a contains all ["x", "y"]"#,
            Some(r#"not (a contains "x" and a contains "y")"#),
        ),
        (
            r#"a.b containsAll ["x", "y"] or c == 1"#,
            Some(r#"a.b contains "x" and a.b contains "y" or c == 1"#),
        ),
        (r#"a has all ["x"]"#, Some(r#"a contains "x""#)),
        (r#"a (contains all ["x", "y"] or == 1)"#, None),
        (r#"a not contains all ["x", "y"]"#, None),
        (r#"a all in ["x", "y"]"#, None),
        (
            r#"a contains any ["x", "y"]"#,
            Some(r#"a contains ["x", "y"]"#),
        ),
        (
            r#"a contains none of ["x", "y"]"#,
            Some(r#"a not contains ["x", "y"]"#),
        ),
        (r#"a includes ["x", "y"]"#, None),
        (
            r#"a starts with any of ["x", "y"]"#,
            Some(r#"a starts with ["x", "y"]"#),
        ),
        (r#"a is one of ["x", "y"]"#, Some(r#"a in ["x", "y"]"#)),
        (r#"a any of ["x", "y"]"#, Some(r#"a in ["x", "y"]"#)),
        (r#"a == ["x", "y"]"#, Some(r#"a in ["x", "y"]"#)),
        (r#"a==["x", "y"]"#, Some(r#"a in ["x", "y"]"#)),
        (r#"a in "x""#, Some(r#"a in ["x"]"#)),
        (r#"a in "x,y""#, None),
    ]);
}

#[test]
fn a_value_stays_a_value_and_a_path_a_path() {
    check(&[
        (r#""x" in a"#, Some(r#"a == "x""#)),
        (
            r#""x" in content.tags and b == 1"#,
            Some(r#"content.tags == "x" and b == 1"#),
        ),
        (r#""x" not in a"#, Some(r#"not (a == "x")"#)),
        (r#""x" == a"#, Some(r#"a == "x""#)),
        (r#""x" != a.b"#, Some(r#"a.b != "x""#)),
        ("null == a", Some("a == null")),
        (r#""odd key" == a"#, None),
        ("a == b", None),
        ("a == b.c", None),
        ("a.x == a.y", None),
        ("a starts with b", None),
        ("a == failed", None),
        ("level == WARN", Some(r#"level == "WARN""#)),
        ("id == eni-123", Some(r#"id == "eni-123""#)),
        ("ip == 10.0.0.1", Some(r#"ip == "10.0.0.1""#)),
        (
            "a in [failed, success]",
            Some(r#"a in ["failed", "success"]"#),
        ),
        ("has(a)", Some("a exists")),
        ("exists(a.b)", Some("a.b exists")),
        ("not exists(a) and b == 1", Some("not a exists and b == 1")),
        ("exists a", Some("a exists")),
        ("exists a.b or has c", Some("a.b exists or c exists")),
        ("missing(a)", Some("a is missing")),
        ("isNull(a)", Some("a == null")),
        (r#"contains(a, "x")"#, Some(r#"a contains "x""#)),
        (
            r#"startsWith(a.b, "x") and c == 1"#,
            Some(r#"a.b starts with "x" and c == 1"#),
        ),
        (r#"a.b.endsWith("x")"#, Some(r#"a.b ends with "x""#)),
        (r#"contains(a, ["x", "y"])"#, None),
        (
            r#"icontains(a, "x")"#,
            Some(r#"a contains "x" ignoring case"#),
        ),
        (r#"regex(a, "x")"#, None),
        ("len(a) > 2", None),
        ("in == 1", Some(r#""in" == 1"#)),
        (r#"starts with "x""#, None),
        ("is missing", None),
        ("exists", None),
    ]);
}

#[test]
fn symbols_and_words_of_other_languages() {
    check(&[
        (r#"a = "x""#, Some(r#"a == "x""#)),
        (r#"a="x""#, Some(r#"a=="x""#)),
        (r#"a === "x""#, Some(r#"a == "x""#)),
        ("a => 5", Some("a >= 5")),
        ("a gte 5", Some("a >= 5")),
        ("a greater than 5", Some("a > 5")),
        ("a is at most 5", Some("a <= 5")),
        (r#"a ^= "x""#, Some(r#"a starts with "x""#)),
        (r#"a^="x""#, Some(r#"a starts with "x""#)),
        (r#"a *= "x""#, Some(r#"a contains "x""#)),
        (r#"a %= "x""#, None),
        (r#"a =~ "x""#, None),
        (r#"a =~ "^eni-.*$""#, Some(r#"a matches "^eni-.*$""#)),
        (r#"a LIKE "x*""#, Some(r#"a like "x*""#)),
        (r#"a LIKE "x%""#, None),
        ("a contains 5", Some(r#"a contains "5""#)),
        ("a contains null", None),
        (r#"a strats with "x""#, Some(r#"a starts with "x""#)),
        (r#"a startsWith eni-1"#, Some(r#"a starts with "eni-1""#)),
        (r#"a lkie "x""#, Some(r#"a like "x""#)),
        ("a present", Some("a exists")),
        ("a adn b", None),
        ("a == 1 AND b == 2", Some("a == 1 and b == 2")),
        ("a == 1 adn b == 2", Some("a == 1 and b == 2")),
        ("a == True", Some("a == true")),
        ("a == None", Some("a == null")),
        ("a == +05", Some("a == 5")),
        (r#"a == 'it\'s "x"'"#, Some(r#"a == "it's \"x\"""#)),
        (r#"a == 'x\"y'"#, Some(r#"a == "x\"y""#)),
        (r#"a == 'x\d'"#, None),
    ]);
}

#[test]
fn brackets_are_added_where_only_one_place_fits() {
    check(&[
        (r#"{"a": ["x""#, Some(r#"{"a": ["x"]}"#)),
        (
            r#"{"a": [{"prefix": "x""#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (r#"a in ["x", "y""#, Some(r#"a in ["x", "y"]"#)),
        (r#"a in ["x", "y" and b == 1"#, None),
        ("(a == 1 or b == 2", Some("(a == 1 or b == 2)")),
        ("(a == 1 or b == 2 and c == 3", None),
        ("a == 1 or b == 2 and c == 3)", None),
        ("a == 1)", Some("a == 1")),
        ("a == 1) and b == 2", None),
        (r#"{"a": ["x"]}}"#, Some(r#"{"a": ["x"]}"#)),
        ("a == (1 # one", None),
        (r#"{"a": ["x"}"#, None),
    ]);
}

#[test]
fn strings_that_are_no_patterns_are_errors() {
    for text in ["\"", "\"x\" a\u{7ff}", "\"{a: [1]} ", "'{", "'", "\"{\\\""] {
        assert!(text.parse::<Pattern>().is_err(), "{text}");
    }
}
