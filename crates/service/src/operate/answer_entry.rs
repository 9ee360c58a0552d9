//! Entries that are answers to calls, read back as the engine takes them.

use reflexarc::AnsweredCall;
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::CallAnswer;

use crate::store::{Archived, StoreError};

/// The call that an entry is about, with its answer.
///
/// # Errors
/// If something of it is missing.
pub(super) fn answered_call(archived: &Archived) -> Result<AnsweredCall, StoreError> {
    let failed = |reason| StoreError::Failed(format!("entry {}: {reason}", archived.seq));
    read(archived.event.tree()).map_err(failed)
}

fn read(detail: &Json) -> Result<AnsweredCall, String> {
    let missing = |name: &str| format!("`{name}` is missing from an answer");
    let get = |name: &str| detail.get(name).ok_or_else(|| missing(name));
    let call = get("call")?;
    let text = |json: &Json, name: &str| {
        let text = json.get(name).and_then(Json::as_str);
        text.map(str::to_owned).ok_or_else(|| missing(name))
    };
    let event = match get("event")? {
        Json::Null => None,
        event => {
            let event = Event::from_json(event.to_string()).map_err(|error| error.to_string())?;
            // As the rule saw it: it was converted when it came.
            Some(NativeEvent::as_is(event))
        }
    };
    let answer = CallAnswer::from_json(get("answer")?).ok_or_else(|| missing("answer"))?;
    let parameters = call.get("parameters").cloned();
    let parameters = parameters.ok_or_else(|| missing("parameters"))?;
    let hop = get("hop")?
        .as_i64()
        .and_then(|hop| usize::try_from(hop).ok());
    let key = Some(get("key")?.clone()).filter(|key| *key != Json::Null);
    let (target, operation) = (text(call, "target")?, text(call, "operation")?);
    let rule = text(detail, "rule")?;
    let call = AnsweredCall::new(rule, event, target, operation, parameters, answer);
    Ok(call
        .with_key(key)
        .with_hop(hop.ok_or_else(|| missing("hop"))?))
}
