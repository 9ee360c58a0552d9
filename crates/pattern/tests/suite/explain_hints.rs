//! Hints of explanations: one for every common mistake, and none that is not true.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_event::{Json, parse_time};
use reflexarc_pattern::explain::{FieldTest, Hint, Location, Part, Step, Test, explain};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp, naive};

use crate::generate;

fn fields(part: &Part, found: &mut Vec<FieldTest>) {
    match &part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            for part in parts {
                fields(part, found);
            }
        }
        Test::Not { part } => fields(part, found),
        Test::Field(field) => found.push(field.clone()),
    }
}

/// The hints of an expression for an event, one per line.
fn hints(pattern: &str, event: &str) -> String {
    let pattern: Pattern = pattern
        .parse()
        .unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let event = Json::parse(event).expect("valid JSON");
    let mut found = Vec::new();
    fields(&explain(pattern.node(), &event).root, &mut found);
    for field in &found {
        let wrong = field
            .hints
            .iter()
            .find(|hint| !is_true(hint, field, &event));
        assert_eq!(wrong, None, "{pattern:?}");
    }
    let hints: Vec<String> = found
        .iter()
        .flat_map(|field| field.hints.iter().map(ToString::to_string))
        .collect();
    hints.join("\n")
}

/// The hints of each expression for its event.
fn table(cases: &[(&str, &str)]) -> String {
    let row = |(pattern, event): &(&str, &str)| {
        let hints = hints(pattern, event).replace('\n', "\n    ");
        format!("{pattern}  on  {event}\n    {hints}\n")
    };
    cases.iter().map(row).collect()
}

#[test]
fn missing_values_have_a_hint() {
    let cases = [
        (
            r#"resources == "arn:1""#,
            r#"{"resources": [{"ARN": "arn:1"}]}"#,
        ),
        (
            r#"resources == "arn:2""#,
            r#"{"resources": [{"ARN": "arn:1"}]}"#,
        ),
        (
            r#"resources == "arn:1""#,
            r#"{"resources": [[{"ARN": "arn:1"}]]}"#,
        ),
        (r#"resources == "arn:1""#, r#"{"resources": []}"#),
        (r#"resources == "arn:1""#, r#"{"resources": [{}, []]}"#),
        (
            r#"content == "failed""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (r#"content == "x""#, r#"{"content": {"result": "failed"}}"#),
        (r#"content.result == "failed""#, r#"{"content": "failed"}"#),
        (
            r#"content.result == "failed""#,
            r#"{"content": null, "other": {"result": "failed"}}"#,
        ),
        (r#"content.result == "failed""#, r#"{"content": []}"#),
        (
            r#"content.result == "failed""#,
            r#"{"content": ["failed", 1]}"#,
        ),
        (
            r#"content.result == "failed""#,
            r#"{"content": [[{"a": 5}]]}"#,
        ),
        (r#"a.b.c == 1"#, r#"{"a": {"b": 5}}"#),
        (r#"a.b.c == 1"#, r#"{"a": [{"b": 5}]}"#),
        (r#"a.b.c == 1"#, r#"{"a.b": true}"#),
        (r#"body.kind == "x""#, r#"{"body": "{\"kind\": \"x\"}"}"#),
        (
            r#"body.items.kind == "x""#,
            r#"{"body": " [{\"items\": [{\"kind\": \"x\"}]}]"}"#,
        ),
        (r#"body.kind == "x""#, r#"{"body": "{\"other\": 1}"}"#),
        (r#"a.0 == 1"#, r#"{"a": [1, 2]}"#),
        (r#"a.1 == 3"#, r#"{"a": [1, 2]}"#),
        (r#"a.0.b == 1"#, r#"{"a": [{"b": 1}]}"#),
        (r#"a.length > 2"#, r#"{"a": [1, 2]}"#),
        (
            r#"contnet.result == "failed""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (
            r#"content.reslut == "failed""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (
            r#"contnet.reslut == "failed""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (
            r#"data.contnet.result == "x""#,
            r#"{"data": {"content": [{"result": "failed"}]}}"#,
        ),
        (
            r#"Content.Result == "failed""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (
            r#"event.content.result == "x""#,
            r#"{"content": {"result": "failed"}}"#,
        ),
        (r#"a == null"#, "{}"),
        (r#"a != "x""#, "{}"),
    ];
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn operators_as_keys_have_a_hint_where_the_path_is_missing() {
    let cases = [
        (
            r#"{"severity": {"numeric": [">=", 7]}}"#,
            r#"{"severity": 8}"#,
        ),
        (r#"{"severity": {"numeric": [">", 1, "<=", 5]}}"#, "{}"),
        (r#"{"severity": {"gte": [7]}}"#, r#"{"severity": 8}"#),
        (r#"{"a": {"exists": [true]}}"#, r#"{"a": 1}"#),
        (r#"{"a": {"exists": [false]}}"#, "{}"),
        (r#"{"a": {"prefix": ["x", "y"]}}"#, r#"{"a": {"b": "x"}}"#),
        (r#"{"a": {"startsWith": ["x"]}}"#, r#"{"a": "xy"}"#),
        (r#"{"a": {"anything-but": ["x"]}}"#, r#"{"a": "y"}"#),
        (
            r#"{"a": {"anything-but": {"prefix": ["x"]}}}"#,
            r#"{"a": "y"}"#,
        ),
        (
            r#"{"a": {"prefix": ["x"], "suffix": ["y"]}}"#,
            r#"{"a": "xy"}"#,
        ),
        (r#"{"anything-but": ["x"]}"#, "{}"),
        (r#"{"not": {"a": ["x"]}}"#, r#"{"a": "y"}"#),
        (r#"{"a": {"not": {"b": ["x"]}}}"#, r#"{"a": {"b": "y"}}"#),
        (r#"{"or": {"a": ["x"]}}"#, r#"{"a": "x"}"#),
        (
            r#"{"EventPattern": {"source": ["x"]}}"#,
            r#"{"source": "x"}"#,
        ),
        (
            r#"{"EventPattern": {"detail": {"severity": {"numeric": [">=", 7]}}}}"#,
            r#"{"detail": {"severity": 8}}"#,
        ),
        (r#"{"detailType": ["x"]}"#, r#"{"detail-type": "x"}"#),
        (r#"a."exists" == true"#, r#"{"a": 1}"#),
    ];
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn fields_named_like_operators_have_no_hint_of_it() {
    for (pattern, event) in [
        // The event has the path, in one element or another.
        (
            r#"{"a": {"exists": [true]}}"#,
            r#"{"a": {"exists": false}}"#,
        ),
        (
            r#"{"a": {"prefix": ["x"]}}"#,
            r#"{"a": [{"prefix": "y"}, 1]}"#,
        ),
        (r#"{"not": {"a": ["x"]}}"#, r#"{"not": {"a": "y"}}"#),
        (r#"{"detailType": ["x"]}"#, r#"{"detailType": "y"}"#),
        (r#"{"anything-but": ["x"]}"#, r#"{"anything-but": []}"#),
        // The event has it at another place.
        (
            r#"{"content": {"prefix": ["x"]}}"#,
            r#"{"data": {"content": {"prefix": "x"}}}"#,
        ),
        // Its value is no argument of the operator.
        (r#"a.numeric > 5"#, "{}"),
        (r#"a."exists" == "x""#, "{}"),
        (r#"a.b == "prefix""#, "{}"),
    ] {
        let found = hints(pattern, event);
        assert!(
            !found.contains("used as a key") && !found.contains("events have"),
            "{found}"
        );
    }
}

#[test]
fn values_that_nearly_match_have_a_hint() {
    let cases = [
        (r#"a == "failed""#, r#"{"a": "Failed"}"#),
        (r#"a == "failed""#, r#"{"a": " failed"}"#),
        (r#"a == "failed ""#, r#"{"a": "failed"}"#),
        (r#"a == "\tfailed""#, r#"{"a": "failed"}"#),
        (r#"a starts with " fail""#, r#"{"a": "failed"}"#),
        (r#"a == "failed""#, r#"{"a": "failed\u00a0"}"#),
        (r#"a == "has failed""#, r#"{"a": "has\u00a0failed"}"#),
        (r#"a == "failed""#, r#"{"a": "fail\u200bed"}"#),
        (r#"a == "failed""#, "{\"a\": \"\u{feff}failed\"}"),
        (r#"a == "failed""#, "{\"a\": \"f\u{430}iled\"}"),
        (r#"a contains "eni-1""#, "{\"a\": \"x eni\u{2010}1\"}"),
        (r#"a == "café""#, "{\"a\": \"cafe\u{301}\"}"),
        ("a == \"cafe\u{301}\"", r#"{"a": "café"}"#),
        (r#"a starts with "café""#, "{\"a\": \"cafe\u{301} x\"}"),
        (r#"a matches "fail""#, r#"{"a": "failed"}"#),
        (r#"a matches "ailed|x""#, r#"{"a": "has failed"}"#),
        (r#"a matches "eni-*""#, r#"{"a": "eni-bp1"}"#),
        (r#"a like "fail""#, r#"{"a": "failed"}"#),
        (r#"a like "%fail%""#, r#"{"a": "has failed"}"#),
        (r#"a like "eni-?""#, r#"{"a": "eni-1"}"#),
        (r#"a == "eni-*""#, r#"{"a": "eni-1"}"#),
        (r#"a starts with "eni-*""#, r#"{"a": "eni-1"}"#),
        (r#"a ends with "*.jpg""#, r#"{"a": "x.jpg"}"#),
        (r#"a == "^eni-.*$""#, r#"{"a": "eni-1"}"#),
        (
            r#"a == "NetworkInterface""#,
            r#"{"a": "NetworkInterface:Attach"}"#,
        ),
        (r#"a == "eni-1""#, r#"{"a": "arn:acs:ecs:eni/eni-1"}"#),
        (r#"a (starts with "e" and == "eni-*")"#, r#"{"a": "eni-1"}"#),
        (r#"a == 5"#, r#"{"a": "5"}"#),
        (r#"a == "5""#, r#"{"a": 5}"#),
        (r#"a > 5"#, r#"{"a": "7"}"#),
        (r#"a == true"#, r#"{"a": "true"}"#),
        (r#"a == "true""#, r#"{"a": true}"#),
        (r#"a == null"#, r#"{"a": "null"}"#),
        (r#"a is missing"#, r#"{"a": null}"#),
        (r#"a in cidr "10.0.0.0/16""#, r#"{"a": "10.1.0.1"}"#),
        (r#"a in cidr "10.0.0.0/16""#, r#"{"a": "2001:db8::1"}"#),
        (r#"a in cidr "10.0.0.0/16""#, r#"{"a": "10.0.0.1:443"}"#),
        (r#"a in cidr "10.0.0.0/16""#, r#"{"a": "10.0.0.1/32"}"#),
        (
            r#"a in cidr "2001:db8::/32""#,
            r#"{"a": "[2001:db8::1]:80"}"#,
        ),
        (r#"a in cidr "10.0.0.0/16""#, r#"{"a": "host-1"}"#),
        (
            r#"a == "2024-01-01T00:00:00Z""#,
            r#"{"a": "2024-01-01T08:00:00+08:00"}"#,
        ),
        (
            r#"a == "2019-04-09T12:18:26.922+08:00""#,
            r#"{"a": "20190409T121826.922+0800"}"#,
        ),
        (r#"a == "failed""#, r#"{"a": "accomplished"}"#),
    ];
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn long_lists_are_cut_with_the_number_of_the_others() {
    let values: Vec<String> = (0..200).map(|n| format!("\"v{n}\"")).collect();
    let values = values.join(", ");
    let event = Json::parse(r#"{"a": "x", "b": "v1"}"#).expect("valid JSON");
    for pattern in [
        format!("a in [{values}]"),
        format!("b not in [{values}]"),
        format!("a starts with [{values}] ignoring case"),
        format!("a (in [{values}] or > 5)"),
    ] {
        let pattern: Pattern = pattern.parse().expect("valid");
        let explanation = explain(pattern.node(), &event);
        let text = explanation.render(true);
        assert!(
            text.contains(r#""v7", … 19"#) && text.contains(" more"),
            "{text}"
        );
        assert!(
            text.len() < 500 && explanation.to_json().to_string().len() < 800,
            "{text}"
        );
    }
    let long: Pattern = format!("a == \"{}\"", "x".repeat(5_000))
        .parse()
        .expect("valid");
    assert!(explain(long.node(), &event).render(true).len() < 1_500);
}

/// Whether the event bears out what the hint says.
fn is_true(hint: &Hint, field: &FieldTest, event: &Json) -> bool {
    let matches = |expression: &str| match expression.parse::<Pattern>() {
        Ok(pattern) => naive::matches(pattern.node(), event),
        Err(error) => panic!("{expression}: {error}"),
    };
    let scalar = |json: &Json| json.members().is_empty() && json.elements().is_empty();
    let text = || match field
        .nearest
        .as_ref()
        .and_then(|near| at(event, &near.found.location))
    {
        Some(Json::String(text)) => text.clone(),
        other => panic!("{hint:?}: {other:?}"),
    };
    match hint {
        Hint::OtherPath(location) | Hint::KeyCase(location) | Hint::SimilarKey(location) => {
            at(event, location)
                .is_some_and(|value| scalar(value) || value.elements().iter().any(scalar))
        }
        Hint::NoKeys { location, .. } => at(event, location)
            .is_some_and(|value| value.members().is_empty() && value.elements().iter().all(scalar)),
        Hint::JsonInText(location) => match at(event, location) {
            Some(Json::String(text)) => Json::parse(text.trim()).is_ok(),
            _ => false,
        },
        Hint::WouldMatch { condition, .. } => matches(condition),
        // The path is missing, and what is written instead is another condition.
        Hint::SyntaxAsKey {
            help, condition, ..
        } => {
            let exists = format!("{} exists", expression_of(&field.path));
            let is_other = condition.as_ref().is_none_or(|condition| {
                matches(condition);
                *condition != field.expected
            });
            !matches(&exists) && !help.is_empty() && is_other
        }
        Hint::NoIndex(path) | Hint::NoLength(path) => matches(&format!("{path} exists")),
        Hint::ValueCase => {
            let near = field.nearest.as_ref().expect("a value");
            matches(&format!("{} ignoring case", near.expected))
        }
        Hint::SurroundingWhitespace => text() != text().trim(),
        Hint::SpecialCharacter {
            character,
            in_value: true,
            ..
        } => text().contains(*character),
        Hint::SpecialCharacter { character, .. } => {
            field.expected.contains(*character) && !text().contains(*character)
        }
        Hint::Normalization => !text().is_ascii(),
        Hint::SameTime => parse_time(&text()).is_ok(),
        Hint::OutsideNetwork(first, last) => {
            let address = reflexarc_event::parse_address(&text()).expect("an address");
            address < *first || *last < address
        }
        Hint::NotAnAddress | Hint::AddressWith(_) => {
            reflexarc_event::parse_address(&text()).is_none()
        }
        Hint::MissingIsNotNull
        | Hint::AnythingButNeedsValue
        | Hint::EmptyContainer
        | Hint::IsObject(_)
        | Hint::ElementsAreObjects(_) => field.count == 0,
        Hint::NullIsNotMissing => field
            .nearest
            .as_ref()
            .is_some_and(|near| near.found.value == "null"),
        _ => true,
    }
}

/// The path as it is written in an expression.
fn expression_of(path: &Path) -> String {
    let field = Field {
        path: path.clone(),
        alternatives: vec![Alternative(vec![Predicate::Exists])],
    };
    let text = Pattern::from_node(Node::Field(field)).to_expression();
    text.trim_end_matches(" exists").to_owned()
}

fn at<'j>(event: &'j Json, Location(steps): &Location) -> Option<&'j Json> {
    steps.iter().try_fold(event, |value, step| match step {
        Step::Member { key, occurrence } => {
            let mut members = value.members().iter().filter(|(other, _)| other == key);
            Some(&members.nth(*occurrence)?.1)
        }
        Step::Element(index) => value.elements().get(*index),
    })
}

const NEAR: [&str; 26] = [
    "failed",
    "Failed",
    " failed",
    "failed ",
    "fail\u{200b}ed",
    "f\u{430}iled",
    "has failed",
    "has\u{a0}failed",
    "fail",
    "fail*",
    "fail%",
    "*ed",
    "^fail.*",
    "fail|x",
    "caf\u{e9}",
    "cafe\u{301}",
    "2024-01-01T00:00:00Z",
    "20240101T000000Z",
    "10.0.0.1",
    "10.0.0.1:80",
    "10.0.0.0/8",
    "::1",
    "5",
    "true",
    "{\"b\": [{\"c\": \"failed\"}]}",
    "",
];

fn near_predicates() -> impl Strategy<Value = Predicate> {
    let ops = [
        TextOp::Equals,
        TextOp::Equals,
        TextOp::Prefix,
        TextOp::Suffix,
        TextOp::Contains,
    ];
    let text = (select(ops.to_vec()), select(&NEAR[..]))
        .prop_map(|(op, text)| Predicate::Text(op, text.into()));
    let parsed = (
        select(&["like", "matches", "in cidr", "!="][..]),
        select(&NEAR[..]),
    )
        .prop_filter_map("a valid operand", |(operator, text)| {
            let pattern: Pattern = format!("a {operator} {}", Json::from(text)).parse().ok()?;
            match pattern.node() {
                Node::Field(field) => Some(field.alternatives[0].0[0].clone()),
                _ => None,
            }
        });
    prop_oneof![2 => text, 2 => parsed, 1 => generate::predicate()]
}

fn near_fields() -> impl Strategy<Value = Node> {
    let paths = [
        "a",
        "a.b",
        "a.0",
        "a.length",
        "aaa.bbb",
        "aaa.bbc",
        "A.b",
        "a.b.c",
        "event.a",
        "a.prefix",
        "a.exists",
        "not.a",
        "EventPattern.a",
        "detailType",
    ];
    let alternative = vec(near_predicates(), 1..3).prop_map(Alternative);
    (select(paths.to_vec()), vec(alternative, 1..3)).prop_map(|(path, alternatives)| {
        let path = Path::from_keys(path.split('.'));
        Node::Field(Field { path, alternatives })
    })
}

fn near_events() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        6 => select(&NEAR[..]).prop_map(Json::from),
        1 => Just(Json::Null),
        1 => Just(Json::Bool(true)),
        1 => Just(Json::Number("5".into())),
    ];
    let value = scalar.prop_recursive(3, 12, 3, |inner| {
        let keys = ["a", "b", "c", "aab", "bbb", "bbc", "length", "prefix"];
        let object = vec((select(keys.to_vec()), inner.clone()), 0..3).prop_map(|members| {
            members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()
        });
        prop_oneof![1 => vec(inner, 0..3).prop_map(Json::Array), 2 => object]
    });
    let keys = ["a", "aab", "A", "aaa.bbb", "not"];
    vec((select(keys.to_vec()), value), 1..3).prop_map(|members| {
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

proptest! {
    #[test]
    fn every_hint_is_true(
        node in prop_oneof![
            near_fields(),
            vec(near_fields(), 2..4).prop_map(Node::All),
            generate::nodes(),
        ],
        event in prop_oneof![near_events(), generate::events()],
    ) {
        let explanation = explain(&node, &event);
        prop_assert_eq!(explanation.matched(), naive::matches(&node, &event));
        let mut found = Vec::new();
        fields(&explanation.root, &mut found);
        for field in &found {
            for hint in &field.hints {
                let shown = explanation.render(true);
                prop_assert!(is_true(hint, field, &event), "{hint:?}\n{shown}");
            }
        }
    }
}
