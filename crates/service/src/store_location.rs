//! Where the store of a configuration is, and the one way to open it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::Config;
#[cfg(feature = "cluster")]
use crate::store::PostgresStore;
use crate::store::{
    CopyError, CopySource, CopyTarget, SqliteStore, Store, StoreError, StoreOptions, StoreVersion,
};

/// Where a store is. What it displays has no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In a SQLite file of one service.
    File(PathBuf),
    /// In a PostgreSQL database, which several nodes share.
    Server(StoreUrl),
}

/// The URL of a database, which may have a password.
#[derive(Clone)]
pub struct StoreUrl(Option<SecretString>);

impl StoreLocation {
    /// Whether there is a store, which the first start creates.
    ///
    /// # Errors
    /// If a database cannot be read.
    pub fn has_store(&self) -> Result<bool, StoreError> {
        match self {
            Self::File(path) => Ok(path.exists()),
            Self::Server(_) => Ok(self.version()?.found.is_some()),
        }
    }

    /// The version of the tables there, and the one of this program. Changes nothing.
    ///
    /// # Errors
    /// If it cannot be read, or is of another program or a newer version.
    pub fn version(&self) -> Result<StoreVersion, StoreError> {
        match self {
            Self::File(path) => SqliteStore::version(path),
            #[cfg(feature = "cluster")]
            Self::Server(url) => PostgresStore::version(url.expose()?),
            #[cfg(not(feature = "cluster"))]
            Self::Server(_) => Err(without_postgres()),
        }
    }

    /// Opens the store there to copy it to another one, see [`copy_store`].
    ///
    /// # Errors
    /// If there is none, something uses it, or it cannot be opened.
    ///
    /// [`copy_store`]: crate::store::copy_store
    pub fn copy_source(&self) -> Result<CopySource, CopyError> {
        match self {
            Self::File(path) => SqliteStore::copy_source(path),
            #[cfg(feature = "cluster")]
            Self::Server(url) => PostgresStore::copy_source(url.expose()?),
            #[cfg(not(feature = "cluster"))]
            Self::Server(_) => Err(without_postgres().into()),
        }
    }

    /// Opens or creates the store there to copy another one to it, see [`copy_store`].
    ///
    /// # Errors
    /// If something uses it, or it cannot be opened.
    ///
    /// [`copy_store`]: crate::store::copy_store
    pub fn copy_target(&self, options: &StoreOptions) -> Result<CopyTarget, CopyError> {
        match self {
            Self::File(path) => SqliteStore::copy_target(path, options),
            #[cfg(feature = "cluster")]
            Self::Server(url) => PostgresStore::copy_target(url.expose()?),
            #[cfg(not(feature = "cluster"))]
            Self::Server(_) => Err(without_postgres().into()),
        }
    }

    /// Checks whether a store can be opened or created there, without changing anything.
    ///
    /// # Errors
    /// As [`open_store`].
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::File(path) => SqliteStore::check_location(path),
            #[cfg(feature = "cluster")]
            Self::Server(url) => PostgresStore::check_location(url.expose()?),
            #[cfg(not(feature = "cluster"))]
            Self::Server(_) => Err(without_postgres()),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            #[cfg(feature = "cluster")]
            Self::Server(StoreUrl(Some(url))) => {
                let name = PostgresStore::name_of(url.expose_secret());
                name.unwrap_or_else(|_| "the database".to_owned())
                    .fmt(formatter)
            }
            Self::Server(_) => formatter.write_str("the database"),
        }
    }
}

impl StoreUrl {
    /// A URL: `postgresql://user:password@host:5432/database`.
    pub fn new(url: SecretString) -> Self {
        Self(Some(url))
    }

    /// The URL of a configuration whose secrets were not looked up: nothing can be opened there.
    pub(crate) fn unresolved() -> Self {
        Self(None)
    }

    /// The URL itself.
    #[cfg(feature = "cluster")]
    fn expose(&self) -> Result<&str, StoreError> {
        let url = self.0.as_ref().map(ExposeSecret::expose_secret);
        url.ok_or_else(|| {
            StoreError::Failed("the configuration was read without the URL of its store".to_owned())
        })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreUrl([redacted])")
    }
}

impl PartialEq for StoreUrl {
    fn eq(&self, other: &Self) -> bool {
        let [own, other] = [self, other].map(|url| url.0.as_ref().map(ExposeSecret::expose_secret));
        own == other
    }
}

impl Eq for StoreUrl {}

/// Opens the store of a configuration, and creates or updates its tables.
///
/// ```
/// use reflexarc_service::{Config, StoreLocation, open_store};
///
/// let folder = tempfile::tempdir()?;
/// let config = Config {
///     store: StoreLocation::File(folder.path().join("reflexarc.db")),
///     ..Config::default()
/// };
/// assert_eq!(config.store.version()?.found, None);
/// let store = open_store(&config)?;
/// assert_eq!(store.newest_event()?, None);
/// assert!(!config.store.version()?.needs_migration());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If it cannot be opened or created: what is of another program or of a newer version is left as
/// it is.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    match &config.store {
        StoreLocation::File(path) => Ok(Arc::new(SqliteStore::open(path, &config.store_options)?)),
        #[cfg(feature = "cluster")]
        StoreLocation::Server(url) => {
            let store = PostgresStore::connect(url.expose()?, &config.store_options)?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "cluster"))]
        StoreLocation::Server(_) => Err(without_postgres()),
    }
}

/// A configuration of code: one that is read has reported this at its place.
#[cfg(not(feature = "cluster"))]
fn without_postgres() -> StoreError {
    StoreError::Failed("this program was built without PostgreSQL".to_owned())
}
