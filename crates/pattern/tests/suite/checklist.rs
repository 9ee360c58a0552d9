//! A list of what to look for gives the answers of the plain evaluator.

use proptest::prelude::*;
use reflexarc_event::Json;
use reflexarc_pattern::{
    Alternative, Bound, Checklist, Decimal, Field, Matcher, Node, Path, Predicate, Ticks, naive,
};

use crate::generate;

/// Shows every value at the paths; false if one lies in an object or array that is an element of an array.
fn show(
    list: &Checklist,
    paths: &[Path],
    ticks: &mut Ticks,
    at: Option<&str>,
    value: &Json,
) -> bool {
    let slot = || paths.iter().position(|path| Some(path.as_str()) == at);
    let leads_on = || at.is_none_or(|at| paths.iter().any(|path| path.as_str().starts_with(at)));
    match value {
        Json::Object(members) => members.iter().all(|(key, value)| {
            let at = at.map_or_else(|| key.clone(), |at| format!("{at}.{key}"));
            show(list, paths, ticks, Some(&at), value)
        }),
        Json::Array(items) => items.iter().all(|item| match item {
            Json::Array(_) | Json::Object(_) => !leads_on(),
            scalar => show(list, paths, ticks, at, scalar),
        }),
        scalar => {
            if let Some(slot) = slot() {
                *ticks |= match scalar {
                    Json::Null => list.null(slot),
                    Json::Bool(value) => list.bool(slot, *value),
                    Json::Number(text) => text
                        .parse()
                        .ok()
                        .filter(|_| !text.contains(['.', 'e', 'E']))
                        .map_or_else(
                            || list.number(slot, text),
                            |number| list.integer(slot, number),
                        ),
                    Json::String(text) if list.texts(slot).contains(&text.as_str()) => {
                        list.string(slot, text)
                    }
                    Json::String(text) => {
                        let one = list.string(slot, text);
                        assert_eq!(list.other_text(slot).unwrap_or(one), one, "{text}");
                        one
                    }
                    Json::Array(_) | Json::Object(_) => Ticks::default(),
                };
            }
            true
        }
    }
}

fn answer(pattern: &Node, event: &Json) -> Option<bool> {
    let matcher = Matcher::build([pattern]).expect("a small pattern");
    let list = Checklist::new(pattern, matcher.paths())?;
    let mut ticks = Ticks::default();
    show(&list, matcher.paths(), &mut ticks, None, event).then(|| list.holds(ticks))
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text).expect("a number")
}

fn field(predicate: Predicate) -> Node {
    Node::Field(Field {
        path: Path::from_keys(["x"]),
        alternatives: vec![Alternative(vec![predicate])],
    })
}

proptest! {
    #[test]
    fn equals_the_plain_evaluator(patterns in prop::collection::vec(generate::nodes(), 1..4), event in generate::events()) {
        for pattern in &patterns {
            if let Some(answer) = answer(pattern, &event) {
                prop_assert_eq!(answer, naive::matches(pattern, &event), "{:?} {}", pattern, event);
            }
        }
    }

    #[test]
    fn whole_numbers_equal_the_plain_evaluator(
        ends in prop::array::uniform2((prop::sample::select(NUMBERS.to_vec()), any::<bool>(), any::<bool>())),
        value in prop::sample::select(NUMBERS.to_vec()), exact in any::<bool>(), but in any::<bool>(),
    ) {
        let bound = |(text, inclusive, there): (&str, bool, bool)| {
            there.then(|| Bound { value: number(text), inclusive })
        };
        let predicate = if exact {
            Predicate::Number(number(ends[0].0))
        } else {
            Predicate::Range { lower: bound(ends[0]), upper: bound(ends[1]) }
        };
        let pattern = field(if but { Predicate::AnythingBut(vec![predicate]) } else { predicate });
        let event = Json::from_iter([("x".to_owned(), Json::Number(value.into()))]);
        prop_assert_eq!(answer(&pattern, &event), Some(naive::matches(&pattern, &event)), "{}", event);
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
fn a_pattern_with_too_many_fields_has_no_list() {
    let fields = |count: usize| Node::All((0..count).map(|_| field(Predicate::Exists)).collect());
    assert_eq!(answer(&fields(64), &Json::Object(vec![])), Some(false));
    assert_eq!(answer(&fields(65), &Json::Object(vec![])), None);
    assert!(Checklist::new(&fields(1), &[]).is_none());
}
