//! Events that are not text: their owner shows the values at the paths that the patterns use.

use super::observed::{Kind, Observed};
use super::{Matcher, NONE, Scratch, search, sortable};
use crate::Path;

/// The fields of one event, shown value by value. A slot is a position in [`Matcher::paths`].
#[derive(Debug)]
pub struct Fields<'a> {
    observed: &'a mut Observed,
    /// The innermost array element around, or `NONE`.
    element: u32,
}

/// An array whose elements are being shown.
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
        self.observed.add(
            slot,
            if value { Kind::True } else { Kind::False },
            (0, 0),
            self.element,
        );
    }

    /// A string at a path.
    pub fn string(&mut self, slot: u32, text: &str) {
        let element = self.element;
        self.observed
            .add_rewritten(slot, Kind::String, element, |out| {
                out.extend_from_slice(text.as_bytes())
            });
    }

    /// A number at a path; `text` spells it as JSON does.
    pub fn number(&mut self, slot: u32, text: &str) {
        let element = self.element;
        self.observed
            .add_rewritten(slot, Kind::Number, element, |out| {
                sortable::encode(text.as_bytes(), out)
            });
    }

    /// An array that used paths lead into. Its scalars are shown as they are; its objects and arrays through
    /// [`Fields::element`].
    pub fn array(&mut self) -> Elements {
        Elements {
            array: self.observed.open_array(self.element),
            first: true,
        }
    }

    /// An element of an array that is itself an object or an array: what `show` shows lies in it.
    ///
    /// # Errors
    /// Those of `show`.
    pub fn element<E>(
        &mut self,
        elements: &mut Elements,
        show: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let around = self.element;
        self.element = self.observed.open_element(elements.array, elements.first);
        elements.first = false;
        let shown = show(self);
        self.element = around;
        shown
    }
}

impl Matcher {
    /// The paths that any of the patterns looks at, each once.
    pub fn paths(&self) -> &[Path] {
        self.trie.paths()
    }

    /// As [`Matcher::matching`], for an event that is not text: `show` shows every scalar at each of
    /// [`Matcher::paths`]. A key that holds dots is several keys of a path at once, as in text.
    ///
    /// # Errors
    /// Those of `show`; `out` is then empty.
    pub fn matching_fields<E>(
        &self,
        show: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), E> {
        out.clear();
        self.observe_fields(show, scratch)?;
        search::search(
            self,
            b"",
            &scratch.observed,
            &mut scratch.search,
            false,
            out,
        );
        out.sort_unstable();
        Ok(())
    }

    /// As [`Matcher::has_match`], for an event that is not text; see [`Matcher::matching_fields`].
    ///
    /// # Errors
    /// Those of `show`.
    pub fn has_match_fields<E>(
        &self,
        show: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
    ) -> Result<bool, E> {
        self.observe_fields(show, scratch)?;
        scratch.found.clear();
        search::search(
            self,
            b"",
            &scratch.observed,
            &mut scratch.search,
            true,
            &mut scratch.found,
        );
        Ok(!scratch.found.is_empty())
    }

    fn observe_fields<E>(
        &self,
        show: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
        scratch: &mut Scratch,
    ) -> Result<(), E> {
        scratch.observed.clear(self.trie.slots());
        show(&mut Fields {
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
    use crate::{Alternative, Bound, Decimal, Field, Node, Predicate, TextOp};

    /// Shows a tree, as an owner of other values would: at each object, every key leads on by the pieces between dots.
    fn show(fields: &mut Fields<'_>, paths: &[Path], at: &str, value: &Json) -> Result<(), ()> {
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
                show(fields, paths, &at, value)
            }),
            (Json::Array(items), _) => {
                let mut elements = fields.array();
                items.iter().try_for_each(|item| match item {
                    Json::Array(_) | Json::Object(_) => {
                        fields.element(&mut elements, |fields| show(fields, paths, at, item))
                    }
                    scalar => show(fields, paths, at, scalar),
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
        let number = || (0..4i32).prop_map(|n| Decimal::parse(&n.to_string()).expect("a number"));
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
        fn showing_is_as_good_as_scanning(nodes in prop::collection::vec(node(), 1..6), event in event()) {
            let matcher = Matcher::build(&nodes).expect("small patterns");
            let (mut scratch, mut scanned, mut shown) = (Scratch::new(), Vec::new(), Vec::new());
            matcher.matching(event.to_string().as_bytes(), &mut scratch, &mut scanned).expect("valid JSON");
            let walk = |fields: &mut Fields<'_>| show(fields, matcher.paths(), "\0", &event);
            matcher.matching_fields(walk, &mut scratch, &mut shown).expect("shown");
            prop_assert_eq!(&scanned, &shown, "{}", event);
            prop_assert_eq!(matcher.has_match_fields(walk, &mut scratch), Ok(!shown.is_empty()));
        }
    }
}
