//! The meaning of patterns, case by case, and laws that hold for every pattern and event.

use proptest::prelude::*;
use reflexarc_event::Json;
use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate, TextOp, naive};

use crate::generate;

fn field(path: &str, alternatives: Vec<Predicate>) -> Node {
    let alternatives = alternatives
        .into_iter()
        .map(|predicate| Alternative(vec![predicate]))
        .collect();
    Node::Field(Field {
        path: Path::from_keys([path]),
        alternatives,
    })
}

fn number(path: &str, text: &str) -> Node {
    field(
        path,
        vec![Predicate::Number(text.parse().expect("a number"))],
    )
}

fn text(path: &str, text: &str) -> Node {
    field(path, vec![Predicate::Text(TextOp::Equals, text.into())])
}

fn missing(path: &str) -> Node {
    field(path, vec![Predicate::Missing])
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn matches(node: &Node, event: &str) -> bool {
    naive::matches(node, &Json::parse(event).expect("valid JSON"))
}

#[test]
fn dotted_and_nested_keys_are_one_path() {
    for event in [r#"{"a":{"b":"x"}}"#, r#"{"a.b":"x"}"#] {
        assert!(matches(&text("a.b", "x"), event));
    }
    assert!(matches(&text("a.b.c", "x"), r#"{"a.b":{"c":"x"}}"#));
    assert!(!matches(&text("a.b", "x"), r#"{"a.bc":"x"}"#));
}

#[test]
fn empty_keys_are_ordinary() {
    assert!(matches(&text("a.", "x"), r#"{"a":{"":"x"}}"#));
    assert!(matches(&text(".a", "x"), r#"{"":{"a":"x"}}"#));
    assert!(!matches(&text(".a", "x"), r#"{"a":"x"}"#));
    assert!(matches(&text("", "x"), r#"{"":"x"}"#));
}

#[test]
fn every_value_of_a_duplicate_key_counts() {
    let both = Node::All(vec![text("a", "x"), text("a", "y")]);
    assert!(matches(&both, r#"{"a":"x","a":"y"}"#));
    let members = Node::All(vec![number("a.b", "1"), number("a.c", "2")]);
    assert!(matches(&members, r#"{"a":{"b":1},"a":{"c":2}}"#));
}

#[test]
fn fields_under_one_array_of_objects_need_one_element() {
    let pattern = Node::All(vec![number("a.b", "1"), number("a.c", "2")]);
    assert!(matches(&pattern, r#"{"a":[{"b":9},{"b":1,"c":2}]}"#));
    assert!(!matches(&pattern, r#"{"a":[{"b":1},{"c":2}]}"#));
    assert!(!matches(&pattern, r#"{"a":[[{"b":1}],[{"c":2}]]}"#));
    assert!(!matches(&pattern, r#"{"a":[[{"b":1},{"c":2}]]}"#));
    assert!(matches(&pattern, r#"{"a":[[{"b":1,"c":2}]]}"#));
}

#[test]
fn scalar_elements_are_not_tied_to_their_array() {
    let pattern = Node::All(vec![text("a", "x"), number("a.b", "2")]);
    assert!(matches(&pattern, r#"{"a":["x",{"b":2}]}"#));
    assert!(!matches(&pattern, r#"{"a":[["x"],{"b":2}]}"#));
}

#[test]
fn every_combination_of_elements_is_tried() {
    let pattern = Node::All(vec![
        number("a.b", "1"),
        number("a.c", "2"),
        number("a.d", "3"),
    ]);
    assert!(matches(
        &pattern,
        r#"{"a":[{"b":1,"c":2},{"b":1,"d":3},{"b":1,"c":2,"d":3}]}"#
    ));
    assert!(!matches(
        &pattern,
        r#"{"a":[{"b":1,"c":2},{"b":1,"d":3},{"c":2,"d":3}]}"#
    ));
}

#[test]
fn empty_containers_count_as_missing() {
    for event in [
        "{}",
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":[{}]}"#,
        r#"{"a":[[]]}"#,
        r#"{"a":{"b":1}}"#,
    ] {
        assert!(matches(&missing("a"), event), "{event}");
        assert!(
            !matches(&field("a", vec![Predicate::Exists]), event),
            "{event}"
        );
        let other = Predicate::AnythingBut(vec![Predicate::Text(TextOp::Equals, "x".into())]);
        assert!(!matches(&field("a", vec![other]), event), "{event}");
    }
    assert!(!matches(&missing("a"), r#"{"a":null}"#));
}

#[test]
fn missing_is_evaluated_after_the_other_fields_have_chosen() {
    let event = r#"{"a":[{"b":1},{"c":1}]}"#;
    assert!(matches(
        &Node::All(vec![missing("a.b"), number("a.c", "1")]),
        event
    ));
    assert!(matches(
        &Node::All(vec![number("a.c", "1"), missing("a.b")]),
        event
    ));
    assert!(!matches(&missing("a.b"), event));
    let either = field("a.b", vec![Predicate::Missing, Predicate::Null]);
    assert!(matches(&Node::All(vec![either, number("a.c", "1")]), event));
}

#[test]
fn independent_arrays_are_searched_separately() {
    let array = format!("[{}]", vec![r#"{"x":1}"#; 300].join(","));
    let event = format!(r#"{{"a":{array},"b":{array},"c":{array},"d":{array},"e":1}}"#);
    let fields: Vec<Node> = ["a.x", "b.x", "c.x", "d.x"]
        .iter()
        .map(|path| number(path, "1"))
        .collect();
    assert!(matches(&Node::All(fields.clone()), &event));
    assert!(!matches(
        &Node::All([fields, vec![missing("e")]].concat()),
        &event
    ));
}

#[test]
fn not_is_about_all_values_and_anything_but_about_one() {
    let differs = field(
        "a",
        vec![Predicate::AnythingBut(vec![Predicate::Text(
            TextOp::Equals,
            "x".into(),
        )])],
    );
    let denies = not(text("a", "x"));
    assert!(matches(&differs, r#"{"a":["x","y"]}"#) && !matches(&denies, r#"{"a":["x","y"]}"#));
    assert!(!matches(&differs, "{}") && matches(&denies, "{}"));
    let within = Node::All(vec![number("a.c", "1"), not(number("a.b", "1"))]);
    assert!(matches(&within, r#"{"a":[{"b":1},{"c":1}]}"#));
    assert!(!matches(&within, r#"{"a":[{"b":1,"c":1},{"c":2}]}"#));
}

#[test]
fn a_branch_of_any_shares_the_choice_of_its_siblings() {
    let either = Node::Any(vec![number("a.b", "1"), number("a.b", "2")]);
    let pattern = Node::All(vec![either, number("a.c", "3")]);
    assert!(matches(&pattern, r#"{"a":[{"b":1},{"b":2,"c":3}]}"#));
    assert!(!matches(&pattern, r#"{"a":[{"b":1},{"b":2},{"c":3}]}"#));
}

#[test]
fn one_value_satisfies_all_predicates_of_an_alternative() {
    let prefix = |op, text: &str| Predicate::Text(op, text.into());
    let both = Alternative(vec![
        prefix(TextOp::Prefix, "a"),
        prefix(TextOp::Suffix, "b"),
    ]);
    let node = Node::Field(Field {
        path: Path::from_keys(["a"]),
        alternatives: vec![both],
    });
    assert!(matches(&node, r#"{"a":["x","ab"]}"#));
    assert!(!matches(&node, r#"{"a":["a","b"]}"#));
}

#[test]
fn an_event_that_is_not_an_object_has_no_fields() {
    for event in [r#"[{"a":"x"}]"#, "1", "null"] {
        assert!(!matches(&text("a", "x"), event) && matches(&missing("a"), event));
    }
    assert!(matches(&Node::All(vec![]), "{}") && !matches(&Node::Any(vec![]), "{}"));
}

proptest! {
    #[test]
    fn either_a_pattern_or_its_negation_matches(
        node in generate::nodes(), event in generate::events(),
    ) {
        prop_assert_ne!(naive::matches(&node, &event), naive::matches(&not(node), &event));
    }

    #[test]
    fn the_order_in_a_conjunction_does_not_matter(
        nodes in proptest::collection::vec(generate::nodes(), 1..4), event in generate::events(),
    ) {
        let backwards = Node::All(nodes.iter().rev().cloned().collect());
        let forwards = Node::All(nodes);
        prop_assert_eq!(naive::matches(&forwards, &event), naive::matches(&backwards, &event));
    }

    #[test]
    fn the_spelling_of_an_event_does_not_matter(
        text in generate::event_texts(), node in generate::nodes(),
    ) {
        let event = Json::parse(&text).expect("the generator writes valid JSON");
        let compact = Json::parse(event.to_string()).expect("printed JSON is valid");
        prop_assert_eq!(&event, &compact);
        prop_assert_eq!(naive::matches(&node, &event), naive::matches(&node, &compact));
    }

    #[test]
    fn missing_is_not_exists(path in generate::path(), event in generate::events()) {
        let exists = field(path.as_str(), vec![Predicate::Exists]);
        let missing = missing(path.as_str());
        prop_assert_ne!(naive::matches(&exists, &event), naive::matches(&missing, &event));
    }
}

#[test]
fn generated_patterns_match_often_but_not_always() {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let fields = generate::field().prop_map(Node::Field);
    let met = (0..500)
        .filter(|_| {
            let (node, event) = (&fields, generate::events())
                .new_tree(&mut runner)
                .expect("a pair")
                .current();
            naive::matches(&node, &event)
        })
        .count();
    assert!((25..475).contains(&met), "{met} of 500");
}
