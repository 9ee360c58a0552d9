//! Nodes: processes that share a store and deliver from it together.
//!
//! A node tells the others that it works by *beats*. A node that has not beaten for a while is
//! declared lost by another one: it can claim nothing more, and its claims are released. It may only
//! have been stopped, so it must not send what it claimed before a pause between two beats that was
//! long enough for that; who runs the nodes decides how long.
//!
//! ```text
//! node 2   join ── beat ── beat ── beat ── beat ── …
//! node 3   join ── beat ── stopped ······················ runs: beat fails, it joins as node 4
//! node 2                        declares 3 lost, releases its claims
//! ```

use std::sync::Arc;

use jiff::Timestamp;

use crate::StoreError;

/// A node as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its number; a process that joins again has another one.
    pub number: i64,
    /// Its name, for people.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// What it runs.
    pub setup: NodeSetup,
    /// When it joined, by the clock of the database.
    pub joined: Timestamp,
    /// When it last beat, by the clock of the database.
    pub seen: Timestamp,
    /// How often it has.
    pub beats: i64,
    /// Whether it works.
    pub state: NodeState,
}

/// What a node runs: two nodes with an equal setup are interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSetup {
    /// The hash of its rules; empty for a command, which has none that others wait for.
    pub rules: String,
    /// Its targets.
    pub targets: String,
}

/// Whether a node works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NodeState {
    /// It does.
    Live,
    /// It has ended, and its claims are not released yet.
    Left,
    /// It was declared lost, and its claims are not released yet.
    Lost,
    /// It was declared lost, and its claims are released.
    Gone,
}

/// A process that becomes a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// Its name, for people.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// What it runs.
    pub setup: NodeSetup,
}

/// What a node learns when it beats.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beat {
    /// The number of this process; `None` if it has not joined, or was declared lost: then what it
    /// has claimed is of others.
    pub own: Option<i64>,
    /// The time of the database.
    pub time: Timestamp,
    /// All nodes, by number.
    pub nodes: Vec<Node>,
}

/// What a node tells the others. It may get lost, so nothing may depend on it but how soon they
/// learn it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Note {
    /// There is something to send to this target.
    Target(String),
    /// Something that nodes keep in memory may have changed: pauses, silences, the nodes.
    Changed,
}

/// Gets the notes of other nodes, and of this one.
pub type NoteObserver = Arc<dyn Fn(Note) + Send + Sync>;

/// What a database does for nodes.
pub trait Cluster: Send + Sync {
    fn join(&self, node: &NewNode) -> Result<i64, StoreError>;

    fn beat(&self, setup: &NodeSetup) -> Result<Beat, StoreError>;

    fn list(&self) -> Result<Vec<Node>, StoreError>;

    fn declare_lost(&self, node: &Node) -> Result<bool, StoreError>;

    /// The claims of these nodes are released.
    fn released(&self, nodes: &[i64]) -> Result<(), StoreError>;

    fn notify(&self, note: Note);

    fn observe(&self, observer: NoteObserver);
}

impl NodeState {
    #[cfg(feature = "cluster")]
    const ALL: [Self; 4] = [Self::Live, Self::Left, Self::Lost, Self::Gone];

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Left => "left",
            Self::Lost | Self::Gone => "lost",
        }
    }

    /// Its number in the database.
    #[cfg(feature = "cluster")]
    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    /// What a newer program has written is not live for this one.
    #[cfg(feature = "cluster")]
    pub(crate) fn from_number(number: i64) -> Self {
        let found = Self::ALL.into_iter().find(|state| state.number() == number);
        found.unwrap_or(Self::Gone)
    }
}

#[cfg(feature = "cluster")]
impl Note {
    /// Its text on the way.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Target(name) => format!("target:{name}"),
            Self::Changed => "changed".to_owned(),
        }
    }

    /// What a newer program says may have changed anything.
    pub(crate) fn from_text(text: &str) -> Self {
        match text.split_once(':') {
            Some(("target", name)) => Self::Target(name.to_owned()),
            _ => Self::Changed,
        }
    }
}
