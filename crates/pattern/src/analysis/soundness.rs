//! Every claim of the analysis is compared with the naive evaluator on events near the pattern.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reflexarc_event::Json;

use super::HoldsOneValue;
use super::goal::GoalBuilder;
use super::prover::Prover;
use crate::spanned::{Kind, SpannedNode};
use crate::{Dialect, Node, PatternLimits, naive, syntax};

const LIMITS: PatternLimits = PatternLimits::DEFAULT;

/// Conditions on one value. Many pairs of them exclude each other, cover everything, or include
/// each other.
const CONDITIONS: [&str; 46] = [
    r#"== "x""#,
    r#"== "x""#,
    r#"!= "x""#,
    r#"== "xy""#,
    r#"!= "y""#,
    r#"in ["x", "xy"]"#,
    r#"not in ["x", 1]"#,
    r#"starts with "x""#,
    r#"not starts with "x""#,
    r#"starts with "xy""#,
    r#"ends with "y""#,
    r#"not ends with "y""#,
    r#"contains "y""#,
    r#"not contains "y""#,
    r#"like "x*""#,
    r#"like "*y""#,
    r#"like "x*y""#,
    r#"not like "*""#,
    r#"== "X" ignoring case"#,
    r#"starts with "X" ignoring case"#,
    r#"not starts with "ß" ignoring case"#,
    r#"matches "x+""#,
    r#"not matches "x.*""#,
    r#"matches "\\bx\\b""#,
    r#"in cidr "10.0.0.0/8""#,
    r#"not in cidr "10.0.0.0/8""#,
    r#"in cidr "10.1.0.0/16""#,
    r#"in cidr "::ffff:10.1.0.0/112""#,
    r#"in cidr "2001:db8::/32""#,
    r#"== "10.1.0.1""#,
    r#"!= "::ffff:10.1.0.1""#,
    r#"starts with "10.""#,
    r#"not starts with "0""#,
    "== 1",
    "!= 1",
    "> 1",
    "<= 1",
    "< 3",
    ">= 3",
    "== null",
    "!= null",
    "== true",
    "exists",
    "exists",
    "is missing",
    "is missing",
];

const PATHS: [&str; 6] = ["a", "a", "b", "n.i", "n.j", "n.k.i"];

/// Values near the conditions: their literals, neighbours, other spellings and other types.
const VALUES: [&str; 28] = [
    r#""x""#,
    r#""xy""#,
    r#""xxx""#,
    r#""y""#,
    r#""X""#,
    r#""Xy""#,
    r#""xyz""#,
    r#""xy y""#,
    r#""ß""#,
    r#""SS""#,
    r#""""#,
    r#""1""#,
    r#""10.1.0.1""#,
    r#""010.1.0.1""#,
    r#""::ffff:10.1.0.1""#,
    r#""::FFFF:a01:2""#,
    r#""10.2.0.1""#,
    r#""11.0.0.1""#,
    r#""2001:DB8::1""#,
    r#""10.x""#,
    "0",
    "1",
    "1.0",
    "2",
    "3",
    "null",
    "true",
    "false",
];

/// A pattern in expression notation.
fn patterns() -> impl Strategy<Value = String> {
    let group = || {
        let joined = (vec(select(&CONDITIONS[..]), 2..4), any::<bool>());
        joined.prop_map(|(conditions, all)| {
            let conditions: Vec<_> = conditions
                .into_iter()
                // `not` is not allowed around these, and `is missing` is never true with others.
                .filter(|condition| !matches!(*condition, "exists" | "is missing"))
                .chain(["exists"])
                .collect();
            format!("({})", conditions.join(if all { " and " } else { " or " }))
        })
    };
    let condition = prop_oneof![4 => select(&CONDITIONS[..]).prop_map(str::to_owned), 1 => group()];
    let field = (select(&PATHS[..]), condition);
    let field = field.prop_map(|(path, condition)| format!("{path} {condition}"));
    field.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            3 => vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            3 => inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

/// An event with values at some of the paths: alone, in arrays, in arrays of arrays, in arrays of
/// objects, under dotted and repeated keys, or of another shape.
fn events() -> impl Strategy<Value = Json> {
    let scalar = || select(&VALUES[..]).prop_map(str::to_owned);
    let value = || {
        prop_oneof![
            6 => scalar(),
            2 => vec(scalar(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            1 => vec(scalar(), 2..4).prop_map(|values| format!("[[{}]]", values.join("],["))),
            1 => select(&["{}", "[]", r#"{"z": 1}"#, "[{}]"][..]).prop_map(str::to_owned),
        ]
    };
    let key = || select(&["i", "i", "j", "j", "k.i", "z"][..]);
    let object = move || {
        let inner = vec((key(), value()), 0..4);
        let deep = proptest::option::of(vec(value(), 1..3));
        (inner, deep).prop_map(|(members, deep)| {
            let mut members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| format!("\"{key}\": {value}"))
                .collect();
            let deep = deep.map(|values| {
                let objects: Vec<_> = values.iter().map(|v| format!("{{\"i\": {v}}}")).collect();
                format!("\"k\": [{}]", objects.join(","))
            });
            members.extend(deep);
            format!("{{{}}}", members.join(","))
        })
    };
    let member = prop_oneof![
        2 => value().prop_map(|value| format!("\"a\": {value}")),
        2 => value().prop_map(|value| format!("\"b\": {value}")),
        1 => value().prop_map(|value| format!("\"n.i\": {value}")),
        2 => object().prop_map(|object| format!("\"n\": {object}")),
        3 => vec(object(), 1..4).prop_map(|objects| format!("\"n\": [{}]", objects.join(","))),
    ];
    vec(member, 0..5).prop_map(|members| {
        let text = format!("{{{}}}", members.join(","));
        Json::parse(&text).expect("valid JSON")
    })
}

/// A few hundred events, drawn once.
fn many_events(runner: &mut TestRunner) -> Vec<Json> {
    (0..200).map(|_| draw(&events(), runner)).collect()
}

fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).expect("a value").current()
}

fn parsed(text: &str) -> SpannedNode {
    let parsed = syntax::parse(text, Dialect::Reflexarc, &LIMITS);
    parsed
        .tree
        .unwrap_or_else(|| panic!("{text}: {:?}", parsed.diagnostics))
}

#[test]
fn claims_about_every_event_are_true() {
    let mut runner = TestRunner::deterministic();
    let events = many_events(&mut runner);
    let counts = check_claims(&events, &|_| false, &mut runner);
    assert!(counts.iter().all(|count| *count > 8), "{counts:?}");
}

#[test]
fn claims_about_fields_of_one_value_are_true() {
    let mut runner = TestRunner::deterministic();
    let mut events = many_events(&mut runner);
    events.extend(many_events(&mut runner));
    events.retain(|event| has_single_values(event, &mut BTreeSet::new(), ""));
    assert!(events.len() > 50, "{}", events.len());
    let counts = check_claims(&events, &|_| true, &mut runner);
    assert!(counts.iter().all(|count| *count > 8), "{counts:?}");
}

/// Checks what the prover says about many patterns, and returns how often it says that a pattern
/// never matches, always matches, and implies another.
fn check_claims(
    events: &[Json],
    holds_one_value: HoldsOneValue,
    runner: &mut TestRunner,
) -> [usize; 3] {
    let mut counts = [0; 3];
    let mut wrong = String::new();
    for _ in 0..1_000 {
        let texts = [0, 1].map(|_| draw(&patterns(), runner));
        let trees = texts.each_ref().map(|text| parsed(text));
        let nodes = trees.each_ref().map(SpannedNode::to_node);
        let mut builder = GoalBuilder::new(holds_one_value);
        let goals = trees.each_ref().map(|tree| builder.goal(tree));
        let atoms = builder.into_atoms();
        let prover = || Prover::new(&atoms, &LIMITS);
        let matches = |at: usize, event: &Json| naive::matches(&nodes[at], event);
        let is_refuted_by = |claim: usize, event: &Json| match claim {
            0 => matches(0, event),
            1 => !matches(0, event),
            _ => matches(0, event) && !matches(1, event),
        };
        let claims = [
            prover().never(&[&goals[0]]),
            prover().always(&[&goals[0]]),
            prover().implies(&goals[0], &goals[1]),
        ];
        for (claim, count) in counts.iter_mut().enumerate().filter(|(at, _)| claims[*at]) {
            *count += 1;
            if let Some(event) = events.iter().find(|event| is_refuted_by(claim, event)) {
                let claim = ["never", "always", "implies"][claim];
                writeln!(wrong, "{claim}: {texts:?} on {event}").expect("a string");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    counts
}

/// Whether no path has two values, and no array has any.
fn has_single_values(value: &Json, seen: &mut BTreeSet<String>, path: &str) -> bool {
    match value {
        Json::Array(_) => false,
        Json::Object(members) => members
            .iter()
            .all(|(key, value)| has_single_values(value, seen, &format!("{path}.{key}"))),
        _ => seen.insert(path.to_owned()),
    }
}

#[test]
fn parts_with_a_warning_are_constant() {
    let mut runner = TestRunner::deterministic();
    let events = many_events(&mut runner);
    let (mut never, mut always, mut covered) = (0, 0, 0);
    let mut wrong = String::new();
    for _ in 0..1_000 {
        let text = draw(&patterns(), &mut runner);
        let tree = parsed(&text);
        for warning in super::warnings(&tree, &|_| false, &LIMITS) {
            // A contradiction of several parts is reported at the last one, so it is the smallest
            // part around all labels that is constant.
            // A label that says what follows for a part around it is not of them.
            let labels = warning.labels.iter();
            let labels = labels.filter(|label| !label.message.starts_with("so "));
            let labels = labels.map(|label| &label.span);
            let whole = labels.fold(warning.span.clone(), |span, label| {
                span.start.min(label.start)..span.end.max(label.end)
            });
            let node = smallest_around(&tree, &whole).expect("a part of the pattern");
            let message = warning.message.as_str();
            let (premise, answer) =
                if let Some(rest) = message.strip_prefix("always matches where `") {
                    covered += 1;
                    let (path, rest) = rest.split_once('`').expect("a path");
                    let is_number = rest.starts_with(" has a number");
                    let condition = if is_number { "(<= 0 or > 0)" } else { "exists" };
                    (parsed(&format!("{path} {condition}")).to_node(), true)
                } else if message.starts_with("always") {
                    always += 1;
                    (Node::All(Vec::new()), true)
                } else if message.ends_with("alternative") || has_alternatives(&node) {
                    // A part of this node: the next test is about those.
                    continue;
                } else {
                    never += 1;
                    (Node::All(Vec::new()), false)
                };
            let refutes = |event: &&Json| {
                naive::matches(&premise, event) && naive::matches(&node, event) != answer
            };
            if let Some(event) = events.iter().find(refutes) {
                writeln!(wrong, "{message}: {text} on {event}").expect("a string");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        never > 50 && always > 5 && covered > 5,
        "{never} {always} {covered}"
    );
}

#[test]
fn removing_what_a_hint_names_changes_nothing() {
    let mut runner = TestRunner::deterministic();
    let events = many_events(&mut runner);
    let mut count = 0;
    let mut wrong = String::new();
    for _ in 0..1_000 {
        let text = draw(&patterns(), &mut runner);
        let tree = parsed(&text);
        // An alternative that another condition excludes is as superfluous.
        let mut hints = super::warnings(&tree, &|_| false, &LIMITS);
        hints.retain(|warning| warning.message.ends_with("excludes this alternative"));
        hints.extend(super::hints(&tree, &|_| false, &LIMITS));
        if hints.is_empty() {
            continue;
        }
        let spans: Vec<_> = hints.iter().map(|hint| hint.span.clone()).collect();
        let node = tree.to_node();
        let without = without(&tree, &spans)
            .unwrap_or_else(|| panic!("{text}: {hints:#?}"))
            .to_node();
        count += 1;
        let differs =
            |event: &&Json| naive::matches(&node, event) != naive::matches(&without, event);
        if let Some(event) = events.iter().find(differs) {
            writeln!(wrong, "{text} without {spans:?} on {event}").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 100, "{count}");
}

fn has_alternatives(node: &Node) -> bool {
    matches!(node, Node::Field(field) if field.alternatives.len() > 1)
}

/// The smallest node whose span contains all of `span`.
fn smallest_around(tree: &SpannedNode, span: &std::ops::Range<usize>) -> Option<Node> {
    let inner = match &tree.kind {
        Kind::All(nodes) | Kind::Any(nodes) => nodes.as_slice(),
        Kind::Not(node) => std::slice::from_ref(&**node),
        Kind::Field(_) => &[],
    };
    let contains = tree.span.start <= span.start && span.end <= tree.span.end;
    let mut smaller = inner.iter().filter_map(|node| smallest_around(node, span));
    smaller.next().or_else(|| contains.then(|| tree.to_node()))
}

/// The tree without the nodes and alternatives that have these spans.
fn without(tree: &SpannedNode, spans: &[std::ops::Range<usize>]) -> Option<SpannedNode> {
    if spans.contains(&tree.span) {
        return None;
    }
    let others = |nodes: &[SpannedNode]| -> Vec<SpannedNode> {
        nodes
            .iter()
            .filter_map(|node| without(node, spans))
            .collect()
    };
    let kind = match &tree.kind {
        Kind::All(nodes) => Kind::All(others(nodes)),
        Kind::Any(nodes) => Kind::Any(others(nodes)),
        Kind::Not(inner) => Kind::Not(Box::new(without(inner, spans)?)),
        Kind::Field(field) => {
            let mut field = field.clone();
            field.alternatives.retain(|one| {
                let mut parts = one.predicates.iter().map(|spanned| &spanned.span);
                !spans.contains(&one.span) && !parts.any(|span| spans.contains(span))
            });
            // All its alternatives are superfluous: so is the field.
            if field.alternatives.is_empty() {
                return None;
            }
            Kind::Field(field)
        }
    };
    if matches!(&kind, Kind::All(parts) | Kind::Any(parts) if parts.is_empty()) {
        return None;
    }
    Some(SpannedNode {
        span: tree.span.clone(),
        kind,
    })
}
