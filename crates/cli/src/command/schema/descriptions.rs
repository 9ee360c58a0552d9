//! What keys mean, from the texts that explain them to readers: the tables of the reference of rule
//! files, and the comments of the template of the configuration.

use std::collections::BTreeMap;

use reflexarc_diagnostic::toml::ANY_NAME;

/// Descriptions of keys by their paths, such as `http.listen` or `targets.email.host`.
pub(super) struct Descriptions(BTreeMap<String, String>);

/// The tables of the reference of rule files by their header, with the tables of a rule that have
/// the keys.
const REFERENCE_TABLES: [(&str, &[&str]); 4] = [
    ("| key | value |", &[""]),
    ("| key | reacts |", &[""]),
    ("| key of a lookup | value |", &["lookup.*."]),
    (
        "| key of a test or step | value |",
        &["test.", "test.step."],
    ),
];

/// Where the keys of a step are, whose row says `of a step`.
const STEPS: [&str; 2] = ["followed_by.", "not_followed_by."];

impl Descriptions {
    /// Those of rule files, from the rows of tables: `` | `when` | The filter. | ``.
    pub(super) fn of_rules(reference: &str) -> Self {
        let mut found = BTreeMap::new();
        let mut tables: &[&str] = &[];
        for line in reference.lines() {
            if let Some((_, named)) = REFERENCE_TABLES.iter().find(|(header, _)| *header == line) {
                tables = named;
            }
            let row = line
                .strip_prefix("| ")
                .and_then(|row| row.strip_suffix(" |"));
            let Some((keys, text)) = row.and_then(|row| row.split_once(" | ")) else {
                // Another table may follow, which is not about keys.
                if !line.starts_with('|') {
                    tables = &[];
                }
                continue;
            };
            let places = if keys.ends_with("of a step") && tables == [""] {
                &STEPS
            } else {
                tables
            };
            let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
            for key in &keys {
                // `count = { … }`, `[[test]]`
                let name = key.split_once(" = ").map_or(*key, |(name, _)| name);
                let name = name.trim_matches(['[', ']']);
                for place in places {
                    let text = if *key == name || name == "test" {
                        text.to_owned()
                    } else {
                        format!("`{key}`: {text}")
                    };
                    let path = format!("{place}{name}");
                    // A row about one key says more than one about several.
                    if keys.len() == 1 {
                        found.insert(path, text);
                    } else {
                        found.entry(path).or_insert(text);
                    }
                }
            }
        }
        Self(found)
    }

    /// Those of the configuration, from lines with a comment, which may be commented out
    /// themselves: `# connections = 1_024   # fewer if …`.
    pub(super) fn of_configuration(template: &str) -> Self {
        let mut found = BTreeMap::new();
        let mut section = String::new();
        for line in template.lines() {
            let line = line.trim_start_matches("# ");
            let (code, comment) = match line.split_once(" # ") {
                Some((code, comment)) => (code.trim(), Some(comment.trim())),
                None => (line.trim(), None),
            };
            if let Some(header) = code
                .strip_prefix('[')
                .and_then(|code| code.strip_suffix(']'))
            {
                section = section_path(header.trim_matches(['[', ']']));
                if let Some(comment) = comment {
                    let name = section.trim_end_matches(&format!(".{ANY_NAME}"));
                    found.entry(name.to_owned()).or_insert(sentence(comment));
                }
                continue;
            }
            let Some((key, value)) = code.split_once(" = ") else {
                continue;
            };
            let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if key.is_empty() || !key.chars().all(is_key) {
                continue;
            }
            // From here on these are the keys of that type.
            let of_type = section.strip_suffix(&format!(".{ANY_NAME}"));
            if let (Some(outer), "type") = (of_type, key) {
                section = format!("{outer}.{ANY_NAME}.{}", value.trim_matches('"'));
                continue;
            }
            if let Some(comment) = comment {
                let path = if section.is_empty() {
                    key.to_owned()
                } else {
                    format!("{section}.{key}")
                };
                found.entry(path).or_insert(sentence(comment));
            }
        }
        Self(found)
    }

    /// The description of the key at a path.
    pub(super) fn of(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// The path of a section: names that the author chooses are any name.
fn section_path(header: &str) -> String {
    let named = ["targets.", "sources.", "budgets.rules."];
    match named.iter().find(|outer| header.starts_with(**outer)) {
        Some(outer) => format!("{outer}{ANY_NAME}"),
        None => header.to_owned(),
    }
}

/// A comment as a sentence.
fn sentence(comment: &str) -> String {
    let mut characters = comment.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(characters).collect();
    if text.ends_with(['.', ')']) {
        text
    } else {
        format!("{text}.")
    }
}
