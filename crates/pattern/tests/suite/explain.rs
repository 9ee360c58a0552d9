//! Explanations: hints, rendering, and properties that hold for all of them.

use proptest::prelude::*;
use reflexarc_event::{Event, Json};
use reflexarc_pattern::explain::{
    Explanation, FieldTest, Hint, Location, Part, Step, Test, explain, explain_within,
};
use reflexarc_pattern::{Alternative, Dialect, Field, Node, Pattern, Predicate, Undecided, naive};

use crate::generate;
use crate::matcher::independent_arrays;

fn explained(pattern: &str, event: &str) -> Explanation {
    let pattern = Pattern::parse(pattern, Dialect::Reflexarc).expect("a valid pattern");
    explain(pattern.node(), &Json::parse(event).expect("valid JSON"))
}

fn hints(pattern: &str, event: &str) -> Vec<Hint> {
    let mut hints = Vec::new();
    visit(&explained(pattern, event).root, &mut |_, field| {
        hints.extend(field.hints.clone());
    });
    hints
}

fn location(steps: &[&str]) -> Location {
    Location(
        steps
            .iter()
            .map(|key| Step::Member {
                key: (*key).to_owned(),
                occurrence: 0,
            })
            .collect(),
    )
}

fn visit(part: &Part, visitor: &mut dyn FnMut(bool, &FieldTest)) {
    match &part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            for part in parts {
                visit(part, visitor);
            }
        }
        Test::Not { part } => visit(part, visitor),
        Test::Field(field) => visitor(part.matched, field),
    }
}

#[test]
fn wrong_nesting_names_the_location_of_the_key() {
    let hints = hints(
        r#"{"detail": {"eniId": ["eni-1"]}}"#,
        r#"{"content": {"eniId": "eni-1"}}"#,
    );
    assert_eq!(hints, [Hint::OtherPath(location(&["content", "eniId"]))]);
}

#[test]
fn location_sharing_most_of_the_path_comes_first() {
    let event = r#"{"id": 1, "other": {"id": 2}, "data": {"content": {"id": 3}}}"#;
    let hints = hints(r#"{"content": {"id": [3]}}"#, event);
    assert_eq!(
        hints,
        [Hint::OtherPath(location(&["data", "content", "id"]))]
    );
}

#[test]
fn keys_that_differ_only_in_case_have_their_own_hint() {
    let hints = hints(
        r#"{"content": {"eniid": ["eni-1"]}}"#,
        r#"{"content": {"eniId": "eni-1"}}"#,
    );
    assert_eq!(hints, [Hint::KeyCase(location(&["content", "eniId"]))]);
}

#[test]
fn similar_key_in_the_same_object_is_named() {
    let event = r#"{"ip": 1, "name": "x",
        "content": {"eniId": "eni-1", "result": "failed", "list": {}},
        "disks": [7, {"diskId": "d-1"}]}"#;
    let near = |pattern: &str| -> Vec<String> {
        hints(pattern, event)
            .iter()
            .map(|hint| {
                format!("{hint:?}").split('(').next().unwrap().to_owned() + ": " + &hint.to_string()
            })
            .collect()
    };
    let hints_by_pattern = [
        r#"{"content": {"enId": ["eni-1"]}}"#,
        r#"{"content": {"eni_id": ["eni-1"]}}"#,
        r#"{"content": {"eniID": ["eni-1"]}}"#,
        r#"{"nmae": ["x"]}"#,
        r#"{"disks": {"diskid2": ["d-1"]}}"#,
        // Another object has the key itself; or this object has no similar key, or one without a
        // scalar; or the object is missing; or the key is too short.
        r#"{"content": {"name": ["x"]}}"#,
        r#"{"content": {"requestId": ["x"]}}"#,
        r#"{"content": {"lists": ["x"]}}"#,
        r#"{"detail": {"enId": ["x"]}}"#,
        r#"{"id": ["x"]}"#,
    ]
    .map(|pattern| format!("{pattern}  {}\n", near(pattern).join("; ")));
    insta::assert_snapshot!(hints_by_pattern.concat());
}

#[test]
fn search_for_similar_keys_is_bounded() {
    let members = |prefix: &str, count: usize| {
        (0..count)
            .map(|n| format!("\"{prefix}{n}\": 1"))
            .collect::<Vec<_>>()
            .join(",")
    };
    // The object with the similar key comes after more members than are visited.
    let event = format!(
        r#"{{"a": [{{{}}}, {{"wanted": 1}}]}}"#,
        members("other", 20_000)
    );
    assert_eq!(hints(r#"{"a": {"wantd": [1]}}"#, &event), []);
    let event = format!(
        r#"{{"a": [{{{}}}, {{"wanted": 1}}]}}"#,
        members("other", 100)
    );
    assert_eq!(hints(r#"{"a": {"wantd": [1]}}"#, &event).len(), 1);
}

#[test]
fn every_common_mistake_has_a_hint() {
    let type_hint = |expected, actual| Hint::TypeMismatch { expected, actual };
    let hints_of_type = |pattern: &str, event: &str| {
        let found = hints(pattern, event);
        assert!(matches!(found[1..], [Hint::WouldMatch { .. }]), "{found:?}");
        found[0].clone()
    };
    assert_eq!(
        hints_of_type(r#"{"a": [5]}"#, r#"{"a": "5"}"#),
        type_hint("a number", "a string")
    );
    assert_eq!(
        hints_of_type(r#"{"a": ["5"]}"#, r#"{"a": 5}"#),
        type_hint("a string", "a number")
    );
    assert_eq!(
        hints_of_type(r#"{"a": [true]}"#, r#"{"a": "true"}"#),
        type_hint("true or false", "a string")
    );
    assert_eq!(hints(r#"{"a": ["x"]}"#, r#"{"a": "X"}"#), [Hint::ValueCase]);
    assert_eq!(
        hints(r#"{"a": ["x"]}"#, r#"{"a": " x\n"}"#),
        [Hint::SurroundingWhitespace]
    );
    assert_eq!(
        hints(r#"{"a": [{"exists": false}]}"#, r#"{"a": null}"#),
        [Hint::NullIsNotMissing]
    );
    assert_eq!(hints(r#"{"a": [null]}"#, "{}"), [Hint::MissingIsNotNull]);
    assert_eq!(
        hints(r#"{"a": [{"anything-but": "x"}]}"#, "{}"),
        [Hint::AnythingButNeedsValue]
    );
    assert_eq!(
        hints(r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": ["x", "y"]}"#),
        [Hint::AnythingButAnyElement]
    );
    assert_eq!(
        hints(r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, r#"{"a": "10.0.0"}"#),
        [Hint::NotAnAddress]
    );
    assert_eq!(
        hints(r#"{"a": ["x"]}"#, r#"{"a": {"b c": "y"}}"#),
        [Hint::IsObject(vec!["\"b c\"".to_owned()])]
    );
    assert_eq!(
        hints(r#"{"a": ["x"]}"#, r#"{"a": []}"#),
        [Hint::EmptyContainer]
    );
}

#[test]
fn closest_of_several_values_is_named() {
    let explanation = explained(
        r#"{"a": ["failed", "stopped"]}"#,
        r#"{"a": ["running", 1, "Stopped", "starting"]}"#,
    );
    let Test::Field(field) = &explanation.root.test else {
        panic!("one field")
    };
    let nearest = field.nearest.as_ref().expect("a nearest miss");
    assert_eq!(nearest.found.location.to_string(), "a[2]");
    assert_eq!(nearest.expected, r#"a == "stopped""#);
    assert_eq!(nearest.suggested, Some(Json::from("stopped")));
    assert_eq!(field.count, 4);
}

#[test]
fn closest_element_is_named_with_its_failing_tests() {
    let explanation = explained(
        r#"{"disks": {"size": [20], "kind": ["ssd"], "state": ["in use"]}}"#,
        r#"{"disks": [
            {"size": 20, "kind": "hdd", "state": "free"},
            {"size": 40, "kind": "ssd", "state": "in use"}
        ]}"#,
    );
    insta::assert_snapshot!(explanation.render(false), @r#"
    ✗ all of these in one array element; closest: disks[1] with 2 of 3
      ✗ disks.size == 20
          disks[1].size is 40
    "#);
}

#[test]
fn tests_met_only_by_different_elements_name_the_closest() {
    let explanation = explained(
        r#"{"a": {"b": [1], "c": [2]}}"#,
        r#"{"a": [{"b": 1, "c": 3}, {"b": 4, "c": 2}]}"#,
    );
    insta::assert_snapshot!(explanation.render(true), @r#"
    ✗ all of these in one array element; closest: a[0] with 1 of 2
      ✓ a.b == 1
          a[0].b is 1
      ✗ a.c == 2
          a[0].c is 3
    "#);
}

#[test]
fn only_failing_nodes_are_rendered_by_default() {
    let pattern = r#"{"name": ["x"], "content": {"result": ["failed"]},
        "$or": [{"a": [1]}, {"b": [{"exists": true}]}]}"#;
    let explanation = explained(
        pattern,
        r#"{"name": "x", "content": {"result": "accomplished"}, "b": 2}"#,
    );
    insta::assert_snapshot!(explanation.render(false), @r#"
    ✗ all of these
      ✗ content.result == "failed"
          content.result is "accomplished"
    "#);
    insta::assert_snapshot!(explanation.render(true), @r#"
    ✗ all of these
      ✓ name == "x"
          name is "x"
      ✗ content.result == "failed"
          content.result is "accomplished"
      ✓ any of these
        ✗ a == 1
            `a` is missing from the event
        ✓ b exists
            b is 2
    "#);
    // One line per node; the order of the members is part of the format.
    let json = explanation.to_json().to_string();
    insta::assert_snapshot!(json.replace(r#"{"matched""#, "\n{\"matched\""));
}

#[test]
fn failing_not_shows_the_value_that_matched() {
    let explanation = explained(r#"{"$not": {"a": ["x"]}}"#, r#"{"a": ["y", "x"]}"#);
    insta::assert_snapshot!(explanation.render(false), @r#"
    ✗ not
      ✓ a == "x"
          a[1] is "x", and one more value
    "#);
}

#[test]
fn explanation_of_a_huge_event_is_bounded() {
    let values = vec![format!("\"{}\"", "x".repeat(1_000)); 900].join(",");
    let explanation = explained(
        r#"{"a": ["y"], "b": ["y"]}"#,
        &format!(r#"{{"a": [{values}], "c": {{"b": [{values}]}}}}"#),
    );
    assert!(explanation.render(true).len() < 1_000);
    assert!(explanation.to_json().to_string().len() < 4_000);
}

/// Without the limits these take hours, on an event of 2 KB.
#[test]
fn searches_without_end_are_undecided() {
    let (pattern, event) = independent_arrays(8, 20);
    let event = Event::from_json(event).expect("an object");
    let searched = naive::matches_within(pattern.node(), event.tree(), 100_000);
    assert_eq!(searched, Err(Undecided));
    assert_eq!(pattern.try_matches(&event), Err(Undecided));
    assert!(!pattern.matches(&event));
    let explanation = explain(pattern.node(), event.tree());
    assert!(explanation.undecided() && !explanation.matched());
    let json = explanation.to_json();
    assert_eq!(json.get("undecided"), Some(&Json::Bool(true)));
    // The single fields are explained.
    insta::assert_snapshot!(explanation.render(false));
}

/// A list of 10,000 and an array of 20,000 values are 200 million comparisons.
#[test]
fn comparisons_of_long_lists_are_bounded() {
    let numbers: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    let pattern: Pattern = format!("a in [{}]", numbers.join(", "))
        .parse()
        .expect("a filter");
    let event = format!(r#"{{"a": [{}]}}"#, vec!["-1"; 20_000].join(","));
    let event = Json::parse(&event).expect("valid JSON");
    let explanation = explain(pattern.node(), &event);
    assert!(explanation.undecided());
    let text = explanation.render(true);
    assert!(
        text.starts_with("? undecided") && text.len() < 1_000,
        "{text}"
    );
    assert_eq!(
        naive::matches_within(pattern.node(), &event, 1_000_000),
        Err(Undecided)
    );
}

/// A filter of 64 KiB has thousands of fields, and reasons are sought in the whole event.
#[test]
fn reasons_are_given_for_the_first_failing_fields() {
    let field: Pattern = "a.b == 1".parse().expect("a filter");
    let node = Node::Any(vec![field.node().clone(); 3_000]);
    let event = Json::parse(r#"{"c": {"a": {"b": 1}}}"#).expect("valid JSON");
    let Test::Any { parts } = explain(&node, &event).root.test else {
        panic!("a disjunction")
    };
    let has_hints = |part: &Part| match &part.test {
        Test::Field(field) => !field.hints.is_empty(),
        _ => false,
    };
    let with_hints: Vec<bool> = parts.iter().map(has_hints).collect();
    assert_eq!(with_hints, [vec![true; 200], vec![false; 2_800]].concat());
}

proptest! {
    /// What is decided within a limit is decided as without one.
    #[test]
    fn decided_parts_equal_those_without_a_limit(
        node in generate::nodes(),
        event in generate::events(),
        steps in 0_usize..300,
    ) {
        let answer = naive::matches(&node, &event);
        let explanation = explain_within(&node, &event, steps);
        prop_assert_eq!(explanation.matched(), answer && !explanation.undecided());
        let searched = naive::matches_within(&node, &event, steps);
        prop_assert!(searched == Ok(answer) || searched == Err(Undecided));
        if !explanation.undecided() {
            prop_assert_eq!(explain_within(&node, &event, usize::MAX).matched(), answer);
        }
    }

    #[test]
    fn explanation_agrees_with_the_reference_evaluator(
        node in generate::nodes(),
        event in generate::events(),
    ) {
        prop_assert_eq!(explain(&node, &event).matched(), naive::matches(&node, &event));
    }

    #[test]
    fn failing_conjunction_has_a_failing_part(
        node in generate::nodes(),
        event in generate::events(),
    ) {
        fn check(part: &Part) -> bool {
            match &part.test {
                Test::All { parts, .. } => {
                    part.matched == parts.iter().all(|p| p.matched) && parts.iter().all(check)
                }
                Test::Any { parts } => {
                    part.matched == parts.iter().any(|p| p.matched) && parts.iter().all(check)
                }
                Test::Not { part: inner } => part.matched != inner.matched && check(inner),
                Test::Field(field) => part.matched == field.nearest.is_none() || field.count == 0,
            }
        }
        let explanation = explain(&node, &event);
        prop_assert!(check(&explanation.root), "{}", explanation.render(true));
    }

    #[test]
    fn suggested_value_makes_the_field_match(
        field in generate::field(),
        mut event in generate::events(),
    ) {
        let explanation = explain(&Node::Field(field.clone()), &event);
        let Test::Field(test) = &explanation.root.test else { panic!("one field") };
        if let Some(miss) = &test.nearest {
            match &miss.suggested {
                Some(value) => *at(&mut event, &miss.found.location) = value.clone(),
                None => prop_assume!(false, "no value was suggested"),
            }
            let matched = naive::matches(&Node::Field(field), &event);
            prop_assert!(matched, "{}", explanation.render(true));
        }
    }

    #[test]
    fn every_single_predicate_has_a_suggested_value(
        predicate in generate::predicate(),
        object in generate::events(),
    ) {
        let alternative = Alternative(vec![predicate.clone()]);
        let value = object.members().first().map_or(Json::Null, |(_, value)| value.clone());
        let event: Json = [("a".to_owned(), value)].into_iter().collect();
        let path = reflexarc_pattern::Path::from_keys(["a"]);
        let node = Node::Field(Field { path, alternatives: vec![alternative] });
        let explanation = explain(&node, &event);
        let Test::Field(test) = &explanation.root.test else { panic!("one field") };
        let suggested = test.nearest.as_ref().is_none_or(|miss| miss.suggested.is_some());
        let is_regexp = matches!(predicate, Predicate::Regexp { .. });
        prop_assert!(suggested || is_regexp, "{}", explanation.render(true));
    }
}

fn at<'j>(event: &'j mut Json, Location(steps): &Location) -> &'j mut Json {
    steps.iter().fold(event, |value, step| match (value, step) {
        (Json::Object(members), Step::Member { key, occurrence }) => {
            &mut members
                .iter_mut()
                .filter(|(other, _)| other == key)
                .nth(*occurrence)
                .expect("the member")
                .1
        }
        (Json::Array(elements), Step::Element(index)) => &mut elements[*index],
        _ => panic!("the location leads nowhere"),
    })
}
