//! Waking queues when there is something for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc_delivery::config::unknown_target_message;
use tokio::sync::Notify;

use crate::nodes::Nodes;
use crate::store::{Store, StoreError};

/// The queues by name, each with what wakes it. Clones share them; a reload replaces them.
#[derive(Clone, Default)]
pub(crate) struct Wake {
    // Read for every event that is accepted, replaced at a reload: readers take no lock.
    queues: Arc<ArcSwap<BTreeMap<String, Arc<Notify>>>>,
    nodes: Nodes,
}

impl Wake {
    /// For the queues of these names, of a node.
    pub(crate) fn new(names: impl IntoIterator<Item = String>, nodes: Nodes) -> Self {
        let wake = Self {
            nodes,
            ..Self::default()
        };
        wake.replace(names);
        wake
    }

    /// Replaces the queues. One that exists already keeps its [`Notify`], so that a wake-up between
    /// the end of its task and the start of the next is not lost.
    pub(crate) fn replace(&self, names: impl IntoIterator<Item = String>) {
        let queues = names.into_iter().map(|name| {
            let notify = self.get(&name).unwrap_or_default();
            (name, notify)
        });
        self.queues.store(Arc::new(queues.collect()));
    }

    /// What wakes the queue of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Notify>> {
        self.queues.load().get(name).cloned()
    }

    /// The names of the queues.
    pub(crate) fn names(&self) -> Vec<String> {
        self.queues.load().keys().cloned().collect()
    }

    /// Whether what has no queue here has none anywhere: no other node may have one. Blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn knows_all_targets(&self, store: &dyn Store) -> Result<bool, StoreError> {
        self.nodes.agree_now(store)
    }

    /// Wakes the queues of these targets. Deliveries to a target that does not exist become dead
    /// letters: they would otherwise wait for ever without anyone noticing.
    pub(crate) fn wake(&self, targets: &[String], store: &dyn Store, now: Timestamp) {
        for target in targets {
            if !self.notify(target) && self.nodes.agree() {
                // The reply is not awaited: the event is committed, and its sender need not wait
                // for this. Should it fail, regular maintenance repeats it
                // (`service::dead_letter_unknown_targets`).
                let reason = unknown_target_message(target, &self.names());
                drop(store.submit_dead_letter_target(target, reason, now));
            }
        }
    }

    /// Wakes the queue of a target. Returns whether there is one.
    pub(crate) fn notify(&self, target: &str) -> bool {
        let queue = self.get(target);
        // `notify_one` keeps one permit if the queue is not waiting at the moment, so a wake-up
        // between its look into the outbox and its rest is not lost.
        queue.map(|queue| queue.notify_one()).is_some()
    }
}
