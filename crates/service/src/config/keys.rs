//! One table of the configuration: what every TOML table has, and secrets, files and paths besides.

use std::cell::RefCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::{DeTable, DeValue, TableReader};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// Looks up an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What all tables of one configuration share.
pub(super) struct ConfigContext<'a> {
    /// The folder that relative paths start from.
    pub(super) folder: &'a Path,
    /// Looks up environment variables; `None` when secrets are not looked up.
    pub(super) environment: Option<Environment<'a>>,
    /// Whether targets are made.
    pub(super) with_targets: bool,
    /// Every secret that was found, for the redactor.
    pub(super) secrets: RefCell<Vec<String>>,
    /// Every file that was read.
    pub(super) files: RefCell<Vec<PathBuf>>,
    /// The contents of files and variables that were read since the last [`ConfigTable::digest`].
    contents: RefCell<Vec<u8>>,
}

impl<'a> ConfigContext<'a> {
    pub(super) fn new(
        folder: &'a Path,
        environment: Option<Environment<'a>>,
        with_targets: bool,
    ) -> Self {
        Self {
            folder,
            environment,
            with_targets,
            secrets: RefCell::default(),
            files: RefCell::default(),
            contents: RefCell::default(),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.files.borrow_mut().push(path.to_owned());
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    fn record_content(&self, content: &[u8]) {
        // With its length before it, so that `ab` and `c` differ from `a` and `bc`.
        let mut all = self.contents.borrow_mut();
        all.extend_from_slice(&(content.len() as u64).to_be_bytes());
        all.extend_from_slice(content);
    }
}

/// A [`TableReader`] that also reads secrets and files.
pub(super) struct ConfigTable<'a> {
    pub(super) context: &'a ConfigContext<'a>,
    reader: TableReader<'a>,
}

impl<'a> Deref for ConfigTable<'a> {
    type Target = TableReader<'a>;

    fn deref(&self) -> &TableReader<'a> {
        &self.reader
    }
}

impl<'a> ConfigTable<'a> {
    pub(super) fn new(context: &'a ConfigContext<'a>, reader: TableReader<'a>) -> Self {
        Self { context, reader }
    }

    /// Reports unknown keys.
    pub(super) fn finish(self) {
        self.reader.finish();
    }

    /// A table inside this one.
    pub(super) fn table(&self, key: &str) -> Option<Self> {
        let reader = self.reader.table(key)?;
        Some(Self::new(self.context, reader))
    }

    /// The tables of an array.
    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let readers = self.reader.tables(key).into_iter();
        readers
            .map(|reader| Self::new(self.context, reader))
            .collect()
    }

    /// The tables of a table whose keys are names.
    pub(super) fn named_tables(&self, key: &str) -> Vec<(String, Self)> {
        let readers = self.reader.named_tables(key).into_iter();
        readers
            .map(|(name, reader)| (name, Self::new(self.context, reader)))
            .collect()
    }

    /// Reads the table and answers with a digest of its values and of the files and variables that
    /// `read` found: equal digests mean that a reload may keep what was made of it.
    pub(super) fn digest<T>(self, read: impl FnOnce(Self) -> T) -> ([u8; 32], T) {
        let context = self.context;
        let mut values = String::new();
        canonicalize_table(self.raw(), &mut values);
        context.contents.take();
        let made = read(self);
        context.record_content(values.as_bytes());
        (Sha256::digest(context.contents.take()).into(), made)
    }

    /// A path; a relative one starts from the configuration's folder.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.context.folder.join(self.string(key)?))
    }

    /// The content of the file at a path.
    pub(super) fn file(&self, key: &str) -> Option<Vec<u8>> {
        match self.context.read_file(&self.path(key)?) {
            Ok(bytes) => {
                self.context.record_content(&bytes);
                Some(bytes)
            }
            Err(message) => {
                let help = "paths start from the configuration's folder";
                self.fault(key, Code::CONFIG_FILE, message, help);
                None
            }
        }
    }

    /// A secret, by reference: `{ env = "NAME" }` or `{ file = "path" }`. Empty where secrets are
    /// not looked up.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        const HELP: &str =
            "write { env = \"NAME\" } for an environment variable, or { file = \"path\" }";
        if !matches!(self.lookup(key)?.get_ref(), DeValue::Table(_)) {
            let message = format!("the secret `{key}` must not be written in the configuration");
            self.fault(key, Code::CONFIG_SECRET, message, HELP);
            return None;
        }
        let reference = self.table(key)?;
        let (variable, path) = (reference.string("env"), reference.path("file"));
        reference.finish();
        let found = match (variable, path) {
            (Some(_), None) | (None, Some(_)) if self.context.environment.is_none() => {
                return Some(SecretString::from(String::new()));
            }
            (Some(variable), None) => self
                .context
                .environment
                .and_then(|environment| environment(&variable))
                .ok_or(format!("the environment variable {variable} is not set")),
            (None, Some(path)) => self.secret_file(&path),
            _ => Err(format!("the secret `{key}` needs either `env` or `file`")),
        };
        let found = match found {
            Ok(secret) if secret.is_empty() => Err(format!("the secret `{key}` is empty")),
            found => found,
        };
        match found {
            Ok(secret) => {
                self.context.record_content(secret.as_bytes());
                self.context.secrets.borrow_mut().push(secret.clone());
                Some(secret.into())
            }
            Err(message) => {
                self.fault(key, Code::CONFIG_SECRET, message, HELP);
                None
            }
        }
    }

    /// Every member of a table of strings or secrets.
    pub(super) fn map(&self, key: &str) -> Vec<(String, SecretString)> {
        let Some(table) = self.table(key) else {
            return Vec::new();
        };
        let members = table.raw().iter().filter_map(|(name, value)| {
            let name = name.get_ref().to_string();
            let value = match value.get_ref() {
                DeValue::String(text) => Some(SecretString::from(text.to_string())),
                _ => table.secret(&name),
            };
            value.map(|value| (name, value))
        });
        members.collect()
    }

    fn secret_file(&self, path: &Path) -> Result<String, String> {
        let bytes = self.context.read_file(path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("cannot read {}: not UTF-8", path.display()))?;
        // Editors and `echo` end a file with a newline that is not part of the secret.
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Writes the members of a table so that two tables with the same values are written alike,
/// whatever their order, spacing and comments.
fn canonicalize_table(table: &DeTable<'_>, text: &mut String) {
    for (key, value) in table {
        canonicalize(key.get_ref(), value.get_ref(), text);
    }
}

fn canonicalize(key: &str, value: &DeValue<'_>, text: &mut String) {
    text.push_str(&format!("{key:?}="));
    match value {
        DeValue::String(string) => text.push_str(&format!("{string:?}")),
        DeValue::Integer(digits) => text.push_str(digits.as_str()),
        DeValue::Float(digits) => text.push_str(digits.as_str()),
        DeValue::Boolean(value) => text.push_str(&value.to_string()),
        DeValue::Datetime(date) => text.push_str(&date.to_string()),
        DeValue::Array(elements) => elements
            .iter()
            .for_each(|element| canonicalize("", element.get_ref(), text)),
        DeValue::Table(table) => canonicalize_table(table, text),
    }
    text.push(';');
}
