//! What a rule does when a call was answered.

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{State, Stopwatch};

use super::RuleSet;
use super::evaluation::Watch;
use crate::coverage::ExecutedLines;
use crate::rule::Rule;
use crate::{AnsweredCall, Evaluation, evaluate};

impl RuleSet {
    /// Runs the script `answered` of the rule that called, and the rules that match what it emits.
    /// An evaluation without effects if the rule is gone or disabled, or has no such script.
    ///
    /// ```
    /// use reflexarc::{AnsweredCall, CallAnswer, Json, NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("restart.toml", r#"
    ///     when = 'state == "Stopped"'
    ///     then = 'call("ecs", "StartInstance", #{ InstanceId: event.id })'
    ///     answered = """
    ///         if !answer.ok { notify("team", `${event.id}: ${answer.code}`) }
    ///     """
    /// "#)])?;
    /// let event = NativeEvent::from_json(r#"{"state": "Stopped", "id": "i-1"}"#)?;
    /// let answer = CallAnswer::refused(403, "IncorrectInstanceStatus", "", Json::Null);
    /// let parameters = Json::parse(r#"{"InstanceId": "i-1"}"#)?;
    /// let call =
    ///     AnsweredCall::new("restart", Some(event), "ecs", "StartInstance", parameters, answer);
    /// let evaluation = rules.answer(&call, &NoState, Timestamp::UNIX_EPOCH);
    /// assert_eq!(evaluation.rules[0].hop, 1);
    /// assert_eq!(evaluation.rules[0].actions[0].target(), "team");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer(&self, call: &AnsweredCall, state: &dyn State, now: Timestamp) -> Evaluation {
        self.answer_watched(call, state, now, Watch::default())
    }

    /// As [`RuleSet::answer`], with a deadline for each script.
    pub fn answer_timed(
        &self,
        call: &AnsweredCall,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Stopwatch<'_>,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch: Some(stopwatch),
            ..Watch::default()
        };
        self.answer_watched(call, state, now, watch)
    }

    /// As [`RuleSet::answer`], recording the lines of scripts that ran.
    pub(crate) fn answer_traced(
        &self,
        call: &AnsweredCall,
        state: &dyn State,
        now: Timestamp,
        trace: &ExecutedLines,
    ) -> Evaluation {
        let watch = Watch {
            trace: Some(trace),
            ..Watch::default()
        };
        self.answer_watched(call, state, now, watch)
    }

    /// Whether an answer to a call of this rule has an effect: the rule is there, enabled, and has
    /// the script `answered`.
    pub fn processes_answers(&self, rule: &str) -> bool {
        self.answering_rule(rule).is_some()
    }

    fn answering_rule(&self, name: &str) -> Option<&Rule> {
        let is_active = |rule: &&Rule| rule.enabled || self.inner.is_test;
        let rule = self.get(name).filter(is_active);
        rule.filter(|rule| rule.answered.is_some())
    }

    fn answer_watched(
        &self,
        call: &AnsweredCall,
        state: &dyn State,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Evaluation {
        let matching = |event: &NativeEvent| self.found(&self.matching(event));
        // The caller may be behind with deadlines: what the answer emits comes after them.
        let watch = Watch {
            fires_overdue: true,
            ..watch
        };
        let context = self.context(&matching, state, now, watch);
        match self.answering_rule(&call.rule) {
            Some(rule) => evaluate::answer(rule, call, &context),
            None => Evaluation::default(),
        }
    }
}
