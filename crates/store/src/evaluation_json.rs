//! An evaluation as JSON: the form in which the store keeps it and traces show it.

use reflexarc::Evaluation;

use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::RecordedChange;

/// An evaluation as JSON: `{"rules": […], "failures": […]}`. Each element of `rules` has `rule`,
/// `labels`, `hop`, `causes`, `seen`, `key`, `cancelled`, `actions`, `log`, `skipped` and `notes`;
/// each of `failures` has `rule`, `hop` and `message`.
///
/// `key` is that of the event or match by the rule's `by`, null without one and where there are
/// neither actions nor names in `cancelled`. Actions have `after` and `key` if the script gave
/// them.
///
/// `seen` is the derived event that the rule matched, null for the received event itself: that one
/// is in the archive already.
///
/// `changes` is what becomes of the state of each element of `rules`, as
/// [`recorded_changes`](crate::recorded_changes) finds it; an element with changes has them in
/// `state`, as [`RecordedChange::to_json`] writes them. What earlier versions have recorded has no
/// `state`.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc::RuleSet;
/// use reflexarc_event::NativeEvent;
/// use reflexarc_reaction::NoState;
/// use reflexarc_store::{evaluation_to_json, recorded_changes};
///
/// let rule = "when = 'a == 1'\nthen = 'log(\"seen\"); add(\"n\", 1);'";
/// let rules = RuleSet::compile([("ones.toml", rule)])?;
/// let event = NativeEvent::from_json(r#"{"a": 1}"#)?;
/// let now = Timestamp::UNIX_EPOCH;
/// let evaluation = rules.evaluate(&event, &NoState, now);
/// let changes = recorded_changes(&evaluation, &NoState, now);
/// let json = evaluation_to_json(&evaluation, &changes);
/// let first = &json.get("rules").unwrap().elements()[0];
/// assert_eq!(first.get("log").unwrap().to_string(), r#"["seen"]"#);
/// let state = r#"[{"key":"n","before":null,"after":1,"expires":null}]"#;
/// assert_eq!(first.get("state").unwrap().to_string(), state);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn evaluation_to_json(evaluation: &Evaluation, changes: &[Vec<RecordedChange>]) -> Json {
    let rules = evaluation
        .rules
        .iter()
        .enumerate()
        .map(|(number, effects)| {
            let seen = effects.event.as_ref();
            let actions = effects.actions.iter().map(Action::to_json).collect();
            let mut json = Json::object([
                ("rule", effects.rule.as_str().into()),
                ("labels", Json::texts(&effects.labels)),
                ("hop", Json::count(effects.hop)),
                ("causes", Json::strings(&effects.causes)),
                (
                    "seen",
                    seen.map_or(Json::Null, |event| event.tree().clone()),
                ),
                ("key", effects.key.clone().unwrap_or(Json::Null)),
                ("cancelled", Json::strings(&effects.cancelled)),
                ("actions", Json::Array(actions)),
                ("log", Json::strings(&effects.log)),
                ("skipped", Json::optional(effects.skipped.as_deref())),
                ("notes", Json::strings(effects.remarks())),
            ]);
            let changes = changes.get(number).map_or(&[][..], Vec::as_slice);
            if let (Json::Object(members), false) = (&mut json, changes.is_empty()) {
                let changes = changes.iter().map(RecordedChange::to_json);
                members.push(("state".to_owned(), Json::Array(changes.collect())));
            }
            json
        });
    let failures = evaluation.failures.iter().map(|failure| {
        Json::object([
            ("rule", failure.rule.as_str().into()),
            ("hop", Json::count(failure.hop)),
            ("message", failure.message.as_str().into()),
        ])
    });
    Json::object([
        ("rules", Json::Array(rules.collect())),
        ("failures", Json::Array(failures.collect())),
    ])
}
