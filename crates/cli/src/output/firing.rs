//! Deadlines that have passed, as text for people and as JSON for programs.

use jiff::Timestamp;
use reflexarc::Evaluation;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::evaluation::{has_no_effects, print_evaluation, serialize_evaluation};
use super::match_text::{deadline_title, reason_word, script_key};
use super::{Output, Paint};
use crate::exit::Failure;

/// A deadline of a match that has passed, and what rules did because of it.
pub(crate) struct FiringReport<'a> {
    /// The deadline.
    pub(crate) at: Timestamp,
    /// The name of the rule.
    pub(crate) rule: &'a str,
    /// The key of the match, as JSON.
    pub(crate) key: &'a str,
    /// The effects of the rule, and of those that match what it emits.
    pub(crate) evaluation: Evaluation,
}

impl FiringReport<'_> {
    /// Whether a reaction ran: a deadline may also have been moved by a late event.
    pub(crate) fn has_fired(&self) -> bool {
        has_fired(&self.evaluation)
    }

    /// Prints a line for the deadline and a few lines for each rule.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let at = output.paint(Paint::Dim, self.at);
        let title = deadline_title(self.rule, self.key);
        let title = output.paint(Paint::Bold, title);
        output.line(format_args!("{at}  {title}"))?;
        print_evaluation(&self.evaluation, output)
    }
}

/// An object with `at`, `rule`, `key`, `reason` (`fired`, `resolved`, or null where the reaction
/// failed), and as for events `matched`, `rules` and `failures`.
impl Serialize for FiringReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at.to_string())?;
        map.serialize_entry("rule", self.rule)?;
        map.serialize_entry("key", &script_key(self.key))?;
        let firing = self.evaluation.rules.first();
        let firing = firing.and_then(|effects| effects.firing.as_ref());
        map.serialize_entry("reason", &firing.map(|firing| reason_word(firing.reason)))?;
        serialize_evaluation(&self.evaluation, &mut map)?;
        map.end()
    }
}

/// Whether a deadline led to a reaction.
pub(crate) fn has_fired(evaluation: &Evaluation) -> bool {
    let Evaluation {
        rules, failures, ..
    } = evaluation;
    !failures.is_empty() || rules.iter().any(|effects| !has_no_effects(effects))
}
