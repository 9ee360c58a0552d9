//! A rule on its way into a file.

use std::fmt::Write as _;

/// What the file will say.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The file's stem.
    pub(super) name: String,
    pub(super) description: String,
    /// The filter, as an expression.
    pub(super) when: String,
    /// The names of targets.
    pub(super) notify: Vec<String>,
    /// What the targets are told.
    pub(super) words: Words,
    /// Words of which the content must hold one, or none of which it may hold.
    pub(super) keywords: Option<(Relation, Vec<String>)>,
    /// Seconds of silence after a message, for one event of one resource.
    pub(super) mute: Option<u64>,
    /// A beginning of each target in reflexarc.toml.
    pub(super) targets: Vec<String>,
    /// What did not carry over.
    pub(super) losses: Vec<String>,
}

/// What targets are told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Words {
    /// The facts of the event.
    #[default]
    Default,
    /// A message, as templates; the facts where there is none.
    Message {
        title: Option<String>,
        text: Option<String>,
    },
    /// A document, as an expression of the script language.
    Document(String),
}

/// How keywords count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    AnyOf,
    NoneOf,
}

impl Draft {
    /// The rule file.
    pub(super) fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "description = {}", quoted(&self.description));
        let _ = writeln!(text, "\nwhen = {}", block(&self.when));
        let targets: Vec<String> = self.notify.iter().map(|target| quoted(target)).collect();
        match (&self.words, &self.keywords) {
            (Words::Document(document), _) => {
                let sends: Vec<String> = targets
                    .iter()
                    .map(|target| format!("send({target}, {document});"))
                    .collect();
                let _ = writeln!(text, "\nthen = {}", block(&sends.join("\n")));
            }
            (words, None) => {
                let _ = writeln!(text, "\nnotify = [{}]", targets.join(", "));
                if let Words::Message { title, text: body } = words {
                    let keys = [("title", title), ("text", body)];
                    let keys = keys.into_iter().filter_map(|(key, words)| {
                        Some(format!("{key} = {}", quoted(words.as_ref()?)))
                    });
                    let _ = writeln!(
                        text,
                        "message = {{ {} }}",
                        keys.collect::<Vec<_>>().join(", ")
                    );
                }
            }
            (_, Some((relation, words))) => {
                let _ = writeln!(
                    text,
                    "\nthen = {}",
                    block(&script(*relation, words, &targets))
                );
            }
        }
        if let Some(seconds) = self.mute {
            let _ = writeln!(
                text,
                "throttle = {{ key = [\"name\", \"resourceId\"], every = \"{seconds}s\" }}"
            );
        }
        text
    }
}

/// Keywords may stand anywhere in the content, which no filter can say; a script can.
fn script(relation: Relation, words: &[String], targets: &[String]) -> String {
    let found: Vec<String> = words
        .iter()
        .map(|word| format!("text.contains({})", quoted(word)))
        .collect();
    let condition = match relation {
        Relation::AnyOf => format!("!({})", found.join(" || ")),
        Relation::NoneOf => found.join(" || "),
    };
    let mut script =
        format!("let text = json(event.content);\nif {condition} {{ skip(\"keywords\"); }}\n");
    for target in targets {
        let _ = writeln!(
            script,
            "notify({target}, #{{ title: `${{event.name}} in ${{event.regionId}}`, text: text }});"
        );
    }
    script.trim_end().to_owned()
}

/// The stem of a file from any name.
pub(super) fn stem(name: &str) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    let stem: String = name.trim().chars().map(safe).take(100).collect();
    if stem.is_empty() {
        "unnamed".to_owned()
    } else {
        stem
    }
}

/// A text in double quotes, as TOML, rhai and reflexarc.toml all read it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text of several lines, as it is where TOML allows that.
fn block(text: &str) -> String {
    let plain = !text.contains("'''")
        && text
            .chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\t');
    if plain {
        format!("'''\n{text}\n'''")
    } else {
        quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_a_file_name() {
        assert_eq!(stem("eni/../alerts 1"), "eni----alerts-1");
        assert_eq!(stem("网卡告警"), "网卡告警");
        assert_eq!(stem("  "), "unnamed");
    }

    #[test]
    fn what_toml_cannot_hold_as_it_is_is_escaped() {
        let draft = Draft {
            when: "a == \"'''\"".to_owned(),
            description: "say \"hi\"\\\u{1}".to_owned(),
            ..Draft::default()
        };
        let text = draft.to_toml();
        assert!(
            text.contains(r#"description = "say \"hi\"\\\u0001""#),
            "{text}"
        );
        assert!(text.contains(r#"when = "a == \"'''\"""#), "{text}");
    }
}
