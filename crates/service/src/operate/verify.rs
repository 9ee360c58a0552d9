//! Verifying an archive: whether the rules, run again, give the evaluations that it has.
//!
//! The entries of the archive are all that evaluations depend on besides the rules: each event with
//! its time and position, and what happened in time. So a replay of all of them, from an empty
//! state, leads to the same evaluations, byte for byte:
//!
//! | entry | what is done again |
//! |---|---|
//! | event | it is evaluated at the time and with the position that it had |
//! | firing | what is due of the match is run, at its deadline |
//! | resumed, clock | deadlines are moved as they were |
//! | reload | matches that the rules do not have are closed, and what they wait for begins |
//! | answer | the rule that called gets the answer, at the time that it had |
//! | closed | the match is removed |
//! | state | nothing: a program has written the state, and the archive does not have it |
//!
//! Evaluations that ended because of time or a budget depend on the machine, and are taken as
//! recorded.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleSet};
use reflexarc_event::Json;
use reflexarc_reaction::{MemoryState, State as _, StateChange};
use sha2::{Digest as _, Sha256};

use super::answer_entry::answered_call;
use crate::store::{
    Archived, DamagedEvent, EntryKind, Incoming, Selection, Store, StoreError, evaluation_to_json,
    recorded_changes,
};

/// Differences that are reported; all are counted.
const MAX_LISTED: usize = 10;

/// The result of [`verify_archive`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Number of entries that were evaluated again.
    pub entries: u64,
    /// Number of those whose evaluation differs.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Number of evaluations that were taken as recorded, because they ended by time or budget.
    pub taken: u64,
    /// The position of the first entry of other rules or tables. From there on nothing was
    /// evaluated.
    pub other_rules: Option<i64>,
    /// The first position, if entries before it were removed: rules with state may differ.
    pub begins_at: Option<i64>,
    /// The position at which a program has written the state: rules with state may differ from
    /// there on.
    pub state_written_at: Option<i64>,
    /// What cannot be read.
    pub damaged: Vec<DamagedEvent>,
    /// SHA-256 over all evaluations, in hexadecimal digits.
    pub checksum: String,
}

/// An evaluation that differs from the recorded one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The position of the entry.
    pub seq: i64,
    /// Its kind.
    pub entry: EntryKind,
    /// The evaluation that was recorded.
    pub recorded: Option<Json>,
    /// The evaluation now.
    pub evaluated: Option<Json>,
}

/// Evaluates all entries of an archive again, from an empty state, and compares.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc::{NoState, RuleSet};
/// use reflexarc_event::Event;
/// use reflexarc_service::operate::verify_archive;
/// use reflexarc_service::{Config, Incoming, SqliteStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let options = Config::default().store_options;
/// let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options)?;
/// let rule = |text: &str| {
///     let rule = format!("when = 'id exists'\nthen = 'log(\"{text}\");'");
///     RuleSet::compile([("seen.toml", rule)])
/// };
/// let incoming = Incoming::new(Event::from_json(r#"{"id": "1"}"#)?)?;
/// let now = Timestamp::UNIX_EPOCH;
/// let evaluation = rule("seen")?.evaluate(&incoming.native, &NoState, now);
/// store.accept(incoming, evaluation, now)?;
///
/// assert_eq!(verify_archive(&store, &rule("seen")?)?.different, 0);
/// assert_eq!(verify_archive(&store, &rule("other")?)?.different, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the store cannot be read.
pub fn verify_archive(store: &dyn Store, rules: &RuleSet) -> Result<Verification, StoreError> {
    let mut verifier = Verifier::new(rules);
    let mut failure = None;
    store.walk(&Selection::default(), &mut |archived| match archived {
        Err(damaged) => {
            verifier.verification.damaged.push(damaged);
            true
        }
        Ok(archived) => {
            let applied = verifier.apply(&archived);
            let goes_on = matches!(applied, Ok(true));
            failure = applied.err();
            goes_on
        }
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut verification = verifier.verification;
    let digest = verifier.digest.finalize();
    for byte in &digest {
        // Writing to a string does not fail.
        let _ = write!(verification.checksum, "{byte:02x}");
    }
    Ok(verification)
}

impl Verification {
    /// As one JSON document.
    pub fn to_json(&self) -> Json {
        let differences = self.differences.iter().map(|difference| {
            let evaluation = |json: &Option<Json>| json.clone().unwrap_or(Json::Null);
            Json::object([
                ("seq", difference.seq.into()),
                ("entry", difference.entry.as_str().into()),
                ("recorded", evaluation(&difference.recorded)),
                ("evaluated", evaluation(&difference.evaluated)),
            ])
        });
        Json::object([
            ("entries", Json::count(self.entries)),
            ("different", Json::count(self.different)),
            ("differences", Json::Array(differences.collect())),
            ("taken", Json::count(self.taken)),
            (
                "other_rules",
                self.other_rules.map_or(Json::Null, Json::from),
            ),
            ("begins_at", self.begins_at.map_or(Json::Null, Json::from)),
            (
                "state_written_at",
                self.state_written_at.map_or(Json::Null, Json::from),
            ),
            ("damaged", Json::count(self.damaged.len())),
            ("checksum", self.checksum.as_str().into()),
        ])
    }
}

struct Verifier<'a> {
    rules: &'a RuleSet,
    hash: String,
    state: MemoryState,
    /// Whether a record has had changes of state: then all that follow have theirs.
    has_state: bool,
    verification: Verification,
    digest: Sha256,
}

impl<'a> Verifier<'a> {
    fn new(rules: &'a RuleSet) -> Self {
        Self {
            rules,
            hash: rules.hash(),
            state: MemoryState::new(),
            has_state: false,
            verification: Verification::default(),
            digest: Sha256::new(),
        }
    }

    /// Does again what an entry did. Returns false where other rules begin.
    fn apply(&mut self, archived: &Archived) -> Result<bool, StoreError> {
        let (at, detail) = (archived.received, archived.event.tree());
        let position = archived.seq.unsigned_abs();
        if self.verification.entries == 0 && archived.seq > 1 {
            self.verification.begins_at.get_or_insert(archived.seq);
        }
        self.state.reserve_positions(position);
        let text = |name| detail.get(name).and_then(Json::as_str);
        let evaluation = match archived.entry {
            EntryKind::Event => self.evaluate(archived)?,
            EntryKind::Firing => {
                let rule = text("rule").unwrap_or_default();
                let key = detail.get("key").unwrap_or(&Json::Null).to_string();
                self.rules.fire(rule, &key, &self.state, at)
            }
            EntryKind::Answer => {
                let call = answered_call(archived)?;
                self.rules.answer(&call, &self.state, at)
            }
            EntryKind::Resumed => {
                self.postpone(at);
                Evaluation::default()
            }
            EntryKind::Clock => {
                let offset = detail.get("offset_microseconds").and_then(Json::as_i64);
                let offset = SignedDuration::from_micros(offset.unwrap_or_default());
                self.state.set_clock(offset);
                Evaluation::default()
            }
            EntryKind::Reload => {
                if text("hash") != Some(&self.hash) {
                    self.verification.other_rules = Some(archived.seq);
                    return Ok(false);
                }
                self.rules.close_other_matches(&mut self.state);
                self.rules.armed(&self.state, at)
            }
            EntryKind::Closed => {
                if let (Some(rule), Some(key)) = (text("rule"), text("key")) {
                    let key = key.to_owned();
                    self.state.apply(rule, &[StateChange::RemoveMatch { key }]);
                }
                // Not a time of the service's clock.
                return Ok(true);
            }
            EntryKind::State => {
                self.verification
                    .state_written_at
                    .get_or_insert(archived.seq);
                return Ok(true);
            }
            // What the entry before it emitted; of any later kind nothing is known.
            _ => return Ok(true),
        };
        self.compare(archived, evaluation);
        self.state.advance(at);
        Ok(true)
    }

    /// Lets what is due wait for `settle`, as the store does: in the match, whatever its data says.
    fn postpone(&mut self, at: Timestamp) {
        let due = self.state.due(at);
        let due: Vec<_> = due
            .map(|(_, rule, key)| (rule.to_owned(), key.to_owned()))
            .collect();
        for (rule, key) in due {
            let Some(window) = self.rules.live_window(&rule) else {
                continue;
            };
            let Some(kept) = self.state.matches().get(&rule, &key, at) else {
                continue;
            };
            let settled = at.saturating_add(window.settle).unwrap_or(Timestamp::MAX);
            let mut kept = (*kept).clone();
            kept.not_before = kept.not_before.max(Some(settled));
            kept.due = kept.due.max(Some(settled));
            self.state.insert_match(&rule, &key, kept, &[]);
        }
    }

    fn evaluate(&self, archived: &Archived) -> Result<Evaluation, StoreError> {
        let invalid = |error| StoreError::Failed(format!("event {}: {error}", archived.seq));
        let incoming = Incoming::new(archived.event.clone()).map_err(invalid)?;
        Ok(self
            .rules
            .evaluate_overdue(&incoming.native, &self.state, archived.received))
    }

    /// Compares an evaluation with the recorded one, and applies its changes of state.
    fn compare(&mut self, archived: &Archived, mut evaluation: Evaluation) {
        let recorded = archived.evaluation.as_ref().map(without_delivery_notes);
        let cut_short = recorded.as_ref().map(cut_short).unwrap_or_default();
        if !cut_short.is_empty() {
            self.verification.taken += 1;
            let has_run = |rule: &str| !cut_short.iter().any(|name| name == rule);
            evaluation.rules.retain(|effects| has_run(&effects.rule));
        }
        let state_changes = recorded_changes(&evaluation, &self.state, archived.received);
        for (rule, changes) in evaluation.changes() {
            self.state.apply(rule, changes);
        }
        self.has_state |= rules_of(recorded.as_ref())
            .iter()
            .any(|effects| effects.get("state").is_some());
        let has_state = self.has_state;
        let verification = &mut self.verification;
        verification.entries += 1;
        let evaluated =
            (!evaluation.is_empty()).then(|| evaluation_to_json(&evaluation, &state_changes));
        let text = |json: &Option<Json>| json.as_ref().map(Json::to_string).unwrap_or_default();
        let (before, now) = (text(&recorded), text(&evaluated));
        // Earlier versions did not record changes of state.
        let is_same =
            before == now || (!has_state && before == text(&without_state(evaluated.as_ref())));
        if cut_short.is_empty() && !is_same {
            verification.different += 1;
            if verification.differences.len() < MAX_LISTED {
                verification.differences.push(Difference {
                    seq: archived.seq,
                    entry: archived.entry,
                    recorded,
                    evaluated,
                });
            }
        }
        self.digest.update(now.as_bytes());
        self.digest.update(b"\n");
    }
}

/// What each rule did.
fn rules_of(evaluation: Option<&Json>) -> &[Json] {
    let rules = evaluation.and_then(|evaluation| evaluation.get("rules"));
    rules.map_or(&[], Json::elements)
}

/// An evaluation without the changes of state.
fn without_state(evaluation: Option<&Json>) -> Option<Json> {
    let mut evaluation = evaluation?.clone();
    if let Json::Object(members) = &mut evaluation
        && let Some((_, Json::Array(rules))) = members.iter_mut().find(|(name, _)| name == "rules")
    {
        for effects in rules {
            if let Json::Object(members) = effects {
                members.retain(|(name, _)| name != "state");
            }
        }
    }
    Some(evaluation)
}

/// The rules whose reactions ended by time or budget.
fn cut_short(evaluation: &Json) -> Vec<String> {
    let failures = evaluation.get("failures").map_or(&[][..], Json::elements);
    let by_machine = failures.iter().filter(|failure| {
        let message = failure.get("message").and_then(Json::as_str);
        message.is_some_and(is_by_machine)
    });
    let rules = by_machine.filter_map(|failure| failure.get("rule")?.as_str());
    rules.map(str::to_owned).collect()
}

/// Whether a message is of a reaction that another machine might have completed.
fn is_by_machine(message: &str) -> bool {
    message.contains("is over its budget of") || message.contains("the script runs for more than")
}

/// A recorded evaluation without the notes about deliveries that were being sent when they were to
/// be cancelled: they depend on the receivers.
fn without_delivery_notes(evaluation: &Json) -> Json {
    let mut evaluation = evaluation.clone();
    if let Json::Object(members) = &mut evaluation
        && let Some((_, Json::Array(rules))) = members.iter_mut().find(|(name, _)| name == "rules")
    {
        for effects in rules {
            if let Json::Object(members) = effects
                && let Some((_, Json::Array(notes))) =
                    members.iter_mut().find(|(name, _)| name == "notes")
            {
                let is_of_delivery = |note: &Json| {
                    let note = note.as_str().unwrap_or_default();
                    note.contains("is being sent and cannot be") && note.ends_with("tried again")
                };
                notes.retain(|note| !is_of_delivery(note));
            }
        }
    }
    evaluation
}

#[cfg(test)]
mod tests;
