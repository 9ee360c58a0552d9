//! Queues that deliver from a store.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::webhook::Webhook;
use reflexarc_delivery::{BreakerPolicy, DeliveryId, RetryDelays, RetryPolicy, Target};
use reflexarc_reaction::Action;
use reflexarc_service::dispatch::{DispatchContext, TargetGates, WithholdingChanges};
use reflexarc_service::store::{Attempt, DeliveryRecord, DeliveryStatus};
use reflexarc_service::telemetry::{Metrics, Redactor, Telemetry};
use reflexarc_service::{Limits, LiveBroadcast, Nodes, ServiceClock, Store};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::receiver::eventually;
use crate::samples::{evaluation, incoming_of, open};

pub(crate) struct Delivering {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) secrets: Vec<String>,
    gates: TargetGates,
    /// See `Limits::delivery_bytes`.
    pub(crate) delivery_bytes: usize,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

/// Retries this often, after 20 ms each.
pub(crate) fn quick(retries: usize) -> RetryPolicy {
    let wait = SignedDuration::from_millis(20);
    RetryPolicy {
        delays: RetryDelays::List(vec![wait; retries]),
        max_age: SignedDuration::from_hours(1),
    }
}

/// A webhook on this machine.
pub(crate) fn webhook(url: &str) -> Webhook {
    let policy = EgressPolicy {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let client = policy.client(None).unwrap();
    Webhook::new(url.parse().unwrap(), policy, client, None, Vec::new())
}

/// A target without an order, which most tests are not about: all their events are of one resource.
pub(crate) fn queue(
    name: &str,
    target: impl Target + 'static,
    policy: RetryPolicy,
) -> TargetConfig {
    TargetConfig {
        name: name.into(),
        target: Arc::new(target),
        concurrency: 4,
        timeout: Duration::from_secs(5),
        policy,
        breaker: BreakerPolicy::default(),
        order_wait: SignedDuration::ZERO,
        firing_limit: None,
        calls: None,
        digest: [0; 32],
    }
}

impl Delivering {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Arc::new(open(folder.path())),
            metrics: Arc::default(),
            secrets: Vec::new(),
            gates: TargetGates::default(),
            delivery_bytes: Limits::DEFAULT.delivery_bytes,
            stop: watch::channel(false).0,
            serving: Vec::new(),
            folder,
        }
    }

    pub(crate) fn serve(&mut self, queue: TargetConfig) -> Arc<Notify> {
        let context = DispatchContext {
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            clock: ServiceClock::default(),
            telemetry: Telemetry::default(),
            redactor: Redactor::new(self.secrets.iter().map(String::as_str)),
            gates: self.gates.clone(),
            delivery_bytes: self.delivery_bytes,
            withholding: WithholdingChanges::default(),
            live: LiveBroadcast::default(),
            nodes: Nodes::default(),
            stop: self.stop.subscribe(),
        };
        let wake = Arc::new(Notify::new());
        self.serving
            .push(tokio::spawn(reflexarc_service::dispatch::serve(
                queue,
                context,
                wake.clone(),
            )));
        wake
    }

    /// Accepts an event with this id that leads to these actions.
    pub(crate) async fn accept(&self, id: &str, actions: Vec<Action>) -> Vec<DeliveryId> {
        self.accept_of(id, "eni-1", actions).await
    }

    /// As [`Self::accept`] for an event of this interface.
    pub(crate) async fn accept_of(
        &self,
        id: &str,
        eni: &str,
        actions: Vec<Action>,
    ) -> Vec<DeliveryId> {
        let (store, incoming) = (self.store.clone(), incoming_of(id, eni));
        let accept = move || {
            store
                .accept(incoming, evaluation("r", actions, vec![]), Timestamp::now())
                .unwrap()
        };
        tokio::task::spawn_blocking(accept)
            .await
            .unwrap()
            .deliveries
    }

    /// Waits until a delivery has this status.
    pub(crate) async fn until(
        &self,
        id: DeliveryId,
        status: DeliveryStatus,
    ) -> (DeliveryRecord, Vec<Attempt>) {
        eventually(|| {
            self.store
                .delivery(id)
                .unwrap()
                .filter(|(entry, _)| entry.status == status)
        })
        .await
    }

    /// Waits until nothing is pending.
    pub(crate) async fn until_empty(&self) {
        self.until_pending(0).await;
    }

    /// Waits until no more than so many deliveries are pending.
    pub(crate) async fn until_pending(&self, most: usize) {
        eventually(|| {
            let pending = self
                .store
                .deliveries(DeliveryStatus::Pending, None, most + 1);
            (pending.unwrap().len() <= most).then_some(())
        })
        .await;
    }

    /// Ends all queues as a kill of the process does, with what they are sending.
    pub(crate) fn kill(self) -> tempfile::TempDir {
        for serving in self.serving {
            serving.abort();
        }
        self.folder
    }

    /// Stops all queues. The store can be read as long as the folder exists.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        for serving in self.serving {
            serving.await.unwrap();
        }
        self.folder
    }
}
