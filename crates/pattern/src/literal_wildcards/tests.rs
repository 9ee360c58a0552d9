//! The hints about literals and their fixes.

use crate::Pattern;
use reflexarc_diagnostic::{Code, Severity};

/// The text after the fix of the hint about a literal; the message where there is no fix; empty
/// without a hint.
fn fixed(text: &str) -> String {
    let pattern: Pattern = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = pattern.check(crate::Dialect::Reflexarc);
    let Some(hint) = found
        .into_iter()
        .find(|one| one.code == Code::LITERAL_WILDCARD)
    else {
        return String::new();
    };
    assert_eq!(hint.severity, Severity::Hint);
    let help = hint.help.expect("every hint has help");
    let Some(fix) = hint.fix else { return help };
    let mut changed = text.to_owned();
    changed.replace_range(fix.span, &fix.replacement);
    changed
        .parse::<Pattern>()
        .unwrap_or_else(|error| panic!("{changed}: {error}"));
    changed
}

#[test]
fn wildcards_get_the_operator_for_wildcards() {
    let cases = [
        (r#"a == "eni-*""#, r#"a like "eni-*""#),
        (r#"a != "eni-*""#, r#"a not like "eni-*""#),
        (
            r#"a == "ENI-*" ignoring case"#,
            r#"a like "ENI-*" ignoring case"#,
        ),
        (r#"a (== "*x" or == 5)"#, r#"a (like "*x" or == 5)"#),
        (r#"not (a == "x*y")"#, r#"not (a like "x*y")"#),
        (r#"a in ["eni-*", "i-1"]"#, r#"write `like "eni-*"`"#),
        (r#"a not in ["eni-*"]"#, r#"write `not like "eni-*"`"#),
        (
            r#"{"a": ["eni-*", 5]}"#,
            r#"{"a": [{"wildcard": "eni-*"}, 5]}"#,
        ),
        (
            r#"{"a": [{"anything-but": "eni-*"}]}"#,
            r#"{"a": [{"anything-but": {"wildcard": "eni-*"}}]}"#,
        ),
        (
            r#"{"a": [{"anything-but": ["x", "eni-*"]}]}"#,
            r#"{"a": [{"anything-but": ["x", {"wildcard": "eni-*"}]}]}"#,
        ),
        (
            r#"{"a": [{"equals-ignore-case": "eni-*"}]}"#,
            r#"write `{"wildcard": {"equals-ignore-case": "eni-*"}}`"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fixed(text), expected, "{text}");
    }
}

#[test]
fn a_star_alone_becomes_a_test_of_presence() {
    let cases = [
        (r#"a == "*""#, "a exists"),
        (
            r#"{"resources": ["*"]}"#,
            r#"{"resources": [{"exists": true}]}"#,
        ),
        (r#"a != "*""#, "write `a is missing`"),
        (r#"a in ["*"]"#, "write `a exists`"),
        (
            r#"{"a": [{"anything-but": "*"}]}"#,
            r#"write `[{"exists": false}]`"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fixed(text), expected, "{text}");
    }
}

#[test]
fn stars_that_the_operator_implies_are_removed() {
    let cases = [
        (r#"a starts with "eni-*""#, r#"a starts with "eni-""#),
        (
            r#"a not starts with "eni-*""#,
            r#"a not starts with "eni-""#,
        ),
        (r#"a ends with "*.jpg""#, r#"a ends with ".jpg""#),
        (
            r#"a contains "*x*" ignoring case"#,
            r#"a contains "x" ignoring case"#,
        ),
        (
            r#"a starts with ["eni-*", "i-"]"#,
            r#"a starts with ["eni-", "i-"]"#,
        ),
        (r#"a starts with "a*b""#, r#"write `like "a*b*"`"#),
        (r#"a ends with "x*""#, r#"write `like "*x*"`"#),
        (
            r#"{"a": [{"prefix": "eni-*"}]}"#,
            r#"{"a": [{"prefix": "eni-"}]}"#,
        ),
        (
            r#"{"a": [{"suffix": {"equals-ignore-case": "*x"}}]}"#,
            r#"{"a": [{"suffix": {"equals-ignore-case": "x"}}]}"#,
        ),
        (
            r#"{"a": [{"anything-but": {"prefix": ["eni-*", "i-"]}}]}"#,
            r#"{"a": [{"anything-but": {"prefix": ["eni-", "i-"]}}]}"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fixed(text), expected, "{text}");
    }
}

#[test]
fn signs_of_other_languages_are_explained() {
    let cases = [
        (r#"a like "x%""#, r#"a like "x*""#),
        (r#"a like "%x%""#, r#"a like "*x*""#),
        (r#"a == "eni-%""#, r#"write `like "eni-*"`"#),
        (r#"a like "eni-???""#, r#"write `like "eni-*"`"#),
        (r#"a like "eni-?""#, r#"write `like "eni-*"`"#),
        (r#"a == "^eni-.*$""#, r#"a matches "^eni-.*$""#),
        (r#"a != "eni-[0-9]+""#, r#"a not matches "eni-[0-9]+""#),
        (r#"{"a": ["eni-.*"]}"#, r#"{"a": [{"regexp": "eni-.*"}]}"#),
        (r#"a matches "eni-*""#, r#"write `like "eni-*"`"#),
    ];
    for (text, expected) in cases {
        assert_eq!(fixed(text), expected, "{text}");
    }
}

#[test]
fn plain_texts_get_no_hint() {
    let texts = [
        r#"a == "100%""#,
        r#"a == "eni-8vb1qo********cdeg2n""#,
        r#"a == "0 * * * *""#,
        r#"a == "2 * 3""#,
        r#"a like "eni-*""#,
        r#"a like "50%""#,
        r#"a matches "eni-.*""#,
        r#"a matches "(eni|i)-*x""#,
        r#"a like "\\*x""#,
        r#"name == "Instance:SystemFailure.Reboot""#,
        r#"a == "what?""#,
        r#"a starts with "a.b""#,
    ];
    for text in texts {
        assert_eq!(fixed(text), "", "{text}");
    }
}
