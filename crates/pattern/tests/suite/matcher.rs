//! The matcher gives the answers of the plain evaluator, for any set of patterns at once, and refuses what is no JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_event::{Json, Limits};
use reflexarc_pattern::{
    Alternative, Bound, BuildError, Decimal, Dialect, Field, Matcher, MatcherLimits, Node, Path,
    Pattern, Predicate, Regexp, Scratch, Slow, TextOp, Wildcard, naive,
};

use crate::generate;

fn matcher(patterns: &[Node]) -> Matcher {
    Matcher::build(patterns).expect("few patterns")
}

fn ids(matcher: &Matcher, event: &str, scratch: &mut Scratch) -> Vec<u32> {
    let mut out = vec![7];
    matcher
        .matching(event.as_bytes(), scratch, &mut out)
        .expect("valid JSON");
    assert_eq!(
        matcher.has_match(event.as_bytes(), scratch),
        Ok(!out.is_empty())
    );
    out
}

fn plainly(patterns: &[Node], event: &str) -> Vec<u32> {
    let event = Json::parse(event).expect("valid JSON");
    (0..)
        .zip(patterns)
        .filter(|(_, pattern)| naive::matches(pattern, &event))
        .map(|(id, _)| id)
        .collect()
}

proptest! {
    #[test]
    fn equals_the_plain_evaluator(
        patterns in vec(generate::nodes(), 1..12), events in vec(generate::event_texts(), 1..6),
    ) {
        let matcher = matcher(&patterns);
        let mut scratch = Scratch::new();
        for event in &events {
            prop_assert_eq!(ids(&matcher, event, &mut scratch), plainly(&patterns, event), "{}", event);
        }
        for (id, pattern) in patterns.iter().enumerate() {
            let alone = Matcher::build([pattern]).expect("one pattern");
            for event in &events {
                let found = !ids(&alone, event, &mut scratch).is_empty();
                prop_assert_eq!(found, !plainly(std::slice::from_ref(pattern), event).is_empty(), "{} {}", id, event);
            }
        }
    }

    #[test]
    fn many_tests_of_one_long_text_equal_the_plain_evaluator(
        predicates in vec(long_predicate(), 1..60), values in vec("[abAB]{0,48}", 1..8),
    ) {
        let patterns: Vec<Node> = predicates.into_iter().map(|predicate| field("x", predicate)).collect();
        let matcher = matcher(&patterns);
        let mut scratch = Scratch::new();
        for value in &values {
            let event = Json::from_iter([("x".to_owned(), Json::from(value.as_str()))]).to_string();
            prop_assert_eq!(ids(&matcher, &event, &mut scratch), plainly(&patterns, &event), "{}", event);
        }
        let all = Json::from(values.iter().map(|value| Json::from(value.as_str())).collect::<Vec<_>>());
        let event = Json::from_iter([("x".to_owned(), all)]).to_string();
        prop_assert_eq!(ids(&matcher, &event, &mut scratch), plainly(&patterns, &event), "{}", event);
    }

    #[test]
    fn many_ranges_and_numbers_equal_the_plain_evaluator(
        ranges in vec((-20i64..20, any::<bool>(), 0i64..9, any::<bool>(), 0..4), 1..60), values in vec(-22i64..24, 1..20),
    ) {
        let number = |number: i64| Decimal::parse(&number.to_string()).expect("a number");
        let bound = |value, inclusive| Some(Bound { value: number(value), inclusive });
        let patterns: Vec<Node> = ranges.into_iter().map(|(low, from, width, to, sides)| {
            let (lower, upper) = (bound(low, from), bound(low + width + 1, to));
            field("x", match sides {
                0 => Predicate::Range { lower, upper: None },
                1 => Predicate::Range { lower: None, upper },
                2 => Predicate::Number(number(low)),
                _ => Predicate::Range { lower, upper },
            })
        }).collect();
        let matcher = matcher(&patterns);
        for value in values {
            let event = format!(r#"{{"x":{value}.0}}"#);
            prop_assert_eq!(ids(&matcher, &event, &mut Scratch::new()), plainly(&patterns, &event), "{}", event);
        }
    }

    #[test]
    fn many_fields_in_arrays_equal_the_plain_evaluator(
        pattern in wide_node(), elements in vec(vec((0usize..9, 0i64..3), 0..6), 0..5), split in 0usize..5,
    ) {
        // Two arrays at one path, by a duplicate key, so that choices in them are independent.
        let object = |members: &Vec<(usize, i64)>| {
            members.iter().map(|&(key, value)| (format!("k{key}"), Json::from(value))).collect::<Json>()
        };
        let (first, second) = elements.split_at(split.min(elements.len()));
        let array = |elements: &[Vec<(usize, i64)>]| Json::from(elements.iter().map(object).collect::<Vec<_>>());
        let event = Json::from_iter([("a".to_owned(), array(first)), ("a".to_owned(), array(second))]).to_string();
        let patterns = [pattern];
        prop_assert_eq!(ids(&matcher(&patterns), &event, &mut Scratch::new()), plainly(&patterns, &event), "{}", event);
    }

    #[test]
    fn more_fields_than_a_word_holds_equal_the_plain_evaluator(
        fields in vec((0usize..5, 0usize..3, wanted()), 7..11), outer in vec((element(), vec(element(), 0..3), 0..4), 0..4),
    ) {
        let paths = ["a.k", "a.b.k", "c.k"];
        let value = |number: i64| Predicate::Number(Decimal::parse(&number.to_string()).expect("a number"));
        let wanted = fields.into_iter().map(|(key, path, wanted)| field(&format!("{}{key}", paths[path]), value(wanted)));
        let pattern = Node::All(wanted.collect());
        let object = |members: &[i64]| -> Vec<(String, Json)> {
            let member = |(key, &value): (usize, &i64)| (format!("k{key}"), Json::from(value));
            members.iter().enumerate().map(member).collect()
        };
        let a = outer.iter().map(|(members, inner, shape)| {
            let objects = || inner.iter().map(|inner| object(inner).into_iter().collect::<Json>());
            let b: Json = match shape {
                0 => object(members).into_iter().collect(),
                1 => Json::from(vec![objects().collect::<Vec<_>>().into()]),
                _ => objects().collect::<Vec<_>>().into(),
            };
            object(members).into_iter().chain([("b".to_owned(), b)]).collect::<Json>()
        });
        let whole = Json::from_iter([
            ("a".to_owned(), a.collect::<Vec<_>>().into()), ("c".to_owned(), object(&[0; 5]).into_iter().collect()),
        ]);
        let event = whole.to_string();
        let patterns = [pattern];
        prop_assert_eq!(ids(&matcher(&patterns), &event, &mut Scratch::new()), plainly(&patterns, &event), "{}", event);
    }

    #[test]
    fn refuses_exactly_what_reading_refuses(
        event in generate::event_texts(), edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..3),
        pattern in generate::nodes(),
    ) {
        let mut bytes = event.into_bytes();
        for (place, byte, edit) in edits {
            let at = place.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"\"\\{}[],:0e\x01\xc3"[usize::from(byte) % 12]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let matcher = matcher(&[pattern]);
        let found = matcher.matching(&bytes, &mut Scratch::new(), &mut Vec::new());
        prop_assert_eq!(found, Json::parse(&bytes).map(drop), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn depth_is_bounded_where_no_pattern_looks() {
    let depth = Limits::DEFAULT.depth;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let none = matcher(&[]);
    assert_eq!(
        none.matching(deep(depth).as_bytes(), &mut Scratch::new(), &mut Vec::new()),
        Ok(())
    );
    let error = none.matching(
        deep(depth + 1).as_bytes(),
        &mut Scratch::new(),
        &mut Vec::new(),
    );
    assert_eq!(error, Json::parse(deep(depth + 1)).map(drop));
    assert!(error.is_err());
}

#[test]
fn a_matcher_that_would_take_too_much_is_refused() {
    let limits = MatcherLimits {
        bytes: 100_000,
        regexp_bytes: 100_000,
        depth: 3,
    };
    let exact = |i: usize| {
        field(
            "x",
            Predicate::Text(TextOp::Equals, format!("{i:0>100}").into()),
        )
    };
    let many: Vec<Node> = (0..10_000).map(exact).collect();
    assert!(Matcher::build_within(&many[..100], limits).is_ok());
    assert!(matches!(
        Matcher::build_within(&many, limits),
        Err(BuildError::TooLarge { limit: 100_000, .. })
    ));
    let regexp = |i: usize| {
        field(
            "x",
            Predicate::Regexp {
                regexp: Regexp(format!("[a-z]{{{i}}}").into()),
                ignoring_case: false,
            },
        )
    };
    let regexps: Vec<Node> = (1..200).map(regexp).collect();
    let refused = Matcher::build_within(&regexps, limits);
    assert!(
        matches!(
            refused,
            Err(BuildError::RegexpsTooLarge { limit: 100_000, .. })
        ),
        "{refused:?}"
    );
    let not = |node| Node::Not(Box::new(node));
    assert!(Matcher::build_within(&[not(not(exact(0)))], limits).is_ok());
    let refused = Matcher::build_within(&[exact(0), not(not(not(exact(0))))], limits);
    assert_eq!(
        refused.err(),
        Some(BuildError::TooDeep {
            pattern: 1,
            limit: 3
        })
    );
}

#[test]
fn stats_count_and_tell_what_is_slow() {
    let exact = |path: &str, text: &str| field(path, Predicate::Text(TextOp::Equals, text.into()));
    let patterns = [
        exact("a", "x"),
        exact("a", "x"),
        Node::All(vec![exact("a", "y"), Node::Not(Box::new(exact("b", "x")))]),
        Node::Not(Box::new(exact("a", "x"))),
        field("c", Predicate::Missing),
        field(
            "a",
            Predicate::Regexp {
                regexp: Regexp("[0-9]+".into()),
                ignoring_case: false,
            },
        ),
    ];
    let stats = matcher(&patterns).stats();
    assert_eq!((stats.patterns, stats.paths, stats.predicates), (6, 3, 4));
    assert_eq!(
        stats.by_kind,
        [("exact string", 3), ("regular expression", 1)]
    );
    assert!(stats.bytes > stats.regexp_bytes && stats.regexp_bytes > 0);
    let slow = [
        Slow::TriedOnEveryEvent { patterns: 1 },
        Slow::TriedOnPresence { patterns: 1 },
        Slow::TriedOnEveryValue { predicates: 1 },
    ];
    assert_eq!(stats.slow, slow);
}

#[test]
fn nothing_is_allocated_once_the_room_is_large_enough() {
    let patterns = [
        r#"{"content": {"result": ["failed", {"prefix": "sus"}, {"suffix": "ed"}, {"anything-but": ["x"]}]}}"#,
        r#"{"content": {"ip": [{"cidr": "10.0.0.0/8"}], "n": [{"numeric": [">", 1, "<=", 5.5]}], "no": [{"exists": false}]}}"#,
        r#"{"content": {"id": [{"wildcard": "eni-*1*z"}, {"contains": "a1b"}, {"prefix": {"equals-ignore-case": "ENI-"}}]}}"#,
        r#"{"a": {"x": [1], "y": [2]}, "$or": [{"b": ["\u00e9"]}, {"content": {"id": [{"regexp": "[a-z]+-[0-9a-z]*"}]}}]}"#,
        r#"{"a": {"k": [1], "l": [1], "m": [1], "n": [1], "o": [1], "p": [1], "q": [1], "r": [1]}}"#,
        r#"{"$not": {"a": {"x": [1]}}}"#,
    ];
    let nodes = patterns.map(|text| {
        Pattern::parse(text, Dialect::Reflexarc)
            .expect("a pattern")
            .node()
            .clone()
    });
    let matcher = matcher(&nodes);
    let element =
        |x: u32| format!(r#"{{"x":{x},"y":2,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":{x}}}"#);
    let elements: Vec<String> = (0..50).map(element).collect();
    let event = format!(
        r#"{{"content":{{"result":"failed","ip":"10.1.2.3","n":2.50e0,"id":"ENI-a1bz"}},"b":"\u00e9","a":[{}]}}"#,
        elements.join(",")
    );
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    matcher
        .matching(event.as_bytes(), &mut scratch, &mut out)
        .expect("an event");
    assert_eq!(out, [0, 1, 2, 3, 4]);
    let counted = allocation_counter::measure(|| {
        for _ in 0..10 {
            matcher
                .matching(event.as_bytes(), &mut scratch, &mut out)
                .expect("an event");
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_matcher_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    fn owned<T: Send>() {}
    shared::<Matcher>();
    owned::<Scratch>();
}

/// The values of an object's keys.
fn element() -> impl Strategy<Value = Vec<i64>> {
    vec(wanted(), 5..6)
}

/// Mostly zero, so that many fields are met together.
fn wanted() -> impl Strategy<Value = i64> {
    prop_oneof![12 => Just(0), 1 => Just(1)]
}

fn field(path: &str, predicate: Predicate) -> Node {
    Node::Field(Field {
        path: Path::from_keys([path]),
        alternatives: vec![Alternative(vec![predicate])],
    })
}

/// Any string test, with texts long enough for grams of every size.
fn long_predicate() -> impl Strategy<Value = Predicate> {
    let text = || "[abAB]{0,20}";
    let op = prop::sample::select(vec![
        TextOp::Equals,
        TextOp::Prefix,
        TextOp::Suffix,
        TextOp::Contains,
    ]);
    let wildcard = (text(), vec("[abAB]{1,17}", 0..3), text(), any::<bool>());
    prop_oneof![
        4 => (op.clone(), text()).prop_map(|(op, text)| Predicate::Text(op, text.into())),
        2 => (op, text()).prop_map(|(op, text)| Predicate::TextIgnoringCase(op, text.into())),
        3 => wildcard.prop_map(|(first, inner, last, ignoring_case)| {
            let pieces = [first].into_iter().chain(inner).chain([last]).map(Into::into).collect();
            Predicate::Wildcard { wildcard: Wildcard { pieces }, ignoring_case }
        }),
        1 => (text(), text(), any::<bool>()).prop_map(|(one, other, ignoring_case)| {
            Predicate::Regexp { regexp: Regexp(format!("{one}[ab]*{other}").into()), ignoring_case }
        }),
    ]
}

/// Up to nine fields of one array and more tests than fit into one word.
fn wide_node() -> impl Strategy<Value = Node> {
    let leaf = (0usize..9, 0i64..3, 0..5).prop_map(|(key, value, kind)| {
        let number = Decimal::parse(&value.to_string()).expect("a number");
        let predicate = match kind {
            0 => Predicate::Missing,
            1 => Predicate::Exists,
            _ => Predicate::Number(number),
        };
        field(&format!("a.k{key}"), predicate)
    });
    leaf.prop_recursive(3, 14, 5, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 1..5).prop_map(Node::All),
            2 => vec(inner.clone(), 1..4).prop_map(Node::Any),
            1 => inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}
