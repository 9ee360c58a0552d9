//! Test events.

use reflexarc_event::{Event, Json, Level};

use super::illegal;
use crate::Cloud;
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, Required, unsupported};

/// Sends a test event to the matching rules of the account. `EventBridge` does not get it.
pub(super) fn send(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    const PRODUCT: Required = Required {
        name: "Product",
        code: "MissingProduct",
    };
    const EVENT_NAME: Required = Required {
        name: "EventName",
        code: "MissingEventName",
    };
    let (product, name) = (PRODUCT.of(parameters)?, EVENT_NAME.of(parameters)?);
    if let Some(group) = parameters.optional("GroupId").filter(|group| *group != "0") {
        return Err(unsupported("GroupId", group));
    }
    let given = match parameters.optional("EventContent").map(Json::parse) {
        None => Json::Object(Vec::new()),
        Some(Ok(json @ Json::Object(_))) => json,
        Some(_) => return Err(illegal("EventContent must be a JSON object.")),
    };
    let text = |key: &str| given.get(key).and_then(Json::as_str);
    // The debugging page fills in a whole event; other callers give the content alone.
    let content = match given.get("content") {
        Some(content @ Json::Object(_)) => content.clone(),
        _ => given.clone(),
    };
    let level = match text("level") {
        None => Level::Info,
        Some(level) => level
            .parse()
            .map_err(|_| illegal("The level is not CRITICAL, WARN or INFO."))?,
    };
    let region = text("regionId").unwrap_or(cloud.region()).to_owned();
    let (id, time) = (cloud.new_request_id(), cloud.event_time());
    let mut members = vec![
        ("ver", "1.0".into()),
        ("id", id.into()),
        ("product", product.to_uppercase().into()),
    ];
    members.extend(text("resourceId").map(|id| ("resourceId", id.into())));
    members.extend([
        ("level", level.as_str().into()),
        ("name", name.into()),
        ("userId", account.into()),
        ("eventTime", time.into()),
        ("regionId", region.into()),
        ("content", content),
    ]);
    let event = Event::from_tree(Json::object(members));
    let event = event.map_err(|error| illegal(&error.to_string()))?;
    cloud.route_to_monitor(account, &event);
    Ok(Vec::new())
}
