//! The bars of a picture: what lasts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use super::super::timeline::{Content, Entry};
use super::rows::{RowKind, Rows};

/// Something that lasts, in a row.
pub(super) struct Bar {
    pub(super) row: usize,
    pub(super) kind: BarKind,
    pub(super) from: Timestamp,
    /// Absent when it lasts to the end of the picture.
    pub(super) to: Option<Timestamp>,
    /// The deadline of a match.
    pub(super) due: Option<Timestamp>,
}

/// What lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BarKind {
    Status(EniStatus),
    /// A rule waits.
    Waiting,
    /// A rule has reacted, and waits for the end of what it has reported.
    Reported,
}

/// The statuses of interfaces over time. `before` has those at the start; of these, only interfaces
/// with entries have bars.
pub(super) fn status_bars(
    before: &BTreeMap<String, EniStatus>,
    entries: &[Entry],
    start: Timestamp,
    rows: &mut Rows,
) -> Vec<Bar> {
    // The index of the last bar of each interface, which the next status ends.
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bars: Vec<Bar> = Vec::new();
    let interfaces = entries
        .iter()
        .filter_map(|entry| entry.interface.as_deref());
    let with_entries: BTreeSet<&str> = interfaces.collect();
    let mut add = |name, status, from, bars: &mut Vec<Bar>| {
        if let Some(before) = open.insert(name, bars.len()) {
            bars[before].to = Some(from);
        }
        bars.push(Bar {
            row: rows.id(RowKind::Interface, name, ""),
            kind: BarKind::Status(status),
            from,
            to: None,
            due: None,
        });
    };
    for (name, status) in before {
        if with_entries.contains(name.as_str()) {
            add(name, *status, start, &mut bars);
        }
    }
    for entry in entries {
        if let (Content::Status { to, .. }, Some(name)) = (&entry.content, &entry.interface) {
            add(name, *to, entry.at, &mut bars);
        }
    }
    // A status that ends at once has no width, and after Deleted there is nothing to show.
    bars.retain(|bar| bar.to != Some(bar.from) && bar.kind != BarKind::Status(EniStatus::Deleted));
    bars
}

impl BarKind {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Status(status) => status.as_str(),
            Self::Waiting => "waiting",
            Self::Reported => "reported",
        }
    }
}
