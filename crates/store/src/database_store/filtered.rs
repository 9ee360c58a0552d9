//! Finding deliveries by a filter: the places of a page, and counts.
//!
//! Dead letters are found by indexes that have all that a filter compares, so that a search for a
//! text in 100,000 reasons reads no dead letter but those of the page:
//!
//! ```text
//! filter                      index
//! target, also with rule      delivery_dead_target (target, finished, seq, id, rule)
//! rule                        delivery_dead_rule   (rule, finished, seq, id)
//! with event or reason, none  delivery_dead        (finished, seq, id, target, rule, event, reason)
//! ```
//!
//! Pending and withheld deliveries have no such index: it would be written twice for each of the
//! many deliveries that never become dead letters. Their lists read all of them.

use reflexarc_delivery::DeliveryId;

use super::damage::out_of_order;
use super::micros;
use crate::database;
use crate::database::{Connection, Value, params_from_iter};
use crate::{DeliveryFilter, DeliveryStatus, PageCursor, StoreError};

/// The order of a list: time, archive position, id.
pub(super) type Place = (i64, i64, [u8; 16]);

/// Dead letters that one page looks at, most of which may not be selected.
// The index entry of one takes half a microsecond.
const LOOK: usize = 50_000;

/// The places of deliveries in the order of a list.
pub(super) struct Keys {
    /// One more than were asked for, as a sign that there are others.
    pub(super) found: Vec<PageCursor>,
    /// Where the search ended without having found as many, if there may be others.
    pub(super) looked_until: Option<PageCursor>,
}

/// The places of the next deliveries.
pub(super) fn keys(
    connection: &Connection,
    filter: &DeliveryFilter,
    newest_first: bool,
    after: Option<PageCursor>,
    limit: usize,
) -> database::Result<Keys> {
    let (sql, parameters) = list(filter, newest_first, after, limit);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| {
        Ok(cursor((row.get(0)?, row.get(1)?, row.get(2)?)))
    })?;
    let found: Vec<_> = rows.collect::<Result<_, _>>()?;
    let is_behind = |pair: &[PageCursor]| {
        if newest_first {
            place(pair[0]) > place(pair[1])
        } else {
            place(pair[0]) < place(pair[1])
        }
    };
    if !found.windows(2).all(is_behind) {
        return Err(out_of_order());
    }
    let mut looked_until = None;
    if found.len() <= limit && filter.status == DeliveryStatus::Dead {
        let (sql, parameters) = last_looked_at(filter, newest_first, after);
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        if let Some(row) = rows.next()? {
            let last = cursor((row.get(0)?, row.get(1)?, row.get(2)?));
            looked_until = rows.next()?.map(|_| last);
        }
    }
    Ok(Keys {
        found,
        looked_until,
    })
}

/// How many deliveries are selected, at most `at_most`.
pub(super) fn count(
    connection: &Connection,
    filter: &DeliveryFilter,
    at_most: u64,
) -> Result<u64, StoreError> {
    let (sql, parameters) = counted(filter, at_most);
    let mut statement = connection.prepare_cached(&sql)?;
    let count: i64 = statement.query_row(params_from_iter(parameters), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The column by which deliveries of a status are listed.
pub(super) fn time_column(status: DeliveryStatus) -> &'static str {
    // Pending deliveries have no `finished` time, finished ones no useful `due`.
    match status {
        DeliveryStatus::Pending | DeliveryStatus::Withheld => "due",
        _ => "finished",
    }
}

/// The condition that selects deliveries; its parameters are added to those that are there.
pub(super) fn conditions(filter: &DeliveryFilter, parameters: &mut Vec<Value>) -> String {
    // The condition on `status` is written out, as the partial indexes need it.
    let number = filter.status.number();
    let selected = selected(filter, parameters);
    format!("status = {number}{selected}")
}

pub(super) fn place(cursor: PageCursor) -> Place {
    (cursor.micros, cursor.seq, *cursor.id.as_bytes())
}

pub(super) fn cursor((micros, seq, id): Place) -> PageCursor {
    PageCursor {
        micros,
        seq,
        id: DeliveryId::from(id),
    }
}

/// The query of [`keys`].
pub(super) fn list(
    filter: &DeliveryFilter,
    newest_first: bool,
    after: Option<PageCursor>,
    limit: usize,
) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let time = time_column(filter.status);
    let direction = if newest_first { "DESC" } else { "ASC" };
    let order = format!("ORDER BY {time} {direction}, seq {direction}, id {direction}");
    let behind = behind(filter, newest_first, after, &mut parameters);
    let bound = i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1));
    let source = source(filter);
    let number = filter.status.number();
    let sql = if filter.status == DeliveryStatus::Dead {
        // The inner query goes through the index in order, and bounds how much of it. The outer one
        // has no order of its own: SQLite would read all of the inner one and sort it again.
        let target = of_target(filter, &mut parameters);
        let columns = looked_at(filter);
        let selected = selected(filter, &mut parameters);
        parameters.push(Value::Integer(bound));
        format!(
            "SELECT finished, seq, id FROM
                 (SELECT {columns} FROM delivery {source}
                  WHERE status = {number}{target}{behind} {order} LIMIT {LOOK})
             WHERE true{selected} LIMIT ?{}",
            parameters.len()
        )
    } else {
        // Sorted without the actions: a backlog of 100,000 of 32 KB each would have to go through
        // a file.
        let selected = selected(filter, &mut parameters);
        parameters.push(Value::Integer(bound));
        format!(
            "SELECT {time}, seq, id FROM delivery {source}
             WHERE status = {number}{behind}{selected}{} {order} LIMIT ?{}",
            among(filter.status),
            parameters.len()
        )
    };
    (sql, parameters)
}

/// The query for the last dead letter that [`list`] looks at, if it looks at as many as it may, and
/// for the one behind it.
pub(super) fn last_looked_at(
    filter: &DeliveryFilter,
    newest_first: bool,
    after: Option<PageCursor>,
) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let direction = if newest_first { "DESC" } else { "ASC" };
    let behind = behind(filter, newest_first, after, &mut parameters);
    let target = of_target(filter, &mut parameters);
    let (source, number) = (source(filter), filter.status.number());
    let sql = format!(
        "SELECT finished, seq, id FROM delivery {source} WHERE status = {number}{target}{behind}
         ORDER BY finished {direction}, seq {direction}, id {direction}
         LIMIT 2 OFFSET {}",
        LOOK - 1
    );
    (sql, parameters)
}

/// The query of [`count`].
pub(super) fn counted(filter: &DeliveryFilter, at_most: u64) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let conditions = conditions(filter, &mut parameters);
    parameters.push(Value::Integer(i64::try_from(at_most).unwrap_or(i64::MAX)));
    let source = match filter.status {
        DeliveryStatus::Pending => "INDEXED BY delivery_order",
        _ => source(filter),
    };
    let sql = format!(
        "SELECT count(*) FROM
             (SELECT 1 FROM delivery {source} WHERE {conditions}{} LIMIT ?{})",
        among(filter.status),
        parameters.len()
    );
    (sql, parameters)
}

/// The index that a query reads.
fn source(filter: &DeliveryFilter) -> &'static str {
    if filter.status != DeliveryStatus::Dead {
        return "";
    }
    match (&filter.target, &filter.rule) {
        _ if filter.event.is_some() || filter.reason.is_some() => "INDEXED BY delivery_dead",
        (Some(_), _) => "INDEXED BY delivery_dead_target",
        (None, Some(_)) => "INDEXED BY delivery_dead_rule",
        (None, None) => "INDEXED BY delivery_dead",
    }
}

/// The columns of that index that a filter compares.
fn looked_at(filter: &DeliveryFilter) -> String {
    let mut columns = "finished, seq, id".to_owned();
    for (is_compared, column) in [
        (filter.target.is_some(), ", target"),
        (filter.rule.is_some(), ", rule"),
        (filter.event.is_some(), ", event"),
        (filter.reason.is_some(), ", reason"),
    ] {
        if is_compared {
            columns.push_str(column);
        }
    }
    columns
}

/// The condition on the first column of the index, if a filter has one.
fn of_target(filter: &DeliveryFilter, parameters: &mut Vec<Value>) -> String {
    let (column, value) = match (source(filter), &filter.target, &filter.rule) {
        ("INDEXED BY delivery_dead_target", Some(target), _) => ("target", target),
        ("INDEXED BY delivery_dead_rule", _, Some(rule)) => ("rule", rule),
        _ => return String::new(),
    };
    parameters.push(Value::Text(value.clone()));
    format!(" AND {column} = ?{}", parameters.len())
}

/// The condition that a delivery is behind a place of the list. Of dead letters, it has the
/// bounds of their times too: what is beyond them is not looked at.
fn behind(
    filter: &DeliveryFilter,
    newest_first: bool,
    after: Option<PageCursor>,
    parameters: &mut Vec<Value>,
) -> String {
    let time = time_column(filter.status);
    let mut condition = String::new();
    // Not `?1 IS NULL OR …`, with which SQLite would not go to the place by the index.
    if let Some(after) = after {
        let (micros, seq, id) = place(after);
        let first = parameters.len() + 1;
        parameters.extend([
            Value::Integer(micros),
            Value::Integer(seq),
            Value::Blob(id.into()),
        ]);
        let comparison = if newest_first { '<' } else { '>' };
        condition = format!(
            " AND ({time}, seq, id) {comparison} (?{first}, ?{}, ?{})",
            first + 1,
            first + 2
        );
    }
    if filter.status == DeliveryStatus::Dead {
        condition.push_str(&times(filter, "finished", parameters));
    }
    condition
}

/// The conditions of a filter, but for the status.
fn selected(filter: &DeliveryFilter, parameters: &mut Vec<Value>) -> String {
    let mut conditions = String::new();
    for (column, value) in [
        ("target", &filter.target),
        ("rule", &filter.rule),
        ("event", &filter.event),
    ] {
        if let Some(value) = value {
            parameters.push(Value::Text(value.clone()));
            conditions.push_str(&format!(" AND {column} = ?{}", parameters.len()));
        }
    }
    if let Some(text) = &filter.reason {
        parameters.push(Value::Text(within(text)));
        let number = parameters.len();
        conditions.push_str(&format!(
            " AND ifnull(reason, '') LIKE ?{number} ESCAPE '\\'"
        ));
    }
    let time = match filter.status {
        DeliveryStatus::Dead => "finished",
        _ => "coalesce(finished, created)",
    };
    conditions.push_str(&times(filter, time, parameters));
    conditions
}

/// The conditions on the time of a delivery.
fn times(filter: &DeliveryFilter, column: &str, parameters: &mut Vec<Value>) -> String {
    let mut conditions = String::new();
    for (comparison, time) in [("<=", filter.finished_until), (">=", filter.since)] {
        if let Some(time) = time {
            parameters.push(Value::Integer(micros(time)));
            conditions.push_str(&format!(" AND {column} {comparison} ?{}", parameters.len()));
        }
    }
    conditions
}

/// No index of deliveries has those that are withheld.
fn among(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Withheld => {
            " AND id IN (SELECT delivery FROM withheld INDEXED BY withheld_until
                         WHERE ended IS NULL)"
        }
        _ => "",
    }
}

/// The pattern of texts that have this one within them.
fn within(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
