//! What only a store in PostgreSQL does: several nodes at one time, connections that are lost.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use reflexarc::Evaluation;
use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_store::{Accepted, EvaluateInTransaction, PostgresStore, Reply, Store, StoreError};

use crate::samples::{LEASE, OPTIONS, at, evaluation, incoming_of, send};
use crate::server::Schema;

/// Sets an entry to one more than it was, and sends something.
fn count_one() -> EvaluateInTransaction {
    Box::new(|state, _, now| {
        let entry = state.read_entry("count", "all", now)?;
        let before = entry.and_then(|entry| entry.value.as_i64()).unwrap_or(0);
        let change = StateChange::Set {
            key: "all".into(),
            value: Json::from(before + 1),
            expires: None,
        };
        Ok(evaluation("count", vec![send("t", 1)], vec![change]))
    })
}

fn submit(store: &dyn Store, id: &str, evaluate: EvaluateInTransaction) -> Reply<Vec<Accepted>> {
    let (reply, receiver) = Reply::channel();
    let events = vec![(incoming_of(id, ""), evaluate)];
    store.accept_together(events, at(1), Box::new(()), reply);
    receiver
}

/// Submits until the database answers.
fn accept(store: &dyn Store, id: &str) -> Accepted {
    let began = Instant::now();
    loop {
        match submit(store, id, count_one()).wait() {
            Ok(mut accepted) => return accepted.remove(0),
            Err(StoreError::Unavailable { .. }) if began.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The entry that [`count_one`] counts in.
fn count(store: &dyn Store) -> Option<String> {
    let state = store.state(at(1)).unwrap();
    state.into_iter().next().map(|(_, _, value)| value)
}

#[test]
fn many_nodes_are_like_one() {
    const NODES: i64 = 4;
    const EVENTS: i64 = 60;
    let Some(schema) = Schema::new() else { return };
    // They start together, too, on a database without tables.
    let accepted = std::thread::scope(|scope| {
        let node = |node: i64| {
            let schema = &schema;
            move || {
                let store = schema.connect().unwrap();
                // Each event is sent to two nodes.
                let events = (0..EVENTS)
                    .filter(|event| [event % NODES, (event + 1) % NODES].contains(&node));
                let replies: Vec<_> = events
                    .map(|event| submit(&store, &format!("event-{event}"), count_one()))
                    .collect();
                let accepted = replies
                    .into_iter()
                    .map(|reply| reply.wait().unwrap().remove(0));
                accepted.collect::<Vec<_>>()
            }
        };
        let nodes: Vec<_> = (0..NODES).map(|number| scope.spawn(node(number))).collect();
        let accepted = nodes.into_iter().flat_map(|node| node.join().unwrap());
        accepted.collect::<Vec<_>>()
    });
    let mut positions: Vec<_> = accepted
        .iter()
        .filter(|one| !one.duplicate)
        .map(|one| one.seq)
        .collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=EVENTS).collect::<Vec<_>>());
    let store = schema.connect().unwrap();
    assert_eq!(count(&store), Some(EVENTS.to_string()));
    assert_eq!(
        schema.number("SELECT count(DISTINCT id) FROM archive"),
        EVENTS
    );
    // Each delivery is claimed by one node.
    let claimed = std::thread::scope(|scope| {
        let node = || {
            let store = schema.connect().unwrap();
            let mut claimed = Vec::new();
            loop {
                let some = store.claim("t", at(2), LEASE, 3).unwrap();
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some);
            }
        };
        let nodes: Vec<_> = (0..3).map(|_| scope.spawn(node)).collect();
        let claimed = nodes.into_iter().flat_map(|node| node.join().unwrap());
        claimed.collect::<Vec<_>>()
    });
    let mut ids: Vec<_> = claimed.iter().map(|delivery| delivery.id).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), all), (60, 60));
}

#[test]
fn lost_connections_are_made_again() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.connect().unwrap();
    accept(&store, "first");
    assert_eq!(count(&store).as_deref(), Some("1"));
    // One that is kept, as a worker keeps it.
    let reader = store.state_reader().unwrap();
    let has_counted = || reader.has_entry("count", "all", at(1));
    assert_eq!(has_counted(), Ok(true));
    schema.end_sessions();
    assert!(!accept(&store, "second").duplicate);
    schema.end_sessions();
    let began = Instant::now();
    // A reader may meet a connection of which it is not known yet that it was lost.
    while store.state(at(1)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(count(&store).as_deref(), Some("2"));
    while has_counted().is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(has_counted(), Ok(true));
}

/// A commit is stored or not when its connection is lost, and the caller learns which.
#[test]
fn a_commit_without_an_answer_is_looked_up() {
    let Some(schema) = Schema::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    drop(schema.connect().unwrap());
    for (cut, is_stored) in [(Cut::Answer, true), (Cut::Commit, false)] {
        let proxy = Proxy::start(folder.path(), &schema);
        let server = format!(
            "postgresql://postgres@/postgres?host={}",
            folder.path().display()
        );
        let store = PostgresStore::connect(&schema.url_of(&server), &OPTIONS).unwrap();
        let id = format!("{cut:?}");
        proxy.cut_next(cut);
        let result = submit(&store, &id, count_one()).wait();
        assert_eq!(result.is_ok(), is_stored, "{result:?}");
        let stored = schema.number(&format!("SELECT count(*) FROM archive WHERE id = '{id}'"));
        assert_eq!(stored, i64::from(is_stored));
        assert_eq!(accept(&store, &id).duplicate, is_stored);
    }
    assert_eq!(schema.number("SELECT count(*) FROM archive"), 2);
}

/// A node that stops in the middle of a transaction holds the lock for five seconds, not longer,
/// and what it does later is undone.
#[test]
fn a_stopped_node_does_not_stop_others() {
    let Some(schema) = Schema::new() else { return };
    let (stopped, other) = (schema.connect().unwrap(), schema.connect().unwrap());
    let (is_inside, inside) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    let evaluate: EvaluateInTransaction = Box::new(move |_, _, _| {
        is_inside.send(()).unwrap();
        wait.recv().unwrap();
        Ok(Evaluation::default())
    });
    let reply = submit(&stopped, "stopped", evaluate);
    inside.recv().unwrap();
    let began = Instant::now();
    accept(&other, "other");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    go_on.send(()).unwrap();
    let error = reply.wait().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(schema.number("SELECT count(*) FROM archive"), 1);
    assert!(!accept(&stopped, "stopped").duplicate);
}

/// More statements than are sent without waiting for them, one of which fails: its job is undone,
/// and no other one of the group.
#[test]
fn an_error_that_comes_late_is_that_of_its_job() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.connect().unwrap();
    schema.run("ALTER TABLE state ADD CHECK (key <> 'refused')");
    let set = |key: String| StateChange::Set {
        key,
        value: Json::from(1),
        expires: None,
    };
    let setting = |last: &str| -> EvaluateInTransaction {
        let keys = (0..300).map(|number| number.to_string());
        let changes: Vec<_> = keys.chain([last.to_owned()]).map(set).collect();
        Box::new(move |_, _, _| Ok(evaluation("many", vec![], changes)))
    };
    let replies = [("first", "a"), ("refused", "refused"), ("last", "b")]
        .map(|(id, key)| (id, submit(&store, id, setting(key))));
    for (id, reply) in replies {
        let result = reply.wait();
        assert_eq!(result.is_ok(), id != "refused", "{id}: {result:?}");
        let sql = format!("SELECT count(*) FROM archive WHERE id = '{id}'");
        assert_eq!(schema.number(&sql), i64::from(id != "refused"), "{id}");
    }
    assert_eq!(store.state(at(1)).unwrap().len(), 302);
}

/// However many read at one time, the server has eight of their sessions at most, and the one that
/// writes.
#[test]
fn readers_share_their_connections() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.connect().unwrap();
    accept(&store, "first");
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(count(&store).as_deref(), Some("1"));
                }
            });
        }
    });
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'",
        schema.name
    );
    let sessions = schema.number(&sessions);
    assert!((2..=9).contains(&sessions), "{sessions}");
}

#[test]
fn other_tables_and_newer_versions_are_refused() {
    let Some(schema) = Schema::new() else { return };
    schema.run("CREATE TABLE archive (a INTEGER)");
    let error = schema.connect().err().unwrap();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    schema.run("DROP TABLE archive");
    drop(schema.connect().unwrap());
    // A newer one that programs of this version can use, while nodes are replaced.
    schema.run("UPDATE schema_version SET version = 999");
    accept(&schema.connect().unwrap(), "during an upgrade");
    schema.run("UPDATE schema_version SET oldest = 2");
    let error = schema.connect().err().unwrap();
    assert!(
        matches!(error, StoreError::TooNew { version: 999, .. }),
        "{error}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "postgresql://u:secret@/events?host={}",
        folder.path().display()
    );
    let error = PostgresStore::connect(&url, &OPTIONS).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, StoreError::NotConnected { .. }), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Not,
    /// Before the server gets the commit.
    Commit,
    /// After the server has done it.
    Answer,
}

/// Passes on what is sent between stores and the server.
struct Proxy {
    next: Arc<AtomicUsize>,
    path: PathBuf,
}

impl Proxy {
    /// Listens in a folder as the server does in its own.
    fn start(folder: &Path, schema: &Schema) -> Self {
        let path = folder.join(".s.PGSQL.5432");
        let listener = UnixListener::bind(&path).unwrap();
        let next = Arc::new(AtomicUsize::new(Cut::Not as usize));
        let config: postgres::Config = schema.server.parse().unwrap();
        let [postgres::config::Host::Unix(server)] = config.get_hosts() else {
            panic!("REFLEXARC_POSTGRES has to name a folder");
        };
        let (server, cut) = (server.join(".s.PGSQL.5432"), next.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&server).unwrap());
                let cut = cut.clone();
                std::thread::spawn(move || pass_on(client, server, &cut));
            }
        });
        Self { next, path }
    }

    fn cut_next(&self, cut: Cut) {
        self.next.store(cut as usize, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

fn pass_on(mut client: UnixStream, mut server: UnixStream, cut: &AtomicUsize) {
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let is_cut = Arc::new(AtomicUsize::new(0));
    let stopped = is_cut.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 1 << 12];
        while let Ok(length @ 1..) = answers.read(&mut bytes) {
            if stopped.load(Ordering::SeqCst) == 1 {
                drop(back.shutdown(Shutdown::Both));
                return;
            }
            if back.write_all(&bytes[..length]).is_err() {
                return;
            }
        }
        drop(back.shutdown(Shutdown::Both));
    });
    let mut bytes = [0; 1 << 12];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let is_commit = bytes[..length].windows(7).any(|part| part == b"COMMIT\0");
        let now = if is_commit {
            cut.swap(Cut::Not as usize, Ordering::SeqCst)
        } else {
            Cut::Not as usize
        };
        if now == Cut::Commit as usize {
            break;
        }
        if now == Cut::Answer as usize {
            is_cut.store(1, Ordering::SeqCst);
        }
        if server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
}
