//! Both notations: what is printed reads back as the same tree, slips in operator names are recognised, and no text is
//! costly to refuse.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_diagnostic::{Code, Severity};
use reflexarc_pattern::{Alternative, Dialect, Field, Node, Pattern, PatternLimits, Predicate};

use crate::generate;

fn parse(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text, Dialect::Reflexarc).map_err(|faults| {
        faults
            .iter()
            .map(|fault| format!("{} {} at {:?}", fault.code, fault.message, fault.span))
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn codes(text: &str) -> Vec<String> {
    match Pattern::parse(text, Dialect::Reflexarc) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| fault.code.to_string()).collect(),
    }
}

/// Trees as generated elsewhere, with mixtures in `anything-but`, which the JSON notation writes in several ways.
fn nodes() -> impl Strategy<Value = Node> {
    let mixture = vec(generate::predicate(), 1..4).prop_filter_map(
        "absence and its like stand outside",
        |tests| {
            let fits = tests.iter().all(|test| {
                !matches!(
                    test,
                    Predicate::Exists | Predicate::Missing | Predicate::AnythingBut(_)
                )
            });
            fits.then_some(Predicate::AnythingBut(tests))
        },
    );
    let field =
        (generate::path(), mixture, generate::alternative()).prop_map(|(path, mixture, other)| {
            Node::Field(Field {
                path,
                alternatives: vec![other, Alternative(vec![mixture])],
            })
        });
    prop_oneof![3 => generate::nodes(), 1 => field]
}

/// The document with comments, numbered, at some of the places where there may be any.
fn with_comments(json: &str, places: u64) -> (String, usize) {
    let (mut text, mut count, mut place) = (String::new(), 0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for letter in json.chars() {
        let is_sign = !in_string && "{}[]:,".contains(letter);
        for before in [true, false] {
            if !before {
                text.push(letter);
            }
            if is_sign {
                if places >> (place % 64) & 1 == 1 {
                    text.push_str(&format!(
                        "{}# c{count};\n",
                        if count % 2 == 0 { "" } else { "\n" }
                    ));
                    count += 1;
                }
                place += 1;
            }
        }
        in_string ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
    }
    (text, count)
}

proptest! {
    #[test]
    fn json_with_comments_is_formatted_with_all_of_them(node in nodes(), places: u64) {
        let pattern = Pattern::from_node(node);
        let (text, count) = with_comments(&pattern.to_json(), places);
        let read = parse(&text).map_err(|faults| TestCaseError::fail(format!("{text}\n{faults}")))?;
        prop_assert_eq!(read.has_comments(), count > 0);
        let formatted = read.format();
        let again = parse(&formatted).map_err(|faults| TestCaseError::fail(format!("{text}\n{formatted}\n{faults}")))?;
        prop_assert_eq!(again.node(), pattern.node(), "{}", formatted);
        for number in 0..count {
            prop_assert_eq!(formatted.matches(&format!("# c{number};")).count(), 1, "{}\n{}", text, formatted);
        }
        prop_assert_eq!(again.format(), formatted);
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_tree(node in nodes()) {
        let pattern = Pattern::from_node(node);
        for text in [pattern.to_expression(), pattern.to_json()] {
            let again = parse(&text).map_err(|faults| TestCaseError::fail(format!("{text}\n{faults}")))?;
            prop_assert_eq!(again.node(), pattern.node(), "{}", text);
        }
    }

    #[test]
    fn one_slip_in_an_operator_of_the_json_notation_is_recognised(
        operator in select(&["prefix", "suffix", "contains", "wildcard", "regexp", "equals-ignore-case", "numeric", "cidr",
            "exists", "anything-but"]),
        edit in 0..4u8,
        at in 0..100usize,
        letter in select(&['a', 'e', 'k', 'x', 'z', '-']),
    ) {
        let slip = edited(operator, edit, at, letter);
        prop_assume!(slip != operator);
        let faults = Pattern::parse(&format!(r#"{{"a": [{{"{slip}": "x"}}]}}"#), Dialect::Reflexarc).unwrap_err();
        prop_assert_eq!(faults[0].code.to_string(), "RA0201");
        prop_assert!(faults[0].help.as_ref().is_some_and(|help| help.contains(&format!("`{operator}`"))), "{:?}", faults);
        prop_assert!(faults[0].fix.is_some());
    }

    #[test]
    fn one_slip_in_an_operator_of_an_expression_is_recognised(
        operator in select(&["starts with", "ends with", "contains", "like", "matches", "in cidr", "exists", "is missing"]),
        edit in 0..4u8,
        at in 0..100usize,
        letter in select(&['e', 'k', 'x', 'z']),
    ) {
        let slip = edited(operator, edit, at, letter);
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(spaced(&slip) != operator);
        let operand = if matches!(operator, "exists" | "is missing") { "" } else { "\"x\"" };
        let faults = Pattern::parse(&format!("a {slip} {operand}"), Dialect::Reflexarc).unwrap_err();
        prop_assert_eq!(faults[0].code.to_string(), "RA0201", "{} {:?}", slip, faults);
        prop_assert!(faults[0].help.as_ref().is_some_and(|help| help.contains('`')), "{:?}", faults);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-c{}\\[\\]()\"':,!=<>.$ *#0-9é\\\\-]{0,60}|(and|or|not|in|exists|is|\"x\"|a|\\(|\\)|==|\\[|\\]| ){0,20}") {
        for dialect in Dialect::ALL {
            if let Err(faults) = Pattern::parse(&text, dialect) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(text.get(fault.span.clone()).is_some(), "{:?}", fault);
                    prop_assert!(fault.fix.is_none_or(|fix| text.get(fix.span).is_some()));
                }
            }
        }
    }
}

#[test]
fn formatting_keeps_comments_and_the_notation() {
    let formatted = |text: &str| parse(text).expect(text).format();
    assert_eq!(
        formatted("a   ==  \"x\"and(b==1 or\n c==2)"),
        "a == \"x\" and (b == 1 or c == 2)"
    );
    assert_eq!(
        formatted("{a:['x',]}".replace('\'', "\"").as_str()),
        r#"{"a": ["x"]}"#
    );
    let commented = "# first\na==1 // one\n# second\nand ( b == 2 # in\n or c==3 ) # three\n# end";
    let canonical =
        "# first\na == 1  // one\n# second\n# in\nand (b == 2 or c == 3)  # three\n# end";
    assert_eq!(formatted(commented), canonical);
    assert_eq!(formatted(canonical), canonical);
    assert_eq!(
        formatted("{\n  # name\n  a: [1,]\n}"),
        "{\n  # name\n  \"a\": [1]\n}"
    );
    let twice = r#"{"a":[1],"a":[2]}"#;
    assert_eq!(formatted(twice), twice);
    assert_eq!(
        formatted(&format!("{twice}#why")),
        r#"{"a": [1], "a": [2]}  #why"#
    );
}

/// The word with one letter deleted, replaced, inserted or swapped with the next.
fn edited(word: &str, edit: u8, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = at % letters.len();
    match edit {
        0 => drop(letters.remove(at)),
        1 => letters[at] = letter,
        2 => letters.insert(at, letter),
        _ if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => {}
    }
    letters.into_iter().collect()
}

#[test]
fn hostile_texts_are_answered_without_effort() {
    let most = PatternLimits::DEFAULT.bytes;
    assert_eq!(codes(&"(".repeat(most)), ["RA0104"]);
    assert_eq!(codes(&"[".repeat(most)), ["RA0104"]);
    assert_eq!(
        codes(&format!("{{\"a\":{}", "{\"a\":".repeat(10_000))),
        ["RA0104"]
    );
    assert_eq!(codes(&" ".repeat(most + 1)), ["RA0103"]);
    assert_eq!(
        codes(&format!("{}p exists", "not ".repeat(16_000))),
        ["RA0104"]
    );
    assert_eq!(codes(r#"p matches "a{1000}{1000}""#), ["RA0209"]);
    assert_eq!(
        codes(r#"p matches "((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}""#),
        ["RA0209"]
    );
    assert_eq!(codes(&"a ".repeat(30_000)), ["RA0201"]);
    assert_eq!(
        codes(&format!(
            r#"p matches "{}" ignoring case"#,
            r"\\pL".repeat(1_500)
        )),
        ["RA0209"]
    );
    let (wide, long) = (
        vec![r#"== "a""#; 900].join(" or "),
        vec!["!= 1"; 50].join(" and "),
    );
    assert_eq!(codes(&format!("p (({wide}) and {long})")), ["RA0216"]);
    let groups = vec![r#"(== "a" or == "b")"#; 2_500].join(" and ");
    assert_eq!(codes(&format!("p ({groups})")), ["RA0216"]);
}

#[test]
fn a_pattern_longer_than_the_quota_of_aws_is_told_and_one_longer_than_any_is_not_exported() {
    let of_length = |length: usize| {
        let text = format!(r#"{{"a":["{}"]}}"#, "é".repeat(length - 10));
        assert_eq!(text.chars().count(), length);
        Pattern::parse(&text, Dialect::Aws).expect("its validator does not count")
    };
    let found = |length| {
        of_length(length)
            .check(Dialect::Aws)
            .iter()
            .map(|found| (found.code, found.severity))
            .collect()
    };
    let nothing: Vec<(Code, Severity)> = found(2_048);
    assert_eq!(nothing, []);
    assert_eq!(found(2_049), [(Code::DIALECT_LIMIT, Severity::Warning)]);
    assert!(of_length(4_096).export(Dialect::Aws).is_ok());
    assert_eq!(found(4_097), [(Code::DIALECT_LIMIT, Severity::Error)]);
    assert!(of_length(4_097).export(Dialect::Aws).is_err());
    assert!(
        of_length(4_097)
            .check(Dialect::Alibaba)
            .iter()
            .all(|found| found.code != Code::DIALECT_LIMIT)
    );
}

#[test]
fn of_very_many_faults_the_first_are_told_and_the_rest_counted() {
    let most = PatternLimits::DEFAULT.diagnostics;
    let faults = |text: &str| Pattern::parse(text, Dialect::Reflexarc).expect_err("refused");
    let found = faults(&format!(
        r#"{{"a":[{}]}}"#,
        vec![r#"{"prefxi":"x"}"#; 4_000].join(",")
    ));
    assert_eq!(found.len(), most + 1);
    assert!(
        found[..most]
            .iter()
            .all(|fault| fault.code == Code::UNKNOWN_OPERATOR)
    );
    assert_eq!(
        (found[most].code, found[most].message.as_str()),
        (Code::MORE, "3900 more diagnostics are not shown")
    );
    // An error is told however many warnings stand before it.
    let twice = vec![r#""a":[1]"#; 5_000].join(",");
    let found = faults(&format!(r#"{{{twice},"b":1}}"#));
    assert!(found.iter().any(|fault| fault.code == Code::SCALAR_LEAF));
    let taken = Pattern::parse(&format!("{{{twice}}}"), Dialect::Reflexarc).expect("only warnings");
    assert_eq!(taken.warnings().len(), most + 1);
    assert_eq!(taken.check(Dialect::Reflexarc).len(), most + 1);
    assert_eq!(taken.format(), taken.source());
}

#[test]
fn wide_texts_are_answered_without_effort() {
    let wildcard = "*a".repeat(10_000);
    assert!(parse(&format!(r#"p like "{wildcard}""#)).is_ok());
    let ors = vec![r#"{"a":[1],"b":[2]}"#; 1_000].join(",");
    assert!(parse(&format!(r#"{{"$or":[{ors}]}}"#)).is_ok());
    let tests = vec!["p == 1"; 5_000].join(" and ");
    assert!(parse(&tests).is_ok());
    let tests = vec!["!= 1"; 5_000].join(" and ");
    assert!(parse(&format!("p ({tests})")).is_ok());
}

#[test]
fn the_deepest_tree_that_is_read_is_also_printed_and_read_again() {
    let deepest = (1..200).rev().find_map(|depth| {
        parse(&format!(
            "{}p exists{}",
            "a exists and (b exists or (".repeat(depth),
            "))".repeat(depth)
        ))
        .ok()
    });
    let pattern = deepest.expect("some depth is read");
    for text in [pattern.to_json(), pattern.to_expression()] {
        assert_eq!(parse(&text).expect(&text).node(), pattern.node());
    }
    let nested = (1..200).rev().find_map(|depth| {
        parse(&format!(
            "{}{}{}",
            "{\"$not\":".repeat(depth),
            r#"{"a":[{"anything-but":[{"numeric":["=",1]}]}]}"#,
            "}".repeat(depth)
        ))
        .ok()
    });
    let pattern = nested.expect("some depth is read");
    assert_eq!(
        parse(&pattern.to_expression())
            .expect("within limits")
            .node(),
        pattern.node()
    );
}
