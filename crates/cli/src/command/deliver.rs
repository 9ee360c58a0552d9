//! `reflexarc run --deliver`: the service's store and targets, without HTTP.

use jiff::Timestamp;
use reflexarc::RuleSet;
use reflexarc_service::{Accepted, Feed, Incoming, Plan};
use std::ops::ControlFlow;

use crate::config_args::{ConfigArgs, open_for_delivery, store_failure, tokio_runtime};
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::Output;

/// Events that share a commit.
const BATCH: usize = 500;

#[derive(Default)]
struct Tally {
    accepted: usize,
    duplicates: usize,
    deliveries: usize,
    failures: usize,
    broken: usize,
}

/// Takes the events into the store, evaluates them at the present time, and delivers until everything has been tried.
pub(crate) fn run(
    rules: RuleSet,
    source: Source,
    name: &str,
    config: &ConfigArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let config = config.load()?;
    let store = open_for_delivery(&config)?;
    let retention = config.retention.clone();
    let plan = Plan::of(config, rules, store.clone());
    let runtime = tokio_runtime()?;
    let feed = {
        let _inside = runtime.enter();
        plan.feed().map_err(store_failure)?
    };
    let (mut tally, mut batch) = (Tally::default(), Vec::new());
    let taken = input::for_each(source, 1, Incoming::new, |answer| {
        match answer.outcome {
            Ok(incoming) => batch.push(incoming),
            Err(fault) => tally.broken(output, &format!("{name}:{fault}")),
        }
        if batch.len() == BATCH {
            tally.count(
                &feed
                    .take(std::mem::take(&mut batch))
                    .map_err(store_failure)?,
            );
        }
        Ok(ControlFlow::Continue(()))
    });
    // What was taken before a fault is delivered all the same.
    let rest = if taken.is_ok() {
        feed.take(batch).map_err(store_failure)
    } else {
        Ok(Vec::new())
    };
    let waiting = runtime
        .block_on(Feed::finish(feed))
        .map_err(store_failure)?;
    taken?;
    tally.count(&rest?);
    drop(store.prune(&retention, Timestamp::now()));
    runtime.shutdown_background();
    let Tally {
        accepted,
        duplicates,
        deliveries,
        failures,
        broken,
    } = tally;
    output.line(format_args!(
        "{accepted} accepted, {duplicates} duplicates, {broken} unreadable; {deliveries} deliveries, {waiting} left in the outbox"
    ))?;
    Ok(match (broken, failures) {
        (1.., _) => Exit::Unreadable,
        (_, 1..) => Exit::Failed,
        _ => Exit::Done,
    })
}

impl Tally {
    fn count(&mut self, taken: &[Accepted]) {
        for one in taken {
            *(if one.duplicate {
                &mut self.duplicates
            } else {
                &mut self.accepted
            }) += 1;
            self.deliveries += one.deliveries.len();
            self.failures += one.failures;
        }
    }

    fn broken(&mut self, output: &mut Output, complaint: &str) {
        self.broken += 1;
        output.error(complaint);
    }
}
