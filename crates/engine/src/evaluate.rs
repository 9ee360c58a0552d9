//! From the rules that match an event to everything that follows from it, hop by hop.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Effects, Input, Limits as ReactionLimits, ScriptEvent, State, Stopwatch};

use crate::gate::Verdict;
use crate::notice::NoticeError;
use crate::overlay::Overlay;
use crate::rule::{Response, Rule};
use crate::{Evaluation, Failure, Limits, RuleEffects};

/// What an evaluation needs besides the event.
pub(crate) struct Setting<'a> {
    /// The rules that match an event, in the order of their names.
    pub(crate) matching: &'a dyn Fn(&NativeEvent) -> Vec<&'a Rule>,
    pub(crate) state: &'a dyn State,
    pub(crate) now: Timestamp,
    pub(crate) stopwatch: Option<Stopwatch<'a>>,
    pub(crate) limits: &'a Limits,
    pub(crate) reaction_limits: &'a ReactionLimits,
    /// Where the lines of scripts that ran are noted, for coverage; that makes scripts far slower.
    pub(crate) trace: Option<&'a RefCell<BTreeSet<usize>>>,
}

/// An event on its way to the rules.
struct Wave {
    event: NativeEvent,
    hop: usize,
    causes: Vec<String>,
}

/// Runs the reactions of the rules that match `event`, and of those that match what they emit.
pub(crate) fn evaluate<'a>(
    event: &NativeEvent,
    first: Vec<&'a Rule>,
    setting: &Setting<'a>,
) -> Evaluation {
    let mut evaluation = Evaluation::default();
    let mut state = Overlay::new(setting.state);
    let mut derived = 0;
    let mut waves = VecDeque::from([Wave {
        event: event.clone(),
        hop: 0,
        causes: Vec::new(),
    }]);
    let mut first = Some(first);
    while let Some(wave) = waves.pop_front() {
        let rules = first
            .take()
            .unwrap_or_else(|| (setting.matching)(&wave.event));
        let mut script = None;
        for rule in rules {
            let outcome = react(rule, &wave.event, &mut script, &state, setting)
                .and_then(|effects| bounded(effects, wave.hop, derived, setting.limits));
            let (effects, emitted) = match outcome {
                Ok(outcome) => outcome,
                Err(message) => {
                    evaluation.failures.push(Failure {
                        rule: rule.name().to_owned(),
                        hop: wave.hop,
                        message,
                    });
                    continue;
                }
            };
            state.apply(rule.name(), &effects.changes);
            derived += effects.emitted.len();
            for event in emitted {
                let mut causes = wave.causes.clone();
                causes.push(rule.name().to_owned());
                waves.push_back(Wave {
                    event,
                    hop: wave.hop + 1,
                    causes,
                });
            }
            evaluation.rules.push(RuleEffects {
                rule: rule.name().to_owned(),
                hop: wave.hop,
                causes: wave.causes.clone(),
                seen: (wave.hop > 0).then(|| wave.event.event().clone()),
                actions: effects.actions,
                changes: effects.changes,
                emitted: effects.emitted,
                log: effects.log,
                skipped: effects.skipped,
            });
        }
    }
    evaluation
}

/// One rule's answer to one event; the script's view of the event is made for the first script that needs it.
fn react(
    rule: &Rule,
    event: &NativeEvent,
    script: &mut Option<ScriptEvent>,
    state: &dyn State,
    setting: &Setting<'_>,
) -> Result<Effects, String> {
    let most = setting.reaction_limits.state_entries;
    let (suppressed, changes) =
        match rule
            .gates
            .ask(rule.name(), event.event(), state, setting.now, most)
        {
            Verdict::Pass {
                suppressed,
                changes,
            } => (suppressed, changes),
            Verdict::Hold { reason, changes } => {
                return Ok(Effects {
                    changes,
                    skipped: Some(reason),
                    ..Effects::default()
                });
            }
        };
    let failed = |error: NoticeError| match error.at {
        Some(at) => {
            let (line, column) = rule.line_and_column(at);
            format!("{}:{line}:{column}: {}", rule.file(), error.message)
        }
        None => error.message,
    };
    let mut effects = match &rule.response {
        Response::Nothing => Effects::default(),
        Response::Notice(notice) => {
            let actions = notice
                .actions(event.event(), &rule.facts, setting.now, suppressed)
                .map_err(failed)?;
            Effects {
                actions,
                ..Effects::default()
            }
        }
        Response::Script { reaction, source } => {
            let event = script.get_or_insert_with(|| ScriptEvent::new(event.event()));
            let mut input = Input::new(event, &rule.facts, setting.now);
            if let Some(stopwatch) = setting.stopwatch {
                input = input.with_stopwatch(stopwatch);
            }
            let result = match setting.trace {
                None => reaction.run(&input, state),
                Some(trace) => {
                    let (result, lines) = reaction.run_traced(&input, state);
                    trace.borrow_mut().extend(lines);
                    result
                }
            };
            result.map_err(|error| failed(NoticeError::new(&error, source)))?
        }
    };
    // What ended with `skip` has not spoken, so that the next event may.
    if effects.skipped.is_none() {
        effects.changes.extend(changes);
    }
    Ok(effects)
}

/// The effects, if what they emit is within the limits, and the emitted events in native form: rules of the next hop look
/// at them as they look at any event.
fn bounded(
    effects: Effects,
    hop: usize,
    derived: usize,
    limits: &Limits,
) -> Result<(Effects, Vec<NativeEvent>), String> {
    if effects.emitted.is_empty() {
        return Ok((effects, Vec::new()));
    }
    if hop >= limits.hops {
        return Err(format!(
            "this `emit` would be hop {}, but at most {} are allowed: do rules feed each other in a circle?",
            hop + 1,
            limits.hops
        ));
    }
    if derived + effects.emitted.len() > limits.derived {
        return Err(format!(
            "this `emit` exceeds the {} derived events allowed after one event",
            limits.derived
        ));
    }
    let emitted = effects.emitted.iter().cloned().map(NativeEvent::new);
    let emitted = emitted.collect::<Result<_, _>>();
    let emitted = emitted.map_err(|error| format!("emitted event: {error}"))?;
    Ok((effects, emitted))
}
