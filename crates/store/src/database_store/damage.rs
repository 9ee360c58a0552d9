//! Which failures of a read concern only the place that was read.

use rusqlite::ErrorCode;

use crate::database::Error;

/// Whether reading at another place may succeed: a page is damaged, or the disk cannot read it.
pub(super) fn is_local(error: &Error) -> bool {
    match error {
        Error::OutOfOrder => true,
        // Also NOTADB: what SQLite says of a first page that was overwritten while it was open.
        Error::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
        ),
        _ => false,
    }
}

/// Whether a column of the row has another type than it should.
pub(super) fn is_of_row(error: &Error) -> bool {
    matches!(error, Error::Column { .. })
}

/// The error for rows that are not in the order of their keys: they are those of another page. A
/// walk that took them would go in a circle.
pub(super) fn out_of_order() -> Error {
    Error::OutOfOrder
}
