//! Errors of a database.

use crate::StoreError;

/// Why a statement could not be run, or a row not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An error of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// An error of PostgreSQL, or of the connection to it.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// There is no row where one was expected.
    #[error("the query returned no row")]
    NoRows,
    /// A column has a value of another type than it should, or one that is out of range.
    #[error("the column `{name}` is not {expected}")]
    Column {
        /// The column.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// What was asked of a connection is of the other database.
    #[cfg(feature = "cluster")]
    #[error("the connection is to another kind of database")]
    OtherDatabase,
    /// The rows are not in the order of their keys.
    #[error("rows are not in the order of their keys")]
    OutOfOrder,
}

/// The result of a statement.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Makes the absence of a row a value.
pub(crate) trait Optional<T> {
    /// `None` in place of [`Error::NoRows`].
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRows) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Sqlite(error) => error.into(),
            #[cfg(feature = "cluster")]
            Error::Postgres(error) => of_postgres(&error),
            Error::OutOfOrder => Self::Corrupt {
                // The caller adds the path with `at`.
                path: std::path::PathBuf::new(),
                reason: error.to_string(),
            },
            #[cfg(feature = "cluster")]
            Error::OtherDatabase => Self::Failed(error.to_string()),
            Error::NoRows | Error::Column { .. } => Self::Failed(error.to_string()),
        }
    }
}

/// What an error of PostgreSQL means for the store, by its SQLSTATE.
#[cfg(feature = "cluster")]
fn of_postgres(error: &tokio_postgres::Error) -> StoreError {
    use std::error::Error as _;

    let reason = match (error.as_db_error(), error.source()) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    let Some(code) = error.code() else {
        let is_of_connection = error.is_closed()
            || error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
        return if is_of_connection {
            StoreError::Unavailable { reason }
        } else {
            StoreError::Failed(reason)
        };
    };
    match code.code() {
        "53100" => StoreError::Full,
        "25006" => StoreError::NotWritable { path: None, reason },
        "55P03" => StoreError::Busy,
        // Of the connection, of missing resources, of a server that starts or stops, of a session
        // that was ended.
        code if ["08", "53", "57P", "25P03"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Unavailable { reason }
        }
        code => StoreError::Failed(format!("{reason} ({code})")),
    }
}
