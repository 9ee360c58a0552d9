//! A store in PostgreSQL, which several nodes share.
//!
//! As in SQLite, one transaction at a time writes: each begins with an advisory lock that is held
//! until its commit. So all nodes together do what one would do, in one order, and what a job has
//! read stays true until it is stored. A node shares the lock, the commit and its sync among all
//! jobs that wait, see `database_store/writer.rs`.
//!
//! ```text
//! node A   BEGIN, lock ── jobs ── COMMIT
//! node B                  BEGIN ─ waits ─ lock ── jobs ── COMMIT
//! ```
//!
//! A node that stops while it holds the lock would stop all: PostgreSQL ends its session after
//! [`IDLE_TIMEOUT`], which undoes its transaction.
//!
//! A connection that is lost during a commit does not tell whether that succeeded. So each transaction
//! writes its number into a row of its process (`commit_mark`): the next one of that process waits for
//! the lock, and reads there what was committed last. Not by PostgreSQL's number of the transaction
//! (`pg_xact_status`): a server that was killed gives that of a transaction that it has lost to another
//! one.

mod address;
mod copy;
mod inspect;
mod migration;
mod nodes;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use self::address::Address;
use self::nodes::{NOT_JOINED, NOW, NodeConnection};
use crate::database::{Connection, Optional, Session, wait};
use crate::database_store::{DatabaseStore, instant};
use crate::engine::Engine;
use crate::nodes::Cluster;
use crate::tree::Tree;
use crate::{NoteObserver, StoreError, StoreLock, StoreOptions};

/// A session that does nothing for this long within a transaction is ended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the outcome of a commit is asked for.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two questions.
const OUTCOME_PAUSE: Duration = Duration::from_millis(100);
/// Connections of a node that read, at most: a server has 100 for all by default.
const MAX_READERS: usize = 8;
/// Rows at each end of a table whose sizes are taken for those of all.
const SAMPLE: u32 = 500;

/// Begins a transaction and waits for the lock.
const BEGIN: &str = "BEGIN; \
                     SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))";
/// How long marks of processes are kept that have ended, in microseconds.
const MARK_KEPT: i64 = 86_400_000_000;

/// A store in PostgreSQL. Dropping it finishes what was submitted.
pub type PostgresStore = DatabaseStore<PostgresServer>;

/// The server of a store.
pub struct PostgresServer {
    address: Address,
    /// Runs the connections. Shut down when this is dropped.
    runtime: Option<Runtime>,
    /// Names this process among those that have ever written.
    process: String,
    /// How many transactions it has committed, or tried to.
    commits: AtomicI64,
    /// The number of this node; [`NOT_JOINED`] if it is none.
    node: AtomicI64,
    /// The number of the schema.
    schema: String,
    nodes: Mutex<Option<NodeConnection>>,
    /// Gets the notes of nodes.
    observer: Arc<RwLock<Option<NoteObserver>>>,
}

/// Ends the node when it is dropped.
struct Membership(Arc<PostgresServer>);

impl PostgresStore {
    /// Connects to a database, and creates the tables if there are none.
    ///
    /// `url` is that of libpq: `postgresql://user:password@host:5432/database`. Certificates are
    /// verified whenever TLS is used; `sslrootcert=FILE` replaces those of the system. Several
    /// stores can be in one database, each in a schema of its own:
    /// `…/database?options=-csearch_path%3Dname`.
    ///
    /// # Errors
    /// If the URL is invalid, the server does not answer or refuses the user, or the tables are
    /// those of another program or of a newer version.
    pub fn connect(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let (server, connection) = PostgresServer::open_migrated(url)?;
        copy::refuse_unfinished(&connection, &server)?;
        Self::with_engine(server, connection, options)
    }
}

impl PostgresServer {
    /// The server of a URL. Connects to nothing.
    fn new(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-connections")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Failed(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            address,
            runtime: Some(runtime),
            process: random_name()?,
            commits: AtomicI64::new(0),
            node: AtomicI64::new(NOT_JOINED),
            schema: String::new(),
            nodes: Mutex::default(),
            observer: Arc::default(),
        })
    }

    /// Connects, and brings the tables to the newest version.
    fn open_migrated(url: &str) -> Result<(Self, Connection), StoreError> {
        let mut server = Self::new(url)?;
        let mut connection = server.open_first(Self::open_writer)?;
        inspect::check_schema(&connection, &server)?;
        server.begin(&mut connection)?;
        let sql = "SELECT CAST(CAST(CAST(current_schema() AS regnamespace) AS oid) AS text)";
        let schema = connection.server()?.read_last(sql)?;
        server.schema = schema.ok_or_else(|| {
            StoreError::Failed("the database does not say in which schema its tables are".into())
        })?;
        migration::migrate(&connection, &server)?;
        connection.execute_batch(&format!(
            "DELETE FROM commit_mark WHERE at < {NOW} - {MARK_KEPT}"
        ))?;
        server.commit(&mut connection)?;
        Ok((server, connection))
    }

    /// Makes the first connection. Its failure is most likely a mistake in the settings.
    fn open_first(
        &self,
        open: impl FnOnce(&Self) -> Result<Connection, StoreError>,
    ) -> Result<Connection, StoreError> {
        open(self).map_err(|error| match error {
            StoreError::Unavailable { reason } | StoreError::Failed(reason) => {
                StoreError::NotConnected {
                    database: self.name(),
                    reason,
                }
            }
            other => other,
        })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        self.address.name()
    }

    fn open_writer(&self) -> Result<Connection, StoreError> {
        let idle = IDLE_TIMEOUT.as_millis();
        self.open(&format!(
            "SET idle_in_transaction_session_timeout = {idle}; SET synchronous_commit = on"
        ))
    }

    fn open(&self, settings: &str) -> Result<Connection, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Closed);
        };
        let (config, tls) = (self.address.config.clone(), self.address.tls.clone());
        let connected = runtime.spawn(async move { config.connect(tls).await });
        let connected = wait(connected).map_err(|_| StoreError::Closed)?;
        let (client, connection) = connected.map_err(crate::database::Error::from)?;
        // Ends with the client. An error is also that of what the client waits for.
        runtime.spawn(async move { drop(connection.await) });
        let connection = Connection::postgres(Session::new(client));
        connection.execute_batch(settings)?;
        Ok(connection)
    }

    /// Whether the transaction with this mark was committed, of which that is not known.
    fn outcome(&self, connection: &mut Connection, mark: i64) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            match self.last_commit(connection) {
                Ok(last) if last == Some(mark) => return Ok(()),
                Ok(_) => {
                    return Err(StoreError::Unavailable {
                        reason: "the connection was lost".to_owned(),
                    });
                }
                Err(_) if began.elapsed() > OUTCOME_TIMEOUT => {
                    return Err(StoreError::Unavailable {
                        reason: "the connection was lost during a commit, and whether that \
                                 succeeded is not known"
                            .to_owned(),
                    });
                }
                Err(_) => std::thread::sleep(OUTCOME_PAUSE),
            }
        }
    }

    /// The mark of what this process committed last, read on a new connection. With the lock: then no
    /// earlier transaction is open any more.
    fn last_commit(&self, connection: &mut Connection) -> Result<Option<i64>, StoreError> {
        *connection = self.open_writer()?;
        let process = &self.process;
        let sql = format!("{BEGIN}; SELECT number FROM commit_mark WHERE process = '{process}'");
        let number = connection.server()?.read_last(&sql)?;
        connection.execute_batch("ROLLBACK")?;
        Ok(number.and_then(|number| number.parse().ok()))
    }

    /// Begins a transaction on a connection that is not lost, and finds out whether this node is live
    /// now. So a node that is declared lost later has no claims that were stored after it was: the
    /// release, whose transaction comes behind this one, sees all of them.
    fn begin_on(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let node = self.node.load(Ordering::SeqCst);
        let is_live = if node == NOT_JOINED {
            connection.server()?.read_last(BEGIN)?;
            true
        } else {
            let sql = format!("{BEGIN}; SELECT state FROM node WHERE number = {node}");
            let state = connection.server()?.read_last(&sql)?;
            state.as_deref() == Some("0")
        };
        connection.set_node(node, is_live);
        Ok(())
    }
}

/// A name that no other process has.
fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Without waiting, which is not allowed in asynchronous code.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine for PostgresServer {
    const IS_SHARED: bool = true;

    const LOST_CLAIMS: &str =
        "claimed <> 0 AND claimed NOT IN (SELECT number FROM node WHERE state = 0)";

    const MAX_READERS: usize = MAX_READERS;

    fn open_reader(&self) -> Result<Connection, StoreError> {
        self.open("SET default_transaction_read_only = on")
    }

    fn begin(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if !connection.is_lost() {
            match self.begin_on(connection) {
                // It was lost while nothing was run.
                Err(_) if connection.is_lost() => {}
                result => return result,
            }
        }
        *connection = self.open_writer()?;
        self.begin_on(connection)
    }

    fn commit(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let mark = self
            .commits
            .fetch_add(1, Ordering::SeqCst)
            .saturating_add(1);
        let process = &self.process;
        let committed = connection.execute_batch(&format!(
            "INSERT INTO commit_mark (process, number, at) VALUES ('{process}', {mark}, {NOW})
             ON CONFLICT (process) DO UPDATE SET number = {mark}, at = {NOW}; COMMIT"
        ));
        match committed {
            Ok(()) => Ok(()),
            Err(_) if connection.is_lost() => self.outcome(connection, mark),
            Err(error) => Err(error.into()),
        }
    }

    fn is_undone(&self, connection: &Connection) -> bool {
        connection.is_lost()
    }

    fn close(&self, _connection: &Connection) {}

    fn locate(&self, error: StoreError) -> StoreError {
        error.at(self.name().as_ref())
    }

    fn lock(self: &Arc<Self>) -> Result<StoreLock, StoreError> {
        // Nodes deliver together.
        Ok(StoreLock::new(Membership(self.clone())))
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }

    fn give_up_reserve(&self) -> bool {
        false
    }

    fn keep_reserve(&self) {}

    fn probe(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE schema_version SET version = version";
        connection.prepare_cached(sql)?.execute(())?;
        Ok(())
    }

    fn used_bytes(&self, connection: &Connection) -> Result<u64, StoreError> {
        // Not the size of the tables: what was removed is in them until they are vacuumed, and
        // pruning by size would remove everything.
        let sql = format!(
            "SELECT CAST(avg(size) * max(rows) AS BIGINT) FROM (
                 SELECT pg_column_size(body) + coalesce(pg_column_size(evaluation), 0)
                        + octet_length(source) + octet_length(id) + octet_length(kind)
                        + 2 * octet_length(resource) + 120 AS size,
                        (SELECT max(seq) - min(seq) + 1 FROM archive) AS rows
                 FROM ((SELECT * FROM archive ORDER BY seq LIMIT {SAMPLE}) UNION ALL
                       (SELECT * FROM archive ORDER BY seq DESC LIMIT {SAMPLE})) AS ends) AS rows"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let bytes: Option<i64> = statement
            .query_row((), |row| row.get(0))
            .optional()?
            .flatten();
        Ok(bytes.unwrap_or(0).unsigned_abs())
    }

    fn log_bytes(&self) -> Result<u64, StoreError> {
        // The server cuts it itself.
        Ok(0)
    }

    fn trees(&self, connection: &Connection) -> Result<Vec<Tree>, StoreError> {
        let sql = "SELECT CAST(c.relname AS TEXT), string_agg(a.attname, ',' ORDER BY k.place)
                   FROM pg_index AS i
                   JOIN pg_class AS c ON c.oid = i.indrelid
                   CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                   JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
                   WHERE i.indisprimary AND c.relnamespace = CAST(current_schema() AS regnamespace)
                   GROUP BY c.relname ORDER BY 1";
        let mut statement = connection.prepare_cached(sql)?;
        let tables = statement.query_map((), |row| {
            let (name, key): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Tree {
                table: name.clone(),
                name,
                key: key.split(',').map(str::to_owned).collect(),
                is_index: false,
                condition: None,
                is_ordered: true,
            })
        })?;
        Ok(tables.collect::<Result<_, _>>()?)
    }

    fn check_structure(&self) -> Result<(), StoreError> {
        // Checksums of pages and `amcheck` are the server's.
        Ok(())
    }
}
