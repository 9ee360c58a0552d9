//! A concurrent queue under load.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    BreakerPolicy, Delivery, DeliveryId, Preview, Receipt, RetryDelays, RetryPolicy, SendError,
    SendFuture, Target,
};
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue};
use crate::receiver::eventually;
use crate::samples::send;

/// Counts sends and how many run at one time; the first attempt of each delivery fails.
#[derive(Default)]
struct Counting {
    calls: Mutex<BTreeMap<DeliveryId, usize>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Shared(Arc<Counting>);

impl Target for Shared {
    fn kind(&self) -> &'static str {
        "counting"
    }

    fn endpoint(&self) -> String {
        "this process".to_owned()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        Err(SendError::transient("nothing to see"))
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move {
            let counting = &self.0;
            counting.most.fetch_max(
                counting.now.fetch_add(1, Ordering::SeqCst) + 1,
                Ordering::SeqCst,
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
            counting.now.fetch_sub(1, Ordering::SeqCst);
            let mut calls = counting.calls.lock().unwrap();
            let count = calls.entry(batch[0].id).or_default();
            *count += 1;
            if *count == 1 {
                Err(SendError::transient("not yet"))
            } else {
                Ok(Receipt::complete("now"))
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_arrive_once_within_the_concurrency() {
    let counting = Arc::new(Counting::default());
    let mut delivering = Delivering::new();
    // Due again at once: the retry may be claimed before the settlement's reply is seen.
    let waits = RetryDelays::List(vec![SignedDuration::from_micros(1)]);
    let policy = RetryPolicy {
        delays: waits,
        max_age: SignedDuration::from_hours(1),
    };
    delivering.serve(TargetConfig {
        concurrency: 3,
        // Each of 500 deliveries fails once.
        breaker: BreakerPolicy {
            failures: 0,
            ..BreakerPolicy::default()
        },
        ..queue("t", Shared(counting.clone()), policy)
    });
    for event in 0..20 {
        delivering
            .accept(
                &event.to_string(),
                (0..25).map(|number| send("t", number)).collect(),
            )
            .await;
    }
    eventually(|| {
        delivering
            .store
            .deliveries(DeliveryStatus::Pending, None, 1)
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
    assert!(
        delivering
            .store
            .deliveries(DeliveryStatus::Dead, None, 1)
            .unwrap()
            .is_empty()
    );
    let calls = counting.calls.lock().unwrap().clone();
    assert_eq!(
        (calls.len(), calls.values().min(), calls.values().max()),
        (500, Some(&2), Some(&2))
    );
    assert_eq!(counting.most.load(Ordering::SeqCst), 3);
    delivering.stop().await;
}
