//! The matcher agrees with the reference evaluator, for any set of patterns at once, and rejects
//! invalid JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_event::{Event, Json, Limits, NativeEvent};
use reflexarc_pattern::matcher::{MatcherLimits, Slow};
use reflexarc_pattern::tree::{Bound, Regexp, Wildcard};
use reflexarc_pattern::{
    Alternative, BuildError, Decimal, Dialect, Field, Matcher, Node, Path, Pattern, Predicate,
    Scratch, SearchBudget, TextOp, naive,
};

use crate::generate;

fn matcher(patterns: &[Node]) -> Matcher {
    Matcher::build(patterns).expect("few patterns")
}

/// The ids by every way to match an event, which all agree.
fn ids(matcher: &Matcher, event: &str, scratch: &mut Scratch) -> Vec<u32> {
    let mut ids = vec![7];
    matcher
        .matching_bytes(event.as_bytes(), scratch, &mut ids)
        .expect("valid JSON");
    let any = matcher.has_match_bytes(event.as_bytes(), scratch);
    assert_eq!(any, Ok(!ids.is_empty()));
    let event = Event::from_json(event).expect("an object");
    let mut validated = vec![7];
    matcher.matching(&event, scratch, &mut validated);
    assert_eq!(validated, ids, "{event:?}");
    assert_eq!(matcher.has_match(&event, scratch), !ids.is_empty());
    let mut native = vec![7];
    let limits = &Limits::DEFAULT;
    match matcher.matching_native(event.bytes(), limits, scratch, &mut native) {
        Some(()) => {
            let unchanged = NativeEvent::new(event.clone()).expect("one event");
            assert_eq!(unchanged.bytes(), event.bytes());
            assert_eq!(native, ids, "{event:?}");
        }
        None => assert!(native.is_empty()),
    }
    ids
}

fn reference(patterns: &[Node], event: &str) -> Vec<u32> {
    let event = Json::parse(event).expect("valid JSON");
    (0..)
        .zip(patterns)
        .filter(|(_, pattern)| naive::matches(pattern, &event))
        .map(|(id, _)| id)
        .collect()
}

/// The matcher's answer equals that of the reference evaluator.
fn agrees(matcher: &Matcher, patterns: &[Node], event: &str) -> Result<(), TestCaseError> {
    let found = ids(matcher, event, &mut Scratch::new());
    prop_assert_eq!(found, reference(patterns, event), "{}", event);
    Ok(())
}

fn number(number: i64) -> Decimal {
    number.to_string().parse().expect("a number")
}

fn object_of(members: impl IntoIterator<Item = (&'static str, Json)>) -> String {
    let owned = |(key, value): (&str, Json)| (key.to_owned(), value);
    members.into_iter().map(owned).collect::<Json>().to_string()
}

proptest! {
    #[test]
    fn agrees_with_the_reference_evaluator(
        patterns in vec(generate::nodes(), 1..12), events in vec(generate::event_texts(), 1..6),
    ) {
        let all = matcher(&patterns);
        // One scratch for all events: what an earlier one left there must not matter.
        let mut scratch = Scratch::new();
        for event in &events {
            let found = ids(&all, event, &mut scratch);
            prop_assert_eq!(found, reference(&patterns, event), "{}", event);
        }
        for pattern in &patterns {
            let alone = Matcher::build([pattern]).expect("one pattern");
            for event in &events {
                agrees(&alone, std::slice::from_ref(pattern), event)?;
            }
        }
    }

    #[test]
    fn many_predicates_on_one_long_text_agree(
        predicates in vec(long_predicate(), 1..60), values in vec("[abAB]{0,48}", 1..8),
    ) {
        let patterns: Vec<Node> = predicates.into_iter().map(|one| field("x", one)).collect();
        let matcher = matcher(&patterns);
        for value in &values {
            agrees(&matcher, &patterns, &object_of([("x", Json::from(value.as_str()))]))?;
        }
        let all: Vec<Json> = values.iter().map(|value| Json::from(value.as_str())).collect();
        agrees(&matcher, &patterns, &object_of([("x", Json::from(all))]))?;
    }

    #[test]
    fn many_ranges_and_numbers_agree(
        ranges in vec((-20i64..20, any::<bool>(), 0i64..9, any::<bool>(), 0..4), 1..60),
        values in vec(-22i64..24, 1..20),
    ) {
        let bound = |value, inclusive| Some(Bound { value: number(value), inclusive });
        let predicate = |(low, from, width, to, sides)| {
            let (lower, upper) = (bound(low, from), bound(low + width + 1, to));
            match sides {
                0 => Predicate::Range { lower, upper: None },
                1 => Predicate::Range { lower: None, upper },
                2 => Predicate::Number(number(low)),
                _ => Predicate::Range { lower, upper },
            }
        };
        let patterns: Vec<Node> =
            ranges.into_iter().map(|range| field("x", predicate(range))).collect();
        let matcher = matcher(&patterns);
        for value in values {
            agrees(&matcher, &patterns, &format!(r#"{{"x":{value}.0}}"#))?;
        }
    }

    #[test]
    fn many_fields_in_arrays_agree(
        pattern in wide_node(), elements in vec(vec((0usize..9, 0i64..3), 0..6), 0..5),
        split in 0usize..5,
    ) {
        // Two arrays at one path, by a duplicate key, so that choices in them are independent.
        let member = |&(key, value): &(usize, i64)| (format!("k{key}"), Json::from(value));
        let object = |members: &Vec<_>| members.iter().map(member).collect::<Json>();
        let (first, second) = elements.split_at(split.min(elements.len()));
        let [first, second] =
            [first, second].map(|part| Json::from(part.iter().map(object).collect::<Vec<_>>()));
        let patterns = [pattern];
        agrees(&matcher(&patterns), &patterns, &object_of([("a", first), ("a", second)]))?;
    }

    #[test]
    fn conjunctions_of_more_than_six_fields_agree(
        fields in vec((0usize..5, 0usize..3, wanted()), 7..11),
        outer in vec((element(), vec(element(), 0..3), 0..4), 0..4),
    ) {
        let paths = ["a.k", "a.b.k", "c.k"];
        let fields = fields.into_iter().map(|(key, path, wanted)| {
            field(&format!("{}{key}", paths[path]), Predicate::Number(number(wanted)))
        });
        let pattern = Node::All(fields.collect());
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
        let c = object(&[0; 5]).into_iter().collect::<Json>();
        let patterns = [pattern];
        let event = object_of([("a", a.collect::<Vec<_>>().into()), ("c", c)]);
        agrees(&matcher(&patterns), &patterns, &event)?;
    }

    #[test]
    fn rejects_exactly_what_the_parser_rejects(
        event in generate::event_texts(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..3),
        pattern in generate::nodes(),
    ) {
        let mut bytes = event.into_bytes();
        for (position, byte, edit) in edits {
            let at = position.index(bytes.len());
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
        let found = matcher.matching_bytes(&bytes, &mut Scratch::new(), &mut Vec::new());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(found, Json::parse(&bytes).map(drop), "{}", text);
    }
}

#[test]
fn undecided_rules_do_not_try_equivalent_choices() {
    // Seven independent arrays: trying all combinations of their elements would not end.
    let mut parts: Vec<String> = (0..7).map(|i| format!("(x{i}.v == 1 or z == 1)")).collect();
    parts.push("not (y.v == 1 and y.w == 1)".to_owned());
    let text = parts.join(" and ");
    let pattern = Pattern::parse(&text, Dialect::Reflexarc).expect("a pattern");
    let patterns = [pattern.node().clone()];
    let list = vec![r#"{"v":1}"#; 50].join(",");
    let arrays: Vec<String> = (0..7).map(|i| format!(r#""x{i}":[{list}]"#)).collect();
    let arrays = arrays.join(",");
    for (w, expected) in [(1, vec![]), (2, vec![0])] {
        let event = format!(r#"{{{arrays},"y":[{{"v":1,"w":{w}}}]}}"#);
        let found = ids(&matcher(&patterns), &event, &mut Scratch::new());
        assert_eq!(found, expected);
    }
}

#[test]
fn validated_events_may_be_deeper_than_the_default() {
    let depth = Limits::DEFAULT.depth + 10;
    let deep = format!(
        r#"{{"x":{}1{},"y":"z"}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    let limits = Limits {
        depth: depth + 1,
        ..Limits::DEFAULT
    };
    let event = Event::from_json_within(deep, &limits).expect("within the limits");
    let exact = |path, value| field(path, Predicate::Text(TextOp::Equals, value));
    let patterns = [
        field("x", Predicate::Number(number(1))),
        exact("y", "z".into()),
        exact("y", "x".into()),
    ];
    let (matcher, mut scratch, mut found) = (matcher(&patterns), Scratch::new(), Vec::new());
    matcher.matching(&event, &mut scratch, &mut found);
    assert_eq!(found, [0, 1]);
    let error = matcher.matching_bytes(event.bytes(), &mut scratch, &mut found);
    assert!(error.is_err() && found.is_empty());
}

#[test]
fn depth_is_limited_in_unused_parts() {
    let depth = Limits::DEFAULT.depth;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let none = matcher(&[]);
    assert_eq!(
        none.matching_bytes(deep(depth).as_bytes(), &mut Scratch::new(), &mut Vec::new()),
        Ok(())
    );
    let error = none.matching_bytes(
        deep(depth + 1).as_bytes(),
        &mut Scratch::new(),
        &mut Vec::new(),
    );
    assert_eq!(error, Json::parse(deep(depth + 1)).map(drop));
    assert!(error.is_err());
}

#[test]
fn a_matcher_beyond_its_limits_is_an_error() {
    let limits = MatcherLimits {
        bytes: 100_000,
        regexp_bytes: 100_000,
        depth: 3,
        ..MatcherLimits::DEFAULT
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
    let error = Matcher::build_within(&regexps, limits);
    assert!(
        matches!(
            error,
            Err(BuildError::RegexpsTooLarge { limit: 100_000, .. })
        ),
        "{error:?}"
    );
    let not = |node| Node::Not(Box::new(node));
    assert!(Matcher::build_within(&[not(not(exact(0)))], limits).is_ok());
    let error = Matcher::build_within(&[exact(0), not(not(not(exact(0))))], limits);
    assert_eq!(
        error.err(),
        Some(BuildError::TooDeep {
            pattern: 1,
            limit: 3
        })
    );
}

#[test]
fn stats_count_and_report_what_is_slow() {
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
fn matching_does_not_allocate_once_buffers_have_grown() {
    let patterns = [
        r#"content.result (== "failed" or starts with "sus" or ends with "ed" or != "x")"#,
        r#"content.ip in cidr "10.0.0.0/8" and 1 < content.n <= 5.5 and content.no is missing"#,
        r#"content.id (like "eni-*1*z" or contains "a1b" or starts with "ENI-" ignoring case)"#,
        r#"a.x == 1 and a.y == 2 and (b == "é" or content.id matches "[a-z]+-[0-9a-z]*")"#,
        "a.k == 1 and a.l == 1 and a.m == 1 and a.n == 1 and a.o == 1 and a.p == 1 \
         and a.q == 1 and a.r == 1",
        r#"not (a.x == 1)"#,
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
    let content = r#"{"result":"failed","ip":"10.1.2.3","n":2.50e0,"id":"ENI-a1bz"}"#;
    let elements = elements.join(",");
    let text = format!(r#"{{"content":{content},"b":"\u00e9","a":[{elements}]}}"#);
    let event = Event::from_json(text).expect("an event");
    let (mut scratch, mut found) = (Scratch::new(), Vec::new());
    matcher.matching(&event, &mut scratch, &mut found);
    assert_eq!(found, [0, 1, 2, 3, 4]);
    let counted = allocation_counter::measure(|| {
        for _ in 0..10 {
            matcher.matching(&event, &mut scratch, &mut found);
            let valid = matcher.matching_bytes(event.bytes(), &mut scratch, &mut found);
            assert!(valid.is_ok());
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

/// Mostly zero, so that many fields are satisfied together.
fn wanted() -> impl Strategy<Value = i64> {
    prop_oneof![12 => Just(0), 1 => Just(1)]
}

fn field(path: &str, predicate: Predicate) -> Node {
    Node::Field(Field {
        path: Path::from_keys([path]),
        alternatives: vec![Alternative(vec![predicate])],
    })
}

/// Any string predicate, with texts long enough for grams of every size.
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

/// Up to nine fields of one array, more than fit into one word.
fn wide_node() -> impl Strategy<Value = Node> {
    let leaf = (0usize..9, 0i64..3, 0..5).prop_map(|(key, value, kind)| {
        let predicate = match kind {
            0 => Predicate::Missing,
            1 => Predicate::Exists,
            _ => Predicate::Number(number(value)),
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

/// Fields in this many arrays, and two in another array that no element has both of.
pub(crate) fn independent_arrays(arrays: usize, elements: usize) -> (Pattern, String) {
    let pairs = (0..arrays).map(|i| format!("a{i}.x == 1 and a{i}.y == 1"));
    let filter = format!(
        "not ({} and z.x == 1 and z.y == 1)",
        pairs.collect::<Vec<_>>().join(" and ")
    );
    let both = vec![r#"{"x": 1, "y": 1}"#; elements].join(", ");
    let mut event: Vec<_> = (0..arrays)
        .map(|i| format!(r#""a{i}": [{both}]"#))
        .collect();
    let one = [
        vec![r#"{"x": 1}"#; elements + 1],
        vec![r#"{"y": 1}"#; elements + 1],
    ]
    .concat();
    event.push(format!(r#""z": [{}]"#, one.join(", ")));
    (
        filter.parse().expect("a filter"),
        format!("{{{}}}", event.join(", ")),
    )
}

/// Without the limit this takes hours, on an event of 2 KB.
#[test]
fn a_search_without_end_leaves_the_pattern_undecided() {
    let (pattern, event) = independent_arrays(8, 20);
    let other: Pattern = "a0.x == 1".parse().expect("a filter");
    let matcher = matcher(&[other.node().clone(), pattern.node().clone()]);
    let event = Event::from_json(event).expect("an object");
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    matcher.matching(&event, &mut scratch, &mut ids);
    assert_eq!((ids.as_slice(), scratch.undecided()), (&[0][..], &[1][..]));
    // Nothing of it is left for the next event.
    matcher.matching(
        &Event::from_json("{}").expect("an object"),
        &mut scratch,
        &mut ids,
    );
    assert_eq!((ids.as_slice(), scratch.undecided()), (&[1][..], &[][..]));
    let (pattern, event) = independent_arrays(2, 3);
    equals_reference(pattern.node(), &event);
}

fn equals_reference(pattern: &Node, event: &str) {
    let patterns = [pattern.clone()];
    assert_eq!(
        ids(&matcher(&patterns), event, &mut Scratch::new()),
        reference(&patterns, event)
    );
}

/// Refuses one pattern and counts the searches of the others.
struct Refusing(u32, std::cell::RefCell<Vec<(bool, u32)>>);

impl SearchBudget for Refusing {
    fn begin(&self, pattern: u32) -> bool {
        self.1.borrow_mut().push((true, pattern));
        pattern != self.0
    }

    fn end(&self, pattern: u32) {
        self.1.borrow_mut().push((false, pattern));
    }
}

#[test]
fn a_budget_decides_about_searches_only() {
    let (searched, event) = independent_arrays(3, 2);
    let simple: Pattern = "a0.x == 1".parse().expect("a filter");
    let nodes = [
        searched.node().clone(),
        simple.node().clone(),
        searched.node().clone(),
    ];
    let matcher = matcher(&nodes);
    let event = Event::from_json(event).expect("an object");
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    let budget = Refusing(2, std::cell::RefCell::default());
    matcher.matching_within(&event, &budget, &mut scratch, &mut ids);
    assert_eq!(
        (ids.as_slice(), scratch.undecided()),
        (&[0, 1][..], &[2][..])
    );
    let mut calls = budget.1.into_inner();
    calls.sort_unstable_by_key(|(begins, pattern)| (*pattern, !*begins));
    assert_eq!(calls, [(true, 0), (false, 0), (true, 2)]);
}

proptest! {
    /// A search that ends within its limit has the result of one without.
    #[test]
    fn decided_searches_equal_the_reference(
        patterns in vec(generate::nodes(), 1..4),
        event in generate::events(),
        search_steps in 0_usize..300,
    ) {
        let limits = MatcherLimits { search_steps, ..MatcherLimits::DEFAULT };
        let matcher = Matcher::build_within(&patterns, limits).expect("few patterns");
        let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
        let text = event.to_string();
        matcher.matching_bytes(text.as_bytes(), &mut scratch, &mut ids).expect("valid JSON");
        let undecided = scratch.undecided();
        let decided = |id: &u32| !undecided.contains(id);
        let expected: Vec<u32> = reference(&patterns, &text).into_iter().filter(decided).collect();
        prop_assert_eq!(ids, expected);
    }
}
