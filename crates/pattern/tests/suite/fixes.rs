//! Fixes: what a text becomes when the fixes of its diagnostics are applied.

use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_diagnostic::Diagnostic;
use reflexarc_pattern::{Dialect, Pattern};

use crate::generate::nodes;

/// As often as `check --fix` repeats.
const ROUNDS: usize = 16;

/// The diagnostics of a text: its errors, or its warnings and hints.
fn findings(text: &str, dialect: Dialect) -> Vec<Diagnostic> {
    match Pattern::parse(text, dialect) {
        Ok(pattern) => pattern.warnings().to_vec(),
        Err(errors) => errors.into_diagnostics(),
    }
}

/// The text after the first fix, then the first of what remains, and so on; `None` if there is no
/// fix at the beginning.
fn fixed(text: &str, dialect: Dialect) -> Option<String> {
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
fn check(cases: &[(&str, Option<&str>)]) {
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
fn json_operators_of_other_languages() {
    check(&[
        (
            r#"{"a": [{"nin": ["x"]}]}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": [{"not": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": "x"}]}"#),
        ),
        (
            r#"{"a": [{"not": {"prefix": "x"}}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"$ne": 5}]}"#,
            Some(r#"{"a": [{"anything-but": 5}]}"#),
        ),
        (
            r#"{"a": [{"anything-but-prefix": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"not-suffix": ["x", "y"]}]}"#,
            Some(r#"{"a": [{"anything-but": [{"suffix": "x"}, {"suffix": "y"}]}]}"#),
        ),
        (
            r#"{"a": [{"anything-but-equals-ignore-case": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"doesNotContain": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"contains": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"ip-address-not-in-range": "10.0.0.0/8"}]}"#,
            Some(r#"{"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}"#),
        ),
        (
            r#"{"a": [{"not-exists": true}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"missing": true}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"missing": false}]}"#,
            Some(r#"{"a": [{"exists": true}]}"#),
        ),
        (
            r#"{"a": [{"$exists": false}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"icontains": "x"}]}"#,
            Some(r#"{"a": [{"contains": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"prefix-ignore-case": "x"}]}"#,
            Some(r#"{"a": [{"prefix": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"equalsIgnoreCase": "x"}]}"#,
            Some(r#"{"a": [{"equals-ignore-case": "x"}]}"#),
        ),
        (
            r#"{"a": [{"startsWith": "x"}]}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": [{"startsWith": "x", "endsWith": "y"}]}"#,
            Some(r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#),
        ),
        (
            r#"{"a": [{"anything-but": {"startsWith": "x"}}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (r#"{"a": [{"anything-but": {"not": "x"}}]}"#, None),
    ]);
}

#[test]
fn json_operators_with_other_arguments() {
    check(&[
        (r#"{"a": [{"equals": "x"}]}"#, Some(r#"{"a": ["x"]}"#)),
        (
            r#"{"a": [{"$in": ["x", 5]}, "z"]}"#,
            Some(r#"{"a": ["x", 5, "z"]}"#),
        ),
        (
            r#"{"a": [{">=": 7}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": [{"gt": 7}]}"#,
            Some(r#"{"a": [{"numeric": [">", 7]}]}"#),
        ),
        (
            r#"{"a": [{"$lt": 5, "$gte": 1}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 1, "<", 5]}]}"#),
        ),
        (
            r#"{"a": [{"prefix": ["x", "y"]}]}"#,
            Some(r#"{"a": [{"prefix": "x"}, {"prefix": "y"}]}"#),
        ),
        (
            r#"{"a": [{"cidr": ["10.0.0.0/8"]}]}"#,
            Some(r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#),
        ),
        (r#"{"a": [{"contains": ["x", "y"]}]}"#, None),
        (r#"{"a": [{"$and": [{"prefix": ["x", "y"]}]}]}"#, None),
        (r#"{"a": [{"regex": "x"}]}"#, None),
        (
            r#"{"a": [{"regex": "^x.*"}]}"#,
            Some(r#"{"a": [{"regexp": "^x.*"}]}"#),
        ),
        (r#"{"a": [{"like": "x%"}]}"#, None),
        (
            r#"{"a": [{"like": "x*"}]}"#,
            Some(r#"{"a": [{"wildcard": "x*"}]}"#),
        ),
        (
            r#"{"a": [{"between": [1, 5]}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 1, "<=", 5]}]}"#),
        ),
        (r#"{"a": [{"exactly": 5}]}"#, None),
        (
            r#"{"a": [{"Prefix": "x"}]}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": [{"anythingBut": ["x"]}]}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (r#"{"a": [{"numeric": ["<", 1, ">", 5]}]}"#, None),
        (
            r#"{"a": [{"numeric": ["<", 5, ">", 1]}]}"#,
            Some(r#"{"a": [{"numeric": [">", 1, "<", 5]}]}"#),
        ),
        (r#"{a\b: ["x"]}"#, None),
    ]);
}

#[test]
fn connectives_of_other_languages() {
    check(&[
        (
            r#"{"$nor": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$not": {"$or": [{"a": [1]}, {"b": [2]}]}}"#),
        ),
        (r#"{"$nor": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (
            r#"{"or": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"$Or": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"anyOf": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"allOf": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$and": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (r#"{"not": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (r#"{"not": [{"a": [1]}, {"b": [2]}]}"#, None),
        (r#"{"$not": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (r#"{"$not": [{"a": [1]}, {"b": [2]}]}"#, None),
        (
            r#"{"not": {"a": ["x"]}}"#,
            Some(r#"{"$not": {"a": ["x"]}}"#),
        ),
        (r#"{"or": {"a": ["x"], "b": ["y"]}}"#, None),
        (r#"{"xor": [{"a": [1]}, {"b": [2]}]}"#, None),
        (
            r#"{"all": [{"prefxi": "x"}]}"#,
            Some(r#"{"all": [{"prefix": "x"}]}"#),
        ),
    ]);
}

#[test]
fn operators_never_become_keys() {
    check(&[
        (
            r#"{"severity": {"numeric": [">=", 7]}}"#,
            Some(r#"{"severity": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {"exists": [true]}}"#,
            Some(r#"{"a": [{"exists": true}]}"#),
        ),
        (
            r#"{"a": {"exists": false}}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": {"anything-but": ["x"]}}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": {"anything-but": {"prefix": ["x"]}}}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": {"prefix": "x"}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"prefix": ["x"]}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"b": {"prefix": ["x", "y"]}}}"#,
            Some(r#"{"a": {"b": [{"prefix": "x"}, {"prefix": "y"}]}}"#),
        ),
        (
            r#"{"a": {"prefix": ["x"], "suffix": ["y"]}}"#,
            Some(r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#),
        ),
        (
            r#"{"a": {"prefix": {"equals-ignore-case": "x"}}}"#,
            Some(r#"{"a": [{"prefix": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": {"cidr": "10.0.0.0/8"}}"#,
            Some(r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#),
        ),
        (
            r#"{"a": {"wildcard": ["x*"]}}"#,
            Some(r#"{"a": [{"wildcard": "x*"}]}"#),
        ),
        (r#"{"a": {"exactly": ["x"]}}"#, Some(r#"{"a": ["x"]}"#)),
        (
            r#"{"a": {"equals-ignore-case": ["x"]}}"#,
            Some(r#"{"a": [{"equals-ignore-case": "x"}]}"#),
        ),
        (
            r#"{"a": {"$gte": 7}}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {">=": [7]}}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {"$in": ["x", "y"]}}"#,
            Some(r#"{"a": ["x", "y"]}"#),
        ),
        (
            r#"{"a": {"not": ["x"]}}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": {"not": {"prefix": ["x"]}}}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": {"startsWith": ["x"]}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"or": [{"prefix": "x"}, {"suffix": "y"}]}}"#,
            Some(r#"{"a": [{"prefix": "x"}, {"suffix": "y"}]}"#),
        ),
        (r#"{"prefix": "x"}"#, None),
        (r#"{"a": "x"}"#, Some(r#"{"a": ["x"]}"#)),
        (r#"{"a": {"contains": ["x", "y"]}}"#, None),
    ]);
}

#[test]
fn fields_that_are_named_like_operators_cause_no_warning() {
    for text in [
        r#"{"prefix": ["x"]}"#,
        r#"{"a": {"prefix": ["x"], "name": ["y"]}}"#,
        r#"{"a": {"prefix": [{"suffix": "x"}]}}"#,
        r#"{"a": {"contains": [{"exists": true}]}}"#,
        r#"{"a": {"numeric": ["x"]}}"#,
        r#"{"a": {"exists": ["yes"]}}"#,
        r#"{"a": {"prefix": [5]}}"#,
        r#"{"a.prefix": ["x"]}"#,
        r#"{"in": [1], "or": ["x"], "not": ["y"]}"#,
        r#"{"a": {"in": ["x"]}}"#,
        r#"{"filter": ["x"], "pattern": [1]}"#,
        r#"{"filter": {"a": ["x"]}, "source": ["y"]}"#,
    ] {
        assert_eq!(findings(text, Dialect::Reflexarc), [], "{text}");
    }
}

#[test]
fn warnings_name_operators_that_are_keys() {
    for text in [
        r#"{"anything-but": ["x"]}"#,
        r#"{"numeric": [">=", 7]}"#,
        r#"{"equals-ignore-case": ["x"]}"#,
        r#"{"filter": {"a": ["x"]}}"#,
        r#"{"a": {"contains": ["x", "y"]}}"#,
    ] {
        let found = findings(text, Dialect::Reflexarc);
        assert!(
            !found.is_empty() && found[0].fix.is_none(),
            "{text} {found:?}"
        );
        assert!(Pattern::parse(text, Dialect::Reflexarc).is_ok(), "{text}");
    }
}

#[test]
fn patterns_inside_requests_are_taken_out() {
    check(&[
        (
            r#"{"EventPattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"EventPattern": "{\"source\": [\"x\"]}"}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Name": "r", "EventPattern": {"a": ["x"]}, "State": "ENABLED"}"#,
            Some(r#"{"a": ["x"]}"#),
        ),
        (
            r#"{"FilterPattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Pattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"filter": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"id": "r1", "pattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"a": ["x"]}}}"#,
            Some(r#"{"a": ["x"]}"#),
        ),
        (r#""{\"source\": [\"x\"]}""#, Some(r#"{"source": ["x"]}"#)),
        (r#"'{"source": ["x"]}'"#, Some(r#"{"source": ["x"]}"#)),
        (
            r#"{"detailType": ["x"]}"#,
            Some(r#"{"detail-type": ["x"]}"#),
        ),
        (
            r#"{"detail_type": ["x"]}"#,
            Some(r#"{"detail-type": ["x"]}"#),
        ),
        (
            r#"{"Source": ["x"], "DetailType": ["y"]}"#,
            Some(r#"{"source": ["x"], "detail-type": ["y"]}"#),
        ),
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

/// Names of operators elsewhere, and ours.
const NAMES: [(&[&str], &str); 6] = [
    (&["contain", "contains", "include", "includes"], "contains"),
    (
        &["start with", "starts with", "begin with", "begins with"],
        "starts with",
    ),
    (&["end with", "ends with"], "ends with"),
    (&["equal", "equals", "equal to"], "=="),
    (&["match", "matches"], "matches"),
    (&["like", "glob"], "like"),
];

/// The words of an operator in the style of a language.
fn styled(words: &str, style: u8) -> String {
    match style {
        0 => words.to_owned(),
        1 => words.replace(' ', "_"),
        2 => words.replace(' ', ""),
        3 => words.to_uppercase(),
        _ => {
            let mut parts = words.split(' ');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |camel, part| {
                let (head, tail) = part.split_at(1);
                format!("{camel}{}{tail}", head.to_uppercase())
            })
        }
    }
}

/// A part of a printed pattern that is an operator or a keyword, outside of strings and paths.
fn operator_words(text: &str, is_json: bool) -> Vec<std::ops::Range<usize>> {
    let operators = [
        "prefix",
        "suffix",
        "wildcard",
        "regexp",
        "equals-ignore-case",
        "numeric",
        "cidr",
        "anything-but",
        "starts with",
        "ends with",
        "contains",
        "like",
        "matches",
        "in cidr",
        "exists",
        "is missing",
        "ignoring case",
        "not",
        "and",
        "or",
    ];
    let mut found = Vec::new();
    let mut in_string = false;
    for (at, character) in text.char_indices() {
        // The patterns that are looked at have no escapes, so a quote starts or ends a string.
        in_string ^= character == '"';
        let wants = |operator: &str| {
            if is_json {
                let key = format!("\"{operator}\": ");
                character == '"' && text[at..].starts_with(&key) && text[..at].ends_with('{')
            } else {
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '.');
                !in_string
                    && text[at..].starts_with(operator)
                    && !is_word(text[..at].chars().next_back())
                    && !is_word(text[at + operator.len()..].chars().next())
            }
        };
        if let Some(operator) = operators.into_iter().find(|operator| wants(operator)) {
            let start = at + usize::from(is_json);
            found.push(start..start + operator.len());
        }
    }
    found
}

/// The word with one character left out, added, replaced or swapped with the next one.
fn edited(word: &str, edit: u8, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = at % letters.len();
    match edit {
        0 => {
            letters.remove(at);
        }
        1 => letters[at] = letter,
        2 => letters.insert(at, letter),
        _ if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => letters.push(letter),
    }
    letters.into_iter().collect()
}

proptest! {
    /// Whatever another language calls an operator: the fix means the same, or there is none.
    #[test]
    fn operators_of_other_languages_keep_their_meaning(
        negation in select(&["", "not ", "does not ", "doesnt ", "is not ", "never ", "!"]),
        (names, ours) in select(&NAMES[..]),
        name in any::<proptest::sample::Index>(),
        case in select(&["", " ignore case", " case insensitive", "i"]),
        style in 0..5u8,
    ) {
        let name = names[name.index(names.len())];
        let name = match case {
            "i" => format!("i{}", styled(name, 2)),
            case => styled(&format!("{name}{case}"), style),
        };
        let is_negated = !negation.is_empty();
        let is_joined = style == 1 || style == 2;
        let operator = match (negation, is_joined) {
            ("!", _) | (_, false) => format!("{negation}{name}"),
            (negation, true) => format!("{}{name}", negation.trim_end().replace(' ', "")),
        };
        let text = format!("a {operator} \"Xy\"");
        let original = match (ours, is_negated) {
            ("==", true) => "a != \"Xy\"".to_owned(),
            (ours, true) => format!("a not {ours} \"Xy\""),
            (ours, false) => format!("a {ours} \"Xy\""),
        };
        let ignoring = if case.is_empty() { "" } else { " ignoring case" };
        let original: Pattern = format!("{original}{ignoring}").parse().unwrap();
        if let Some(fixed) = fixed(&text, Dialect::Reflexarc) {
            let parsed = fixed.parse::<Pattern>();
            prop_assert!(parsed.is_ok(), "{} became {}", text, fixed);
            let node = parsed.unwrap();
            prop_assert_eq!(node.node(), original.node(), "{} became {}", text, fixed);
        }
    }

    /// A slip in an operator or keyword: the fixes give the original back, or there are none.
    #[test]
    fn misspelt_operators_become_the_original_or_stay(
        node in nodes(),
        is_json: bool,
        word in any::<proptest::sample::Index>(),
        edit in 0..4u8,
        at in 0..100usize,
        letter in select(&['a', 'e', 'i', 'n', 'o', 's', 't', 'u', 'x', ' ', '-', '_']),
    ) {
        let original = Pattern::from_node(node);
        let text = if is_json { original.to_json() } else { original.to_expression() };
        let words = operator_words(&text, is_json);
        if words.is_empty() || text.contains('\\') {
            return Ok(());
        }
        let word = words[word.index(words.len())].clone();
        let mut misspelt = text.clone();
        let other = edited(&text[word.clone()], edit, at, letter);
        // `icontains` and `nlike` are names of their own.
        let start = other.strip_suffix(&text[word.clone()]);
        let is_name = ["i", "n"].contains(&start.unwrap_or_default());
        if is_name {
            return Ok(());
        }
        misspelt.replace_range(word, &other);
        // Another valid filter, such as one with `or` for `nor`, is not known to be misspelt.
        if Pattern::parse(&misspelt, Dialect::Reflexarc).is_ok() {
            return Ok(());
        }
        if let Some(fixed) = fixed(&misspelt, Dialect::Reflexarc) {
            match fixed.parse::<Pattern>() {
                Ok(parsed) => prop_assert_eq!(
                    parsed.node(), original.node(), "{} became {}", misspelt, fixed
                ),
                Err(error) => prop_assert!(
                    false, "{} became {}, which is rejected: {}", misspelt, fixed, error
                ),
            }
        }
    }
}
