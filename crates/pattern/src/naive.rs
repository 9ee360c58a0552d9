//! The plain evaluator: what a pattern means, in as few words as possible.
//!
//! It works in two steps. First every field is looked up: what is left of it are the choices of array elements under
//! which one of its values stands. Then a full search tries every combination of choices; arrays that nothing further looks
//! at are left out of the count. It is exponential in the pattern at worst; the matcher is the fast twin that must always
//! give the same answer.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::Json;

use crate::field_values::{ElementChoice, FieldValue, FieldValues};
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
    let values = FieldValues::of(node, event);
    Goal::of(node, &values)
        .within(&ElementChoice::new())
        .is_some()
}

/// A node whose fields have been looked up in one event.
pub(crate) enum Goal {
    All(Vec<Goal>),
    Any(Vec<Goal>),
    Not(Box<Goal>),
    /// One of these choices.
    Chosen(BTreeSet<ElementChoice>),
}

impl Goal {
    pub(crate) fn of(node: &Node, values: &FieldValues) -> Self {
        match node {
            Node::All(nodes) => {
                Self::All(nodes.iter().map(|node| Self::of(node, values)).collect())
            }
            Node::Any(nodes) => {
                Self::Any(nodes.iter().map(|node| Self::of(node, values)).collect())
            }
            Node::Not(node) => Self::Not(Box::new(Self::of(node, values))),
            Node::Field(field) => Self::field(field, values.at(&field.path)),
        }
    }

    /// An extension of `choice` under which it holds.
    pub(crate) fn within(&self, choice: &ElementChoice) -> Option<ElementChoice> {
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

    fn field(Field { alternatives, .. }: &Field, values: &[FieldValue]) -> Self {
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
        let meets = |value: &&FieldValue| {
            tests
                .iter()
                .any(|tests| tests.iter().all(|test| test.meets(&value.value)))
        };
        let met = Self::Chosen(
            values
                .iter()
                .filter(meets)
                .map(|value| value.choice.clone())
                .collect(),
        );
        if alternatives.iter().any(absent) {
            let anywhere = Self::Chosen(values.iter().map(|value| value.choice.clone()).collect());
            Self::Any(vec![met, Self::Not(Box::new(anywhere))])
        } else {
            met
        }
    }
}

/// An extension of `choice` that reaches all `goals` and then none of `never`.
fn extension(goals: &[&Goal], choice: &ElementChoice, never: &[&Goal]) -> Option<ElementChoice> {
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
                    let matters: ElementChoice = choice
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
pub(crate) fn both(one: &ElementChoice, other: &ElementChoice) -> Option<ElementChoice> {
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
