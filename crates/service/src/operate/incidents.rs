//! Incidents as JSON documents.

use reflexarc_event::Json;

use super::trace::delivery_to_json;
use crate::store::{Incident, Store, StoreError};

/// The deliveries that are shown of an incident.
const DELIVERIES: usize = 100;

/// An incident: `id`, `status` (`open`, `acknowledged`, or how it ended), `rule`, `key`, `opened`,
/// `last`, `count`, and who acknowledged and ended it.
pub fn incident_to_json(incident: &Incident) -> Json {
    let time = |at: Option<jiff::Timestamp>| at.map_or(Json::Null, |at| at.to_string().into());
    let text = |text: &Option<String>| Json::optional(text.as_deref());
    Json::object([
        ("id", Json::count(incident.id)),
        ("status", incident.status().into()),
        ("rule", incident.rule.as_str().into()),
        ("key", key_to_json(&incident.key)),
        ("opened", incident.opened.to_string().into()),
        ("last", incident.last.to_string().into()),
        ("count", Json::count(incident.count)),
        ("acknowledged", time(incident.acknowledged)),
        ("acknowledged_by", text(&incident.acknowledged_by)),
        ("note", text(&incident.note)),
        ("ended", time(incident.ended)),
        ("ended_by", text(&incident.ended_by)),
        ("reason", text(&incident.reason)),
    ])
}

/// An incident with its first deliveries; `None` if there is none of this number.
///
/// # Errors
/// If the store cannot be read.
pub fn incident_with_deliveries(store: &dyn Store, id: i64) -> Result<Option<Json>, StoreError> {
    let Some(incident) = store.incident(id)? else {
        return Ok(None);
    };
    let mut json = incident_to_json(&incident);
    let deliveries = store.incident_deliveries(id, DELIVERIES)?;
    let deliveries = deliveries.iter().map(|one| delivery_to_json(one, None));
    if let Json::Object(members) = &mut json {
        members.push(("deliveries".into(), Json::Array(deliveries.collect())));
    }
    Ok(Some(json))
}

/// The key as scripts see it; null for a rule without `by`.
fn key_to_json(key: &str) -> Json {
    match Json::parse(key) {
        Ok(Json::Array(values)) if values.is_empty() => Json::Null,
        Ok(key) => key,
        Err(_) => key.into(),
    }
}
