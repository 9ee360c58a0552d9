//! Evaluations of events, as text for people and as JSON for programs.

use std::fmt::Write as _;
use std::sync::LazyLock;

use reflexarc::{Evaluation, Failure as RuleFailure, RuleEffects};
use reflexarc_diagnostic::format_duration;
use reflexarc_event::{Event, FieldSet, Json};
use reflexarc_reaction::{Action, Level, Message};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::match_text::{firing_json, firing_text};
use super::text::truncate;
use super::{Output, Paint};
use crate::exit::Failure;

/// An event and its evaluation.
pub(crate) struct EventReport<'a> {
    /// The file of the event, if there are several.
    pub(crate) file: Option<&'a str>,
    /// The line of the input on which the event begins, from 1.
    pub(crate) line: u64,
    /// The event in native form.
    pub(crate) event: &'a Event,
    /// The effects of the rules that matched.
    pub(crate) evaluation: Evaluation,
}

impl EventReport<'_> {
    /// Prints a line for the event and a few lines for each rule.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let file = self.file.map_or(String::new(), |file| format!("{file} "));
        let line = output.paint(Paint::Dim, format_args!("{file}line {}", self.line));
        let fields = self.event.partial_tree(&TITLE_FIELDS);
        let title = output.paint(Paint::Bold, title(&fields));
        output.line(format_args!("{line}  {title}"))?;
        if self.evaluation.is_empty() {
            return output.line(format_args!(
                "  {}",
                output.paint(Paint::Dim, "no rule matches")
            ));
        }
        print_evaluation(&self.evaluation, output)
    }
}

/// Prints a few lines for each rule and each failure.
pub(super) fn print_evaluation(
    evaluation: &Evaluation,
    output: &mut Output,
) -> Result<(), Failure> {
    let (without_effects, with_effects): (Vec<_>, Vec<_>) = evaluation
        .rules
        .iter()
        .partition(|effects| has_no_effects(effects));
    for effects in with_effects {
        print_effects(effects, output, &print_announced)?;
    }
    for failure in &evaluation.failures {
        let cross = output.paint(Paint::Red, "✗");
        output.line(format_args!(
            "  {cross} {} failed: {}",
            failure.rule, failure.message
        ))?;
    }
    // Rules without effects share one line: they only matter to someone who wonders whether
    // they matched at all. Those that failed are above.
    let failed = |effects: &RuleEffects| {
        let is_it = |failure: &RuleFailure| failure.rule == effects.rule;
        evaluation.failures.iter().any(is_it)
    };
    let mut names: Vec<_> = without_effects
        .into_iter()
        .filter(|effects| !failed(effects))
        .map(|effects| effects.rule.as_str())
        .collect();
    names.dedup();
    if !names.is_empty() {
        let line = format!("matched without actions: {}", names.join(", "));
        output.line(format_args!("  {}", output.paint(Paint::Dim, line)))?;
    }
    Ok(())
}

/// Whether a rule matched and did nothing else.
pub(super) fn has_no_effects(effects: &RuleEffects) -> bool {
    !has_effects(effects)
}

/// Whether a rule did something, or noted why it did not.
pub(crate) fn has_effects(effects: &RuleEffects) -> bool {
    !effects.actions.is_empty()
        || effects.firing.is_some()
        || !effects.cancelled.is_empty()
        || !effects.emitted.is_empty()
        || !effects.log.is_empty()
        || effects.skipped.is_some()
        || !effects.steps.is_empty()
        || !effects.notes.is_empty()
}

/// Prints the effects of one rule on one event.
pub(crate) fn print_rule(effects: &RuleEffects, output: &mut Output) -> Result<(), Failure> {
    print_effects(effects, output, &print_action)
}

fn print_effects(
    effects: &RuleEffects,
    output: &mut Output,
    print: &dyn Fn(&Action, &mut Output) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let causes = if effects.causes.is_empty() {
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
    let firing = effects.firing.as_ref().map_or_else(String::new, |firing| {
        output.paint(Paint::Dim, format_args!(" ({})", firing_text(firing)))
    });
    output.line(format_args!("  {mark} {}{causes}{firing}", effects.rule))?;
    for action in &effects.actions {
        print(action, output)?;
    }
    if !effects.cancelled.is_empty() {
        let keys = effects.cancelled.join(", ");
        output.line(format_args!("      cancels {}", truncate(&keys)))?;
    }
    for event in &effects.emitted {
        output.line(format_args!(
            "      emits {}",
            truncate(&event.tree().to_string())
        ))?;
    }
    if let Some(reason) = &effects.skipped {
        output.line(format_args!("      skipped: {}", truncate(reason)))?;
    }
    for line in &effects.log {
        output.line(format_args!("      log: {}", truncate(line)))?;
    }
    for note in effects.remarks() {
        let note = output.paint(Paint::Yellow, format_args!("note: {}", truncate(note)));
        output.line(format_args!("      {note}"))?;
    }
    Ok(())
}

/// Prints an action of a rule; what a delayed one says is printed when it is due.
fn print_announced(action: &Action, output: &mut Output) -> Result<(), Failure> {
    if action.after().is_none() {
        return print_action(action, output);
    }
    let target = output.paint(Paint::Blue, format_args!("→ {}", action.target()));
    let delay = output.paint(Paint::Dim, delay_text(action));
    output.line(format_args!("      {target} {delay}"))
}

/// Prints an action of a rule.
pub(super) fn print_action(action: &Action, output: &mut Output) -> Result<(), Failure> {
    let title = action_title(action, output);
    output.line(format_args!("      {title}"))?;
    if let Action::Notify { message, .. } = action {
        let (_, rest) = first_line(message);
        for line in rest.lines().filter(|line| !line.trim().is_empty()) {
            output.line(format_args!("          {}", truncate(line)))?;
        }
    }
    Ok(())
}

/// An action in one line: `→ on-call [critical] eni-1 cannot be detached (after 13m, key page)`.
pub(crate) fn action_title(action: &Action, output: &Output) -> String {
    let target = output.paint(Paint::Blue, format_args!("→ {}", action.target()));
    let what = match action {
        Action::Notify { message, .. } => {
            let (first, _) = first_line(message);
            format!("[{}] {}", level(message.level, output), truncate(first))
        }
        Action::Send { payload, .. } => truncate(&payload.to_string()).into_owned(),
        Action::Call {
            operation,
            parameters,
            ..
        } => truncate(&format!("{operation} {parameters}")).into_owned(),
    };
    if action.after().is_none() && action.key().is_none() {
        return format!("{target} {what}");
    }
    let delay = output.paint(Paint::Dim, delay_text(action));
    format!("{target} {what} {delay}")
}

/// `(after 13m, key page)`.
fn delay_text(action: &Action) -> String {
    let after = action.after().map(format_duration);
    let after = after.map(|after| format!("after {after}"));
    let key = action.key().map(|key| format!("key {}", truncate(key)));
    let delay: Vec<String> = [after, key].into_iter().flatten().collect();
    format!("({})", delay.join(", "))
}

/// The title of a message, or the first line of one without, and the rest.
fn first_line(message: &Message) -> (&str, &str) {
    if message.title.is_empty() {
        let lines = message.text.split_once('\n');
        lines.unwrap_or((&message.text, ""))
    } else {
        (&message.title, &message.text)
    }
}

fn level(level: Level, output: &Output) -> String {
    let paint = match level {
        Level::Info => Paint::Green,
        Level::Warn => Paint::Yellow,
        Level::Critical => Paint::Red,
    };
    output.paint(paint, level.lowercase())
}

/// The fields that a title needs, and the id.
static TITLE_FIELDS: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut fields = FieldSet::from(NAMES.into_iter().chain(["id", "regionId"]));
    for key in CONTENT {
        fields.insert(["content", key]);
    }
    fields
});
/// The fields of an event that are printed as JSON.
static ID_AND_NAME: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::from(["id", "name"]));
/// Where events have their name.
const NAMES: [&str; 3] = ["name", "type", "detail-type"];
/// The most informative fields of the content.
const CONTENT: [&str; 8] = [
    "operation",
    "result",
    "eniStatus",
    "eventStatus",
    "state",
    "eniId",
    "instanceId",
    "diskId",
];

/// A title for an event: its name and its most informative fields.
fn title(event: &Json) -> String {
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let name = NAMES.into_iter().find_map(|key| text(event, key));
    let mut title = name.unwrap_or_else(|| "event without a name".to_owned());
    let content = event.get("content").unwrap_or(&Json::Null);
    let fields = CONTENT.into_iter().filter_map(|key| text(content, key));
    for field in fields.chain(text(event, "regionId")) {
        // Writing to a string cannot fail.
        let _ = write!(title, "  {field}");
    }
    truncate(&title).into_owned()
}

/// An object with `file` if there are several, `line`, `id`, `name`, `matched` (rule names),
/// `rules` and `failures`.
impl Serialize for EventReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tree = self.event.partial_tree(&ID_AND_NAME);
        let mut map = serializer.serialize_map(None)?;
        if let Some(file) = self.file {
            map.serialize_entry("file", file)?;
        }
        map.serialize_entry("line", &self.line)?;
        map.serialize_entry("id", &tree.get("id"))?;
        map.serialize_entry("name", &tree.get("name"))?;
        serialize_evaluation(&self.evaluation, &mut map)?;
        map.end()
    }
}

/// Adds `matched` (rule names), `rules` and `failures` to an object.
pub(super) fn serialize_evaluation<M: SerializeMap>(
    evaluation: &Evaluation,
    map: &mut M,
) -> Result<(), M::Error> {
    map.serialize_entry("matched", &evaluation.matched().collect::<Vec<_>>())?;
    let rules: Vec<_> = evaluation.rules.iter().map(AnnouncingReport).collect();
    map.serialize_entry("rules", &rules)?;
    let failures = evaluation.failures.iter().map(|failure| {
        object([
            ("rule", Json::from(failure.rule.as_str())),
            ("hop", integer(failure.hop)),
            ("message", Json::from(failure.message.as_str())),
        ])
    });
    map.serialize_entry("failures", &failures.collect::<Vec<_>>())
}

/// The effects of one rule as JSON.
// Written without trees: they would copy every action, and took a third of the time of printing.
pub(crate) struct RuleReport<'a>(pub(crate) &'a RuleEffects);

/// The same with the delayed actions in `delayed`, without what they say: that is printed when they
/// are due.
struct AnnouncingReport<'a>(&'a RuleEffects);

/// An action as [`Action::to_flat_json`] has it.
pub(super) struct ActionReport<'a>(pub(super) &'a Action);

/// `target`, `after` and `key` of a delayed action.
struct AnnouncedAction<'a>(&'a Action);

impl RuleReport<'_> {
    /// Writes its members.
    pub(crate) fn serialize_members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.serialize_with(map, false)
    }

    /// Writes its members; `announces` delayed actions apart.
    fn serialize_with<M: SerializeMap>(
        &self,
        map: &mut M,
        announces: bool,
    ) -> Result<(), M::Error> {
        let effects = self.0;
        map.serialize_entry("rule", &effects.rule)?;
        map.serialize_entry("labels", &effects.labels)?;
        map.serialize_entry("hop", &effects.hop)?;
        map.serialize_entry("causes", &effects.causes)?;
        let actions = effects.actions.iter();
        let (later, now): (Vec<_>, Vec<_>) =
            actions.partition(|action| announces && action.after().is_some());
        map.serialize_entry(
            "actions",
            &now.into_iter().map(ActionReport).collect::<Vec<_>>(),
        )?;
        if !later.is_empty() {
            let later = later.into_iter().map(AnnouncedAction);
            map.serialize_entry("delayed", &later.collect::<Vec<_>>())?;
        }
        if !effects.cancelled.is_empty() {
            map.serialize_entry("cancelled", &effects.cancelled)?;
        }
        let emitted = effects.emitted.iter().map(Event::tree);
        map.serialize_entry("emitted", &emitted.collect::<Vec<_>>())?;
        map.serialize_entry("log", &effects.log)?;
        map.serialize_entry("notes", &effects.remarks().collect::<Vec<_>>())?;
        if let Some(seen) = &effects.event {
            map.serialize_entry("seen", seen.tree())?;
        }
        if let Some(firing) = &effects.firing {
            map.serialize_entry("firing", &firing_json(firing))?;
        }
        if let Some(reason) = &effects.skipped {
            map.serialize_entry("skipped", reason)?;
        }
        Ok(())
    }
}

impl Serialize for RuleReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_members(&mut map)?;
        map.end()
    }
}

impl Serialize for AnnouncingReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        RuleReport(self.0).serialize_with(&mut map, true)?;
        map.end()
    }
}

impl Serialize for AnnouncedAction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("target", self.0.target())?;
        if let Some(after) = self.0.after() {
            map.serialize_entry("after", &format_duration(after))?;
        }
        if let Some(key) = self.0.key() {
            map.serialize_entry("key", key)?;
        }
        map.end()
    }
}

impl Serialize for ActionReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // May be large, and need not be copied.
            Action::Send {
                target,
                payload,
                after,
                key,
                ..
            } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("target", target)?;
                map.serialize_entry("payload", payload)?;
                if let Some(after) = after {
                    map.serialize_entry("after", &format_duration(*after))?;
                }
                if let Some(key) = key {
                    map.serialize_entry("key", key)?;
                }
                map.end()
            }
            Action::Notify { .. } | Action::Call { .. } => {
                self.0.to_flat_json().serialize(serializer)
            }
        }
    }
}

/// An object with these members, in this order.
pub(crate) fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A number as JSON.
pub(crate) fn integer(number: usize) -> Json {
    Json::from(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn actions_are_written_as_their_flat_json() {
        let payload: Json = r#"{"b": [1.50, -0, 1e400], "a": null, "text": "网\n"}"#
            .parse()
            .unwrap();
        let message = Message::new("text")
            .with_at(["all"])
            .with_link("https://x.test");
        let send = |payload| {
            let json = object([("target", Json::from("t")), ("send", payload)]);
            Action::from_json(&json).unwrap()
        };
        for action in [
            send(payload),
            send(Json::Null),
            Action::notify("team", message),
            Action::notify("team", Message::new("")),
            send(Json::Null).with_after(SignedDuration::from_mins(90)),
            send(Json::Null).with_key("again"),
            Action::notify("team", Message::new("")).with_key("page"),
        ] {
            let written = serde_json::to_string(&ActionReport(&action)).unwrap();
            assert_eq!(written, action.to_flat_json().to_string());
        }
    }
}
