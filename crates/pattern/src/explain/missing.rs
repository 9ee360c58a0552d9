//! Likely reasons why a field has no value in the event.

use reflexarc_event::Json;

use super::explainer::Explainer;
use super::hint::Hint;
use super::key_index::{Member, segments};
use super::location::{Location, Step};
use super::rewrite::would_match;
use super::similar_key::has_scalar;
use super::syntax_as_key;
use crate::print::expression;
use crate::value::Scalar;
use crate::{Alternative, Field, Node, Path, Predicate, naive};

/// Most keys of an object in a hint.
const LISTED_KEYS: usize = 8;
/// Most elements of an array that are looked at for their keys.
const ELEMENTS: usize = 64;

impl Explainer<'_, '_> {
    /// Likely reasons why a field has no value.
    pub(super) fn missing_hints(&self, field: &Field) -> Vec<Hint> {
        let has_predicate = |wanted: fn(&Predicate) -> bool| {
            let alternatives = field.alternatives.iter();
            alternatives
                .flat_map(|alternative| &alternative.0)
                .any(wanted)
        };
        let mut hints = Vec::new();
        if has_predicate(|predicate| *predicate == Predicate::Null) {
            hints.push(Hint::MissingIsNotNull);
        }
        if has_predicate(|predicate| matches!(predicate, Predicate::AnythingBut(_))) {
            hints.push(Hint::AnythingButNeedsValue);
        }
        let members = self.key_index.similar_to(&field.path);
        let path: Vec<&str> = field.path.segments().collect();
        let at_path = members
            .iter()
            .find(|member| segments(&member.pointer) == path);
        if let Some(member) = at_path {
            hints.extend(self.without_scalar(field, member.value));
            return hints;
        }
        if let Some(hint) = self.index(field, &path) {
            hints.push(hint);
            return hints;
        }
        // Before the value on the way: that `severity` is a number is no reason to rename a key.
        // `content.prefix` in an event with `data.content.prefix` is a field at another place.
        let is_below = |member: &Member| segments(&member.pointer).ends_with(&path);
        if !members.iter().any(is_below)
            && let Some(hint) = syntax_as_key::hint(field)
        {
            hints.push(hint);
            return hints;
        }
        if let Some(hint) = below_scalar(self.event, &path, &mut Vec::new()) {
            hints.push(hint);
            return hints;
        }
        let same_key = members
            .iter()
            .find(|member| has_scalar(member.value))
            .map(|member| {
                let location = Location::of(&member.pointer);
                let segments = segments(&member.pointer);
                let equal_ignoring_case = segments.len() == path.len()
                    && segments
                        .iter()
                        .zip(&path)
                        .all(|(one, other)| one.to_lowercase() == other.to_lowercase());
                if equal_ignoring_case {
                    Hint::KeyCase(location)
                } else {
                    Hint::OtherPath(location)
                }
            });
        let similar_key = || {
            let member = self.similar_keys.find(&field.path)?;
            Some(Hint::SimilarKey(Location::of(&member.pointer)))
        };
        hints.extend(same_key.or_else(similar_key));
        hints
    }

    /// The hint at a path whose value is an object or an array without scalars.
    fn without_scalar(&self, field: &Field, value: &Json) -> Option<Hint> {
        let keys = keys_below(value);
        let path_below =
            |key: &String| Path::from_keys(field.path.segments().chain([key.as_str()]));
        // A value one level below may be the one that is meant.
        let reason = match value {
            Json::Object(_) => "the value is an object",
            _ => "the elements of the array are objects",
        };
        let meant = keys.iter().find_map(|key| {
            let below = Node::Field(Field {
                path: path_below(key),
                alternatives: comparing(&field.alternatives),
            });
            naive::matches(&below, self.event).then(|| would_match(reason, &below))?
        });
        if meant.is_some() {
            return meant;
        }
        match value {
            // A value in another element than the enclosing conjunction has chosen.
            _ if has_scalar(value) => None,
            Json::Object(_) if !keys.is_empty() => {
                let keys = keys.iter().take(LISTED_KEYS);
                let keys = keys.map(|key| expression::path(&Path::from_keys([key])));
                Some(Hint::IsObject(keys.collect()))
            }
            Json::Array(_) if !keys.is_empty() => {
                let paths = keys.iter().take(LISTED_KEYS);
                let paths = paths.map(|key| expression::path(&path_below(key)));
                Some(Hint::ElementsAreObjects(paths.collect()))
            }
            _ => Some(Hint::EmptyContainer),
        }
    }

    /// The hint at a path with an index, `a.0`, or with a length, `a.length`.
    fn index(&self, field: &Field, path: &[&str]) -> Option<Hint> {
        let is_index = |key: &&&str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
        let without = path.iter().filter(|key| !is_index(key)).copied();
        let without: Vec<&str> = without.collect();
        let exists = |path: &[&str]| {
            !path.is_empty() && naive::matches(&presence(Path::from_keys(path)), self.event)
        };
        if without.len() < path.len() && exists(&without) {
            let path = Path::from_keys(&without);
            let condition = Node::Field(Field {
                path: path.clone(),
                alternatives: field.alternatives.clone(),
            });
            let reason = "a condition is met by any element of an array, without an index";
            return naive::matches(&condition, self.event)
                .then(|| would_match(reason, &condition))
                .flatten()
                .or_else(|| Some(Hint::NoIndex(expression::path(&path))));
        }
        let (last, parent) = path.split_last()?;
        let is_length = ["length", "size", "count"].contains(last);
        (is_length && exists(parent))
            .then(|| Hint::NoLength(expression::path(&Path::from_keys(parent))))
    }
}

/// The alternatives that compare a value: presence says nothing about another path.
fn comparing(alternatives: &[Alternative]) -> Vec<Alternative> {
    let compares = |alternative: &&Alternative| {
        let mut predicates = alternative.0.iter();
        predicates.all(|one| {
            !matches!(
                one,
                Predicate::Exists | Predicate::Missing | Predicate::AnythingBut(_)
            )
        })
    };
    alternatives.iter().filter(compares).cloned().collect()
}

fn presence(path: Path) -> Node {
    Node::Field(Field {
        path,
        alternatives: vec![Alternative(vec![Predicate::Exists])],
    })
}

/// The keys of an object, or of the objects in an array, each once.
fn keys_below(value: &Json) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    let mut add = |value: &Json| {
        for (key, _) in value.members().iter().take(ELEMENTS) {
            if keys.len() < ELEMENTS && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
    };
    add(value);
    for element in value.elements().iter().take(ELEMENTS) {
        add(element);
        element.elements().iter().take(ELEMENTS).for_each(&mut add);
    }
    keys
}

/// The hint that a value on the way to the path has no keys.
fn below_scalar(value: &Json, path: &[&str], steps: &mut Vec<Step>) -> Option<Hint> {
    if path.is_empty() {
        return None;
    }
    if let Some(scalar) = Scalar::of(value) {
        if steps.is_empty() {
            return None;
        }
        let location = Location(steps.clone());
        if let Scalar::String(text) = scalar
            && text.trim_start().starts_with(['{', '['])
            && let Ok(inner) = Json::parse(text.trim())
        {
            let presence = presence(Path::from_keys(path));
            let mut elements = inner.elements().iter().take(ELEMENTS);
            if naive::matches(&presence, &inner)
                || elements.any(|element| naive::matches(&presence, element))
            {
                return Some(Hint::JsonInText(location));
            }
        }
        let actual = match scalar {
            Scalar::Null => "null",
            Scalar::Bool(_) => "true or false",
            Scalar::Number(_) => "a number",
            Scalar::String(_) => "a string",
        };
        return Some(Hint::NoKeys { location, actual });
    }
    if let Json::Array(elements) = value {
        let has_objects =
            |value: &Json| !value.members().is_empty() || !value.elements().is_empty();
        if !steps.is_empty() && !elements.iter().any(has_objects) {
            let actual = if elements.is_empty() {
                "an empty array"
            } else {
                "an array without objects"
            };
            let location = Location(steps.clone());
            return Some(Hint::NoKeys { location, actual });
        }
        return elements
            .iter()
            .take(ELEMENTS)
            .enumerate()
            .find_map(|(index, element)| {
                // Scalars beside objects are no mistake.
                if !has_objects(element) {
                    return None;
                }
                steps.push(Step::Element(index));
                let found = below_scalar(element, path, steps);
                steps.pop();
                found
            });
    }
    let members = value.members();
    for (index, (key, value)) in members.iter().enumerate() {
        // A key with dots covers several segments of the path.
        let covered = key.split('.').count();
        if covered <= path.len() && key.split('.').eq(path[..covered].iter().copied()) {
            let earlier = members[..index].iter().filter(|(other, _)| other == key);
            steps.push(Step::Member {
                key: key.clone(),
                occurrence: earlier.count(),
            });
            let found = below_scalar(value, &path[covered..], steps);
            steps.pop();
            if found.is_some() {
                return found;
            }
        }
    }
    None
}
