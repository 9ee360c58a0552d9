//! The parts put together: from an open store to a running service, and to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher};
use reflexarc_engine::RuleSet;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::dispatch::{Exchange, Queue, Wake, serve};
use crate::http::{Door, EventBridge, Identity, Tokens, listen, router};
use crate::intake::Intake;
use crate::limits::Limits;
use crate::log::Redactor;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::store::{Retention, Store, StoreError};

/// Everything a service is made of.
pub struct Plan {
    /// The open store.
    pub store: Arc<Store>,
    /// Where the rules lie.
    pub rule_paths: Vec<PathBuf>,
    /// The rules as loaded.
    pub rules: RuleSet,
    /// One for each target.
    pub queues: Vec<Queue>,
    /// How long things are kept.
    pub retention: Retention,
    /// What strangers may cost.
    pub limits: Limits,
    /// Keeps secrets out of what is remembered of receivers' words.
    pub redactor: Redactor,
    /// Who may do what over HTTP.
    pub tokens: Tokens,
    /// Verifies requests of EventBridge.
    pub eventbridge: Option<EventBridge>,
    /// Who we are to TLS clients.
    pub identity: Option<Identity>,
    /// How long requests and sends under way may take to end after a stop.
    pub patience: Duration,
}

/// How often old things are looked for.
const PRUNE: Duration = Duration::from_secs(600);
/// Editors write a file in several steps: changes are taken together when nothing more happens for so long.
const SETTLE: Duration = Duration::from_millis(300);

impl Plan {
    /// Takes events, evaluates and delivers until `stop` becomes true; then ends in order: no new requests, those under
    /// way finished, what is being sent sent. What is left waits in the outbox.
    ///
    /// # Errors
    /// When the store fails at the start.
    pub async fn run(self, listener: TcpListener, stop: watch::Receiver<bool>) -> Result<(), StoreError> {
        let _owner = self.store.own()?;
        let metrics = Arc::new(Metrics::new());
        let rules = Arc::new(ArcSwap::from_pointee(self.rules));
        let reloader = Arc::new(Reloader::new(self.rule_paths, rules.clone(), metrics.clone()));
        let wake = Wake::new(self.queues.iter().map(|queue| queue.name.clone()));
        let store = self.store.clone();
        let names = wake.clone();
        blocking(move || prepare(&store, &names)).await?;

        let exchange = Exchange {
            store: self.store.clone(),
            metrics: metrics.clone(),
            redactor: self.redactor,
            stop: stop.clone(),
        };
        let mut delivering = JoinSet::new();
        for queue in self.queues {
            let notify = wake.of(&queue.name).unwrap_or_default();
            delivering.spawn(serve(queue, exchange.clone(), notify));
        }
        let watching = tokio::spawn(watch_rules(reloader.clone(), stop.clone()));
        let pruning = tokio::spawn(prune(self.store.clone(), self.retention, stop.clone()));

        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let door = Arc::new(Door {
            intake: Intake::start(&self.store, rules, lanes, &self.limits)?,
            store: self.store.clone(),
            tokens: self.tokens,
            eventbridge: self.eventbridge,
            metrics,
            limits: self.limits.clone(),
            wake,
            reloader,
            stop: stop.clone(),
        });
        tracing::info!(address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default(), "ready");
        listen(listener, self.identity, router(door), &self.limits, stop, self.patience).await;
        let ended = async { while delivering.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, ended).await.is_err() {
            tracing::warn!("some sends did not end in time; they will be sent again under the same id");
        }
        watching.abort();
        pruning.abort();
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits until everything is to end, or nobody is left who could say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// What the queues share.
pub(crate) fn exchange(
    store: &Arc<Store>,
    metrics: Arc<Metrics>,
    redactor: Redactor,
    stop: watch::Receiver<bool>,
) -> Exchange {
    Exchange { store: store.clone(), metrics, redactor, stop }
}

/// After a crash: what was about to be sent is due, and what has no target any more is a dead letter.
pub(crate) fn prepare(store: &Store, wake: &Wake) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let released = store.release_claims(now)?;
    if released > 0 {
        tracing::info!(deliveries = released, "resuming what an earlier process left under way");
    }
    for (target, count, _) in store.depths()? {
        if wake.of(&target).is_none() {
            tracing::warn!(name = target, deliveries = count, "no such target any more; to the dead letters");
            store.bury(&target, wake.stranger(&target), now)?;
        }
    }
    Ok(())
}

/// Reloads when rule files change or SIGHUP comes.
async fn watch_rules(reloader: Arc<Reloader>, mut stop: watch::Receiver<bool>) {
    let (notice, mut changes) = mpsc::channel(1);
    let observe = move |event: notify::Result<notify::Event>| {
        // Reading is no change; without this a reload would lead to the next one.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            _ = notice.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(observe).and_then(|mut watcher| {
        for path in reloader.paths() {
            // A file is watched by its folder: editors replace files, and a watch on the file would stay with the old one.
            let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
            let folder = if folder.as_os_str().is_empty() { std::path::Path::new(".") } else { folder };
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        Ok(watcher)
    });
    if let Err(error) = &watcher {
        tracing::warn!(%error, "cannot watch the rule files; send SIGHUP or POST /reload after a change");
    }
    let mut hangup = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGHUP");
            return;
        }
    };
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            Some(()) = hangup.recv() => {}
            Some(()) = changes.recv() => {
                while tokio::time::timeout(SETTLE, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
            }
        }
        let reloader = reloader.clone();
        // What is wrong was logged; whoever wants to see it drawn runs `reflexarc check`.
        drop(tokio::task::spawn_blocking(move || reloader.reload()).await);
    }
}

async fn prune(store: Arc<Store>, keep: Retention, mut stop: watch::Receiver<bool>) {
    loop {
        let (store, keep) = (store.clone(), keep.clone());
        match blocking(move || store.prune(&keep, Timestamp::now())).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "pruned the archive"),
            Err(error) => tracing::error!(%error, "cannot prune the archive"),
        }
        if tokio::time::timeout(PRUNE, stopped(&mut stop)).await.is_ok() {
            return;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
}
