//! What is kept of a match, for people.

use jiff::Timestamp;
use reflexarc_reaction::KeptMatch;

use crate::window::Description;
use crate::{RuleSet, WindowKind};

/// What is known of a match: see [`RuleSet::describe_match`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatchDescription {
    /// The kind of the window; `None` if the rule is gone and the match has fired.
    pub kind: Option<WindowKind>,
    /// The time of the event that opened it, or when the wait began if it was no event; `None` if
    /// it only remembers events for others that are late.
    pub opened: Option<Timestamp>,
    /// The position of that event.
    pub position: Option<u64>,
    /// Number of its events.
    pub count: u64,
    /// When the match fired that waits to be resolved, if one does.
    pub fired: Option<Timestamp>,
    /// Whether its reaction failed, and runs once more.
    pub retries: bool,
}

/// A match that has fired and waits to be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FiredMatch {
    /// The position of the event that its reaction saw; `None` if there was none.
    pub event: Option<u64>,
}

impl FiredMatch {
    /// What has fired of a match and waits to be resolved, if anything has; `None` for data that
    /// cannot be read.
    pub fn of(kept: &KeptMatch) -> Option<Self> {
        let state: crate::window::KeyState = serde_json::from_str(&kept.data).ok()?;
        let fired = state.fired?;
        Some(Self {
            event: fired.firing.event,
        })
    }
}

impl RuleSet {
    /// Describes a match of `rule`, which need not exist any more. `None` if the data cannot be
    /// read.
    ///
    /// ```
    /// use reflexarc::{MemoryState, NativeEvent, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("stuck.toml", r#"
    ///     when = 'op == "Detach"'
    ///     by = "eni"
    ///     not_followed_by = { when = 'op == "Detached"', within = "30m" }
    ///     notify = ["network-team"]
    /// "#)])?;
    /// let event = NativeEvent::from_json(r#"{"op": "Detach", "eni": "eni-1"}"#)?;
    /// let (mut state, start) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// rules.evaluate_in_time(&event, &mut state, start, &mut |_| ());
    ///
    /// let (_, kept) = state.matches_of("stuck", start).next().ok_or("no match")?;
    /// let described = rules.describe_match("stuck", kept).ok_or("invalid data")?;
    /// assert_eq!(described.kind.map(|kind| kind.key()), Some("not_followed_by"));
    /// assert_eq!((described.opened, described.count), (Some(start), 1));
    /// assert_eq!(described.fired, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn describe_match(&self, rule: &str, kept: &KeptMatch) -> Option<MatchDescription> {
        let window = self.get(rule).and_then(|rule| rule.window.as_ref());
        let window = window.filter(|window| window.fingerprint() == kept.window);
        let mut state: crate::window::KeyState = serde_json::from_str(&kept.data).ok()?;
        state.shift = i64::try_from(kept.shift.as_micros()).unwrap_or(i64::MAX);
        let shape = window.map(|window| &window.window.shape);
        let described = Description::new(&state, shape);
        let time = |at| Timestamp::from_microsecond(at).ok();
        let opened = described.opened.map(|(seen, _)| seen);
        Some(MatchDescription {
            kind: described
                .kind
                .or_else(|| window.map(|window| window.kind())),
            opened: opened.and_then(|seen| time(seen.time)),
            position: opened.map(|seen| seen.position).filter(|at| *at > 0),
            count: described.opened.map_or(0, |(_, count)| count),
            fired: described.fired.and_then(time),
            retries: described.retries,
        })
    }
}
