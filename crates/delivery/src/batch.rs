//! What one call carries: a delivery, or a digest of several.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::call_schedule::CallSchedule;
use crate::delivery::{Delivery, DeliveryId};
use crate::digest::{DigestKind, firings_message};
use crate::flood_control::{Admission, FloodControl, count_firings};
use crate::outcome::{Receipt, SendError};
use crate::retry::{DeadLetterCause, Decision, RetryPolicy};
use crate::settle::{Settlement, settle};
use crate::target::Target;

/// The deliveries of one call, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// The id of the digest that they are sent as, which is its idempotency key.
    pub digest: Option<DeliveryId>,
}

/// The deliveries to one target that may be sent now.
#[derive(Debug, Default)]
pub struct WaitingDeliveries {
    /// Those that are sent alone, or merged when calls run out.
    single: VecDeque<Delivery>,
    /// Those that are sent together.
    groups: BTreeMap<Group, Vec<Delivery>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// The members of a digest that was attempted before: it is attempted again as it was, so that
    /// it has the same idempotency key.
    Digest(DeliveryId),
    /// Merged firings of this rule.
    Firings(String),
}

/// The largest number of firings in one digest.
// Settling 10,000 deliveries keeps events from the store for some tenths of a second.
const MAX_MERGED: usize = 10_000;

impl Batch {
    /// A call with one delivery.
    pub fn of_one(delivery: Delivery) -> Self {
        Self::separate(vec![delivery])
    }

    /// A call that carries deliveries which stay apart.
    pub fn separate(deliveries: Vec<Delivery>) -> Self {
        Self {
            deliveries,
            digest: None,
        }
    }

    /// A digest, or the delivery itself if it is the only one.
    fn digest(deliveries: Vec<Delivery>, kind: DigestKind) -> Self {
        let digest = (deliveries.len() > 1).then(|| DeliveryId::of_digest(&deliveries, kind));
        Self { deliveries, digest }
    }

    /// What the target gets: the deliveries, or one message in place of merged firings.
    pub fn messages(&self) -> Cow<'_, [Delivery]> {
        match (self.digest, self.kind()) {
            (Some(id), Some(DigestKind::Firings | DigestKind::FiringsWithoutKeys)) => {
                Cow::Owned(vec![firings_message(&self.deliveries, id)])
            }
            _ => Cow::Borrowed(&self.deliveries),
        }
    }

    /// How many firings were merged; zero where every message is sent as it is.
    pub fn merged_firings(&self) -> usize {
        match self.kind() {
            Some(DigestKind::Firings | DigestKind::FiringsWithoutKeys) => {
                count_firings(&self.deliveries)
            }
            Some(DigestKind::Messages) | None => 0,
        }
    }

    /// Settles each delivery after the call, in their order.
    pub fn settle(
        &self,
        policy: &RetryPolicy,
        outcome: &Result<Receipt, SendError>,
        now: Timestamp,
    ) -> Vec<Settlement> {
        // A number and the name of a rule: no single delivery is to blame for a refusal of these.
        let size = match self.kind() {
            Some(DigestKind::FiringsWithoutKeys) => 1,
            _ => self.deliveries.len(),
        };
        let settled = self.deliveries.iter();
        let settled = settled.map(|delivery| settle(policy, delivery, outcome, size, now));
        let mut settled: Vec<Settlement> = settled.collect();
        let next = self.next_digest(outcome);
        if next != self.digest {
            retry_otherwise(&mut settled, now);
        }
        if next.is_some() {
            retry_together(&mut settled);
        }
        settled
    }

    /// The digest whose members these deliveries are at their next attempt after this outcome.
    pub fn next_digest(&self, outcome: &Result<Receipt, SendError>) -> Option<DeliveryId> {
        let digest = self.digest?;
        let is_refused = matches!(outcome, Err(SendError::Refused { .. }));
        match self.kind()? {
            // Each is sent alone, to find the one that is not accepted.
            DigestKind::Messages if is_refused => None,
            DigestKind::Firings if is_refused => {
                let kind = DigestKind::FiringsWithoutKeys;
                Some(DeliveryId::of_digest(&self.deliveries, kind))
            }
            _ => Some(digest),
        }
    }

    fn kind(&self) -> Option<DigestKind> {
        self.digest.as_ref().and_then(DeliveryId::digest_kind)
    }
}

/// Lets deliveries without retries that are left have one more: their digest is refused, and what
/// comes next is another message.
fn retry_otherwise(settled: &mut [Settlement], now: Timestamp) {
    for one in settled {
        if let Decision::DeadLetter { cause, .. } = &one.decision
            && *cause == DeadLetterCause::Exhausted
        {
            one.decision = Decision::RetryAt(now);
        }
    }
}

/// Makes all retries due when the first of them is: a digest is attempted again as a whole.
fn retry_together(settled: &mut [Settlement]) {
    let retries = settled.iter().filter_map(|one| match one.decision {
        Decision::RetryAt(at) => Some(at),
        _ => None,
    });
    let Some(first) = retries.min() else { return };
    for one in settled {
        if let Decision::RetryAt(at) = &mut one.decision {
            *at = first;
        }
    }
}

impl WaitingDeliveries {
    /// Adds a delivery that is due. Returns it, with the time from which on it may be sent, if it
    /// is held.
    ///
    /// # Errors
    /// When it is a firing that is held.
    // Boxed: most are not held.
    pub fn add(
        &mut self,
        delivery: Delivery,
        control: &mut FloodControl,
        now: SignedDuration,
    ) -> Result<(), Box<(Delivery, SignedDuration)>> {
        if let Some(digest) = delivery.digest {
            let group = self.groups.entry(Group::Digest(digest));
            group.or_default().push(delivery);
            return Ok(());
        }
        match control.admit(&delivery, now) {
            Admission::Alone => self.single.push_back(delivery),
            Admission::Held(until) => return Err(Box::new((delivery, until))),
            Admission::Merged => {
                let group = Group::Firings(delivery.rule.clone());
                self.groups.entry(group).or_default().push(delivery);
            }
        }
        Ok(())
    }

    /// Takes the deliveries of the next call; a single one where it is a probe, as each attempt
    /// counts.
    pub fn next_batch(
        &mut self,
        schedule: &CallSchedule,
        target: &dyn Target,
        control: &mut FloodControl,
        is_probe: bool,
        now: SignedDuration,
    ) -> Option<Batch> {
        // The oldest first. Those of a group come before what follows them in the order of a key.
        let single = self.single.front().map(|one| one.created);
        let first = |group: &[Delivery]| group.iter().map(|one| one.created).min();
        let groups = self.groups.iter();
        let group = groups
            .filter_map(|(group, members)| Some((first(members)?, group)))
            .min()
            .filter(|(created, _)| single.is_none_or(|single| *created <= single))
            .map(|(_, group)| group.clone());
        let Some(group) = group else {
            return self.next_single(schedule, target, is_probe);
        };
        let mut members = self.groups.remove(&group)?;
        let most = match (is_probe, &group) {
            (true, _) => 1,
            (false, Group::Firings(_)) => MAX_MERGED,
            (false, Group::Digest(digest)) => match digest.digest_kind() {
                Some(DigestKind::Messages) | None => target.max_batch(&members),
                Some(_) => MAX_MERGED,
            },
        };
        if let Group::Firings(_) = group
            && count_firings(&members) == 1
        {
            // Nothing was merged: the messages of one firing are sent as they are.
            control.record_merged(&members, now);
            for member in members.into_iter().rev() {
                self.single.push_front(member);
            }
            return self.next_single(schedule, target, is_probe);
        }
        let rest = members.split_off(most.clamp(1, members.len()));
        let kind = match &group {
            Group::Firings(_) => DigestKind::Firings,
            Group::Digest(digest) => digest.digest_kind().unwrap_or(DigestKind::Messages),
        };
        if !rest.is_empty() {
            // They are merged with what comes, in the next call.
            self.groups.insert(group, rest);
        } else if let Group::Firings(_) = group {
            control.record_merged(&members, now);
        }
        Some(Batch::digest(members, kind))
    }

    fn next_single(
        &mut self,
        schedule: &CallSchedule,
        target: &dyn Target,
        is_probe: bool,
    ) -> Option<Batch> {
        if self.single.is_empty() {
            return None;
        }
        // One delivery while calls are left, a digest of as many as fit when they are running out.
        let count = if is_probe {
            1
        } else {
            schedule.batch_size(target, self.single.make_contiguous())
        };
        let deliveries = self.single.drain(..count).collect();
        Some(Batch::digest(deliveries, DigestKind::Messages))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.single.is_empty() && self.groups.is_empty()
    }

    /// How many wait that a digest may list one by one.
    pub fn singles(&self) -> usize {
        self.single.len()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Delivery> {
        let groups = self.groups.values().flatten();
        self.single.iter().chain(groups)
    }

    /// Removes those that do not meet a condition.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&Delivery) -> bool) {
        self.single.retain(&mut is_kept);
        self.groups.retain(|_, members| {
            members.retain(&mut is_kept);
            !members.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
