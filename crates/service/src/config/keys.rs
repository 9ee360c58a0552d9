//! Reading the configuration key by key: every wrong key, type and value becomes a diagnostic with its place.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_reaction::parse_duration;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Looks up a variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What all tables of one configuration share.
pub(super) struct Reading<'a> {
    /// The folder that relative paths start from.
    pub(super) folder: &'a Path,
    /// Looks up environment variables; `None` when secrets are not looked up.
    pub(super) environment: Option<Environment<'a>>,
    /// Whether targets are made.
    pub(super) with_targets: bool,
    pub(super) faults: RefCell<Vec<Diagnostic>>,
    /// Every secret that was found, for the redactor.
    pub(super) secrets: RefCell<Vec<String>>,
    /// Every file that was read.
    pub(super) files: RefCell<Vec<PathBuf>>,
    /// What was found in files and variables since this was emptied.
    found: RefCell<Vec<u8>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        folder: &'a Path,
        environment: Option<Environment<'a>>,
        with_targets: bool,
    ) -> Self {
        Self {
            folder,
            environment,
            with_targets,
            faults: RefCell::default(),
            secrets: RefCell::default(),
            files: RefCell::default(),
            found: RefCell::default(),
        }
    }

    fn text_of(&self, path: &Path) -> std::io::Result<String> {
        self.files.borrow_mut().push(path.to_owned());
        std::fs::read_to_string(path)
    }

    fn note(&self, found: &[u8]) {
        let mut all = self.found.borrow_mut();
        all.extend_from_slice(&(found.len() as u64).to_be_bytes());
        all.extend_from_slice(found);
    }
}

/// A table. Keys that nobody asked for are faults when it is [`Keys::finish`]ed.
pub(super) struct Keys<'a> {
    pub(super) reading: &'a Reading<'a>,
    table: &'a DeTable<'a>,
    place: Span,
    name: String,
    known: RefCell<Vec<String>>,
}

impl<'a> Keys<'a> {
    /// `name` is what the table is, as messages say it: "`[http]`".
    pub(super) fn new(
        reading: &'a Reading<'a>,
        table: &'a DeTable<'a>,
        place: Span,
        name: String,
    ) -> Self {
        Self {
            reading,
            table,
            place,
            name,
            known: RefCell::default(),
        }
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.known.into_inner();
        let known: Vec<&str> = asked.iter().map(String::as_str).collect();
        for key in self
            .table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            let message = format!("{} has no key `{}`", self.name, key.get_ref());
            let fault = Diagnostic::error(Code::CONFIG_KEY, key.span(), message);
            let fault = match nearest(key.get_ref(), known.iter().copied()) {
                Some(name) => fault
                    .with_help(format!("did you mean `{name}`?"))
                    .with_fix(key.span(), name),
                None => fault.with_help(format!("its keys: {}", known.join(", "))),
            };
            self.reading.faults.borrow_mut().push(fault);
        }
    }

    /// Reports a fault in the value of a key, or in the table where the key is missing.
    pub(super) fn fault(
        &self,
        key: &str,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = self
            .table
            .get(key)
            .map_or(self.place.clone(), Spanned::span);
        self.reading
            .faults
            .borrow_mut()
            .push(Diagnostic::error(code, place, message).with_help(help));
    }

    /// A digest of what stands in this table and of what `read` finds in files and variables.
    pub(super) fn digest<T>(self, read: impl FnOnce(Self) -> T) -> ([u8; 32], T) {
        let reading = self.reading;
        let mut words = String::new();
        for (key, value) in self.table {
            spell(key.get_ref(), value.get_ref(), &mut words);
        }
        reading.found.take();
        let made = read(self);
        reading.note(words.as_bytes());
        (Sha256::digest(reading.found.take()).into(), made)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, key: &str, help: &str) {
        self.fault(
            "",
            Code::CONFIG_MISSING,
            format!("{} needs the key `{key}`", self.name),
            help,
        );
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.ask(key)? {
            DeValue::String(text) => Some(text.to_string()),
            other => self.wrong(key, other, "a string"),
        }
    }

    pub(super) fn required(&self, key: &str, help: &str) -> Option<String> {
        if !self.has(key) {
            self.known.borrow_mut().push(key.to_owned());
            self.missing(key, help);
        }
        self.text(key)
    }

    /// A string or an array of strings, never empty.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let value = self.ask(key)?;
        let one = |value: &DeValue<'_>| match value {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        };
        let texts: Option<Vec<String>> = match value {
            DeValue::Array(elements) => elements
                .iter()
                .map(|element| one(element.get_ref()))
                .collect(),
            value => one(value).map(|text| vec![text]),
        };
        match texts {
            Some(texts) if !texts.is_empty() => Some(texts),
            Some(_) => {
                self.fault(
                    key,
                    Code::CONFIG_VALUE,
                    format!("`{key}` is empty"),
                    "list at least one, or leave the key out",
                );
                None
            }
            None => self.wrong(key, value, "a string or an array of strings"),
        }
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        match self.ask(key)? {
            DeValue::Boolean(value) => Some(*value),
            other => self.wrong(key, other, "true or false"),
        }
    }

    /// A whole number within these bounds.
    pub(super) fn number(&self, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.ask(key)?;
        let DeValue::Integer(digits) = value else {
            return self.wrong(key, value, "a whole number");
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let help = format!("write a number from {least} to {most}");
                self.fault(
                    key,
                    Code::CONFIG_VALUE,
                    format!("`{key}` is out of its bounds"),
                    help,
                );
                None
            }
        }
    }

    /// As [`Keys::number`], for what is counted in memory.
    pub(super) fn count(&self, key: &str, least: u64, most: u32) -> Option<usize> {
        self.number(key, least, most.into())
            .and_then(|number| usize::try_from(number).ok())
    }

    /// A positive length of time such as `"30s"`.
    pub(super) fn duration(&self, key: &str) -> Option<SignedDuration> {
        let text = self.text(key)?;
        self.parsed_duration(key, &text)
    }

    pub(super) fn parsed_duration(&self, key: &str, text: &str) -> Option<SignedDuration> {
        let duration = parse_duration(text);
        duration
            .map_err(|message| {
                self.fault(
                    key,
                    Code::CONFIG_VALUE,
                    message,
                    "such as \"30s\", \"5m\" or \"24h\"",
                )
            })
            .ok()
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let help = match nearest(&text, words.iter().copied()) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => format!("choose one of: {}", words.join(", ")),
            };
            self.fault(
                key,
                Code::CONFIG_VALUE,
                format!("`{key}` cannot be \"{text}\""),
                help,
            );
        }
        found
    }

    /// An instant: a TOML date with time and offset.
    pub(super) fn instant(&self, key: &str) -> Option<Timestamp> {
        let value = self.ask(key)?;
        let instant = match value {
            DeValue::Datetime(date) => date.to_string().parse().ok(),
            _ => None,
        };
        instant.or_else(|| {
            self.wrong(
                key,
                value,
                "a date with time and offset, such as 2027-01-01T00:00:00Z",
            )
        })
    }

    /// A path, relative ones from the configuration's folder.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.reading.folder.join(self.text(key)?))
    }

    /// What is in the file of that path.
    pub(super) fn file(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        self.reading.files.borrow_mut().push(path.clone());
        match std::fs::read(&path) {
            Ok(bytes) => {
                self.reading.note(&bytes);
                Some(bytes)
            }
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                self.fault(
                    key,
                    Code::CONFIG_FILE,
                    message,
                    "paths start from the configuration's folder",
                );
                None
            }
        }
    }

    /// A secret, which never stands in the configuration itself: `{ env = "NAME" }` or `{ file = "path" }`.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        const HELP: &str =
            "write { env = \"NAME\" } for an environment variable, or { file = \"path\" }";
        let value = self.ask(key)?;
        let DeValue::Table(reference) = value else {
            self.fault(
                key,
                Code::CONFIG_SECRET,
                format!("`{key}` is a secret and must not stand here"),
                HELP,
            );
            return None;
        };
        let place = self
            .table
            .get(key)
            .map_or(self.place.clone(), Spanned::span);
        let keys = Keys::new(
            self.reading,
            reference,
            place,
            format!("the secret `{key}`"),
        );
        let (name, path) = (keys.text("env"), keys.path("file"));
        keys.finish();
        let found = match (name, path) {
            (Some(name), None) => match self.reading.environment {
                None => return Some(SecretString::from(String::new())),
                Some(environment) => {
                    environment(&name).ok_or(format!("the environment variable {name} is not set"))
                }
            },
            (None, Some(path)) if self.reading.environment.is_some() => self
                .reading
                .text_of(&path)
                // Editors and `echo` end a file with a newline that is no part of the secret.
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read {}: {error}", path.display())),
            (None, Some(_)) => return Some(SecretString::from(String::new())),
            _ => Err(format!("`{key}` does not say where the secret is")),
        };
        match found {
            Ok(secret) if !secret.is_empty() => {
                self.reading.note(secret.as_bytes());
                self.reading.secrets.borrow_mut().push(secret.clone());
                Some(secret.into())
            }
            Ok(_) => {
                self.fault(
                    key,
                    Code::CONFIG_SECRET,
                    format!("the secret `{key}` is empty"),
                    HELP,
                );
                None
            }
            Err(message) => {
                self.fault(key, Code::CONFIG_SECRET, message, HELP);
                None
            }
        }
    }

    /// A table inside this one.
    pub(super) fn table(&self, key: &str) -> Option<Keys<'a>> {
        let value = self.ask(key)?;
        match value {
            DeValue::Table(table) => Some(Keys::new(
                self.reading,
                table,
                self.table.get(key)?.span(),
                format!("`[{key}]`"),
            )),
            other => self.wrong(key, other, "a table"),
        }
    }

    /// The tables of an array.
    pub(super) fn tables(&self, key: &str) -> Vec<Keys<'a>> {
        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let DeValue::Array(elements) = value else {
            let _: Option<()> = self.wrong(key, value, "an array of tables");
            return Vec::new();
        };
        let tables = elements
            .iter()
            .filter_map(|element| match element.get_ref() {
                DeValue::Table(table) => Some(Keys::new(
                    self.reading,
                    table,
                    element.span(),
                    format!("`[[{key}]]`"),
                )),
                other => self.wrong(key, other, "an array of tables"),
            });
        tables.collect()
    }

    /// Every member of a table whose keys are names.
    pub(super) fn named(&self, key: &str) -> Vec<(String, Keys<'a>)> {
        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value else {
            let _: Option<()> = self.wrong(key, value, "a table of tables");
            return Vec::new();
        };
        let named = table
            .iter()
            .filter_map(|(name, value)| match value.get_ref() {
                DeValue::Table(inner) => {
                    let title = format!("`[{key}.{}]`", name.get_ref());
                    Some((
                        name.get_ref().to_string(),
                        Keys::new(self.reading, inner, name.span(), title),
                    ))
                }
                other => self.wrong(key, other, "a table of tables"),
            });
        named.collect()
    }

    /// Every member of a table of strings or secrets.
    pub(super) fn map(&self, key: &str) -> Vec<(String, SecretString)> {
        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value else {
            let _: Option<()> = self.wrong(key, value, "a table");
            return Vec::new();
        };
        let keys = Keys::new(self.reading, table, self.place.clone(), format!("`{key}`"));
        let read = |name: &str, value: &Spanned<DeValue<'_>>| {
            let value = match value.get_ref() {
                DeValue::String(text) => Some(SecretString::from(text.to_string())),
                _ => keys.secret(name),
            };
            value.map(|value| (name.to_owned(), value))
        };
        table
            .iter()
            .filter_map(|(name, value)| read(name.get_ref(), value))
            .collect()
    }

    fn ask(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.known.borrow_mut().push(key.to_owned());
        self.table.get(key).map(Spanned::get_ref)
    }

    fn wrong<T>(&self, key: &str, found: &DeValue<'_>, wanted: &str) -> Option<T> {
        let message = format!("`{key}` must be {wanted}, but this is {}", kind(found));
        self.fault(key, Code::CONFIG_TYPE, message, format!("write {wanted}"));
        None
    }
}

/// Writes a value so that two are spelled alike when they say the same, wherever they stand.
fn spell(key: &str, value: &DeValue<'_>, words: &mut String) {
    words.push_str(&format!("{key:?}="));
    match value {
        DeValue::String(text) => words.push_str(&format!("{text:?}")),
        DeValue::Integer(digits) => words.push_str(digits.as_str()),
        DeValue::Float(digits) => words.push_str(digits.as_str()),
        DeValue::Boolean(value) => words.push_str(&value.to_string()),
        DeValue::Datetime(date) => words.push_str(&date.to_string()),
        DeValue::Array(elements) => elements
            .iter()
            .for_each(|element| spell("", element.get_ref(), words)),
        DeValue::Table(table) => table
            .iter()
            .for_each(|(key, value)| spell(key.get_ref(), value.get_ref(), words)),
    }
    words.push(';');
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
