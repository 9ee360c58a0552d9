//! Storing one entry: archive, state and outbox in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::{ArchivePosition, DeliveryId, Phase, number_actions};
use reflexarc_event::{Event, EventIdentity, Json, NativeEvent};
use reflexarc_reaction::{Action, StateChange};

use super::calls::{NewCall, PackedEvent};
use super::compression::pack;
use super::delays::{InProgress, Name, Reach};
use super::incident_messages::NOT_OPENED;
use super::incidents::Ending;
use super::order::{self, Entry};
use super::program_state::KEPT;
use super::{archive, calls, copies, delays, incident_messages, incidents, micros, outbox, state};
use crate::database::{self, Connection, ToValue, params};
use crate::recorded_change::read_changes;
use crate::{
    Accepted, DeliveryStatus, EntryKind, IncidentEnd, Incoming, NewEntry, RecordedChange,
    ReplayAccepted, StoreError, evaluation_to_json, phase_of,
};

/// A new delivery. Fails if its id is taken.
const INSERT: &str = "INSERT INTO delivery (id, seq, source, event, resource, rule, target, \
                      action, replay, created, since, set_at, due, number, order_key, head, \
                      scope, firing, delay, delay_key, incident)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?10, ?12, ?13, ?14, \
                      ?15, ?16, ?17, ?18, ?19, ?20)";
/// The same, which inserts nothing if the id is taken.
const INSERT_IF_NEW: &str = "INSERT INTO delivery (id, seq, source, event, resource, rule, \
                             target, action, replay, created, since, set_at, due, number, \
                             order_key, head, scope, firing, delay, delay_key, incident)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?10, ?12, \
                             ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
                             ON CONFLICT (id) DO NOTHING";

/// What an entry is about: the event for which it and its deliveries are found.
pub(super) struct Cause<'a> {
    /// Distinguishes its deliveries from those of all other entries.
    identity: &'a EventIdentity,
    source: &'a str,
    event: &'a str,
    resource: &'a str,
    /// The event that was evaluated, in native form, if the entry is one.
    native: Option<&'a Event>,
}

/// Stores an event that is no copy, with its state changes and deliveries. `is_known_id`: the
/// archive has an event of its id, see [`copies`].
pub(super) fn insert(
    connection: &Connection,
    incoming: &Incoming,
    evaluation: &Evaluation,
    is_known_id: bool,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let cause = Cause::from(incoming);
    let own_fingerprint = incoming.fingerprint.as_ref().filter(|_| !is_known_id);
    let recorded = RecordedEvaluation::new(connection, evaluation, now)?;
    let row = ArchiveRow {
        seq: None,
        cause: &cause,
        entry: EntryKind::Event,
        kind: &incoming.identity.name,
        received: now,
        // As received, byte for byte: what the sender meant can be argued about only with the
        // original, and a later version may convert an envelope better.
        body: incoming.native.original().bytes(),
        evaluation: Some(&recorded),
        fingerprint: own_fingerprint,
    };
    let seq = row.insert(connection)?;
    if let Some(fingerprint) = incoming.fingerprint.as_ref().filter(|_| is_known_id) {
        copies::keep(connection, fingerprint, seq, micros(now))?;
    }
    apply(connection, &row, seq, &recorded, None, now)
}

/// Stores an entry that is no event, with its state changes and deliveries.
pub(super) fn insert_entry(
    connection: &Connection,
    entry: &NewEntry,
    evaluation: &Evaluation,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let body = entry.detail.to_string();
    let recorded = RecordedEvaluation::new(connection, evaluation, entry.at)?;
    let row = ArchiveRow {
        seq: None,
        cause: &Cause::from(entry),
        entry: entry.kind,
        kind: entry.kind.as_str(),
        received: entry.at,
        body: body.as_bytes(),
        evaluation: Some(&recorded),
        fingerprint: None,
    };
    let seq = row.insert(connection)?;
    let closed = (entry.kind == EntryKind::Closed).then_some(&entry.detail);
    apply(connection, &row, seq, &recorded, closed, now)
}

/// Stores an event that a match refers to and a program has evaluated, at its position.
pub(super) fn insert_kept_event(
    connection: &Connection,
    seq: i64,
    event: &NativeEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let identity = event.identity();
    let identity = identity.unwrap_or_else(|| EventIdentity::with_id(event, ""));
    let row = ArchiveRow {
        seq: Some(seq),
        cause: &Cause {
            identity: &identity,
            source: &identity.source,
            event: &identity.id,
            resource: &identity.resource,
            native: None,
        },
        entry: EntryKind::Emitted,
        kind: KEPT,
        received: now,
        body: event.original().bytes(),
        evaluation: None,
        fingerprint: None,
    };
    row.insert(connection)?;
    Ok(())
}

/// Applies the state changes of an entry and stores its deliveries, which are created `now`.
/// `closed` says who closes a match, if the entry is about that.
fn apply(
    connection: &Connection,
    row: &ArchiveRow<'_>,
    seq: i64,
    recorded: &RecordedEvaluation<'_>,
    closed: Option<&Json>,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let evaluation = recorded.evaluation;
    for (position, event) in emitted_events(evaluation, seq, row.entry)? {
        let emitted = ArchiveRow {
            seq: Some(position),
            entry: EntryKind::Emitted,
            kind: EntryKind::Emitted.as_str(),
            body: event.original().bytes(),
            evaluation: None,
            fingerprint: None,
            ..*row
        };
        emitted.insert(connection)?;
    }
    // Before the deliveries, but in the same transaction: neither exists without the other. A
    // counter that was incremented without its notification, or the other way round, could not be
    // repaired later.
    let received = row.received;
    let position = ArchivePosition { seq, received };
    let mut incidents = Vec::with_capacity(evaluation.rules.len());
    for effects in &evaluation.rules {
        let has_failed = || {
            evaluation
                .failures
                .iter()
                .any(|one| one.rule == effects.rule)
        };
        let is_resolved = phase_of(effects.firing.as_ref()) == Phase::Resolved;
        let text = |name| closed.and_then(|closed| closed.get(name)?.as_str());
        let ending = Ending {
            how: match closed {
                Some(_) => IncidentEnd::Closed,
                // The match has ended also where `resolved` failed.
                None if is_resolved || has_failed() => IncidentEnd::Resolved,
                None => IncidentEnd::Forgotten,
            },
            at: received,
            by: text("by"),
            reason: text("reason"),
        };
        incidents.push(apply_changes(connection, effects, position, &ending)?);
    }
    let queued = enqueue(connection, position, row.cause, evaluation, &incidents, now)?;
    if !queued.notes.is_empty() {
        add_notes(connection, seq, recorded, queued.notes)?;
    }
    let (deliveries, targets) = (queued.deliveries, queued.targets);
    Ok(Accepted {
        seq,
        duplicate: false,
        matched: evaluation.rules.len(),
        failures: evaluation.failures.len(),
        deliveries,
        targets,
    })
}

/// Applies the state changes of a rule. Returns the incident that its deliveries are of.
fn apply_changes(
    connection: &Connection,
    effects: &RuleEffects,
    position: ArchivePosition,
    ending: &Ending<'_>,
) -> Result<Option<i64>, StoreError> {
    let (rule, changes) = (&effects.rule, &effects.changes);
    if phase_of(effects.firing.as_ref()) == Phase::Resolved {
        // Looked for before it ends.
        let incident = match incidents::match_key(effects) {
            Some(key) => incidents::of_match(connection, rule, key)?,
            None => None,
        };
        state::apply(connection, rule, changes, ending)?;
        return Ok(incident);
    }
    state::apply(connection, rule, changes, ending)?;
    let (seq, at) = (position.seq, position.received);
    let incident = incidents::record_firing(connection, effects, seq, at)?;
    if let Some(incident) = incident
        && !effects.actions.is_empty()
    {
        incident_messages::remember_targets(connection, incident, effects)?;
    }
    Ok(incident)
}

/// The events that rules have emitted and matches refer to, by their positions: those after the
/// entry at `seq`.
///
/// An event that a match keeps has the position that the evaluation gave it. If another one was
/// stored there meanwhile, the match would refer to that: such an evaluation is not stored.
fn emitted_events(
    evaluation: &Evaluation,
    seq: i64,
    entry: EntryKind,
) -> Result<BTreeMap<i64, &NativeEvent>, StoreError> {
    let mut emitted = BTreeMap::new();
    for effects in &evaluation.rules {
        for change in &effects.changes {
            let StateChange::SetMatch { kept, event, .. } = change else {
                continue;
            };
            let Some(event) = event else { continue };
            let position = event.position.cast_signed();
            let is_own = entry == EntryKind::Event && effects.hop == 0;
            let is_expected = if is_own {
                position == seq
            } else {
                position > seq
            };
            if !is_expected {
                return Err(StoreError::Failed(format!(
                    "an event of a match of rule {} has position {position}, but its entry has \
                     {seq}",
                    effects.rule
                )));
            }
            if !is_own && kept.positions.contains(&event.position) {
                emitted.insert(position, &event.event);
            }
        }
    }
    Ok(emitted)
}

/// A new row of the archive.
struct ArchiveRow<'a> {
    /// Its position; the next one if there is none.
    seq: Option<i64>,
    cause: &'a Cause<'a>,
    entry: EntryKind,
    kind: &'a str,
    received: Timestamp,
    body: &'a [u8],
    evaluation: Option<&'a RecordedEvaluation<'a>>,
    fingerprint: Option<&'a [u8; 16]>,
}

/// An evaluation with what the archive records besides it.
struct RecordedEvaluation<'a> {
    evaluation: &'a Evaluation,
    changes: Vec<Vec<RecordedChange>>,
}

impl<'a> RecordedEvaluation<'a> {
    /// Of an evaluation at the time `now` whose changes of state are not applied yet.
    fn new(
        connection: &Connection,
        evaluation: &'a Evaluation,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let read = |rule: &str, key: &str| state::recorded_value(connection, rule, key, now);
        let changes = read_changes(evaluation, read, now)?;
        Ok(Self {
            evaluation,
            changes,
        })
    }
}

impl ArchiveRow<'_> {
    /// Returns its position.
    fn insert(&self, connection: &Connection) -> Result<i64, StoreError> {
        // The database numbers rows, but a server would have to be waited for.
        let seq = match self.seq {
            None if connection.is_shared() => {
                Some(archive::next_position(connection)?.cast_signed())
            }
            seq => seq,
        };
        // Most events match no rule; they cost no evaluation column at all.
        let recorded = self.evaluation.filter(|one| !one.evaluation.is_empty());
        let evaluation = recorded.map(
            |RecordedEvaluation {
                 evaluation,
                 changes,
             }| {
                let json = evaluation_to_json(evaluation, changes).to_string();
                pack(json.as_bytes())
            },
        );
        let sql = "INSERT INTO archive (seq, source, id, kind, resource, received, size, body,
                                        evaluation, fingerprint, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING seq";
        let row = (
            seq,
            self.cause.source,
            self.cause.event,
            self.kind,
            self.cause.resource,
            micros(self.received),
            // The size bounds decompression when the event is read back.
            i64::try_from(self.body.len()).unwrap_or(i64::MAX),
            pack(self.body)?,
            evaluation.transpose()?,
            self.fingerprint,
            self.entry.number(),
        );
        let seq = match seq {
            Some(seq) if connection.is_shared() => {
                let (sql, _) = sql.rsplit_once(" RETURNING ").unwrap_or((sql, ""));
                connection.prepare_cached(sql)?.run(row)?;
                connection.add_position(seq);
                seq
            }
            _ => connection.insert(sql, row)?,
        };
        if self.entry != EntryKind::Event {
            archive::set_newest(connection, self.entry, seq)?;
        }
        Ok(seq)
    }
}

impl<'a> From<&'a Incoming> for Cause<'a> {
    fn from(incoming: &'a Incoming) -> Self {
        let identity = &incoming.identity;
        Self {
            identity,
            source: &identity.source,
            event: &identity.id,
            resource: &identity.resource,
            native: Some(incoming.native.event()),
        }
    }
}

impl<'a> From<&'a NewEntry> for Cause<'a> {
    fn from(entry: &'a NewEntry) -> Self {
        Self {
            identity: &entry.identity,
            source: &entry.event.source,
            event: &entry.event.id,
            resource: &entry.resource,
            native: None,
        }
    }
}

/// What an evaluation put into the outbox.
#[derive(Default)]
struct Queued {
    deliveries: Vec<DeliveryId>,
    /// Their targets, each once.
    targets: Vec<String>,
    /// What could not be cancelled, each with the number of the effects that it belongs to.
    notes: Vec<(usize, String)>,
}

/// Cancels what an evaluation cancels, and puts its actions into the outbox.
///
/// An id that is in the outbox already is an error, and the event is not accepted: an accepted
/// event whose delivery is dropped in silence is the worst that a store can do.
fn enqueue(
    connection: &Connection,
    position: ArchivePosition,
    cause: &Cause<'_>,
    evaluation: &Evaluation,
    incidents: &[Option<i64>],
    now: Timestamp,
) -> Result<Queued, StoreError> {
    let (mut queued, mut seen) = (Queued::default(), SeenEvent::default());
    let opening = opening_targets(connection, evaluation, incidents)?;
    let evaluation = &*incident_messages::with_opening_targets(evaluation, &opening);
    let scopes = scopes(evaluation);
    for step in steps(evaluation, &scopes) {
        match step {
            Step::Cancel { effects, name, .. } => {
                let reason = format!("cancelled by rule {}", name.rule);
                let running = delays::cancel(connection, name, Reach::All, &reason, now)?;
                let notes = running.iter().map(|one| cancelled_note(name.key, one));
                queued.notes.extend(notes.map(|note| (effects, note)));
            }
            Step::Action(action) => {
                let NumberedAction { rule, number, .. } = action;
                let id = DeliveryId::derive(cause.identity, position, rule, number, None);
                if let Some(name) = action.name() {
                    let reason = format!("replaced by {id}");
                    let running = delays::cancel(connection, name, Reach::All, &reason, now)?;
                    let notes = running.iter().map(|one| replaced_note(name.key, one));
                    queued
                        .notes
                        .extend(notes.map(|note| (action.effects, note)));
                }
                let row = Row {
                    id,
                    seq: position.seq,
                    replay: None,
                    action: &action,
                    incident: incidents[action.effects],
                };
                let (target, resource) = (action.action.target(), cause.resource);
                let of_opening = opening[action.effects].as_ref();
                if of_opening.is_some_and(|targets| !targets.contains(target)) {
                    // Recorded, so that a trace says why it was not sent.
                    let entry = Entry::unordered(now);
                    insert_delivery(connection, cause, &row, &entry, now)?;
                    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Cancelled);
                    outbox::transfer(connection, id, from, to, Some(NOT_OPENED), now)?;
                    continue;
                }
                let entry = if let Some(after) = action.action.after() {
                    Entry::delayed(after, now)
                } else {
                    let key = order::key(rule, action.scope, resource);
                    order::entry(connection, target, key, now)?
                };
                insert_delivery(connection, cause, &row, &entry, now)?;
                if action.action.is_call() {
                    let effects = &evaluation.rules[action.effects];
                    let call = NewCall {
                        id,
                        rule,
                        target,
                        hop: effects.hop + 1,
                        event: seen.of(action.effects, effects.event.as_ref().or(cause.native))?,
                        due: entry.since,
                    };
                    calls::add(connection, &call)?;
                }
                queued.deliveries.push(id);
                if !queued.targets.iter().any(|known| known == target) {
                    queued.targets.push(target.to_owned());
                }
            }
        }
    }
    Ok(queued)
}

/// For the effects whose message goes to where the one about the beginning of the incident went:
/// the targets that got that.
fn opening_targets(
    connection: &Connection,
    evaluation: &Evaluation,
    incidents: &[Option<i64>],
) -> Result<Vec<Option<BTreeSet<String>>>, StoreError> {
    let of_effects = |(effects, incident): (&RuleEffects, &Option<i64>)| {
        let goes_there = effects.firing.as_ref().is_some_and(|one| one.to_opening);
        let incident = incident.filter(|_| goes_there);
        incident
            .map(|incident| incident_messages::opening_targets(connection, incident))
            .transpose()
    };
    evaluation
        .rules
        .iter()
        .zip(incidents)
        .map(of_effects)
        .collect()
}

/// The event that a rule saw, packed once for all of its calls.
#[derive(Default)]
struct SeenEvent {
    /// The number of the effects whose event is packed.
    effects: Option<usize>,
    packed: Option<PackedEvent>,
}

impl SeenEvent {
    /// The event of the effects with this number.
    fn of(
        &mut self,
        effects: usize,
        event: Option<&Event>,
    ) -> Result<Option<&PackedEvent>, StoreError> {
        if self.effects != Some(effects) {
            self.packed = event.map(PackedEvent::new).transpose()?;
            self.effects = Some(effects);
        }
        Ok(self.packed.as_ref())
    }
}

/// Puts the actions of a replayed event into the outbox. One that was put there before, by a replay
/// of this name, is counted and left alone, whatever its status: so a replay that was interrupted
/// can be repeated. Calls are counted and left out: what they do is not of the past.
pub(super) fn enqueue_replay(
    connection: &Connection,
    position: ArchivePosition,
    incoming: &Incoming,
    evaluation: &Evaluation,
    replay: &str,
    now: Timestamp,
) -> Result<ReplayAccepted, StoreError> {
    let (mut accepted, cause) = (ReplayAccepted::default(), Cause::from(incoming));
    // What waits is not of the past: a replay cancels and replaces only what it has put there
    // itself, and of that only what came before, so that repeating it changes nothing.
    let reach = |place| Reach::Replay {
        name: replay,
        before: (position.seq, place),
    };
    let scopes = scopes(evaluation);
    for step in steps(evaluation, &scopes) {
        match step {
            Step::Cancel { name, place, .. } => {
                let reason = format!("cancelled by rule {}", name.rule);
                delays::cancel(connection, name, reach(place), &reason, now)?;
            }
            Step::Action(action) => {
                let NumberedAction { rule, number, .. } = action;
                let id =
                    DeliveryId::derive(&incoming.identity, position, rule, number, Some(replay));
                if let Some(name) = action.name() {
                    let reason = format!("replaced by {id}");
                    delays::cancel(connection, name, reach(action.place), &reason, now)?;
                }
                // After what it replaces, which was not to be delivered then either.
                if action.action.is_call() {
                    accepted.calls += 1;
                    continue;
                }
                let row = Row {
                    id,
                    seq: position.seq,
                    replay: Some(replay),
                    action: &action,
                    incident: None,
                };
                // What is replayed has been in order once; what is sent meanwhile does not wait for
                // it. A delay begins again.
                let entry = match action.action.after() {
                    Some(after) => Entry::delayed(after, now),
                    None => Entry::unordered(now),
                };
                if insert_if_new(connection, &cause, &row, &entry, now)? {
                    accepted.deliveries.push(id);
                } else {
                    accepted.repeated += 1;
                }
            }
        }
    }
    Ok(accepted)
}

/// Adds notes to the stored evaluation of the event at an archive position.
fn add_notes(
    connection: &Connection,
    seq: i64,
    recorded: &RecordedEvaluation<'_>,
    notes: Vec<(usize, String)>,
) -> Result<(), StoreError> {
    // Afterwards, and not before the event is stored: what can be cancelled depends on what the
    // effects before have put into the outbox.
    let mut evaluation = recorded.evaluation.clone();
    for (effects, note) in notes {
        if let Some(effects) = evaluation.rules.get_mut(effects) {
            effects.notes.push(note);
        }
    }
    let json = evaluation_to_json(&evaluation, &recorded.changes);
    let stored = pack(json.to_string().as_bytes())?;
    let sql = "UPDATE archive SET evaluation = ?2 WHERE seq = ?1";
    connection.prepare_cached(sql)?.run((seq, stored))?;
    Ok(())
}

fn cancelled_note(key: &str, InProgress { id, target }: &InProgress) -> String {
    format!(
        "cancel: `{key}`: delivery {id} to {target} is being sent and cannot be stopped; \
         it is not tried again"
    )
}

fn replaced_note(key: &str, InProgress { id, target }: &InProgress) -> String {
    format!(
        "key: `{key}`: delivery {id} to {target} is being sent and cannot be replaced; \
         it is not tried again"
    )
}

/// What an evaluation does to the outbox.
enum Step<'a> {
    /// Cancels what waits under a name.
    Cancel {
        /// The number of the effects.
        effects: usize,
        name: Name<'a>,
        /// The number of the action that comes next.
        place: i64,
    },
    /// Adds an action.
    Action(NumberedAction<'a>),
}

/// An action of an evaluation.
struct NumberedAction<'a> {
    rule: &'a str,
    /// The number of the effects that it is part of.
    effects: usize,
    /// Among the actions of its rule.
    number: usize,
    /// Among all actions of the evaluation.
    place: i64,
    action: &'a Action,
    /// The key of the event or match, as JSON text.
    scope: Option<&'a str>,
    phase: Phase,
}

impl<'a> NumberedAction<'a> {
    /// The name under which it waits.
    fn name(&self) -> Option<Name<'a>> {
        self.action.key().map(|key| Name {
            rule: self.rule,
            scope: self.scope,
            key,
        })
    }
}

/// The steps of an evaluation, in order: of each effects, what they cancel comes before the
/// actions.
fn steps<'a>(evaluation: &'a Evaluation, scopes: &'a [Option<String>]) -> Vec<Step<'a>> {
    let rule_actions = evaluation
        .actions()
        .map(|(effects, _, action)| (effects.rule.as_str(), action));
    let mut numbered = (0..).zip(number_actions(rule_actions));
    let mut steps = Vec::new();
    let mut next = 0;
    for (number, (effects, scope)) in evaluation.rules.iter().zip(scopes).enumerate() {
        let scope = scope.as_deref();
        steps.extend(effects.cancelled.iter().map(|key| Step::Cancel {
            effects: number,
            name: Name {
                rule: &effects.rule,
                scope,
                key,
            },
            place: next,
        }));
        let actions = numbered.by_ref().take(effects.actions.len());
        for (place, (rule, of_rule, action)) in actions {
            next = place + 1;
            steps.push(Step::Action(NumberedAction {
                rule,
                effects: number,
                number: of_rule,
                place,
                action,
                scope,
                phase: phase_of(effects.firing.as_ref()),
            }));
        }
    }
    steps
}

/// The keys of all effects, as JSON text.
fn scopes(evaluation: &Evaluation) -> Vec<Option<String>> {
    let keys = evaluation.rules.iter().map(|effects| &effects.key);
    keys.map(|key| key.as_ref().map(Json::to_string)).collect()
}

/// What distinguishes the deliveries of one event.
struct Row<'a> {
    id: DeliveryId,
    seq: i64,
    replay: Option<&'a str>,
    action: &'a NumberedAction<'a>,
    /// The incident that it is of.
    incident: Option<i64>,
}

/// Runs [`INSERT`].
fn insert_delivery(
    connection: &Connection,
    cause: &Cause<'_>,
    row: &Row<'_>,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(INSERT)?;
    bind(cause, row, entry, now, |values| statement.run(values))
}

/// Runs [`INSERT_IF_NEW`]. Returns whether it has inserted it.
fn insert_if_new(
    connection: &Connection,
    cause: &Cause<'_>,
    row: &Row<'_>,
    entry: &Entry,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(INSERT_IF_NEW)?;
    let inserted = bind(cause, row, entry, now, |values| statement.execute(values))?;
    Ok(inserted == 1)
}

/// Runs one of the two with the values of a row.
fn bind<T>(
    cause: &Cause<'_>,
    row: &Row<'_>,
    entry: &Entry,
    now: Timestamp,
    run: impl FnOnce(&[&dyn ToValue]) -> database::Result<T>,
) -> Result<T, StoreError> {
    let numbered = row.action;
    Ok(run(params![
        row.id.as_bytes(),
        row.seq,
        cause.source,
        cause.event,
        cause.resource,
        numbered.rule,
        numbered.action.target(),
        numbered.action.to_json().to_string(),
        row.replay,
        micros(now),
        entry.since,
        entry.due,
        numbered.place,
        entry.key,
        entry.head,
        numbered.scope,
        numbered.phase.number(),
        entry.delay,
        numbered.action.key(),
        row.incident,
    ])?)
}
