//! How much an event weighs.

use std::fmt;

/// The level of an ECS event, lightest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// For the record.
    #[default]
    Info,
    /// Somebody should look.
    Warn,
    /// Somebody must look now.
    Critical,
}

impl Level {
    /// Every level, lightest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Critical];

    /// Reads `INFO`, `WARN` or `CRITICAL` in any case: the Cloud Monitor catalogue writes `Info`, `Warn`, `Critical`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }

    /// The level as ECS writes it, in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Critical => "CRITICAL",
        }
    }

    /// The level as rules and messages write it, in small letters.
    pub fn lowercase(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
