//! The forms of a target's parameter: the event, a part of it, a fixed text, or a template.

use reflexarc_event::Json;

use super::event_bridge::TargetParameter;

/// How the value of a parameter is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterForm {
    /// The whole event.
    Original,
    /// The part of the event at a path.
    JsonPath,
    /// A fixed text.
    Constant,
    /// A text with variables.
    Template,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathStep {
    /// A member of an object.
    Key(String),
    /// An element of an array.
    Index(usize),
}

impl ParameterForm {
    /// Every form.
    const ALL: [Self; 4] = [
        Self::Original,
        Self::JsonPath,
        Self::Constant,
        Self::Template,
    ];

    /// The name in requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Original => "ORIGINAL",
            Self::JsonPath => "JSONPATH",
            Self::Constant => "CONSTANT",
            Self::Template => "TEMPLATE",
        }
    }

    /// The form with that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }
}

/// The text of a parameter for an event. What is not in the event is empty.
pub(super) fn render(parameter: &TargetParameter, event: &Json) -> String {
    let value = parameter.value.as_deref().unwrap_or_default();
    match parameter.form {
        ParameterForm::Original => event.to_string(),
        ParameterForm::Constant => value.to_owned(),
        ParameterForm::JsonPath => at_path(event, value),
        ParameterForm::Template => {
            let variables = Json::parse(value).unwrap_or(Json::Null);
            let template = parameter.template.as_deref().unwrap_or_default();
            fill(template, &variables, event)
        }
    }
}

/// Reads a path: `$`, then `.key`, `['key']` or `[0]` any number of times.
pub(crate) fn parse_path(text: &str) -> Option<Vec<PathStep>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (key, after) = after.split_once("']")?;
            steps.push(PathStep::Key(key.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(PathStep::Index(index.parse().ok()?));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(PathStep::Key(key.to_owned()));
            rest = after;
        }
    }
    Some(steps)
}

/// Replaces `${variable}` by its value. A variable is a path or a fixed value; one that is not
/// defined stays as it is.
fn fill(template: &str, variables: &Json, event: &Json) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        filled.push_str(before);
        let Some(end) = from.find('}') else {
            rest = from;
            break;
        };
        let (reference, after) = from.split_at(end + 1);
        match variables.get(&reference[2..end]) {
            Some(Json::String(value)) if value.starts_with('$') => {
                filled.push_str(&at_path(event, value));
            }
            Some(value) => filled.push_str(&text(value)),
            None => filled.push_str(reference),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn at_path(event: &Json, path: &str) -> String {
    let mut found = Some(event);
    for step in parse_path(path).unwrap_or_default() {
        found = found.and_then(|json| match step {
            PathStep::Key(key) => json.get(&key),
            PathStep::Index(index) => json.elements().get(index),
        });
    }
    found.map(text).unwrap_or_default()
}

/// A string without quotes, another value as JSON.
fn text(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        json => json.to_string(),
    }
}
