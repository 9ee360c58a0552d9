//! What a rule may consume over many events; the caller measures and decides.

use reflexarc_reaction::Effects;

use crate::Rule;

/// Permits and measures reactions, run by run.
///
/// The limits of a single run do not bound what a rule costs in a second: a script that takes 40 ms
/// is within them, and at 1,000 matching events a second needs 40 processors. The engine has no
/// clock and sees one event at a time, so the caller keeps account.
///
/// ```
/// use std::cell::Cell;
///
/// use reflexarc::{
///     EffectSize, NativeEvent, NoState, ReactionBudget, Rule, RuleSet, Timestamp,
/// };
///
/// /// As many bytes of effects as are left.
/// struct BytesLeft(Cell<usize>);
///
/// impl ReactionBudget for BytesLeft {
///     fn begin(&self, rule: &Rule) -> Result<(), String> {
///         match self.0.get() {
///             0 => Err(format!("`{}` has used up its bytes", rule.name())),
///             _ => Ok(()),
///         }
///     }
///     fn end(&self, _: &Rule, effects: EffectSize) {
///         self.0.set(self.0.get().saturating_sub(effects.bytes));
///     }
/// }
///
/// let text = "when = 'id exists'\nthen = 'send(\"out\", \"text\")'";
/// let rules = RuleSet::compile([("a.toml", text)])?;
/// let event = NativeEvent::from_json(r#"{"id": 1}"#)?;
/// let matched = rules.matching(&event);
/// let left = BytesLeft(Cell::new(5));
/// let now = Timestamp::UNIX_EPOCH;
/// let evaluate = || rules.evaluate_within(&event, &matched, &NoState, now, None, &left);
/// assert!(evaluate().failures.is_empty());
/// assert_eq!(evaluate().failures[0].message, "`a` has used up its bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ReactionBudget {
    /// Called before a reaction of the rule runs. A rule may run several times in one evaluation:
    /// for the event itself, and for events that are emitted for it.
    ///
    /// # Errors
    /// With the message of the failure that takes the place of the reaction, which does not run.
    fn begin(&self, rule: &Rule) -> Result<(), String>;

    /// Called on the same thread when a permitted reaction has ended, with the size of its effects;
    /// none if it failed.
    fn end(&self, rule: &Rule, effects: EffectSize);

    /// Called before rules are found and run for an emitted event. `origin` is the rule that
    /// reacted to the event itself: the reactions from here to [`ReactionBudget::end_emitted`]
    /// would not run without it.
    fn begin_emitted(&self, _origin: &Rule) {}

    /// Called when all rules have reacted to an emitted event.
    fn end_emitted(&self, _origin: &Rule) {}
}

/// How much a reaction leaves to be stored and delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectSize {
    /// Bytes of JSON.
    pub bytes: usize,
    /// Actions, state changes and emitted events.
    pub count: usize,
}

impl EffectSize {
    pub(crate) fn of(effects: &Effects) -> Self {
        Self {
            bytes: effects.bytes,
            count: effects.actions.len() + effects.changes.len() + effects.emitted.len(),
        }
    }

    /// That of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            count: self.count.saturating_add(other.count),
        }
    }
}
