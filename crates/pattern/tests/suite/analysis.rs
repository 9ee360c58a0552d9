//! Warnings about conditions that never or always match, and hints about superfluous ones: which
//! patterns get them, and that they are true.

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_pattern::{Dialect, Path, Pattern, PatternLimits};

/// The codes of the warnings about a pattern.
fn warnings(text: &str) -> Vec<Code> {
    let pattern: Pattern = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    codes(pattern.warnings())
}

/// The codes of the hints about superfluous conditions.
fn superfluous(text: &str) -> usize {
    let pattern: Pattern = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = pattern.check(Dialect::Reflexarc);
    let hints = found
        .iter()
        .filter(|found| found.severity == Severity::Hint);
    hints
        .filter(|found| found.code == Code::SUPERFLUOUS)
        .count()
}

fn codes(found: &[Diagnostic]) -> Vec<Code> {
    found.iter().map(|found| found.code).collect()
}

#[track_caller]
fn assert_all(texts: &[&str], expected: &[Code]) {
    let wrong: Vec<_> = texts
        .iter()
        .map(|text| (text, warnings(text)))
        .filter(|(_, found)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn conditions_on_one_value_exclude_each_other() {
    assert_all(
        &[
            r#"a (> 5 and < 3)"#,
            r#"a (>= 5 and < 5)"#,
            r#"a (== 5 and > 5)"#,
            r#"a (== 5 and == 6)"#,
            r#"a (== 5 and != 5)"#,
            r#"a (== 5 and not > 4)"#,
            r#"a (> 5 and not > 4)"#,
            r#"a (> 0 and not in [1, 2] and >= 1 and <= 2 and not (> 1 and < 2))"#,
            r#"a (== "x" and == "y")"#,
            r#"a (== "x" and == 5)"#,
            r#"a (== true and == false)"#,
            r#"a (== null and exists and == "null")"#,
            r#"a (== "x" and != "x")"#,
            r#"a (== "x" and not starts with "x")"#,
            r#"a (== "x" and starts with "y")"#,
            r#"a (== "x" and ends with "y")"#,
            r#"a (== "x" and contains "y")"#,
            r#"a (== "x" and like "y*")"#,
            r#"a (== "x" and matches "y.*")"#,
            r#"a (== "x" and == "Y" ignoring case)"#,
            r#"a (== "x" and in cidr "10.0.0.0/8")"#,
            r#"a (starts with "x" and starts with "y")"#,
            r#"a (starts with "x" and not starts with "x")"#,
            r#"a (not starts with "x" and starts with "xy")"#,
            r#"a (starts with "x" and like "y*")"#,
            r#"a (starts with "xy" and not like "x*")"#,
            r#"a (starts with "xy" and not contains "y")"#,
            r#"a (starts with "x" and matches "[0-9]+")"#,
            r#"a (starts with "ab" ignoring case and starts with "XY")"#,
            r#"a (ends with ".jpg" and ends with ".png")"#,
            r#"a (ends with "x" and like "*y")"#,
            r#"a (ends with "xy" and not ends with "y")"#,
            r#"a (ends with "x" and not contains "x")"#,
            r#"a (contains "xy" and not contains "y")"#,
            r#"a (like "x*y" and not starts with "x")"#,
            r#"a (like "a*" and like "b*")"#,
            r#"a (like "*a*b*" and not contains "b")"#,
            r#"a (starts with "x" and ends with "y" and not like "x*y")"#,
            r#"a (matches "[a-c]+" and contains "d")"#,
            r#"a (matches "\\bx\\b" and not matches "\\bx\\b")"#,
            r#"a (starts with "ß" ignoring case and starts with "ss")"#,
            r#"a (in cidr "10.0.0.0/8" and in cidr "11.0.0.0/8")"#,
            r#"a (in cidr "10.0.0.0/8" and in cidr "2001:db8::/32")"#,
            r#"a (in cidr "10.0.0.0/8" and == "11.0.0.1")"#,
            r#"a (in cidr "10.0.0.0/8" and == "x")"#,
            r#"a (in cidr "10.0.0.0/8" and > 5)"#,
            r#"a (in cidr "10.1.0.0/16" and not in cidr "10.0.0.0/8")"#,
            r#"a (in cidr "10.0.0.0/8" and starts with "11.")"#,
            r#"a (in cidr "10.0.0.0/8" and starts with "x")"#,
            r#"a (in cidr "10.0.0.0/31" and not in cidr "10.0.0.0/32" and not in cidr "10.0.0.1")"#,
            r#"a (in cidr "0.0.0.0/0" and matches "[g-z]+")"#,
            r#"a (== "10.0.0.1" and starts with "x")"#,
            r#"a (== "2001:db8::1" and == "2001:db8::2")"#,
            r#"a (exists and is missing)"#,
            r#"{"a": [{"prefix": "x", "anything-but": {"prefix": "x"}}]}"#,
            r#"{"a": [{"cidr": "10.0.0.0/8", "anything-but": {"cidr": "10.0.0.0/8"}}]}"#,
            r#"{"a": [{"$and": [{"wildcard": "x*"}, {"wildcard": "y*"}]}]}"#,
            r#"{"a": [{"numeric": [">", 5], "equals-ignore-case": "x"}]}"#,
        ],
        &[Code::NEVER_MATCHES],
    );
}

#[test]
fn conditions_on_fields_exclude_each_other() {
    assert_all(
        &[
            "a == 1 and not (a == 1)",
            "not (a exists) and a == 1",
            "a is missing and a == 1",
            "a > 5 and not (a exists)",
            "a > 5 and a is missing",
            r#"a == "x" and not (a starts with "x")"#,
            r#"a in ["x", "xy"] and not (a starts with "x")"#,
            r#"a != "x" and not (a exists)"#,
            r#"not (a != "x") and a == "y""#,
            "a == 7 and not (a > 5 or a < 0)",
            "a > 5 and not (a > 3)",
            r#"a in cidr "10.1.0.0/16" and not (a in cidr "10.0.0.0/8")"#,
            r#"a == "10.0.0.1" and not (a in cidr "10.0.0.0/8")"#,
            r#"a == "::ffff:10.0.0.1" and not (a == "10.0.0.1")"#,
            "not (a exists) and not (a is missing)",
            "(a == 1 or b == 1) and not (a == 1) and not (b == 1)",
            "(a == 1 or b == 1) and not (a == 1 or b == 1)",
            "a == 1 and b == 2 and not (a == 1 and b == 2)",
            "a == 1 and b == 2 and not (b in [2, 3] and a exists)",
            "(a == 1 or b == 1) and not (a == 1) and b == 2 and not (b == 1)",
            "a.b == 1 and a.c == 2 and not (a.b == 1 and a.c == 2)",
            "a == 1 and b == 2 and not (a == 1 and not (b == 3)) and not (b == 3)",
            "(a == 1 and b == 2) and c == 3 and not (a == 1)",
            "not (not (a == 1)) and not (a == 1)",
            "not (not (a == 1)) and a is missing",
            "not (a == 1 or b == 2) and (a == 1 or b == 2)",
            r#"{"a": [{"exists": true}], "$not": {"a": [{"exists": true}]}}"#,
            r#"{"a": ["x"], "$and": [{"$not": {"a": [{"prefix": "x"}]}}]}"#,
            r#"{"a": [{"exists": false}], "$and": [{"a": ["x"]}]}"#,
            r#"{"$and": [{"a": [1], "b": [2]}, {"$not": {"a": [1], "b": [2]}}]}"#,
        ],
        &[Code::NEVER_MATCHES],
    );
}

#[test]
fn alternatives_that_other_conditions_exclude_are_found() {
    assert_all(
        &[
            "a is missing and (a == 1 or b == 2)",
            "not (a exists) and (b == 2 or a == 1 and b == 3)",
            "(a == 1 or b == 1) and not (a == 1)",
            r#"not (a == "x") and a in ["x", "y"]"#,
            "b == 1 or a (> 5 and < 3)",
            "b == 1 or a == 1 and not (a == 1)",
            r#"a (== "x" and (ends with "x" or == "y"))"#,
            r#"{"a": ["q", {"prefix": "x", "equals-ignore-case": "y"}]}"#,
        ],
        &[Code::NEVER_MATCHES],
    );
}

#[test]
fn alternatives_cover_every_event() {
    assert_all(
        &[
            "a exists or a is missing",
            "a (exists or is missing)",
            r#"a (== "x" or != "x" or is missing)"#,
            r#"{"a": [{"exists": true}, {"exists": false}]}"#,
            r#"{"a": [{"anything-but": ["x"]}, {"anything-but": ["y"]}, {"exists": false}]}"#,
            r#"{"$or": [{"a": ["x"]}, {"$not": {"a": ["x"]}}]}"#,
            "a == 1 or not (a == 1)",
            "not (a == 1) or a == 1",
            "not (a == 1) or a exists",
            r#"not (a == "xy") or a starts with "x""#,
            "a is missing or b == 1 or a exists",
            "not (a == 1 or not (a == 1))",
            "a == 1 or b == 2 or not (a == 1 or b == 2)",
            "a == 1 or b == 2 or not (a == 1 and b == 2)",
            "not (a == 1) or not (b == 2) or (a == 1 and b == 2)",
            "not (a == 1 and b == 2) or a == 1",
            r#"not (a in cidr "10.1.0.0/16") or a in cidr "10.0.0.0/8""#,
        ],
        &[Code::ALWAYS_MATCHES],
    );
}

#[test]
fn alternatives_cover_every_value() {
    assert_all(
        &[
            r#"a (!= "x" or != "y")"#,
            r#"a != "x" or a != "y""#,
            r#"{"a": [{"anything-but": ["x"]}, {"anything-but": ["y"]}]}"#,
            r#"{"a": ["x", {"anything-but": "x"}]}"#,
            r#"{"a": ["x", "y", {"anything-but": ["x", "y"]}]}"#,
            r#"{"a": [{"prefix": "xy"}, {"anything-but": {"prefix": "xyz"}}, {"prefix": "xyz"}]}"#,
            r#"{"a": [null, {"anything-but": null}]}"#,
            r#"{"a": [{"exists": true}, "x"]}"#,
            r#"a == "x" or a exists"#,
            r#"a exists or a == "x""#,
            r#"a exists or b == 1 or a == "x""#,
            r#"a (starts with "x" or not starts with "xy")"#,
            r#"a (not (== "x" and starts with "y"))"#,
            r#"a (not in cidr "10.0.0.0/8" or not in cidr "11.0.0.0/8")"#,
            r#"a (not > 5 or > 3)"#,
            r#"a (not > 5 or not < 3)"#,
            r#"a (> 5 or <= 5)"#,
            r#"a > 5 or a <= 5"#,
            r#"a > 5 or a < 5 or a == 5"#,
            r#"{"a": [{"numeric": [">", 5]}, {"numeric": ["<=", 5]}]}"#,
            r#"a != 1 or a != 2"#,
            r#"a (not ends with "x" or not like "*y")"#,
            r#"b == 1 and (a != "x" or a != "y")"#,
            r#"not (a != "x" or a != "y")"#,
        ],
        &[Code::ALWAYS_MATCHES],
    );
}

#[test]
fn conditions_that_some_event_decides_have_no_warning() {
    assert_all(
        &[
            r#"a == "x" and a == "y""#,
            r#"a == "x" and a != "x""#,
            r#"a > 5 and a < 3"#,
            r#"a (== "x" or == "y")"#,
            r#"a (== "x" or is missing)"#,
            r#"a (!= "x" or is missing)"#,
            r#"a != "x" and a != "y""#,
            r#"not (a == "x") and a exists"#,
            r#"not (a == "x") or not (a == "y")"#,
            r#"not (a == "x") and not (a == "y")"#,
            r#"not (a.b == 1 and a.c == 2) and not (not (a.b == 1)) and not (not (a.c == 2))"#,
            r#"not (a.b == 1) or not (a.c == 2) or (a.b == 1 and a.c == 2)"#,
            r#"a starts with "x" and not (a == "x")"#,
            r#"a (starts with "x" and not starts with "xy")"#,
            r#"a (starts with "x" and ends with "x")"#,
            r#"a (starts with "ab" and ends with "bc" and like "a*c")"#,
            r#"a (in cidr "10.0.0.0/8" and not in cidr "10.1.0.0/16")"#,
            r#"a (in cidr "10.0.0.0/8" and == "::ffff:10.0.0.1")"#,
            r#"a (in cidr "10.0.0.0/8" and starts with "10.")"#,
            r#"a (in cidr "10.0.0.0/8" and starts with "010.")"#,
            r#"a (in cidr "10.0.0.0/8" and starts with "::ffff:")"#,
            r#"a (not in cidr "10.0.0.0/8" and not == "x")"#,
            r#"a (> 5 and <= 5.1)"#,
            r#"a (> 5 or < 5)"#,
            r#"a (== true or == false)"#,
            r#"a (like "*")"#,
            r#"a in ["x", "y", null, true, false]"#,
            r#"a (== "straße" ignoring case and == "STRASSE")"#,
            r#"a (matches "[a-z]+" and not matches "[a-y]+")"#,
            r#"a.b == 1 and a is missing"#,
            r#"a == 1 and a.b is missing"#,
            r#"a.b == 1 and a.c is missing and not (a.c == 2)"#,
            r#"a == 1 and not (a == 1 and b == 2)"#,
            r#"{"a": [{"exists": false}, "x"]}"#,
            r#"{"$or": [{"a": [1]}, {"b": [1]}], "c": [{"exists": false}]}"#,
            r#"name exists"#,
        ],
        &[],
    );
}

#[test]
fn fields_of_one_value_cannot_meet_excluding_conditions() {
    let found = |text: &str| {
        let is_single = |path: &Path| matches!(path.as_str(), "level" | "content.result");
        let pattern: Pattern = text.parse().expect(text);
        let spanned = pattern.spanned().expect("a valid source");
        codes(&spanned.warnings(&is_single))
    };
    for text in [
        r#"level == "WARN" and level == "CRITICAL""#,
        r#"level == "WARN" and level != "WARN""#,
        r#"content.result == "failed" and a == 1 and content.result in ["success", "x"]"#,
        r#"level == "WARN" and (level == "INFO" or level == "CRITICAL")"#,
        r#"level == "WARN" and not (level != "WARN") and level starts with "C""#,
        r#"not (not (level == "WARN")) and not (not (level == "INFO"))"#,
    ] {
        assert_eq!(found(text), [Code::NEVER_MATCHES], "{text}");
    }
    for text in [
        r#"not (level == "WARN") or not (level == "INFO")"#,
        r#"not (level == "WARN" and level == "INFO")"#,
    ] {
        assert!(!found(text).is_empty(), "{text}");
    }
    for text in [
        r#"a == "WARN" and a == "INFO""#,
        r#"level == "WARN" and content.result == "failed""#,
        r#"level starts with "W" and level != "WARN""#,
        r#"not (level == "WARN") and not (level == "INFO")"#,
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn alternatives_that_another_includes_are_hinted_at() {
    let texts = [
        r#"{"a": ["x", {"prefix": "x"}]}"#,
        r#"{"a": [{"prefix": "x"}, "xy"]}"#,
        r#"a == "x" or a starts with "x""#,
        r#"a in ["x", "y"] or a ends with "y""#,
        r#"a (> 5 or > 3)"#,
        r#"a > 5 or a > 3"#,
        r#"{"a": [{"numeric": [">", 1, "<", 3]}, {"numeric": [">", 0, "<", 5]}]}"#,
        r#"{"a": ["x", "x"]}"#,
        r#"a == 1 or a == 1"#,
        r#"a == 1.0 or a == 1"#,
        r#"a in cidr ["10.0.0.0/8", "10.1.0.0/16"]"#,
        r#"a (in cidr "10.0.0.0/8" or == "10.0.0.1")"#,
        r#"a == 1 or (a == 1 and b == 2)"#,
        r#"(a == 1 and b == 2) or a == 1"#,
        r#"a == 1 or (a in [1, 2] and a == 1) or b == 2"#,
        r#"{"$or": [{"a": ["x"]}, {"a": ["x"], "b": ["y"]}]}"#,
        r#"a like "x*" or a starts with "xy""#,
        r#"a contains "x" or a starts with "x""#,
        r#"a == "x" or a == "x" ignoring case"#,
        r#"a is missing or a is missing"#,
        r#"a != "x" or a == "y""#,
        r#"a matches "x+" or a == "xxx""#,
        r#"not (a == "x" or a starts with "x")"#,
        r#"a == 1 and a == 1"#,
        r#"a == 1 and (a == 1 or b == 2)"#,
        r#"a > 5 and a > 3"#,
    ];
    let wrong: Vec<_> = texts.iter().filter(|text| superfluous(text) == 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn conditions_that_make_a_difference_have_no_hint() {
    let texts = [
        r#"a == "x" or a == "y""#,
        r#"a starts with "x" or a == "yx""#,
        r#"a exists and a != "x""#,
        r#"a exists and a == "x""#,
        r#"a > 5 or a < 3"#,
        r#"a == 1 or (a == 2 and b == 2)"#,
        r#"a.b is missing or (a.c == 1 and a.b is missing)"#,
        r#"a == 1 and a == 2"#,
        r#"a == 1 and a != 1"#,
        r#"(x.c == 1 or x.c == 1 and y.d == 1) and not (y.b exists)"#,
        r#"a ((== "x" or starts with "y") and (ends with "z" or ends with "x"))"#,
        r#"a == "X" ignoring case or a == "ß""#,
        r#"a in cidr "10.0.0.0/8" or a == "11.0.0.1""#,
    ];
    let wrong: Vec<_> = texts.iter().filter(|text| superfluous(text) > 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn spans_point_at_the_contradicting_parts() {
    let mut all = String::new();
    for text in [
        r#"b == 1 and a == 1 and c == 2 and not (a in [1, 2])"#,
        r#"a (starts with "x" and ends with "y" and contains "z" and like "y*")"#,
        "a == 1 and b == 2 and not (a == 1 and b == 2)",
        r#"c == 1 or a != "x" or b == 1 or a != "y""#,
        r#"a == 1 or b == 2 or not (a == 1)"#,
        r#"a is missing and (a == 1 or b == 2)"#,
        r#"{"a": ["x", "y", {"prefix": "x"}]}"#,
        r#"a > 5 or a <= 5"#,
        r#"{"a": [{"exists": true}, {"exists": false}]}"#,
        "a > 5 and a > 3",
    ] {
        let pattern: Pattern = text.parse().expect(text);
        for diagnostic in pattern.check(Dialect::Reflexarc) {
            all += &diagnostic.render("when", text, false);
            all.push('\n');
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn analysis_ends_at_its_limit() {
    // 2,000 numbers are compared with 2,000 others, more than the limit of steps.
    let numbers = |from: u32| {
        let numbers: Vec<String> = (from..from + 2_000).map(|n| n.to_string()).collect();
        numbers.join(", ")
    };
    const { assert!(PatternLimits::DEFAULT.analysis_steps < 2_000 * 2_000) };
    let text = format!("a in [{}] and not (a in [{}])", numbers(10), numbers(10));
    assert_eq!(warnings(&text), []);
    let text = "a in [1, 2] and not (a in [1, 2, 3])";
    assert_eq!(warnings(text), [Code::NEVER_MATCHES]);
}
