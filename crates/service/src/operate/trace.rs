//! The trace of one event as one JSON document.

use reflexarc::{Rule, RuleSet};
use reflexarc_delivery::DeliveryId;
use reflexarc_delivery::Phase;
use reflexarc_diagnostic::format_duration;
use reflexarc_event::{Json, NativeEvent};

use super::silences::withheld_to_json;
use crate::store::{
    Archived, Attempt, DamagedDelivery, DamagedEvent, DeliveryRecord, EntryKind, PageLimits, Store,
    StoreError,
};

/// The deliveries in a trace. A replay adds further ones to an event each time, without bound.
const DELIVERIES: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 1 << 20,
};

/// Times in which a delivery was withheld, in its trace.
const WITHHELD_PERIODS: usize = 20;

/// Of an event: the event as received, its native form, whether each current rule matches it, its
/// evaluation at the time, and its deliveries with every attempt, at most 1,000 and 1 MiB of their
/// actions. A rule whose filter cannot be compared with the event is `undecided`. If `explain`
/// names a rule, its verdict contains the explanation. Further deliveries are counted in
/// `left_out`, and what cannot be read is in `damaged`.
///
/// Of an entry that is no event, such as the firing of a match that the event opened: its kind in
/// `entry`, its time in `at`, what happened in `detail`, its evaluation and its deliveries.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc::{Evaluation, RuleSet};
/// use reflexarc_event::Event;
/// use reflexarc_service::operate::trace;
/// use reflexarc_service::{Config, Incoming, SqliteStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let options = Config::default().store_options;
/// let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options)?;
/// let incoming = Incoming::new(Event::from_json(r#"{"id": "1", "a": 7}"#)?)?;
/// store.accept(incoming, Evaluation::default(), Timestamp::now())?;
///
/// let rules = RuleSet::compile([("sevens.toml", "when = 'a == 7'\nthen = ''")])?;
/// let traced = trace(&store, &rules, &store.find("1")?[0], None)?;
/// let verdict = &traced.get("verdicts").unwrap().elements()[0];
/// assert_eq!(verdict.to_string(), r#"{"rule":"sevens","matched":true}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the store cannot be read, or the event cannot be converted to the native form.
pub fn trace(
    store: &dyn Store,
    rules: &RuleSet,
    archived: &Archived,
    explain: Option<&str>,
) -> Result<Json, StoreError> {
    if !matches!(archived.entry, EntryKind::Event | EntryKind::Emitted) {
        let entry = entry_to_json(archived);
        return with_deliveries(store, archived, entry);
    }
    let native = NativeEvent::new(archived.event.clone())
        .map_err(|error| StoreError::Failed(format!("event {}: {error}", archived.seq)))?;
    // With the rules as they are now: which rules ran at the time is in `evaluation`.
    let matched = rules.matching(&native);
    let matching: Vec<&str> = rules.matched_rules(&matched).map(Rule::name).collect();
    let undecided: Vec<u32> = matched.undecided().collect();
    let verdicts = (0..).zip(rules.rules()).map(|(position, rule)| {
        let mut verdict = Json::object([
            ("rule", rule.name().into()),
            ("matched", matching.contains(&rule.name()).into()),
        ]);
        if let (Json::Object(members), true) = (&mut verdict, undecided.contains(&position)) {
            members.push(("undecided".into(), true.into()));
        }
        // A disabled rule matches nothing, whatever its filter says.
        if let (Json::Object(members), false) = (&mut verdict, rule.enabled()) {
            members.push(("enabled".into(), false.into()));
        }
        let explanation = explain
            .filter(|name| *name == rule.name())
            .and_then(|name| rules.explain(&native, name));
        if let (Json::Object(members), Some(explanation)) = (&mut verdict, explanation) {
            members.push(("explanation".into(), explanation.to_json()));
        }
        verdict
    });
    let evaluation = archived.evaluation.clone().unwrap_or(Json::Null);
    let trace = Json::object([
        ("id", archived.name.id.as_str().into()),
        ("source", archived.name.source.as_str().into()),
        ("seq", archived.seq.into()),
        ("entry", archived.entry.as_str().into()),
        ("accepted", archived.received.to_string().into()),
        ("envelope", archived.event.envelope().as_str().into()),
        ("received", archived.event.tree().clone()),
        // The key is older than the term "native form" and stays for its readers.
        ("normal", native.tree().clone()),
        ("verdicts", Json::Array(verdicts.collect())),
        ("evaluation", evaluation),
    ]);
    with_deliveries(store, archived, trace)
}

/// An entry as one JSON document: its kind and time, its body in `event` or `detail`, and its
/// evaluation.
pub fn entry_to_json(archived: &Archived) -> Json {
    let body = match archived.entry {
        EntryKind::Event | EntryKind::Emitted => "event",
        _ => "detail",
    };
    Json::object([
        ("seq", archived.seq.into()),
        ("entry", archived.entry.as_str().into()),
        ("at", archived.received.to_string().into()),
        ("id", archived.name.id.as_str().into()),
        ("source", archived.name.source.as_str().into()),
        (body, archived.event.tree().clone()),
        (
            "evaluation",
            archived.evaluation.clone().unwrap_or(Json::Null),
        ),
    ])
}

/// The trace with the deliveries of the entry.
fn with_deliveries(
    store: &dyn Store,
    archived: &Archived,
    mut trace: Json,
) -> Result<Json, StoreError> {
    let found = store.deliveries_of(archived.seq, DELIVERIES)?;
    let deliveries = found.deliveries.iter().map(|(record, attempts)| {
        let delivery = delivery_to_json(record, Some(attempts));
        with_withheld_periods(store, delivery, record.delivery.id)
    });
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    if let Json::Object(members) = &mut trace {
        members.push(("deliveries".into(), Json::Array(deliveries)));
        if found.left_out > 0 {
            members.push(("left_out".into(), Json::count(found.left_out)));
        }
        if !found.damaged.is_empty() {
            let damaged = found.damaged.iter().map(damaged_delivery_to_json);
            members.push(("damaged".into(), Json::Array(damaged.collect())));
        }
    }
    Ok(trace)
}

/// The delivery with the times in which it was withheld, in `withheld`, if it was: at most the last
/// twenty.
///
/// # Errors
/// If the store cannot be read.
pub fn with_withheld_periods(
    store: &dyn Store,
    mut delivery: Json,
    id: DeliveryId,
) -> Result<Json, StoreError> {
    let periods = store.withheld_periods(id, WITHHELD_PERIODS)?;
    if let (Json::Object(members), false) = (&mut delivery, periods.is_empty()) {
        members.push(("withheld".into(), withheld_to_json(store, &periods)?));
    }
    Ok(delivery)
}

/// An event that cannot be read, in the place of its trace.
pub fn damaged_event_to_json(damaged: &DamagedEvent) -> Json {
    Json::object([
        ("seq", damaged.seq.into()),
        ("status", "unreadable".into()),
        ("error", damaged.to_string().into()),
    ])
}

/// A delivery that cannot be read, in the place of one that can.
pub fn damaged_delivery_to_json(damaged: &DamagedDelivery) -> Json {
    let id = damaged.id.map(|id| id.to_string());
    Json::object([
        ("id", Json::optional(id.as_deref())),
        ("status", "unreadable".into()),
        ("error", damaged.to_string().into()),
    ])
}

/// A delivery with its status as JSON, and with its attempts if they are given.
pub fn delivery_to_json(record: &DeliveryRecord, attempts: Option<&[Attempt]>) -> Json {
    let delivery = &record.delivery;
    let finished = record.finished.map(|at| at.to_string());
    let mut json = Json::object([
        ("id", delivery.id.to_string().into()),
        ("status", record.status.as_str().into()),
        ("target", delivery.target.as_str().into()),
        ("rule", delivery.rule.as_str().into()),
        ("event", delivery.event.id.as_str().into()),
        ("source", delivery.event.source.as_str().into()),
        ("created", delivery.created.to_string().into()),
        ("attempt", Json::count(delivery.attempt)),
        ("due", record.due.to_string().into()),
        ("waits", record.waits.into()),
        ("finished", Json::optional(finished.as_deref())),
        ("reason", Json::optional(record.reason.as_deref())),
        ("replay", Json::optional(delivery.replay.as_deref())),
        ("taken", Json::strings(&delivery.delivered_parts)),
        ("action", delivery.action.to_json()),
    ]);
    if let Json::Object(members) = &mut json {
        // Only where there is one, so that most documents stay as they were.
        let after = delivery.action.after().map(format_duration);
        let scope = delivery.key.as_ref().map(Json::parse);
        let delay = [
            ("after", after.map(Json::from)),
            ("key", delivery.action.key().map(Json::from)),
            ("scope", scope.and_then(Result::ok)),
            (
                "phase",
                (delivery.phase != Phase::Event).then(|| delivery.phase.as_str().into()),
            ),
            ("incident", record.incident.map(Json::count)),
        ];
        let delay = delay.into_iter();
        members.extend(delay.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    if let (Json::Object(members), Some(attempts)) = (&mut json, attempts) {
        let attempts = attempts.iter().map(attempt_to_json).collect();
        members.push(("attempts".into(), Json::Array(attempts)));
    }
    json
}

fn attempt_to_json(attempt: &Attempt) -> Json {
    let mut json = Json::object([
        ("number", Json::count(attempt.number)),
        ("started", attempt.started.to_string().into()),
        ("milliseconds", Json::count(attempt.took.as_millis())),
        ("outcome", attempt.outcome.as_str().into()),
        ("answer", attempt.answer.as_str().into()),
    ]);
    // Only where there is one, so that most documents stay as they were.
    if let (Json::Object(members), Some(digest)) = (&mut json, attempt.digest) {
        members.push(("digest".into(), digest.to_string().into()));
    }
    if let (Json::Object(members), Some(folded)) = (&mut json, attempt.folded) {
        members.push(("count".into(), Json::count(folded.count)));
        members.push(("last_started".into(), folded.last.to_string().into()));
    }
    json
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use reflexarc::Evaluation;
    use reflexarc_event::Event;

    use super::*;
    use crate::{Config, Incoming, SqliteStore};

    #[test]
    fn verdicts_tell_undecided_filters_from_others() {
        let pairs: Vec<_> = (0..8)
            .map(|n| format!("a{n}.x == 1 and a{n}.y == 1"))
            .collect();
        let filter = format!("not ({} and z.x == 1 and z.y == 1)", pairs.join(" and "));
        let both = vec![r#"{"x":1,"y":1}"#; 20].join(",");
        let arrays: Vec<_> = (0..8).map(|n| format!(r#""a{n}":[{both}]"#)).collect();
        let apart = vec![r#"{"x":1},{"y":1}"#; 21].join(",");
        let event = format!(r#"{{"id":"1",{},"z":[{apart}]}}"#, arrays.join(","));

        let folder = tempfile::tempdir().unwrap();
        let options = Config::default().store_options;
        let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options).unwrap();
        let incoming = Incoming::new(Event::from_json(event).unwrap()).unwrap();
        store
            .accept(incoming, Evaluation::default(), Timestamp::now())
            .unwrap();
        let hard = format!("when = '{filter}'\nthen = ''");
        let easy = "when = 'z.x == 1'\nthen = ''";
        let rules = RuleSet::compile([("easy.toml", easy), ("hard.toml", &hard)]).unwrap();
        let archived = &store.find("1").unwrap()[0];
        let traced = trace(&store, &rules, archived, Some("hard")).unwrap();
        let [easy, hard] = traced.get("verdicts").unwrap().elements() else {
            panic!("two rules")
        };
        assert_eq!(easy.to_string(), r#"{"rule":"easy","matched":true}"#);
        assert_eq!(hard.get("undecided"), Some(&Json::Bool(true)));
        let explanation = hard.get("explanation").unwrap();
        assert_eq!(explanation.get("undecided"), Some(&Json::Bool(true)));
    }
}
