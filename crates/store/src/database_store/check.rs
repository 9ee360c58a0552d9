//! Checking the file for damage in small steps, while it is in use.
//!
//! `PRAGMA quick_check` reads the whole file in one transaction: ten gigabytes before the first
//! request is answered, or, beside a running service, a write-ahead log that grows as long as that
//! takes. Here each step is a transaction of its own that reads at most [`STEP_ROWS`] rows, so the
//! check may take its time.
//!
//! Every table and index is read in the order of its keys. Where a page cannot be read, the rest of
//! that table or index is read from its end backwards:
//!
//! ```text
//! rows       1 … 40 | page that cannot be read | 61 … 100
//! upwards    ──────→
//! downwards                                    ←───────
//! found      between 40 and 61
//! ```

use std::cmp::Ordering;

use super::damage::{is_local, out_of_order};
use super::key::{Key, KeyColumn, compare, read_key};
use super::references;
use super::{answers, archived_event};
use crate::database::{self, Connection, Row, ToValue, ValueRef};
use crate::engine::Engine;
use crate::tree::Tree;
use crate::{StoreCheck, StoreError};

/// The largest number of rows in a step.
const STEP_ROWS: u64 = 1_000;
/// A step ends with the row that makes it this large.
const STEP_BYTES: u64 = 1 << 20;

/// Where a check is.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckPlace {
    /// What is to be read; `None` before the first step.
    trees: Option<Vec<Tree>>,
    /// The number of the tree that is being read.
    tree: usize,
    /// The last key that was read upwards.
    below: Option<Key>,
    /// Where the tree is read downwards, and why it is.
    downwards: Option<Downwards>,
}

#[derive(Debug, Clone)]
struct Downwards {
    /// The last key that was read.
    above: Option<Key>,
    /// Why the upward walk ended.
    reason: String,
}

/// Why a step ended.
enum End {
    /// There is more to read.
    Full,
    /// Nothing follows.
    Tree,
    Damage(String),
}

/// Reads the next part.
pub(super) fn step(
    connection: &Connection,
    engine: &impl Engine,
    check: &mut StoreCheck,
) -> Result<(), StoreError> {
    let known = check.place.trees.take();
    let trees = known.map_or_else(|| engine.trees(connection), Ok)?;
    let Some(tree) = trees.get(check.place.tree) else {
        check.place.trees = Some(trees);
        if let Some(detail) = references::compare(connection)? {
            check.found("kept_event", detail);
        }
        check.is_done = true;
        return Ok(());
    };
    let end = read(connection, tree, check);
    // Not if the step failed: then it is repeated as a whole.
    let next = end?;
    let place = &mut check.place;
    match (next, place.downwards.take()) {
        (End::Full, downwards) => place.downwards = downwards,
        (End::Tree, None) => next_tree(place),
        // From the end down to the place where the upward walk ended.
        (End::Damage(reason), None) if tree.is_ordered => {
            place.downwards = Some(Downwards {
                above: None,
                reason,
            });
        }
        (End::Damage(reason), None) => {
            next_tree(place);
            check.found(&tree.name, reason);
        }
        (End::Tree | End::Damage(_), Some(Downwards { above, reason })) => {
            let name =
                |key: &Option<Key>, none: &str| key.as_ref().map_or(none.to_owned(), display);
            let detail = format!(
                "rows between {} and {}: {reason}",
                name(&place.below, "the first"),
                name(&above, "the last")
            );
            next_tree(place);
            check.found(&tree.name, detail);
        }
    }
    check.place.trees = Some(trees);
    Ok(())
}

fn next_tree(place: &mut CheckPlace) {
    place.tree += 1;
    (place.below, place.downwards) = (None, None);
}

/// Reads rows of one tree from where the check is.
fn read(connection: &Connection, tree: &Tree, check: &mut StoreCheck) -> Result<End, StoreError> {
    let place = &check.place;
    let (after, before) = (
        place.below.clone(),
        place.downwards.as_ref().and_then(|down| down.above.clone()),
    );
    let is_down = place.downwards.is_some();
    let sql = tree.query(after.is_some(), before.is_some(), is_down);
    let parameters: Vec<&dyn ToValue> = after
        .iter()
        .chain(&before)
        .flatten()
        .map(|column| column as &dyn ToValue)
        .collect();
    let failed = |error: database::Error| {
        if is_local(&error) {
            Ok(End::Damage(error.to_string()))
        } else {
            Err(StoreError::from(error))
        }
    };
    let mut statement = match connection.prepare_cached(&sql) {
        Ok(statement) => statement,
        Err(error) => return failed(error),
    };
    let mut rows = match statement.query(parameters.as_slice()) {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let (mut count, mut bytes) = (0, 0);
    let mut previous = if is_down { before } else { after };
    let forward = if is_down {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    let end = loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break End::Tree,
            Err(error) => break failed(error)?,
        };
        let key = read_key(&row, tree.key.len())?;
        // The rows of a damaged page may be those of another one. Without this, the walk could go
        // in a circle.
        let order = previous
            .as_ref()
            .map_or(forward, |last| compare(&key, last));
        if order != forward {
            break End::Damage(out_of_order().to_string());
        }
        count += 1;
        bytes += row_bytes(&row)?;
        if let Err(reason) = verify(connection, tree, &row) {
            let what = if tree.name == "archive" { "event " } else { "" };
            check.found(&tree.name, format!("{what}{}: {reason}", display(&key)));
        }
        previous = Some(key);
        if tree.is_ordered && (count >= STEP_ROWS || bytes >= STEP_BYTES) {
            break End::Full;
        }
    };
    check.rows += count;
    check.bytes += bytes;
    let place = &mut check.place;
    // Rows were read before the damage: the next step begins behind them, and at the damage.
    let is_progress = tree.is_ordered && count > 0 && matches!(end, End::Damage(_));
    match &mut place.downwards {
        None => place.below = previous,
        Some(downwards) => downwards.above = previous,
    }
    Ok(if is_progress { End::Full } else { end })
}

/// Checks what of a row SQLite does not know.
fn verify(connection: &Connection, tree: &Tree, row: &Row<'_>) -> Result<(), String> {
    let failed = |error: database::Error| error.to_string();
    match tree.name.as_str() {
        "archive" => archived_event::verify_row(row),
        "kept_match" => {
            let positions = row.get_ref("positions").map_err(failed)?;
            references::verify_match(positions.as_blob()?)
        }
        "kept_event" => references::verify_event(connection, row.get("seq").map_err(failed)?),
        "waiting_call" => answers::verify_row(connection, row),
        _ => Ok(()),
    }
}

/// The size of the columns of a row.
fn row_bytes(row: &Row<'_>) -> database::Result<u64> {
    let columns = row.column_count();
    (0..columns).try_fold(0, |bytes, column| {
        Ok(bytes
            + match row.get_ref(column)? {
                ValueRef::Text(value) | ValueRef::Blob(value) => value.len() as u64,
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
            })
    })
}

fn display(key: &Key) -> String {
    let columns: Vec<String> = key.iter().map(KeyColumn::to_string).collect();
    columns.join(", ")
}
