//! How a target's parameter is made from an event: constants, and templates with fields of the event in them.

use reflexarc_event::Json;

use super::super::rule_text::quoted;
use super::super::text;

/// What a parameter says.
pub(super) enum Transformation {
    /// The event as it is.
    Original,
    /// Words, with fields of the event among them.
    Words(Words),
    /// Something that cannot be said here, and why.
    Unknown(String),
}

/// A text with fields in it.
pub(super) struct Words(Vec<Part>);

#[derive(Clone)]
enum Part {
    Text(String),
    /// The keys to a field of the native form.
    Field(Vec<String>),
}

/// Reads `Form`, `Value` and `Template` of a parameter.
pub(super) fn read(parameter: &Json) -> Transformation {
    let (form, value) = (text(parameter, "Form"), text(parameter, "Value"));
    match form {
        "" | "ORIGINAL" => Transformation::Original,
        "CONSTANT" => Transformation::Words(Words(vec![Part::Text(value.to_owned())])),
        "TEMPLATE" => match template(text(parameter, "Template"), value) {
            Ok(words) => Transformation::Words(words),
            Err(why) => Transformation::Unknown(why),
        },
        other => Transformation::Unknown(format!(
            "{other}; a whole part of an event is not yet a text"
        )),
    }
}

impl Words {
    /// As a message template of a rule.
    pub(super) fn to_template(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => escaped(text),
            Part::Field(keys) => format!("{{{{ event.{} }}}}", keys.join(".")),
        };
        self.0.iter().map(part).collect()
    }

    /// As a script's expression for the JSON document that the words are; none where they are not JSON, or where a field
    /// stands outside of its strings.
    pub(super) fn to_script_json(&self) -> Option<String> {
        // Fields become characters that stand for nothing else, until the JSON around them is read.
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

/// A character of the private use area.
const MARK: char = '\u{f8ff}';

/// `Value` maps names to paths or literals, `Template` has them as `${name}`.
fn template(template: &str, value: &str) -> Result<Words, String> {
    let names = Json::parse(value.as_bytes())
        .map_err(|error| format!("TEMPLATE; its variables are no JSON: {error}"))?;
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let Some(value) = names.get(name.trim()) else {
            return Err(format!("TEMPLATE; `{name}` is no variable of it"));
        };
        parts.push(Part::Text(before.to_owned()));
        parts.push(match value.as_str() {
            Some(path) if path.starts_with('$') => Part::Field(field(path)?),
            Some(literal) => Part::Text(literal.to_owned()),
            None => Part::Text(value.to_string()),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Ok(Words(parts))
}

/// The field of the native form that a JSONPath names.
fn field(path: &str) -> Result<Vec<String>, String> {
    let unknown = || {
        Err(format!(
            "TEMPLATE; `{path}` has no counterpart in the native form"
        ))
    };
    let keys: Vec<&str> = path.trim_start_matches('$').split('.').skip(1).collect();
    let plain = |key: &&str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !path.starts_with("$.") || !keys.iter().all(plain) {
        return unknown();
    }
    let native = match keys.as_slice() {
        // A whole part of the event is no text.
        ["data", rest @ ..] if !rest.is_empty() => [&["content"], rest].concat(),
        ["id"] => vec!["id"],
        ["subject"] => vec!["resourceId"],
        ["aliyunaccountid"] => vec!["userId"],
        ["aliyunregionid"] => vec!["regionId"],
        _ => return unknown(),
    };
    Ok(native.into_iter().map(str::to_owned).collect())
}

/// Text that a template shows as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        // Followed by nothing, it may be followed by a field.
        let opens = letter == '{'
            && letters
                .peek()
                .is_none_or(|next| matches!(next, '{' | '%' | '#'));
        if opens {
            escaped.push_str("{{ \"{\" }}")
        } else {
            escaped.push(letter)
        }
    }
    escaped
}

/// A JSON document as a literal of the script language.
fn script(json: &Json, fields: &[&[String]]) -> Option<String> {
    Some(match json {
        Json::Null => "()".to_owned(),
        Json::Bool(_) => json.to_string(),
        // Digits that the script language would read otherwise are not worth a guess.
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
            // What is missing is empty.
            pieces.push(format!("(event.{} ?? \"\")", keys.join("?.")));
        } else if !piece.is_empty() || i == 0 {
            pieces.push(quoted(piece));
        }
    }
    Some(pieces.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(template: &str, variables: &str) -> Words {
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
            Transformation::Words(words) => words,
            Transformation::Original => panic!("a template is not the original"),
            Transformation::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_template_becomes_a_message_template() {
        let variables =
            r#"{"eni": "$.data.eniId", "who": "network team", "region": "$.aliyunregionid"}"#;
        let made = words("${who}: ${eni} in ${region}, {{ as it is }} {", variables).to_template();
        let shown = r#"network team: {{ event.content.eniId }} in {{ event.regionId }}, {{ "{" }}{ as it is }} {{ "{" }}"#;
        assert_eq!(made, shown);
    }

    #[test]
    fn a_json_template_becomes_a_document() {
        let variables = r#"{"eni": "$.data.eniId"}"#;
        let body = r#"{"msgtype": "text", "text": {"content": "${eni} \"failed\""}, "at": {"isAtAll": false}, "n": [1]}"#;
        let script = words(body, variables).to_script_json().unwrap();
        let content = r#""" + (event.content?.eniId ?? "") + " \"failed\"""#;
        let whole = format!(
            r##"#{{ "msgtype": "text", "text": #{{ "content": {content} }}, "at": #{{ "isAtAll": false }}, "n": [1] }}"##
        );
        assert_eq!(script, whole);
        assert_eq!(
            words(r#"{"n": ${eni}}"#, variables).to_script_json(),
            None,
            "a field outside of a string"
        );
        assert_eq!(words("${eni}", variables).to_script_json(), None);
    }

    #[test]
    fn what_has_no_counterpart_is_not_guessed() {
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
        let unknown = template("${a}", r#"{"b": "$.data.x"}"#).err().unwrap();
        assert_eq!(unknown, "TEMPLATE; `a` is no variable of it");
    }
}
