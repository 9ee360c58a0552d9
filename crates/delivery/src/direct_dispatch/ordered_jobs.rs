//! The deliveries of one queue: which may be sent now, which later, and which wait in the order of
//! their keys.
//!
//! The order is that of the service: each delivery of a key waits for the one before it, behind one
//! that fails for `order_wait` at most.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::job::Job;
use crate::delivery::{Delivery, DeliveryId};

/// The place of a job among all jobs of a queue.
pub(super) type Number = u64;

/// All jobs of a queue that have no outcome.
pub(super) struct OrderedJobs {
    next: Number,
    order_wait: Duration,
    jobs: BTreeMap<Number, Entry>,
    by_id: HashMap<DeliveryId, Number>,
    /// Those that may be sent now.
    ready: BTreeSet<Number>,
    /// Those that may be sent later, by time.
    later: BTreeSet<(Instant, Number)>,
    /// The jobs of each key, in order.
    keys: HashMap<String, VecDeque<Number>>,
}

struct Entry {
    job: Job,
    key: Option<String>,
    place: Place,
    /// When an attempt failed first.
    failed: Option<Instant>,
    /// When it may be sent, while it is in `later`.
    due: Option<Instant>,
}

/// The position of a job in the order of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing holds it up, or not any more.
    Free,
    /// The one before it has failed: it is sent at `due` at the latest.
    Held,
    /// The one before it has not been attempted.
    Blocked,
}

impl OrderedJobs {
    /// No jobs; `order_wait` is zero where there is no order.
    pub(super) fn new(order_wait: Duration) -> Self {
        Self {
            next: 0,
            order_wait,
            jobs: BTreeMap::new(),
            by_id: HashMap::new(),
            ready: BTreeSet::new(),
            later: BTreeSet::new(),
            keys: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds a job behind all others of its key. One whose id is under way already joins that one.
    pub(super) fn add(&mut self, mut job: Job) {
        if let Some(entry) = self
            .by_id
            .get(&job.delivery.id)
            .and_then(|number| self.jobs.get_mut(number))
        {
            entry.job.replies.append(&mut job.replies);
            return;
        }
        let number = self.next;
        self.next += 1;
        let key = (!self.order_wait.is_zero())
            .then(|| order_key(&job.delivery))
            .flatten();
        self.by_id.insert(job.delivery.id, number);
        let entry = Entry {
            job,
            key: key.clone(),
            place: Place::Blocked,
            failed: None,
            due: None,
        };
        self.jobs.insert(number, entry);
        match key {
            None => self.make_ready(number),
            Some(key) => {
                self.keys.entry(key.clone()).or_default().push_back(number);
                self.advance_key(&key);
            }
        }
    }

    /// Makes ready what is due by `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some((at, number)) = self.later.first().copied()
            && at <= now
        {
            self.later.pop_first();
            self.make_ready(number);
        }
    }

    /// When the next job is due that is not ready.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The jobs that may be sent now, in order.
    pub(super) fn ready(&self) -> Vec<Number> {
        self.ready.iter().copied().collect()
    }

    /// Takes the next job that is to be sent. Abandoned jobs are dropped.
    pub(super) fn take_ready(&mut self) -> Option<Number> {
        while let Some(number) = self.ready.pop_first() {
            if !self.jobs.get(&number)?.job.is_abandoned() {
                return Some(number);
            }
            drop(self.end(number));
        }
        None
    }

    /// A job that was taken.
    pub(super) fn get(&self, number: Number) -> Option<&Job> {
        Some(&self.jobs.get(&number)?.job)
    }

    /// The number of the job with this id.
    pub(super) fn number_of(&self, id: DeliveryId) -> Option<Number> {
        self.by_id.get(&id).copied()
    }

    /// Puts back a job that was taken, to be sent at this time as `delivery`. `failed` says that an
    /// attempt failed: those behind it need not wait for it for ever.
    pub(super) fn retry(
        &mut self,
        number: Number,
        delivery: Delivery,
        at: Instant,
        failed: Option<Instant>,
    ) {
        let Some(entry) = self.jobs.get_mut(&number) else {
            return;
        };
        entry.job.delivery = delivery;
        entry.due = Some(at);
        self.later.insert((at, number));
        let is_first = entry.failed.is_none() && failed.is_some();
        if is_first {
            entry.failed = failed;
            if let Some(key) = entry.key.clone() {
                self.advance_key(&key);
            }
        }
    }

    /// Removes a job that was taken or is ready: it has an outcome.
    pub(super) fn end(&mut self, number: Number) -> Option<Job> {
        let entry = self.jobs.remove(&number)?;
        self.ready.remove(&number);
        self.by_id.remove(&entry.job.delivery.id);
        if let Some(key) = entry.key
            && let Some(others) = self.keys.get_mut(&key)
        {
            others.retain(|other| *other != number);
            if others.is_empty() {
                self.keys.remove(&key);
            } else {
                self.advance_key(&key);
            }
        }
        Some(entry.job)
    }

    /// Lets go what the jobs before it do not hold up any more.
    fn advance_key(&mut self, key: &str) {
        let Some(numbers) = self.keys.get(key) else {
            return;
        };
        let mut before: Option<&Entry> = None;
        let mut found = None;
        for number in numbers {
            let Some(entry) = self.jobs.get(number) else {
                continue;
            };
            if entry.place != Place::Free {
                let failed = before.map(|before| before.failed);
                found = Some((*number, failed));
                break;
            }
            before = Some(entry);
        }
        match found {
            // Nothing is before it.
            Some((number, None)) => self.make_ready(number),
            Some((number, Some(Some(failed)))) => self.hold(number, failed + self.order_wait),
            // The one before it is under way for the first time; or all are free.
            Some((_, Some(None))) | None => {}
        }
    }

    fn make_ready(&mut self, number: Number) {
        let Some(entry) = self.jobs.get_mut(&number) else {
            return;
        };
        if let Some(due) = entry.due.take() {
            self.later.remove(&(due, number));
        }
        entry.place = Place::Free;
        self.ready.insert(number);
    }

    fn hold(&mut self, number: Number, until: Instant) {
        let Some(entry) = self.jobs.get_mut(&number) else {
            return;
        };
        if let Some(due) = entry.due.replace(until) {
            self.later.remove(&(due, number));
        }
        entry.place = Place::Held;
        self.later.insert((until, number));
    }
}

/// What the deliveries to a target have in common that arrive in order: the rule and the key of its
/// `by`, else the resource of the event; `None` where there is neither.
fn order_key(delivery: &Delivery) -> Option<String> {
    match &delivery.key {
        Some(key) => Some(format!("{}\n{key}", delivery.rule)),
        None if delivery.resource.is_empty() => None,
        None => Some(format!("\n{}", delivery.resource)),
    }
}
