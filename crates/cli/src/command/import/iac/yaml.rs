//! YAML documents: the short forms of CloudFormation's functions, anchors and merge keys.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::limits::IacLimits;
use super::value::{Member, Value};

/// Reads all documents of a file.
///
/// ```text
/// !Sub "${A}-b"   →  {"Fn::Sub": "${A}-b"}
/// !GetAtt A.Arn   →  {"Fn::GetAtt": ["A", "Arn"]}
/// !Ref A          →  {"Ref": "A"}
/// ```
pub(super) fn read(text: &str, limits: &IacLimits) -> Result<Vec<Value>, String> {
    let mut builder = Builder {
        limits,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        values: 0,
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let line = span.start.line();
        builder
            .event(event, line)
            .map_err(|reason| format!("{reason} (line {line})"))?;
    }
    Ok(builder.documents)
}

struct Builder<'a> {
    limits: &'a IacLimits,
    stack: Vec<Open>,
    /// Values with anchors, by their numbers.
    anchors: BTreeMap<usize, Value>,
    values: usize,
    documents: Vec<Value>,
}

/// A list or map whose end is not read yet.
struct Open {
    anchor: usize,
    tag: Option<String>,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    /// Members, and the key whose value comes next, with its line.
    Map(Vec<Member>, Option<(String, usize)>),
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                let value = match tag.and_then(function_name) {
                    Some(function) => call(&function, Value::Text(text.into_owned())),
                    None => scalar(&text, style, tag),
                };
                self.add(value, 1, anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.open(anchor, tag.as_deref(), Content::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else {
                    return Err("unexpected end of a collection".to_owned());
                };
                let value = match open.content {
                    Content::List(elements) => Value::List(elements),
                    Content::Map(members, _) => Value::Map(merged(members)),
                };
                let value = match &open.tag {
                    Some(function) => call(function, value),
                    None => value,
                };
                self.add(value, 1, open.anchor, line)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or("an alias inside of its own anchor")?;
                // Aliases copy whole trees, which may be below one another.
                if depth(&value) + self.stack.len() > self.limits.depth {
                    return Err(format!("more than {} levels", self.limits.depth));
                }
                let values = count(&value);
                self.add(value, values, 0, line)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), String> {
        if self.stack.len() >= self.limits.depth {
            return Err(format!("more than {} levels", self.limits.depth));
        }
        let tag = tag.and_then(function_name);
        self.stack.push(Open {
            anchor,
            tag,
            content,
        });
        Ok(())
    }

    /// Adds a value that counts as `values`.
    fn add(
        &mut self,
        value: Value,
        values: usize,
        anchor: usize,
        line: usize,
    ) -> Result<(), String> {
        self.values += values;
        if self.values > self.limits.values {
            return Err(format!("more than {} values", self.limits.values));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(value),
            Some(Content::List(elements)) => elements.push(value),
            Some(Content::Map(members, key)) => {
                if let Some((key, line)) = key.take() {
                    members.push(Member { key, line, value });
                } else {
                    let text = value.to_text();
                    *key = Some((text.ok_or("expected a scalar as a key")?, line));
                }
            }
        }
        Ok(())
    }
}

/// The long name of a function that is written as a tag: `!Sub` is `Fn::Sub`.
fn function_name(tag: &Tag) -> Option<String> {
    if tag.handle != "!" || tag.suffix.is_empty() {
        return None;
    }
    Some(match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    })
}

fn call(function: &str, argument: Value) -> Value {
    let argument = match (function, argument) {
        ("Fn::GetAtt", Value::Text(text)) => match text.split_once('.') {
            Some((resource, attribute)) => {
                Value::List(vec![Value::from(resource), Value::from(attribute)])
            }
            None => Value::Text(text),
        },
        (_, argument) => argument,
    };
    Value::map([(function.to_owned(), argument)])
}

/// A scalar of the core schema. `yes` and `on` are texts, as in YAML 1.2.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let forced_text = tag.is_some_and(|tag| {
        tag.suffix == "str" || (tag.handle.is_empty() && tag.suffix == "!") || tag.handle == "!"
    });
    if style != ScalarStyle::Plain || forced_text {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => {
            let number = text.strip_prefix('+').unwrap_or(text);
            match reflexarc_event::Json::parse(number) {
                Ok(reflexarc_event::Json::Number(digits)) => Value::Number(digits.into()),
                _ => Value::from(text),
            }
        }
    }
}

/// Members with those of merge keys (`<<`), which do not replace others.
fn merged(members: Vec<Member>) -> Vec<Member> {
    if members.iter().all(|member| member.key != "<<") {
        return members;
    }
    let (merges, mut merged): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|member| member.key == "<<");
    for merge in merges {
        let sources = match merge.value {
            Value::List(sources) => sources,
            source => vec![source],
        };
        for source in sources {
            for member in source.members() {
                if merged.iter().all(|other| other.key != member.key) {
                    merged.push(member.clone());
                }
            }
        }
    }
    merged
}

fn count(value: &Value) -> usize {
    match value {
        Value::List(elements) => 1 + elements.iter().map(count).sum::<usize>(),
        Value::Map(members) => 1 + members.iter().map(|one| count(&one.value)).sum::<usize>(),
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Map(members) => {
            1 + members
                .iter()
                .map(|one| depth(&one.value))
                .max()
                .unwrap_or_default()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let documents = read(text, &IacLimits::DEFAULT).unwrap();
        documents[0].to_json().unwrap().to_string()
    }

    #[test]
    fn short_forms_are_functions() {
        let text = "a: !Sub '${A}-b'\nb: !GetAtt A.B.C\nc: !Ref A\nd: !Join ['-', [x, !Ref B]]\n\
                    e: !If\n  - C\n  - {x: 1}\n  - !Ref AWS::NoValue\n";
        assert_eq!(
            json(text),
            r#"{"a":{"Fn::Sub":"${A}-b"},"b":{"Fn::GetAtt":["A","B.C"]},"c":{"Ref":"A"},"#
                .to_owned()
                + r#""d":{"Fn::Join":["-",["x",{"Ref":"B"}]]},"#
                + r#""e":{"Fn::If":["C",{"x":1},{"Ref":"AWS::NoValue"}]}}"#
        );
    }

    #[test]
    fn scalars_have_the_types_of_yaml() {
        let text =
            "[1, 1.50, +5, 012, 1_000, '1', true, no, ~, null, 2012-09-09, 'a''b', .inf, '']";
        let expected =
            r#"[1,1.50,5,"012","1_000","1",true,"no",null,null,"2012-09-09","a'b",".inf",""]"#;
        assert_eq!(json(text), expected);
        assert_eq!(json("a: !!str 5\nb:"), r#"{"a":"5","b":null}"#);
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let text = "base: &base {a: 1, b: 2}\nx: *base\ny:\n  <<: *base\n  b: 3\n";
        let expected = r#"{"base":{"a":1,"b":2},"x":{"a":1,"b":2},"y":{"b":3,"a":1}}"#;
        assert_eq!(json(text), expected);
    }

    #[test]
    fn members_have_lines() {
        let documents = read("a: 1\nb:\n  # c\n  c: 2\n---\nd: 3\n", &IacLimits::DEFAULT).unwrap();
        assert_eq!(documents.len(), 2);
        let inner = documents[0].get("b").unwrap();
        assert_eq!(inner.member("c").unwrap().line, 4);
    }

    #[test]
    fn documents_are_limited() {
        let limits = IacLimits::DEFAULT;
        let error = |text: &str| read(text, &limits).unwrap_err();
        assert!(error(&"[".repeat(limits.depth + 1)).contains("more than 64 levels"));
        let mut nested = String::new();
        for level in 0..=limits.depth {
            nested += &format!("{}a:\n", " ".repeat(level));
        }
        assert!(error(&nested).contains("more than 64 levels"), "{nested}");
        // Each line is ten times the line before.
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let uses = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{uses}]\n");
        }
        assert!(error(&bomb).contains("more than 1000000 values"));
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for n in 1..100 {
            deep += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
        }
        assert!(error(&deep).contains("more than 64 levels"));
        assert!(read("a: [1", &limits).is_err());
        assert!(error("? [a]\n: b").contains("expected a scalar as a key"));
    }
}
