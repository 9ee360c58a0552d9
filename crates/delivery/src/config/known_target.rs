//! Targets as rules know them: by their names, and by what they take.

use super::TargetConfig;

/// A target of a configuration by its name. It is known with whatever errors and secrets the
/// target's table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTarget {
    /// The target's name.
    pub name: String,
    /// What rules may do with it.
    pub input: TargetInput,
}

/// What a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetInput {
    /// Messages and documents, `notify` and `send`; with its type.
    Messages(&'static str),
    /// Calls of an API, `call`; with its type.
    Calls(&'static str),
    /// Not known, as its type is invalid.
    Unknown,
}

impl KnownTarget {
    /// A target of which only the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            input: TargetInput::Unknown,
        }
    }
}

impl From<&TargetConfig> for TargetInput {
    fn from(target: &TargetConfig) -> Self {
        let kind = target.target.kind();
        match target.calls {
            Some(_) => Self::Calls(kind),
            None => Self::Messages(kind),
        }
    }
}
