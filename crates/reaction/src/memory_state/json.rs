//! A state as JSON text, for files and databases of programs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::{Event, Json, Limits, NativeEvent};

use super::MemoryState;
use crate::{Entry, KeptEvent, KeptMatch, State as _};

/// What `format` of the document is.
const FORMAT: &str = "reflexarc-state";
/// The version that is written. A change that earlier versions of this crate would misread gets
/// another number.
const VERSION: i64 = 1;
/// The deepest document that is read: values may have as many levels as events, inside five others.
const DEPTH: usize = Limits::DEFAULT.depth + 8;

/// Why a text is not a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid state: {reason}")]
pub struct StateFormatError {
    reason: String,
}

impl MemoryState {
    /// The state as one line of JSON, with the times at which entries expire, the matches of time
    /// windows, their events and the time that was reached. [`MemoryState::from_json`] makes an
    /// equal state of it.
    ///
    /// ```
    /// use reflexarc_reaction::{Entry, Json, MemoryState};
    ///
    /// let mut state = MemoryState::new();
    /// state.insert("failed", "count", Entry::new(Json::from(3)));
    /// let text = state.to_json();
    /// assert_eq!(
    ///     text,
    ///     r#"{"format":"reflexarc-state","version":1,"entries":{"failed":{"count":{"value":3}}}}"#,
    /// );
    /// assert_eq!(MemoryState::from_json(&text)?, state);
    /// # Ok::<(), reflexarc_reaction::StateFormatError>(())
    /// ```
    pub fn to_json(&self) -> String {
        let mut document = vec![
            ("format".to_owned(), Json::from(FORMAT)),
            ("version".to_owned(), VERSION.into()),
            ("entries".to_owned(), self.entries_json()),
        ];
        let mut add = |name: &str, json: Json| document.push((name.to_owned(), json));
        if self.has_matches() {
            add("matches", self.matches_json());
        }
        let events = self.kept_events().map(|kept| {
            // Texts, because the bytes of an event are kept as they are.
            let text = String::from_utf8_lossy(kept.event.bytes());
            (kept.position.to_string(), Json::from(&*text))
        });
        let events: Vec<_> = events.collect();
        if !events.is_empty() {
            add("events", Json::Object(events));
        }
        let matches = self.matches();
        if matches.next_position() > 0 {
            add("next_position", Json::count(matches.next_position()));
        }
        if matches.clock() > Timestamp::MIN {
            add("clock", matches.clock().to_string().into());
        }
        Json::Object(document).to_string()
    }

    /// The state of a text that [`MemoryState::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is another one, or of a later version of this crate.
    pub fn from_json(text: &str) -> Result<Self, StateFormatError> {
        let document = Json::parse_within(text, DEPTH).map_err(|error| invalid(&error))?;
        let document = Field::root(&document);
        let format = document.optional("format")?;
        if format.and_then(|format| format.json.as_str()) != Some(FORMAT) {
            return Err(invalid(&format!("expected `format` to be \"{FORMAT}\"")));
        }
        let version = document.required("version")?.number()?;
        if version != VERSION {
            return Err(invalid(&format!(
                "its format has version {version}, and this version of reflexarc reads version \
                 {VERSION}"
            )));
        }
        let mut state = Self::new();
        for rule in document.required("entries")?.members()? {
            for entry in rule.members()? {
                let mut read = Entry::new(entry.required("value")?.json.clone());
                read.expires = entry.optional_time("expires")?;
                state.insert(rule.name.as_str(), entry.name, read);
            }
        }
        let events = read_events(&document)?;
        for rule in document.optional_members("matches")? {
            for found in rule.members()? {
                read_match(&mut state, &rule.name, &found, &events)?;
            }
        }
        if let Some(position) = document.optional("next_position")? {
            state.reserve_positions(position.position()?);
        }
        state.advance(document.optional_time("clock")?.unwrap_or(Timestamp::MIN));
        Ok(state)
    }

    fn entries_json(&self) -> Json {
        let mut rules: Vec<(String, Json)> = Vec::new();
        for (rule, key, entry) in self.entries(Timestamp::MIN) {
            let mut json = vec![("value".to_owned(), entry.value.clone())];
            json.extend(time_member("expires", entry.expires));
            let member = (key.to_owned(), Json::Object(json));
            match rules.last_mut() {
                Some((last, Json::Object(members))) if last == rule => members.push(member),
                _ => rules.push((rule.to_owned(), Json::Object(vec![member]))),
            }
        }
        Json::Object(rules)
    }

    fn matches_json(&self) -> Json {
        let rules = self.rules_with_matches().map(|rule| {
            let matches = self.matches_of(rule, Timestamp::MIN);
            let matches = matches.map(|(key, kept)| (key.to_owned(), match_json(kept)));
            (rule.to_owned(), Json::Object(matches.collect()))
        });
        Json::Object(rules.collect())
    }
}

fn match_json(kept: &KeptMatch) -> Json {
    let shift = i64::try_from(kept.shift.as_micros()).unwrap_or(i64::MAX);
    let positions = kept.positions.iter().map(|position| Json::count(*position));
    let mut json = vec![
        // A number of 64 bits, which many readers of JSON would round.
        ("window".to_owned(), kept.window.to_string().into()),
        ("data".to_owned(), Json::from(&*kept.data)),
        ("pending".to_owned(), kept.is_pending.into()),
    ];
    json.extend(time_member("due", kept.due));
    json.extend(time_member("not_before", kept.not_before));
    json.extend(time_member("expires", kept.expires));
    if shift != 0 {
        json.push(("shift_microseconds".to_owned(), shift.into()));
    }
    json.push(("positions".to_owned(), Json::Array(positions.collect())));
    Json::Object(json)
}

fn time_member(name: &str, time: Option<Timestamp>) -> Option<(String, Json)> {
    time.map(|time| (name.to_owned(), time.to_string().into()))
}

fn read_events(document: &Field<'_>) -> Result<BTreeMap<u64, KeptEvent>, StateFormatError> {
    let mut events = BTreeMap::new();
    for event in document.optional_members("events")? {
        let position = event.name.parse();
        let position = position.map_err(|_| event.invalid("expected a position as its name"))?;
        // It was converted to the native form before it was kept.
        let read = Event::from_json(event.text()?).map_err(|error| event.invalid(&error))?;
        events.insert(position, KeptEvent::new(position, NativeEvent::as_is(read)));
    }
    Ok(events)
}

fn read_match(
    state: &mut MemoryState,
    rule: &str,
    found: &Field<'_>,
    events: &BTreeMap<u64, KeptEvent>,
) -> Result<(), StateFormatError> {
    let mut kept = KeptMatch::new(found.required("data")?.text()?);
    let window = found.required("window")?;
    let number = window.text()?.parse();
    kept.window = number.map_err(|_| window.invalid("expected the digits of a number"))?;
    let pending = found.required("pending")?;
    let is_pending = pending.json.as_bool();
    kept.is_pending = is_pending.ok_or_else(|| pending.invalid("expected true or false"))?;
    kept.due = found.optional_time("due")?;
    kept.not_before = found.optional_time("not_before")?;
    kept.expires = found.optional_time("expires")?;
    if let Some(shift) = found.optional("shift_microseconds")? {
        kept.shift = SignedDuration::from_micros(shift.number()?);
    }
    for position in found.required("positions")?.elements()? {
        kept.positions.push(position.position()?);
    }
    let referred = kept.positions.iter().map(|position| {
        let event = events.get(position).cloned();
        event.ok_or_else(|| found.invalid(&format!("`events` has none at position {position}")))
    });
    let referred = referred.collect::<Result<Vec<_>, _>>()?;
    state.insert_match(rule, &found.name, kept, &referred);
    Ok(())
}

/// A value of the document, with the path to it for messages.
struct Field<'a> {
    path: String,
    /// The last part of the path.
    name: String,
    json: &'a Json,
}

impl<'a> Field<'a> {
    fn root(json: &'a Json) -> Self {
        Self {
            path: String::new(),
            name: String::new(),
            json,
        }
    }

    fn inside(&self, name: &str, json: &'a Json) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{dot}{name}", self.path),
            name: name.to_owned(),
            json,
        }
    }

    fn optional(&self, name: &str) -> Result<Option<Self>, StateFormatError> {
        let Json::Object(_) = self.json else {
            return Err(self.invalid("expected an object"));
        };
        Ok(self.json.get(name).map(|json| self.inside(name, json)))
    }

    fn required(&self, name: &str) -> Result<Self, StateFormatError> {
        let field = self.optional(name)?;
        field.ok_or_else(|| self.invalid(&format!("missing `{name}`")))
    }

    fn optional_members(&self, name: &str) -> Result<Vec<Self>, StateFormatError> {
        match self.optional(name)? {
            Some(field) => field.members(),
            None => Ok(Vec::new()),
        }
    }

    fn members(&self) -> Result<Vec<Self>, StateFormatError> {
        let Json::Object(members) = self.json else {
            return Err(self.invalid("expected an object"));
        };
        let members = members.iter().map(|(name, json)| self.inside(name, json));
        Ok(members.collect())
    }

    fn elements(&self) -> Result<Vec<Self>, StateFormatError> {
        let Json::Array(elements) = self.json else {
            return Err(self.invalid("expected an array"));
        };
        let elements = elements.iter().enumerate();
        let elements = elements.map(|(index, json)| self.inside(&index.to_string(), json));
        Ok(elements.collect())
    }

    fn text(&self) -> Result<&'a str, StateFormatError> {
        let text = self.json.as_str();
        text.ok_or_else(|| self.invalid("expected a string"))
    }

    fn number(&self) -> Result<i64, StateFormatError> {
        let number = self.json.as_i64();
        number.ok_or_else(|| self.invalid("expected an integer"))
    }

    fn position(&self) -> Result<u64, StateFormatError> {
        let position = u64::try_from(self.number()?);
        position.map_err(|_| self.invalid("expected 0 or more"))
    }

    fn optional_time(&self, name: &str) -> Result<Option<Timestamp>, StateFormatError> {
        let Some(field) = self.optional(name)? else {
            return Ok(None);
        };
        let time = field.json.as_str().and_then(|text| text.parse().ok());
        let expected = "expected a time such as \"2026-11-25T08:00:00Z\"";
        time.map(Some).ok_or_else(|| field.invalid(expected))
    }

    fn invalid(&self, reason: &(impl std::fmt::Display + ?Sized)) -> StateFormatError {
        if self.path.is_empty() {
            return invalid(reason);
        }
        invalid(&format!("`{}`: {reason}", self.path))
    }
}

fn invalid(reason: &(impl std::fmt::Display + ?Sized)) -> StateFormatError {
    StateFormatError {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCHES: &str = concat!(
        r#"{"format":"reflexarc-state","version":1,"#,
        r#""entries":{"a":{"x":{"value":[1.50,null],"expires":"2026-11-25T08:00:00Z"}}},"#,
        r#""matches":{"stuck":{"\"eni-1\"":{"window":"18446744073709551615","data":"{}","#,
        r#""pending":true,"due":"2026-11-25T08:00:00.123456789Z","#,
        r#""not_before":"2026-11-25T07:00:00Z","expires":"2026-11-25T09:00:00Z","#,
        r#""shift_microseconds":-5,"positions":[3,7]}}},"#,
        r#""events":{"3":"{\"id\": 3}","7":"{}"},"next_position":9,"#,
        r#""clock":"2026-11-25T07:30:00Z"}"#,
    );

    #[test]
    fn matches_and_their_events_are_written_as_they_are_read() {
        let state = MemoryState::from_json(MATCHES).unwrap();
        assert_eq!(state.to_json(), MATCHES);
        assert_eq!(state.matches().next_position(), 9);
        let event = state.matches().event(3).unwrap();
        assert_eq!(event.bytes(), br#"{"id": 3}"#);
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        let replaced = |from: &str, to: &str| {
            assert!(MATCHES.contains(from), "{from}");
            let read = MemoryState::from_json(&MATCHES.replacen(from, to, 1));
            read.unwrap_err().to_string()
        };
        for (from, to, message) in [
            (
                "reflexarc-state",
                "other",
                "expected `format` to be \"reflexarc-state\"",
            ),
            (
                "\"version\":1",
                "\"version\":2",
                "its format has version 2, and this version of reflexarc reads version 1",
            ),
            ("\"value\"", "\"v\"", "`entries.a.x`: missing `value`"),
            (
                "\"2026-11-25T08:00:00Z\"",
                "7",
                "`entries.a.x.expires`: expected a time such as \"2026-11-25T08:00:00Z\"",
            ),
            (
                "18446744073709551615",
                "18446744073709551616",
                "`matches.stuck.\"eni-1\".window`: expected the digits of a number",
            ),
            (
                "[3,7]",
                "[3,8]",
                "`matches.stuck.\"eni-1\"`: `events` has none at position 8",
            ),
            (
                "[3,7]",
                "[3,-7]",
                "`matches.stuck.\"eni-1\".positions.1`: expected 0 or more",
            ),
            ("\"7\":\"{}\"", "\"7\":{}", "`events.7`: expected a string"),
            (
                "{\"stuck\":{",
                "{\"stuck\":7,\"x\":{",
                "`matches.stuck`: expected an object",
            ),
        ] {
            assert_eq!(replaced(from, to), format!("invalid state: {message}"));
        }
        for text in ["", "[]", "7", "{}", "{\"format\":7}"] {
            assert!(MemoryState::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_may_be_as_deep_as_events() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let mut state = MemoryState::new();
        let value = Json::parse(deep(Limits::DEFAULT.depth)).unwrap();
        state.insert("a", "x", Entry::new(value));
        assert_eq!(MemoryState::from_json(&state.to_json()), Ok(state));
        let text = MATCHES.replace("[1.50,null]", &deep(1_000_000));
        let error = MemoryState::from_json(&text).unwrap_err().to_string();
        assert!(error.starts_with("invalid state: "), "{error}");
    }
}
