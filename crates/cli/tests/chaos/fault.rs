//! What a fault is, and the signs that it must have in `/status`.

use std::time::Duration;

use reflexarc_event::Json;

use crate::random::Random;
use crate::world::World;

/// Something that goes wrong for a while.
pub(crate) struct Fault {
    pub(crate) name: String,
    /// Faults of one part exclude each other; those of different parts come together.
    pub(crate) part: Part,
    pub(crate) lasts: Duration,
    pub(crate) expected_sign: Option<Sign>,
    pub(crate) start: Box<dyn FnOnce(&World) -> End + Send>,
}

/// Ends a fault.
pub(crate) type End = Box<dyn FnOnce(&World) + Send>;

/// What a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Process,
    Store,
    Clock,
    Receiver(&'static str),
    Clients,
    Tokens,
    Files,
    Operator(&'static str),
    Backup,
    Reactions,
}

/// How a fault must be seen in `/status` while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sign {
    pub(crate) is: SignKind,
    /// It must be there after so much time in which the service answered.
    pub(crate) within: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignKind {
    /// A problem of this name that is over when the fault is.
    Level(&'static str),
    /// The state of this target is not `closed`.
    Target(&'static str),
    /// A problem of this name whose count grows.
    Occurrence(&'static str),
}

impl Sign {
    pub(crate) fn level(problem: &'static str, within: u64) -> Option<Self> {
        Self::new(SignKind::Level(problem), within)
    }

    pub(crate) fn target(name: &'static str, within: u64) -> Option<Self> {
        Self::new(SignKind::Target(name), within)
    }

    pub(crate) fn occurrence(problem: &'static str, within: u64) -> Option<Self> {
        Self::new(SignKind::Occurrence(problem), within)
    }

    fn new(is: SignKind, seconds: u64) -> Option<Self> {
        Some(Self {
            is,
            within: Duration::from_secs(seconds),
        })
    }

    /// Whether the sign goes away with the fault.
    pub(crate) fn ends(&self) -> bool {
        !matches!(self.is, SignKind::Occurrence(_))
    }

    /// Whether the sign is in this answer of `/status`. For an occurrence, `before` is the count
    /// at the start of the fault.
    pub(crate) fn is_in(&self, status: &Json, before: u64) -> bool {
        self.count_in(status) > if self.ends() { 0 } else { before }
    }

    /// The count of the problem over all subjects that are meant.
    pub(crate) fn count_in(&self, status: &Json) -> u64 {
        let entries = |list: &str| status.get(list).map_or(&[][..], Json::elements);
        let text = |entry: &Json, key: &str| {
            let text = entry.get(key).and_then(Json::as_str);
            text.unwrap_or_default().to_owned()
        };
        match self.is {
            SignKind::Level(name) | SignKind::Occurrence(name) => {
                let problems = entries("problems").iter();
                let meant = problems.filter(|problem| text(problem, "problem") == name);
                let counts = meant.filter_map(|problem| problem.get("count")?.as_i64());
                u64::try_from(counts.sum::<i64>()).unwrap()
            }
            SignKind::Target(name) => {
                let mut targets = entries("target_states").iter();
                let is_stopped = targets.any(|target| {
                    text(target, "target") == name && text(target, "state") != "closed"
                });
                u64::from(is_stopped)
            }
        }
    }
}

/// A random fault, of a part that is in none of `active`.
pub(crate) fn draw(world: &World, random: &mut Random, active: &[Part]) -> Option<Fault> {
    let fault = crate::faults::draw(world, random)?;
    (!active.contains(&fault.part)).then_some(fault)
}
