//! What makes two arrivals the same event.

use crate::json::Json;
use crate::{NativeEvent, Reading};

impl NativeEvent {
    /// A key that is the same each time a sender repeats the event, whatever the envelope, and differs between events;
    /// `None` for an event without an id, or with one that is masked and so may stand for any.
    ///
    /// It is made of product or source, id, name, resource and time, since ids alone are not unique in practice.
    pub fn identity(&self) -> Option<String> {
        let first = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| self.tree().get(key).and_then(Json::as_str))
        };
        let id = Reading::of(first(&["id"])?, |text| {
            (!text.is_empty()).then(|| text.to_owned())
        });
        id.clear()?;
        let parts = [
            &["product", "source"][..],
            &["id"],
            &["name", "detail-type"],
            &["resourceId"],
            &["eventTime", "time"],
        ];
        Some(
            Json::Array(
                parts
                    .map(|keys| first(keys).map_or(Json::Null, Json::from))
                    .into(),
            )
            .to_string(),
        )
    }
}
