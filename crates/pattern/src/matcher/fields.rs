//! Events that are not JSON text, such as Python dicts: the owner of the event visits the values at
//! the paths that the patterns use.

use super::observed::{Kind, Observed};
use super::{Matcher, NONE, Scratch};
use crate::{Decimal, Path};

/// Receives the values of one event. A slot is a position in [`Matcher::paths`].
#[derive(Debug)]
pub struct Fields<'a> {
    observed: &'a mut Observed,
    /// The innermost array element that is being visited, or `NONE`.
    element: u32,
}

/// An array whose elements are being visited.
#[derive(Debug)]
pub struct Elements {
    array: u32,
    first: bool,
}

impl Fields<'_> {
    /// `null` at a path.
    pub fn null(&mut self, slot: u32) {
        self.observed.add(slot, Kind::Null, (0, 0), self.element);
    }

    /// `true` or `false` at a path.
    pub fn bool(&mut self, slot: u32, value: bool) {
        let kind = if value { Kind::True } else { Kind::False };
        self.observed.add(slot, kind, (0, 0), self.element);
    }

    /// A string at a path.
    pub fn string(&mut self, slot: u32, text: &str) {
        let copy = |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
        self.observed
            .add_rewritten(slot, Kind::String, self.element, copy);
    }

    /// A number at a path; `text` is its JSON text.
    pub fn number(&mut self, slot: u32, text: &str) {
        let encode = |out: &mut Vec<u8>| Decimal::write_sort_key(text.as_bytes(), out);
        self.observed
            .add_rewritten(slot, Kind::Number, self.element, encode);
    }

    /// An array on a used path. Its scalars are visited as usual, its objects and arrays through
    /// [`Fields::element`].
    pub fn array(&mut self) -> Elements {
        Elements {
            array: self.observed.open_array(self.element),
            first: true,
        }
    }

    /// An element of an array that is an object or an array: `visit` visits the values inside it.
    ///
    /// # Errors
    /// Those of `visit`.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use reflexarc_pattern::{Fields, Matcher, Pattern, Scratch};
    ///
    /// // The event {"a": [{"b": 1}, {"b": 2}]}, visited value by value.
    /// let pattern: Pattern = "a.b == 2".parse()?;
    /// let matcher = Matcher::build([pattern.node()])?;
    /// let visit = |fields: &mut Fields<'_>| {
    ///     let mut array = fields.array();
    ///     for number in ["1", "2"] {
    ///         fields.element(&mut array, |fields| {
    ///             fields.number(0, number);
    ///             Ok::<(), Infallible>(())
    ///         })?;
    ///     }
    ///     Ok::<(), Infallible>(())
    /// };
    /// assert!(matcher.has_match_fields(visit, &mut Scratch::new())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn element<E>(
        &mut self,
        elements: &mut Elements,
        visit: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let outer = self.element;
        self.element = self.observed.open_element(elements.array, elements.first);
        elements.first = false;
        let visited = visit(self);
        self.element = outer;
        visited
    }
}

impl Matcher {
    /// The paths that the patterns use, each once.
    pub fn paths(&self) -> &[Path] {
        self.trie.paths()
    }

    /// As [`Matcher::matching`], for an event that is not JSON text: `visit` visits every scalar at
    /// each of [`Matcher::paths`]. A key that contains dots is several keys of a path at once, as
    /// in JSON text.
    ///
    /// # Errors
    /// Those of `visit`; `ids` is then empty.
    ///
    /// ```
    /// use reflexarc_pattern::{Fields, Matcher, Pattern, Scratch};
    ///
    /// let pattern: Pattern = r#"level == "WARN""#.parse()?;
    /// let matcher = Matcher::build([pattern.node()])?;
    /// assert_eq!(matcher.paths()[0].as_str(), "level");
    /// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    /// let visit = |fields: &mut Fields<'_>| {
    ///     fields.string(0, "WARN");
    ///     Ok::<(), std::convert::Infallible>(())
    /// };
    /// matcher.matching_fields(visit, &mut scratch, &mut ids)?;
    /// assert_eq!(ids, [0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matching_fields<E>(
        &self,
        visit: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<(), E> {
        ids.clear();
        self.observe_fields(visit, scratch)?;
        self.search_all(b"", scratch, None, ids);
        Ok(())
    }

    /// As [`Matcher::has_match`], for an event that is not JSON text; see
    /// [`Matcher::matching_fields`].
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn has_match_fields<E>(
        &self,
        visit: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
    ) -> Result<bool, E> {
        self.observe_fields(visit, scratch)?;
        Ok(self.search_one(b"", scratch))
    }

    fn observe_fields<E>(
        &self,
        visit: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
    ) -> Result<(), E> {
        scratch.observed.clear(self.trie.slots());
        visit(&mut Fields {
            observed: &mut scratch.observed,
            element: NONE,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reflexarc_event::Json;

    use super::*;
    use crate::{Alternative, Bound, Field, Node, Predicate, TextOp};

    /// Visits a tree as the owner of other values would: every key continues the path.
    fn visit(fields: &mut Fields<'_>, paths: &[Path], at: &str, value: &Json) -> Result<(), ()> {
        let slot = || {
            paths
                .iter()
                .zip(0..)
                .find(|(path, _)| path.as_str() == at.trim_start_matches('\0'))
                .map(|(_, slot)| slot)
        };
        match (value, slot()) {
            (Json::Object(members), _) => members.iter().try_for_each(|(key, value)| {
                let at = if at == "\0" {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                visit(fields, paths, &at, value)
            }),
            (Json::Array(items), _) => {
                let mut elements = fields.array();
                items.iter().try_for_each(|item| match item {
                    Json::Array(_) | Json::Object(_) => {
                        fields.element(&mut elements, |fields| visit(fields, paths, at, item))
                    }
                    scalar => visit(fields, paths, at, scalar),
                })
            }
            (_, None) => Ok(()),
            (Json::Null, Some(slot)) => {
                fields.null(slot);
                Ok(())
            }
            (Json::Bool(value), Some(slot)) => {
                fields.bool(slot, *value);
                Ok(())
            }
            (Json::Number(text), Some(slot)) => {
                fields.number(slot, text);
                Ok(())
            }
            (Json::String(text), Some(slot)) => {
                fields.string(slot, text);
                Ok(())
            }
        }
    }

    fn predicate() -> impl Strategy<Value = Predicate> {
        let number = || (0..4i32).prop_map(|n| n.to_string().parse::<Decimal>().expect("a number"));
        prop_oneof![
            Just(Predicate::Missing),
            Just(Predicate::Exists),
            Just(Predicate::Null),
            any::<bool>().prop_map(Predicate::Bool),
            number().prop_map(Predicate::Number),
            number().prop_map(|value| Predicate::Range {
                lower: Some(Bound {
                    value,
                    inclusive: true
                }),
                upper: None
            }),
            "[ab]{0,2}".prop_map(|text| Predicate::Text(TextOp::Equals, text.into())),
            "[ab]{0,2}".prop_map(|text| Predicate::Text(TextOp::Prefix, text.into())),
        ]
    }

    fn node() -> impl Strategy<Value = Node> {
        let field = (
            "[ab](\\.[ab]){0,2}",
            prop::collection::vec(predicate(), 1..3),
        )
            .prop_map(|(path, predicates)| {
                let alternatives = predicates
                    .into_iter()
                    .map(|predicate| Alternative(vec![predicate]))
                    .collect();
                Node::Field(Field {
                    path: Path::from_keys([path]),
                    alternatives,
                })
            });
        prop::collection::vec(field, 1..4).prop_map(Node::All)
    }

    fn event() -> impl Strategy<Value = Json> {
        let scalar = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            (0..4i64).prop_map(Json::from),
            "[ab]{0,2}".prop_map(Json::from),
        ];
        let value = scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(("[ab](\\.[ab])?", inner.clone()), 0..4)
                    .prop_map(Json::Object),
                prop::collection::vec(inner, 0..4).prop_map(Json::Array),
            ]
        });
        prop::collection::vec(("[ab](\\.[ab])?", value), 0..4).prop_map(Json::Object)
    }

    proptest! {
        #[test]
        fn visiting_agrees_with_scanning(
            nodes in prop::collection::vec(node(), 1..6), event in event(),
        ) {
            let matcher = Matcher::build(&nodes).expect("small patterns");
            let (mut scratch, mut scanned, mut visited) = (Scratch::new(), vec![], vec![]);
            let text = event.to_string();
            let valid = matcher.matching_bytes(text.as_bytes(), &mut scratch, &mut scanned);
            prop_assert!(valid.is_ok());
            let walk = |fields: &mut Fields<'_>| visit(fields, matcher.paths(), "\0", &event);
            matcher.matching_fields(walk, &mut scratch, &mut visited).expect("no error");
            prop_assert_eq!(&scanned, &visited, "{}", event);
            prop_assert_eq!(matcher.has_match_fields(walk, &mut scratch), Ok(!visited.is_empty()));
        }
    }
}
