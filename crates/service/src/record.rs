//! Evaluations as JSON, the form in which the store keeps them and traces show them.

use reflexarc::Evaluation;
use reflexarc_event::Json;
use reflexarc_reaction::Action;

/// An object with these members, in this order.
pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::object(members)
}

/// An array of strings.
pub(crate) fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> Json {
    Json::strings(texts)
}

/// A text, or null.
pub(crate) fn optional(text: Option<&str>) -> Json {
    Json::optional(text)
}

/// A count.
pub(crate) fn number(value: impl TryInto<i64>) -> Json {
    Json::count(value)
}

/// What the rules made of an event: `{"rules": [{rule, hop, causes, seen, actions, log, skipped}], "failures": […]}`.
pub fn evaluation_to_json(evaluation: &Evaluation) -> Json {
    let rules = evaluation.rules.iter().map(|effects| {
        object([
            ("rule", effects.rule.as_str().into()),
            ("hop", number(effects.hop)),
            ("causes", strings(&effects.causes)),
            (
                "seen",
                effects
                    .seen
                    .as_ref()
                    .map_or(Json::Null, |event| event.tree().clone()),
            ),
            (
                "actions",
                Json::Array(effects.actions.iter().map(Action::to_json).collect()),
            ),
            ("log", strings(&effects.log)),
            ("skipped", optional(effects.skipped.as_deref())),
        ])
    });
    let failures = evaluation.failures.iter().map(|failure| {
        object([
            ("rule", failure.rule.as_str().into()),
            ("hop", number(failure.hop)),
            ("message", failure.message.as_str().into()),
        ])
    });
    object([
        ("rules", Json::Array(rules.collect())),
        ("failures", Json::Array(failures.collect())),
    ])
}
