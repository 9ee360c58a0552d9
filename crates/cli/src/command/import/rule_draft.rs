//! A rule before it is written to a file.

use std::fmt::Write as _;

use super::target_draft::TargetDraft;

/// The parts of a rule file, and what could not be imported.
#[derive(Debug, Default)]
pub(super) struct RuleDraft {
    /// The name of the rule: the file name without its extension.
    pub(super) name: String,
    pub(super) description: String,
    /// Where it is from, as a comment.
    pub(super) origin: Option<String>,
    /// Whether the subscription is disabled.
    pub(super) disabled: bool,
    /// The filter.
    pub(super) when: String,
    /// The targets that are imported. Without any, the rule is written as a disabled one.
    pub(super) targets: Vec<TargetDraft>,
    /// What the targets receive.
    pub(super) message: MessageForm,
    /// Keywords that the event's content must, or must not, contain.
    pub(super) keywords: Option<(Relation, Vec<String>)>,
    /// The throttle window in seconds, for each event name and resource.
    pub(super) throttle: Option<u64>,
    /// What the rule does not have of the subscription, as messages.
    pub(super) omissions: Vec<String>,
}

/// What targets receive.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum MessageForm {
    /// The default message with the fields of the event.
    #[default]
    Default,
    /// A message, as templates; a part that is absent is that of the default message.
    Templates {
        title: Option<String>,
        text: Option<String>,
    },
    /// A JSON document, as an expression of a script.
    Document(String),
}

/// How keywords are compared with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Relation {
    /// The content contains one of them.
    AnyOf,
    /// The content contains none of them.
    NoneOf,
}

impl RuleDraft {
    /// Adds the targets and omissions of another draft of the same rule.
    pub(super) fn absorb(&mut self, mut other: Self) {
        self.targets.append(&mut other.targets);
        self.omissions.append(&mut other.omissions);
    }

    /// The text of the rule file.
    pub(super) fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail, here and below.
        if let Some(origin) = &self.origin {
            let _ = writeln!(text, "# {}", one_line(origin));
        }
        let _ = writeln!(text, "description = {}", quoted(&self.description));
        let targets = self.targets.iter().map(|target| quoted(&target.name));
        let targets: Vec<String> = targets.collect();
        if self.disabled || targets.is_empty() {
            let _ = writeln!(text, "enabled = false");
        }
        let _ = writeln!(text, "\nwhen = {}", block(&self.when));
        if targets.is_empty() {
            text.push_str("\n# No target is imported: add a reaction");
            let then = if self.disabled {
                ". The rule was disabled before, too.\n"
            } else {
                ", then remove `enabled = false`.\n"
            };
            text.push_str(then);
            for omission in &self.omissions {
                let _ = writeln!(text, "# {}", one_line(omission));
            }
        }
        match (&self.message, &self.keywords) {
            // The filter is kept nevertheless; `check` reports that the rule has no reaction.
            (_, None) if targets.is_empty() => {}
            (MessageForm::Document(document), _) => {
                let sends: Vec<String> = targets
                    .iter()
                    .map(|target| format!("send({target}, {document});"))
                    .collect();
                let _ = writeln!(text, "\nthen = {}", block(&sends.join("\n")));
            }
            (message, None) => {
                let _ = writeln!(text, "\nnotify = [{}]", targets.join(", "));
                if let MessageForm::Templates { title, text: body } = message {
                    let keys = [("title", title), ("text", body)];
                    let keys = keys.into_iter().filter_map(|(key, template)| {
                        Some(format!("{key} = {}", quoted(template.as_ref()?)))
                    });
                    let _ = writeln!(
                        text,
                        "message = {{ {} }}",
                        keys.collect::<Vec<_>>().join(", ")
                    );
                }
            }
            (_, Some((relation, keywords))) => {
                let _ = writeln!(
                    text,
                    "\nthen = {}",
                    block(&keyword_script(*relation, keywords, &targets))
                );
            }
        }
        if let Some(seconds) = self.throttle {
            let _ = writeln!(
                text,
                "throttle = {{ key = [\"name\", \"resourceId\"], every = \"{seconds}s\" }}"
            );
        }
        text
    }
}

/// A script for keywords. They may be anywhere in the content, in any field; a filter compares
/// fields that it names, so this needs a script.
pub(in crate::command) fn keyword_script(
    relation: Relation,
    keywords: &[String],
    targets: &[String],
) -> String {
    let found: Vec<String> = keywords
        .iter()
        .map(|keyword| format!("text.contains({})", quoted(keyword)))
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
    if targets.is_empty() {
        script += "log(\"keywords found, but there is no target yet\");";
    }
    script.trim_end().to_owned()
}

/// A rule name from any text: other characters than letters, digits, `-` and `_` become `-`. Empty
/// for a text of white space.
pub(super) fn rule_name(text: &str) -> String {
    // Letters of every script stay: file names may have them, and subscriptions often do.
    let safe = |c: char| {
        if c.is_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    text.trim().chars().map(safe).take(100).collect()
}

/// A string in double quotes, with escapes that TOML and rhai read alike.
pub(in crate::command) fn quoted(text: &str) -> String {
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

/// A text in one line, for a comment.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A string of several lines: literal where TOML allows it, else in double quotes.
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
    fn rule_names_are_file_names() {
        assert_eq!(rule_name("eni/../alerts 1"), "eni----alerts-1");
        assert_eq!(rule_name("网卡告警"), "网卡告警");
        assert_eq!(rule_name("  "), "");
    }

    #[test]
    fn strings_are_escaped_where_toml_requires_it() {
        let draft = RuleDraft {
            when: "a == \"'''\"".to_owned(),
            description: "a \"b\"\\\u{1}".to_owned(),
            ..RuleDraft::default()
        };
        let text = draft.to_toml();
        assert!(
            text.contains(r#"description = "a \"b\"\\\u0001""#),
            "{text}"
        );
        assert!(text.contains(r#"when = "a == \"'''\"""#), "{text}");
    }
}
