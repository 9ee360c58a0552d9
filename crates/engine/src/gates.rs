//! `once` and `throttle` of a rule: whether an event is suppressed.

use jiff::Timestamp;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::{Event, FieldSet, Json};
use reflexarc_pattern::canonical_scalar;
use reflexarc_reaction::{Gate, State, StateChange, ThrottleDecision};

/// The gates in front of a rule's reaction, checked in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates {
    pub(crate) once: Option<KeyedGate>,
    pub(crate) throttle: Option<KeyedGate>,
}

/// A gate with a window of its own for each value of its key.
#[derive(Debug, Clone)]
pub(crate) struct KeyedGate {
    /// The paths of the key's values in the event; none where all events share one window.
    pub(crate) paths: Vec<EmbeddedText>,
    pub(crate) gate: Gate,
    /// What is read of an event to find the values.
    fields: FieldSet,
}

/// What all gates of a rule decided together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GateDecision {
    /// Run the reaction.
    Allow {
        /// The number of events suppressed since the last one that was allowed.
        suppressed: u64,
        /// Opens the windows; to be committed only if the reaction has actions or emits events.
        changes: Vec<StateChange>,
        /// Why a gate did not apply, or could open no window.
        notes: Vec<String>,
    },
    /// Do not run the reaction.
    Suppress {
        reason: String,
        /// Counts the event.
        changes: Vec<StateChange>,
        /// As in `Allow`, of the gates before the one that suppresses.
        notes: Vec<String>,
    },
}

impl KeyedGate {
    pub(crate) fn new(paths: Vec<EmbeddedText>, gate: Gate) -> Self {
        let mut fields = FieldSet::default();
        for path in &paths {
            insert_path(&mut fields, path.text());
        }
        Self {
            paths,
            gate,
            fields,
        }
    }

    /// The value of the event at the path; for several paths an array of them. Values that filters
    /// take for equal are one key. Without a value at each path, the reason.
    fn key_values(&self, event: &Event) -> Result<Json, String> {
        let tree = event.partial_tree(&self.fields);
        let value = |path: &EmbeddedText| {
            let path = path.text();
            let missing = || format!("the event has no value at `{path}`");
            let value = value_at(&tree, path).ok_or_else(missing)?;
            // `[]` and `{}` count as missing in filters too. An array of one element is no scalar:
            // which of its values an event will have first next time is not known.
            canonical_scalar(value).ok_or_else(|| match value {
                Json::Array(_) => format!("the value at `{path}` is an array"),
                Json::Object(_) => format!("the value at `{path}` is an object"),
                _ => format!("the value at `{path}` is null"),
            })
        };
        match &self.paths[..] {
            [path] => value(path),
            paths => Ok(Json::Array(
                paths.iter().map(value).collect::<Result<_, _>>()?,
            )),
        }
    }
}

impl Gates {
    /// Decides about `event` at `now`. The rule may have at most `max_entries` entries of state.
    pub(crate) fn decide(
        &self,
        rule: &str,
        event: &Event,
        state: &dyn State,
        now: Timestamp,
        max_entries: usize,
    ) -> GateDecision {
        let mut opened = Vec::new();
        let mut notes = Vec::new();
        let mut suppressed = 0;
        // `once` goes first: an event that it suppresses must not count as suppressed by the
        // throttle too, whose next message would report it.
        for (name, keyed) in [("once", &self.once), ("throttle", &self.throttle)] {
            let Some(keyed) = keyed else {
                continue;
            };
            // Events without the key have nothing in common: in one window, the first of them would
            // suppress the others for as long as the window lasts.
            let key = match keyed.key_values(event) {
                Ok(key) => key,
                Err(reason) => {
                    notes.push(format!("{name}: not gated: {reason}"));
                    continue;
                }
            };
            let (decision, changes) = keyed.gate.decide(state, rule, &key, now, max_entries);
            match decision {
                ThrottleDecision::Allow { suppressed: count } => {
                    suppressed = count;
                    if changes.is_empty() {
                        notes.push(format!(
                            "{name}: no window opened: the rule has {max_entries} state entries"
                        ));
                    }
                    opened.extend(changes);
                }
                ThrottleDecision::Suppress { count, until } => {
                    // Windows that an earlier gate would have opened stay closed: the event has no
                    // reaction, so the next one with that key must not be suppressed because of it.
                    let key = match &key {
                        _ if keyed.paths.is_empty() => String::new(),
                        Json::String(text) => format!("{text} "),
                        other => format!("{other} "),
                    };
                    let count = if count > 0 {
                        format!(", {count} held back")
                    } else {
                        String::new()
                    };
                    // Tests in rule files compare parts of this text with `skipped`, so its form is
                    // part of the rule file format.
                    let reason = format!("{name}: {key}until {until}{count}");
                    return GateDecision::Suppress {
                        reason,
                        changes,
                        notes,
                    };
                }
            }
        }
        GateDecision::Allow {
            suppressed,
            changes: opened,
            notes,
        }
    }
}

/// Adds the value at a path, and at each other way to read it as keys: `a.b.c` is also the key
/// `b.c` of `a`, and `c` of `a.b`.
fn insert_path(fields: &mut FieldSet, path: &str) {
    // 2^(n - 1) ways for n segments; paths of events have three at most.
    const MAX_SEGMENTS: usize = 6;
    let segments: Vec<&str> = path.split('.').collect();
    if segments.len() > MAX_SEGMENTS {
        *fields = FieldSet::all();
        return;
    }
    for dots in 0..1_u32 << (segments.len() - 1) {
        // Bit i: the dot after segment i is part of a key.
        let mut keys = vec![segments[0].to_owned()];
        for (i, segment) in segments[1..].iter().enumerate() {
            match keys.last_mut() {
                Some(key) if dots >> i & 1 == 1 => *key = format!("{key}.{segment}"),
                _ => keys.push((*segment).to_owned()),
            }
        }
        fields.insert(keys.iter().map(String::as_str));
    }
}

/// The value at a path. A key that contains dots is addressed like nested keys: `a.b.c` finds
/// `{"a": {"b.c": 1}}` as well as `{"a": {"b": {"c": 1}}}`.
fn value_at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if let Some(value) = json.get(path) {
        return Some(value);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| value_at(json.get(&path[..dot])?, &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Objects whose keys may contain dots.
    fn tree() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![(0..3_i64).prop_map(Json::from), Just(Json::Null)];
        leaf.prop_recursive(4, 16, 4, |inner| {
            let key = "[ab](\\.[ab]){0,2}";
            prop_oneof![
                4 => prop::collection::vec((key, inner.clone()), 0..4).prop_map(Json::from_iter),
                1 => prop::collection::vec(inner, 0..3).prop_map(Json::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_fields_of_a_path_are_enough_to_find_its_value(
            members in prop::collection::vec(("[ab](\\.[ab]){0,2}", tree()), 0..5),
            path in "[ab](\\.[ab]){0,7}",
        ) {
            let event = Event::from_json(Json::from_iter(members).to_string()).unwrap();
            let mut fields = FieldSet::default();
            insert_path(&mut fields, &path);
            let partial = event.select(&fields).to_json();
            let expected = value_at(event.tree(), &path);
            prop_assert_eq!(value_at(&partial, &path), expected, "{}", event.tree());
        }
    }
}
