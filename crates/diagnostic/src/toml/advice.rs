//! What the readers of a kind of file know about mistakes of its authors: the names that other
//! tools have for its keys and values, and how the value of a key is written.

/// Known mistakes in one kind of file.
#[derive(Debug)]
pub struct Advice {
    /// The names that other tools have for keys.
    pub keys: &'static [ForeignKey],
    /// Words that other tools have for a value: the key, their word, ours.
    pub words: &'static [(&'static str, &'static [&'static str], &'static str)],
    /// How to write a value that was written with another type.
    pub values: &'static [WrongValue],
    /// The keys of the top-level table, which are often written below a header.
    pub top_level: &'static [&'static str],
}

/// The names that other tools have for a key.
#[derive(Debug, Clone, Copy)]
pub struct ForeignKey {
    /// The path of the table, where `*` is any one key: `targets.*`.
    pub table: &'static str,
    /// In lower case, without `-` and `_`.
    pub names: &'static [&'static str],
    /// What they mean here.
    pub meant: Meant,
}

impl ForeignKey {
    /// Names of a key of `table`.
    pub const fn new(table: &'static str, names: &'static [&'static str], meant: Meant) -> Self {
        Self {
            table,
            names,
            meant,
        }
    }
}

/// What a foreign key means.
#[derive(Debug, Clone, Copy)]
pub enum Meant {
    /// The same as this key.
    Key(&'static str),
    /// It is written otherwise, as this help says.
    Help(&'static str),
    /// The same, with this key: that it is missing needs not be said too.
    Instead(&'static str, &'static str),
}

/// How to write a value that was written with another type.
#[derive(Debug, Clone, Copy)]
pub struct WrongValue {
    /// The path of the table, where `*` is any one key.
    pub table: &'static str,
    /// The key; `*` is any.
    pub key: &'static str,
    /// What was found.
    pub found: ValueKind,
    /// What to write.
    pub help: &'static str,
    /// The right value, with `{}` where the one that was written stands.
    pub fix: Option<&'static str>,
}

impl WrongValue {
    /// A value of a key of `table`, without a fix.
    pub const fn new(
        table: &'static str,
        key: &'static str,
        found: ValueKind,
        help: &'static str,
    ) -> Self {
        Self {
            table,
            key,
            found,
            help,
            fix: None,
        }
    }

    /// The same, with the right value.
    #[must_use]
    pub const fn with_fix(self, fix: &'static str) -> Self {
        Self {
            fix: Some(fix),
            ..self
        }
    }
}

/// A type of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// A string.
    String,
    /// An integer or a float.
    Number,
    /// A boolean.
    Boolean,
    /// An array.
    Array,
    /// A table.
    Table,
}

impl Advice {
    /// No advice.
    pub const NONE: Self = Self {
        keys: &[],
        words: &[],
        values: &[],
        top_level: &[],
    };

    /// What a key of a table means that is none of `known`.
    pub(super) fn meant(&self, table: &str, key: &str, known: &[&str]) -> Option<Meant> {
        let key: String = key
            .chars()
            .filter(|c| !matches!(c, '-' | '_'))
            .flat_map(char::to_lowercase)
            .collect();
        let mut keys = self.keys.iter().filter(|foreign| {
            foreign.names.contains(&key.as_str()) && is_table(foreign.table, table)
        });
        // Which keys a table has may depend on the value of another one.
        let is_known = |foreign: &&ForeignKey| match foreign.meant {
            Meant::Key(own) => known.contains(&own),
            Meant::Help(_) | Meant::Instead(..) => true,
        };
        keys.find(is_known).map(|foreign| foreign.meant)
    }

    /// The word that is meant by another tool's word for a value of the key.
    pub(super) fn word(&self, key: &str, word: &str) -> Option<&'static str> {
        let word = word.to_lowercase();
        let mut words = self.words.iter();
        words
            .find(|(of, foreign, _)| *of == key && foreign.contains(&word.as_str()))
            .map(|(.., own)| *own)
    }

    /// How to write the value of a key.
    pub(super) fn value(&self, table: &str, key: &str, found: ValueKind) -> Option<&WrongValue> {
        self.values.iter().find(|value| {
            value.found == found
                && (value.key == key || value.key == "*")
                && is_table(value.table, table)
        })
    }
}

/// Whether a path is one of those that a pattern means.
fn is_table(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('.'), path.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml::{Document, FaultCodes};

    const ADVICE: Advice = Advice {
        keys: &[
            ForeignKey {
                table: "",
                names: &["filter", "eventpattern"],
                meant: Meant::Key("when"),
            },
            ForeignKey {
                table: "targets.*",
                names: &["method"],
                meant: Meant::Help("it is always POST"),
            },
        ],
        words: &[("level", &["warning"], "warn")],
        values: &[WrongValue {
            table: "",
            key: "throttle",
            found: ValueKind::String,
            help: "write a table",
            fix: Some("{ every = {} }"),
        }],
        top_level: &["when"],
    };

    fn read(text: &str) -> Vec<crate::Diagnostic> {
        let document = Document::parse(text, "the file", FaultCodes::RULE).with_advice(&ADVICE);
        let root = document.root();
        if root.string("when").is_none() {
            root.missing("when", "add it");
        }
        root.choice("level", &[("info", 0), ("warn", 1)]);
        let _ = root.table("throttle");
        for (_, target) in root.named_tables("targets") {
            target.finish();
        }
        root.finish();
        document.into_diagnostics()
    }

    #[test]
    fn a_foreign_key_is_one_mistake_with_a_fix() {
        for name in ["filter", "event_pattern", "EventPattern"] {
            let found = read(&format!("{name} = 'a == 1'"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].help.as_deref(), Some("`when` is the key for it"));
            let fix = found[0].fix.as_ref().expect("a fix");
            assert_eq!(
                (fix.span.clone(), fix.replacement.as_str()),
                (0..name.len(), "when")
            );
        }
        // Not where the key is there already.
        let found = read("filter = 'a == 1'\nwhen = 'a == 1'");
        assert_eq!(found[0].fix, None);
    }

    #[test]
    fn foreign_words_and_values_have_fixes() {
        let found = read("when = 'a'\nlevel = 'warning'\nthrottle = '10m'");
        let fixes = found.iter().map(|found| found.fix.as_ref().expect("a fix"));
        let fixes: Vec<_> = fixes.map(|fix| fix.replacement.as_str()).collect();
        assert_eq!(fixes, ["\"warn\"", "{ every = '10m' }"]);
    }

    #[test]
    fn keys_of_the_top_are_recognised_below_a_header() {
        let found = read("[targets]\nwhen = 'a'\nx = { method = 'GET' }");
        let message = "`when` is a key of the file, and is inside `targets` here";
        assert!(
            found.iter().any(|found| found.message == message),
            "{found:?}"
        );
        let help = Some("it is always POST");
        assert!(
            found.iter().any(|found| found.help.as_deref() == help),
            "{found:?}"
        );
    }
}
