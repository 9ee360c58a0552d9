//! Both notations: printed patterns parse back to the same tree, misspelled operators get a
//! suggestion, and no text is expensive to reject.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_diagnostic::{Code, Severity};
use reflexarc_pattern::{Alternative, Dialect, Field, Node, Pattern, PatternLimits, Predicate};

use crate::generate;

fn parse(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text, Dialect::Reflexarc).map_err(|errors| {
        errors
            .diagnostics()
            .iter()
            .map(|error| format!("{} {} at {:?}", error.code, error.message, error.span))
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn codes(text: &str) -> Vec<String> {
    match Pattern::parse(text, Dialect::Reflexarc) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .diagnostics()
            .iter()
            .map(|error| error.code.to_string())
            .collect(),
    }
}

/// Generated trees, some of them with different predicates in one `anything-but`, which the JSON
/// notation writes in several ways.
fn nodes() -> impl Strategy<Value = Node> {
    let mixture = vec(generate::predicate(), 1..4).prop_filter_map(
        "presence and `anything-but` are not allowed inside `anything-but`",
        |predicates| {
            let allowed = predicates.iter().all(|predicate| {
                !matches!(
                    predicate,
                    Predicate::Exists | Predicate::Missing | Predicate::AnythingBut(_)
                )
            });
            allowed.then_some(Predicate::AnythingBut(predicates))
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

/// The document with numbered comments before and after some of its punctuation, chosen by the bits
/// of `positions`; and the number of comments.
fn with_comments(json: &str, positions: u64) -> (String, usize) {
    let (mut text, mut count, mut position) = (String::new(), 0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for letter in json.chars() {
        let is_punctuation = !in_string && "{}[]:,".contains(letter);
        for before in [true, false] {
            if !before {
                text.push(letter);
            }
            if is_punctuation {
                if positions >> (position % 64) & 1 == 1 {
                    text.push_str(&format!(
                        "{}# c{count};\n",
                        if count % 2 == 0 { "" } else { "\n" }
                    ));
                    count += 1;
                }
                position += 1;
            }
        }
        in_string ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
    }
    (text, count)
}

proptest! {
    #[test]
    fn formatting_json_keeps_every_comment(node in nodes(), positions: u64) {
        let pattern = Pattern::from_node(node);
        let (text, count) = with_comments(&pattern.to_json(), positions);
        let fail = |errors| TestCaseError::fail(format!("{text}\n{errors}"));
        let parsed = parse(&text).map_err(fail)?;
        prop_assert_eq!(parsed.has_comments(), count > 0);
        let formatted = parsed.format();
        let again = parse(&formatted).map_err(fail)?;
        prop_assert_eq!(again.node(), pattern.node(), "{}", formatted);
        for number in 0..count {
            let occurrences = formatted.matches(&format!("# c{number};")).count();
            prop_assert_eq!(occurrences, 1, "{}\n{}", text, formatted);
        }
        prop_assert_eq!(again.format(), formatted);
    }

    #[test]
    fn printed_trees_parse_back_to_the_same_tree(node in nodes()) {
        let pattern = Pattern::from_node(node);
        for text in [pattern.to_expression(), pattern.to_json()] {
            let again =
                parse(&text).map_err(|errors| TestCaseError::fail(format!("{text}\n{errors}")))?;
            prop_assert_eq!(again.node(), pattern.node(), "{}", text);
        }
    }

    #[test]
    fn misspelled_expression_operators_get_a_suggestion(
        operator in select(&["starts with", "ends with", "contains", "like", "matches", "in cidr",
            "exists", "is missing"]),
        edit in 0..4u8,
        at in 0..100usize,
        letter in select(&['e', 'k', 'x', 'z']),
    ) {
        let misspelled = edited(operator, edit, at, letter);
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(spaced(&misspelled) != operator);
        let operand = if matches!(operator, "exists" | "is missing") { "" } else { "\"x\"" };
        let text = format!("a {misspelled} {operand}");
        let errors = Pattern::parse(&text, Dialect::Reflexarc).unwrap_err().into_diagnostics();
        prop_assert_eq!(errors[0].code.to_string(), "RA0201", "{} {:?}", misspelled, errors);
        let help = errors[0].help.as_ref();
        prop_assert!(help.is_some_and(|help| help.contains('`')), "{:?}", errors);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in texts()) {
        for dialect in Dialect::ALL {
            if let Err(errors) = Pattern::parse(&text, dialect) {
                prop_assert!(!errors.diagnostics().is_empty());
                prop_assert!(!errors.to_string().is_empty());
                for error in errors.into_diagnostics() {
                    prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error);
                    prop_assert!(error.fix.is_none_or(|fix| text.get(fix.span).is_some()));
                }
            }
        }
    }
}

/// Characters and tokens of the language in any order.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c{}\\[\\]()\"':,!=<>.$ *#0-9é\\\\-]{0,60}",
        "(and|or|not|in|exists|is|\"x\"|a|\\(|\\)|==|\\[|\\]| ){0,20}",
        "(a|b\\.c|a\\[0\\]|len\\(|not |isn't|between|is |null|and |or |&&|in |like |'x'|“é”|\
         `y`|/x/|\
          10\\.0\\.0\\.0/8|==|=~|:|\\(|\\)|\\[|\\]|,|;|\\.|#c\n| |\\{|\\}|!|\"x\"|5|é|%|\\*){0,25}",
    ]
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
    let canonical = "# first\na == 1  // one\n# second\nand (\n    b == 2  # in\n    or \
                     c == 3\n)  # three\n# end";
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
fn long_words_of_other_scripts_are_cut_between_characters() {
    for start in ["", "a", "ab", "abc"] {
        let word = format!("{start}{}", "\u{20ac}".repeat(60));
        for text in [
            format!("b == 1 c {word}"),
            format!("{{\"a\" {word}"),
            format!("({word}) {word}"),
        ] {
            assert!(!codes(&text).is_empty(), "{text}");
        }
    }
}

#[test]
fn expensive_texts_are_rejected_quickly() {
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
fn aws_length_quotas_warn_first_and_then_prevent_export() {
    let of_length = |length: usize| {
        let text = format!(r#"{{"a":["{}"]}}"#, "é".repeat(length - 10));
        assert_eq!(text.chars().count(), length);
        Pattern::parse(&text, Dialect::Aws).expect("parsing does not check the quota")
    };
    let found = |length| {
        of_length(length)
            .check(Dialect::Aws)
            .iter()
            .map(|found| (found.code, found.severity))
            .collect()
    };
    let within_quota: Vec<(Code, Severity)> = found(2_048);
    assert_eq!(within_quota, []);
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
fn diagnostics_are_limited_and_the_rest_is_counted() {
    let most = PatternLimits::DEFAULT.diagnostics;
    let errors = |text: &str| {
        Pattern::parse(text, Dialect::Reflexarc)
            .expect_err("rejected")
            .into_diagnostics()
    };
    let found = errors(&format!(
        r#"{{"a":[{}]}}"#,
        vec![r#"{"prefxi":"x"}"#; 4_000].join(",")
    ));
    assert_eq!(found.len(), most + 1);
    assert!(
        found[..most]
            .iter()
            .all(|error| error.code == Code::UNKNOWN_OPERATOR)
    );
    assert_eq!(
        (found[most].code, found[most].message.as_str()),
        (
            Code::TOO_MANY_FINDINGS,
            "3900 more diagnostics are not shown"
        )
    );
    // An error is kept, however many warnings come before it.
    let duplicates = vec![r#""a":[1]"#; 5_000].join(",");
    let found = errors(&format!(r#"{{{duplicates},"b":1}}"#));
    assert!(found.iter().any(|error| error.code == Code::SCALAR_LEAF));
    let pattern = Pattern::parse(&format!("{{{duplicates}}}"), Dialect::Reflexarc);
    let pattern = pattern.expect("only warnings");
    assert_eq!(pattern.warnings().len(), most + 1);
    assert_eq!(pattern.check(Dialect::Reflexarc).len(), most + 1);
    assert_eq!(pattern.format(), pattern.source());
}

#[test]
fn large_texts_are_parsed_quickly() {
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
fn deepest_accepted_trees_print_and_parse_again() {
    let deepest = (1..200).rev().find_map(|depth| {
        parse(&format!(
            "{}p exists{}",
            "a exists and (b exists or (".repeat(depth),
            "))".repeat(depth)
        ))
        .ok()
    });
    let pattern = deepest.expect("some depth is accepted");
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
    let pattern = nested.expect("some depth is accepted");
    assert_eq!(
        parse(&pattern.to_expression())
            .expect("within limits")
            .node(),
        pattern.node()
    );
}

/// Every slip of one letter, in every place: the fix is the operator that was meant, or there is
/// none, because a letter added at the end of a word can make another name, as `nin` is not `in`.
#[test]
fn misspelled_json_operators_get_a_suggestion() {
    let operators = [
        "prefix",
        "suffix",
        "contains",
        "wildcard",
        "regexp",
        "equals-ignore-case",
        "numeric",
        "cidr",
        "exists",
        "anything-but",
    ];
    let mut slips = std::collections::BTreeSet::new();
    for operator in operators {
        for (edit, letter) in (0..4).flat_map(|edit| "aekxz-".chars().map(move |l| (edit, l))) {
            slips.extend(
                (0..operator.len()).map(|at| (edited(operator, edit, at, letter), operator)),
            );
        }
    }
    slips.retain(|(misspelled, operator)| misspelled != operator);
    let mut fixed = 0;
    for (misspelled, operator) in &slips {
        let text = format!(r#"{{"a": [{{"{misspelled}": "x"}}]}}"#);
        let errors = Pattern::parse(&text, Dialect::Reflexarc).unwrap_err();
        let error = &errors.diagnostics()[0];
        assert_eq!(error.code.to_string(), "RA0201", "{text}");
        if let Some(fix) = &error.fix {
            let mut meant = text.clone();
            meant.replace_range(fix.span.clone(), &fix.replacement);
            assert_eq!(
                meant,
                format!(r#"{{"a": [{{"{operator}": "x"}}]}}"#),
                "{text}"
            );
            fixed += 1;
        }
    }
    let share = fixed * 100 / slips.len();
    assert!(share >= 75, "{share} % of {} slips have a fix", slips.len());
}
