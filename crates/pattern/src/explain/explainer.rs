//! Builds an explanation: evaluates every node of the pattern with the reference evaluator.

// The difficulty is a failed conjunction over array elements. For `a.b == 1 and a.c == 2` and
//
//     {"a": [{"b": 1, "c": 3}, {"b": 4, "c": 2}]}
//
// each field matches, but no element has both values. An explanation per field would show two
// matches below a failure. So a failed conjunction first chooses the elements with which most of
// its parts match (here `a[0]`, the first of two with one of two) and evaluates its parts within
// that choice: `a.b == 1` matches, `a.c == 2` does not, because `a[0].c` is 3.

use std::cell::Cell;
use std::collections::BTreeMap;

use reflexarc_event::Json;

use super::hint::Hint;
use super::key_index::KeyIndex;
use super::location::Location;
use super::nearest::{found, nearest, shown_condition};
use super::similar_key::SimilarKeys;
use super::{FieldTest, Part, Test};
use crate::field_values::{ElementChoice, FieldValue, FieldValues, Pointer, PointerStep};
use crate::naive::{Goal, Steps, both};
use crate::value::{self, Scalar};
use crate::{Alternative, Field, Node, Predicate};

/// Explains the nodes of one pattern for one event.
pub(crate) struct Explainer<'p, 'e> {
    pub(crate) event: &'e Json,
    /// What the search for elements may still do.
    pub(crate) steps: Steps,
    /// What looking at single fields may still do. On their own, so that fields are explained also
    /// where the nodes around them are undecided.
    pub(crate) field_steps: Steps,
    /// How many fields failed so far.
    pub(crate) failed: Cell<usize>,
    pub(crate) values: &'p FieldValues<'p, 'e>,
    pub(crate) key_index: &'p KeyIndex<'e>,
    pub(crate) similar_keys: &'p SimilarKeys<'e>,
}

impl<'e> Explainer<'_, 'e> {
    /// Most values of a field in an explanation.
    const LISTED_VALUES: usize = 8;
    /// Most choices of elements that are compared to find the closest.
    const COMPARED_CHOICES: usize = 256;
    /// Most fields that failed for which reasons are looked for. Each may compare 40,000 pairs of
    /// values, and a filter of 64 KiB has thousands of fields.
    const FIELDS_IN_DETAIL: usize = 200;

    /// Explains one node within a choice of array elements.
    pub(crate) fn part(&self, node: &Node, goal: &Goal, choice: &ElementChoice) -> Part {
        // Evaluated again for each node: quadratic in the depth of the tree, which is small, and an
        // explanation is made for one event at a time.
        let steps = match node {
            Node::Field(field) => {
                self.field_steps.take(self.values.at(&field.path).len());
                &self.field_steps
            }
            _ => &self.steps,
        };
        let extension = goal.within(choice, steps);
        let undecided = !steps.are_left();
        let matched = !undecided && extension.is_some();
        let test = match (node, goal) {
            (Node::All(nodes), Goal::All(goals)) => self.all(nodes, goals, choice, extension),
            (Node::Any(nodes), Goal::Any(goals)) => {
                // Each branch is evaluated within the choice of the enclosing conjunction only:
                // elements that a matching branch chooses do not concern the other branches.
                let parts = nodes
                    .iter()
                    .zip(goals)
                    .map(|(node, goal)| self.part(node, goal, choice))
                    .collect();
                Test::Any { parts }
            }
            (Node::Not(node), Goal::Not(goal)) => Test::Not {
                part: Box::new(self.part(node, goal, choice)),
            },
            (Node::Field(field), _) if undecided => Test::Field(undecided_field(field)),
            (Node::Field(field), _) => Test::Field(self.field(field, matched, choice)),
            _ => unreachable!("a goal is built with the shape of its node"),
        };
        Part {
            matched,
            undecided,
            test,
        }
    }

    fn all(
        &self,
        nodes: &[Node],
        goals: &[Goal],
        choice: &ElementChoice,
        extension: Option<ElementChoice>,
    ) -> Test {
        // Without an answer there is no element to show: the parts are those for any of them.
        if !self.steps.are_left() {
            return self.all_within(nodes, goals, choice, None);
        }
        let candidates = self.shared_choices(nodes, choice);
        let chosen = extension.unwrap_or_else(|| closest(goals, choice, &candidates, &self.steps));
        // The location shown is that of the innermost element that this conjunction has chosen.
        let chosen_here = candidates.iter().filter(|(candidate, _)| {
            choice.len() < chosen.len() && both(&chosen, candidate).as_ref() == Some(&chosen)
        });
        let innermost = chosen_here.max_by_key(|(candidate, _)| candidate.len());
        let element = innermost.map(|(_, pointer)| Location::of(&enclosing_element(pointer)));
        self.all_within(nodes, goals, &chosen, element)
    }

    fn all_within(
        &self,
        nodes: &[Node],
        goals: &[Goal],
        choice: &ElementChoice,
        element: Option<Location>,
    ) -> Test {
        let parts = nodes.iter().zip(goals);
        let parts = parts.map(|(node, goal)| self.part(node, goal, choice));
        Test::All {
            parts: parts.collect(),
            element,
        }
    }

    /// The choices, consistent with `choice`, of elements of arrays that the fields of at least two
    /// of the nodes go through, in text order; each with the pointer to one value in them.
    // Only shared arrays matter: a field alone in its array may use any element.
    fn shared_choices(
        &self,
        nodes: &[Node],
        choice: &ElementChoice,
    ) -> Vec<(ElementChoice, Pointer<'e>)> {
        // For each array, the positions of the nodes with a field in it.
        let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut values: Vec<&FieldValue<'e>> = Vec::new();
        for (position, node) in nodes.iter().enumerate() {
            for value in fields(node).flat_map(|field| self.values.at(&field.path)) {
                values.push(value);
                for array in value
                    .choice
                    .keys()
                    .filter(|array| !choice.contains_key(array))
                {
                    let users = users.entry(*array).or_default();
                    if users.last() != Some(&position) {
                        users.push(position);
                    }
                }
            }
        }
        let in_shared_array = |value: &&FieldValue| {
            value
                .choice
                .keys()
                .any(|array| users.get(array).is_some_and(|users| users.len() > 1))
        };
        let mut shared: BTreeMap<ElementChoice, Pointer<'e>> = BTreeMap::new();
        for value in values.into_iter().filter(in_shared_array) {
            if shared.len() >= Self::COMPARED_CHOICES {
                break;
            }
            if let Some(candidate) = both(choice, &value.choice) {
                shared
                    .entry(candidate)
                    .or_insert_with(|| value.pointer.clone());
            }
        }
        shared.into_iter().collect()
    }

    fn field(&self, field: &Field, matched: bool, choice: &ElementChoice) -> FieldTest {
        let values: Vec<&FieldValue> = self
            .values
            .at(&field.path)
            .iter()
            .filter(|value| both(choice, &value.choice).is_some())
            .collect();
        let met_by = if matched {
            met_by(field, &values)
        } else {
            None
        };
        let in_detail =
            !matched && self.failed.replace(self.failed.get() + 1) < Self::FIELDS_IN_DETAIL;
        let closest = match (matched, in_detail) {
            (true, _) => None,
            (false, true) => nearest(field, &values),
            (false, false) => nearest(field, &values[..values.len().min(1)]),
        };
        let mut hints = Vec::new();
        if matched {
            hints.extend(excludes_another(field, &values).then_some(Hint::AnythingButAnyElement));
        } else if values.is_empty() && in_detail {
            hints.extend(self.missing_hints(field));
        }
        let (nearest, of_value) = closest.unzip();
        hints.extend(of_value.into_iter().flatten());
        FieldTest {
            path: field.path.clone(),
            expected: shown_condition(field),
            found: values
                .iter()
                .take(Self::LISTED_VALUES)
                .map(|value| found(value))
                .collect(),
            count: values.len(),
            met_by: met_by.map(found),
            nearest,
            hints,
        }
    }
}

/// A field that was not looked at.
fn undecided_field(field: &Field) -> FieldTest {
    FieldTest {
        path: field.path.clone(),
        expected: shown_condition(field),
        found: Vec::new(),
        count: 0,
        met_by: None,
        nearest: None,
        hints: Vec::new(),
    }
}

/// An extension of `choice`, built from `candidates`, with which most goals match, but not all:
/// the first one among equals.
// Greedy: it adds the candidate with which most goals match, until a goal fails or nothing can be
// added. It goes on while all goals match: each of them may match with some element before the
// elements are chosen, and the explanation has to show a goal that fails.
fn closest(
    goals: &[Goal],
    choice: &ElementChoice,
    candidates: &[(ElementChoice, Pointer)],
    steps: &Steps,
) -> ElementChoice {
    let matching = |choice: &ElementChoice| {
        goals
            .iter()
            .filter(|goal| goal.within(choice, steps).is_some())
            .count()
    };
    let mut chosen = choice.clone();
    loop {
        let extensions = candidates
            .iter()
            .filter_map(|(candidate, _)| both(&chosen, candidate))
            .filter(|next| next.len() > chosen.len());
        let mut best: Option<(usize, ElementChoice)> = None;
        for next in extensions {
            let count = matching(&next);
            if best.as_ref().is_none_or(|(most, _)| count > *most) {
                best = Some((count, next));
            }
        }
        match best {
            Some((count, next)) => {
                chosen = next;
                if count < goals.len() {
                    return chosen;
                }
            }
            None => return chosen,
        }
    }
}

/// The innermost array element that contains the value below a member: for `disks[1].sizes[0]`
/// it is `disks[1]`, because `sizes[0]` is the scalar itself.
fn enclosing_element<'e>(pointer: &Pointer<'e>) -> Pointer<'e> {
    let mut last = pointer;
    let mut below_member = false;
    while let Some(step) = last {
        match step.as_ref() {
            PointerStep::Element { .. } if below_member => return last.clone(),
            PointerStep::Element { parent, .. } => last = parent,
            PointerStep::Member { parent, .. } => {
                below_member = true;
                last = parent;
            }
        }
    }
    None
}

fn fields(node: &Node) -> Box<dyn Iterator<Item = &Field> + '_> {
    match node {
        Node::All(nodes) | Node::Any(nodes) => Box::new(nodes.iter().flat_map(fields)),
        Node::Not(node) => fields(node),
        Node::Field(field) => Box::new(std::iter::once(field)),
    }
}

fn meets(Alternative(predicates): &Alternative, value: &Scalar) -> bool {
    predicates
        .iter()
        .all(|predicate| value::CompiledPredicate::new(predicate).matches(value))
}

fn met_by<'p, 'e>(field: &Field, values: &[&'p FieldValue<'e>]) -> Option<&'p FieldValue<'e>> {
    values.iter().copied().find(|value| {
        field
            .alternatives
            .iter()
            .any(|alternative| meets(alternative, &value.value))
    })
}

/// Whether an `anything-but` matches although it excludes one of several values.
fn excludes_another(field: &Field, values: &[&FieldValue]) -> bool {
    let excluding = |Alternative(predicates): &&Alternative| {
        predicates
            .iter()
            .any(|predicate| matches!(predicate, Predicate::AnythingBut(_)))
    };
    values.len() > 1
        && field
            .alternatives
            .iter()
            .filter(excluding)
            .any(|alternative| values.iter().any(|value| !meets(alternative, &value.value)))
}
