//! Walks pattern and evaluator side by side and says of each part whether it holds, and if not, why.

use std::collections::BTreeMap;

use reflexarc_event::Json;

use super::hint::Hint;
use super::key_index::{KeyIndex, segments};
use super::location::Location;
use super::nearest::{found, nearest};
use super::similar_key::{SimilarKeys, holds};
use super::{FieldTest, Part, Test};
use crate::field_values::{ElementChoice, FieldValue, FieldValues, Pointer, PointerStep};
use crate::naive::{Goal, both};
use crate::print::expression;
use crate::value::{self, Scalar};
use crate::{Alternative, Field, Node, Path, Predicate};

/// What an explanation looks things up in.
pub(crate) struct Explainer<'p, 'e> {
    pub(crate) places: &'p FieldValues<'p, 'e>,
    pub(crate) elsewhere: &'p KeyIndex<'e>,
    pub(crate) near_keys: &'p SimilarKeys<'e>,
}

impl<'e> Explainer<'_, 'e> {
    /// How many values of a field are listed.
    const LISTED: usize = 8;
    /// How many keys of an object a hint names.
    const NAMED: usize = 8;
    /// How many elements are compared to find the one that came closest.
    const COMPARED: usize = 256;

    /// Explains one node within a choice of array elements.
    pub(crate) fn part(&self, node: &Node, goal: &Goal, choice: &ElementChoice) -> Part {
        let extension = goal.within(choice);
        let matched = extension.is_some();
        let test = match (node, goal) {
            (Node::All(nodes), Goal::All(goals)) => self.all(nodes, goals, choice, extension),
            (Node::Any(nodes), Goal::Any(goals)) => {
                // Where the branch that holds chose elements, the others are judged without them.
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
            (Node::Field(field), _) => Test::Field(self.field(field, matched, choice)),
            _ => unreachable!("a goal has the shape of its node"),
        };
        Part { matched, test }
    }

    fn all(
        &self,
        nodes: &[Node],
        goals: &[Goal],
        choice: &ElementChoice,
        extension: Option<ElementChoice>,
    ) -> Test {
        let tied = self.ties(nodes, choice);
        let inside = extension.unwrap_or_else(|| closest(goals, choice, &tied));
        let parts = nodes
            .iter()
            .zip(goals)
            .map(|(node, goal)| self.part(node, goal, &inside))
            .collect();
        let element = tied.iter().filter(|(tie, _)| {
            choice.len() < inside.len() && both(&inside, tie).as_ref() == Some(&inside)
        });
        let deepest = element.max_by_key(|(tie, _)| tie.len());
        Test::All {
            parts,
            element: deepest.map(|(_, pointer)| Location::of(&element_of(pointer))),
        }
    }

    /// The choices that the fields of several of these nodes meet in, each with the way to one of its values; in the
    /// order of the text, and only those that agree with `choice`.
    fn ties(&self, nodes: &[Node], choice: &ElementChoice) -> Vec<(ElementChoice, Pointer<'e>)> {
        let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut places: Vec<&FieldValue<'e>> = Vec::new();
        for (position, node) in nodes.iter().enumerate() {
            for place in fields(node).flat_map(|field| self.places.at(&field.path)) {
                places.push(place);
                for array in place
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
        let shared = |place: &&FieldValue| {
            place
                .choice
                .keys()
                .any(|array| users.get(array).is_some_and(|users| users.len() > 1))
        };
        let mut ties: BTreeMap<ElementChoice, Pointer<'e>> = BTreeMap::new();
        for place in places.into_iter().filter(shared) {
            if let (true, Some(tie)) = (ties.len() < Self::COMPARED, both(choice, &place.choice)) {
                ties.entry(tie).or_insert_with(|| place.pointer.clone());
            }
        }
        ties.into_iter().collect()
    }

    fn field(&self, field: &Field, matched: bool, choice: &ElementChoice) -> FieldTest {
        let all = self.places.at(&field.path);
        let places: Vec<&FieldValue> = all
            .iter()
            .filter(|place| both(choice, &place.choice).is_some())
            .collect();
        let met_by = if matched {
            met_by(field, &places)
        } else {
            None
        };
        let closest = if matched {
            None
        } else {
            nearest(field, &places)
        };
        let mut hints = Vec::new();
        if matched {
            hints.extend(excludes_another(field, &places).then_some(Hint::AnythingButAnyElement));
        } else if places.is_empty() {
            hints.extend(self.why_empty(field));
        }
        let (nearest, hint) = closest.map_or((None, None), |(miss, hint)| (Some(miss), hint));
        hints.extend(hint);
        FieldTest {
            path: field.path.clone(),
            expected: expression::print(&Node::Field(field.clone())),
            found: places
                .iter()
                .take(Self::LISTED)
                .map(|place| found(place))
                .collect(),
            count: places.len(),
            met_by: met_by.map(found),
            nearest,
            hints,
        }
    }

    /// Why there may be nothing where something was expected.
    fn why_empty(&self, field: &Field) -> Vec<Hint> {
        let asks = |wanted: fn(&Predicate) -> bool| {
            field
                .alternatives
                .iter()
                .flat_map(|alternative| &alternative.0)
                .any(wanted)
        };
        let mut hints = Vec::new();
        hints.extend(
            asks(|predicate| *predicate == Predicate::Null).then_some(Hint::MissingIsNotNull),
        );
        let needs_value = asks(|predicate| matches!(predicate, Predicate::AnythingBut(_)));
        hints.extend(needs_value.then_some(Hint::AnythingButNeedsValue));
        let members = self.elsewhere.like(&field.path);
        let wanted: Vec<&str> = field.path.segments().collect();
        let here = members
            .iter()
            .find(|member| segments(&member.pointer) == wanted);
        match here.map(|member| member.value) {
            Some(Json::Object(members)) if !members.is_empty() => {
                let keys = members
                    .iter()
                    .take(Self::NAMED)
                    .map(|(key, _)| expression::path(&Path::from_keys([key])))
                    .collect();
                hints.push(Hint::IsObject(keys));
            }
            Some(Json::Object(_) | Json::Array(_)) => hints.push(Hint::EmptyContainer),
            Some(_) => {}
            None => {
                let same_key = members
                    .iter()
                    .find(|member| holds(member.value))
                    .map(|member| {
                        let location = Location::of(&member.pointer);
                        let found = segments(&member.pointer);
                        let same = found.len() == wanted.len()
                            && found
                                .iter()
                                .zip(&wanted)
                                .all(|(one, other)| one.to_lowercase() == other.to_lowercase());
                        if same {
                            Hint::KeyCase(location)
                        } else {
                            Hint::OtherPath(location)
                        }
                    });
                let near_key = || {
                    Some(Hint::SimilarKey(Location::of(
                        &self.near_keys.of(&field.path)?.pointer,
                    )))
                };
                hints.extend(same_key.or_else(near_key));
            }
        }
        hints
    }
}

/// A choice in which as many goals as possible hold, but not all of them: the first such one. Goals that each hold with
/// some element, but not all with the same, are told apart by choosing on until one fails.
fn closest(
    goals: &[Goal],
    choice: &ElementChoice,
    ties: &[(ElementChoice, Pointer)],
) -> ElementChoice {
    let held = |choice: &ElementChoice| {
        goals
            .iter()
            .filter(|goal| goal.within(choice).is_some())
            .count()
    };
    let mut inside = choice.clone();
    loop {
        let further = ties
            .iter()
            .filter_map(|(tie, _)| both(&inside, tie))
            .filter(|next| next.len() > inside.len());
        let mut best: Option<(usize, ElementChoice)> = None;
        for next in further {
            let count = held(&next);
            if best.as_ref().is_none_or(|(most, _)| count > *most) {
                best = Some((count, next));
            }
        }
        match best {
            Some((count, next)) => {
                inside = next;
                if count < goals.len() {
                    return inside;
                }
            }
            None => return inside,
        }
    }
}

/// The way to the innermost element of an array that is an object or an array itself.
fn element_of<'e>(pointer: &Pointer<'e>) -> Pointer<'e> {
    let mut last = pointer;
    let mut skipped_own = false;
    while let Some(step) = last {
        match step.as_ref() {
            PointerStep::Element { .. } if skipped_own => return last.clone(),
            PointerStep::Element { parent, .. } => last = parent,
            PointerStep::Member { parent, .. } => {
                skipped_own = true;
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

fn met_by<'p, 'e>(field: &Field, places: &[&'p FieldValue<'e>]) -> Option<&'p FieldValue<'e>> {
    places.iter().copied().find(|place| {
        field
            .alternatives
            .iter()
            .any(|alternative| meets(alternative, &place.value))
    })
}

/// Whether an `anything-but` holds although it excludes another of several values.
fn excludes_another(field: &Field, places: &[&FieldValue]) -> bool {
    let excluding = |Alternative(predicates): &&Alternative| {
        predicates
            .iter()
            .any(|predicate| matches!(predicate, Predicate::AnythingBut(_)))
    };
    places.len() > 1
        && field
            .alternatives
            .iter()
            .filter(excluding)
            .any(|alternative| places.iter().any(|place| !meets(alternative, &place.value)))
}
