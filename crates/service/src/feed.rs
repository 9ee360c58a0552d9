//! The service without HTTP: events from a file or pipe, the same store, rules and targets.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::dispatch::Wake;
use crate::incoming::Incoming;
use crate::intake::Intake;
use crate::queues::Queues;
use crate::service::{Plan, prepare};
use crate::store::{Accepted, Ownership, Store, StoreError};
use crate::telemetry::Telemetry;

/// Takes events and delivers what the rules ask for, until it is finished.
pub struct Feed {
    intake: Intake,
    store: Arc<Store>,
    wake: Wake,
    queues: Queues,
    patience: Duration,
    _owner: Ownership,
}

impl Plan {
    /// Starts everything but HTTP. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the store fails, or another process delivers out of it.
    pub fn feed(self) -> Result<Feed, StoreError> {
        let owner = self.store.own()?;
        let wake = Wake::new(self.queues.iter().map(|queue| queue.name.clone()));
        prepare(&self.store, &wake)?;
        let queues = Queues::start(
            self.queues,
            wake.clone(),
            self.store.clone(),
            Arc::default(),
            self.redactor.clone(),
            Telemetry::default(),
        );
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let intake = Intake::start(
            &self.store,
            Arc::new(ArcSwap::from_pointee(self.rules)),
            lanes,
            &self.limits,
            &Telemetry::default(),
        )?;
        Ok(Feed {
            intake,
            store: self.store,
            wake,
            queues,
            patience: self.patience,
            _owner: owner,
        })
    }
}

impl Feed {
    /// Takes events in this order and waits until they are stored. Not for the inside of an async function.
    ///
    /// # Errors
    /// When the store fails; events before the failure may be stored.
    pub fn take(&self, events: Vec<Incoming>) -> Result<Vec<Accepted>, StoreError> {
        let accepted = self.intake.accept_all(events, Timestamp::now())?;
        for one in &accepted {
            self.wake.wake(&one.targets, &self.store, Timestamp::now());
        }
        Ok(accepted)
    }

    /// Waits until everything in the outbox has been tried at least once, then ends. What has to be tried again stays in
    /// the outbox, for whoever serves the store next; how many that are.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finish(self) -> Result<usize, StoreError> {
        while self.store.untried()? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.queues.stop();
        drop(tokio::time::timeout(self.patience, self.queues.ended()).await);
        let depths = self.store.depths()?;
        Ok(depths
            .iter()
            .map(|(_, count, _)| usize::try_from(*count).unwrap_or(usize::MAX))
            .sum())
    }
}
