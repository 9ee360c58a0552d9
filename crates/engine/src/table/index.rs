//! Finding the row of a table by the value of its key column.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::FixedState;
use ipnet::IpNet;
use reflexarc_diagnostic::{Code, Diagnostic, Span, truncate};
use reflexarc_event::{Json, parse_address, parse_network};
use reflexarc_pattern::canonical_scalar;

use super::prefix_ranges::PrefixRanges;

/// The rows of a table by the value of one column.
#[derive(Debug)]
pub(crate) enum TableIndex {
    /// By equal values.
    Exact(HashMap<Box<str>, u32, FixedState>),
    /// By the longest network.
    Prefix(Networks),
}

/// The rows of a table whose key column has networks.
#[derive(Debug)]
pub(crate) struct Networks(PrefixRanges);

/// A key of a row, and where the row is.
pub(super) struct RowKey {
    /// `None` where the row does not have the column.
    pub(super) value: Option<Json>,
    pub(super) span: Span,
}

/// The column whose values are networks.
const NETWORK_COLUMN: &str = "cidr";

/// Characters of a value in a message.
const SHOWN: usize = 100;

impl TableIndex {
    /// The index of rows with these keys in `column`. Of CSV `are_texts`: each value also stands
    /// for the number or boolean that it spells. What is wrong, the first `most` and one more, is
    /// returned too.
    pub(super) fn new(
        column: &str,
        rows: impl Iterator<Item = RowKey>,
        are_texts: bool,
        most: usize,
    ) -> (Self, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let index = if column == NETWORK_COLUMN {
            Self::of_networks(rows, most, &mut found)
        } else {
            Self::of_values((column, are_texts), rows, most, &mut found)
        };
        (index, found)
    }

    /// The row for a value of an event.
    pub(crate) fn find(&self, value: &Json) -> Option<u32> {
        match self {
            Self::Exact(rows) => rows.get(exact_key(value)?.as_str()).copied(),
            Self::Prefix(networks) => networks.0.find(parse_address(value.as_str()?)?),
        }
    }

    fn of_values(
        (column, are_texts): (&str, bool),
        rows: impl Iterator<Item = RowKey>,
        most: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut numbers: HashMap<Box<str>, u32, FixedState> = HashMap::default();
        let mut spans: Vec<Span> = Vec::new();
        for (number, row) in (0_u32..).zip(rows) {
            if found.len() > most {
                break;
            }
            spans.push(row.span.clone());
            let Some(value) = row.value else {
                found.push(missing_key(column, row.span));
                continue;
            };
            let Some(key) = exact_key(&value) else {
                let message = format!("the key `{column}` is {}", kind(&value));
                let error = Diagnostic::error(Code::TABLE_FILE, row.span, message);
                found.push(error.with_help("expected a string, a number or a boolean"));
                continue;
            };
            if value.as_str() == Some("") {
                found.push(missing_key(column, row.span));
                continue;
            }
            // A cell `7` of CSV is found by the text "7" and by the number 7.
            let spelt = value.as_str().filter(|_| are_texts).and_then(spelt_value);
            for key in [Some(key), spelt].into_iter().flatten() {
                match numbers.entry(key.into_boxed_str()) {
                    Entry::Vacant(entry) => {
                        entry.insert(number);
                    }
                    Entry::Occupied(first) => {
                        let first = spans[*first.get() as usize].clone();
                        found.push(duplicate(&value, first, row.span.clone(), are_texts));
                        break;
                    }
                }
            }
        }
        numbers.shrink_to_fit();
        Self::Exact(numbers)
    }

    fn of_networks(
        rows: impl Iterator<Item = RowKey>,
        most: usize,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut networks: Vec<(IpNet, u32)> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        for (number, row) in (0_u32..).zip(rows) {
            if found.len() > most {
                break;
            }
            spans.push(row.span.clone());
            let network = match &row.value {
                None => {
                    found.push(missing_key(NETWORK_COLUMN, row.span));
                    continue;
                }
                Some(Json::String(text)) => parse_network(text),
                Some(_) => None,
            };
            match network {
                Some(network) => networks.push((network.trunc(), number)),
                None => found.push(invalid_network(row.value.as_ref(), row.span)),
            }
        }
        let network = |row: u32| networks.iter().find(|(_, number)| *number == row);
        let (ranges, same) = PrefixRanges::new(networks.iter().copied());
        for (first, second) in same {
            if found.len() > most {
                break;
            }
            let shown =
                network(second).map_or_else(String::new, |(network, _)| network.to_string());
            let (first, second) = (first as usize, second as usize);
            let (first, second) = (spans[first].clone(), spans[second].clone());
            found.push(duplicate(&Json::from(shown), first, second, false));
        }
        Self::Prefix(Networks(ranges))
    }
}

/// The text that stands for all values which filters take for equal; `None` for what is no key.
fn exact_key(value: &Json) -> Option<String> {
    Some(match canonical_scalar(value)? {
        // Before it, no number and no boolean has a quote.
        Json::String(text) => format!("\"{text}"),
        other => other.to_string(),
    })
}

/// The number or boolean that a text spells.
fn spelt_value(text: &str) -> Option<String> {
    // Most texts begin like none.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | 't' | 'f')) {
        return None;
    }
    match Json::parse(text).ok()? {
        value @ (Json::Number(_) | Json::Bool(_)) => exact_key(&value),
        _ => None,
    }
}

fn missing_key(column: &str, span: Span) -> Diagnostic {
    let message = format!("the row has no value in its key column `{column}`");
    let error = Diagnostic::error(Code::TABLE_FILE, span, message);
    error.with_help("remove the row, or add the value")
}

fn invalid_network(value: Option<&Json>, span: Span) -> Diagnostic {
    let shown = value.map_or_else(String::new, Json::to_string);
    let message = format!("invalid network {}", truncate(&shown, SHOWN));
    let error = Diagnostic::error(Code::TABLE_FILE, span, message);
    error.with_help(
        "the key column `cidr` has networks such as 10.0.0.0/8, or addresses; name it otherwise \
         to compare its values as they are",
    )
}

fn duplicate(value: &Json, first: Span, second: Span, are_texts: bool) -> Diagnostic {
    let shown = value.to_string();
    let message = format!("duplicate key {}", truncate(&shown, SHOWN));
    let error = Diagnostic::error(Code::DUPLICATE_ROW, second, message)
        .with_label(first, "the first row with this key");
    // `1.10` and `1.1` are two versions, but one number.
    let is_number = are_texts && value.as_str().and_then(spelt_value).is_some();
    error.with_help(if is_number {
        "remove one of the rows; if these are texts and not numbers, write the table as NDJSON"
    } else {
        "remove one of the rows"
    })
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Array(_) => "an array",
        _ => "an object",
    }
}
