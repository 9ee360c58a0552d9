//! One archived event: reading it back, and checking it.

use reflexarc_delivery::EventRef;
use reflexarc_event::{Event, EventError, Json, Limits, NativeEvent};

use super::compression::unpack;
use super::damage::{is_local, is_of_row};
use super::instant;
use crate::database::{Connection, FromValue, Optional, Row, ValueRef};
use crate::{Archived, DamagedEvent, EntryKind, StoreError};

/// A stored evaluation holds derived events and payloads, each up to 128 levels deep as events may
/// be, inside objects of its own.
pub(super) const EVALUATION_DEPTH: usize = 192;
/// Far more than the limits of reactions let an evaluation grow to; bounds what a damaged row can
/// expand to.
const EVALUATION_BYTES: usize = 256 << 20;
/// An event, with the size of its evaluation in bytes.
pub(super) type Visited = (Result<Archived, DamagedEvent>, usize);

/// The event at a position with the size of its evaluation in bytes; `None` if it was pruned
/// meanwhile.
pub(super) fn read_event(connection: &Connection, seq: i64) -> Result<Option<Visited>, StoreError> {
    let sql = "SELECT seq, source, id, kind, resource, received, size, body, evaluation, entry
               FROM archive WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([seq], |row| Ok(decode_row(row, seq)));
    let decoded = match found.optional() {
        Ok(None) => return Ok(None),
        Ok(Some(decoded)) => decoded,
        Err(error) if is_local(&error) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(match decoded {
        Ok((event, evaluation)) => (Ok(event), evaluation),
        Err(reason) => (Err(DamagedEvent::one(seq, reason)), 0),
    }))
}

/// The event at a position in native form, as at intake; `None` if it was removed or is damaged.
pub(super) fn read_native(
    connection: &Connection,
    position: u64,
) -> Result<Option<NativeEvent>, StoreError> {
    let sql = "SELECT size, body FROM archive WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([position.cast_signed()], |row| {
        let size = usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
        Ok(unpack(row.blob(1)?, size))
    });
    let read = match found.optional() {
        Ok(None) => return Ok(None),
        Ok(Some(body)) => body.and_then(|body| {
            let native = Event::from_json(body).and_then(NativeEvent::new);
            native.map_err(|error| error.to_string())
        }),
        Err(error) if is_local(&error) || is_of_row(&error) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    // Not an error of the store: the rule fails, and what comes is accepted.
    let reported = read.inspect_err(|reason| {
        tracing::warn!(position, reason, "the event of a match is damaged");
    });
    Ok(reported.ok())
}

/// Reads what this program has written: an event inside a description, or in native form, may
/// exceed the limits of what is received by as much as the description adds.
pub(super) fn read_own(bytes: Vec<u8>) -> Result<Event, EventError> {
    let limits = Limits {
        bytes: bytes.len(),
        depth: EVALUATION_DEPTH,
        ..Limits::DEFAULT
    };
    Event::from_json_within(bytes, &limits)
}

/// Checks the checksums of a row with the columns of the table.
pub(super) fn verify_row(row: &Row<'_>) -> Result<(), String> {
    fn packed<'a>(row: &'a Row<'_>, name: &str) -> Result<Option<&'a [u8]>, String> {
        let value = row.get_ref(name).map_err(|error| error.to_string())?;
        value.as_blob_or_null().map_err(str::to_owned)
    }
    let size: i64 = row.get("size").map_err(|error| error.to_string())?;
    let size = usize::try_from(size).unwrap_or_default();
    let body = packed(row, "body")?.unwrap_or_default();
    let bytes = unpack(body, size)?.len();
    if bytes != size {
        return Err(format!("expected {size} bytes, found {bytes}"));
    }
    let fingerprint = row.get_ref("fingerprint");
    if read_fingerprint(fingerprint.map_err(|error| error.to_string())?).is_err() {
        return Err("its fingerprint is damaged: copies of it are accepted".to_owned());
    }
    match packed(row, "evaluation")? {
        Some(evaluation) => unpack(evaluation, EVALUATION_BYTES).map(drop),
        None => Ok(()),
    }
}

/// The fingerprint in a column; `None` if it is NULL.
pub(super) fn read_fingerprint(column: ValueRef<'_>) -> Result<Option<[u8; 16]>, &'static str> {
    Option::from_value(column)
}

/// Returns also the size of the evaluation in bytes.
fn decode_row(row: &Row<'_>, seq: i64) -> Result<(Archived, usize), String> {
    fn column<T: FromValue>(row: &Row<'_>, index: usize) -> Result<T, String> {
        // A column of another type or invalid UTF-8 is damage too.
        row.get(index).map_err(|error| error.to_string())
    }
    let size = usize::try_from(column::<i64>(row, 6)?).unwrap_or_default();
    let bytes = unpack(&column::<Vec<u8>>(row, 7)?, size)?;
    if bytes.len() != size {
        return Err(format!("expected {size} bytes, found {}", bytes.len()));
    }
    let entry: i64 = column(row, 9)?;
    let event = match EntryKind::from_number(entry) {
        Some(EntryKind::Event | EntryKind::Emitted) => Event::from_json(bytes),
        _ => read_own(bytes),
    };
    let event = event.map_err(|error| error.to_string())?;
    let mut evaluation_bytes = 0;
    let evaluation = match column::<Option<Vec<u8>>>(row, 8)? {
        Some(packed) => {
            let text = unpack(&packed, EVALUATION_BYTES)?;
            evaluation_bytes = text.len();
            let json = Json::parse_within(text, EVALUATION_DEPTH);
            Some(json.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let archived = Archived {
        seq,
        entry: EntryKind::from_number(entry).ok_or("its kind is unknown to this version")?,
        name: EventRef {
            source: column(row, 1)?,
            id: column(row, 2)?,
        },
        kind: column(row, 3)?,
        resource: column(row, 4)?,
        received: instant(column(row, 5)?),
        event,
        evaluation,
    };
    Ok((archived, evaluation_bytes))
}
