//! `reflexarc run --deliver`: store and deliver as the service does, without HTTP.

use reflexarc::RuleSet;
use reflexarc_service::{Accepted, Config, Feed, Incoming, ServiceBuilder, ServiceClock};
use std::ops::ControlFlow;

use crate::config_args::{open_for_delivery, store_failure, tokio_runtime};
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::Output;
use crate::output::text::plural;

/// Events stored in one transaction.
const BATCH: usize = 500;

/// Counts over the whole run.
#[derive(Default)]
struct Totals {
    accepted: usize,
    duplicates: usize,
    deliveries: usize,
    failures: usize,
    unreadable: usize,
}

/// Stores the events, evaluates them at the current time, and returns when every delivery has been
/// attempted once.
pub(crate) fn run(
    rules: RuleSet,
    sources: Vec<Source>,
    config: Config,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let store = open_for_delivery(&config)?;
    let retention = config.retention.clone();
    // Before the first event: the newest one in the store says whether the clock has jumped.
    let clock = ServiceClock::new(store.newest_event().map_err(store_failure)?);
    let builder = ServiceBuilder::new(config, rules, store.clone());
    let runtime = tokio_runtime()?;
    // The feed starts tasks, for which it must be created inside the runtime.
    let feed = {
        let _inside = runtime.enter();
        builder.feed().map_err(store_failure)?
    };
    let (mut totals, mut batch) = (Totals::default(), Vec::new());
    // One thread reads: parsing is cheap beside the transactions, and the feed evaluates in
    // parallel.
    let read = sources.into_iter().try_for_each(|source| {
        let name = source.name.clone();
        input::for_each(source, Incoming::new, |processed| {
            match processed.result {
                Ok(incoming) => batch.push(incoming),
                Err(error) => totals.unreadable(output, &format!("{name}:{error}")),
            }
            if batch.len() == BATCH {
                let accepted = feed.accept(std::mem::take(&mut batch));
                totals.count(&accepted.map_err(store_failure)?);
            }
            Ok(ControlFlow::Continue(()))
        })
    });
    // Events stored before a failure are delivered all the same: they are in the store already.
    let rest = if read.is_ok() {
        feed.accept(batch).map_err(store_failure)
    } else {
        Ok(Vec::new())
    };
    let pending = runtime
        .block_on(Feed::finish(feed))
        .map_err(store_failure)?;
    // Only now: a read failure must not leave deliveries without their first attempt.
    read?;
    totals.count(&rest?);
    let waiting: u64 = store
        .match_counts()
        .map_err(store_failure)?
        .iter()
        .map(|counts| counts.pending)
        .sum();
    if waiting > 0 {
        output.status(&format!(
            "{} in the store: `reflexarc serve` fires their deadlines",
            plural(waiting, "pending key")
        ));
    }
    // A failed removal of old events loses nothing; the next run or the service removes them.
    drop(store.prune(&retention, clock.aging_now()));
    runtime.shutdown_background();
    let Totals {
        accepted,
        duplicates,
        deliveries,
        failures,
        unreadable,
    } = totals;
    output.line(format_args!(
        "{accepted} accepted, {duplicates} duplicates, {unreadable} unreadable; \
         {deliveries} deliveries, {pending} left in the outbox"
    ))?;
    Ok(match (unreadable, failures) {
        (1.., _) => Exit::Unreadable,
        (_, 1..) => Exit::Failed,
        _ => Exit::Done,
    })
}

impl Totals {
    fn count(&mut self, accepted: &[Accepted]) {
        for event in accepted {
            *(if event.duplicate {
                &mut self.duplicates
            } else {
                &mut self.accepted
            }) += 1;
            self.deliveries += event.deliveries.len();
            self.failures += event.failures;
        }
    }

    fn unreadable(&mut self, output: &mut Output, message: &str) {
        self.unreadable += 1;
        output.error(message);
    }
}
