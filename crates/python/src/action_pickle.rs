//! What a pickled `Action` consists of: programs keep calls that wait for their answer, and delayed
//! actions, over restarts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc::{FiringReason, MatchFiring};
use reflexarc_event::{Event, Json};
use reflexarc_reaction::Action;

use crate::action::{OriginEvent, PyAction};
use crate::action_origin::{ActionOrigin, DeliveryOrigin};
use crate::time_window::PyMatchFiring;

/// The action as JSON.
pub(crate) fn pickled(action: &PyAction) -> Json {
    let firing = action.firing.as_ref();
    let firing = firing.map(|PyMatchFiring { firing, .. }| pickled_firing(firing));
    let event = action.event.as_ref().map(|OriginEvent(event)| {
        // An event is JSON, and so UTF-8.
        Json::from(String::from_utf8_lossy(event.bytes()).into_owned())
    });
    Json::object([
        ("rule", action.rule.as_str().into()),
        ("hop", Json::count(action.hop as u64)),
        ("causes", Json::strings(action.causes.clone())),
        ("labels", Json::texts(&action.labels)),
        ("scope", action.scope.clone().unwrap_or(Json::Null)),
        ("firing", firing.unwrap_or(Json::Null)),
        ("event", event.unwrap_or(Json::Null)),
        ("origin", action.delivery_origin().to_json()),
        ("action", action.action.to_json()),
    ])
}

/// The action of a pickle; `None` for anything else.
pub(crate) fn unpickled(json: &Json) -> Option<PyAction> {
    let rule = json.get("rule")?.as_str()?.to_owned();
    let causes = json.get("causes")?.elements().iter();
    let causes = causes.map(|cause| Some(cause.as_str()?.to_owned()));
    let labels = json.get("labels")?.members().iter();
    let labels = labels.map(|(name, label)| Some((name.clone(), label.as_str()?.to_owned())));
    let firing = match json.get("firing")? {
        Json::Null => None,
        firing => Some(PyMatchFiring {
            rule: rule.clone(),
            firing: unpickled_firing(firing)?,
        }),
    };
    let event = match json.get("event")? {
        Json::Null => None,
        event => Some(OriginEvent(Event::from_json(event.as_str()?).ok()?)),
    };
    // Earlier versions wrote none.
    let origin = json.get("origin").and_then(DeliveryOrigin::from_json);
    let scope = json.get("scope")?;
    Some(PyAction {
        hop: usize::try_from(json.get("hop")?.as_i64()?).ok()?,
        causes: causes.collect::<Option<_>>()?,
        labels: labels.collect::<Option<BTreeMap<_, _>>>()?,
        firing,
        // A key is no null.
        scope: (*scope != Json::Null).then(|| scope.clone()),
        event,
        origin: origin.map(ActionOrigin::from).unwrap_or_default(),
        action: Action::from_json(json.get("action")?)?,
        rule,
    })
}

/// A firing as JSON.
pub(crate) fn pickled_firing(firing: &MatchFiring) -> Json {
    let text = |time: Timestamp| Json::from(time.to_string());
    Json::object([
        ("resolved", (firing.reason == FiringReason::Resolved).into()),
        ("key", firing.key.clone()),
        ("opened", text(firing.opened)),
        ("deadline", firing.deadline.map_or(Json::Null, text)),
        ("count", Json::count(firing.count)),
        ("late", firing.late.into()),
        ("to_opening", firing.to_opening.into()),
    ])
}

/// The firing of a pickle; `None` for anything else.
pub(crate) fn unpickled_firing(json: &Json) -> Option<MatchFiring> {
    let time = |json: &Json| json.as_str()?.parse().ok();
    let reason = if json.get("resolved")?.as_bool()? {
        FiringReason::Resolved
    } else {
        FiringReason::Fired
    };
    let (key, opened) = (json.get("key")?.clone(), time(json.get("opened")?)?);
    let mut firing = MatchFiring::new(reason, key, opened);
    firing.deadline = match json.get("deadline")? {
        Json::Null => None,
        deadline => Some(time(deadline)?),
    };
    firing.count = u64::try_from(json.get("count")?.as_i64()?).ok()?;
    firing.late = json.get("late")?.as_bool()?;
    // Missing in pickles of earlier versions.
    let to_opening = json.get("to_opening").and_then(Json::as_bool);
    firing.to_opening = to_opening.unwrap_or(false);
    Some(firing)
}
