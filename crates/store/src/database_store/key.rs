//! Keys of rows, by which a walk over a table or index goes on in its next transaction.

use std::cmp::Ordering;
use std::fmt;

use crate::database::{self, Row, ToValue, ValueRef};

/// One column of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeyColumn {
    Null,
    Integer(i64),
    Real(f64),
    /// Not a `String`: the text of a damaged row need not be UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// A key, column by column.
pub(super) type Key = Vec<KeyColumn>;

/// The first `columns` columns of a row as a key.
pub(super) fn read_key(row: &Row<'_>, columns: usize) -> database::Result<Key> {
    (0..columns)
        .map(|column| row.get_ref(column).map(KeyColumn::from))
        .collect()
}

/// The order of keys in a table or index: that of SQLite's collation BINARY.
pub(super) fn compare(left: &Key, right: &Key) -> Ordering {
    let columns = left.iter().zip(right);
    let mut differing = columns.map(|(left, right)| left.compare(right));
    differing
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl KeyColumn {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) | (Self::Blob(left), Self::Blob(right)) => {
                left.cmp(right)
            }
            (Self::Real(left), Self::Real(right)) => left.total_cmp(right),
            // No key of ours mixes integers and reals.
            (left, right) => left.class().cmp(&right.class()),
        }
    }

    /// SQLite sorts by type first.
    fn class(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 1,
            Self::Text(_) => 2,
            Self::Blob(_) => 3,
        }
    }
}

impl From<ValueRef<'_>> for KeyColumn {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(text.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl ToValue for KeyColumn {
    fn to_value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl fmt::Display for KeyColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Self::Blob(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}
