//! Checking the store for damage while the service runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::nodes::Nodes;
use crate::shutdown::stopped;
use crate::store::{Store, StoreCheck, StoreError};
use crate::store_health::StoreHealth;
use crate::telemetry::{Metrics, ProblemKind};

/// How long the check reads at a time.
const TURN: Duration = Duration::from_millis(20);
/// How many times as long it pauses: the disk and a processor are free for events in between. A
/// disk that reads 500 MB/s is checked at 50 MB/s, 10 GB in some minutes.
const PAUSES: u32 = 9;
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// Reads the whole store once, until `stop` becomes true. What is damaged is a problem until the
/// next start, because nothing repairs it in between.
pub(crate) async fn check_store(
    store: Arc<dyn Store>,
    health: Arc<StoreHealth>,
    metrics: Arc<Metrics>,
    nodes: Nodes,
    mut stop: watch::Receiver<bool>,
) {
    let mut check = StoreCheck::default();
    while !check.is_done {
        if !nodes.is_first() {
            // One node is enough.
            let stopped = tokio::time::timeout(RETRY, stopped(&mut stop)).await;
            if stopped.is_ok() {
                return;
            }
            continue;
        }
        let (store, before) = (store.clone(), check.clone());
        let turn = tokio::task::spawn_blocking(move || take_turn(&*store, before));
        let pause = match turn.await {
            Ok((after, result, took)) => {
                report(&check, &after, &metrics);
                check = after;
                health.set_check(&check);
                match result {
                    Ok(()) => took.saturating_mul(PAUSES),
                    Err(error) => {
                        tracing::warn!(%error, "cannot check the store; trying again");
                        RETRY
                    }
                }
            }
            // A panic, which is in the log.
            Err(_) => return,
        };
        if tokio::time::timeout(pause, stopped(&mut stop))
            .await
            .is_ok()
        {
            return;
        }
    }
    let (rows, bytes, damaged) = (check.rows, check.bytes, check.damaged);
    tracing::info!(rows, bytes, damaged, "checked the store");
}

/// Reads for one turn. Returns also how long it took.
fn take_turn(
    store: &dyn Store,
    mut check: StoreCheck,
) -> (StoreCheck, Result<(), StoreError>, Duration) {
    let begun = Instant::now();
    let mut result = Ok(());
    while result.is_ok() && !check.is_done && begun.elapsed() < TURN {
        result = store.check(&mut check);
    }
    (check, result, begun.elapsed())
}

/// Reports what was found in a turn.
fn report(before: &StoreCheck, after: &StoreCheck, metrics: &Metrics) {
    metrics.store_checked.set(gauge(after.bytes));
    let kind = ProblemKind::StorePartsDamaged;
    for damage in after.damage.iter().skip(before.damage.len()) {
        if metrics.problems.holds(kind, &damage.part, &damage.detail) {
            tracing::warn!(
                part = damage.part,
                detail = damage.detail,
                "a part of the store cannot be read"
            );
        }
    }
    let listed = (after.damage.len() - before.damage.len()) as u64;
    let unlisted = (after.damaged - before.damaged).saturating_sub(listed);
    if unlisted > 0 {
        let detail = format!("{} damaged places in all", after.damaged);
        metrics.problems.holds(kind, "(more)", &detail);
    }
}

fn gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
