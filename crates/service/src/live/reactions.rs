//! What rules did with an event, in an entry.

use reflexarc::{Evaluation, RuleEffects};
use reflexarc_event::Json;
use reflexarc_reaction::Action;

/// Longest text of a rule's log, of a failure or of an answer in an entry, in bytes.
const TEXT_BYTES: usize = 1_024;
/// Most lines of a rule's log, steps and actions in an entry, each.
pub(super) const LISTED: usize = 32;

/// What the rules did, of an evaluation.
#[derive(Debug, Default)]
pub(super) struct Reactions {
    rules: Vec<Reaction>,
    /// Rules and messages.
    failures: Vec<(String, String)>,
}

#[derive(Debug)]
struct Reaction {
    rule: String,
    hop: usize,
    /// Targets, kinds and operations of the actions.
    actions: Vec<(String, &'static str, Option<String>)>,
    skipped: Option<String>,
    steps: Vec<String>,
    log: Vec<String>,
    has_fired: bool,
}

impl Reactions {
    pub(super) fn of(evaluation: &Evaluation) -> Self {
        let failures = evaluation.failures.iter().take(LISTED);
        Self {
            rules: evaluation.rules.iter().map(Reaction::of).collect(),
            failures: failures
                .map(|failure| (failure.rule.clone(), short(&failure.message)))
                .collect(),
        }
    }

    pub(super) fn has_rule(&self, name: &str) -> bool {
        let failed = self.failures.iter().any(|(rule, _)| rule == name);
        failed || self.rules.iter().any(|reaction| reaction.rule == name)
    }

    pub(super) fn has_target(&self, name: &str) -> bool {
        let actions = self.rules.iter().flat_map(|reaction| &reaction.actions);
        actions.into_iter().any(|(target, ..)| target == name)
    }

    pub(super) fn members(&self) -> [(&'static str, Json); 2] {
        let rules = self.rules.iter().map(Reaction::to_json);
        let failures = self.failures.iter().map(|(rule, message)| {
            let rule = ("rule", rule.as_str().into());
            Json::object([rule, ("message", message.as_str().into())])
        });
        [
            ("rules", Json::Array(rules.collect())),
            ("failures", Json::Array(failures.collect())),
        ]
    }
}

impl Reaction {
    fn of(effects: &RuleEffects) -> Self {
        let actions = effects.actions.iter().take(LISTED).map(|action| {
            let (kind, operation) = match action {
                Action::Notify { .. } => ("notify", None),
                Action::Send { .. } => ("send", None),
                Action::Call { operation, .. } => ("call", Some(operation.clone())),
            };
            (action.target().to_owned(), kind, operation)
        });
        let texts = |texts: &[String]| texts.iter().take(LISTED).map(|text| short(text)).collect();
        Self {
            rule: effects.rule.clone(),
            hop: effects.hop,
            actions: actions.collect(),
            skipped: effects.skipped.clone(),
            steps: texts(&effects.steps),
            log: texts(&effects.log),
            has_fired: effects.firing.is_some(),
        }
    }

    /// What became of the match, in a word.
    fn outcome(&self) -> &'static str {
        match self {
            Self {
                skipped: Some(_), ..
            } => "skipped",
            Self {
                has_fired: false,
                steps,
                ..
            } if !steps.is_empty() => "waits",
            _ => "reacted",
        }
    }

    fn to_json(&self) -> Json {
        let mut members = vec![
            ("rule", Json::from(self.rule.as_str())),
            ("outcome", self.outcome().into()),
        ];
        // Only where there is one, so that most entries are short.
        if self.hop > 0 {
            members.push(("hop", Json::count(self.hop)));
        }
        if !self.actions.is_empty() {
            let actions = self.actions.iter().map(|(target, kind, operation)| {
                let mut action = vec![
                    ("target", Json::from(target.as_str())),
                    ("kind", (*kind).into()),
                ];
                if let Some(operation) = operation {
                    action.push(("operation", operation.as_str().into()));
                }
                Json::object(action)
            });
            members.push(("actions", Json::Array(actions.collect())));
        }
        if let Some(reason) = &self.skipped {
            members.push(("reason", reason.as_str().into()));
        }
        for (name, texts) in [("steps", &self.steps), ("log", &self.log)] {
            if !texts.is_empty() {
                members.push((name, Json::strings(texts)));
            }
        }
        Json::object(members)
    }
}

/// A text of untrusted length.
pub(super) fn short(text: &str) -> String {
    reflexarc_delivery::shorten(text, TEXT_BYTES)
}
