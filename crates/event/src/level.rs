//! Severity levels of events.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// The severity level of an ECS event, least severe first.
///
/// ```
/// use reflexarc_event::Level;
///
/// assert_eq!("Critical".parse::<Level>()?, Level::Critical);
/// assert!(Level::Info < Level::Critical);
/// assert_eq!((Level::Warn.as_str(), Level::Warn.lowercase()), ("WARN", "warn"));
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// For information.
    #[default]
    Info,
    /// Needs attention.
    Warn,
    /// Needs immediate attention.
    Critical,
}

impl Level {
    /// Every level, least severe first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Critical];

    /// The level in capitals, as ECS writes it.
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

/// Parses `INFO`, `WARN` or `CRITICAL` in any case: the Cloud Monitor catalogue writes `Info`,
/// `Warn`, `Critical`.
impl FromStr for Level {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParseError::new("level", "INFO, WARN or CRITICAL", text))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
