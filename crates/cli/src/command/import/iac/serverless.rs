//! Configurations of the Serverless Framework: events of functions, and the resources of
//! CloudFormation in them.

use std::path::Path;

use super::cloudformation;
use super::found::{Filter, FoundRule, Settings};
use super::limits::IacLimits;
use super::value::{Member, Value};

/// Whether the document, in a file of that name, is a configuration.
pub(super) fn is_configuration(file: &str, root: &Value) -> bool {
    let name = Path::new(file)
        .file_name()
        .map(|name| name.to_string_lossy());
    let is_named = name.is_some_and(|name| name.starts_with("serverless"));
    let has = |key| root.get(key).is_some();
    has("service") && has("provider") || is_named && has("functions")
}

/// The rules of a configuration.
pub(super) fn rules(
    file: &str,
    root: &Value,
    settings: &Settings,
    limits: &IacLimits,
) -> Vec<FoundRule> {
    let variables = Variables {
        root,
        settings,
        limits,
    };
    let mut found = Vec::new();
    // One map, or a list of maps that are merged.
    let lists = |key| {
        let value = root.get(key).unwrap_or(&Value::Null);
        match value {
            Value::List(parts) => parts.iter().collect(),
            value => vec![value],
        }
    };
    for functions in lists("functions") {
        if let Some(text) = functions.as_str() {
            let reason = format!("functions are in another file: {text}; import that file, too");
            found.push(unreadable(file, root, "functions", reason));
        }
        for function in functions.members() {
            let events = function.value.get("events").map(Value::elements);
            for (event, number) in events.unwrap_or_default().iter().zip(1..) {
                found.extend(read_event(file, function, event, number, &variables));
            }
        }
    }
    for resources in lists("resources") {
        if let Some(text) = resources.as_str() {
            let reason = format!("resources are in another file: {text}; import that file, too");
            found.push(unreadable(file, root, "resources", reason));
        }
        if cloudformation::is_template(resources) {
            let resources = variables.resolve(resources, 0);
            found.extend(cloudformation::rules(file, &resources, settings, limits));
        }
    }
    found
}

fn unreadable(file: &str, root: &Value, key: &str, reason: String) -> FoundRule {
    FoundRule {
        file: file.to_owned(),
        line: root.member(key).map_or(0, |member| member.line),
        address: key.to_owned(),
        name: key.to_owned(),
        description: String::new(),
        disabled: false,
        filter: Filter::Unreadable(reason),
    }
}

fn read_event(
    file: &str,
    function: &Member,
    event: &Value,
    number: usize,
    variables: &Variables<'_>,
) -> Option<FoundRule> {
    let kinds = ["eventBridge", "cloudwatchEvent", "schedule"];
    let member = kinds.iter().find_map(|kind| event.member(kind))?;
    let settings = variables.resolve(&member.value, 0);
    let text = |key: &str| settings.get(key).and_then(Value::to_text);
    let pattern = match member.key.as_str() {
        "eventBridge" => settings.get("pattern").cloned(),
        "cloudwatchEvent" => settings.get("event").cloned(),
        _ => None,
    };
    let schedule = match member.key.as_str() {
        "schedule" => Some(match (&settings, settings.get("rate")) {
            (Value::Text(text), _) => text.clone(),
            (_, Some(Value::List(rates))) => {
                let rates: Vec<String> = rates.iter().filter_map(Value::to_text).collect();
                rates.join(", ")
            }
            (_, rate) => rate.and_then(Value::to_text).unwrap_or_default(),
        }),
        _ => text("schedule"),
    };
    // The events themselves may be in another file.
    let pattern = pattern.or_else(|| settings.unknown().map(|_| settings.clone()));
    Some(FoundRule {
        file: file.to_owned(),
        line: member.line,
        address: format!("{}.{}", function.key, member.key),
        name: text("name").unwrap_or_else(|| format!("{}-{number}", function.key)),
        description: text("description").unwrap_or_default(),
        disabled: settings.get("enabled") == Some(&Value::Bool(false)),
        filter: match (pattern, schedule) {
            (Some(pattern), schedule) => Filter::Aws {
                pattern,
                targets: vec![format!("function {}", function.key)],
                schedule,
            },
            (None, Some(schedule)) => Filter::Schedule(schedule),
            (None, None) => Filter::Unreadable("it has no pattern".to_owned()),
        },
    })
}

/// Variables: `${self:custom.bus}`, `${opt:stage, 'dev'}`.
struct Variables<'a> {
    root: &'a Value,
    settings: &'a Settings,
    limits: &'a IacLimits,
}

impl Variables<'_> {
    fn resolve(&self, value: &Value, depth: usize) -> Value {
        if depth > self.limits.depth {
            return Value::Unknown("its variables refer to one another".to_owned());
        }
        match value {
            Value::Text(text) => self.text(text, depth),
            Value::List(elements) => {
                let elements = elements.iter().map(|one| self.resolve(one, depth + 1));
                Value::List(elements.collect())
            }
            Value::Map(members) => {
                let member = |member: &Member| Member {
                    key: member.key.clone(),
                    line: member.line,
                    value: self.resolve(&member.value, depth + 1),
                };
                Value::Map(members.iter().map(member).collect())
            }
            scalar => scalar.clone(),
        }
    }

    fn text(&self, text: &str, depth: usize) -> Value {
        let mut text = text.to_owned();
        // A replaced variable may give a further one, without an end.
        for _ in 0..self.limits.files {
            // The innermost variable first: a name may have one in it.
            let Some((start, end, name)) = innermost(&text) else {
                return Value::Text(text);
            };
            let value = self.variable(name, depth + 1);
            if (start == 0 && end == text.len()) || matches!(value, Value::Unknown(_)) {
                return value;
            }
            let Some(value) = value.to_text() else {
                return Value::Unknown(format!("`${{{name}}}` inside of a text is not a text"));
            };
            text.replace_range(start..end, &value);
            if text.len() > self.limits.file_bytes {
                break;
            }
        }
        Value::Unknown("its variables refer to one another".to_owned())
    }

    fn variable(&self, name: &str, depth: usize) -> Value {
        // `${first, second}`: the first one that is known.
        let mut unknown = None;
        for choice in name.split(',').map(str::trim) {
            let literal = choice.trim_matches(['\'', '"']);
            if literal.len() < choice.len() {
                return Value::from(literal);
            }
            if let Some(value) = self.settings.get(choice) {
                return Value::from(value);
            }
            let found = match choice.split_once(':') {
                Some(("self", path)) => {
                    let path: Vec<&str> = path.split('.').collect();
                    self.root
                        .at(&path)
                        .map(|value| self.resolve(value, depth + 1))
                }
                _ => None,
            };
            match found {
                Some(value) => return value,
                None => unknown = unknown.or(Some(choice)),
            }
        }
        let name = unknown.unwrap_or(name);
        Value::Unknown(format!(
            "`${{{name}}}` is known after deployment; give it with --set {name}=VALUE"
        ))
    }
}

/// The start, end and name of a variable that has no other one in it. `${Bucket}` and
/// `${AWS::Region}` are names of CloudFormation, which stay.
fn innermost(text: &str) -> Option<(usize, usize, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find('}') {
        let end = from + at + 1;
        if let Some(start) = text[..end].rfind("${") {
            let name = text[start + 2..end - 1].trim();
            if name.contains(':') && !name.starts_with("AWS::") {
                return Some((start, end, name));
            }
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn resolved(text: &str, settings: &[(&str, &str)]) -> Value {
        let limits = IacLimits::DEFAULT;
        let root = yaml::read(text, &limits).unwrap().remove(0);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = Settings::new(&settings.iter().map(owned).collect::<Vec<_>>());
        let variables = Variables {
            root: &root,
            settings: &settings,
            limits: &limits,
        };
        variables.resolve(root.get("a").unwrap(), 0)
    }

    #[test]
    fn variables_are_replaced() {
        let text = "a: 'x-${self:custom.${opt:stage, \"dev\"}.bus}-y'\ncustom: {dev: {bus: b}}";
        assert_eq!(resolved(text, &[]), Value::from("x-b-y"));
        let list = "a: ${self:custom.list}\ncustom: {list: [1, '${opt:s}']}";
        let expected = Value::List(vec![Value::Number("1".to_owned()), Value::from("t")]);
        assert_eq!(resolved(list, &[("opt:s", "t")]), expected);
    }

    #[test]
    fn unknown_variables_are_named() {
        let value = resolved("a: ['${ssm:/path}', '${self:a}']", &[]);
        let Value::List(parts) = value else {
            panic!("expected a list")
        };
        assert!(
            parts[0]
                .unknown()
                .unwrap()
                .contains("--set ssm:/path=VALUE")
        );
        assert!(parts[1].unknown().is_some(), "a variable inside of itself");
    }
}
