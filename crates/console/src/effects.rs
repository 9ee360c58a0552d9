//! What rules did with an event, as One event and "try an event" show it.

use reflexarc_event::Json;

use crate::links;
use crate::text::{Block, Shown};

/// Rules, actions and lines of which a page shows at most so many of each.
const MAX_SHOWN: usize = 200;

/// Characters of a value of the state: somewhat more than the 1 KiB that an evaluation records.
const VALUE_CHARS: usize = 1_100;

/// An evaluation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    pub(crate) rules: Vec<RuleEffects>,
    pub(crate) failures: Vec<FailedRule>,
    /// How many rules are not shown.
    pub(crate) left_out: usize,
}

/// What one rule did.
#[derive(Debug, Clone)]
pub(crate) struct RuleEffects {
    pub(crate) rule: Shown,
    pub(crate) href: String,
    /// The rules whose emitted events led here.
    pub(crate) causes: Shown,
    pub(crate) key: Shown,
    pub(crate) labels: Vec<Shown>,
    /// The derived event that it matched.
    pub(crate) seen: Option<Block>,
    pub(crate) actions: Vec<ActionView>,
    pub(crate) cancelled: Vec<Shown>,
    pub(crate) log: Vec<Shown>,
    pub(crate) skipped: Shown,
    pub(crate) notes: Vec<Shown>,
    pub(crate) state: Vec<StateRow>,
}

/// A reaction that failed.
#[derive(Debug, Clone)]
pub(crate) struct FailedRule {
    pub(crate) rule: Shown,
    pub(crate) href: String,
    pub(crate) message: Block,
}

/// An action.
#[derive(Debug, Clone)]
pub(crate) struct ActionView {
    pub(crate) target: Shown,
    pub(crate) target_href: String,
    /// `message`, `document` or `call`.
    pub(crate) what: &'static str,
    /// In one line.
    pub(crate) summary: Shown,
    pub(crate) body: Block,
    pub(crate) after: Shown,
    pub(crate) key: Shown,
}

/// What became of one key of a rule's state.
#[derive(Debug, Clone)]
pub(crate) struct StateRow {
    pub(crate) key: Shown,
    pub(crate) before: Shown,
    pub(crate) after: Shown,
    pub(crate) expires: Shown,
}

impl Effects {
    /// Of an evaluation as the archive has it; nothing for null.
    pub(crate) fn of(evaluation: &Json) -> Self {
        let rules = elements(evaluation, "rules");
        let failures = elements(evaluation, "failures");
        Self {
            rules: rules.iter().take(MAX_SHOWN).map(RuleEffects::of).collect(),
            failures: failures.iter().take(MAX_SHOWN).map(failed_rule).collect(),
            left_out: rules.len().saturating_sub(MAX_SHOWN),
        }
    }

    /// Whether no rule did anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.failures.is_empty()
    }
}

impl RuleEffects {
    fn of(effects: &Json) -> Self {
        let rule = text(effects, "rule");
        let causes: Vec<&str> = elements(effects, "causes")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let labels = effects.get("labels").map_or(&[][..], Json::members);
        let labels = labels.iter().take(MAX_SHOWN);
        let seen = effects.get("seen").filter(|seen| **seen != Json::Null);
        let state = elements(effects, "state").iter().take(MAX_SHOWN);
        Self {
            href: links::rule(rule),
            rule: Shown::line(rule),
            causes: Shown::line(&causes.join(" → ")),
            key: Shown::field(effects, "key"),
            labels: labels
                .map(|(name, value)| {
                    // A label is a text; of a damaged record it may be anything.
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    Shown::line(&format!("{name}={text}"))
                })
                .collect(),
            seen: seen.map(Block::json),
            actions: elements(effects, "actions")
                .iter()
                .take(MAX_SHOWN)
                .map(ActionView::of)
                .collect(),
            cancelled: lines(effects, "cancelled"),
            log: lines(effects, "log"),
            skipped: Shown::field(effects, "skipped"),
            notes: lines(effects, "notes"),
            state: state.map(StateRow::of).collect(),
        }
    }
}

impl StateRow {
    fn of(change: &Json) -> Self {
        let value = |name| match change.get(name) {
            None | Some(Json::Null) => Shown::line("(none)"),
            Some(value) => {
                let member = |suffix| change.get(&format!("{name}_{suffix}"));
                let text = match (value, member("bytes"), member("damaged")) {
                    // The beginning of a long one is recorded.
                    (Json::String(text), Some(bytes), _) => format!("{text} ({bytes} bytes)"),
                    (Json::String(text), _, Some(_)) => format!("{text} (damaged)"),
                    (value, ..) => value.to_string(),
                };
                Shown::within(&text, VALUE_CHARS)
            }
        };
        Self {
            key: Shown::field(change, "key"),
            before: value("before"),
            after: value("after"),
            expires: Shown::field(change, "expires"),
        }
    }
}

impl ActionView {
    /// Of an action as [`reflexarc_reaction::Action::to_json`] writes it.
    pub(crate) fn of(action: &Json) -> Self {
        let target = text(action, "target");
        let (what, summary, body) = if let Some(message) = action.get("notify") {
            message_parts(message)
        } else if let Some(call) = action.get("call") {
            let parameters = call.get("parameters").unwrap_or(&Json::Null);
            (
                "call",
                Shown::field(call, "operation"),
                Block::json(parameters),
            )
        } else {
            let payload = action.get("send").unwrap_or(&Json::Null);
            ("document", Shown::value(payload), Block::json(payload))
        };
        Self {
            target_href: links::target(target),
            target: Shown::line(target),
            what,
            summary,
            body,
            after: Shown::field(action, "after"),
            key: Shown::field(action, "key"),
        }
    }
}

fn message_parts(message: &Json) -> (&'static str, Shown, Block) {
    let (title, body) = (text(message, "title"), text(message, "text"));
    let first = if title.is_empty() {
        body.lines().next().unwrap_or_default()
    } else {
        title
    };
    let level = text(message, "level");
    let mut lines = [title, body].join("\n\n");
    for mention in elements(message, "at").iter().filter_map(Json::as_str) {
        lines.push_str(&format!("\n@{mention}"));
    }
    if let Some(link) = message.get("link").and_then(Json::as_str) {
        // As text: it may lead anywhere.
        lines.push_str(&format!("\n{link}"));
    }
    let summary = Shown::line(&format!("[{level}] {first}"));
    ("message", summary, Block::new(lines.trim()))
}

fn failed_rule(failure: &Json) -> FailedRule {
    let rule = text(failure, "rule");
    FailedRule {
        href: links::rule(rule),
        rule: Shown::line(rule),
        message: Block::new(text(failure, "message")),
    }
}

/// A member that is a text; empty if it is missing.
pub(crate) fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// The elements of a member; none if it is missing.
pub(crate) fn elements<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).map_or(&[], Json::elements)
}

fn lines(json: &Json, name: &str) -> Vec<Shown> {
    let lines = elements(json, name).iter().take(MAX_SHOWN);
    lines.map(Shown::value).collect()
}
