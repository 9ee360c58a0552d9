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
    /// `None` if it cannot be made now.
    pub(crate) start: Start,
}

/// Makes a fault.
pub(crate) type Start = Box<dyn FnOnce(&World) -> Option<End> + Send>;

/// Ends a fault; false if that must be tried again.
pub(crate) type End = Box<dyn FnMut(&World) -> bool + Send>;

/// The end of a fault that is over by itself.
#[expect(clippy::unnecessary_wraps, reason = "what starts a fault returns this")]
pub(crate) fn over() -> Option<End> {
    Some(Box::new(|_| true))
}

/// An end that is done once, and then is done.
#[expect(clippy::unnecessary_wraps, reason = "what starts a fault returns this")]
pub(crate) fn end_with(end: impl FnOnce(&World) + Send + 'static) -> Option<End> {
    let mut end = Some(end);
    Some(Box::new(move |world| {
        if let Some(end) = end.take() {
            end(world);
        }
        true
    }))
}

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
    /// The same, of this subject.
    LevelOf(&'static str, &'static str),
    /// A problem of this name whose count grows.
    Occurrence(&'static str),
}

impl Sign {
    pub(crate) fn level(problem: &'static str, within: u64) -> Option<Self> {
        Self::new(SignKind::Level(problem), within)
    }

    pub(crate) fn level_of(
        problem: &'static str,
        subject: &'static str,
        within: u64,
    ) -> Option<Self> {
        Self::new(SignKind::LevelOf(problem, subject), within)
    }

    pub(crate) fn occurrence(problem: &'static str, within: u64) -> Option<Self> {
        Self::new(SignKind::Occurrence(problem), within)
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "a fault without a sign has `None`"
    )]
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
        let (name, subject) = match self.is {
            SignKind::Level(name) | SignKind::Occurrence(name) => (name, None),
            SignKind::LevelOf(name, subject) => (name, Some(subject)),
        };
        let problems = status.get("problems").map_or(&[][..], Json::elements);
        let text = |problem: &Json, key: &str| {
            let text = problem.get(key).and_then(Json::as_str);
            text.unwrap_or_default().to_owned()
        };
        let meant = problems.iter().filter(|problem| {
            let is_subject = subject.is_none_or(|subject| text(problem, "subject") == subject);
            text(problem, "problem") == name && is_subject
        });
        let counts = meant.filter_map(|problem| problem.get("count")?.as_i64());
        u64::try_from(counts.sum::<i64>()).unwrap()
    }
}

/// A random fault, of a part that is in none of `active`.
pub(crate) fn draw(world: &World, random: &mut Random, active: &[Part]) -> Option<Fault> {
    let fault = crate::faults::draw(world, random)?;
    (!active.contains(&fault.part)).then_some(fault)
}
