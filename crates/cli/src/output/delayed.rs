//! Delayed actions that are due, as text for people and as JSON for programs.

use jiff::Timestamp;
use reflexarc::{DelayedAction, RuleEffects};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::evaluation::{ActionReport, print_action};
use super::match_text::match_title;
use super::{Output, Paint};
use crate::exit::Failure;

/// A delayed action whose time has come.
pub(crate) struct DelayReport<'a> {
    /// When it is due.
    pub(crate) at: Timestamp,
    /// What the rule did, with the action alone.
    pub(crate) effects: &'a RuleEffects,
}

impl<'a> From<&'a DelayedAction> for DelayReport<'a> {
    fn from(delayed: &'a DelayedAction) -> Self {
        Self {
            at: delayed.at,
            effects: &delayed.effects,
        }
    }
}

impl DelayReport<'_> {
    /// Prints a line for the time and one for the action.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let at = output.paint(Paint::Dim, self.at);
        let key = self.effects.key.as_ref();
        let key = key.map_or_else(|| "[]".to_owned(), ToString::to_string);
        let title = match_title(&format!("delayed by {}", self.effects.rule), &key, None);
        let title = output.paint(Paint::Bold, title);
        output.line(format_args!("{at}  {title}"))?;
        for action in &self.effects.actions {
            print_action(action, output)?;
        }
        Ok(())
    }
}

/// An object with `at`, `rule`, `key` (that of the rule's `by`; null without one), `reason`
/// (`delayed`), and as for events `matched` (none), `rules` (the rule with the one action) and
/// `failures` (none).
impl Serialize for DelayReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at.to_string())?;
        map.serialize_entry("rule", &self.effects.rule)?;
        map.serialize_entry("key", &self.effects.key)?;
        map.serialize_entry("reason", "delayed")?;
        map.serialize_entry("matched", &[(); 0])?;
        map.serialize_entry("rules", &[Due(self.effects)])?;
        map.serialize_entry("failures", &[(); 0])?;
        map.end()
    }
}

/// The rule of an action that is due.
struct Due<'a>(&'a RuleEffects);

impl Serialize for Due<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let effects = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rule", &effects.rule)?;
        map.serialize_entry("labels", &effects.labels)?;
        map.serialize_entry("hop", &effects.hop)?;
        map.serialize_entry("causes", &effects.causes)?;
        let actions = effects.actions.iter().map(ActionReport);
        map.serialize_entry("actions", &actions.collect::<Vec<_>>())?;
        map.end()
    }
}
