//! Exit codes, and the failures that lead to them.

use std::io;

use reflexarc_diagnostic::{FileDiagnostics, InvalidFiles};

/// The exit codes of all commands. Scripts depend on them: a code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success; a question was answered with yes.
    Done = 0,
    /// A negative result: no match, a failed test, a file that is not formatted.
    Negative = 1,
    /// Wrong usage: invalid or contradictory arguments. It is also clap's own code.
    Usage = 2,
    /// Invalid rules, filter or configuration.
    Invalid = 3,
    /// Some or all events could not be read.
    Unreadable = 4,
    /// A runtime failure, on this machine or a remote one.
    Failed = 5,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Arguments that contradict each other or name something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// Rules that do not compile.
    #[error("the rules are invalid")]
    Rules(Vec<FileDiagnostics>),
    /// Another invalid input text, such as a filter.
    #[error("{0}")]
    Invalid(String),
    /// Events that cannot be read.
    #[error("{0}")]
    Input(String),
    /// Any other failure at run time.
    #[error("{0}")]
    Runtime(String),
    /// Standard input or output failed: a closed pipe, a full disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit as Self
    }
}

impl From<InvalidFiles> for Failure {
    fn from(error: InvalidFiles) -> Self {
        Self::Rules(error.into_files())
    }
}

impl Failure {
    /// A thread of this process has panicked.
    pub(crate) fn thread_panicked() -> Self {
        Self::Runtime("a worker thread panicked; please report this bug of reflexarc".to_owned())
    }

    /// The exit code of the command.
    ///
    /// Invalid rules are 3 even where events are invalid too: rules are loaded first, and a script
    /// that retries on 4 or 5 must not retry a rule set that can never load.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Rules(_) | Failure::Invalid(_) => Exit::Invalid,
            Failure::Input(_) => Exit::Unreadable,
            // `reflexarc … | head` closes the pipe on purpose, so it is no failure.
            Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Failure::Runtime(_) | Failure::Io(_) => Exit::Failed,
        }
    }
}
