//! Evaluating an event: from the rules that match it to the effects of all hops.

mod answered;
mod kept_state;
mod match_reaction;
mod matches;
mod run_rule;
mod totals;

use std::collections::VecDeque;

use jiff::Timestamp;
use reflexarc_diagnostic::truncate_to_bytes;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{Effects, ReactionLimits, State, StateChange, Stopwatch};

use self::answered::run_answered;
pub(crate) use self::matches::key_of_event;
use self::matches::{EventInTime, KeyOutcome, MatchKey};
use self::run_rule::run_rule;
use self::totals::Totals;
use crate::ahead_history::AheadHistory;
use crate::coverage::ExecutedLines;
use crate::overlay::StateOverlay;
use crate::recorded_state::{Reads, RecordedState};
use crate::rule::Rule;
use crate::rule_window::RuleWindow;
use crate::window::Roles;
use crate::{
    AnsweredCall, Evaluation, Failure, FailureCause, ReactionBudget, RuleEffects, RuleSetLimits,
};

/// Deadlines of one match before an event: it fires, is tried again if that failed, and is
/// resolved.
const MAX_OVERDUE: usize = 4;

/// What an evaluation needs besides the event.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Finds the rules that match an event, in the order of their names.
    pub(crate) matching: &'a dyn Fn(&NativeEvent) -> Found<'a>,
    pub(crate) state: &'a dyn State,
    pub(crate) now: Timestamp,
    pub(crate) stopwatch: Option<Stopwatch<'a>>,
    pub(crate) budget: Option<&'a dyn ReactionBudget>,
    pub(crate) limits: &'a RuleSetLimits,
    pub(crate) reaction_limits: &'a ReactionLimits,
    pub(crate) history: &'a AheadHistory,
    /// Collects the lines of scripts that ran, for coverage; this makes scripts far slower.
    pub(crate) trace: Option<&'a ExecutedLines>,
    /// Whether what is overdue of a match fires before the event that changes it. If not, deadlines
    /// are the caller's business, and the event may cancel one that has passed.
    pub(crate) fires_overdue: bool,
}

/// The rules that match an event.
pub(crate) struct Found<'a> {
    /// In the order of their names, each with its position and with what the event is to its time
    /// window; without one, an opening event.
    pub(crate) rules: Vec<(usize, &'a Rule, Roles)>,
    /// Those that could not be compared with it.
    pub(crate) undecided: Vec<Failure>,
}

/// An event that the rules have not seen yet.
struct PendingEvent<'a> {
    event: NativeEvent,
    hop: usize,
    causes: Vec<String>,
    /// The first of the causes.
    origin: Option<&'a Rule>,
}

/// What one rule did on one event.
type Outcome = Result<RuleRun, Failed>;

/// What one rule did.
#[derive(Debug)]
struct RuleRun {
    effects: Effects,
    /// As [`RuleEffects::key`].
    key: Option<Json>,
    notes: Vec<String>,
}

/// What of an evaluation was made ahead of it, with a state that may be another one.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// For each matching rule, in their order, what it did; `None` where it did not run.
    runs: Vec<Option<AheadRun>>,
    /// Bytes of the effects, and of what was read of the state.
    pub(crate) bytes: usize,
}

/// The run of a rule ahead of its turn.
#[derive(Debug)]
struct AheadRun {
    /// The position of the rule in its set.
    rule: usize,
    outcome: Outcome,
    reads: Reads,
}

/// Why a rule has no effects on an event.
#[derive(Debug)]
struct Failed {
    cause: FailureCause,
    message: String,
}

/// An evaluation that has begun.
struct InProgress<'a, 'c> {
    context: &'c Context<'a>,
    evaluation: Evaluation,
    state: StateOverlay<'a>,
    /// The number of effects whose changes of state are in the overlay.
    applied: usize,
    totals: Totals,
    pending: VecDeque<PendingEvent<'a>>,
}

/// What rules react to.
struct Cause<'a, 'e> {
    /// None where the time of a match has come.
    event: Option<&'e NativeEvent>,
    hop: usize,
    causes: Vec<String>,
    origin: Option<&'a Rule>,
}

/// Runs the reactions of matching rules, given with their positions, on `event`. The state of the
/// context may be that of any other time; the better it foresees the state of the event's turn, the
/// less has to run again then.
pub(crate) fn evaluate_ahead<'a>(
    event: &NativeEvent,
    rules: impl Iterator<Item = (usize, &'a Rule)>,
    context: &Context<'_>,
) -> Ahead {
    let mut ahead = Ahead::default();
    let mut script_event = None;
    for (position, rule) in rules {
        // What a rule with a time window does depends on the position of the event.
        if rule.window.is_some() || !context.history.is_worth_it(position) {
            ahead.runs.push(None);
            continue;
        }
        let state = RecordedState::new(context.state);
        let outcome = run_rule(rule, event, &mut script_event, &state, context);
        let reads = state.into_reads();
        let effects = outcome.as_ref().map_or(0, |run| run.effects.bytes);
        ahead.bytes = ahead.bytes.saturating_add(effects + reads.bytes);
        ahead.runs.push(Some(AheadRun {
            rule: position,
            outcome,
            reads,
        }));
    }
    ahead
}

/// Runs the reactions of the rules that match `event`, and of those that match what they emit,
/// except what was made ahead and still holds.
pub(crate) fn evaluate<'a>(
    event: &NativeEvent,
    matching: Found<'a>,
    ahead: Ahead,
    context: &Context<'a>,
) -> Evaluation {
    let mut in_progress = InProgress::new(context);
    in_progress.pending.push_back(PendingEvent {
        event: event.clone(),
        hop: 0,
        causes: Vec::new(),
        origin: None,
    });
    in_progress.evaluate_pending(Some(matching), ahead);
    in_progress.finish()
}

/// Runs what is due of a match of a rule, and the rules that match what it emits.
pub(crate) fn fire<'a>(rule: &'a Rule, key: &str, context: &Context<'a>) -> Evaluation {
    let mut in_progress = InProgress::new(context);
    if let Some(window) = &rule.window {
        let (run, failed) = matches::fire(rule, window, key, &in_progress.state, context);
        let hop = run.hop();
        if let Some(failed) = failed {
            in_progress.fail(rule, failed, hop);
        }
        let cause = Cause {
            event: None,
            hop,
            causes: Vec::new(),
            origin: None,
        };
        in_progress.add_match(rule, window, Ok(run), &cause, context.now);
    }
    in_progress.evaluate_pending(None, Ahead::default());
    in_progress.finish()
}

/// Runs the script `answered` of a rule, and the rules that match what it emits.
pub(crate) fn answer<'a>(rule: &'a Rule, call: &AnsweredCall, context: &Context<'a>) -> Evaluation {
    let mut in_progress = InProgress::new(context);
    let outcome = run_answered(rule, call, &in_progress.state, context);
    let cause = Cause {
        event: call.event.as_ref(),
        hop: call.hop,
        causes: Vec::new(),
        origin: None,
    };
    in_progress.add(rule, outcome, &cause);
    in_progress.evaluate_pending(None, Ahead::default());
    in_progress.finish()
}

/// Whether the window of a rule has a match at a key.
pub(crate) fn has_match(rule: &Rule, key: &str, state: &dyn State, now: Timestamp) -> bool {
    let window = rule.window.as_ref();
    window.is_some_and(|window| matches::has_match(rule, window, key, state, now))
}

/// The change that lets a match wait for `settle` from now on; `None` if the rule has none there.
pub(crate) fn postpone(
    rule: &Rule,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> Option<StateChange> {
    let window = rule.window.as_ref()?;
    matches::postpone(rule, window, key, state, now)
}

/// The changes that begin what the window of a rule waits for before any event.
pub(crate) fn arm(rule: &Rule, state: &dyn State, now: Timestamp) -> Vec<StateChange> {
    let window = rule.window.iter();
    window
        .flat_map(|window| matches::arm(rule, window, state, now))
        .collect()
}

impl<'a, 'c> InProgress<'a, 'c> {
    fn new(context: &'c Context<'a>) -> Self {
        Self {
            context,
            evaluation: Evaluation::default(),
            state: StateOverlay::new(context.state),
            applied: 0,
            totals: Totals::default(),
            pending: VecDeque::new(),
        }
    }

    fn finish(mut self) -> Evaluation {
        self.evaluation.effect_bytes = self.totals.bytes;
        self.evaluation
    }

    /// Evaluates the pending events and what they emit. The rules of the first one may be known
    /// already.
    fn evaluate_pending(&mut self, mut matching: Option<Found<'a>>, mut ahead: Ahead) {
        let context = self.context;
        // A queue, not a stack: all events of one hop are evaluated before any of the next. If a
        // and b match the original event and a emits x, the order is a(event), b(event), then the
        // rules of x; so b sees the state of a, but nothing that x causes. This order is part of
        // the result: it is how a replay comes to the same evaluation, byte for byte.
        while let Some(next) = self.pending.pop_front() {
            let PendingEvent {
                event,
                hop,
                causes,
                origin,
            } = next;
            // Rules see only their own state and run once on an event, so that what they store
            // matters to later events only, of which there are few.
            self.apply_changes();
            let emitted = context.budget.zip(origin);
            if let Some((budget, origin)) = emitted {
                budget.begin_emitted(origin);
            }
            let Found { rules, undecided } = matching
                .take()
                .unwrap_or_else(|| (context.matching)(&event));
            let undecided = undecided.into_iter();
            let undecided = undecided.map(|failure| Failure { hop, ..failure });
            self.evaluation.failures.extend(undecided);
            let cause = Cause {
                event: Some(&event),
                hop,
                causes,
                origin,
            };
            // Converting an event for scripts costs more than most scripts: once for all rules, and
            // not at all where no script runs.
            let mut script_event = None;
            let mut position = None;
            let mut runs = std::mem::take(&mut ahead).runs.into_iter();
            for (_, rule, roles) in rules {
                let run = runs.next().flatten();
                if let Some(window) = &rule.window {
                    self.apply_changes();
                    // One position for all rules that keep the event.
                    let position = *position.get_or_insert_with(|| match hop {
                        0 => self.state.entry_position(),
                        _ => self.state.matches().next_position(),
                    });
                    self.apply_in_time(rule, window, roles, position, &event, &cause);
                    continue;
                }
                let held = run.and_then(|run| run.held(rule, &self.state, context));
                let outcome = held.unwrap_or_else(|| {
                    run_rule(rule, &event, &mut script_event, &self.state, context)
                });
                self.add(rule, outcome, &cause);
            }
            if let Some((budget, origin)) = emitted {
                budget.end_emitted(origin);
            }
        }
    }

    /// Adds what a rule did.
    fn add(&mut self, rule: &'a Rule, outcome: Outcome, cause: &Cause<'a, '_>) {
        // What rules have emitted and caused together is counted here, in their order, also where
        // a reaction ran ahead: which of them exceeds a limit depends on the order.
        let effects = outcome.and_then(|run| {
            let mut effects = self.count(rule, run.effects, cause)?;
            (effects.key, effects.notes) = (run.key, run.notes);
            Ok(effects)
        });
        match effects {
            Ok(effects) => self.evaluation.rules.push(effects),
            // A failing rule loses its own effects only; the others go on.
            Err(failed) => self.fail(rule, failed, cause.hop),
        }
    }

    /// Applies an event to the matches of a rule, and adds what it did.
    fn apply_in_time(
        &mut self,
        rule: &'a Rule,
        window: &'a RuleWindow,
        roles: Roles,
        position: u64,
        event: &NativeEvent,
        cause: &Cause<'a, '_>,
    ) {
        // Never before what was applied already: a clock may step back.
        let now = self.context.now.max(self.state.matches().clock());
        let context = &Context {
            now,
            ..*self.context
        };
        let arrival = EventInTime::new(event, position, cause.hop, now);
        let (keys, notes) = matches::keys_of_event(window, roles, event.event());
        let late = matches::late_change(window, &arrival);
        let first = self.evaluation.rules.len();
        let has_notes = late.is_some() || !notes.is_empty();
        if has_notes {
            let mut effects = Effects::default();
            effects.changes.extend(late);
            let run = RuleRun {
                effects,
                key: None,
                notes,
            };
            self.add(rule, Ok(run), cause);
        }
        for (key, (value, roles)) in keys {
            // The reactions of several keys share the state of the rule.
            self.apply_changes();
            if context.fires_overdue {
                self.fire_overdue(rule, window, &key, now);
            }
            let key = MatchKey { key, value, roles };
            let outcome = matches::apply(rule, window, key, &arrival, &self.state, context);
            self.add_match(rule, window, outcome, cause, now);
        }
        if has_notes {
            self.merge_next(first);
        }
    }

    /// Runs what is due of a match before the event that is about to change it. Nothing is, unless
    /// so many deadlines came at once that events go on beside them.
    fn fire_overdue(&mut self, rule: &'a Rule, window: &'a RuleWindow, key: &str, now: Timestamp) {
        for _ in 0..MAX_OVERDUE {
            let Some(due) = matches::overdue(rule, window, key, &self.state, now) else {
                return;
            };
            let context = &Context {
                now: due,
                ..*self.context
            };
            let (run, failed) = matches::fire(rule, window, key, &self.state, context);
            let hop = run.hop();
            if let Some(failed) = failed {
                self.fail(rule, failed, hop);
            }
            let cause = Cause {
                event: None,
                hop,
                causes: Vec::new(),
                origin: None,
            };
            self.add_match(rule, window, Ok(run), &cause, due);
            self.apply_changes();
        }
    }

    /// Makes one of two effects of the same rule on the same event, the first of which has only
    /// changes and notes. Without a second one, nothing changes.
    //
    // A late event is recorded before the matches that it changes, because they depend on it. That
    // is no second match of the event: `matched` has the rule once.
    fn merge_next(&mut self, first: usize) {
        if self.evaluation.rules.len() < first + 2 {
            return;
        }
        self.apply_changes();
        let mut merged = self.evaluation.rules.remove(first);
        let next = &mut self.evaluation.rules[first];
        merged.changes.append(&mut next.changes);
        merged.notes.append(&mut next.notes);
        (next.changes, next.notes) = (merged.changes, merged.notes);
        self.applied = self.evaluation.rules.len();
    }

    /// Adds what an event or a deadline is to one key of a rule.
    fn add_match(
        &mut self,
        rule: &'a Rule,
        window: &RuleWindow,
        outcome: KeyOutcome,
        cause: &Cause<'a, '_>,
        now: Timestamp,
    ) {
        let mut run = match outcome {
            Ok(run) => run,
            Err(failed) => return self.fail(rule, failed, cause.hop),
        };
        let mut effects = None;
        let mut has_failed = false;
        if let Some(reaction) = &mut run.reaction {
            let outcome = std::mem::replace(&mut reaction.outcome, Ok(Effects::default()));
            match outcome.and_then(|effects| self.count(rule, effects, cause)) {
                Ok(mut counted) => {
                    counted.firing = Some(reaction.info.clone());
                    let has_key = !window.by.paths().is_empty();
                    if has_key && !(counted.actions.is_empty() && counted.cancelled.is_empty()) {
                        counted.key = Some(reaction.info.key.clone());
                    }
                    if cause.event.is_none() {
                        let event = reaction.event.as_ref();
                        counted.event = event.map(|event| event.event().clone());
                    }
                    effects = Some(counted);
                }
                Err(failed) => {
                    has_failed = true;
                    self.fail(rule, failed, cause.hop);
                }
            }
            run.notes.append(&mut reaction.notes);
        }
        let mut effects = effects.unwrap_or_else(|| cause.effects(rule));
        effects.steps = std::mem::take(&mut run.steps);
        effects.notes = std::mem::take(&mut run.notes);
        self.apply_changes();
        let (change, failed) = run.finish(rule, window, has_failed, &self.state, now);
        effects.changes.extend(change);
        self.evaluation.rules.push(effects);
        if let Some(failed) = failed {
            self.fail(rule, failed, cause.hop);
        }
    }

    /// The effects of a rule if all are within the limits. What it emits becomes pending.
    fn count(
        &mut self,
        rule: &'a Rule,
        effects: Effects,
        cause: &Cause<'a, '_>,
    ) -> Result<RuleEffects, Failed> {
        let hop = cause.hop;
        let limits = self.context.limits;
        let emitted = self.totals.add(rule.name(), &effects, hop, limits)?;
        for event in emitted {
            let mut causes = cause.causes.clone();
            causes.push(rule.name().to_owned());
            self.pending.push_back(PendingEvent {
                event,
                hop: hop + 1,
                causes,
                origin: cause.origin.or(Some(rule)),
            });
        }
        Ok(RuleEffects {
            actions: effects.actions,
            cancelled: effects.cancelled,
            changes: effects.changes,
            emitted: effects.emitted,
            log: effects.log,
            skipped: effects.skipped,
            ..cause.effects(rule)
        })
    }

    fn fail(&mut self, rule: &Rule, Failed { cause, message }: Failed, hop: usize) {
        // A script may throw megabytes, and each failure is stored and logged.
        let message = truncate_to_bytes(&message, self.context.reaction_limits.log_bytes);
        self.evaluation.failures.push(Failure {
            rule: rule.name().to_owned(),
            hop,
            message: message.text.into_owned(),
            cause,
        });
    }

    /// Brings the changes of state so far into the overlay.
    fn apply_changes(&mut self) {
        for effects in &self.evaluation.rules[self.applied..] {
            self.state.apply(&effects.rule, &effects.changes);
        }
        self.applied = self.evaluation.rules.len();
    }
}

impl Cause<'_, '_> {
    /// A rule without effects.
    fn effects(&self, rule: &Rule) -> RuleEffects {
        let event = self.event.filter(|_| self.hop > 0);
        RuleEffects {
            rule: rule.name().to_owned(),
            labels: rule.labels().clone(),
            hop: self.hop,
            causes: self.causes.clone(),
            event: event.map(|event| event.event().clone()),
            ..RuleEffects::default()
        }
    }
}

impl AheadRun {
    /// What the rule did, if it would do the same now.
    // It depends only on the event, the time and what it read of the state.
    fn held(self, rule: &Rule, state: &dyn State, context: &Context<'_>) -> Option<Outcome> {
        if self.reads.is_empty() {
            return Some(self.outcome);
        }
        let held = self.reads.hold(rule.name(), state, context.now);
        context.history.record(self.rule, held);
        held.then_some(self.outcome)
    }
}

impl From<String> for Failed {
    /// The failure of a reaction that ran.
    fn from(message: String) -> Self {
        Self {
            cause: FailureCause::Reaction,
            message,
        }
    }
}
