//! JSON in lines, for the filter of a rule file.

use reflexarc_event::Json;

/// Values up to this width stay in one line.
const WIDTH: usize = 80;

/// The same JSON, with line breaks where it is long. Members stay in their order, and numbers and
/// repeated keys as they are.
pub(super) fn indented(json: &Json) -> String {
    let mut text = String::new();
    write(json, 0, &mut text);
    text
}

fn write(json: &Json, depth: usize, text: &mut String) {
    let compact = spaced(json);
    // Objects of several levels are easier to read with a line for each member.
    let is_flat = match json {
        Json::Object(members) => depth > 0 && members.iter().all(|(_, value)| is_leaf(value)),
        _ => true,
    };
    if is_flat && compact.len() + 2 * depth <= WIDTH || is_leaf(json) {
        return text.push_str(&compact);
    }
    let new_line = |depth: usize, text: &mut String| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    if let Json::Object(members) = json {
        text.push('{');
        for (number, (key, value)) in members.iter().enumerate() {
            text.push_str(if number > 0 { "," } else { "" });
            new_line(depth + 1, text);
            text.push_str(&format!("{}: ", Json::from(key.as_str())));
            write(value, depth + 1, text);
        }
        new_line(depth, text);
        return text.push('}');
    }
    text.push('[');
    for (number, element) in json.elements().iter().enumerate() {
        text.push_str(if number > 0 { "," } else { "" });
        new_line(depth + 1, text);
        write(element, depth + 1, text);
    }
    new_line(depth, text);
    text.push(']');
}

/// In one line, with spaces after commas and colons.
fn spaced(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(spaced).collect();
            format!("[{}]", elements.join(", "))
        }
        Json::Object(members) => {
            let member = |(key, value): &(String, Json)| {
                format!("{}: {}", Json::from(key.as_str()), spaced(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn is_leaf(json: &Json) -> bool {
    match json {
        Json::Array(elements) => elements.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_in_lines() {
        let text =
            r#"{"source":["aws.ec2"],"detail":{"state":["running",{"prefix":"s"}],"n":1.50}}"#;
        let json = Json::parse(text).unwrap();
        let lines = r#"{
  "source": ["aws.ec2"],
  "detail": {
    "state": ["running", {"prefix": "s"}],
    "n": 1.50
  }
}"#;
        assert_eq!(indented(&json), lines);
        assert_eq!(Json::parse(lines).unwrap(), json);
        assert_eq!(indented(&Json::parse("{}").unwrap()), "{}");
    }

    #[test]
    fn long_lists_have_a_line_for_each_element() {
        let names: Vec<String> = (0..10).map(|n| format!("\"operation-{n:04}\"")).collect();
        let json = Json::parse(format!("[{}]", names.join(","))).unwrap();
        let text = indented(&json);
        assert_eq!(text.lines().count(), 12);
        assert_eq!(Json::parse(&text).unwrap(), json);
    }
}
