//! The parts put together: from an open store to a running service, and to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use reflexarc::RuleSet;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Config, Source};
use crate::dispatch::{Queue, Wake};
use crate::http::{Door, EventBridge, Identity, Tokens, listen, router};
use crate::intake::Intake;
use crate::limits::Limits;
use crate::log::Redactor;
use crate::metrics::Metrics;
use crate::queues::Queues;
use crate::reload::{InForce, Reloader};
use crate::store::{Retention, Store, StoreError};
use crate::telemetry::{Collector, Telemetry};
use crate::watching;

/// Everything a service is made of.
pub struct Plan {
    /// The open store.
    pub store: Arc<Store>,
    /// The configuration file, where a reload reads it again.
    pub source: Option<Source>,
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
    /// Where traces go.
    pub collector: Option<Collector>,
    /// How long requests and sends under way may take to end after a stop.
    pub patience: Duration,
}

/// How often old things are looked for.
const PRUNE: Duration = Duration::from_secs(600);

impl Plan {
    /// With these settings.
    pub fn of(config: Config, rules: RuleSet, store: Arc<Store>) -> Self {
        Self {
            store,
            source: config.source,
            rule_paths: config.rules,
            rules,
            queues: config.queues,
            retention: config.retention,
            limits: config.limits,
            redactor: config.redactor,
            tokens: config.tokens,
            eventbridge: config.eventbridge,
            identity: config.identity,
            collector: config.collector,
            patience: config.patience,
        }
    }

    /// Takes events, evaluates and delivers until `stop` becomes true; then ends in order: no new requests, those under
    /// way finished, what is being sent sent. What is left waits in the outbox.
    ///
    /// # Errors
    /// When the store fails at the start.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let _owner = self.store.own()?;
        let metrics = Arc::new(Metrics::new());
        let wake = Wake::new(self.queues.iter().map(|queue| queue.name.clone()));
        let (store, names) = (self.store.clone(), wake.clone());
        blocking(move || prepare(&store, &names)).await?;

        let (telemetry, exporting) = match self.collector {
            None => (Telemetry::default(), None),
            Some(collector) => {
                let started = Telemetry::start(collector, metrics.spans_dropped.clone());
                let (telemetry, exporting) = started.map_err(StoreError::Failed)?;
                (telemetry, Some(exporting))
            }
        };
        let queues = Queues::start(
            self.queues,
            wake.clone(),
            self.store.clone(),
            metrics.clone(),
            self.redactor.clone(),
            telemetry.clone(),
        );
        let queues = Arc::new(queues);
        let rules = Arc::new(ArcSwap::from_pointee(self.rules));
        let in_force = Arc::new(InForce {
            rules: rules.clone(),
            tokens: ArcSwap::from_pointee(self.tokens),
            eventbridge: ArcSwapOption::new(self.eventbridge.map(Arc::new)),
            identity: ArcSwapOption::new(self.identity.map(Arc::new)),
            retention: ArcSwap::from_pointee(self.retention),
        });
        let reloader = Arc::new(Reloader::new(
            self.source,
            self.rule_paths,
            in_force.clone(),
            queues.clone(),
            self.redactor,
            metrics.clone(),
        ));
        let watching = watching::watch(reloader.clone(), stop.clone())
            .map_err(|error| StoreError::Failed(format!("cannot listen for SIGHUP: {error}")))?;
        let pruning = tokio::spawn(prune(self.store.clone(), in_force.clone(), stop.clone()));

        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let door = Arc::new(Door {
            intake: Intake::start(&self.store, rules, lanes, &self.limits, &telemetry)?,
            store: self.store.clone(),
            in_force: in_force.clone(),
            metrics,
            limits: self.limits.clone(),
            telemetry,
            wake,
            reloader,
            stop: stop.clone(),
        });
        tracing::info!(
            address = listener
                .local_addr()
                .map(|address| address.to_string())
                .unwrap_or_default(),
            "ready"
        );
        let stopping = tokio::spawn(stop_queues(queues.clone(), stop.clone()));
        listen(
            listener,
            &in_force,
            router(door),
            &self.limits,
            stop,
            self.patience,
        )
        .await;
        drop(stopping.await);
        if tokio::time::timeout(self.patience, queues.ended())
            .await
            .is_err()
        {
            tracing::warn!(
                "some sends did not end in time; they will be sent again under the same id"
            );
        }
        if let Some(exporting) = exporting {
            exporting.end(Duration::from_secs(5)).await;
        }
        watching.abort();
        pruning.abort();
        tracing::info!("stopped");
        Ok(())
    }
}

async fn stop_queues(queues: Arc<Queues>, mut stop: watch::Receiver<bool>) {
    stopped(&mut stop).await;
    queues.stop();
}

/// Waits until everything is to end, or nobody is left who could say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// After a crash: what was about to be sent is due, and what has no target any more is a dead letter.
pub(crate) fn prepare(store: &Store, wake: &Wake) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let released = store.release_claims(now)?;
    if released > 0 {
        tracing::info!(
            deliveries = released,
            "resuming what an earlier process left under way"
        );
    }
    for (target, count, _) in store.depths()? {
        if wake.of(&target).is_none() {
            tracing::warn!(
                name = target,
                deliveries = count,
                "no such target any more; to the dead letters"
            );
            store.bury(&target, wake.stranger(&target), now)?;
        }
    }
    Ok(())
}

async fn prune(store: Arc<Store>, in_force: Arc<InForce>, mut stop: watch::Receiver<bool>) {
    loop {
        let (store, keep) = (store.clone(), in_force.retention.load_full());
        match blocking(move || store.prune(&keep, Timestamp::now())).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "pruned the archive"),
            Err(error) => tracing::error!(%error, "cannot prune the archive"),
        }
        if tokio::time::timeout(PRUNE, stopped(&mut stop))
            .await
            .is_ok()
        {
            return;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
}
