//! Diagnostics about invalid patterns, rendered as users see them.

use std::fmt::Write as _;

use reflexarc_diagnostic::{Code, Severity};
use reflexarc_pattern::{Dialect, Pattern};

/// The diagnostics from parsing each text.
fn parsed(dialect: Dialect, texts: &[&str]) -> String {
    let mut all = String::new();
    for text in texts {
        let found = match Pattern::parse(text, dialect) {
            Ok(pattern) => pattern.warnings().to_vec(),
            Err(errors) => errors.into_diagnostics(),
        };
        assert!(!found.is_empty(), "no diagnostics for {text}");
        for diagnostic in found {
            writeln!(all, "{}", diagnostic.render("when", text, false))
                .expect("writing to a string cannot fail");
        }
    }
    all
}

/// The diagnostics from checking each text for a dialect.
fn checked(dialect: Dialect, texts: &[&str]) -> String {
    let mut all = String::new();
    for text in texts {
        let pattern = Pattern::parse(text, Dialect::Reflexarc).expect(text);
        let found = pattern.check(dialect);
        assert!(!found.is_empty(), "no diagnostics for {text}");
        for diagnostic in found {
            writeln!(all, "{}", diagnostic.render("when", text, false))
                .expect("writing to a string cannot fail");
        }
    }
    all
}

#[test]
fn syntax_errors_in_json_notation() {
    insta::assert_snapshot!(parsed(
        Dialect::Reflexarc,
        &[
            "",
            "{}",
            r#"{"a": ["x"}"#,
            r#"{"a": ["x""#,
            r#"{"a": ["x]}"#,
            r#"{"a" ["x"]}"#,
            r#"{"a": ["x" "y"]}"#,
            r#"{'a': ["it\x"]}"#,
            r#"{"a": [+5, 01, None, failed]}"#,
        ]
    ));
}

#[test]
fn invalid_operators_and_arguments_in_json_notation() {
    insta::assert_snapshot!(parsed(
        Dialect::Reflexarc,
        &[
            r#"{"a": "x", "b": {}, "c": []}"#,
            r#"{"a": [{"prefx": "x"}, {"Prefix": "x"}, {"between": "x"}]}"#,
            r#"{"a": [{"prefix": 5}, {"prefix": ["x"]}, {"exists": "true"}]}"#,
            r#"{"a": [{"prefix": {"ignore-case": "x"}}]}"#,
            r#"{"a": [{"numeric": ["<", 5, ">", 1]}, {"numeric": [">", 5, "<", 1]}]}"#,
            r#"{"a": [{"numeric": ["==", 1]}]}"#,
            r#"{"a": [{"cidr": "10.0.0.0/33"}, {"cidr": "10.0.0/8"}]}"#,
            r#"{"a": [{"wildcard": "é**b"}, {"wildcard": "a\\n"}]}"#,
            r#"{"a": [{"regexp": "x(y"}, {"regexp": "a{1000}{1000}"}]}"#,
            r#"{"a": [{"anything-but": []}, {"anything-but": {"exists": true}}]}"#,
            r#"{"$Or": [{"a": [1]}, {"b": [2]}]}"#,
            r#"{"$or": {"a": [1]}, "$not": [1]}"#,
        ]
    ));
}

#[test]
fn errors_in_expressions() {
    insta::assert_snapshot!(parsed(
        Dialect::Reflexarc,
        &[
            r#"a strats with "x" or b === 5 AND c == failed"#,
            r#"in == 1"#,
            r#"content.in == 1"#,
            r#"a > 0 and <= 5"#,
            r#"a == 1 and"#,
            r#"a == "x" b == "y""#,
            r#"a > "5""#,
            r#"a in "10.0.0.0/8""#,
            r#"a == ["x", "y"]"#,
            r#"a not exists"#,
            r#"a == "x" ignorng case"#,
            r#"5 < a < 1"#,
            r#"5 == a"#,
        ]
    ));
}

#[test]
fn warnings_from_parsing() {
    insta::assert_snapshot!(parsed(
        Dialect::Reflexarc,
        &[
            r#"{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}"#,
            r#"{"$or": [{"prefix": ["x"]}, {"a": [1]}]}"#,
            r#"1 < a < 1"#,
            r#"a (starts with "x" and starts with "y")"#,
            r#"a is missing and a == "x""#,
        ]
    ));
}

#[test]
fn errors_in_the_dialects_of_services() {
    insta::assert_snapshot!(parsed(
        Dialect::Aws,
        &[
            r#"a == "x""#,
            r#"{"a": ["x",]} "#,
            r#"{"$or": [{"prefix": ["x"]}, {"a": [1]}]}"#,
            r#"{"a": [{"anything-but": ["x", 1]}]}"#,
            r#"{"a": [{"wildcard": "*a*a*a*a*a*a"}]}"#,
        ]
    ));
    insta::assert_snapshot!(parsed(
        Dialect::Alibaba,
        &[
            r#"{"region": ["x"]}"#,
            r#"{"source": ["1a", "2a", "3a", "4a", "5a", "6a"]}"#,
            r#"{"data": {"a": [{"numeric": ["<", 1e10]}]}}"#,
        ]
    ));
}

/// The service decides absence before other fields have chosen an array element.
#[test]
fn absence_beside_a_sibling_differs_on_aws_only_in_arrays() {
    let found = |text: &str| {
        let pattern = Pattern::parse(text, Dialect::Reflexarc).expect(text);
        let found = pattern.check(Dialect::Aws).into_iter();
        found
            .map(|found| (found.code, found.severity))
            .collect::<Vec<_>>()
    };
    for payload in ["detail", "content", "data"] {
        let text = format!(r#"{{"{payload}": {{"errorCode": [{{"exists": false}}], "x": [1]}}}}"#);
        assert_eq!(found(&text), [], "{text}");
    }
    let text = r#"{"detail": {"items": {"a": [{"exists": false}], "b": [1]}}}"#;
    assert_eq!(found(text), [(Code::DIALECT_DIFFERENCE, Severity::Hint)]);
}

#[test]
fn checks_for_other_dialects() {
    insta::assert_snapshot!(checked(
        Dialect::Aws,
        &[
            r#"a contains "x" and b matches "y" and not (c exists)"#,
            r#"a == "x" and a == "y""#,
            r#"a (starts with "x" and ends with "y") and b in cidr "10.0.0.1""#,
        ]
    ));
    insta::assert_snapshot!(checked(
        Dialect::Alibaba,
        &[
            r#"source == "x" or data.a == 1"#,
            r#"data.a.b == "300" and data.c in cidr "10.0.0.0/8" and data.d is missing"#,
        ]
    ));
    insta::assert_snapshot!(checked(
        Dialect::Reflexarc,
        &[r#"content.result != "failed""#]
    ));
}

/// The grammar skips white space and comments while it looks for more of a rule; spans must end
/// before them.
#[test]
fn no_span_ends_with_white_space_or_a_comment() {
    let texts = [
        "a in cidr \"10.0.0.1\" and b == 1",
        "a in cidr \"10.0.0.0/33\" and b == 1",
        "a != \"x\" and b != 5 and c != null and d not in [ \"x\" , 1 ]",
        "a contains \"y\" and b matches \"[\" or c matches \"y\" ",
        "( a in cidr \"10.0.0.0/8\" ) and b ( != \"x\" and != \"y\" ) or not ( c exists )",
        "a like \"**\" and c exists and a.b ends with \"z\" ignoring case",
        "not not a is missing and a == \"x\" ",
        "1 < a < 1 and 0 < b and 0 < c <= 5",
        "a ( starts with \"x\" or is missing ) or a ( > 5 and <= 3 )",
        "a not exists and b ( not starts with \"x\" ) and c ( not is missing )",
        "a == failed and b > \"5\" and c in \"10.0.0.0/8\" and d == [ 1 ] and e strats with \"x\" ",
    ];
    let mut count = 0;
    for text in texts {
        for space in [" ", "   ", "\t\n ", "  # why\n", " // why\n  "] {
            let text = text.replace(' ', space);
            let found = match Pattern::parse(&text, Dialect::Reflexarc) {
                Ok(pattern) => [Dialect::Reflexarc, Dialect::Aws, Dialect::Alibaba]
                    .map(|to| pattern.check(to))
                    .concat(),
                Err(errors) => errors.into_diagnostics(),
            };
            count += found.len();
            for diagnostic in found {
                let labels = diagnostic.labels.iter().map(|label| label.span.clone());
                for span in labels.chain([diagnostic.span.clone()]) {
                    let source = &text[span];
                    let ends_with_comment = source
                        .lines()
                        .last()
                        .is_some_and(|line| line.contains("why"));
                    assert!(
                        source == source.trim() && !ends_with_comment,
                        "{}: {source:?}",
                        diagnostic.message
                    );
                }
            }
        }
    }
    assert!(count > 200, "{count}");
}
