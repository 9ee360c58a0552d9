//! What operators have done, as the store keeps it.

use jiff::Timestamp;

/// An operation of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at: Timestamp,
    /// The operator.
    pub by: String,
    /// By what the operator has done it.
    pub via: AuditVia,
    /// The name of the operation.
    pub operation: String,
    /// What it was about, for people.
    pub subject: String,
    /// Its parameters, as JSON.
    pub details: String,
    /// The command line that does the same.
    pub command: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// How much it has changed.
    pub count: u64,
    /// Why it was refused or failed, or what else is to be known; may be empty.
    pub message: String,
    /// When it ended; `None` while it has not, or if the process died before.
    pub finished: Option<Timestamp>,
}

/// An operation that is to be recorded. Texts are cut to their limits, see [`AuditLimits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// When it began.
    pub at: Timestamp,
    /// The operator.
    pub by: String,
    /// By what the operator has done it.
    pub via: AuditVia,
    /// The name of the operation, such as `redrive_matching`.
    pub operation: String,
    /// What it was about, for people.
    pub subject: String,
    /// Its parameters, as JSON. One that is too long is replaced by `{"left_out_bytes": n}`.
    pub details: String,
    /// The command line that does the same.
    pub command: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// How much it has changed.
    pub count: u64,
    /// Why it was refused or failed, or what else is to be known; may be empty.
    pub message: String,
}

/// By what an operator has done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuditVia {
    /// The console in a browser.
    Console,
    /// The HTTP API.
    Api,
    /// A command on the machine of the service.
    Command,
    /// What the store has is damaged, or of a newer version.
    Unknown,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It has not ended, or its process died before it did.
    Begun,
    /// It was done.
    Done,
    /// It was not allowed, or made no sense.
    Refused,
    /// It failed, perhaps after a part of it was done.
    Failed,
    /// Its process died before it ended, and it may have been done or not; or what the store has is
    /// damaged, or of a newer version.
    Unknown,
}

/// Selects such entries. What is `None` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The operator.
    pub by: Option<String>,
    /// The name of the operation.
    pub operation: Option<String>,
    /// Begun at this time or after it.
    pub from: Option<Timestamp>,
    /// Begun before this time.
    pub until: Option<Timestamp>,
}

/// How much is kept of what operators do. The fields are numbers of bytes, but for `entries`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditLimits {
    /// Number of entries: then the oldest are removed, whatever their age.
    pub entries: u64,
    /// Of the operator, and of the name of the operation.
    pub name: usize,
    /// Of the subject.
    pub subject: usize,
    /// Of the parameters.
    pub details: usize,
    /// Of the command line.
    pub command: usize,
    /// Of the message.
    pub message: usize,
}

impl AuditLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        entries: 100_000,
        name: 256,
        subject: 1_024,
        details: 16 << 10,
        command: 4_096,
        message: 4_096,
    };
}

impl AuditVia {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Console, Self::Api, Self::Command, Self::Unknown];

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Api => "api",
            Self::Command => "command",
            Self::Unknown => "unknown",
        }
    }
}

impl AuditOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Begun,
        Self::Done,
        Self::Refused,
        Self::Failed,
        Self::Unknown,
    ];

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
