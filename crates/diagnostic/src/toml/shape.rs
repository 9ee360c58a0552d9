//! What a file may contain, recorded from the code that reads it.
//!
//! A reader reads each key with a method that says what its value may be. So instead of a second
//! list of all keys, the reader itself is run on an empty file, and what it reads is recorded: see
//! [`Document::recorded`](super::Document::recorded).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The name of all keys that an author may choose, such as those of `[targets.NAME]`.
pub const ANY_NAME: &str = "*";

/// What a table may contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableShape {
    /// The keys with what their values may be; [`ANY_NAME`] for those that the author names.
    pub keys: BTreeMap<String, ValueShapes>,
    /// Of each of these sets of keys, one is required.
    pub required: BTreeSet<Vec<String>>,
    /// Whether it may have any other keys.
    pub is_open: bool,
    /// The shape that the table has with each value of the key `type`, if it depends on that.
    pub variants: BTreeMap<String, TableShape>,
}

/// What a value may be: one of these. Anything, if there is none.
pub type ValueShapes = Vec<ValueShape>;

/// One kind of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueShape {
    /// A string.
    Text,
    /// One of these strings.
    Word(Vec<&'static str>),
    /// A duration such as `"90s"`.
    Duration,
    /// A date with time and offset, or a string that spells one.
    Time,
    /// `true` or `false`.
    Boolean,
    /// An integer from the first to the second, both included.
    Integer(u64, u64),
    /// An array; anything is in it if there is no shape.
    Array(ValueShapes),
    /// A table.
    Table(TableShape),
}

/// Records what readers read.
#[derive(Debug)]
pub(super) struct Recorder {
    /// In tables that are nested less deeply, every key seems to be there, without a value: what is
    /// only read then is recorded. In the others no key is there: what is required is recorded.
    pub(super) present_above: usize,
    pub(super) root: RefCell<TableShape>,
}

/// The way to a table: each key, and whether the table is an element of an array there.
pub(super) type Route = Vec<(String, bool)>;

impl TableShape {
    /// The shape of the tables at a key, if there can be some.
    pub fn table(&self, key: &str) -> Option<&TableShape> {
        let tables = self.keys.get(key)?.iter();
        tables
            .flat_map(ValueShape::elements)
            .find_map(|shape| match shape {
                ValueShape::Table(table) => Some(table),
                _ => None,
            })
    }

    /// The same, to change it.
    pub fn table_mut(&mut self, key: &str) -> Option<&mut TableShape> {
        self.keys
            .get_mut(key)?
            .iter_mut()
            .find_map(ValueShape::as_table_mut)
    }

    /// Adds what another run of the same reader has recorded.
    pub fn merge(&mut self, other: Self) {
        for (key, shapes) in other.keys {
            let own = self.keys.entry(key).or_default();
            for shape in shapes {
                add(own, shape);
            }
        }
        self.required.extend(other.required);
        self.is_open |= other.is_open;
        for (name, variant) in other.variants {
            self.variants.entry(name).or_default().merge(variant);
        }
    }

    /// How many tables are nested in each other, this one included.
    pub(super) fn depth(&self) -> usize {
        let values = self.keys.values().flatten();
        let tables = values
            .flat_map(ValueShape::elements)
            .filter_map(|shape| match shape {
                ValueShape::Table(table) => Some(table.depth()),
                _ => None,
            });
        1 + tables.max().unwrap_or(0)
    }

    /// The table at the end of the route, which is added if it is not there.
    fn at(&mut self, route: &[(String, bool)]) -> Option<&mut Self> {
        let Some(((key, in_array), rest)) = route.split_first() else {
            return Some(self);
        };
        let shapes = self.keys.entry(key.clone()).or_default();
        let is_it = |shape: &ValueShape| match shape {
            ValueShape::Table(_) => !in_array,
            ValueShape::Array(elements) => {
                *in_array && matches!(elements[..], [ValueShape::Table(_)])
            }
            _ => false,
        };
        let found = shapes.iter().position(is_it).unwrap_or_else(|| {
            let table = ValueShape::Table(Self::default());
            shapes.push(if *in_array {
                ValueShape::Array(vec![table])
            } else {
                table
            });
            shapes.len() - 1
        });
        shapes[found].as_table_mut()?.at(rest)
    }
}

impl ValueShape {
    /// The value, or the elements of the array.
    fn elements(&self) -> std::slice::Iter<'_, Self> {
        match self {
            Self::Array(elements) => elements.iter(),
            other => std::slice::from_ref(other).iter(),
        }
    }

    fn as_table_mut(&mut self) -> Option<&mut TableShape> {
        match self {
            Self::Table(table) => Some(table),
            Self::Array(elements) => elements.iter_mut().find_map(Self::as_table_mut),
            _ => None,
        }
    }
}

impl Recorder {
    /// Records that a key is known, and what its value may be.
    pub(super) fn key(&self, route: &Route, key: &str, shapes: ValueShapes) {
        self.with(route, |table| {
            let own = table.keys.entry(key.to_owned()).or_default();
            for shape in shapes {
                add(own, shape);
            }
        });
    }

    /// Records that one of these keys is required.
    pub(super) fn required(&self, route: &Route, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.with(route, |table| {
            table.required.insert(keys);
        });
    }

    /// Records that there may be a table.
    pub(super) fn table(&self, route: &Route) {
        self.with(route, |_| ());
    }

    /// Records that the table may have any keys.
    pub(super) fn open(&self, route: &Route) {
        self.with(route, |table| table.is_open = true);
    }

    fn with(&self, route: &Route, change: impl FnOnce(&mut TableShape)) {
        if let Some(table) = self.root.borrow_mut().at(route) {
            change(table);
        }
    }
}

/// Adds a shape to others; two shapes of tables become one.
fn add(shapes: &mut ValueShapes, shape: ValueShape) {
    for own in shapes.iter_mut() {
        match (own, &shape) {
            (ValueShape::Table(own), ValueShape::Table(other)) => return own.merge(other.clone()),
            (ValueShape::Array(own), ValueShape::Array(others)) => {
                for other in others {
                    add(own, other.clone());
                }
                return;
            }
            (own, _) if *own == shape => return,
            _ => {}
        }
    }
    shapes.push(shape);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml::{Document, FaultCodes, TableReader};

    /// Reads a key of each of `depth` tables in each other, if another key is there.
    fn read(table: &TableReader<'_>, depth: usize) {
        if table.has("a") {
            table.string("b");
        }
        if depth > 1
            && let Some(inner) = table.table("t")
        {
            read(&inner, depth - 1);
        }
    }

    #[test]
    fn tables_are_recorded_however_deep_they_are() {
        for depth in 1..20 {
            let shape = Document::recorded("", FaultCodes::CONFIG, |document| {
                read(&document.root(), depth);
            });
            assert_eq!(shape.depth(), depth);
            let mut table = Some(&shape);
            for _ in 0..depth {
                let found = table.expect("a table");
                assert_eq!(found.keys["b"], [ValueShape::Text]);
                table = found.table("t");
            }
            assert!(table.is_none());
        }
    }
}
