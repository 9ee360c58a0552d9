//! Scenarios: a world and a script of steps on a virtual clock, read from TOML.
//!
//! A [`Scenario`] is parsed from a file, [`Simulation`] runs it and returns one [`TimelineEvent`]
//! after the other. Time is only a number here: a scenario of a day runs in milliseconds.

mod build;
mod read;
mod simulation;
mod step;
mod timeline;
mod values;
mod world;

pub use simulation::Simulation;
pub use timeline::{RuleRequest, TimelineEvent};
pub use world::{DEFAULT_WORLD, NamedAccount, World};

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Diagnostic, FileDiagnostics};
use reflexarc_event::{Event, Operation};

use crate::FaultMode;
use crate::resources::InstanceStatus;
use crate::rpc::Parameters;

/// A world and what happens in it.
///
/// ```
/// use reflexarc_eni::scenario::Scenario;
///
/// let scenario: Scenario = r#"
///     description = "an attachment hangs"
///     [[step]]
///     at = "10s"
///     fault = { operation = "AttachNetworkInterface", outcome = "hang" }
/// "#
/// .parse()?;
/// assert_eq!(scenario.steps.len(), 1);
///
/// let error = "[[step]]\nat = \"soon\"".parse::<Scenario>().unwrap_err();
/// assert!(error.diagnostics().iter().all(|diagnostic| !diagnostic.message.is_empty()));
/// assert!(error.to_string().contains("--> scenario:"));
/// # Ok::<(), reflexarc_eni::scenario::InvalidScenario>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows, in a sentence; may be empty.
    pub description: String,
    /// The accounts and resources before the first step.
    pub world: World,
    /// When it ends; when absent, it ends with the last step and the operations that are then in
    /// progress.
    pub until: Option<Timestamp>,
    /// The script, in order of time.
    pub steps: Vec<Step>,
}

/// One step of the script.
#[derive(Debug, Clone)]
pub struct Step {
    /// When it happens.
    pub at: Timestamp,
    /// What it does.
    pub action: StepAction,
}

/// What a step does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StepAction {
    /// An account calls an action of the API.
    Call {
        /// The account's id.
        account: String,
        /// The action, such as `CreateNetworkInterface`.
        action: String,
        /// Its parameters; a value `$name` is replaced by the id of the interface with that name.
        parameters: Parameters,
        /// The name that the created interface gets.
        name: Option<String>,
        /// The expected error code; when absent, the request is expected to be accepted.
        expect: Option<String>,
    },
    /// A fault is injected into the next requests.
    Fault {
        /// The operation.
        operation: Operation,
        /// The name of the interface; every interface when absent.
        interface: Option<String>,
        /// How the requests go wrong.
        mode: FaultMode,
        /// The number of requests that go wrong.
        times: usize,
    },
    /// A delivery target fails.
    TargetFault(TargetFault),
    /// An instance changes.
    Instance {
        /// The instance's id.
        id: String,
        /// Its new status; it is released when absent.
        status: Option<InstanceStatus>,
    },
    /// Another account is allowed to attach an interface.
    Grant {
        /// The interface's name.
        interface: String,
        /// The account's id.
        account: String,
    },
    /// An event is published to an account's bus.
    Publish {
        /// The account's id.
        account: String,
        /// The event.
        event: Event,
    },
}

/// A delivery target that fails for some time. The cloud has no targets: the caller that simulates
/// deliveries applies this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The target's name.
    pub target: String,
    /// How it fails.
    pub mode: TargetFaultMode,
    /// For how long; until the end of the scenario when absent.
    pub duration: Option<SignedDuration>,
}

/// How a target fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetFaultMode {
    /// There is no response.
    Down,
    /// It responds that it is called too often.
    Throttle,
    /// It rejects every delivery for good.
    Refuse,
}

impl TargetFaultMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Down, Self::Throttle, Self::Refuse];

    /// The name that scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Throttle => "throttle",
            Self::Refuse => "refuse",
        }
    }
}

/// A text that is not a scenario, with everything that is wrong in it. Displaying it draws the
/// diagnostics without colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidScenario {
    file: FileDiagnostics,
}

impl Scenario {
    /// The maximum size of a scenario file, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;
    /// The maximum number of steps.
    pub const MAX_STEPS: usize = 10_000;
    /// The maximum number of timeline events of one run.
    pub const MAX_TIMELINE_EVENTS: usize = 100_000;
    /// The maximum virtual time from the start to the end.
    pub const MAX_SPAN: SignedDuration = SignedDuration::from_hours(24 * 31);
}

/// Reads the text of a scenario file.
impl FromStr for Scenario {
    type Err = InvalidScenario;

    fn from_str(text: &str) -> Result<Self, InvalidScenario> {
        read::scenario(text).map_err(|diagnostics| InvalidScenario {
            file: FileDiagnostics {
                name: "scenario".to_owned(),
                text: text.to_owned(),
                diagnostics,
            },
        })
    }
}

impl InvalidScenario {
    /// What is wrong, each with its location in the text.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.file.diagnostics
    }

    /// The diagnostics as those of the file with this name.
    pub fn into_file(self, name: impl Into<String>) -> FileDiagnostics {
        FileDiagnostics {
            name: name.into(),
            ..self.file
        }
    }
}

impl fmt::Display for InvalidScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl Error for InvalidScenario {}
