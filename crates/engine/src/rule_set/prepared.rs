//! Evaluations in two parts: the first on any thread, ahead of the event's turn, the second event
//! by event.

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::State;

use super::evaluation::Watch;
use super::{Matched, RuleSet};
use crate::Evaluation;
use crate::evaluate::{self, Ahead};

/// What the rules did on an event before the events before it were evaluated: see
/// [`RuleSet::prepare`].
#[derive(Debug)]
pub struct PreparedEvaluation {
    matched: Matched,
    now: Timestamp,
    ahead: Ahead,
}

impl RuleSet {
    /// Runs the reactions of the matching rules ahead of the event's turn, with a state that may
    /// be another one than that of its turn, and records what they read of it. In the turn,
    /// [`RuleSet::evaluate_prepared`] runs those again that would read something else. Both
    /// together are [`RuleSet::evaluate_matched`] without a stopwatch; the first part can be done
    /// on several threads, for many events at a time.
    ///
    /// A rule whose runs were mostly in vain runs in its turn only, for some time.
    ///
    /// ```
    /// use reflexarc::{MemoryState, NativeEvent, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([
    ///     ("count.toml", "when = 'id exists'\nthen = 'add(\"n\", 1)'"),
    ///     ("send.toml", "when = 'id exists'\nthen = 'send(\"inventory\", event.id)'"),
    /// ])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// let prepare = |state| rules.prepare(&event, rules.matching(&event), now, state);
    /// let events = [prepare(&state), prepare(&state)];
    /// for prepared in events {
    ///     // The second time, `count` runs again.
    ///     let evaluation = rules.evaluate_prepared(&event, prepared, &state);
    ///     assert!(evaluation.matched().eq(["count", "send"]));
    ///     state.apply("count", &evaluation.rules[0].changes);
    /// }
    /// assert_eq!(state.entries(now).next().unwrap().2.value.as_i64(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prepare(
        &self,
        event: &NativeEvent,
        matched: Matched,
        now: Timestamp,
        state: &dyn State,
    ) -> PreparedEvaluation {
        let matching = |event: &NativeEvent| self.found(&self.matching(event));
        let context = self.context(&matching, state, now, Watch::default());
        let rules = self.positioned_roles(&matched).into_iter();
        let rules = rules.map(|(position, rule, _)| (position, rule));
        let ahead = evaluate::evaluate_ahead(event, rules, &context);
        PreparedEvaluation {
            matched,
            now,
            ahead,
        }
    }

    /// The evaluation of an event that this rule set has prepared, with the state of its turn.
    pub fn evaluate_prepared(
        &self,
        event: &NativeEvent,
        prepared: PreparedEvaluation,
        state: &dyn State,
    ) -> Evaluation {
        let PreparedEvaluation {
            matched,
            now,
            ahead,
        } = prepared;
        self.evaluate_in(event, &matched, ahead, state, now, Watch::default())
    }
}

impl PreparedEvaluation {
    /// Bytes of the effects, and of what was read of the state, that it holds.
    pub fn bytes(&self) -> usize {
        self.ahead.bytes
    }
}
