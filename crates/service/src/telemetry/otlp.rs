//! OTLP's JSON encoding, as far as it is used here.
//!
//! Written by hand: three kinds of spans need a page of code, the OpenTelemetry crates would be
//! fifteen more dependencies.

use reflexarc_event::Json;

/// The body of a request with these spans.
pub(super) fn request_json(spans: Vec<Json>) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", "reflexarc"), ("service.version", version)];
    let resource = resource.map(|(key, value)| attribute(key, &Json::from(value)));
    let resource = Json::object([("attributes", Json::Array(resource.into()))]);
    let scope = Json::object([("name", "reflexarc".into()), ("version", version.into())]);
    let scope_spans = Json::object([("scope", scope), ("spans", Json::Array(spans))]);
    let resource_spans = Json::object([
        ("resource", resource),
        ("scopeSpans", Json::Array(vec![scope_spans])),
    ]);
    Json::object([("resourceSpans", Json::Array(vec![resource_spans]))])
}

/// An attribute as OTLP's JSON encoding has it.
pub(super) fn attribute(key: &str, value: &Json) -> Json {
    let value = match value {
        Json::Bool(_) => Json::object([("boolValue", value.clone())]),
        // All our numbers are integers. OTLP writes 64-bit integers as strings, as JavaScript would
        // round them.
        Json::Number(_) => Json::object([("intValue", value.to_string().into())]),
        other => {
            let text = other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned);
            Json::object([("stringValue", text.into())])
        }
    };
    Json::object([("key", key.into()), ("value", value)])
}
