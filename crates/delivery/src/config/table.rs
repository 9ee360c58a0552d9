//! A table of the configuration: a TOML table with secrets, files and paths.

use std::cell::RefCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::toml::{ANY_NAME, DeTable, DeValue, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_files::read_regular_file;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::target::alibaba::AccessKey;

/// The largest size of a file that a configuration names, in bytes; 1 MiB.
// Secrets, certificates and templates have some kilobytes.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How secrets are looked up.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Secrets<'a> {
    /// In files, and by this function in environment variables.
    Resolve(Environment<'a>),
    /// Only those with which the store is opened, for commands that need nothing else: they run
    /// where the other secrets are not.
    Store(Environment<'a>),
    /// Not at all.
    Skip,
    /// Every secret is empty, for rehearsals, which send nothing: they need targets to schedule and
    /// render with.
    Blank,
}

/// What all tables of one configuration share.
pub struct ConfigContext<'a> {
    folder: &'a Path,
    mode: Secrets<'a>,
    secrets: RefCell<Vec<String>>,
    files: RefCell<Vec<PathBuf>>,
    /// The contents of files and variables that were read since the last [`ConfigTable::digest`].
    contents: RefCell<Vec<u8>>,
}

impl<'a> ConfigContext<'a> {
    /// A context in which relative paths start from `folder`.
    pub fn new(folder: &'a Path, secrets: Secrets<'a>) -> Self {
        Self {
            folder,
            mode: secrets,
            secrets: RefCell::default(),
            files: RefCell::default(),
            contents: RefCell::default(),
        }
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &'a Path {
        self.folder
    }

    /// How secrets are looked up.
    pub fn mode(&self) -> Secrets<'a> {
        self.mode
    }

    /// Whether secrets are looked up.
    pub fn resolves_secrets(&self) -> bool {
        matches!(self.mode, Secrets::Resolve(_))
    }

    /// How many secrets were found so far.
    pub(super) fn secret_count(&self) -> usize {
        self.secrets.borrow().len()
    }

    /// The secrets that were found after the first `count`.
    pub(super) fn secrets_since(&self, count: usize) -> Vec<SecretString> {
        let secrets = self.secrets.borrow();
        secrets[count..].iter().cloned().map(Into::into).collect()
    }

    /// Every secret that was found, for a redactor, and every file that was read, for a watcher.
    pub fn into_found(self) -> (Vec<String>, Vec<PathBuf>) {
        (self.secrets.into_inner(), self.files.into_inner())
    }

    /// Records the file before it is read: one that is missing now is watched too, and a reload
    /// picks it up when it appears.
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.files.borrow_mut().push(path.to_owned());
        read_regular_file(path, MAX_FILE_BYTES)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    /// The content of a file, if it exists; in either case it is watched.
    pub(super) fn optional_file(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if !path.exists() {
            self.files.borrow_mut().push(path.to_owned());
            return Ok(None);
        }
        self.read_file(path).map(Some)
    }

    /// Records a key that was found outside the configuration, as a secret and for the digest.
    pub(super) fn record_key(&self, key: &AccessKey) {
        let token = key.security_token.as_ref();
        let secrets = [Some(&key.secret), token].into_iter().flatten();
        for secret in secrets {
            let secret = secret.expose_secret();
            self.record_content(secret.as_bytes());
            self.record_secrets([secret.to_owned()]);
        }
        self.record_content(key.id.as_bytes());
    }

    /// Records secrets, for a redactor.
    pub fn record_secrets(&self, secrets: impl IntoIterator<Item = String>) {
        self.secrets.borrow_mut().extend(secrets);
    }

    pub(super) fn record_content(&self, content: &[u8]) {
        // Its length precedes it, so that `ab` and `c` differ from `a` and `bc`.
        let mut all = self.contents.borrow_mut();
        all.extend_from_slice(&(content.len() as u64).to_be_bytes());
        all.extend_from_slice(content);
    }
}

/// A [`TableReader`] that also reads secrets and files.
pub struct ConfigTable<'a> {
    context: &'a ConfigContext<'a>,
    reader: TableReader<'a>,
}

impl<'a> Deref for ConfigTable<'a> {
    type Target = TableReader<'a>;

    fn deref(&self) -> &TableReader<'a> {
        &self.reader
    }
}

impl<'a> ConfigTable<'a> {
    /// A table of this context.
    pub fn new(context: &'a ConfigContext<'a>, reader: TableReader<'a>) -> Self {
        Self { context, reader }
    }

    /// What all tables of the configuration share.
    pub fn context(&self) -> &'a ConfigContext<'a> {
        self.context
    }

    /// Reports unknown keys.
    pub fn finish(self) {
        self.reader.finish();
    }

    /// A table inside this one.
    pub fn table(&self, key: &str) -> Option<Self> {
        let reader = self.reader.table(key)?;
        Some(Self::new(self.context, reader))
    }

    /// The tables of an array.
    pub fn tables(&self, key: &str) -> Vec<Self> {
        let readers = self.reader.tables(key).into_iter();
        readers
            .map(|reader| Self::new(self.context, reader))
            .collect()
    }

    /// The tables of a table whose keys are names.
    pub fn named_tables(&self, key: &str) -> Vec<(String, Self)> {
        let readers = self.reader.named_tables(key).into_iter();
        readers
            .map(|(name, reader)| (name, Self::new(self.context, reader)))
            .collect()
    }

    /// Reads the table, and returns a digest of its values and of the files and variables that
    /// `read` found: after a reload with an equal digest the result can be kept.
    pub fn digest<T>(self, read: impl FnOnce(Self) -> T) -> ([u8; 32], T) {
        // A table alone does not tell whether a target changed: `token = { file = "token" }` stays
        // the same when the token in the file is replaced. Hence the contents are digested too.
        let context = self.context;
        let mut values = String::new();
        canonicalize_table(self.raw(), &mut values);
        // Tables are read one after another, so what was recorded before belongs to another table.
        context.contents.take();
        let made = read(self);
        context.record_content(values.as_bytes());
        (Sha256::digest(context.contents.take()).into(), made)
    }

    /// A path; a relative one starts from the configuration's folder.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.context.folder.join(self.string(key)?))
    }

    /// The content of the file at a path.
    pub fn file(&self, key: &str) -> Option<Vec<u8>> {
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
    pub fn secret(&self, key: &str) -> Option<SecretString> {
        match self.context.mode {
            Secrets::Resolve(environment) => self.secret_in(key, Some(environment)),
            Secrets::Store(_) | Secrets::Skip | Secrets::Blank => self.secret_in(key, None),
        }
    }

    /// A secret with which the store is opened.
    pub fn store_secret(&self, key: &str) -> Option<SecretString> {
        match self.context.mode {
            Secrets::Resolve(environment) | Secrets::Store(environment) => {
                self.secret_in(key, Some(environment))
            }
            Secrets::Skip | Secrets::Blank => self.secret_in(key, None),
        }
    }

    /// A secret, looked up with this function or not at all.
    fn secret_in(&self, key: &str, environment: Option<Environment<'_>>) -> Option<SecretString> {
        const HELP: &str =
            "write { env = \"NAME\" } for an environment variable, or { file = \"path\" }";
        // Configurations are kept in version control and shown in tickets; a plain string is an
        // error so that no secret gets there.
        let value = self.lookup(key);
        if value.is_some_and(|value| !matches!(value.get_ref(), DeValue::Table(_))) {
            let message = format!("the secret `{key}` must not be written in the configuration");
            let fault = Diagnostic::error(Code::CONFIG_SECRET, self.span_of(key), message);
            let text = self.lookup(key).and_then(|value| value.get_ref().as_str());
            self.report(match text.and_then(variable_name) {
                // `"${DINGTALK_TOKEN}"`, as shells and other tools have it.
                Some(name) => {
                    let reference = format!("{{ env = \"{name}\" }}");
                    fault
                        .with_help(format!("for an environment variable, write {reference}"))
                        .with_fix(self.span_of(key), reference)
                }
                None => fault.with_help(HELP),
            });
            return None;
        }
        let reference = self.table(key)?;
        let is_named = |key: &str| reference.has(key);
        if !is_named("env") && !is_named("file") && !reference.is_recording() {
            let message = format!("the secret `{key}` needs either `env` or `file`");
            let fault = Diagnostic::error(Code::CONFIG_SECRET, reference.span(), message);
            reference.report_missing("env", fault.with_help(HELP));
            reference.finish();
            return None;
        }
        let (variable, path) = (reference.string("env"), reference.path("file"));
        if reference.is_recording() {
            reference.missing_one_of(&["env", "file"], HELP);
        }
        reference.finish();
        let found = match (variable, path, environment) {
            (Some(_), None, None) | (None, Some(_), None) => return Some(String::new().into()),
            (Some(variable), None, Some(environment)) => environment(&variable).ok_or((
                format!("the environment variable {variable} is not set"),
                if variable.starts_with('$') {
                    "write the name of the variable without `$`"
                } else {
                    "set it in the environment of the service, or write { file = \"path\" }"
                },
            )),
            (None, Some(path), Some(_)) => self
                .secret_file(&path)
                .map_err(|message| (message, "paths start from the configuration's folder")),
            _ => Err((
                format!("the secret `{key}` needs either `env` or `file`"),
                HELP,
            )),
        };
        // An empty secret is one that a deployment forgot, such as `TOKEN=` in an environment file.
        let found = match found {
            Ok(secret) if secret.is_empty() => Err((format!("the secret `{key}` is empty"), HELP)),
            found => found,
        };
        match found {
            Ok(secret) => {
                self.context.record_content(secret.as_bytes());
                self.context.secrets.borrow_mut().push(secret.clone());
                Some(secret.into())
            }
            Err((message, help)) => {
                self.fault(key, Code::CONFIG_SECRET, message, help);
                None
            }
        }
    }

    /// Every member of a table whose values are strings or secrets.
    pub fn map(&self, key: &str) -> Vec<(String, SecretString)> {
        let Some(table) = self.table(key) else {
            return Vec::new();
        };
        if table.is_recording() {
            table.string(ANY_NAME);
            table.secret(ANY_NAME);
        }
        let members = table.raw().iter().filter_map(|(name, value)| {
            let name = name.get_ref().to_string();
            // Not every value is a secret: `headers = { x-team = "network" }`.
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
        // A secret with bytes replaced would be another secret, so invalid UTF-8 is an error.
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
    // `timeout = '30s'  # seconds` and `timeout = "30s"` are both `"timeout"="30s";`. Quotes and
    // escapes of `{:?}` keep a value from looking like the next key. `DeTable` is sorted by key.
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

/// The variable that a text names in the way of shells: `$NAME`, `${NAME}`.
fn variable_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('$')?;
    let name = match name.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => name,
    };
    let name = name
        .strip_prefix("env.")
        .or(name.strip_prefix("env:"))
        .unwrap_or(name);
    // A secret that begins with `$` is hardly in capitals throughout.
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
