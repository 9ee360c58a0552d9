//! Replaying the archive with the current rules, and comparing with what happened at the time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleSet};
use reflexarc_delivery::DeliveryId;
use reflexarc_event::{EventError, EventIdentity, Json};
use reflexarc_reaction::MemoryState;

use super::answer_entry::answered_call;
use super::replay_firings::Firings;
use crate::store::{
    Archived, DamagedEvent, EntryKind, Incoming, ReplayAccepted, Selection, Store, StoreError,
};

/// What to replay, and whether to deliver.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc::{Evaluation, RuleSet};
/// use reflexarc_event::Event;
/// use reflexarc_service::operate::Replay;
/// use reflexarc_service::{Config, Incoming, SqliteStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let options = Config::default().store_options;
/// let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options)?;
/// let incoming = Incoming::new(Event::from_json(r#"{"id": "1", "level": "WARN"}"#)?)?;
/// store.accept(incoming, Evaluation::default(), Timestamp::now())?;
///
/// // There was no rule when the event was accepted; now there is one.
/// let rule = "when = 'level == \"WARN\"'\nthen = 'send(\"inventory\", event.id);'";
/// let rules = RuleSet::compile([("warnings.toml", rule)])?;
/// let mut new = 0;
/// Replay::default().run(&store, &rules, |replayed| {
///     let replayed = replayed.expect("no event is damaged");
///     assert!(!replayed.agrees());
///     new += replayed.new.len();
///     true
/// })?;
/// assert_eq!(new, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Which events.
    pub selection: Selection,
    /// Only the actions of this rule.
    pub rule: Option<String>,
    /// Only the actions of rules whose reactions failed at the time, and only their events: what
    /// was lost to an error of a script or to a budget, without repeating what was delivered.
    pub failed: bool,
    /// Delivers the actions under this name; the same name delivers the same action only once.
    /// `None` is a dry run, which changes nothing.
    pub deliver: Option<String>,
}

/// One replayed event, firing or answer to a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Replayed {
    /// The event or firing as archived; of a firing that was not recorded, an entry with its time
    /// and key.
    pub archived: Archived,
    /// Actions, with their rules, that the rules returned at the time and do not return now.
    pub gone: Vec<Json>,
    /// Actions, with their rules, that the rules return now and did not return at the time.
    pub new: Vec<Json>,
    /// Number of actions that are the same.
    pub same: usize,
    /// Reactions that fail now, as `rule: message`.
    pub failures: Vec<String>,
    /// Deliveries that were put into the outbox.
    pub deliveries: Vec<DeliveryId>,
    /// Number of deliveries that an earlier replay of this name had put into the outbox.
    pub repeated: usize,
    /// Number of calls of operations that were left out: they are never made again.
    pub calls: usize,
}

impl Replay {
    /// Replays events in order of acceptance, each at the time of its acceptance, and calls `visit`
    /// for each until it returns `false`. An event that cannot be read back is visited as
    /// [`DamagedEvent`] and does not end the replay.
    ///
    /// Deadlines of rules with a time window fire on the clock of the archive, and wait after the
    /// times in which nothing ran as they did. Each firing is visited, as an entry of its own: with
    /// the one that was recorded for the same rule, key and deadline, if there is one.
    ///
    /// Answers to calls are those of then, also where the rules call otherwise now; the calls
    /// themselves are never made again.
    ///
    /// Rule state starts empty and lives as long as the replay; the store's state is neither read
    /// nor changed. So rules with state may differ at the beginning: a counter starts at 0 although
    /// it was at 7 at the time.
    ///
    /// # Errors
    /// If the store cannot be read, or cannot be written while delivering.
    pub fn run(
        &self,
        store: &dyn Store,
        rules: &RuleSet,
        mut visit: impl FnMut(Result<Replayed, DamagedEvent>) -> bool,
    ) -> Result<(), StoreError> {
        // Not the store's state: that is as of now, after all these events.
        let mut state = MemoryState::new();
        let has_windows = rules.has_windows();
        let (mut firings, mut is_over) = (Firings::default(), false);
        let mut failure = None;
        let mut replay = |archived| {
            // One damaged event does not keep the events after it from being replayed.
            let archived = match archived {
                Ok(archived) => archived,
                Err(damaged) => return visit(Err(damaged)),
            };
            if has_windows {
                firings.advance(rules, &mut state, &archived);
            }
            let replayed = match archived.entry {
                EntryKind::Event => self.replay_event(store, rules, &mut state, archived),
                EntryKind::Firing => {
                    let evaluation = firings.take(&archived);
                    self.replay_entry(store, archived, evaluation)
                }
                // With the answer of then: no operation is called again.
                EntryKind::Answer => answered_call(&archived).and_then(|call| {
                    let evaluation = rules.answer(&call, &state, archived.received);
                    for (rule, changes) in evaluation.changes() {
                        state.apply(rule, changes);
                    }
                    self.replay_entry(store, archived, evaluation)
                }),
                _ => return true,
            };
            match replayed {
                Ok(Some(replayed)) => visit(Ok(replayed)),
                Ok(None) => true,
                // `walk` has no way to stop with an error, so it is kept and returned afterwards.
                Err(error) => {
                    failure = Some(error);
                    false
                }
            }
        };
        store.walk(&self.selection, &mut |archived| {
            is_over = !replay(archived);
            !is_over
        })?;
        // What fires now and was never recorded.
        for (archived, evaluation) in firings.rest() {
            if is_over || failure.is_some() {
                break;
            }
            let replayed = self.replay_entry(store, archived, evaluation)?;
            is_over = replayed.is_some_and(|replayed| !visit(Ok(replayed)));
        }
        failure.map_or(Ok(()), Err)
    }

    /// Compares what a deadline or answer leads to now with the recorded entry, and delivers it.
    /// `None` if nothing of it is selected.
    fn replay_entry(
        &self,
        store: &dyn Store,
        archived: Archived,
        mut evaluation: Evaluation,
    ) -> Result<Option<Replayed>, StoreError> {
        let failed = failed_rules(archived.evaluation.as_ref());
        let selected = self.selected(&failed);
        let mut replayed = Replayed::compare(archived, &evaluation, selected);
        let is_empty = replayed.same == 0 && replayed.agrees() && replayed.failures.is_empty();
        if is_empty {
            return Ok(None);
        }
        evaluation.rules.retain(|effects| selected(&effects.rule));
        if let Some(name) = self
            .deliver
            .as_ref()
            .filter(|_| !evaluation.rules.is_empty())
        {
            let incoming = incoming_of_entry(&replayed.archived, &evaluation)?;
            let archived = &replayed.archived;
            let (name, now) = (name.clone(), Timestamp::now());
            let accepted = store.accept_replay(archived, incoming, evaluation, name, now)?;
            replayed.deliver(accepted);
        }
        Ok(Some(replayed))
    }

    /// Whether a rule is selected, of an entry at which these rules failed.
    fn selected<'a>(&'a self, failed: &'a BTreeSet<String>) -> impl Fn(&str) -> bool + Copy + 'a {
        move |rule| {
            let is_wanted = self.rule.as_ref().is_none_or(|only| only == rule);
            is_wanted && (!self.failed || failed.contains(rule))
        }
    }

    fn replay_event(
        &self,
        store: &dyn Store,
        rules: &RuleSet,
        state: &mut MemoryState,
        archived: Archived,
    ) -> Result<Option<Replayed>, StoreError> {
        let failed =
            |error: EventError| StoreError::Failed(format!("event {}: {error}", archived.seq));
        let mut incoming = Incoming::new(archived.event.clone()).map_err(failed)?;
        // An event without an id was given a random one; delivery ids are derived from it, so the
        // archived one is used and not a new one.
        incoming.set_id(&archived.name.id);
        // At the time of acceptance, so that throttles and expiries behave as they did; delivery
        // below is at the present time.
        let mut evaluation = rules.evaluate(&incoming.native, state, archived.received);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        // All rules run, because the state of each must go on; then the others are left out.
        let failed = failed_rules(archived.evaluation.as_ref());
        let selected = self.selected(&failed);
        if self.failed && !failed.iter().any(|rule| selected(rule)) {
            return Ok(None);
        }
        evaluation.rules.retain(|effects| selected(&effects.rule));
        evaluation
            .failures
            .retain(|failure| selected(&failure.rule));
        let mut replayed = Replayed::compare(archived, &evaluation, selected);
        let accepted = match &self.deliver {
            Some(name) => store.accept_replay(
                &replayed.archived,
                incoming,
                evaluation,
                name.clone(),
                Timestamp::now(),
            )?,
            None => ReplayAccepted::default(),
        };
        replayed.deliver(accepted);
        Ok(Some(replayed))
    }
}

impl Replayed {
    /// Compares an evaluation with the recorded one, of the rules that are selected.
    fn compare(
        archived: Archived,
        evaluation: &Evaluation,
        selected: impl Fn(&str) -> bool + Copy,
    ) -> Self {
        let before = archived_actions(archived.evaluation.as_ref(), selected);
        let now = evaluated_actions(evaluation, selected);
        let (gone, new) = (difference(&before, &now), difference(&now, &before));
        let failures = evaluation.failures.iter();
        let failures = failures.filter(|failure| selected(&failure.rule));
        let failures = failures.map(|failure| format!("{}: {}", failure.rule, failure.message));
        // What is not new was there before.
        let same = now.len() - new.len();
        Self {
            archived,
            gone,
            new,
            same,
            failures: failures.collect(),
            deliveries: Vec::new(),
            repeated: 0,
            calls: 0,
        }
    }

    fn deliver(&mut self, accepted: ReplayAccepted) {
        self.deliveries = accepted.deliveries;
        self.repeated = accepted.repeated;
        self.calls = accepted.calls;
    }

    /// Whether the rules return the same actions as at the time.
    pub fn agrees(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// As one JSON document.
    pub fn to_json(&self) -> Json {
        let ids: Vec<String> = self.deliveries.iter().map(DeliveryId::to_string).collect();
        let mut json = Json::object([
            ("id", self.archived.name.id.as_str().into()),
            ("source", self.archived.name.source.as_str().into()),
            ("accepted", self.archived.received.to_string().into()),
            ("same", Json::count(self.same)),
            ("gone", Json::Array(self.gone.clone())),
            ("new", Json::Array(self.new.clone())),
            ("failures", Json::strings(&self.failures)),
            ("deliveries", Json::strings(&ids)),
            ("repeated", Json::count(self.repeated)),
        ]);
        // Only where it is no event, so that other documents stay as they were.
        if let Json::Object(members) = &mut json {
            if self.archived.entry != EntryKind::Event {
                let entry = self.archived.entry.as_str();
                members.push(("entry".to_owned(), entry.into()));
            }
            if self.calls > 0 {
                members.push(("calls_left_out".to_owned(), Json::count(self.calls)));
            }
        }
        json
    }
}

/// A firing or answer as what causes deliveries: under the name and resource of its event, and
/// distinct by rule and time.
fn incoming_of_entry(archived: &Archived, evaluation: &Evaluation) -> Result<Incoming, StoreError> {
    let failed = |error: EventError| StoreError::Failed(format!("entry {}: {error}", archived.seq));
    let mut incoming = Incoming::new(archived.event.clone()).map_err(failed)?;
    incoming.name.clone_from(&archived.name);
    let first = evaluation.rules.first();
    incoming.identity = EventIdentity {
        source: archived.name.source.clone(),
        id: archived.name.id.clone(),
        name: first.map_or_else(String::new, |effects| effects.rule.clone()),
        resource: archived.resource.clone(),
        time: archived.received.to_string(),
    };
    Ok(incoming)
}

/// The rules whose reactions failed in an archived evaluation.
fn failed_rules(evaluation: Option<&Json>) -> BTreeSet<String> {
    let failures = evaluation
        .and_then(|evaluation| evaluation.get("failures"))
        .map_or(&[][..], Json::elements);
    let rules = failures.iter().filter_map(|failure| failure.get("rule"));
    rules.filter_map(Json::as_str).map(str::to_owned).collect()
}

/// `{"rule": …, "action": …}` for each action of an archived evaluation.
fn archived_actions(evaluation: Option<&Json>, selected: impl Fn(&str) -> bool) -> Vec<Json> {
    let rules = evaluation
        .and_then(|evaluation| evaluation.get("rules"))
        .map_or(&[][..], Json::elements);
    let mut actions = Vec::new();
    for effects in rules {
        let rule = effects.get("rule").and_then(Json::as_str);
        if let (Some(rule), Some(list)) = (rule, effects.get("actions"))
            && selected(rule)
        {
            let list = list.elements().iter();
            actions.extend(list.map(|action| rule_action(rule, action.clone())));
        }
    }
    actions
}

/// The same for an evaluation.
fn evaluated_actions(evaluation: &Evaluation, selected: impl Fn(&str) -> bool) -> Vec<Json> {
    evaluation
        .actions()
        .filter(|(effects, ..)| selected(&effects.rule))
        .map(|(effects, _, action)| rule_action(&effects.rule, action.to_json()))
        .collect()
}

fn rule_action(rule: &str, action: Json) -> Json {
    Json::object([("rule", rule.into()), ("action", action)])
}

/// The multiset difference: what is in `left` more often than in `right`. A rule that sent the same
/// message twice and sends it once now differs in one action.
fn difference(left: &[Json], right: &[Json]) -> Vec<Json> {
    let mut unmatched = right.to_vec();
    let mut difference = Vec::new();
    for action in left {
        match unmatched.iter().position(|other| other == action) {
            Some(found) => drop(unmatched.swap_remove(found)),
            None => difference.push(action.clone()),
        }
    }
    difference
}
