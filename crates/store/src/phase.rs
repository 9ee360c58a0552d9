//! The phase of the deliveries that a reaction leads to.

use reflexarc::{FiringReason, MatchFiring};
use reflexarc_delivery::Phase;

/// The phase of the deliveries of a reaction that this match made run, or that an event did.
pub fn phase_of(firing: Option<&MatchFiring>) -> Phase {
    match firing.map(|firing| firing.reason) {
        None => Phase::Event,
        Some(FiringReason::Resolved) => Phase::Resolved,
        Some(_) => Phase::Fired,
    }
}
