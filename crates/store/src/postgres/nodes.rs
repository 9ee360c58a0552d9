//! Nodes in PostgreSQL.
//!
//! On a connection of their own: beats must not wait for the transaction of another node, and notes
//! come on it at any time.

use std::future::poll_fn;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tokio_postgres::{AsyncMessage, Client};

use super::PostgresServer;
use crate::database::{Connection, Row, Session, wait};
use crate::nodes::Cluster;
use crate::{Beat, NewNode, Node, NodeSetup, NodeState, Note, NoteObserver, StoreError};

/// The number under which a process claims that has not joined: that of the only one of a store in
/// SQLite. No node has it.
pub(super) const NOT_JOINED: i64 = 1;
/// How long a beat may take.
const BEAT_TIMEOUT: &str = "3s";
/// How long nodes that were lost are listed, in seconds.
const LISTED_FOR: i64 = 3_600;

/// The time of the server in microseconds.
pub(super) const NOW: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// The connection of a node.
pub(super) struct NodeConnection {
    connection: Connection,
}

impl Cluster for PostgresServer {
    fn join(&self, node: &NewNode) -> Result<i64, StoreError> {
        let number = self.with_nodes(|connection| {
            let sql = format!(
                "INSERT INTO node (name, version, rules, targets, joined, seen)
                 VALUES (?1, ?2, ?3, ?4, {NOW}, {NOW}) RETURNING number"
            );
            let NodeSetup { rules, targets } = &node.setup;
            let row = (&*node.name, &*node.version, &**rules, &**targets);
            Ok(connection.insert(&sql, row)?)
        })?;
        self.node.store(number, Ordering::SeqCst);
        Ok(number)
    }

    fn beat(&self, setup: &NodeSetup) -> Result<Beat, StoreError> {
        let own = self.node.load(Ordering::SeqCst);
        self.with_nodes(|connection| {
            let sql = format!(
                "UPDATE node SET beats = beats + 1, seen = {NOW}, rules = ?2, targets = ?3
                 WHERE number = ?1 AND state = 0"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let is_live = statement.execute((own, &*setup.rules, &*setup.targets))? > 0;
            let sql = format!("DELETE FROM node WHERE state = ?1 AND seen < {NOW} - ?2");
            let old = (NodeState::Gone.number(), LISTED_FOR * 1_000_000);
            connection.prepare_cached(&sql)?.run(old)?;
            let sql = format!("SELECT {NOW}");
            let mut statement = connection.prepare_cached(&sql)?;
            let time = statement.query_row((), |row| row.get(0).map(super::instant))?;
            Ok(Beat {
                own: is_live.then_some(own),
                time,
                nodes: list(connection)?,
            })
        })
    }

    fn list(&self) -> Result<Vec<Node>, StoreError> {
        self.with_nodes(list)
    }

    fn declare_lost(&self, node: &Node) -> Result<bool, StoreError> {
        self.with_nodes(|connection| {
            // Not one that has beaten meanwhile.
            let sql = "UPDATE node SET state = ?3 WHERE number = ?1 AND beats = ?2 AND state = 0";
            let parameters = (node.number, node.beats, NodeState::Lost.number());
            Ok(connection.prepare_cached(sql)?.execute(parameters)? > 0)
        })
    }

    fn released(&self, nodes: &[i64]) -> Result<(), StoreError> {
        self.with_nodes(|connection| {
            for number in nodes {
                let sql = "DELETE FROM node WHERE number = ?1 AND state = ?2";
                let left = (*number, NodeState::Left.number());
                connection.prepare_cached(sql)?.execute(left)?;
                let sql = "UPDATE node SET state = ?3 WHERE number = ?1 AND state = ?2";
                let (lost, gone) = (NodeState::Lost.number(), NodeState::Gone.number());
                connection
                    .prepare_cached(sql)?
                    .execute((*number, lost, gone))?;
            }
            Ok(())
        })
    }

    fn notify(&self, note: Note) {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = &self.runtime else { return };
        // Without a connection the others poll.
        if let Some(nodes) = &*nodes
            && let Ok(session) = nodes.connection.server()
        {
            let sent = session.send(&format!(
                "SELECT pg_notify('{}', '{}')",
                channel(&self.schema),
                note.to_text().replace('\'', "''")
            ));
            runtime.spawn(sent);
        }
    }

    fn observe(&self, observer: NoteObserver) {
        let mut current = self
            .observer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Some(observer);
    }
}

impl PostgresServer {
    /// Ends this node: another one releases its claims.
    pub(super) fn leave(&self) {
        let own = self.node.swap(NOT_JOINED, Ordering::SeqCst);
        if own == NOT_JOINED {
            return;
        }
        // Should it fail, the others find out as if the process had been killed.
        drop(self.with_nodes(|connection| {
            let sql = "UPDATE node SET state = ?2 WHERE number = ?1 AND state = 0";
            let left = (own, NodeState::Left.number());
            Ok(connection.prepare_cached(sql)?.execute(left)?)
        }));
        self.notify(Note::Changed);
    }

    /// Runs statements about nodes.
    fn with_nodes<T>(
        &self,
        run: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = |nodes: &NodeConnection| nodes.connection.is_lost();
        if nodes.as_ref().is_none_or(is_lost) {
            *nodes = Some(self.open_nodes()?);
        }
        match &*nodes {
            Some(nodes) => run(&nodes.connection),
            None => Err(StoreError::Closed),
        }
    }

    fn open_nodes(&self) -> Result<NodeConnection, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Closed);
        };
        let (config, tls) = (self.address.config.clone(), self.address.tls.clone());
        let connected = runtime.spawn(async move { config.connect(tls).await });
        let connected = wait(connected).map_err(|_| StoreError::Closed)?;
        let (client, mut messages) = connected.map_err(crate::database::Error::from)?;
        let observer = self.observer.clone();
        runtime.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| messages.poll_message(context)).await {
                let AsyncMessage::Notification(note) = message else {
                    continue;
                };
                let observer = observer.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(observer) = &*observer {
                    observer(Note::from_text(note.payload()));
                }
            }
        });
        listen(client, &self.schema)
    }
}

fn listen(client: Client, schema: &str) -> Result<NodeConnection, StoreError> {
    let connection = Connection::postgres(Session::new(client));
    // A beat that is lost with the server's memory says nothing untrue.
    connection.execute_batch(&format!(
        "SET statement_timeout = '{BEAT_TIMEOUT}'; SET synchronous_commit = off; LISTEN \"{}\"",
        channel(schema)
    ))?;
    Ok(NodeConnection { connection })
}

/// The channel of the notes of a schema, whose number this is.
fn channel(schema: &str) -> String {
    format!("reflexarc_{schema}")
}

fn list(connection: &Connection) -> Result<Vec<Node>, StoreError> {
    let sql = "SELECT number, name, version, rules, targets, joined, seen, beats, state FROM node
               ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let nodes = statement.query_map((), |row: &Row<'_>| {
        let time = |column: usize| -> crate::database::Result<Timestamp> {
            row.get(column).map(super::instant)
        };
        Ok(Node {
            number: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            setup: NodeSetup {
                rules: row.get(3)?,
                targets: row.get(4)?,
            },
            joined: time(5)?,
            seen: time(6)?,
            beats: row.get(7)?,
            state: NodeState::from_number(row.get(8)?),
        })
    })?;
    Ok(nodes.collect::<Result<_, _>>()?)
}
