//! How a command ends.

use std::io;

use reflexarc::FileDiagnostics;

/// The exit codes of every command; a code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a question, the answer is yes.
    Done = 0,
    /// The answer is no: nothing matched, a test failed, a file is not formatted.
    Negative = 1,
    /// The command was called wrongly.
    Usage = 2,
    /// The rules or the configuration are invalid.
    Invalid = 3,
    /// Events could not be read, all or some.
    Unreadable = 4,
    /// Something failed at run time, here or at a remote place.
    Failed = 5,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Arguments that do not fit each other or the world.
    #[error("{0}")]
    Usage(String),
    /// Rules that do not compile.
    #[error("the rules are invalid")]
    Rules(Vec<FileDiagnostics>),
    /// Something else that a user wrote is invalid: a filter, a configuration.
    #[error("{0}")]
    Invalid(String),
    /// Events that cannot be read.
    #[error("{0}")]
    Input(String),
    /// Anything that went wrong on the way.
    #[error("{0}")]
    Runtime(String),
    /// Whoever reads our output or gives us input is gone, or the disk is full.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit as Self
    }
}

impl Failure {
    /// The code it ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Rules(_) | Failure::Invalid(_) => Exit::Invalid,
            Failure::Input(_) => Exit::Unreadable,
            // `reflexarc … | head` is no failure.
            Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Failure::Runtime(_) | Failure::Io(_) => Exit::Failed,
        }
    }
}
