//! The message of a rule with a time window, with `notify` and without templates.

use jiff::SignedDuration;
use reflexarc_diagnostic::truncate;
use reflexarc_event::Event;

use crate::default_message::{MAX_VALUE, add_fields, add_rule, one_line};
use crate::{Message, RuleInfo, WindowInput};

/// Why a rule with a time window sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowReason<'a> {
    /// Events came: `count`, `followed_by` and `batch`.
    Events,
    /// None came: `not_followed_by` and `absent_for`.
    Absence {
        /// The pattern of the event that was waited for; `None` if any event of the rule was.
        awaited: Option<&'a str>,
        /// How long.
        within: SignedDuration,
    },
    /// The match was resolved: `resolved`.
    Resolved,
}

/// The message of a rule with a time window that has neither a script nor templates: a title; a
/// line that says what happened and since when; the fields of an event, one on each line, as
/// [`default_message`](crate::default_message) lists them; and the number of matches suppressed
/// since the last message.
///
/// The title begins with the rule's description, or its name. The event is the one that closed the
/// match where there is one, else `event`: the opening one, the last one, or none.
///
/// ```
/// use reflexarc_reaction::{Event, Json, RuleInfo, SignedDuration, Timestamp};
/// use reflexarc_reaction::{WindowInput, WindowReason, default_window_message};
///
/// let key = Json::from("eni-1");
/// let event = Event::from_json(r#"{"name": "Disk:Stuck", "regionId": "cn-hangzhou"}"#)?;
/// let rule = RuleInfo::named("disks").with_description("A disk is stuck");
/// let window = WindowInput {
///     events: &[],
///     count: 6,
///     opened: Timestamp::UNIX_EPOCH,
///     deadline: None,
///     key: &key,
///     late: false,
///     closing: None,
/// };
/// let message = |reason, event| default_window_message(reason, event, &window, &rule, 0);
/// let six = message(WindowReason::Events, Some(&event));
/// assert_eq!(six.title, "A disk is stuck: 6 events for eni-1");
/// assert_eq!(
///     six.text,
///     "6 events for eni-1 since 1970-01-01T00:00:00Z\nevent: Disk:Stuck\nregion: cn-hangzhou\n\
///      rule: disks (A disk is stuck)"
/// );
/// let within = SignedDuration::from_hours(24);
/// let none = message(WindowReason::Absence { awaited: None, within }, None);
/// assert_eq!(none.title, "A disk is stuck: no event for eni-1 within 24h");
/// let none = message(WindowReason::Absence { awaited: Some("x exists"), within }, None);
/// assert_eq!(none.title, "A disk is stuck: no `x exists` for eni-1 within 24h");
/// let resolved = message(WindowReason::Resolved, None);
/// assert_eq!(resolved.title, "A disk is stuck: resolved for eni-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn default_window_message(
    reason: WindowReason<'_>,
    event: Option<&Event>,
    window: &WindowInput<'_>,
    rule: &RuleInfo,
    suppressed: u64,
) -> Message {
    // The title alone must say what happened, to which key: it is all that lists of messages show.
    // The description comes first, so that messages of one rule stand together.
    let summary = summary(reason, window);
    let subject = if rule.description.is_empty() {
        &rule.name
    } else {
        &rule.description
    };
    let since = match reason {
        WindowReason::Resolved => ", opened at",
        WindowReason::Events | WindowReason::Absence { .. } => " since",
    };
    let mut text = format!("{summary}{since} {}\n", window.opened);
    // Where no event has come there are no fields.
    if let Some(event) = window.closing.or(event) {
        add_fields(event, &mut text);
    }
    add_rule(rule, suppressed, &mut text);
    Message {
        title: format!("{subject}: {summary}"),
        text,
        level: rule.level,
        at: Vec::new(),
        link: None,
    }
}

/// What happened, for which key: "6 events for eni-1".
fn summary(reason: WindowReason<'_>, window: &WindowInput<'_>) -> String {
    // An empty key is that of a rule without `by`.
    let key = one_line(window.key)
        .map(|key| format!(" for {key}"))
        .unwrap_or_default();
    match reason {
        WindowReason::Events if window.count == 1 => format!("1 event{key}"),
        WindowReason::Events => format!("{} events{key}", window.count),
        WindowReason::Absence { awaited, within } => {
            let awaited = awaited.map(|pattern| {
                // A pattern may have several lines and be long.
                let words: Vec<&str> = pattern.split_whitespace().collect();
                format!("`{}`", truncate(&words.join(" "), MAX_VALUE))
            });
            let awaited = awaited.as_deref().unwrap_or("event");
            format!("no {awaited}{key} within {within:#}")
        }
        WindowReason::Resolved => format!("resolved{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, Level, Timestamp};

    const NO_EVENT: &str = "{}";

    fn message(reason: WindowReason<'_>, key: &str, count: u64, closing: Option<&str>) -> Message {
        let key = Json::parse(key).unwrap();
        let event = |json: &str| Event::from_json(json).unwrap();
        let closing = closing.map(event);
        let window = WindowInput {
            events: &[],
            count,
            opened: "2019-04-09T04:18:26.922Z".parse().unwrap(),
            deadline: Some(Timestamp::MAX),
            key: &key,
            late: false,
            closing: closing.as_ref(),
        };
        let rule = RuleInfo::named("stuck").with_level(Level::Critical);
        let opening = event(r#"{"id": "opening"}"#);
        default_window_message(reason, Some(&opening), &window, &rule, 3)
    }

    #[test]
    fn the_title_has_what_happened_and_the_key() {
        let absence = |awaited| WindowReason::Absence {
            awaited,
            within: SignedDuration::from_mins(90),
        };
        let long = "x ".repeat(500);
        for (reason, key, count, expected) in [
            (
                WindowReason::Events,
                r#""eni-1""#,
                1,
                "stuck: 1 event for eni-1",
            ),
            (WindowReason::Events, r#""""#, 2, "stuck: 2 events"),
            (
                WindowReason::Events,
                r#"["a", 7, true]"#,
                0,
                "stuck: 0 events for a, 7, true",
            ),
            (
                WindowReason::Events,
                r#""a\n\nb""#,
                9,
                "stuck: 9 events for a b",
            ),
            (absence(None), "7", 0, "stuck: no event for 7 within 1h 30m"),
            (absence(None), r#""""#, 0, "stuck: no event within 1h 30m"),
            (
                absence(Some("a exists\n  and b == 1")),
                r#""x""#,
                1,
                "stuck: no `a exists and b == 1` for x within 1h 30m",
            ),
            (WindowReason::Resolved, r#""x""#, 1, "stuck: resolved for x"),
        ] {
            assert_eq!(message(reason, key, count, None).title, expected);
        }
        assert!(message(absence(Some(&long)), "1", 1, None).title.len() < 300);
        let key = format!("\"{}\"", "k".repeat(16 << 10));
        assert!(message(WindowReason::Events, &key, 1, None).title.len() < 300);
    }

    #[test]
    fn the_text_has_the_fields_of_the_closing_event() {
        let closed = message(
            WindowReason::Resolved,
            r#""x""#,
            1,
            Some(r#"{"id": "closing"}"#),
        );
        assert_eq!(
            closed.text,
            "resolved for x, opened at 2019-04-09T04:18:26.922Z\nevent id: closing\nrule: stuck\n\
             3 more like this since the last message"
        );
        assert_eq!(closed.level, Level::Critical);
        let open = message(WindowReason::Events, r#""x""#, 1, None);
        assert!(open.text.contains("\nevent id: opening\n"), "{}", open.text);
        let empty = message(WindowReason::Events, r#""x""#, 1, Some(NO_EVENT));
        assert!(
            empty.text.contains(".922Z\nrule: stuck\n"),
            "{}",
            empty.text
        );
    }
}
