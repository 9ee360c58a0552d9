//! The scalar matcher agrees with the reference evaluator.

use proptest::prelude::*;
use reflexarc_event::Json;
use reflexarc_pattern::tree::Bound;
use reflexarc_pattern::{Alternative, Decimal, Field, Node, Path, Predicate, ScalarMatcher, naive};

use crate::generate;
use crate::scalar_answer::answer;

fn number(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn field(predicate: Predicate) -> Node {
    Node::Field(Field {
        path: Path::from_keys(["x"]),
        alternatives: vec![Alternative(vec![predicate])],
    })
}

fn integer_or_near() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NUMBERS.to_vec())
}

proptest! {
    #[test]
    fn agrees_with_the_reference_evaluator(
        patterns in prop::collection::vec(generate::nodes(), 1..4), event in generate::events(),
    ) {
        for pattern in &patterns {
            if let Some(answer) = answer(pattern, &event) {
                prop_assert_eq!(answer, naive::matches(pattern, &event), "{:?} {}", pattern, event);
            }
        }
    }

    #[test]
    fn integers_agree_with_the_reference_evaluator(
        ends in prop::array::uniform2((integer_or_near(), any::<bool>(), any::<bool>())),
        value in integer_or_near(), exact in any::<bool>(), but in any::<bool>(),
    ) {
        let bound = |(text, inclusive, present): (&str, bool, bool)| {
            present.then(|| Bound { value: number(text), inclusive })
        };
        let predicate = if exact {
            Predicate::Number(number(ends[0].0))
        } else {
            Predicate::Range { lower: bound(ends[0]), upper: bound(ends[1]) }
        };
        let pattern = field(if but { Predicate::AnythingBut(vec![predicate]) } else { predicate });
        let event = Json::from_iter([("x".to_owned(), Json::Number(value.into()))]);
        let expected = naive::matches(&pattern, &event);
        prop_assert_eq!(answer(&pattern, &event), Some(expected), "{}", event);
    }
}

const NUMBERS: [&str; 14] = [
    "-9223372036854775809",
    "-9223372036854775808",
    "-9223372036854775807",
    "-1",
    "-0",
    "0",
    "0.5",
    "1",
    "1.0",
    "1e0",
    "2",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
];

#[test]
fn a_pattern_of_more_than_64_fields_is_not_supported() {
    let fields = |count: usize| Node::All((0..count).map(|_| field(Predicate::Exists)).collect());
    assert_eq!(answer(&fields(64), &Json::Object(vec![])), Some(false));
    assert_eq!(answer(&fields(65), &Json::Object(vec![])), None);
    assert!(ScalarMatcher::new(&fields(1), &[]).is_none());
}
