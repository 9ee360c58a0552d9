//! What an evaluation has changed of the state of its rules, as the archive records it: with what
//! was there before.

use std::collections::HashMap;
use std::convert::Infallible;

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_diagnostic::{Truncated, truncate_to_bytes};
use reflexarc_event::Json;
use reflexarc_reaction::{State, StateChange};

/// How much of the values the record of an evaluation has. Without a bound, the values before would
/// make a script's `remove("x")` as expensive to record as they are long.
#[derive(Debug, Clone, Copy)]
struct RecordLimits {
    /// Bytes of one value as JSON; of a longer one the record has the beginning.
    value_bytes: usize,
    /// Bytes of all values of an evaluation. Of those after that the record has the lengths.
    evaluation_bytes: usize,
}

/// What became of one entry of a rule's state.
///
/// The entries of `throttle`, `once` and time windows are not recorded in this way: the notes of
/// the rule say what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedChange {
    /// The key.
    pub key: String,
    /// The value before; `None` if there was no entry.
    pub before: Option<RecordedValue>,
    /// The value after; `None` if the entry was removed.
    pub after: Option<RecordedValue>,
    /// When the new entry expires; never when absent.
    pub expires: Option<Timestamp>,
}

/// A value of a state entry in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedValue {
    /// The value.
    Whole(Json),
    /// A value that is longer than 1 KiB as JSON, or comes after 256 KiB of others.
    Shortened {
        /// The beginning of the value as JSON, with an ellipsis.
        text: String,
        /// The bytes of all of it.
        bytes: usize,
    },
    /// What was found in the place of the value of a damaged entry, shortened like a value.
    Damaged(String),
}

/// The value of an entry in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredValue {
    Json(Json),
    /// What is in its place.
    Damaged(String),
}

impl RecordLimits {
    const LIMITS: Self = Self {
        value_bytes: 1 << 10,
        evaluation_bytes: 256 << 10,
    };
}

/// For each element of [`Evaluation::rules`] what it changes of the state of its rule, in the order
/// of the keys. `state` is what the state is before the evaluation, at the time `now` of it.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc::{MemoryState, RuleSet};
/// use reflexarc_event::{Json, NativeEvent};
/// use reflexarc_store::{RecordedValue, recorded_changes};
///
/// let rules = RuleSet::compile([("count.toml", "when = 'a == 1'\nthen = 'add(\"n\", 1);'")])?;
/// let (event, now) = (NativeEvent::from_json(r#"{"a": 1}"#)?, Timestamp::UNIX_EPOCH);
/// let mut state = MemoryState::new();
/// for effects in &rules.evaluate(&event, &state, now).rules {
///     state.apply(&effects.rule, &effects.changes);
/// }
/// let second = rules.evaluate(&event, &state, now);
/// let changes = recorded_changes(&second, &state, now);
/// assert_eq!(changes[0][0].key, "n");
/// assert_eq!(changes[0][0].before, Some(RecordedValue::Whole(Json::from(1))));
/// assert_eq!(changes[0][0].after, Some(RecordedValue::Whole(Json::from(2))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recorded_changes(
    evaluation: &Evaluation,
    state: &dyn State,
    now: Timestamp,
) -> Vec<Vec<RecordedChange>> {
    let read = |rule: &str, key: &str| {
        let entry = state.get(rule, key, now);
        Ok::<_, Infallible>(entry.map(|entry| StoredValue::Json(entry.value.clone())))
    };
    match changes_within(evaluation, read, now, RecordLimits::LIMITS) {
        Ok(changes) => changes,
        Err(never) => match never {},
    }
}

/// The same, where the state is read in a transaction.
pub(crate) fn read_changes<E>(
    evaluation: &Evaluation,
    read: impl FnMut(&str, &str) -> Result<Option<StoredValue>, E>,
    now: Timestamp,
) -> Result<Vec<Vec<RecordedChange>>, E> {
    changes_within(evaluation, read, now, RecordLimits::LIMITS)
}

fn changes_within<E>(
    evaluation: &Evaluation,
    mut read: impl FnMut(&str, &str) -> Result<Option<StoredValue>, E>,
    now: Timestamp,
    limits: RecordLimits,
) -> Result<Vec<Vec<RecordedChange>>, E> {
    // A rule may react to several events of one evaluation: then what it changed first is what the
    // second change finds. Nothing is allocated for rules that change no entry, as most do.
    let mut changed: HashMap<(&str, &str), Option<&Json>> = HashMap::new();
    let mut left = limits.evaluation_bytes;
    let mut all = Vec::new();
    for (number, effects) in evaluation.rules.iter().enumerate() {
        let rule = effects.rule.as_str();
        for change in &effects.changes {
            let (key, after, expires) = match change {
                StateChange::Set {
                    key,
                    value,
                    expires,
                } => (key.as_str(), Some(value), *expires),
                StateChange::Remove { key } => (key.as_str(), None, None),
                StateChange::SetMatch { .. } | StateChange::RemoveMatch { .. } => continue,
            };
            // The windows of gates.
            if key.starts_with('$') {
                continue;
            }
            let before = match changed.get(&(rule, key)) {
                Some(before) => before.cloned().map(StoredValue::Json),
                None => read(rule, key)?,
            };
            let is_live = expires.is_none_or(|at| now < at);
            changed.insert((rule, key), after.filter(|_| is_live));
            all.resize_with(number + 1, Vec::new);
            let before = before.map(|value| match value {
                StoredValue::Json(value) => RecordedValue::new(&value, &mut left, limits),
                StoredValue::Damaged(text) => RecordedValue::damaged(&text, &mut left, limits),
            });
            let after = after.map(|value| RecordedValue::new(value, &mut left, limits));
            all[number].push(RecordedChange {
                key: key.to_owned(),
                before,
                after,
                expires,
            });
        }
    }
    Ok(all)
}

impl RecordedChange {
    /// As JSON: `{"key", "before", "after", "expires"}`, null where there is none. Of a value that
    /// is shortened, `before` or `after` is a text with the beginning of its JSON, and
    /// `before_bytes` or `after_bytes` is its length. Of one that is damaged, `before` is a text with
    /// what was there, and `before_damaged` is true.
    pub fn to_json(&self) -> Json {
        let expires = self.expires.map(|at| at.to_string());
        let value = |value: &Option<RecordedValue>| match value {
            None => Json::Null,
            Some(RecordedValue::Whole(value)) => value.clone(),
            Some(RecordedValue::Shortened { text, .. } | RecordedValue::Damaged(text)) => {
                Json::from(text.as_str())
            }
        };
        let mut json = Json::object([
            ("key", self.key.as_str().into()),
            ("before", value(&self.before)),
            ("after", value(&self.after)),
            ("expires", Json::optional(expires.as_deref())),
        ]);
        if let Json::Object(members) = &mut json {
            // Only where they say that a text is not the value.
            for (name, value) in [("before", &self.before), ("after", &self.after)] {
                match value {
                    Some(RecordedValue::Shortened { bytes, .. }) => {
                        members.push((format!("{name}_bytes"), Json::count(*bytes)));
                    }
                    Some(RecordedValue::Damaged(_)) => {
                        members.push((format!("{name}_damaged"), Json::Bool(true)));
                    }
                    Some(RecordedValue::Whole(_)) | None => {}
                }
            }
        }
        json
    }
}

impl RecordedValue {
    /// The value, as far as `left` bytes of the evaluation allow it.
    fn new(value: &Json, left: &mut usize, limits: RecordLimits) -> Self {
        let text = value.to_string();
        let shown = shorten(&text, left, limits);
        if !shown.is_cut {
            return Self::Whole(value.clone());
        }
        Self::Shortened {
            bytes: text.len(),
            text: shown.text.into_owned(),
        }
    }

    fn damaged(text: &str, left: &mut usize, limits: RecordLimits) -> Self {
        Self::Damaged(shorten(text, left, limits).text.into_owned())
    }
}

/// As much of a text as a value may have, and `left` bytes of the evaluation allow.
fn shorten<'a>(text: &'a str, left: &mut usize, limits: RecordLimits) -> Truncated<'a> {
    let kept = limits.value_bytes.min(*left);
    *left = left.saturating_sub(text.len().min(kept));
    truncate_to_bytes(text, kept)
}

#[cfg(test)]
mod tests {
    use reflexarc::{MemoryState, RuleSet};
    use reflexarc_event::NativeEvent;
    use reflexarc_reaction::Entry;

    use super::*;

    /// The changes of the state that a script makes on one event, as JSON.
    fn changes(rules: &[(&str, &str)], state: &MemoryState, limits: RecordLimits) -> String {
        let rules = RuleSet::compile(rules.iter().copied()).unwrap();
        let event = NativeEvent::from_json(r#"{"id": "1"}"#).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let evaluation = rules.evaluate(&event, state, now);
        assert!(evaluation.failures.is_empty(), "{evaluation:?}");
        let read = |rule: &str, key: &str| {
            let entry = state.get(rule, key, now);
            Ok::<_, Infallible>(entry.map(|entry| StoredValue::Json(entry.value.clone())))
        };
        let Ok(changes) = changes_within(&evaluation, read, now, limits);
        let changes = changes.iter().flatten().map(RecordedChange::to_json);
        Json::Array(changes.collect()).to_string()
    }

    #[test]
    fn hops_see_the_changes_before_them() {
        let rule = "when = 'id exists or again exists'\nthen = '''
            add(\"n\", 1);
            if get(\"n\") < 3 { emit(#{ again: 1 }); } else { remove(\"n\"); }
            '''";
        let found = changes(
            &[("r.toml", rule)],
            &MemoryState::new(),
            RecordLimits::LIMITS,
        );
        let expected = r#"[{"key":"n","before":null,"after":1,"expires":null},"#.to_owned()
            + r#"{"key":"n","before":1,"after":2,"expires":null},"#
            + r#"{"key":"n","before":2,"after":null,"expires":null}]"#;
        assert_eq!(found, expected);
    }

    #[test]
    fn windows_of_gates_are_not_recorded() {
        let rule = "when = 'id exists'\nthrottle = { every = '1m' }\nthen = 'notify(\"t\", \"x\")'";
        let found = changes(
            &[("r.toml", rule)],
            &MemoryState::new(),
            RecordLimits::LIMITS,
        );
        assert_eq!(found, "[]");
    }

    #[test]
    fn expired_entries_were_not_there_before() {
        let rule = "when = 'id exists'\nthen = 'set(\"a\", 2, \"1m\"); set(\"b\", 2)'";
        let mut state = MemoryState::new();
        let expired = Entry::new(Json::from(1)).with_expiry(Timestamp::UNIX_EPOCH);
        state.insert("r", "a", expired);
        state.insert("r", "b", Entry::new(Json::from(1)));
        let found = changes(&[("r.toml", rule)], &state, RecordLimits::LIMITS);
        let expected = r#"[{"key":"a","before":null,"after":2,"expires":"1970-01-01T00:01:00Z"},"#;
        let expected = expected.to_owned() + r#"{"key":"b","before":1,"after":2,"expires":null}]"#;
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_shortened_and_say_so() {
        let rule = "when = 'id exists'\nthen = 'set(\"a\", \"éé\"); set(\"b\", 7); set(\"c\", 89)'";
        let mut state = MemoryState::new();
        state.insert("r", "a", Entry::new(Json::from("abcd")));
        let limits = RecordLimits {
            value_bytes: 4,
            evaluation_bytes: 10,
        };
        let found = changes(&[("r.toml", rule)], &state, limits);
        let expected = r#"[{"key":"a","before":"\"abc…","after":"\"é…","expires":null,"#.to_owned()
            + r#""before_bytes":6,"after_bytes":6},"#
            + r#"{"key":"b","before":null,"after":7,"expires":null},"#
            + r#"{"key":"c","before":null,"after":"8…","expires":null,"after_bytes":2}]"#;
        assert_eq!(found, expected);
    }
}
