//! Faults on purpose: what a rehearsal lets go wrong.

use reflexarc_event::Operation;

/// Lets the next accepted requests of one operation go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation.
    pub operation: Operation,
    /// Only for this interface; for any when absent. A creation has no interface to name.
    pub interface: Option<String>,
    /// How it goes wrong.
    pub outcome: FaultOutcome,
    /// How many requests it strikes.
    pub times: usize,
}

/// How an accepted request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultOutcome {
    /// It completes with `failed`: a creation in `CreateFailed`, an attachment back in Available, a detachment still in
    /// Detaching, a deletion still in Deleting.
    Fail,
    /// It never completes: the interface stays in the status on the way, and nobody is told.
    Hang,
}

impl FaultOutcome {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Fail, Self::Hang];

    /// The word for it in a scenario.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Hang => "hang",
        }
    }
}

/// Takes the first fault that strikes, and counts it down.
pub(crate) fn strike(faults: &mut Vec<Fault>, operation: Operation, interface: &str) -> Option<FaultOutcome> {
    let at = faults.iter().position(|fault| {
        fault.operation == operation && fault.interface.as_deref().is_none_or(|id| id == interface)
    })?;
    let outcome = faults[at].outcome;
    faults[at].times = faults[at].times.saturating_sub(1);
    if faults[at].times == 0 {
        faults.remove(at);
    }
    Some(outcome)
}
