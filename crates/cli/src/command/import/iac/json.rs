//! JSON documents with the lines of their members.

use reflexarc_event::Json;

use super::limits::IacLimits;
use super::value::{Member, Value};

/// Reads a JSON document.
pub(super) fn read(text: &str, limits: &IacLimits) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = Json::parse_within(text, limits.depth).map_err(|error| error.to_string())?;
    let mut lines = Lines {
        text,
        offset: 0,
        line: 1,
    };
    Ok(lines.value(&json))
}

/// Finds the line of each key by walking the text and the tree in the same order.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    fn value(&mut self, json: &Json) -> Value {
        match json {
            Json::Array(elements) => {
                Value::List(elements.iter().map(|one| self.value(one)).collect())
            }
            Json::Object(members) => {
                let mut found = Vec::with_capacity(members.len());
                for (key, value) in members {
                    self.advance_to(key);
                    found.push(Member {
                        key: key.clone(),
                        line: self.line,
                        value: self.value(value),
                    });
                }
                Value::Map(found)
            }
            scalar => Value::from(scalar),
        }
    }

    /// Goes behind the next `"key":`. A text that looks so inside of a string has its quotes
    /// escaped.
    fn advance_to(&mut self, key: &str) {
        let quoted = Json::from(key).to_string();
        let rest = self.text.get(self.offset..).unwrap_or_default();
        let mut from = 0;
        while let Some(at) = rest.get(from..).and_then(|rest| rest.find(&quoted)) {
            let end = from + at + quoted.len();
            if rest[end..].trim_start().starts_with(':') {
                let passed = &rest[..end];
                self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
                self.offset += end;
                return;
            }
            from = end;
        }
        // A key with other escapes: from here on, lines are those of the last key that was found.
        self.offset = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_lines() {
        let text = "{\n \"a\": \"b\",\n \"b\": {\n\n\"c\": [\"b\", {\"d\"\n:1}]}}";
        let value = read(text, &IacLimits::DEFAULT).unwrap();
        let line = |path: &[&str], key| value.at(path).unwrap().member(key).unwrap().line;
        assert_eq!(
            (line(&[], "a"), line(&[], "b"), line(&["b"], "c")),
            (2, 3, 5)
        );
        let list = value.at(&["b", "c"]).unwrap().elements();
        assert_eq!(list[1].member("d").unwrap().line, 5);
        let json = Json::parse(text).unwrap();
        assert_eq!(value.to_json(), Ok(json));
    }

    #[test]
    fn deep_documents_are_refused() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let depth = IacLimits::DEFAULT.depth;
        assert!(read(&nested(depth), &IacLimits::DEFAULT).is_ok());
        assert!(read(&nested(depth + 1), &IacLimits::DEFAULT).is_err());
    }
}
