//! What the pattern of a silence is compared with.

use reflexarc::{Rule, RuleSet};
use reflexarc_delivery::Delivery;
use reflexarc_event::{Event, Json, NativeEvent};

/// `{"event", "rule", "labels", "target", "key", "level"}` of a delivery, as an event that a
/// pattern can be compared with.
///
/// `event` is the event in native form, `level` is the level of it, `labels` are those that the
/// rule has now. What is unknown is missing.
pub(crate) fn document(
    rules: &RuleSet,
    delivery: &Delivery,
    event: Option<&NativeEvent>,
) -> Option<Event> {
    let tree = event.map(NativeEvent::tree);
    let whole = document_of(rules, delivery, tree);
    // An event that is as large or as deep as may be is too large or too deep inside of a document.
    Event::from_json(whole)
        .or_else(|_| Event::from_json(document_of(rules, delivery, None)))
        .ok()
}

fn document_of(rules: &RuleSet, delivery: &Delivery, event: Option<&Json>) -> String {
    let rule = rules.get(&delivery.rule);
    let labels = rule.into_iter().flat_map(Rule::labels);
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().into()));
    let key = delivery.key.as_deref();
    let key = key.map(|key| Json::parse(key).unwrap_or_else(|_| key.into()));
    let level = event.and_then(|event| event.get("level"));
    let members = [
        ("event", event.cloned()),
        ("rule", Some(delivery.rule.as_str().into())),
        ("labels", Some(Json::Object(labels.collect()))),
        ("target", Some(delivery.target.as_str().into())),
        ("key", key),
        ("level", level.cloned()),
    ];
    let members = members.into_iter();
    let members = members.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(members.collect()).to_string()
}
