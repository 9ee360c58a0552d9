//! The archive through the rules as they are now, and how that differs from what happened then.

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleSet};
use reflexarc_event::Json;
use reflexarc_reaction::MemoryState;

use crate::incoming::Incoming;
use crate::record::{number, object, strings};
use crate::store::{Archived, Selection, Store, StoreError};
use reflexarc_delivery::DeliveryId;

/// What is replayed, and how.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Which events.
    pub selection: Selection,
    /// Only what this rule asks for.
    pub rule: Option<String>,
    /// Deliver what the rules ask for, under this name: the same name delivers the same thing only once. `None` is a dry
    /// run, which changes nothing at all.
    pub deliver: Option<String>,
}

/// One event replayed.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The event as archived.
    pub archived: Archived,
    /// Actions, with their rules, that were asked for then and are not now.
    pub gone: Vec<Json>,
    /// Actions, with their rules, that are asked for now and were not then.
    pub new: Vec<Json>,
    /// How many actions are the same.
    pub same: usize,
    /// Reactions that go wrong now: `rule: why`.
    pub failures: Vec<String>,
    /// What was put into the outbox.
    pub deliveries: Vec<DeliveryId>,
}

impl Replay {
    /// Replays in order of acceptance, each event at the time of its acceptance, and calls `visit` for each until it says
    /// `false`. What rules remember starts empty and lives as long as the replay: the store's state is neither read nor
    /// changed, so rules that remember may ask for something else at the beginning than they did then.
    ///
    /// # Errors
    /// When the store cannot be read, or written where that was asked for.
    pub fn run(
        &self,
        store: &Store,
        rules: &RuleSet,
        mut visit: impl FnMut(Replayed) -> bool,
    ) -> Result<(), StoreError> {
        let mut state = MemoryState::new();
        let mut fault = None;
        store.walk(&self.selection, |archived| {
            match self.one(store, rules, &mut state, archived) {
                Ok(replayed) => visit(replayed),
                Err(error) => {
                    fault = Some(error);
                    false
                }
            }
        })?;
        fault.map_or(Ok(()), Err)
    }

    fn one(
        &self,
        store: &Store,
        rules: &RuleSet,
        state: &mut MemoryState,
        archived: Archived,
    ) -> Result<Replayed, StoreError> {
        let failed = |error: reflexarc_event::EventError| {
            StoreError::Failed(format!("event {}: {error}", archived.seq))
        };
        let mut incoming = Incoming::new(archived.event.clone()).map_err(failed)?;
        // An event without an id of its own keeps the one it was given when it was accepted.
        incoming.set_id(&archived.name.id);
        let mut evaluation = rules.evaluate(&incoming.native, state, archived.received);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        let wanted = |rule: &str| self.rule.as_ref().is_none_or(|only| only == rule);
        evaluation.rules.retain(|effects| wanted(&effects.rule));
        evaluation.failures.retain(|failure| wanted(&failure.rule));
        let (then, now) = (
            asked_then(archived.story.as_ref(), wanted),
            asked_now(&evaluation),
        );
        let (gone, new) = (without(&then, &now), without(&now, &then));
        let failures = evaluation
            .failures
            .iter()
            .map(|failure| format!("{}: {}", failure.rule, failure.message))
            .collect();
        let same = now.len() - new.len();
        let deliveries = match &self.deliver {
            Some(name) => store.accept_replay(
                &archived,
                incoming,
                evaluation,
                name.clone(),
                Timestamp::now(),
            )?,
            None => Vec::new(),
        };
        Ok(Replayed {
            archived,
            gone,
            new,
            same,
            failures,
            deliveries,
        })
    }
}

impl Replayed {
    /// Whether the rules ask for what they asked for then.
    pub fn agrees(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// As one document.
    pub fn to_json(&self) -> Json {
        let ids: Vec<String> = self.deliveries.iter().map(DeliveryId::to_string).collect();
        object([
            ("id", self.archived.name.id.as_str().into()),
            ("source", self.archived.name.source.as_str().into()),
            ("accepted", self.archived.received.to_string().into()),
            ("same", number(self.same)),
            ("gone", Json::Array(self.gone.clone())),
            ("new", Json::Array(self.new.clone())),
            ("failures", strings(&self.failures)),
            ("deliveries", strings(&ids)),
        ])
    }
}

/// `{"rule": …, "action": …}` for each action of a stored evaluation.
fn asked_then(story: Option<&Json>, wanted: impl Fn(&str) -> bool) -> Vec<Json> {
    let rules = story
        .and_then(|story| story.get("rules"))
        .map_or(&[][..], Json::elements);
    let named = rules
        .iter()
        .filter_map(|effects| Some((effects.get("rule")?.as_str()?, effects.get("actions")?)));
    named
        .filter(|(rule, _)| wanted(rule))
        .flat_map(|(rule, actions)| {
            actions
                .elements()
                .iter()
                .map(move |action| request(rule, action.clone()))
        })
        .collect()
}

fn asked_now(evaluation: &Evaluation) -> Vec<Json> {
    evaluation
        .actions()
        .map(|(effects, _, action)| request(&effects.rule, action.to_json()))
        .collect()
}

fn request(rule: &str, action: Json) -> Json {
    object([("rule", rule.into()), ("action", action)])
}

/// What is in `wanted` more often than in `others`.
fn without(wanted: &[Json], others: &[Json]) -> Vec<Json> {
    let mut left = others.to_vec();
    let mut missing = Vec::new();
    for asked in wanted {
        match left.iter().position(|other| other == asked) {
            Some(found) => drop(left.swap_remove(found)),
            None => missing.push(asked.clone()),
        }
    }
    missing
}
