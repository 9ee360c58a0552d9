//! Scripts that only send documents, as imports of EventBridge rules have them:
//!
//! ```text
//! send("robot", #{ "msgtype": "text", "text": #{ "content": (event.content?.eniId ?? "") } });
//! ```

use super::message::{Transformation, json_path};

/// A document that a script sends to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentDocument {
    pub(super) target: String,
    pub(super) body: SentBody,
}

/// What a target gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SentBody {
    /// The whole event.
    Event,
    /// A field, by its `JSONPath` in a CloudEvent.
    Field(String),
    /// A document of JSON.
    Document(Transformation),
}

/// The documents of a script that does nothing but send them; `None` for any other script.
pub(super) fn read(script: &str) -> Option<Vec<SentDocument>> {
    let mut reader = Reader { rest: script };
    let mut documents = Vec::new();
    while !reader.is_at_end() {
        reader.take("send")?;
        reader.take("(")?;
        let target = reader.text()?;
        reader.take(",")?;
        let body = reader.body()?;
        reader.take(")")?;
        // The last statement may have no semicolon.
        if reader.take(";").is_none() && !reader.is_at_end() {
            return None;
        }
        documents.push(SentDocument { target, body });
    }
    (!documents.is_empty()).then_some(documents)
}

struct Reader<'s> {
    rest: &'s str,
}

impl Reader<'_> {
    fn is_at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn is_next(&self, token: &str) -> bool {
        self.rest.trim_start().starts_with(token)
    }

    /// A text in double quotes.
    fn text(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let mut letters = self.rest.char_indices();
        letters.next().filter(|(_, quote)| *quote == '"')?;
        let mut is_escaped = false;
        let end = letters.find(|(_, c)| {
            let ends = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            ends
        })?;
        let (text, rest) = self.rest.split_at(end.0 + 1);
        self.rest = rest;
        // The escapes that imports write are those of JSON.
        serde_json::from_str(text).ok()
    }

    fn body(&mut self) -> Option<SentBody> {
        if self.is_next("event") {
            self.take("event")?;
            let end = self.rest.find(')')?;
            let (path, rest) = self.rest.split_at(end);
            self.rest = rest;
            return match path.trim() {
                "" => Some(SentBody::Event),
                path => {
                    let path = path.strip_prefix('.')?.replace("?.", ".");
                    json_path(&path).ok().map(SentBody::Field)
                }
            };
        }
        let mut body = Transformation::default();
        self.value(&mut body)?;
        Some(SentBody::Document(body))
    }

    /// A value as JSON.
    fn value(&mut self, body: &mut Transformation) -> Option<()> {
        if self.is_next("#{") {
            self.take("#{")?;
            body.push_text("{");
            self.list("}", body, |reader, body| {
                let key = reader.text()?;
                body.push_text(&serde_json::Value::from(key).to_string());
                reader.take(":")?;
                body.push_text(":");
                reader.value(body)
            })
        } else if self.is_next("[") {
            self.take("[")?;
            body.push_text("[");
            self.list("]", body, Self::value)
        } else if self.is_next("\"") || self.is_next("(event.") {
            self.joined_text(body)
        } else if self.take("()").is_some() {
            body.push_text("null");
            Some(())
        } else {
            self.literal(body)
        }
    }

    fn list(
        &mut self,
        end: &str,
        body: &mut Transformation,
        element: fn(&mut Self, &mut Transformation) -> Option<()>,
    ) -> Option<()> {
        while !self.is_next(end) {
            element(self, body)?;
            if self.take(",").is_none() {
                break;
            }
            if !self.is_next(end) {
                body.push_text(",");
            }
        }
        self.take(end)?;
        body.push_text(end);
        Some(())
    }

    /// Texts and fields, joined by `+`: one string of JSON.
    fn joined_text(&mut self, body: &mut Transformation) -> Option<()> {
        body.push_text("\"");
        loop {
            if self.is_next("\"") {
                let quoted = serde_json::Value::from(self.text()?).to_string();
                body.push_text(&quoted[1..quoted.len() - 1]);
            } else {
                // As imports write a field: a missing one is an empty text.
                self.take("(event.")?;
                let end = self.rest.find(" ?? \"\")")?;
                let path = self.rest[..end].replace("?.", ".");
                self.rest = &self.rest[end..];
                self.take("?? \"\")")?;
                body.push_field(&path).ok()?;
            }
            if self.take("+").is_none() {
                body.push_text("\"");
                return Some(());
            }
        }
    }

    /// `true`, `false` or an integer.
    fn literal(&mut self, body: &mut Transformation) -> Option<()> {
        let text = self.rest.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if !matches!(word, "true" | "false") && word.parse::<i64>().is_err() {
            return None;
        }
        body.push_text(word);
        self.rest = rest;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_send_documents_are_read() {
        let script = r#"
            send("a-robot", #{ "msgtype": "text", "text": #{ "content":
                (event.content?.eniId ?? "") + " \"failed\" in " + (event.regionId ?? "") },
                "at": #{ "isAtAll": false, "atMobiles": [] }, "n": [1, ()] });
            send("other", #{ "a": "b" });
            send("third", event);
            send("fourth", event.content?.eniId)
        "#;
        let documents = read(script).unwrap();
        assert_eq!(documents[0].target, "a-robot");
        let parameter = |index: usize| match &documents[index].body {
            SentBody::Document(body) => body.parameter("Body"),
            other => panic!("{other:?}"),
        };
        let second = parameter(1);
        let parameter = parameter(0);
        assert_eq!(
            parameter["Template"],
            concat!(
                r#"{"msgtype":"text","text":{"content":"${eniId} \"failed\" in ${regionId}"},"#,
                r#""at":{"isAtAll":false,"atMobiles":[]},"n":[1,null]}"#
            )
        );
        assert_eq!(second["Value"], r#"{"a":"b"}"#);
        assert_eq!(documents[2].body, SentBody::Event);
        assert_eq!(
            documents[3].body,
            SentBody::Field("$.data.eniId".to_owned())
        );
    }

    #[test]
    fn other_scripts_are_not() {
        for script in [
            "",
            "notify(\"a\", \"b\")",
            "let x = 1; send(\"a\", #{})",
            "send(\"a\", event + 1)",
            "send(\"a\", events)",
            "send(\"a\", event.level)",
            "send(\"a\", event.content.f())",
            "send(\"a\", #{ \"b\": f(1) })",
            "send(\"a\", #{ \"b\": (event.level ?? \"\") })",
            "send(\"a\", #{ \"b\": \"open })",
            "if event.id == 1 { send(\"a\", #{}) }",
        ] {
            assert_eq!(read(script), None, "{script}");
        }
    }
}
