//! Which firings of a rule people get as messages of their own, and which are held and merged.
//!
//! Like the call schedule it is pure: the service's dispatch runs it on the machine's clock, a
//! simulation on the scenario's.

use std::collections::{BTreeMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::delivery::{Delivery, EventRef};

/// How many firings of one rule people get as messages of their own within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiringLimit {
    /// The number of firings, at least 1.
    pub firings: usize,
    /// The length of the period.
    pub per: SignedDuration,
}

/// What becomes of a firing that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is sent as a message of its own.
    Alone,
    /// It is looked at again at this time.
    Held(SignedDuration),
    /// It goes into one message with all others of its rule that are due.
    Merged,
}

/// The recent firings of each rule to one target. Times are counted from a zero that the caller
/// chooses and never changes.
///
/// With a limit of 20 firings in 60 s, a rule that fires 500 times at 0 s, ten times at 90 s and
/// once at 130 s is sent as follows:
///
/// | time | messages |
/// |---|---|
/// | 0 s | 20 firings, a message each |
/// | 60 s | one message: 480 more firings |
/// | 120 s | one message: 10 more firings |
/// | 130 s | 1 firing |
///
/// What is merged counts as if it was sent one by one: while a rule goes on firing, people get one
/// message a minute of it.
///
/// ```
/// use jiff::{SignedDuration, Timestamp};
/// use reflexarc_delivery::{Admission, Delivery, FiringLimit, FloodControl, Phase};
/// use reflexarc_event::{EventIdentity, Json};
/// use reflexarc_reaction::Action;
///
/// let seconds = SignedDuration::from_secs;
/// let action = Action::send("t", Json::Null);
/// let actions = [("stuck", &action), ("stuck", &action)];
/// let event = EventIdentity::default();
/// let mut firings = Delivery::for_actions(&event, actions, Timestamp::UNIX_EPOCH);
/// for (key, firing) in firings.iter_mut().enumerate() {
///     (firing.phase, firing.key) = (Phase::Fired, Some(key.to_string()));
/// }
/// let limit = FiringLimit { firings: 1, per: seconds(60) };
/// let mut control = FloodControl::new(Some(limit));
/// assert_eq!(control.admit(&firings[0], seconds(0)), Admission::Alone);
/// assert_eq!(control.admit(&firings[1], seconds(1)), Admission::Held(seconds(60)));
/// assert_eq!(control.admit(&firings[1], seconds(60)), Admission::Merged);
/// ```
#[derive(Debug, Clone, Default)]
pub struct FloodControl {
    limit: Option<FiringLimit>,
    /// Rules that have fired within the period.
    rules: BTreeMap<String, RecentFirings>,
}

/// The firings of one rule.
#[derive(Debug, Clone, Default)]
struct RecentFirings {
    /// Those that were admitted within the period, oldest first.
    admitted: VecDeque<(SignedDuration, Admitted)>,
    /// From when on those that are held may be merged; `None` where none are held.
    held_until: Option<SignedDuration>,
}

#[derive(Debug, Clone)]
enum Admitted {
    One(FiringIdentity),
    /// So many together.
    Merged(usize),
}

/// Which firing of a rule a delivery is of. A reaction may send several messages, and each may be
/// attempted several times: together they are one firing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FiringIdentity {
    /// The archive position, with which ids begin.
    position: [u8; 6],
    created: Timestamp,
    key: Option<String>,
    event: EventRef,
}

impl FiringLimit {
    /// 20 firings a minute: as many as people read one by one.
    pub const DEFAULT: Self = Self {
        firings: 20,
        per: SignedDuration::from_secs(60),
    };
}

impl FloodControl {
    /// A control that has seen no firings; without a limit it holds none.
    pub fn new(limit: Option<FiringLimit>) -> Self {
        Self {
            limit,
            rules: BTreeMap::new(),
        }
    }

    /// Decides about a delivery that is due. [`Self::record_merged`] records those that are merged,
    /// once they are sent.
    ///
    /// Deliveries that are no firings, and those of which a part was delivered, are not held.
    pub fn admit(&mut self, delivery: &Delivery, now: SignedDuration) -> Admission {
        let Some(limit) = self.limit else {
            return Admission::Alone;
        };
        if !delivery.phase.is_of_match() || !delivery.delivered_parts.is_empty() {
            return Admission::Alone;
        }
        // Not `entry`: the rule is known except for its first firing.
        if !self.rules.contains_key(&delivery.rule) {
            self.rules
                .insert(delivery.rule.clone(), RecentFirings::default());
        }
        let Some(recent) = self.rules.get_mut(&delivery.rule) else {
            return Admission::Alone;
        };
        recent.forget(limit, now);
        let firing = FiringIdentity::of(delivery);
        if recent.contains(&firing) {
            return Admission::Alone;
        }
        // Held until then: also what would fit, so that a rule's firings stay in their order.
        if let Some(until) = recent.held_until
            && now < until
        {
            return Admission::Held(until);
        }
        let free_at = recent.free_at(limit, now);
        if free_at > now {
            recent.held_until = Some(free_at);
            return Admission::Held(free_at);
        }
        if recent.held_until.is_some() {
            return Admission::Merged;
        }
        recent.admitted.push_back((now, Admitted::One(firing)));
        Admission::Alone
    }

    /// Records that these firings of one rule, which are all that were to be merged, are sent in
    /// one message.
    pub fn record_merged(&mut self, firings: &[Delivery], now: SignedDuration) {
        let Some(recent) = firings
            .first()
            .and_then(|one| self.rules.get_mut(&one.rule))
        else {
            return;
        };
        let admitted = match (count_firings(firings), firings) {
            // Nothing else was held.
            (1, [one, ..]) => Admitted::One(FiringIdentity::of(one)),
            (count, _) => Admitted::Merged(count),
        };
        recent.admitted.push_back((now, admitted));
        recent.held_until = None;
    }

    /// The rules that flood the target: firings of theirs are held, or were merged within the
    /// period.
    pub fn flooding(&mut self, now: SignedDuration) -> Vec<String> {
        let Some(limit) = self.limit else {
            return Vec::new();
        };
        self.rules.retain(|_, recent| {
            recent.forget(limit, now);
            recent.held_until.is_some() || !recent.admitted.is_empty()
        });
        let flooding = self.rules.iter().filter(|(_, recent)| recent.is_flood());
        flooding.map(|(rule, _)| rule.clone()).collect()
    }
}

impl RecentFirings {
    fn forget(&mut self, limit: FiringLimit, now: SignedDuration) {
        let is_old = |(at, _): &(SignedDuration, _)| now - *at >= limit.per;
        while self.admitted.front().is_some_and(is_old) {
            self.admitted.pop_front();
        }
        // What was held came no more: it was cancelled, or its queue stood still for so long that
        // all of it counts anew.
        if self
            .held_until
            .is_some_and(|until| now - until >= limit.per)
        {
            self.held_until = None;
        }
    }

    fn contains(&self, firing: &FiringIdentity) -> bool {
        let mut admitted = self.admitted.iter();
        admitted.any(|(_, admitted)| matches!(admitted, Admitted::One(one) if one == firing))
    }

    /// When there are fewer firings within the period than the limit: `now`, or later.
    fn free_at(&self, limit: FiringLimit, now: SignedDuration) -> SignedDuration {
        let mut count: usize = self.admitted.iter().map(|(_, one)| one.count()).sum();
        let mut free_at = now;
        // Example: 20 firings at 0 s, 1 s, … 19 s are fewer than 20 at 60 s, when the first of them
        // is a minute old.
        for (at, admitted) in &self.admitted {
            if count < limit.firings {
                break;
            }
            count -= admitted.count();
            free_at = *at + limit.per;
        }
        free_at
    }

    fn is_flood(&self) -> bool {
        let mut admitted = self.admitted.iter();
        let is_merged = admitted.any(|(_, one)| matches!(one, Admitted::Merged(_)));
        self.held_until.is_some() || is_merged
    }
}

impl Admitted {
    fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Merged(count) => *count,
        }
    }
}

impl FiringIdentity {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let position = delivery.id.as_bytes().first_chunk();
        Self {
            position: position.copied().unwrap_or_default(),
            created: delivery.created,
            key: delivery.key.clone(),
            event: delivery.event.clone(),
        }
    }
}

/// How many firings these deliveries are of.
pub(crate) fn count_firings(deliveries: &[Delivery]) -> usize {
    let firings: HashSet<_> = deliveries.iter().map(FiringIdentity::of).collect();
    firings.len()
}

#[cfg(test)]
mod tests;
