//! The states of targets as JSON.

use jiff::Timestamp;
use reflexarc_event::Json;

use crate::dispatch::TargetStatus;

/// The state of a target as JSON.
pub(crate) fn target_state_to_json(status: TargetStatus) -> Json {
    let time = |at: Option<Timestamp>| Json::optional(at.map(|at| at.to_string()).as_deref());
    let mut json = Json::object([
        ("target", status.target.into()),
        ("state", status.state.as_str().into()),
        ("since", time(status.since)),
        ("reason", Json::optional(status.reason.as_deref())),
        ("failures_in_a_row", Json::count(status.failures)),
        ("next_call", time(status.next_call)),
        ("paused_by", Json::optional(status.paused_by.as_deref())),
    ]);
    // Only while there are some.
    if let (Json::Object(members), Some(stopped)) = (&mut json, status.changes_stopped) {
        members.push(("changes_stopped".into(), stopped.into()));
    }
    if let (Json::Object(members), false) = (&mut json, status.flooding.is_empty()) {
        members.push(("flooding".into(), Json::strings(&status.flooding)));
    }
    json
}
