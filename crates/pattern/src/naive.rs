//! The plain evaluator: what a pattern means, in as few words as possible.
//!
//! It works in two steps. First every field is looked up: what is left of it are the choices of array elements under
//! which one of its values stands. Then a full search tries every combination of choices; arrays that nothing further looks
//! at are left out of the count. It is exponential in the pattern at worst; the matcher is the fast twin that must always
//! give the same answer.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::Json;

use crate::places::{Choice, Place, Places};
use crate::value::Test;
use crate::{Alternative, Field, Node, Predicate};

/// Whether the event meets the pattern. An event that is not an object has no fields.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate, naive};
///
/// let event = Json::parse(r#"{"content": {"result": "failed"}}"#)?;
/// let exists = Alternative(vec![Predicate::Exists]);
/// let node = Node::Field(Field { path: Path::from_keys(["content", "result"]), alternatives: vec![exists] });
/// assert!(naive::matches(&node, &event));
/// # Ok::<(), reflexarc_event::JsonError>(())
/// ```
pub fn matches(node: &Node, event: &Json) -> bool {
    let places = Places::of(node, event);
    Goal::of(node, &places).within(&Choice::new()).is_some()
}

/// A node whose fields have been looked up in one event.
pub(crate) enum Goal {
    All(Vec<Goal>),
    Any(Vec<Goal>),
    Not(Box<Goal>),
    /// One of these choices.
    Chosen(BTreeSet<Choice>),
}

impl Goal {
    pub(crate) fn of(node: &Node, places: &Places) -> Self {
        match node {
            Node::All(nodes) => {
                Self::All(nodes.iter().map(|node| Self::of(node, places)).collect())
            }
            Node::Any(nodes) => {
                Self::Any(nodes.iter().map(|node| Self::of(node, places)).collect())
            }
            Node::Not(node) => Self::Not(Box::new(Self::of(node, places))),
            Node::Field(field) => Self::field(field, places.at(&field.path)),
        }
    }

    /// An extension of `choice` under which it holds.
    pub(crate) fn within(&self, choice: &Choice) -> Option<Choice> {
        extension(&[self], choice, &[])
    }

    /// Every array that it chooses elements of.
    fn arrays(&self) -> BTreeSet<usize> {
        match self {
            Self::All(goals) | Self::Any(goals) => goals.iter().flat_map(Self::arrays).collect(),
            Self::Not(goal) => goal.arrays(),
            Self::Chosen(choices) => choices
                .iter()
                .flat_map(|choice| choice.keys().copied())
                .collect(),
        }
    }

    fn field(Field { alternatives, .. }: &Field, places: &[Place]) -> Self {
        let absent = |Alternative(predicates): &Alternative| {
            !predicates.is_empty()
                && predicates
                    .iter()
                    .all(|predicate| *predicate == Predicate::Missing)
        };
        let tests: Vec<Vec<Test>> = alternatives
            .iter()
            .map(|Alternative(predicates)| predicates.iter().map(Test::new).collect())
            .collect();
        let meets = |place: &&Place| {
            tests
                .iter()
                .any(|tests| tests.iter().all(|test| test.meets(&place.value)))
        };
        let met = Self::Chosen(
            places
                .iter()
                .filter(meets)
                .map(|place| place.choice.clone())
                .collect(),
        );
        if alternatives.iter().any(absent) {
            let anywhere = Self::Chosen(places.iter().map(|place| place.choice.clone()).collect());
            Self::Any(vec![met, Self::Not(Box::new(anywhere))])
        } else {
            met
        }
    }
}

/// An extension of `choice` that reaches all `goals` and then none of `never`.
fn extension(goals: &[&Goal], choice: &Choice, never: &[&Goal]) -> Option<Choice> {
    let Some((first, rest)) = goals.split_first() else {
        return never
            .iter()
            .all(|goal| goal.within(choice).is_none())
            .then(|| choice.clone());
    };
    match first {
        Goal::All(all) => extension(
            &all.iter().chain(rest.iter().copied()).collect::<Vec<_>>(),
            choice,
            never,
        ),
        Goal::Any(any) => any
            .iter()
            .find_map(|one| extension(&[&[one], rest].concat(), choice, never)),
        Goal::Not(goal) => extension(rest, choice, &[never, &[goal]].concat()),
        Goal::Chosen(choices) => {
            // Choices that differ only in arrays that nothing further looks at are as good as each other.
            let further = rest
                .iter()
                .chain(never)
                .flat_map(|goal| goal.arrays())
                .collect::<BTreeSet<_>>();
            let mut tried = BTreeSet::new();
            choices
                .iter()
                .filter_map(|other| both(choice, other))
                .find_map(|choice| {
                    let matters: Choice = choice
                        .clone()
                        .into_iter()
                        .filter(|(array, _)| further.contains(array))
                        .collect();
                    if tried.insert(matters) {
                        extension(rest, &choice, never)
                    } else {
                        None
                    }
                })
        }
    }
}

/// The two together, unless they choose different elements of one array.
pub(crate) fn both(one: &Choice, other: &Choice) -> Option<Choice> {
    let agree = other
        .iter()
        .all(|(array, element)| one.get(array).is_none_or(|chosen| chosen == element));
    agree.then(|| {
        one.iter()
            .chain(other)
            .map(|(&array, &element)| (array, element))
            .collect::<BTreeMap<_, _>>()
    })
}
