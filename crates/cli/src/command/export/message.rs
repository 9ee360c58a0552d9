//! Messages of rules as transformations of EventBridge: a text with `${name}`, and an object from
//! the names to `JSONPath`s.

use serde_json::{Map, Value, json};

use super::LIMITS;

/// A text with fields of the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transformation(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field {
        /// Its last key, after which its variable is called.
        key: String,
        /// Its path in a CloudEvent, as `JSONPath`.
        path: String,
    },
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
    made.rendered().0 == template
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

    /// The parameter of a target.
    pub(super) fn parameter(&self, key: &str) -> Value {
        let (template, variables) = self.rendered();
        if variables.is_empty() {
            return json!({ "ResourceKey": key, "Form": "CONSTANT", "Value": template });
        }
        json!({
            "ResourceKey": key,
            "Form": "TEMPLATE",
            "Value": Value::Object(variables).to_string(),
            "Template": template,
        })
    }

    /// Whether the service refuses its length.
    pub(super) fn is_too_long(&self) -> bool {
        let (template, variables) = self.rendered();
        let variables = Value::Object(variables).to_string();
        let longest = LIMITS.eventbridge_template;
        template.chars().count() > longest || variables.chars().count() > longest
    }

    /// Adds a field of the event.
    pub(super) fn push_field(&mut self, path: &str) -> Result<(), String> {
        let key = path.rsplit('.').next().unwrap_or(path).to_owned();
        let path = json_path(path)?;
        self.0.push(Piece::Field { key, path });
        Ok(())
    }

    /// Adds a text.
    pub(super) fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    /// Adds another one inside of a string of JSON.
    fn push_json(&mut self, other: &Self) {
        for piece in &other.0 {
            match piece {
                Piece::Text(text) => {
                    let quoted = Value::from(text.as_str()).to_string();
                    self.push_text(&quoted[1..quoted.len() - 1]);
                }
                field @ Piece::Field { .. } => self.0.push(field.clone()),
            }
        }
    }

    /// The template, and its variables.
    fn rendered(&self) -> (String, Map<String, Value>) {
        let mut template = String::new();
        let mut variables = Map::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => {
                    let mut pieces = text.split("${");
                    template.push_str(pieces.next().unwrap_or_default());
                    // `${` would begin a variable, and there is no escape: so the dollar is a
                    // variable too.
                    for piece in pieces {
                        let name = variable(&mut variables, "dollar", "$");
                        template.push_str(&format!("${{{name}}}{{{piece}"));
                    }
                }
                Piece::Field { key, path } => {
                    let name = variable(&mut variables, key, path);
                    template.push_str(&format!("${{{name}}}"));
                }
            }
        }
        (template, variables)
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

/// The name of the variable with this value.
fn variable(variables: &mut Map<String, Value>, wanted: &str, value: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while variables.get(&name).is_some_and(|other| other != value) {
        name = format!("{wanted}{number}");
        number += 1;
    }
    variables.insert(name.clone(), value.into());
    name
}

/// The `JSONPath` in a CloudEvent of a field of the native form.
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
    fn title_and_text_do_not_share_the_name_of_a_variable() {
        let title = Some("{{ event.id }}");
        let message = ExportedMessage::new("r", title, Some("{{ event.content.id }}")).unwrap();
        let body = message.robot_body().parameter("Body");
        let text = r#"{"msgtype":"text","text":{"content":"${id}\n${id2}"}}"#;
        assert_eq!(body["Template"], text);
        assert_eq!(body["Value"], r#"{"id":"$.id","id2":"$.data.id"}"#);
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
        assert!(is_default_body("Body", &message.robot_body().rendered().0));
        assert!(is_default_body("Subject", &message.title.rendered().0));
        let other = ExportedMessage::new("x", Some("a"), None).unwrap();
        assert!(!is_default_body("Body", &other.robot_body().rendered().0));
        let body = message.robot_body().rendered().0;
        assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
    }
}
