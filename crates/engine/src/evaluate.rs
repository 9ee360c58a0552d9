//! Evaluating an event: from the rules that match it to the effects of all hops.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use reflexarc_diagnostic::truncate_to_bytes;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Effects, Input, ReactionLimits, ScriptEvent, State, Stopwatch};

use crate::ahead_history::AheadHistory;
use crate::gates::GateDecision;
use crate::overlay::StateOverlay;
use crate::reaction_failure::ReactionFailure;
use crate::recorded_state::{Reads, RecordedState};
use crate::rule::{Response, Rule};
use crate::{
    EffectSize, Evaluation, Failure, FailureCause, ReactionBudget, RuleEffects, RuleSetLimits,
};

/// What an evaluation needs besides the event.
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
    pub(crate) trace: Option<&'a RefCell<BTreeSet<usize>>>,
}

/// The rules that match an event.
pub(crate) struct Found<'a> {
    /// In the order of their names.
    pub(crate) rules: Vec<&'a Rule>,
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

/// The effects and notes of one rule on one event.
type Outcome = Result<(Effects, Vec<String>), Failed>;

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

/// What the rules have emitted and caused so far in one evaluation.
#[derive(Default)]
struct Totals {
    /// Number of emitted events.
    derived: usize,
    /// Bytes of all effects.
    bytes: usize,
    /// Bytes of the effects of each rule on emitted events.
    emitted_bytes: BTreeMap<String, usize>,
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
        if !context.history.is_worth_it(position) {
            ahead.runs.push(None);
            continue;
        }
        let state = RecordedState::new(context.state);
        let outcome = run_rule(rule, event, &mut script_event, &state, context);
        let reads = state.into_reads();
        let effects = outcome.as_ref().map_or(0, |(effects, _)| effects.bytes);
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
    let mut evaluation = Evaluation::default();
    let mut state = StateOverlay::new(context.state);
    let mut totals = Totals::default();
    // A queue, not a stack: all events of one hop are evaluated before any of the next. If a and b
    // match the original event and a emits x, the order is a(event), b(event), then the rules of x;
    // so b sees the state of a, but nothing that x causes. This order is part of the result: it is
    // how a replay comes to the same evaluation, byte for byte.
    let mut pending = VecDeque::from([PendingEvent {
        event: event.clone(),
        hop: 0,
        causes: Vec::new(),
        origin: None,
    }]);
    let (mut matching, mut ahead) = (Some(matching), ahead);
    // The number of effects whose changes of state are in the overlay.
    let mut applied = 0;
    while let Some(next) = pending.pop_front() {
        let PendingEvent {
            event,
            hop,
            causes,
            origin,
        } = next;
        // Rules see only their own state and run once on an event, so that what they store matters
        // to later events only, of which there are few.
        for effects in &evaluation.rules[applied..] {
            state.apply(&effects.rule, &effects.changes);
        }
        applied = evaluation.rules.len();
        let emitted = context.budget.zip(origin);
        if let Some((budget, origin)) = emitted {
            budget.begin_emitted(origin);
        }
        let Found { rules, undecided } = matching
            .take()
            .unwrap_or_else(|| (context.matching)(&event));
        let undecided = undecided.into_iter();
        evaluation
            .failures
            .extend(undecided.map(|failure| Failure { hop, ..failure }));
        // Converting an event for scripts costs more than most scripts: once for all rules, and
        // not at all where no script runs.
        let mut script_event = None;
        let mut runs = std::mem::take(&mut ahead).runs.into_iter();
        for rule in rules {
            let held = runs
                .next()
                .flatten()
                .and_then(|run| run.held(rule, &state, context));
            let outcome =
                held.unwrap_or_else(|| run_rule(rule, &event, &mut script_event, &state, context));
            // What rules have emitted and caused together is counted here, in their order, also
            // where a reaction ran ahead: which of them exceeds a limit depends on the order.
            let outcome = outcome.and_then(|(effects, notes)| {
                let emitted = totals.add(rule.name(), &effects, hop, context.limits)?;
                Ok((effects, emitted, notes))
            });
            let (effects, emitted, notes) = match outcome {
                Ok(outcome) => outcome,
                // A failing rule loses its own effects only; the others go on.
                Err(Failed { cause, message }) => {
                    // A script may throw megabytes, and each failure is stored and logged.
                    let message = truncate_to_bytes(&message, context.reaction_limits.log_bytes);
                    evaluation.failures.push(Failure {
                        rule: rule.name().to_owned(),
                        hop,
                        message: message.text.into_owned(),
                        cause,
                    });
                    continue;
                }
            };
            for event in emitted {
                let mut causes = causes.clone();
                causes.push(rule.name().to_owned());
                pending.push_back(PendingEvent {
                    event,
                    hop: hop + 1,
                    causes,
                    origin: origin.or(Some(rule)),
                });
            }
            evaluation.rules.push(RuleEffects {
                rule: rule.name().to_owned(),
                labels: rule.labels().clone(),
                hop,
                causes: causes.clone(),
                event: (hop > 0).then(|| event.event().clone()),
                actions: effects.actions,
                changes: effects.changes,
                emitted: effects.emitted,
                log: effects.log,
                skipped: effects.skipped,
                notes,
            });
        }
        if let Some((budget, origin)) = emitted {
            budget.end_emitted(origin);
        }
    }
    evaluation.effect_bytes = totals.bytes;
    evaluation
}

/// Runs one rule on one event: its gates, then its reaction. Returns the effects and the notes.
fn run_rule(
    rule: &Rule,
    event: &NativeEvent,
    script_event: &mut Option<ScriptEvent>,
    state: &dyn State,
    context: &Context<'_>,
) -> Outcome {
    let max_entries = rule.max_entries;
    let decision = rule
        .gates
        .decide(rule.name(), event.event(), state, context.now, max_entries);
    let (suppressed, changes, mut notes) = match decision {
        GateDecision::Allow {
            suppressed,
            changes,
            notes,
        } => (suppressed, changes, notes),
        GateDecision::Suppress {
            reason,
            changes,
            notes,
        } => {
            let mut effects = Effects::default();
            effects.changes = changes;
            effects.skipped = Some(reason);
            return Ok((effects, notes));
        }
    };
    // Not measured as a part of the first reaction that needs it: all of them share it, and for an
    // event of 1 MB it takes milliseconds.
    if let Response::Script { .. } = &rule.response {
        script_event.get_or_insert_with(|| ScriptEvent::new(event.event()));
    }
    let mut effects = match context.budget {
        None => react(rule, event, script_event, suppressed, state, context)?,
        Some(budget) => {
            budget.begin(rule).map_err(|message| Failed {
                cause: FailureCause::Budget,
                message,
            })?;
            let effects = react(rule, event, script_event, suppressed, state, context);
            let size = effects.as_ref().map(EffectSize::of);
            budget.end(rule, size.unwrap_or_default());
            effects?
        }
    };
    notes.append(&mut effects.notes);
    // A window limits what leaves the rule, so only that opens one. Example of `once` within 24h: a
    // script that notifies from the third failure on runs to its end on the first two without an
    // action. If the first of them opened the window, the third would be suppressed. Ending with
    // `skip` is the same case with a reason.
    if !effects.actions.is_empty() || !effects.emitted.is_empty() {
        effects.changes.extend(changes);
    }
    Ok((effects, notes))
}

/// Runs the reaction of a rule whose gates allow it.
fn react(
    rule: &Rule,
    event: &NativeEvent,
    script_event: &mut Option<ScriptEvent>,
    suppressed: u64,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<Effects, Failed> {
    match &rule.response {
        Response::None => Ok(Effects::default()),
        Response::Notification(notification) => {
            let limits = context.reaction_limits;
            let (event, info) = (event.event(), &rule.info);
            let actions = notification.actions(event, info, context.now, suppressed, limits);
            let (actions, bytes) = actions.map_err(|failure| rule.describe(failure))?;
            let mut effects = Effects::default();
            (effects.actions, effects.bytes) = (actions, bytes);
            Ok(effects)
        }
        Response::Script { reaction, source } => {
            let event = script_event.get_or_insert_with(|| ScriptEvent::new(event.event()));
            let mut input = Input::new(event, &rule.info, context.now);
            if let Some(stopwatch) = context.stopwatch {
                input = input.with_stopwatch(stopwatch);
            }
            let result = match context.trace {
                None => reaction.run(&input, state),
                Some(trace) => {
                    let (result, lines) = reaction.run_traced(&input, state);
                    trace.borrow_mut().extend(lines);
                    result
                }
            };
            let described = |error| rule.describe(ReactionFailure::new(&error, source));
            Ok(result.map_err(described)?)
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

impl Totals {
    /// Adds the effects of a run of `rule` if all are within the limits, and returns the emitted
    /// events in native form: rules match them like any event.
    fn add(
        &mut self,
        rule: &str,
        effects: &Effects,
        hop: usize,
        limits: &RuleSetLimits,
    ) -> Result<Vec<NativeEvent>, String> {
        let bytes = self.bytes.saturating_add(effects.bytes);
        if bytes > limits.effect_bytes {
            return Err(format!(
                "the effects of all rules on this event have more than {} bytes",
                limits.effect_bytes
            ));
        }
        let before = self.emitted_bytes.get(rule).copied().unwrap_or(0);
        let emitted_bytes = before.saturating_add(effects.bytes);
        if hop > 0 && emitted_bytes > limits.emitted_effect_bytes {
            return Err(format!(
                "the effects of the rule on emitted events have more than {} bytes",
                limits.emitted_effect_bytes
            ));
        }
        let emitted = self.check_emitted(effects, hop, limits)?;
        self.bytes = bytes;
        self.derived += emitted.len();
        if hop > 0 {
            self.emitted_bytes.insert(rule.to_owned(), emitted_bytes);
        }
        Ok(emitted)
    }

    fn check_emitted(
        &self,
        effects: &Effects,
        hop: usize,
        limits: &RuleSetLimits,
    ) -> Result<Vec<NativeEvent>, String> {
        // Two limits, because cycles grow in two ways. One event emitted per hop ends at 8 hops.
        // Two per hop would be 2 + 4 + 8 + … = 510 events by then; the second limit ends this at
        // 64.
        if effects.emitted.is_empty() {
            return Ok(Vec::new());
        }
        if hop >= limits.hops {
            return Err(format!(
                "`emit` would start hop {}, but at most {} are allowed; \
                 do rules emit events for each other in a cycle?",
                hop + 1,
                limits.hops
            ));
        }
        if self.derived + effects.emitted.len() > limits.derived {
            return Err(format!(
                "`emit` exceeds the limit of {} derived events per evaluation",
                limits.derived
            ));
        }
        let emitted = effects.emitted.iter().cloned().map(NativeEvent::new);
        let emitted = emitted.collect::<Result<_, _>>();
        emitted.map_err(|error| format!("invalid emitted event: {error}"))
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
