//! What operators have done.

use jiff::Timestamp;

use super::{instant, micros};
use crate::database;
use crate::database::{Connection, Row, Value, params_from_iter};
use crate::{
    AuditEntry, AuditFilter, AuditLimits, AuditOutcome, AuditVia, NewAuditEntry, StoreError,
};

/// What version 10 added for what operators do.
// The indexes have what a filter compares, so that a search reads no other row.
pub(crate) const AUDIT: &str = "
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    via       TEXT NOT NULL,                    -- see `AuditVia`
    operation TEXT NOT NULL,
    subject   TEXT NOT NULL,
    details   TEXT NOT NULL,                    -- JSON
    command   TEXT NOT NULL,
    outcome   TEXT NOT NULL,                    -- see `AuditOutcome`
    changed   INTEGER NOT NULL,
    message   TEXT NOT NULL,
    finished  INTEGER
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_actor ON audit (actor, id, at, operation);
CREATE INDEX audit_by_operation ON audit (operation, id, at);
";

/// Removes entries from before `?1`, at most `?2`. The newest stays, so that its number is not
/// given again.
pub(super) const FORGET_AUDIT: &str = "DELETE FROM audit WHERE id IN
    (SELECT id FROM audit INDEXED BY audit_by_time
     WHERE at < ?1 AND id < (SELECT max(id) FROM audit) LIMIT ?2)";

/// Removes the entries up to a number.
const FORGET_FIRST: &str = "DELETE FROM audit WHERE id <= ?1";

/// Records an operation. Returns its number.
pub(super) fn append(connection: &Connection, new: &NewAuditEntry) -> Result<i64, StoreError> {
    const LIMITS: AuditLimits = AuditLimits::LIMITS;
    let sql = "INSERT INTO audit (at, actor, via, operation, subject, details, command, outcome,
                                  changed, message, finished)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id";
    let details = if new.details.len() > LIMITS.details {
        &format!(r#"{{"left_out_bytes":{}}}"#, new.details.len())
    } else {
        &new.details
    };
    let has_ended = new.outcome != AuditOutcome::Begun;
    let row = (
        micros(new.at),
        cut(&new.by, LIMITS.name),
        new.via.as_str(),
        cut(&new.operation, LIMITS.name),
        cut(&new.subject, LIMITS.subject),
        details,
        cut(&new.command, LIMITS.command),
        new.outcome.as_str(),
        i64::try_from(new.count).unwrap_or(i64::MAX),
        cut(&new.message, LIMITS.message),
        has_ended.then(|| micros(new.at)),
    );
    let id = connection.insert(sql, row)?;
    let most = i64::try_from(LIMITS.entries).unwrap_or(i64::MAX);
    connection
        .prepare_cached(FORGET_FIRST)?
        .run([id.saturating_sub(most)])?;
    Ok(id)
}

/// Records how an operation ended. Returns whether it is still known.
pub(super) fn finish(
    connection: &Connection,
    id: i64,
    outcome: AuditOutcome,
    count: u64,
    message: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE audit SET outcome = ?2, changed = ?3, message = ?4, finished = ?5
               WHERE id = ?1";
    let changed = connection.prepare_cached(sql)?.execute((
        id,
        outcome.as_str(),
        i64::try_from(count).unwrap_or(i64::MAX),
        cut(message, AuditLimits::LIMITS.message),
        (outcome != AuditOutcome::Begun).then(|| micros(at)),
    ))?;
    Ok(changed > 0)
}

/// Entries with a lower number than `before`, the newest first.
pub(super) fn page(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let (sql, parameters) = query(filter, before, limit);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The query of [`page`].
pub(super) fn query(
    filter: &AuditFilter,
    before: Option<i64>,
    limit: usize,
) -> (String, Vec<Value>) {
    let AuditFilter {
        by,
        operation,
        from,
        until,
    } = filter;
    let index = match (by, operation, from.is_some() || until.is_some()) {
        (Some(_), ..) => "INDEXED BY audit_by_actor",
        (None, Some(_), _) => "INDEXED BY audit_by_operation",
        (None, None, true) => "INDEXED BY audit_by_time",
        (None, None, false) => "NOT INDEXED",
    };
    let mut parameters = vec![
        Value::Integer(before.unwrap_or(i64::MAX)),
        Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let mut conditions = "id < ?1".to_owned();
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let time = |time: &Option<Timestamp>| time.map(|time| Value::Integer(micros(time)));
    for (condition, value) in [
        ("actor =", text(by)),
        ("operation =", text(operation)),
        ("at >=", time(from)),
        ("at <", time(until)),
    ] {
        if let Some(value) = value {
            parameters.push(value);
            conditions.push_str(&format!(" AND {condition} ?{}", parameters.len()));
        }
    }
    let sql = format!(
        "SELECT id, at, actor, via, operation, subject, details, command, outcome, changed,
                message, finished
         FROM audit WHERE id IN
             (SELECT id FROM audit {index} WHERE {conditions} ORDER BY id DESC LIMIT ?2)
         ORDER BY id DESC"
    );
    (sql, parameters)
}

fn read(row: &Row<'_>) -> database::Result<AuditEntry> {
    let (via, outcome): (String, String) = (row.get(3)?, row.get(8)?);
    let finished: Option<i64> = row.get(11)?;
    // A damaged row, or one of a newer version, must not hide the others.
    let via = AuditVia::ALL.into_iter().find(|one| one.as_str() == via);
    let outcome = AuditOutcome::ALL
        .into_iter()
        .find(|one| one.as_str() == outcome);
    Ok(AuditEntry {
        id: row.get(0)?,
        at: instant(row.get(1)?),
        by: row.get(2)?,
        via: via.unwrap_or(AuditVia::Unknown),
        operation: row.get(4)?,
        subject: row.get(5)?,
        details: row.get(6)?,
        command: row.get(7)?,
        outcome: outcome.unwrap_or(AuditOutcome::Unknown),
        count: row.get::<_, i64>(9)?.unsigned_abs(),
        message: row.get(10)?,
        finished: finished.map(instant),
    })
}

/// The text, or as much of it as fits in so many bytes with a sign that there was more.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
