//! Evaluations in two parts: what needs no state, on any thread, and the rest, event by event.

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{NoState, State};

use super::evaluation::Watch;
use super::{Matched, RuleSet};
use crate::Evaluation;
use crate::evaluate::{self, Ahead};

/// The part of an evaluation that needs no state, made before the events before it are evaluated:
/// see [`RuleSet::prepare`].
#[derive(Debug)]
pub struct PreparedEvaluation {
    matched: Matched,
    now: Timestamp,
    ahead: Ahead,
}

impl RuleSet {
    /// Runs the reactions of those matching rules whose effects do not depend on state. Together
    /// with [`RuleSet::evaluate_prepared`] this is [`RuleSet::evaluate_matched`] without a
    /// stopwatch; the first part can be done on several threads, for many events at a time.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([
    ///     ("count.toml", "when = 'id exists'\nthen = 'add(\"n\", 1)'"),
    ///     ("send.toml", "when = 'id exists'\nthen = 'send(\"inventory\", event.id)'"),
    /// ])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let prepared = rules.prepare(&event, rules.matching(&event), Timestamp::UNIX_EPOCH);
    /// assert!(prepared.bytes() > 0);
    /// let evaluation = rules.evaluate_prepared(&event, prepared, &NoState);
    /// assert!(evaluation.matched().eq(["count", "send"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prepare(
        &self,
        event: &NativeEvent,
        matched: Matched,
        now: Timestamp,
    ) -> PreparedEvaluation {
        let matching = |event: &NativeEvent| self.found(&self.matching(event));
        let context = self.context(&matching, &NoState, now, Watch::default());
        let ahead = evaluate::evaluate_ahead(event, self.matched_rules(&matched), &context);
        PreparedEvaluation {
            matched,
            now,
            ahead,
        }
    }

    /// The evaluation of an event that this rule set has prepared.
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
    /// Bytes of the effects that it holds.
    pub fn bytes(&self) -> usize {
        self.ahead.bytes
    }
}
