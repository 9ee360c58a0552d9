//! Transformations of EventBridge: how the value of a target's parameter is made from an event, as
//! a constant or as a template with fields of the event.

use reflexarc_event::Json;

use super::super::document::string;
use super::super::rule_draft::quoted;

/// The value of a parameter.
pub(super) enum Transformation {
    /// The whole event.
    Original,
    /// A field of the event as it is: its path in the native form.
    Field(Vec<String>),
    /// A text with fields of the event in it.
    Text(TextTemplate),
    /// A value that cannot be imported, and why.
    Unsupported(String),
}

/// A text with fields in it.
pub(super) struct TextTemplate(Vec<Part>);

#[derive(Clone)]
enum Part {
    Text(String),
    /// The path of a field in the native form.
    Field(Vec<String>),
}

/// Reads `Form`, `Value` and `Template` of a parameter.
pub(super) fn read(parameter: &Json) -> Transformation {
    let (form, value) = (string(parameter, "Form"), string(parameter, "Value"));
    match form {
        "" | "ORIGINAL" => Transformation::Original,
        "CONSTANT" => Transformation::Text(TextTemplate(vec![Part::Text(value.to_owned())])),
        "TEMPLATE" => match template(string(parameter, "Template"), value) {
            Ok(text) => Transformation::Text(text),
            Err(why) => Transformation::Unsupported(why),
        },
        "JSONPATH" => match value {
            "$" => Transformation::Original,
            "$.data" => Transformation::Field(vec!["content".to_owned()]),
            path => match field(path) {
                Ok(keys) => Transformation::Field(keys),
                Err(why) => Transformation::Unsupported(format!("JSONPATH with {why}")),
            },
        },
        other => Transformation::Unsupported(format!("{other} is not supported")),
    }
}

/// A field as an expression of a script; a missing one is `()`.
pub(super) fn script_field(keys: &[String]) -> String {
    format!("event.{}", keys.join("?."))
}

impl TextTemplate {
    /// The text of a field.
    pub(super) fn of_field(keys: Vec<String>) -> Self {
        Self(vec![Part::Field(keys)])
    }

    /// The text as a template for a message of a rule.
    pub(super) fn to_template(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => escaped(text),
            Part::Field(keys) => format!("{{{{ event.{} }}}}", keys.join(".")),
        };
        self.0.iter().map(part).collect()
    }

    /// The text as an expression of a script, if it is a JSON document with fields only inside of
    /// its strings.
    pub(super) fn to_script_json(&self) -> Option<String> {
        // The text is JSON only with the fields replaced by something. So each field becomes its
        // number between two marks, the JSON is parsed, and `script_text` replaces the marks in its
        // strings:
        //
        // {"text": "${eni} failed"}    {"text": "␟0␟ failed"}    #{ "text": (event.…) + " failed" }
        //
        // A mark outside of a string is not valid JSON, which is what is wanted.
        let mut fields = Vec::new();
        let mut source = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) if text.contains(MARK) => return None,
                Part::Text(text) => source.push_str(text),
                Part::Field(keys) => {
                    source.push_str(&format!("{MARK}{}{MARK}", fields.len()));
                    fields.push(keys.as_slice());
                }
            }
        }
        script(&Json::parse(source.as_bytes()).ok()?, &fields)
    }
}

/// Surrounds the number of a field: a character of the private use area, which texts do not
/// contain.
const MARK: char = '\u{f8ff}';

/// Reads a template: `value` is an object from names to JSONPaths or literals, `template` a text
/// with `${name}`.
fn template(template: &str, value: &str) -> Result<TextTemplate, String> {
    let names = Json::parse(value.as_bytes())
        .map_err(|error| format!("TEMPLATE with invalid variables: {error}"))?;
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let Some(value) = names.get(name.trim()) else {
            return Err(format!("TEMPLATE with unknown variable `{name}`"));
        };
        parts.push(Part::Text(before.to_owned()));
        parts.push(match value.as_str() {
            Some(path) if path.starts_with('$') => {
                Part::Field(field(path).map_err(|why| format!("TEMPLATE with {why}"))?)
            }
            Some(literal) => Part::Text(literal.to_owned()),
            None => Part::Text(value.to_string()),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Ok(TextTemplate(parts))
}

/// The path in the native form of the field that a JSONPath selects.
fn field(path: &str) -> Result<Vec<String>, String> {
    let unknown = || Err(format!("`{path}`, which the native form does not have"));
    let keys: Vec<&str> = path.trim_start_matches('$').split('.').skip(1).collect();
    let plain = |key: &&str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !path.starts_with("$.") || !keys.iter().all(plain) {
        return unknown();
    }
    let native = match keys.as_slice() {
        // `$.data` alone is an object, not a text.
        ["data", rest @ ..] if !rest.is_empty() => [&["content"], rest].concat(),
        ["id"] => vec!["id"],
        ["subject"] => vec!["resourceId"],
        ["aliyunaccountid"] => vec!["userId"],
        ["aliyunregionid"] => vec!["regionId"],
        _ => return unknown(),
    };
    Ok(native.into_iter().map(str::to_owned).collect())
}

/// A text, escaped so that a template prints it unchanged.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        // At the end of the text a field may follow, which begins with `{{`.
        let opens = letter == '{'
            && letters
                .peek()
                .is_none_or(|next| matches!(next, '{' | '%' | '#'));
        if opens {
            escaped.push_str("{{ \"{\" }}");
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// A JSON document as a literal of the script language.
fn script(json: &Json, fields: &[&[String]]) -> Option<String> {
    Some(match json {
        Json::Null => "()".to_owned(),
        Json::Bool(_) => json.to_string(),
        // rhai has no numbers beyond 64 bits and reads fractions as binary floats.
        Json::Number(_) => json.as_i64()?.to_string(),
        Json::String(text) => script_text(text, fields)?,
        Json::Array(elements) => {
            let elements: Option<Vec<_>> = elements
                .iter()
                .map(|element| script(element, fields))
                .collect();
            format!("[{}]", elements?.join(", "))
        }
        Json::Object(members) => {
            let member = |(key, value): &(String, Json)| {
                Some(format!("{}: {}", quoted(key), script(value, fields)?))
            };
            let members: Option<Vec<_>> = members.iter().map(member).collect();
            format!("#{{ {} }}", members?.join(", "))
        }
    })
}

fn script_text(text: &str, fields: &[&[String]]) -> Option<String> {
    let mut pieces = Vec::new();
    for (i, piece) in text.split(MARK).enumerate() {
        if i % 2 == 1 {
            let keys = fields.get(piece.parse::<usize>().ok()?)?;
            // As in EventBridge, a missing field is an empty text.
            pieces.push(format!("({} ?? \"\")", script_field(keys)));
        } else if !piece.is_empty() || i == 0 {
            pieces.push(quoted(piece));
        }
    }
    Some(pieces.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_template(template: &str, variables: &str) -> TextTemplate {
        let json = |text: &str| Json::from(text);
        let parameter: Json = [
            ("Form", json("TEMPLATE")),
            ("Value", json(variables)),
            ("Template", json(template)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        match read(&parameter) {
            Transformation::Text(text) => text,
            Transformation::Original | Transformation::Field(_) => panic!("expected a text"),
            Transformation::Unsupported(why) => panic!("{why}"),
        }
    }

    #[test]
    fn templates_become_message_templates() {
        let variables =
            r#"{"eni": "$.data.eniId", "who": "network team", "region": "$.aliyunregionid"}"#;
        let made =
            text_template("${who}: ${eni} in ${region}, {{ as it is }} {", variables).to_template();
        let shown = concat!(
            "network team: {{ event.content.eniId }} in {{ event.regionId }}, ",
            r#"{{ "{" }}{ as it is }} {{ "{" }}"#
        );
        assert_eq!(made, shown);
    }

    #[test]
    fn json_templates_become_documents() {
        let variables = r#"{"eni": "$.data.eniId"}"#;
        let body = concat!(
            r#"{"msgtype": "text", "text": {"content": "${eni} \"failed\""}, "#,
            r#""at": {"isAtAll": false}, "n": [1]}"#
        );
        let script = text_template(body, variables).to_script_json().unwrap();
        let content = r#""" + (event.content?.eniId ?? "") + " \"failed\"""#;
        let rest = r##""at": #{ "isAtAll": false }, "n": [1] }"##;
        let whole =
            format!(r##"#{{ "msgtype": "text", "text": #{{ "content": {content} }}, {rest}"##);
        assert_eq!(script, whole);
        assert_eq!(
            text_template(r#"{"n": ${eni}}"#, variables).to_script_json(),
            None,
            "a field outside of a string"
        );
        assert_eq!(text_template("${eni}", variables).to_script_json(), None);
    }

    #[test]
    fn fields_without_counterpart_are_refused() {
        for path in [
            "$.time",
            "$.type",
            "$.data",
            "$.data.list[0]",
            "$..eniId",
            "$.data['odd key']",
            "$",
        ] {
            assert!(field(path).is_err(), "{path}");
        }
        let message = template("${a}", r#"{"b": "$.data.x"}"#).err().unwrap();
        assert_eq!(message, "TEMPLATE with unknown variable `a`");
    }
}
