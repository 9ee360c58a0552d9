//! Scenarios: a small world and a script of operations with a virtual clock, read from TOML.

mod build;
mod read;
mod rehearsal;
mod tables;
mod world;

pub use rehearsal::{Moment, Reaction, Rehearsal};
pub use world::{DEFAULT_WORLD, NamedAccount, World};

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Diagnostic, Span};
use reflexarc_event::Event;

use crate::rpc::Parameters;
use crate::{FaultOutcome, InstanceStatus};
use reflexarc_event::Operation;

/// A world and what happens in it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub description: String,
    /// Where it happens.
    pub world: World,
    /// How often a clock event goes to every bus; never when absent.
    pub tick: Option<SignedDuration>,
    /// How long it goes on after its last step; until nothing is under way when absent.
    pub until: Option<Timestamp>,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
}

/// One step of the script.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Deed,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Deed {
    /// An account calls an action of the API.
    Call {
        /// The account's id.
        account: String,
        /// The action.
        action: String,
        /// Its parameters; a value `$name` stands for the interface of that name.
        parameters: Parameters,
        /// What the created interface is called from now on.
        name: Option<String>,
        /// The code that must come back; none for an accepted request.
        expect: Option<String>,
    },
    /// Requests go wrong from now on.
    Fault {
        /// Which operation.
        operation: Operation,
        /// Only for the interface of this name.
        interface: Option<String>,
        /// How.
        outcome: FaultOutcome,
        /// How often.
        times: usize,
    },
    /// A target of the rules' actions takes nothing from now on.
    TargetFault(TargetFault),
    /// An instance changes.
    Instance {
        /// Its id.
        id: String,
        /// Its new status; it is released when absent.
        status: Option<InstanceStatus>,
    },
    /// Another account may attach the interface of this name.
    Grant {
        /// The interface's name.
        interface: String,
        /// The account's id.
        account: String,
    },
    /// Any event is published to an account's bus.
    Publish {
        /// The account's id.
        account: String,
        /// The event.
        event: Event,
    },
}

/// A target of the rules' actions that takes nothing for a while. The cloud knows no targets: whoever rehearses
/// deliveries obeys this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The target's name.
    pub target: String,
    /// How it fails.
    pub outcome: TargetOutcome,
    /// For how long; to the end when absent.
    pub lasts: Option<SignedDuration>,
}

/// How a target fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetOutcome {
    /// Nobody answers.
    Down,
    /// It says that it is called too often.
    Throttle,
    /// It says that it will never take this.
    Refuse,
}

impl TargetOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Down, Self::Throttle, Self::Refuse];

    /// The word for it in a scenario.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Throttle => "throttle",
            Self::Refuse => "refuse",
        }
    }
}

impl Scenario {
    /// The longest scenario file, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;
    /// The most steps.
    pub const MAX_STEPS: usize = 10_000;
    /// The most moments that one run tells.
    pub const MAX_MOMENTS: usize = 100_000;
    /// The longest stretch of virtual time.
    pub const MAX_SPAN: SignedDuration = SignedDuration::from_hours(24 * 31);
    /// The shortest time between two clock events.
    pub const MIN_TICK: SignedDuration = SignedDuration::from_secs(1);

    /// Reads a scenario file.
    ///
    /// # Errors
    /// With everything that is wrong, each at its place in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::scenario(text)
    }
}

/// A finding at a place in the file.
fn wrong(code: reflexarc_diagnostic::Code, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, span, message)
}
