//! The rows of a picture: interfaces, then what is about none, then targets, then matches.

use std::collections::BTreeMap;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    Interface,
    /// Refused creations, published events, requests of rules.
    NoInterface,
    Target,
    /// A match of a rule with a time window.
    Match,
}

/// A row and its two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) kind: RowKind,
    pub(super) name: String,
    /// Whose match it is.
    pub(super) detail: String,
}

/// All rows; marks and bars have their numbers.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    ids: BTreeMap<Row, usize>,
}

impl Rows {
    /// The number of a row, which is added if it is new.
    pub(super) fn id(&mut self, kind: RowKind, name: &str, detail: &str) -> usize {
        let row = Row {
            kind,
            name: name.to_owned(),
            detail: detail.to_owned(),
        };
        *self.ids.entry(row).or_insert_with_key(|row| {
            self.rows.push(row.clone());
            self.rows.len() - 1
        })
    }

    pub(super) fn get(&self, id: usize) -> &Row {
        &self.rows[id]
    }

    /// The numbers of all rows from top to bottom.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut ids: Vec<usize> = (0..self.rows.len()).collect();
        // Within a kind the order stays: that of their first appearance.
        ids.sort_by_key(|id| self.rows[*id].kind);
        ids
    }

    /// The number of rows of interfaces.
    pub(super) fn interfaces(&self) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| row.kind == RowKind::Interface).count()
    }
}
