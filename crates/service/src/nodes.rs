//! This process among the nodes that share its store.
//!
//! Every few seconds a node beats, looks at the others, and declares lost who has not beaten for a
//! while (`nodes/silence.rs`), so that the claims of that one are released. The one that is declared
//! lost may only have been stopped. So it sends nothing once its own last beat is some seconds old,
//! which is well before others may declare it lost:
//!
//! ```text
//! beat  0 s ·· 3 s ·· 6 s    stopped ············· runs again
//!              others see no beat       15 s: lost   │ its last beat is too old: it releases what
//!                                                    │ it has claimed, beats, and joins again
//! may send ─────────────────── 11 s                  └───────────
//! ```
//!
//! A store that one process has for itself has no nodes, and everything here is at rest.

mod silence;
mod watch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use tokio::sync::Notify;

pub(crate) use self::watch::{NodeWatch, watch_nodes};
use crate::clock::ClockOffset;
use crate::store::{Beat, NewNode, Node, NodeSetup, NodeState, Note, Store, StoreError};

/// How old the last beat may be for something to be sent.
const MAX_BEAT_AGE: Duration = Duration::from_secs(5);

/// What this process knows of the nodes. Clones share it. By default there are none but this one.
#[derive(Clone, Default)]
pub struct Nodes {
    /// `None` if the store is not shared.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    name: String,
    /// What this node runs, or is about to run.
    setup: Mutex<NodeSetup>,
    view: ArcSwap<View>,
    /// When the last beat began that was stored.
    beat: Mutex<Instant>,
    /// Increases when this node was declared lost: what it had claimed is of others.
    generation: AtomicU64,
    /// By how much the clock of the database is ahead of that of this machine.
    offset: ClockOffset,
    /// Notified when another node may have changed something.
    changed: Notify,
}

/// The nodes as of the last beat.
#[derive(Debug, Clone, Default)]
struct View {
    own: Option<i64>,
    nodes: Vec<Node>,
}

/// A node, for `/status` and the console.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeOverview {
    /// Its number: a process that was declared lost, and goes on, has another one.
    pub number: i64,
    /// Host and port.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The hash of its rules.
    pub rules: String,
    /// `live`, `left` or `lost`.
    pub state: &'static str,
    /// Whether it is the one that answers.
    pub is_own: bool,
    /// Whether it removes what is old.
    pub is_first: bool,
    /// When it joined.
    pub joined: Timestamp,
    /// When it last beat.
    pub seen: Timestamp,
    /// How long ago that was, by the clock of the database.
    pub silent: SignedDuration,
}

/// The name of this process as a node: host and port.
pub(crate) fn node_name(listen: SocketAddr) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    format!("{host}:{}", listen.port())
}

/// What a node says of its targets.
pub(crate) fn setup_of_targets(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.join(",")
}

impl Nodes {
    /// Makes this process a node of its store, if that is shared. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn join(
        store: &dyn Store,
        name: String,
        setup: NodeSetup,
    ) -> Result<Self, StoreError> {
        if !store.is_shared() {
            return Ok(Self::default());
        }
        let shared = Shared {
            name,
            setup: Mutex::new(setup),
            view: ArcSwap::default(),
            beat: Mutex::new(Instant::now()),
            generation: AtomicU64::new(0),
            offset: ClockOffset::default(),
            changed: Notify::new(),
        };
        let nodes = Self {
            shared: Some(Arc::new(shared)),
        };
        nodes.join_again(store)?;
        nodes.beat(store)?;
        Ok(nodes)
    }

    /// The name of this node; empty if the store is not shared.
    fn name(&self) -> &str {
        self.shared.as_ref().map_or("", |shared| &shared.name)
    }

    /// Whether what this process has claimed is certainly not of another one, so that it may be
    /// sent.
    pub(crate) fn may_send(&self) -> bool {
        let Some(shared) = &self.shared else {
            return true;
        };
        shared.view.load().own.is_some() && lock(&shared.beat).elapsed() < MAX_BEAT_AGE
    }

    /// A number that is another one once what was claimed before is of others.
    pub(crate) fn generation(&self) -> u64 {
        let shared = self.shared.as_ref();
        shared.map_or(0, |shared| shared.generation.load(Ordering::Acquire))
    }

    /// Whether this node does what one is enough for.
    pub(crate) fn is_first(&self) -> bool {
        let Some(shared) = &self.shared else {
            return true;
        };
        let view = shared.view.load();
        view.own.is_some() && view.first() == view.own
    }

    /// Whether all nodes run the same rules and have the same targets.
    pub(crate) fn agree(&self) -> bool {
        let Some(shared) = &self.shared else {
            return true;
        };
        let setup = lock(&shared.setup).clone();
        let view = shared.view.load();
        let mut others = view.others();
        if setup.rules.is_empty() {
            // A command, which knows only some of the rules.
            return others.next().is_none();
        }
        others.all(|other| other.setup.rules.is_empty() || other.setup == setup)
    }

    /// As [`Nodes::agree`], after a look at the others. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn agree_now(&self, store: &dyn Store) -> Result<bool, StoreError> {
        self.beat(store)?;
        Ok(self.agree())
    }

    /// Whether several processes may deliver from the store.
    pub(crate) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// When the first node joined of those that are live besides this one.
    pub(crate) fn oldest_other(&self) -> Option<Timestamp> {
        let view = self.shared.as_ref()?.view.load();
        view.others().map(|other| other.joined).min()
    }

    /// By how much the clock of the database is ahead of that of this machine; zero if the store is
    /// not shared.
    pub(crate) fn offset(&self) -> ClockOffset {
        let shared = self.shared.as_ref();
        shared.map_or_else(ClockOffset::default, |shared| shared.offset.clone())
    }

    /// Another node may have changed something.
    pub(crate) fn note_change(&self) {
        if let Some(shared) = &self.shared {
            shared.changed.notify_one();
        }
    }

    /// Tells the other nodes what this one is about to run. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn announce(
        &self,
        store: &dyn Store,
        change: impl FnOnce(&mut NodeSetup),
    ) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        change(&mut lock(&shared.setup));
        self.beat(store)?;
        store.notify(Note::Changed);
        Ok(())
    }

    /// All nodes, by number; those included that were lost within an hour.
    pub(crate) fn list(&self, store: &dyn Store) -> Result<Vec<NodeOverview>, StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(Vec::new());
        };
        let view = View {
            nodes: store.nodes()?,
            own: shared.view.load().own,
        };
        let now = Timestamp::now();
        let now = now.saturating_add(shared.offset.get()).unwrap_or(now);
        let (own, first) = (view.own, view.first());
        let nodes = view.nodes.into_iter().map(|node| NodeOverview {
            number: node.number,
            is_own: own == Some(node.number),
            is_first: first == Some(node.number),
            name: node.name,
            version: node.version,
            rules: node.setup.rules,
            state: node.state.as_str(),
            joined: node.joined,
            seen: node.seen,
            silent: now.duration_since(node.seen).max(SignedDuration::ZERO),
        });
        Ok(nodes.collect())
    }

    fn join_again(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let setup = lock(&shared.setup).clone();
        store.join(&NewNode {
            name: shared.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            setup,
        })
    }

    /// Tells the others that this node works, and learns how they are.
    fn beat(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let (began, wall) = (Instant::now(), Timestamp::now());
        let setup = lock(&shared.setup).clone();
        let Some(Beat {
            own, time, nodes, ..
        }) = store.beat(&setup)?
        else {
            return Ok(());
        };
        // As if the server had looked at its clock in the middle of the time that it took.
        let half = wall.duration_until(Timestamp::now()) / 2;
        let wall = wall.saturating_add(half).unwrap_or(wall);
        shared.offset.set(wall.duration_until(time));
        if own.is_none() && shared.view.load().own.is_some() {
            shared.generation.fetch_add(1, Ordering::AcqRel);
        }
        shared.view.store(Arc::new(View { own, nodes }));
        if own.is_some() {
            *lock(&shared.beat) = began;
        }
        Ok(())
    }

    fn view(&self) -> Arc<View> {
        let shared = self.shared.as_ref();
        shared.map_or_else(Arc::default, |shared| shared.view.load_full())
    }
}

impl NodeOverview {
    /// As `{"number", "name", "version", "rules", "state", "own", "first", "joined", "seen",
    /// "silent_seconds"}`.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("number", Json::count(self.number)),
            ("name", self.name.as_str().into()),
            ("version", self.version.as_str().into()),
            ("rules", self.rules.as_str().into()),
            ("state", self.state.into()),
            ("own", self.is_own.into()),
            ("first", self.is_first.into()),
            ("joined", self.joined.to_string().into()),
            ("seen", self.seen.to_string().into()),
            ("silent_seconds", Json::from(self.silent.as_secs())),
        ])
    }
}

impl View {
    fn live(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.state == NodeState::Live)
    }

    /// The nodes that are live, without this one.
    fn others(&self) -> impl Iterator<Item = &Node> {
        self.live().filter(|node| Some(node.number) != self.own)
    }

    /// The node that has been live for longest.
    fn first(&self) -> Option<i64> {
        self.live().map(|node| node.number).min()
    }

    /// Whether claims wait to be released.
    fn has_ended(&self) -> bool {
        let ended = |node: &Node| matches!(node.state, NodeState::Left | NodeState::Lost);
        self.nodes.iter().any(ended)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
