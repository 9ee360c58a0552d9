//! The queues that run, and how others take their places: in order, one target after the other, losing nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dispatch::{Exchange, Queue, Settings, Wake, serve};
use crate::log::Redactor;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::telemetry::Telemetry;

/// Serves every target, each with a queue of its own, which a reload can replace.
pub(crate) struct Queues {
    exchange: Exchange,
    wake: Wake,
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    /// `None` once the target is gone.
    settings: Option<Settings>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Queues {
    /// Starts these. To be called within a tokio runtime.
    pub(crate) fn start(
        queues: Vec<Queue>,
        wake: Wake,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        redactor: Redactor,
        telemetry: Telemetry,
    ) -> Self {
        // Each queue gets a receiver of its own.
        let exchange = Exchange {
            store,
            metrics,
            redactor,
            telemetry,
            stop: watch::channel(false).1,
        };
        let started = Self {
            exchange,
            wake,
            running: Mutex::default(),
        };
        started.replace(queues);
        started
    }

    /// What wakes them.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Puts these in place of those that run. A queue with the same settings goes on undisturbed. Another one begins when
    /// what its predecessor was sending is sent. What waits for a target that is gone goes to the dead letters.
    pub(crate) fn replace(&self, queues: Vec<Queue>) {
        let mut running = self.lock();
        self.wake.set(queues.iter().map(|queue| queue.name.clone()));
        for (name, gone) in running
            .iter_mut()
            .filter(|(name, _)| !queues.iter().any(|queue| queue.name == **name))
        {
            if gone.settings.take().is_some() {
                gone.stop.send_replace(true);
                let (exchange, wake) = (self.exchange.clone(), self.wake.clone());
                let before = std::mem::replace(&mut gone.task, tokio::spawn(async {}));
                gone.task = tokio::spawn(retire(before, name.clone(), exchange, wake));
            }
        }
        for queue in queues {
            let before = match running.remove(&queue.name) {
                Some(same) if same.settings == Some(queue.settings) => {
                    running.insert(queue.name, same);
                    continue;
                }
                Some(before) => {
                    before.stop.send_replace(true);
                    Some(before.task)
                }
                None => None,
            };
            let (stop, stopped) = watch::channel(false);
            let exchange = Exchange {
                stop: stopped,
                ..self.exchange.clone()
            };
            let (name, settings) = (queue.name.clone(), Some(queue.settings));
            let task = tokio::spawn(succeed(before, queue, exchange, self.wake.clone()));
            running.insert(
                name,
                Running {
                    settings,
                    stop,
                    task,
                },
            );
        }
    }

    /// Tells all of them to claim nothing more and to finish what they are sending.
    pub(crate) fn stop(&self) {
        for queue in self.lock().values() {
            queue.stop.send_replace(true);
        }
    }

    /// Waits until all of them have ended.
    pub(crate) async fn ended(&self) {
        let running = std::mem::take(&mut *self.lock());
        for queue in running.into_values() {
            drop(queue.task.await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a target when its predecessor has ended. What that one had claimed and not sent is due again.
async fn succeed(before: Option<JoinHandle<()>>, queue: Queue, exchange: Exchange, wake: Wake) {
    if let Some(before) = before {
        drop(before.await);
        release(&exchange, &queue.name).await;
    }
    let notify = wake.of(&queue.name).unwrap_or_default();
    serve(queue, exchange, notify).await;
}

/// Waits for the end of a queue whose target is gone, and sees to what is left.
async fn retire(before: JoinHandle<()>, name: String, exchange: Exchange, wake: Wake) {
    drop(before.await);
    if wake.of(&name).is_none() {
        release(&exchange, &name).await;
        exchange
            .store
            .bury_soon(&name, wake.stranger(&name), Timestamp::now());
    }
}

async fn release(exchange: &Exchange, target: &str) {
    if let Ok(Err(error)) = exchange
        .store
        .release_claims_of(target, Timestamp::now())
        .await
    {
        tracing::error!(to = target, %error, "cannot release claims; what was claimed waits for the claim's end");
    }
}
