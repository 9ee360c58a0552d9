//! What a rule file has beside its filter and its targets, as far as another service could have it.

use std::collections::BTreeMap;

use reflexarc::{Rule, WindowKind};
use reflexarc_diagnostic::parse_duration;
use reflexarc_diagnostic::toml::{DeTable, DeValue, Spanned};

/// Keys of a valid rule file.
#[derive(Debug, Default)]
pub(super) struct RuleKeys {
    /// The script.
    pub(super) then: Option<String>,
    /// The templates of the message.
    pub(super) title: Option<String>,
    pub(super) text: Option<String>,
    /// `every` of `throttle` in whole seconds, at least one.
    pub(super) throttle: Option<u64>,
    /// The paths of its key.
    pub(super) throttle_key: Vec<String>,
    /// The other keys that change when and what the rule sends, as they are called.
    others: Vec<&'static str>,
}

/// What no service has, with the words for it.
const OTHER_KEYS: [(&str, &str); 4] = [
    ("once", "`once`"),
    ("lookup", "its lookups"),
    ("answered", "`answered`"),
    ("resolved", "`resolved`"),
];

impl RuleKeys {
    pub(super) fn of(rule: &Rule) -> Self {
        // The rule was loaded from this text.
        let Ok(table) = DeTable::parse(rule.text()) else {
            return Self::default();
        };
        let keys: BTreeMap<&str, &DeValue<'_>> = table
            .get_ref()
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
            .collect();
        let text = |key: &str| keys.get(key).and_then(|value| value.as_str());
        let message = keys.get("message").and_then(|value| value.as_table());
        let part = |key: &str| {
            let value = message?.get(key)?.get_ref().as_str()?;
            Some(value.to_owned())
        };
        let throttle = keys.get("throttle").and_then(|value| value.as_table());
        let every = throttle.and_then(|table| table.get("every")?.get_ref().as_str());
        let every = every.and_then(|text| parse_duration(text).ok());
        let key = throttle.and_then(|table| table.get("key"));
        let key = key
            .or_else(|| table.get_ref().get("by"))
            .map(Spanned::get_ref);
        Self {
            then: text("then").map(str::to_owned),
            title: part("title"),
            text: part("text"),
            throttle: every.and_then(|every| {
                u64::try_from(every.as_secs())
                    .ok()
                    .map(|whole| whole.max(1))
            }),
            throttle_key: key.map(strings).unwrap_or_default(),
            others: OTHER_KEYS
                .iter()
                .filter(|(key, _)| keys.contains_key(key))
                .map(|(_, words)| *words)
                .collect(),
        }
    }

    /// Whether it has a message of its own.
    pub(super) fn has_message(&self) -> bool {
        self.title.is_some() || self.text.is_some()
    }

    /// What no service has of the rule, as messages; `is_script_exported` where its script only
    /// sends documents that are exported, and `has_throttle` where the service has that.
    pub(super) fn omissions(
        &self,
        rule: &Rule,
        is_script_exported: bool,
        has_throttle: bool,
    ) -> Vec<String> {
        let window = rule.window().map(|kind| {
            let key = match kind {
                WindowKind::Count => "`count`",
                WindowKind::FollowedBy => "`followed_by`",
                WindowKind::NotFollowedBy => "`not_followed_by`",
                WindowKind::AbsentFor => "`absent_for`",
                WindowKind::Batch => "`batch`",
                _ => "its time window",
            };
            format!("{key} is not exported: every event that it needs is selected and sent")
        });
        let script = (self.then.is_some() && !is_script_exported).then_some("its script");
        let calls = (!rule.calls().is_empty()).then_some("its calls");
        let throttle = (self.throttle.is_some() && !has_throttle).then_some("`throttle`");
        let others = script.into_iter().chain(calls).chain(throttle);
        let others: Vec<&str> = others.chain(self.others.iter().copied()).collect();
        let others = (!others.is_empty()).then(|| format!("not exported: {}", others.join(", ")));
        window.into_iter().chain(others).collect()
    }
}

/// The names of the targets that a rule sends to, each once.
pub(super) fn target_names(rule: &Rule) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in rule.message_targets() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A text or a list of texts.
fn strings(value: &DeValue<'_>) -> Vec<String> {
    match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Array(values) => values
            .iter()
            .filter_map(|value| value.get_ref().as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
