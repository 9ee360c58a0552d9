//! Messages of rules as transformations of EventBridge: a text with `${name}`, and an object from
//! the names to JSONPaths.

use serde_json::{Map, Value, json};

use super::LIMITS;

/// A text with fields of the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transformation {
    template: String,
    variables: Map<String, Value>,
}

/// A message: title and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExportedMessage {
    pub(super) title: Transformation,
    pub(super) text: Transformation,
}

/// The default title and text, with fields that every event has.
const DEFAULT_TITLE: &str = "{{ event.name }} in {{ event.regionId }}";
const DEFAULT_TEXT: &str = "{{ event.resourceId }} at {{ event.eventTime }}: {{ event.content }}";

impl Default for ExportedMessage {
    fn default() -> Self {
        // The default templates have fields only.
        Self::new("", None, None).unwrap_or(Self {
            title: Transformation::default(),
            text: Transformation::default(),
        })
    }
}

impl ExportedMessage {
    /// The message of a rule of this name; a part without a template is that of the default.
    ///
    /// # Errors
    /// If a template has more than fields of the event.
    pub(super) fn new(rule: &str, title: Option<&str>, text: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            title: Transformation::of_template(title.unwrap_or(DEFAULT_TITLE), rule)?,
            text: Transformation::of_template(text.unwrap_or(DEFAULT_TEXT), rule)?,
        })
    }

    /// The message as the body for a robot of DingTalk.
    pub(super) fn robot_body(&self) -> Transformation {
        let mut body = Transformation::default();
        body.push_text("{\"msgtype\":\"text\",\"text\":{\"content\":\"");
        body.push_json(&self.title);
        body.push_text("\\n");
        body.push_json(&self.text);
        body.push_text("\"}}");
        body
    }
}

/// Whether a parameter of a target, with the form TEMPLATE, is what the export makes of the default
/// message.
pub(crate) fn is_default_body(key: &str, template: &str) -> bool {
    let Ok(message) = ExportedMessage::new("", None, None) else {
        return false;
    };
    let made = match key {
        "Subject" => message.title,
        _ if template.starts_with("{\"msgtype\"") => message.robot_body(),
        _ => message.text,
    };
    made.template == template
}

impl Transformation {
    /// The transformation for a template of a rule.
    pub(super) fn of_template(template: &str, rule: &str) -> Result<Self, String> {
        let mut made = Self::default();
        let mut rest = template;
        loop {
            let Some(at) = rest.find(['{']).filter(|_| rest.contains('{')) else {
                made.push_text(rest);
                return Ok(made);
            };
            made.push_text(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with("{%") || rest.starts_with("{#") {
                return Err("its message has more than fields of the event".to_owned());
            }
            let Some(inside) = rest.strip_prefix("{{") else {
                made.push_text("{");
                rest = &rest[1..];
                continue;
            };
            let Some((expression, after)) = inside.split_once("}}") else {
                return Err("its message has more than fields of the event".to_owned());
            };
            made.push_expression(expression.trim(), rule)?;
            rest = after;
        }
    }

    /// A transformation that is a document of JSON: `null` where it cannot be read.
    pub(super) fn parameter(&self, key: &str) -> Value {
        if self.variables.is_empty() {
            return json!({ "ResourceKey": key, "Form": "CONSTANT", "Value": self.template });
        }
        json!({
            "ResourceKey": key,
            "Form": "TEMPLATE",
            "Value": Value::Object(self.variables.clone()).to_string(),
            "Template": self.template,
        })
    }

    /// Whether the service accepts its length.
    pub(super) fn is_too_long(&self) -> bool {
        let value = Value::Object(self.variables.clone()).to_string();
        let longest = LIMITS.eventbridge_template;
        self.template.chars().count() > longest || value.chars().count() > longest
    }

    /// Adds a field of the event.
    pub(super) fn push_field(&mut self, path: &str) -> Result<(), String> {
        let json_path = json_path(path)?;
        let last = path.rsplit('.').next().unwrap_or(path);
        let mut name = last.to_owned();
        let mut number = 2;
        while self
            .variables
            .get(&name)
            .is_some_and(|other| *other != Value::from(json_path.as_str()))
        {
            name = format!("{last}{number}");
            number += 1;
        }
        self.template.push_str(&format!("${{{name}}}"));
        self.variables.insert(name, json_path.into());
        Ok(())
    }

    /// Adds a text.
    pub(super) fn push_text(&mut self, text: &str) {
        // `${` would begin a variable, and there is no escape: so the dollar is a variable too.
        if text.starts_with('{') && self.template.ends_with('$') {
            self.template.pop();
            self.push_text("${");
            return self.push_text(&text[1..]);
        }
        let mut pieces = text.split("${");
        self.template.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.variables.insert("dollar".to_owned(), "$".into());
            self.template.push_str("${dollar}{");
            self.template.push_str(piece);
        }
    }

    /// Adds another one inside of a string of JSON.
    fn push_json(&mut self, other: &Self) {
        let quoted = Value::from(other.template.as_str()).to_string();
        self.template.push_str(&quoted[1..quoted.len() - 1]);
        self.variables.extend(other.variables.clone());
    }

    fn push_expression(&mut self, expression: &str, rule: &str) -> Result<(), String> {
        if let Some(path) = expression.strip_prefix("event.") {
            return self.push_field(path);
        }
        if expression == "rule.name" {
            self.push_text(rule);
            return Ok(());
        }
        // A text in quotes is how a template writes `{{` itself.
        let quoted = serde_json::from_str::<String>(expression);
        match quoted {
            Ok(text) => {
                self.push_text(&text);
                Ok(())
            }
            Err(_) => Err(format!("its message has `{{{{ {expression} }}}}`")),
        }
    }
}

/// The JSONPath in a CloudEvent of a field of the native form.
pub(super) fn json_path(path: &str) -> Result<String, String> {
    let is_plain = |key: &str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !path.split('.').all(is_plain) {
        return Err(format!("its message has `{{{{ event.{path} }}}}`"));
    }
    Ok(match path {
        "id" => "$.id".to_owned(),
        "name" => "$.type".to_owned(),
        "product" => "$.source".to_owned(),
        "resourceId" => "$.subject".to_owned(),
        "userId" => "$.aliyunaccountid".to_owned(),
        "regionId" => "$.aliyunregionid".to_owned(),
        "eventTime" => "$.time".to_owned(),
        "content" => "$.data".to_owned(),
        _ => match path.strip_prefix("content.") {
            Some(rest) => format!("$.data.{rest}"),
            None => return Err(format!("EventBridge sends no `{path}` for its message")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(template: &str) -> Value {
        let made = Transformation::of_template(template, "a-rule").unwrap();
        made.parameter("Body")
    }

    #[test]
    fn templates_become_transformations() {
        let made = parameter("{{ rule.name }}: {{ event.content.eniId }} in {{ event.regionId }}");
        assert_eq!(made["Template"], "a-rule: ${eniId} in ${regionId}");
        assert_eq!(
            made["Value"],
            r#"{"eniId":"$.data.eniId","regionId":"$.aliyunregionid"}"#
        );
        assert_eq!(parameter("no field { in } it")["Form"], "CONSTANT");
        assert_eq!(parameter(r#"{{ "{" }}{ x"#)["Value"], "{{ x");
    }

    #[test]
    fn names_of_variables_are_unique_and_dollars_stay() {
        let made = parameter("{{ event.id }} {{ event.content.id }} {{ event.id }} costs ${1}");
        assert_eq!(made["Template"], "${id} ${id2} ${id} costs ${dollar}{1}");
        assert!(made["Value"].as_str().unwrap().contains(r#""dollar":"$""#));
    }

    #[test]
    fn other_templates_are_refused() {
        for template in [
            "{% if a %}b{% endif %}",
            "{{ count }}",
            "{{ event.content.x | upper }}",
            "{{ event.level }}",
            "{{ open",
        ] {
            assert!(
                Transformation::of_template(template, "r").is_err(),
                "{template}"
            );
        }
    }

    #[test]
    fn too_long_texts_are_found() {
        let made = |len| Transformation::of_template(&"网".repeat(len), "r").unwrap();
        assert!(!made(10_240).is_too_long());
        assert!(made(10_241).is_too_long());
    }

    #[test]
    fn the_default_message_is_recognised() {
        let message = ExportedMessage::new("x", None, None).unwrap();
        assert!(is_default_body("Body", &message.robot_body().template));
        assert!(is_default_body("Subject", &message.title.template));
        let other = ExportedMessage::new("x", Some("a"), None).unwrap();
        assert!(!is_default_body("Body", &other.robot_body().template));
        let body = message.robot_body().template;
        assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
    }
}
