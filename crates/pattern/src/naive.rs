//! The reference evaluator: what a pattern means, in as little code as possible.
//!
//! It works in two steps. First every field is looked up in the event and becomes the set of
//! *choices* under which it holds; a choice picks elements of arrays. Then an exhaustive search
//! looks for one choice under which the whole pattern holds. The search is exponential in the
//! pattern at worst. The matcher must always give the same answer, and hands the few rules that it
//! cannot decide in linear time to the search here.

// Example. Pattern `a.b == 1 and a.c == 2`, event {"a": [{"b": 1}, {"b": 1, "c": 2}]}. Call the
// array A. Looking up the fields gives
//
//     a.b == 1   holds under  {A: 0} or {A: 1}
//     a.c == 2   holds under  {A: 1}
//
// and the search finds {A: 1}, which holds both: the two fields lie in one element. In the event
// {"a": [{"b": 1}, {"c": 2}]} the sets are {A: 0} and {A: 1}, no choice is in both, and the event
// does not match.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::Json;

use crate::field_values::{ElementChoice, FieldValue, FieldValues};
use crate::value::CompiledPredicate;
use crate::{Alternative, Field, Node, Undecided};

/// Whether the event matches the pattern. An event that is not an object has no fields.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate, naive};
///
/// let event = Json::parse(r#"{"content": {"result": "failed"}}"#)?;
/// let exists = Alternative(vec![Predicate::Exists]);
/// let path = Path::from_keys(["content", "result"]);
/// let node = Node::Field(Field { path, alternatives: vec![exists] });
/// assert!(naive::matches(&node, &event));
/// # Ok::<(), reflexarc_event::JsonError>(())
/// ```
pub fn matches(node: &Node, event: &Json) -> bool {
    let steps = Steps::new(usize::MAX);
    search(node, event, &steps).is_some()
}

/// As [`matches()`], in so many steps at most.
///
/// # Errors
/// If that is not enough to decide it.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Pattern, Undecided, naive};
///
/// let pattern: Pattern = "a.b == 1 and a.c == 2".parse()?;
/// let event = Json::parse(r#"{"a": [{"b": 1}, {"b": 1, "c": 2}]}"#)?;
/// assert_eq!(naive::matches_within(pattern.node(), &event, 100), Ok(true));
/// assert_eq!(naive::matches_within(pattern.node(), &event, 3), Err(Undecided));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn matches_within(node: &Node, event: &Json, steps: usize) -> Result<bool, Undecided> {
    let steps = Steps::new(steps);
    let found = search(node, event, &steps).is_some();
    steps.are_left().then_some(found).ok_or(Undecided)
}

/// A node whose fields have been looked up in one event.
pub(crate) enum Goal {
    All(Vec<Goal>),
    Any(Vec<Goal>),
    Not(Box<Goal>),
    /// Holds under each of these choices.
    Chosen(Choices),
}

/// The choices under which a field holds. None: never; the empty choice: always.
#[derive(Default)]
pub(crate) struct Choices {
    choices: BTreeSet<ElementChoice>,
    /// Every array that one of them chooses an element of.
    // Kept, because every step of the search needs it: collecting it each time made the search on
    // an array of 100 objects 3.5 times slower.
    arrays: BTreeSet<usize>,
}

/// How much a search may still do.
pub(crate) struct Steps(Cell<usize>);

impl Steps {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Cell::new(limit))
    }

    /// Counts steps. Returns whether there were enough; if not, the result of the search means
    /// nothing, and it ends soon.
    pub(crate) fn take(&self, steps: usize) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(steps));
        left > steps
    }

    /// Whether there were enough for all that was done.
    pub(crate) fn are_left(&self) -> bool {
        self.0.get() > 0
    }
}

impl FromIterator<ElementChoice> for Choices {
    fn from_iter<I: IntoIterator<Item = ElementChoice>>(choices: I) -> Self {
        let choices: BTreeSet<ElementChoice> = choices.into_iter().collect();
        let arrays = choices.iter().flat_map(|choice| choice.keys().copied());
        Self {
            arrays: arrays.collect(),
            choices,
        }
    }
}

impl Goal {
    /// Looks up the fields of a node. The goal has the shape of the node, and means nothing if no
    /// steps are left.
    pub(crate) fn of(node: &Node, values: &FieldValues, steps: &Steps) -> Self {
        let goals = |nodes: &[Node]| {
            let goals = nodes.iter().map(|node| Self::of(node, values, steps));
            goals.collect()
        };
        match node {
            Node::All(nodes) => Self::All(goals(nodes)),
            Node::Any(nodes) => Self::Any(goals(nodes)),
            Node::Not(node) => Self::Not(Box::new(Self::of(node, values, steps))),
            Node::Field(field) => Self::field(field, values.at(&field.path), steps),
        }
    }

    /// An extension of `choice` under which the goal holds; means nothing if no steps are left.
    pub(crate) fn within(&self, choice: &ElementChoice, steps: &Steps) -> Option<ElementChoice> {
        extension(&[self], choice, &[], steps)
    }

    /// Adds every array that the goal chooses elements of.
    fn arrays(&self, arrays: &mut BTreeSet<usize>) {
        match self {
            Self::All(goals) | Self::Any(goals) => {
                for goal in goals {
                    goal.arrays(arrays);
                }
            }
            Self::Not(goal) => goal.arrays(arrays),
            Self::Chosen(choices) => arrays.extend(&choices.arrays),
        }
    }

    fn field(Field { alternatives, .. }: &Field, values: &[FieldValue], steps: &Steps) -> Self {
        let compile = |Alternative(predicates): &Alternative| -> Vec<CompiledPredicate> {
            predicates.iter().map(CompiledPredicate::new).collect()
        };
        let compiled: Vec<_> = alternatives.iter().map(compile).collect();
        let matching = |place: &&FieldValue| {
            compiled
                .iter()
                .any(|predicates| predicates.iter().all(|one| one.matches(&place.value)))
        };
        let choice = |place: &FieldValue| place.choice.clone();
        // A list of 10,000 values and an array of 100,000 are a thousand million comparisons.
        let permitted = values.iter().take_while(|_| steps.take(compiled.len()));
        let present = Self::Chosen(permitted.filter(matching).map(choice).collect());
        if alternatives.iter().any(Alternative::is_missing) {
            // "Missing" is "not present at all", judged last like every `not`: under a choice that
            // avoids all elements with the field, the field is missing.
            let anywhere = Self::Chosen(values.iter().map(choice).collect());
            Self::Any(vec![present, Self::Not(Box::new(anywhere))])
        } else {
            present
        }
    }
}

fn search(node: &Node, event: &Json, steps: &Steps) -> Option<ElementChoice> {
    let values = FieldValues::of(node, event);
    Goal::of(node, &values, steps).within(&ElementChoice::new(), steps)
}

/// An extension of `choice` under which all `goals` hold and, after that, none of `never` can.
///
/// Negations are collected and judged last, within the choice that the positive goals made.
/// Otherwise the order of fields in a conjunction would matter: in `a.b is missing and a.c == 1`
/// on {"a": [{"b": 1}, {"c": 1}]} the first field, judged alone, is false, but within the element
/// that the second field chooses it is true.
fn extension(
    goals: &[&Goal],
    choice: &ElementChoice,
    never: &[&Goal],
    steps: &Steps,
) -> Option<ElementChoice> {
    // Each goal is looked at, and the choice so far is copied.
    if !steps.take(goals.len() + choice.len()) {
        return None;
    }
    let Some((first, rest)) = goals.split_first() else {
        return never
            .iter()
            .all(|goal| goal.within(choice, steps).is_none())
            .then(|| choice.clone());
    };
    match first {
        Goal::All(all) => {
            let mut goals: Vec<&Goal> = all.iter().chain(rest.iter().copied()).collect();
            // The fields with the fewest choices first: they cut off the most of the search. A
            // field that no value satisfies ends it at once.
            goals.sort_by_key(|goal| match goal {
                Goal::Chosen(choices) => choices.choices.len(),
                Goal::All(_) | Goal::Any(_) | Goal::Not(_) => usize::MAX,
            });
            extension(&goals, choice, never, steps)
        }
        Goal::Any(any) => any
            .iter()
            .find_map(|one| extension(&[&[one], rest].concat(), choice, never, steps)),
        Goal::Not(goal) => extension(rest, choice, &[never, &[goal]].concat(), steps),
        Goal::Chosen(choices) => {
            // Choices that differ only in arrays that no remaining goal refers to are equivalent,
            // so one of them is enough. Without this, four independent arrays of 300 elements, one
            // field each, and a fifth field that fails take 300⁴ steps; with it, 4 × 300.
            let mut remaining = BTreeSet::new();
            rest.iter()
                .chain(never)
                .for_each(|goal| goal.arrays(&mut remaining));
            if !steps.take(remaining.len()) {
                return None;
            }
            let mut tried = BTreeSet::new();
            choices
                .choices
                .iter()
                .take_while(|_| steps.take(1))
                .filter_map(|other| both(choice, other))
                .find_map(|choice| {
                    let relevant: ElementChoice = choice
                        .iter()
                        .filter(|(array, _)| remaining.contains(array))
                        .map(|(&array, &element)| (array, element))
                        .collect();
                    if tried.insert(relevant) {
                        extension(rest, &choice, never, steps)
                    } else {
                        None
                    }
                })
        }
    }
}

/// Both choices together, or `None` if they pick different elements of one array.
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
