//! The simulated cloud behind a listening API, shared by concurrent requests and the clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_eni::Cloud;
use reflexarc_eni::events::{Notification, RequestOutcome};
use reflexarc_eni::rpc::{Endpoint, HttpRequest, HttpResponse};
use reflexarc_eni::subscriptions::Delivery;
use tokio::sync::{Notify, mpsc};

/// The wait of the clock while no operation is in progress. A request wakes it up, so any long time
/// would do.
const IDLE: Duration = Duration::from_secs(3600);

/// What leaves the cloud, apart from responses.
pub(super) enum CloudOutput {
    /// The end of a request for an operation, with or without an event.
    Ended(RequestOutcome),
    /// Another event.
    Notification(Notification),
    /// An event for a target of a rule.
    Delivery(Delivery),
}

/// An endpoint on the real clock, and the channel for what leaves it.
pub(super) struct SharedCloud {
    endpoint: Mutex<Endpoint>,
    outputs: mpsc::Sender<CloudOutput>,
    /// Notified after every request: an operation may be due earlier than the clock waits for.
    changed: Notify,
}

impl SharedCloud {
    pub(super) fn new(endpoint: Endpoint, outputs: mpsc::Sender<CloudOutput>) -> Self {
        Self {
            endpoint: Mutex::new(endpoint),
            outputs,
            changed: Notify::new(),
        }
    }

    /// Reads or changes the cloud in ways that the API does not offer.
    pub(super) fn update<T>(&self, update: impl FnOnce(&mut Cloud) -> T) -> T {
        update(self.lock().cloud_mut())
    }

    /// Answers one request of the API.
    pub(super) async fn serve(&self, request: &HttpRequest) -> HttpResponse {
        // The lock is released before the channel is awaited: when the channel is full, only this
        // request waits, not the whole cloud.
        let (response, outputs) = {
            let mut endpoint = self.lock();
            let response = endpoint.serve(request, Timestamp::now());
            (response, take_outputs(&mut endpoint))
        };
        self.send(outputs).await;
        self.changed.notify_one();
        response
    }

    /// The response to a request that is too large to be one.
    pub(super) fn too_large(&self) -> HttpResponse {
        self.lock().too_large()
    }

    /// Completes operations when they are due, without end.
    pub(super) async fn run_clock(&self) {
        loop {
            let (outputs, next) = {
                let mut endpoint = self.lock();
                endpoint.advance(Timestamp::now());
                (
                    take_outputs(&mut endpoint),
                    endpoint.cloud().next_completion(),
                )
            };
            self.send(outputs).await;
            // A completion that became due in the meantime has a negative distance: no wait.
            let wait = next.map_or(IDLE, |next| {
                Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn send(&self, outputs: Vec<CloudOutput>) {
        for output in outputs {
            // The receiver lives as long as the server, so this cannot fail.
            let _ = self.outputs.send(output).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Endpoint> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_outputs(endpoint: &mut Endpoint) -> Vec<CloudOutput> {
    // Only a scenario's timeline shows status changes; here they are dropped before they fill the
    // journal.
    endpoint.take_changes();
    let ended = endpoint.take_outcomes().into_iter().map(CloudOutput::Ended);
    let notifications = endpoint.take_notifications().into_iter();
    let deliveries = endpoint.take_deliveries().into_iter();
    ended
        .chain(notifications.map(CloudOutput::Notification))
        .chain(deliveries.map(CloudOutput::Delivery))
        .collect()
}
