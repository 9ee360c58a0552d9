//! An evaluation as JSON: the form in which the store keeps it and traces show it.

use reflexarc::Evaluation;

use reflexarc_event::Json;
use reflexarc_reaction::Action;

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
/// ```
/// use jiff::Timestamp;
/// use reflexarc::RuleSet;
/// use reflexarc_event::NativeEvent;
/// use reflexarc_reaction::NoState;
/// use reflexarc_store::evaluation_to_json;
///
/// let rule = "when = 'a == 1'\nthen = 'log(\"seen\");'";
/// let rules = RuleSet::compile([("ones.toml", rule)])?;
/// let event = NativeEvent::from_json(r#"{"a": 1}"#)?;
/// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
/// let json = evaluation_to_json(&evaluation);
/// let first = &json.get("rules").unwrap().elements()[0];
/// assert_eq!(first.get("log").unwrap().to_string(), r#"["seen"]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn evaluation_to_json(evaluation: &Evaluation) -> Json {
    let rules = evaluation.rules.iter().map(|effects| {
        let seen = effects.event.as_ref();
        let actions = effects.actions.iter().map(Action::to_json).collect();
        Json::object([
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
        ])
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
