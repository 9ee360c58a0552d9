//! The simulated cloud behind a listening API, shared by concurrent requests and the clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_eni::Cloud;
use reflexarc_eni::events::RequestOutcome;
use reflexarc_eni::rpc::{Endpoint, HttpRequest, HttpResponse};
use tokio::sync::{Notify, mpsc};

/// The wait of the clock while no operation is in progress. A request wakes it up, so any long time
/// would do.
const IDLE: Duration = Duration::from_secs(3600);

/// An endpoint on the real clock, and the channel for the outcomes of its requests.
pub(super) struct SharedCloud {
    endpoint: Mutex<Endpoint>,
    outcomes: mpsc::Sender<RequestOutcome>,
    /// Notified after every request: an operation may be due earlier than the clock waits for.
    changed: Notify,
}

impl SharedCloud {
    pub(super) fn new(endpoint: Endpoint, outcomes: mpsc::Sender<RequestOutcome>) -> Self {
        Self {
            endpoint: Mutex::new(endpoint),
            outcomes,
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
        let (response, outcomes) = {
            let mut endpoint = self.lock();
            let response = endpoint.serve(request, Timestamp::now());
            (response, take_outcomes(&mut endpoint))
        };
        self.send(outcomes).await;
        self.changed.notify_one();
        response
    }

    /// Completes operations when they are due, without end.
    pub(super) async fn run_clock(&self) {
        loop {
            let (outcomes, next) = {
                let mut endpoint = self.lock();
                endpoint.advance(Timestamp::now());
                (
                    take_outcomes(&mut endpoint),
                    endpoint.cloud().next_completion(),
                )
            };
            self.send(outcomes).await;
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

    async fn send(&self, outcomes: Vec<RequestOutcome>) {
        for outcome in outcomes {
            // The receiver lives as long as the server, so this cannot fail.
            let _ = self.outcomes.send(outcome).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Endpoint> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_outcomes(endpoint: &mut Endpoint) -> Vec<RequestOutcome> {
    // Only a scenario's timeline shows status changes; here they are dropped before they fill the
    // journal.
    endpoint.take_changes();
    endpoint.take_outcomes()
}
