//! What rules make of an event, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use reflexarc::{Evaluation, RuleEffects};
use reflexarc_diagnostic::truncate;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Action, Level};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Output, Paint};
use crate::exit::Failure;

/// An event, in native form, and what followed from it.
pub(crate) struct Seen<'a> {
    pub(crate) line: u64,
    pub(crate) event: &'a Event,
    pub(crate) evaluation: Evaluation,
}

/// What a whole run came to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Records in the input, broken ones included.
    pub(crate) events: u64,
    /// Those that were no events.
    pub(crate) broken: u64,
    /// Events that at least one rule matched.
    pub(crate) matched: u64,
    /// Reactions that went wrong.
    pub(crate) failures: u64,
    /// Reactions that ended without actions on purpose.
    pub(crate) skipped: u64,
    /// Actions by target.
    pub(crate) actions: BTreeMap<String, u64>,
    /// Matches by rule.
    pub(crate) rules: BTreeMap<String, u64>,
}

/// Longer texts are cut in what people see.
const WIDTH: usize = 160;

impl Seen<'_> {
    /// Prints it for people: a line for the event, and a few for each rule.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let line = output.paint(Paint::Dim, format_args!("line {}", self.line));
        let title = output.paint(Paint::Bold, title(self.event.tree()));
        output.line(format_args!("{line}  {title}"))?;
        if self.evaluation.is_empty() {
            return output.line(format_args!(
                "  {}",
                output.paint(Paint::Dim, "no rule matches")
            ));
        }
        let (silent, speaking): (Vec<_>, Vec<_>) = self
            .evaluation
            .rules
            .iter()
            .partition(|effects| is_silent(effects));
        for effects in speaking {
            print_rule(effects, output)?;
        }
        for failure in &self.evaluation.failures {
            let cross = output.paint(Paint::Red, "✗");
            output.line(format_args!(
                "  {cross} {} failed: {}",
                failure.rule, failure.message
            ))?;
        }
        if !silent.is_empty() {
            let names: Vec<_> = silent.iter().map(|effects| effects.rule.as_str()).collect();
            let line = format!("matched, nothing to send: {}", names.join(", "));
            output.line(format_args!("  {}", output.paint(Paint::Dim, line)))?;
        }
        Ok(())
    }
}

/// Whether there is nothing to say about a rule but that it matched.
fn is_silent(effects: &RuleEffects) -> bool {
    effects.actions.is_empty()
        && effects.emitted.is_empty()
        && effects.log.is_empty()
        && effects.skipped.is_none()
}

pub(crate) fn print_rule(effects: &RuleEffects, output: &mut Output) -> Result<(), Failure> {
    let trail = if effects.causes.is_empty() {
        String::new()
    } else {
        output.paint(
            Paint::Dim,
            format_args!(" (emitted by {})", effects.causes.join(" → ")),
        )
    };
    let mark = if effects.skipped.is_some() {
        output.paint(Paint::Yellow, "–")
    } else {
        output.paint(Paint::Green, "✓")
    };
    output.line(format_args!("  {mark} {}{trail}", effects.rule))?;
    for action in &effects.actions {
        let target = output.paint(Paint::Blue, format_args!("→ {}", action.target()));
        match action {
            Action::Notify { message, .. } => {
                let level = level(message.level, output);
                let (first, rest) = if message.title.is_empty() {
                    message.text.split_once('\n').unwrap_or((&message.text, ""))
                } else {
                    (message.title.as_str(), message.text.as_str())
                };
                output.line(format_args!("      {target} [{level}] {}", cut(first)))?;
                for line in rest.lines().filter(|line| !line.trim().is_empty()) {
                    output.line(format_args!("          {}", cut(line)))?;
                }
            }
            Action::Send { payload, .. } => {
                output.line(format_args!("      {target} {}", cut(&payload.to_string())))?;
            }
        }
    }
    for event in &effects.emitted {
        output.line(format_args!(
            "      emits {}",
            cut(&event.tree().to_string())
        ))?;
    }
    if let Some(reason) = &effects.skipped {
        output.line(format_args!("      skipped: {}", cut(reason)))?;
    }
    for line in &effects.log {
        output.line(format_args!("      log: {}", cut(line)))?;
    }
    Ok(())
}

fn level(level: Level, output: &Output) -> String {
    let paint = match level {
        Level::Info => Paint::Green,
        Level::Warn => Paint::Yellow,
        Level::Critical => Paint::Red,
    };
    output.paint(paint, level.lowercase())
}

/// What an event is about, in a few words: its name, and the most telling of its facts.
fn title(event: &Json) -> String {
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let name = ["name", "type", "detail-type"]
        .into_iter()
        .find_map(|key| text(event, key));
    let mut title = name.unwrap_or_else(|| "an event".to_owned());
    let content = event.get("content").unwrap_or(&Json::Null);
    let facts = [
        "operation",
        "result",
        "eniStatus",
        "eventStatus",
        "state",
        "eniId",
        "instanceId",
        "diskId",
    ];
    let facts = facts.into_iter().filter_map(|key| text(content, key));
    for fact in facts.chain(text(event, "regionId")) {
        // Writing to a string cannot fail.
        let _ = write!(title, "  {fact}");
    }
    cut(&title)
}

pub(crate) fn cut(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    truncate(&text, WIDTH).into_owned()
}

/// `line`, `id`, `name`, `matched` (rule names), `rules`, `failures`.
impl Serialize for Seen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tree = self.event.tree();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("line", &self.line)?;
        map.serialize_entry("id", &tree.get("id"))?;
        map.serialize_entry("name", &tree.get("name"))?;
        map.serialize_entry("matched", &self.evaluation.matched().collect::<Vec<_>>())?;
        map.serialize_entry(
            "rules",
            &self
                .evaluation
                .rules
                .iter()
                .map(rule_json)
                .collect::<Vec<_>>(),
        )?;
        let failures = self.evaluation.failures.iter().map(|failure| {
            object([
                ("rule", Json::from(failure.rule.as_str())),
                ("hop", count(failure.hop)),
                ("message", Json::from(failure.message.as_str())),
            ])
        });
        map.serialize_entry("failures", &failures.collect::<Vec<_>>())?;
        map.end()
    }
}

pub(crate) fn rule_json(effects: &RuleEffects) -> Json {
    let strings = |strings: &[String]| {
        strings
            .iter()
            .map(|text| Json::from(text.as_str()))
            .collect::<Vec<_>>()
            .into()
    };
    let mut members = vec![
        ("rule", Json::from(effects.rule.as_str())),
        ("hop", count(effects.hop)),
        ("causes", strings(&effects.causes)),
        (
            "actions",
            effects
                .actions
                .iter()
                .map(Action::to_flat_json)
                .collect::<Vec<_>>()
                .into(),
        ),
        (
            "emitted",
            effects
                .emitted
                .iter()
                .map(|event| event.tree().clone())
                .collect::<Vec<_>>()
                .into(),
        ),
        ("log", strings(&effects.log)),
    ];
    if let Some(seen) = &effects.seen {
        members.push(("seen", seen.tree().clone()));
    }
    if let Some(reason) = &effects.skipped {
        members.push(("skipped", Json::from(reason.as_str())));
    }
    object(members)
}

pub(crate) fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

pub(crate) fn count(count: usize) -> Json {
    Json::from(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Totals {
    /// Takes one evaluation into account.
    pub(crate) fn count(&mut self, evaluation: &Evaluation) {
        self.matched += u64::from(!evaluation.is_empty());
        self.failures += evaluation.failures.len() as u64;
        for effects in &evaluation.rules {
            *self.rules.entry(effects.rule.clone()).or_default() += 1;
            self.skipped += u64::from(effects.skipped.is_some());
        }
        for (_, _, action) in evaluation.actions() {
            *self.actions.entry(action.target().to_owned()).or_default() += 1;
        }
    }

    /// Prints it for people.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let text = self.to_string();
        output.line(format_args!(
            "{}{text}",
            if self.matched > 0 { "\n" } else { "" }
        ))
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} matched of {}",
            self.matched,
            plural(self.events, "event")
        )?;
        if self.broken > 0 {
            write!(f, ", {} unreadable", self.broken)?;
        }
        let actions: u64 = self.actions.values().sum();
        write!(
            f,
            "; {} of {}",
            plural(actions, "action"),
            plural(self.rules.len() as u64, "rule")
        )?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        if self.failures > 0 {
            write!(f, ", {} failed", plural(self.failures, "reaction"))?;
        }
        for (word, counts) in [("rules", &self.rules), ("targets", &self.actions)] {
            if !counts.is_empty() {
                let list: Vec<_> = counts
                    .iter()
                    .map(|(name, count)| format!("{name} {count}"))
                    .collect();
                write!(f, "\n  {word}: {}", list.join(", "))?;
            }
        }
        Ok(())
    }
}

/// A number of things: `1 event`, `2 events`.
pub(crate) fn plural(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
