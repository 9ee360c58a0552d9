//! The functions of CloudFormation, as far as their results are known before deployment.

use std::cell::Cell;

use super::super::found::Settings;
use super::super::limits::IacLimits;
use super::super::value::{Member, Value};
use super::conditions;

/// Evaluates functions.
pub(super) struct Resolver<'a> {
    root: &'a Value,
    settings: &'a Settings,
    pub(super) limits: &'a IacLimits,
    /// What is left of the limit of evaluation.
    left: Cell<usize>,
}

/// What `Ref: AWS::NoValue` is: its member or element is left out.
const NO_VALUE: &str = "AWS::NoValue";

impl<'a> Resolver<'a> {
    pub(super) fn new(root: &'a Value, settings: &'a Settings, limits: &'a IacLimits) -> Self {
        Self {
            root,
            settings,
            limits,
            left: Cell::new(limits.evaluation),
        }
    }

    /// The value with its functions evaluated. Those that depend on the deployment are unknown.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        self.resolve_at(value, 0)
    }

    pub(super) fn resolve_at(&self, value: &Value, depth: usize) -> Value {
        if depth > self.limits.depth {
            return Value::Unknown("its functions refer to one another".to_owned());
        }
        let resolved = match value {
            Value::List(elements) => {
                let elements = elements.iter().filter(|element| !self.is_no_value(element));
                let elements = elements.map(|element| self.resolve_at(element, depth + 1));
                Value::List(elements.collect())
            }
            Value::Map(members) => match members.as_slice() {
                [only] if is_function(only) => self.call(&only.key, &only.value, depth + 1),
                members => Value::Map(self.resolve_members(members, depth)),
            },
            Value::Text(text) => dynamic_reference(text).unwrap_or_else(|| value.clone()),
            scalar => scalar.clone(),
        };
        self.charge(resolved)
    }

    /// The value of a name in `Ref` and `${…}`.
    pub(super) fn name(&self, name: &str) -> Value {
        if let Some(value) = self.settings.get(name) {
            return self.parameter_value(name, value);
        }
        let Some(parameter) = self.root.at(&["Parameters", name]) else {
            let what = if name.starts_with("AWS::") {
                format!("`{name}` is that of the deployment")
            } else {
                format!("it refers to the resource `{name}`, which has its value after deployment")
            };
            return unknown(&what, name);
        };
        let kind = parameter.get("Type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind.starts_with("AWS::SSM::")) {
            let what = format!("the parameter `{name}` is read from Parameter Store");
            return unknown(&what, name);
        }
        match parameter.get("Default").and_then(Value::to_text) {
            Some(default) => self.parameter_value(name, &default),
            None => unknown(&format!("the parameter `{name}` has no default"), name),
        }
    }

    fn parameter_value(&self, name: &str, text: &str) -> Value {
        let kind = self.root.at(&["Parameters", name, "Type"]);
        match kind.and_then(Value::as_str) {
            Some(kind) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
                Value::List(text.split(',').map(|one| Value::from(one.trim())).collect())
            }
            Some("Number") if reflexarc_event::Json::parse(text).is_ok() => {
                Value::Number(text.to_owned())
            }
            _ => Value::from(text),
        }
    }

    fn resolve_members(&self, members: &[Member], depth: usize) -> Vec<Member> {
        let kept = members
            .iter()
            .filter(|member| !self.is_no_value(&member.value));
        let member = |member: &Member| Member {
            key: member.key.clone(),
            line: member.line,
            value: self.resolve_at(&member.value, depth + 1),
        };
        kept.map(member).collect()
    }

    fn is_no_value(&self, value: &Value) -> bool {
        let value = self.branch(value, 0);
        value.get("Ref").and_then(Value::as_str) == Some(NO_VALUE) && value.members().len() == 1
    }

    /// The branch that `Fn::If` selects, if its condition is known; else the value.
    fn branch<'v>(&self, value: &'v Value, depth: usize) -> &'v Value {
        let parts = value.get("Fn::If").map(Value::elements);
        let Some([condition, if_true, if_false]) = parts else {
            return value;
        };
        let name = condition.as_str().unwrap_or_default();
        match conditions::evaluate(self.root, name, self, depth) {
            Ok(_) if depth > self.limits.depth => value,
            Ok(true) => self.branch(if_true, depth + 1),
            Ok(false) => self.branch(if_false, depth + 1),
            Err(_) => value,
        }
    }

    fn call(&self, function: &str, argument: &Value, depth: usize) -> Value {
        let resolved = |value: &Value| self.resolve_at(value, depth);
        let arguments = argument.elements();
        match (function, arguments) {
            ("Ref", _) => match argument.as_str() {
                Some(NO_VALUE) => Value::Null,
                Some(name) => self.name(name),
                None => malformed(function),
            },
            ("Fn::GetAtt", [resource, attribute]) => {
                let part = |value: &Value| resolved(value).to_text().unwrap_or_default();
                self.attribute(&format!("{}.{}", part(resource), part(attribute)))
            }
            ("Fn::GetAtt", _) => match argument.as_str() {
                Some(text) => self.attribute(text),
                None => malformed(function),
            },
            ("Fn::Sub", _) => self.substitute(argument, depth),
            ("Fn::Join", [separator, list]) => {
                let separator = separator.as_str().unwrap_or_default();
                join(separator, &resolved(list))
            }
            ("Fn::Split", [separator, text]) => match (separator.as_str(), resolved(text)) {
                (_, Value::Unknown(reason)) => Value::Unknown(reason),
                (Some(separator), Value::Text(text)) if !separator.is_empty() => {
                    Value::List(text.split(separator).map(Value::from).collect())
                }
                _ => malformed(function),
            },
            ("Fn::Select", [index, list]) => {
                let index = resolved(index).to_text().and_then(|text| text.parse().ok());
                match (index, resolved(list)) {
                    (_, Value::Unknown(reason)) => Value::Unknown(reason),
                    (Some(index), Value::List(list)) => {
                        let selected: Option<&Value> = list.get::<usize>(index);
                        selected.cloned().unwrap_or_else(|| malformed(function))
                    }
                    _ => malformed(function),
                }
            }
            ("Fn::FindInMap", [map, first, second, ..]) => {
                let keys = [map, first, second].map(&resolved);
                if let Some(reason) = keys.iter().find_map(Value::unknown) {
                    return Value::Unknown(reason.to_owned());
                }
                let keys = keys.map(|key| key.to_text().unwrap_or_default());
                let path = ["Mappings", &keys[0], &keys[1], &keys[2]];
                match self.root.at(&path) {
                    Some(value) => value.clone(),
                    None => Value::Unknown(format!(
                        "Mappings has no {}.{}.{}",
                        keys[0], keys[1], keys[2]
                    )),
                }
            }
            ("Fn::If", [condition, if_true, if_false]) => {
                let name = condition.as_str().unwrap_or_default();
                match conditions::evaluate(self.root, name, self, depth) {
                    Ok(true) => resolved(if_true),
                    Ok(false) => resolved(if_false),
                    Err(reason) => Value::Unknown(reason),
                }
            }
            ("Fn::ToJsonString", _) => {
                let value = resolved(argument);
                match value.to_json() {
                    Ok(json) => Value::Text(json.to_string()),
                    Err(_) => Value::Encoded(Box::new(value)),
                }
            }
            ("Fn::ImportValue", _) => {
                let what = format!("{} is exported by another stack", describe(argument));
                Value::Unknown(what)
            }
            _ => Value::Unknown(format!("{function} is evaluated during deployment")),
        }
    }

    fn attribute(&self, name: &str) -> Value {
        if let Some(value) = self.settings.get(name) {
            return Value::from(value);
        }
        let what = format!("`{name}` of a resource is known after deployment");
        unknown(&what, name)
    }

    /// `Fn::Sub`: a text with `${Name}`, or such a text and a map of further names.
    fn substitute(&self, argument: &Value, depth: usize) -> Value {
        let (text, names) = match argument {
            Value::Text(text) => (text, &Value::Null),
            Value::List(parts) => match parts.as_slice() {
                [Value::Text(text), names] => (text, names),
                _ => return malformed("Fn::Sub"),
            },
            _ => return malformed("Fn::Sub"),
        };
        let mut result = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return malformed("Fn::Sub");
            };
            rest = after;
            // `${!Name}` is the text `${Name}`.
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let name = name.trim();
            let value = match names.get(name) {
                Some(value) => self.resolve_at(value, depth),
                None if name.contains('.') => self.attribute(name),
                None => self.name(name),
            };
            match (value.unknown(), value.to_text()) {
                (Some(reason), _) => return Value::Unknown(reason.to_owned()),
                (None, Some(text)) => result.push_str(&text),
                (None, None) => {
                    return Value::Unknown(format!("`{name}` in Fn::Sub is not a text"));
                }
            }
            if result.len() > self.left.get() {
                return too_much(self.limits);
            }
        }
        result.push_str(rest);
        Value::Text(result)
    }

    fn charge(&self, value: Value) -> Value {
        // Collections are charged by their elements.
        let size = match &value {
            Value::Text(text) => 1 + text.len(),
            _ => 1,
        };
        match self.left.get().checked_sub(size) {
            Some(left) => {
                self.left.set(left);
                value
            }
            None => too_much(self.limits),
        }
    }
}

/// A function call for people, as it is in the short form: `!GetAtt Worker.Arn`.
pub(super) fn describe(value: &Value) -> String {
    match value.members() {
        [only] if is_function(only) => {
            let name = only.key.strip_prefix("Fn::").unwrap_or(&only.key);
            let argument = match &only.value {
                Value::List(parts) if only.key == "Fn::GetAtt" => {
                    let parts: Vec<String> = parts.iter().map(describe).collect();
                    parts.join(".")
                }
                Value::List(parts) => {
                    let parts: Vec<String> = parts.iter().map(describe).collect();
                    format!("[{}]", parts.join(", "))
                }
                argument => describe(argument),
            };
            format!("!{name} {argument}")
        }
        _ => match value.to_text() {
            Some(text) => text,
            None => value
                .to_json()
                .map(|json| json.to_string())
                .unwrap_or_default(),
        },
    }
}

fn is_function(member: &Member) -> bool {
    // A pattern may have a field `Ref`, whose value is an array.
    (member.key == "Ref" && member.value.as_str().is_some()) || member.key.starts_with("Fn::")
}

fn join(separator: &str, list: &Value) -> Value {
    if let Some(reason) = list.unknown() {
        return Value::Unknown(reason.to_owned());
    }
    let parts: Option<Vec<String>> = list.elements().iter().map(Value::to_text).collect();
    match parts {
        Some(parts) if matches!(list, Value::List(_)) => Value::Text(parts.join(separator)),
        _ => malformed("Fn::Join"),
    }
}

fn unknown(what: &str, name: &str) -> Value {
    Value::Unknown(format!("{what}; give it with --set {name}=VALUE"))
}

fn malformed(function: &str) -> Value {
    Value::Unknown(format!("{function} has unexpected arguments"))
}

fn too_much(limits: &IacLimits) -> Value {
    let limit = limits.evaluation;
    Value::Unknown(format!(
        "its functions make more than {limit} values and bytes"
    ))
}

/// A text with a reference that CloudFormation resolves: `{{resolve:ssm:…}}`.
fn dynamic_reference(text: &str) -> Option<Value> {
    let (_, after) = text.split_once("{{resolve:")?;
    let (name, _) = after.split_once("}}")?;
    Some(Value::Unknown(format!(
        "`{{{{resolve:{name}}}}}` is read during deployment"
    )))
}
