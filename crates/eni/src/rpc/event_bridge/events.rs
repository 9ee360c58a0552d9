//! Events of programs, and tests of patterns.

use reflexarc_event::{Event, EventError, Json, parse_time};

use super::buses::found;
use super::errors::{error, invalid_json, quota};
use super::rules::parse_pattern;
use super::{EVENT_BUS_NAME, target};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, Required};
use crate::{ApiError, Cloud, Limits};

/// The longest texts of attributes, in characters, as documented.
const LONGEST: [(&str, &str, usize); 4] = [
    ("Id", "id", 128),
    ("Source", "source", 128),
    ("Type", "type", 64),
    ("Subject", "subject", 512),
];

/// Publishes events. Those that are invalid are in the answer, the others are published.
pub(super) fn put(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    const EVENT_LIST: Required = Required {
        name: "EventList",
        code: "MissingEventList",
    };
    let bus = EVENT_BUS_NAME.of(parameters)?;
    let given = target::parse_list("EventList", EVENT_LIST.of(parameters)?)?;
    let limits = *cloud.limits();
    found(cloud, account, bus)?;
    if given.len() > limits.events_per_request {
        let (count, limit) = (given.len(), limits.events_per_request);
        return Err(quota(
            "PutEventsRequestCountExceedLimit",
            "event",
            count,
            limit,
        ));
    }
    let mut failed = 0_u32;
    let mut entries = Vec::new();
    for given in &given {
        let id = given.get("Id").and_then(Json::as_str).unwrap_or_default();
        let trace = cloud.new_request_id();
        let mut members = vec![("EventId", id.into()), ("TraceId", trace.into())];
        match event(given, cloud, &limits) {
            Ok(event) => cloud.route_to_bus(account, bus, &event),
            Err(error) => {
                failed += 1;
                members.push(("ErrorCode", error.code.into()));
                members.push(("ErrorMessage", error.message.into()));
            }
        }
        entries.push(Json::object(members));
    }
    let data = Json::object([
        ("FailedEntryCount", i64::from(failed).into()),
        ("EntryList", Json::Array(entries)),
    ]);
    Ok(vec![("Data", data)])
}

pub(super) fn test_pattern(cloud: &mut Cloud, _account: &str, parameters: &Parameters) -> Answered {
    const EVENT: Required = Required {
        name: "Event",
        code: "MissingEvent",
    };
    const EVENT_PATTERN: Required = Required {
        name: "EventPattern",
        code: "MissingEventPattern",
    };
    let event = EVENT.of(parameters)?;
    let pattern = parse_pattern(EVENT_PATTERN.of(parameters)?, cloud.limits())?;
    let event = Event::from_json(event).map_err(|invalid| invalid_event("Event", &invalid))?;
    let result = pattern.try_matches(&event).map_err(|undecided| {
        error(
            "InvalidEventPattern",
            format!("The event pattern is invalid: {undecided}"),
        )
    })?;
    let data = Json::object([("Result", result.into())]);
    Ok(vec![("Data", data)])
}

/// The event of an entry, in `CloudEvents`.
fn event(given: &Json, cloud: &Cloud, limits: &Limits) -> Result<Event, ApiError> {
    const KEYS: [&str; 9] = [
        "Id",
        "Source",
        "Type",
        "Subject",
        "Time",
        "SpecVersion",
        "DataContentType",
        "DataSchema",
        "Data",
    ];
    let mut members = given.members().iter();
    if let Some((key, _)) = members.find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(invalid_json("EventList", &format!("unknown member {key}")));
    }
    let text = |name: &str| given.get(name).and_then(Json::as_str);
    let version = text("SpecVersion").unwrap_or("1.0");
    if version != "1.0" {
        return Err(invalid_json("EventList", "SpecVersion must be 1.0"));
    }
    let mut event = vec![("specversion", Json::from(version))];
    for (name, attribute, longest) in LONGEST {
        let value = text(name).filter(|value| !value.is_empty());
        match value {
            Some(value) if value.chars().count() > longest => {
                let reason = format!("{name} is longer than {longest} characters");
                return Err(invalid_json("EventList", &reason));
            }
            Some(value) => event.push((attribute, value.into())),
            None if name == "Subject" => {}
            None => return Err(invalid_json("EventList", &format!("{name} is missing"))),
        }
    }
    let time = match text("Time") {
        Some(time) if parse_time(time).is_err() => {
            return Err(invalid_json("EventList", "Time is not a time of RFC 3339"));
        }
        Some(time) => time.to_owned(),
        None => cloud.now().to_string(),
    };
    event.push(("time", time.into()));
    let content_type = text("DataContentType").unwrap_or("application/json; charset=utf-8");
    event.push(("datacontenttype", content_type.into()));
    event.extend(text("DataSchema").map(|schema| ("dataschema", schema.into())));
    event.extend(
        given
            .get("Data")
            .map(|data| ("data", data_of(data, content_type))),
    );
    let bytes = Json::object(event).to_string();
    if bytes.len() > limits.event_bytes {
        let reason = format!("the event is larger than {} bytes", limits.event_bytes);
        return Err(invalid_json("EventList", &reason));
    }
    Event::from_json(bytes).map_err(|invalid| invalid_event("EventList", &invalid))
}

/// The data: JSON in a string is JSON.
fn data_of(data: &Json, content_type: &str) -> Json {
    let parsed = data
        .as_str()
        .filter(|_| content_type.contains("json"))
        .and_then(|text| Json::parse(text).ok());
    parsed.unwrap_or_else(|| data.clone())
}

fn invalid_event(parameter: &str, invalid: &EventError) -> ApiError {
    invalid_json(parameter, &invalid.to_string())
}
