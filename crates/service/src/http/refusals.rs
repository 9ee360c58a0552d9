//! The log lines of refused requests to `/events`.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use reflexarc_diagnostic::truncate_to_line;
use reflexarc_event::Json;

/// Why a request was refused, carried from the handler to the log.
#[derive(Debug, Clone)]
pub(super) struct RefusalReason(String);

/// Logs refused requests: most senders of events ignore the response, so that without a line their
/// events would be lost without a sign.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    /// The second of the last line, and the lines of that second.
    last: Mutex<(i64, u32)>,
}

/// Lines in the log in a second. Requests without a token are refused too, and must not fill the
/// disk; the metric `requests_refused` counts all of them.
const MAX_LINES: u32 = 10;

/// Characters of a reason in the log; it quotes what the sender wrote.
const MAX_REASON_CHARS: usize = 2000;

impl RefusalReason {
    /// The reason in the body of an error response, with the error of its first element.
    pub(super) fn of(body: &Json) -> Self {
        let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        let first = body
            .get("faults")
            .and_then(|faults| faults.elements().first());
        let reason = text(body, "error").unwrap_or_default();
        Self(match first.and_then(|first| text(first, "message")) {
            // The error of a single element is in the reason.
            Some(message) if !reason.contains(&message) => format!("{reason}; first: {message}"),
            _ => reason,
        })
    }
}

impl RefusalReason {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl RefusalLog {
    /// Logs a refused request.
    pub(super) fn log(&self, status: u16, reason: Option<&RefusalReason>) {
        if !self.may_log(Timestamp::now().as_second()) {
            return;
        }
        let reason = reason.map_or("", |reason| reason.0.as_str());
        tracing::warn!(
            status,
            reason = &*truncate_to_line(reason, MAX_REASON_CHARS),
            "refused a request to /events"
        );
    }

    /// Logs the refused elements of a request of which others were accepted.
    pub(super) fn log_partial(&self, refused: usize, first: &str) {
        if !self.may_log(Timestamp::now().as_second()) {
            return;
        }
        tracing::warn!(
            refused,
            first = &*truncate_to_line(first, MAX_REASON_CHARS),
            "refused elements of a request to /events"
        );
    }

    /// Whether there may be another line in this second, which it counts.
    pub(crate) fn may_log(&self, second: i64) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second {
            *last = (second, 0);
        }
        last.1 += 1;
        last.1 <= MAX_LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_limited_in_each_second() {
        let log = RefusalLog::default();
        for second in [5, 6] {
            let lines = (0..100).filter(|_| log.may_log(second)).count();
            assert_eq!(lines, MAX_LINES as usize);
        }
    }

    #[test]
    fn reasons_name_the_first_invalid_element() {
        let reason = |text: &str| RefusalReason::of(&Json::parse(text).unwrap()).0;
        assert_eq!(reason(r#"{"error": "too large"}"#), "too large");
        assert_eq!(
            reason(r#"{"error": "2 elements", "faults": [{"message": "a"}, {"message": "b"}]}"#),
            "2 elements; first: a"
        );
        assert_eq!(
            reason(r#"{"error": "element 0: a", "faults": [{"message": "a"}]}"#),
            "element 0: a"
        );
    }
}
