//! Silences, and deliveries that are withheld because of them.

use jiff::Timestamp;
use reflexarc_delivery::Delivery;
use reflexarc_event::NativeEvent;

/// A silence that is to be added. The store keeps its texts as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// A filter over deliveries, which the program understands that set the [`Withholding`].
    pub pattern: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends, if no operator ends it before.
    pub until: Timestamp,
    /// Who is responsible for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Whether the deliveries are ended, and never sent, instead of withheld.
    pub drops: bool,
}

/// A filter over deliveries with a time span: what it selects is not sent while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Silence {
    /// Its number, counted from 1; no later silence of the store has the same.
    pub id: i64,
    /// What it was made of.
    pub settings: NewSilence,
    /// When it was added.
    pub created: Timestamp,
    /// How it was ended, if it was ended before `until`.
    pub ended: Option<SilenceEnd>,
    /// How often it has withheld a delivery.
    pub withheld: u64,
    /// How many deliveries it has ended.
    pub dropped: u64,
    /// How many deliveries it withholds now.
    pub open: u64,
}

/// The end of a silence by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceEnd {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Whether what it withheld was dropped, and not released.
    pub drops: bool,
}

/// What withholds a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WithheldBy {
    /// The silence with this number.
    Silence(i64),
    /// The open incident with this number, whose rule inhibits the delivery's.
    Incident(i64),
}

/// One time in which a delivery was withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithheldPeriod {
    /// What withheld it.
    pub by: WithheldBy,
    /// Since when.
    pub since: Timestamp,
    /// When it would end at the latest.
    pub until: Timestamp,
    /// When it ended, if it has.
    pub ended: Option<Timestamp>,
}

/// Decides what is withheld, as the program that has the rules does it.
///
/// A store calls it in the transaction of a claim, for each delivery that would be claimed, and
/// only while there is something that may withhold deliveries. It is never called for calls.
pub trait Withholding: Send + Sync {
    /// What becomes of a delivery. `active` is never empty.
    fn decide(
        &self,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
        now: Timestamp,
    ) -> WithholdingDecision;

    /// The rules whose open incidents may withhold deliveries of other rules.
    fn inhibiting_rules(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The largest number of open incidents that a claim compares deliveries with. Those beyond inhibit
/// nothing.
pub const MAX_INHIBITING_INCIDENTS: usize = 1_000;

/// What may withhold deliveries at the time of a claim.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ActiveWithholding {
    /// The silences that have begun and not ended, by number.
    pub silences: Vec<ActiveSilence>,
    /// The open incidents of [`Withholding::inhibiting_rules`], by rule and number: the first
    /// [`MAX_INHIBITING_INCIDENTS`].
    pub incidents: Vec<InhibitingIncident>,
}

/// An open incident of a rule that inhibits others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InhibitingIncident {
    /// Its number.
    pub id: i64,
    /// Its rule.
    pub rule: String,
    /// Archive position of the event that its first reaction saw.
    pub event: Option<u64>,
}

/// What a decision needs of a silence. The pattern of a number never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveSilence {
    /// Its number.
    pub id: i64,
    /// As [`NewSilence::pattern`].
    pub pattern: String,
    /// When it ends.
    pub until: Timestamp,
    /// Whether it ends deliveries instead of withholding them.
    pub drops: bool,
}

/// A delivery that would be claimed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its event in native form; the opening event for what fires in time. `None` if the archive
    /// cannot give it.
    pub event: Option<&'a NativeEvent>,
    /// Reads the event at an archive position.
    pub read_event: &'a dyn Fn(u64) -> Option<NativeEvent>,
}

/// What becomes of a delivery that would be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithholdingDecision {
    /// It is claimed.
    Deliver,
    /// It leaves the queue, and comes back when what withholds it ends, or at `until`.
    Withhold {
        /// What withholds it.
        by: WithheldBy,
        /// When it is released at the latest.
        until: Timestamp,
    },
    /// It is ended, and never sent.
    Drop {
        /// What ends it.
        by: WithheldBy,
    },
}

/// What one step of releasing has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleaseStep {
    /// How many deliveries are pending again.
    pub released: u64,
    /// How many were ended as their silence was ended so.
    pub dropped: u64,
    /// The targets of the released ones, by name.
    pub targets: Vec<String>,
    /// Whether there is more to do.
    pub is_more: bool,
}

impl<'a> Candidate<'a> {
    /// A delivery with its event.
    pub fn new(
        delivery: &'a Delivery,
        event: Option<&'a NativeEvent>,
        read_event: &'a dyn Fn(u64) -> Option<NativeEvent>,
    ) -> Self {
        Self {
            delivery,
            event,
            read_event,
        }
    }
}

impl ActiveWithholding {
    /// Whether nothing can withhold a delivery.
    pub fn is_empty(&self) -> bool {
        self.silences.is_empty() && self.incidents.is_empty()
    }
}

impl Silence {
    /// Whether it withholds deliveries at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.settings.from <= now && now < self.settings.until
    }

    /// Whether it withholds deliveries at no later time.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ended.is_some() || self.settings.until <= now
    }
}
