//! Trying an event: what the rules would do with it. Nothing is stored and nothing is sent.

use jiff::Timestamp;
use reflexarc::{Evaluation, MemoryState, RuleSet, event_time};
use reflexarc_event::{Document, Limits as EventLimits, NativeEvent};

use crate::handle::ServiceHandle;
use crate::store::StoreError;

/// What can be tried at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TryLimits {
    /// Bytes of the text; 1 MiB.
    pub bytes: usize,
    /// Events that the text may contain; 20. Further ones are counted.
    pub events: usize,
}

/// What the rules would do with the events of a text.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Tried {
    /// The events in the order of the text.
    pub events: Vec<TriedEvent>,
    /// How many further events the text contains.
    pub left_out: usize,
}

/// What the rules would do with one event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TriedEvent {
    /// The event in native form.
    pub event: NativeEvent,
    /// The time of the evaluation: that of the event.
    pub at: Timestamp,
    /// Whether the event has no time of its own.
    pub is_assumed: bool,
    /// What the rules do.
    pub evaluation: Evaluation,
}

impl TryLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        bytes: 1 << 20,
        events: 20,
    };
}

/// Evaluates the events of a text as `reflexarc run` does: with an empty state that lasts for all
/// of them, each at its own time.
///
/// ```
/// use reflexarc::RuleSet;
/// use reflexarc_service::operate::{TryLimits, try_event};
///
/// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
/// let tried = try_event(&rules, r#"{"id": 1}"#, &TryLimits::LIMITS)?;
/// assert_eq!(tried.events[0].evaluation.actions().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the text is too long, or is not an event or a document with events.
pub fn try_event(rules: &RuleSet, text: &str, limits: &TryLimits) -> Result<Tried, String> {
    if text.trim().is_empty() {
        return Err("missing event: paste one as JSON".to_owned());
    }
    if text.len() > limits.bytes {
        let most = limits.bytes;
        return Err(format!("the event is longer than {most} bytes"));
    }
    let document = Document::read_within(text, &EventLimits::DEFAULT);
    let events = document.map_err(|error| error.to_string())?.into_events();
    let left_out = events.len().saturating_sub(limits.events);
    let mut state = MemoryState::new();
    let (mut tried, mut first) = (Vec::new(), None);
    for (event, number) in events.into_iter().take(limits.events).zip(1..) {
        let native = event.and_then(NativeEvent::new);
        let native = native.map_err(|error| match left_out + number {
            1 => error.to_string(),
            _ => format!("event {number}: {error}"),
        })?;
        let time = event_time(&native);
        first = first.or(time);
        // As `run` does it, so that the result is the same whenever it is tried.
        let at = time.or(first).unwrap_or(Timestamp::UNIX_EPOCH);
        let evaluation = rules.evaluate_in_time(&native, &mut state, at, &mut |_| ());
        tried.push(TriedEvent {
            event: native,
            at,
            is_assumed: time.is_none(),
            evaluation,
        });
    }
    Ok(Tried {
        events: tried,
        left_out,
    })
}

impl ServiceHandle {
    /// As [`try_event`] with the rules in effect, on a thread that may block.
    ///
    /// # Errors
    /// If it panics; the inner one as that of [`try_event`].
    pub async fn try_event(&self, text: String) -> Result<Result<Tried, String>, StoreError> {
        // As many at one time as can run, because scripts may use much time.
        let turn = self.state.large_work.acquire().await;
        let rules = self.rules();
        let tried =
            crate::service::blocking(move || Ok(try_event(&rules, &text, &TryLimits::LIMITS)))
                .await;
        drop(turn);
        tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> RuleSet {
        let rule = "when = 'id exists'\nthen = 'add(\"n\", 1); log(get(\"n\").to_string())'";
        RuleSet::compile([("a.toml", rule)]).unwrap()
    }

    #[test]
    fn events_of_a_list_share_a_state() {
        let text = r#"[{"id": 1}, {"id": 2, "eventTime": "2026-11-25T08:00:00Z"}]"#;
        let tried = try_event(&rules(), text, &TryLimits::LIMITS).unwrap();
        let logs = tried.events.iter();
        let logs = logs.map(|one| one.evaluation.rules[0].log.join(""));
        assert!(logs.eq(["1", "2"]));
        assert!(tried.events[0].is_assumed && !tried.events[1].is_assumed);
    }

    #[test]
    fn limits_are_reached() {
        let limits = TryLimits {
            bytes: 30,
            events: 1,
        };
        let tried = try_event(&rules(), r#"[{"id": 1}, {"id": 2}]"#, &limits).unwrap();
        assert_eq!((tried.events.len(), tried.left_out), (1, 1));
        let long = format!("{}{}", r#"{"id": 1}"#, " ".repeat(30));
        let error = try_event(&rules(), &long, &limits).unwrap_err();
        assert!(error.contains("longer than 30 bytes"), "{error}");
        assert!(try_event(&rules(), "{", &limits).is_err());
        assert!(try_event(&rules(), " ", &limits).is_err());
    }
}
