//! Matches of rules with a time window, as the store lists them.

use std::fmt;
use std::str::FromStr;

use reflexarc_reaction::KeptMatch;

use crate::InvalidPageCursor;

/// How many matches a rule has, those included that have expired and are not pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatchCount {
    /// The name of the rule.
    pub rule: String,
    /// Number of those that wait.
    pub pending: u64,
    /// Number of the others: kept for late events, or until what they reported is resolved.
    pub kept: u64,
}

/// Which matches a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchFilter {
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those at one of these keys, which are JSON, in ascending order; all if it is empty.
    pub keys: Vec<String>,
    /// Also those that do not wait.
    pub kept: bool,
}

/// A match that waits, or is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingMatch {
    /// The name of the rule.
    pub rule: String,
    /// The key, as JSON.
    pub key: String,
    /// What is kept of it.
    pub kept: KeptMatch,
}

/// A part of the list of matches.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MatchPage {
    /// Matches by rule and key. There may be none although others follow.
    pub matches: Vec<PendingMatch>,
    /// What would be in the page too, but cannot be read.
    pub damaged: Vec<DamagedMatch>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<MatchCursor>,
}

/// A part of the list of matches by deadline.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DuePage {
    /// Matches by deadline; those without one are the last, by rule and key. There may be none
    /// although others follow.
    pub matches: Vec<PendingMatch>,
    /// What would be in the page too, but cannot be read.
    pub damaged: Vec<DamagedMatch>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<DueCursor>,
}

/// A match that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("the match of rule {rule} at {key} cannot be read: {reason}")]
pub struct DamagedMatch {
    /// The name of the rule.
    pub rule: String,
    /// The key, as JSON.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// A place in the list of matches: after this one.
///
/// ```
/// use reflexarc_store::MatchCursor;
///
/// let text = "00000000000000ff/stuck/\"eni-1/a\"";
/// assert_eq!(text.parse::<MatchCursor>()?.to_string(), text);
/// assert!("stuck/\"eni-1\"".parse::<MatchCursor>().is_err());
/// # Ok::<(), reflexarc_store::InvalidPageCursor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCursor {
    pub(crate) rule: String,
    pub(crate) window: u64,
    pub(crate) key: String,
}

/// A place in the list of matches by deadline: after this one.
///
/// ```
/// use reflexarc_store::DueCursor;
///
/// for text in ["1800000000000000/7/\"eni-1/a\"", "none/00000000000000ff/stuck/\"eni-1\""] {
///     assert_eq!(text.parse::<DueCursor>()?.to_string(), text);
/// }
/// assert!("7/\"eni-1\"".parse::<DueCursor>().is_err());
/// # Ok::<(), reflexarc_store::InvalidPageCursor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCursor(pub(crate) DuePlace);

/// A place in the list of matches by deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DuePlace {
    /// In the part with deadlines: after this one, in microseconds, of the window with this number.
    At { due: i64, window: i64, key: String },
    /// In the part without deadlines.
    Without(MatchCursor),
}

/// Who closed a match, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedBy {
    /// The operator.
    pub by: String,
    /// The operator's reason, if one was given.
    pub reason: Option<String>,
}

impl MatchCount {
    /// A rule without matches.
    pub fn none(rule: String) -> Self {
        Self {
            rule,
            pending: 0,
            kept: 0,
        }
    }
}

impl fmt::Display for MatchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}/{}/{}", self.window, self.rule, self.key)
    }
}

impl FromStr for MatchCursor {
    type Err = InvalidPageCursor;

    fn from_str(text: &str) -> Result<Self, InvalidPageCursor> {
        // The name of a rule is that of a file and has no `/`, a key may have any.
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(InvalidPageCursor);
        let (window, rule, key) = (next()?, next()?, next()?);
        Ok(Self {
            rule: rule.to_owned(),
            window: u64::from_str_radix(window, 16).map_err(|_| InvalidPageCursor)?,
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for DueCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            DuePlace::At { due, window, key } => write!(f, "{due}/{window}/{key}"),
            DuePlace::Without(after) => write!(f, "none/{after}"),
        }
    }
}

impl FromStr for DueCursor {
    type Err = InvalidPageCursor;

    fn from_str(text: &str) -> Result<Self, InvalidPageCursor> {
        if let Some(after) = text.strip_prefix("none/") {
            return Ok(Self(DuePlace::Without(after.parse()?)));
        }
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(InvalidPageCursor);
        let (due, window, key) = (next()?, next()?, next()?);
        Ok(Self(DuePlace::At {
            due: due.parse().map_err(|_| InvalidPageCursor)?,
            window: window.parse().map_err(|_| InvalidPageCursor)?,
            key: key.to_owned(),
        }))
    }
}
