//! Reading one table key by key.

mod values;

use std::cell::RefCell;
use std::fmt;

use super::{DeTable, DeValue, Document, EmbeddedText, Spanned};
use crate::{Code, Diagnostic, Span, nearest};

/// One table of a [`Document`].
///
/// A key is known once one of the methods has looked it up; [`TableReader::finish`] reports the
/// others. A method answers `None` where the key is absent and where its value is not what it
/// should be; the latter is reported.
///
/// ```
/// use reflexarc_diagnostic::toml::{Document, FaultCodes};
///
/// let text = "[http]\nlisten = \"127.0.0.1:8321\"";
/// let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
/// let root = document.root();
/// let http = root.table("http").expect("a table");
/// assert_eq!(http.title(), "`http`");
/// assert_eq!(http.string("listen").as_deref(), Some("127.0.0.1:8321"));
/// http.finish();
/// root.finish();
/// assert!(document.into_diagnostics().is_empty());
/// ```
#[derive(Debug)]
pub struct TableReader<'a> {
    document: &'a Document<'a>,
    table: &'a DeTable<'a>,
    span: Span,
    /// The keys that lead here: `http.tls`; empty at the top.
    path: String,
    known: RefCell<Vec<String>>,
    /// Keys reported as missing, each with the number of its diagnostic.
    missing: RefCell<Vec<(String, usize)>>,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(
        document: &'a Document<'a>,
        table: &'a DeTable<'a>,
        span: Span,
        path: String,
    ) -> Self {
        Self {
            document,
            table,
            span,
            path,
            known: RefCell::default(),
            missing: RefCell::default(),
        }
    }

    /// Reports every key that was not looked up, with the known key that it resembles.
    pub fn finish(self) {
        // Keys become known by being looked up, so no list of keys can differ from what is read.
        // Which keys are valid may depend on the value of another: a target of type `file` has a
        // `path`.
        let known = self.known.borrow();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for key in self.table.keys() {
            if known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", key.get_ref(), self.title());
            let fault = Diagnostic::error(self.document.codes.key, key.span(), message);
            self.document
                .report(match nearest(key.get_ref(), known.iter().copied()) {
                    Some(name) => {
                        // `wehn = …` is one mistake, not an unknown `wehn` and a missing `when`.
                        for (missing, index) in self.missing.borrow().iter() {
                            if missing == name {
                                self.document.retract(*index);
                            }
                        }
                        fault
                            .with_help(format!("did you mean `{name}`?"))
                            .with_fix(key.span(), name)
                    }
                    None if known.is_empty() => fault,
                    None => fault.with_help(format!("expected one of: {}", known.join(", "))),
                });
        }
    }

    /// What messages call the table.
    pub fn title(&self) -> String {
        if self.path.is_empty() {
            self.document.title.to_owned()
        } else {
            format!("`{}`", self.path)
        }
    }

    /// The document that the table is part of.
    pub fn document(&self) -> &'a Document<'a> {
        self.document
    }

    /// The location of the table.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The location of a key's value, or of the table where the key is absent.
    pub fn span_of(&self, key: &str) -> Span {
        self.table
            .get(key)
            .map_or_else(|| self.span(), Spanned::span)
    }

    /// The table itself.
    pub fn raw(&self) -> &'a DeTable<'a> {
        self.table
    }

    /// Declares keys as known that are not looked up one by one.
    pub fn allow(&self, keys: &[&str]) {
        self.known
            .borrow_mut()
            .extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// The value of a key, of whatever type.
    pub fn lookup(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut known = self.known.borrow_mut();
        if !known.iter().any(|other| other == key) {
            known.push(key.to_owned());
        }
        self.table.get(key)
    }

    /// Whether the key is present, with a value of whatever type.
    pub fn has(&self, key: &str) -> bool {
        self.lookup(key).is_some()
    }

    /// A table inside this one.
    pub fn table(&self, key: &str) -> Option<Self> {
        let value = self.lookup(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.inner(key, table, value.span())),
            _ => self.wrong_type(key, value, "a table"),
        }
    }

    /// The tables of an array, `[[key]]`; elements of another type are reported and left out.
    pub fn tables(&self, key: &str) -> Vec<Self> {
        let Some(value) = self.lookup(key) else {
            return Vec::new();
        };
        let DeValue::Array(elements) = value.get_ref() else {
            return self
                .wrong_type(key, value, "an array of tables")
                .unwrap_or_default();
        };
        let tables = elements
            .iter()
            .filter_map(|element| match element.get_ref() {
                DeValue::Table(table) => Some(self.inner(key, table, element.span())),
                _ => self.wrong_type(key, element, "an array of tables"),
            });
        tables.collect()
    }

    /// The tables of a table whose keys are names, `[key.NAME]`; each is located at its name.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let text = "[targets.team]\nkind = \"dingtalk\"\n[targets.archive]\nkind = \"file\"";
    /// let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
    /// let names: Vec<_> =
    ///     document.root().named_tables("targets").into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["archive", "team"]);
    /// ```
    pub fn named_tables(&self, key: &str) -> Vec<(String, Self)> {
        // Located at their names: `[targets.team]` is marked at `team`, which identifies it.
        let Some(outer) = self.table(key) else {
            return Vec::new();
        };
        let named = outer.table.iter().filter_map(|(name, value)| {
            let name = (name.get_ref().to_string(), name.span());
            match value.get_ref() {
                DeValue::Table(table) => {
                    let reader = outer.inner(&name.0, table, name.1);
                    Some((name.0, reader))
                }
                _ => self.wrong_type(&name.0, value, "a table"),
            }
        });
        named.collect()
    }

    /// Reports that a key is missing; `help` says what to write. If [`TableReader::finish`] finds
    /// a misspelling of the key, only that is reported.
    pub fn missing(&self, key: &str, help: &str) {
        let message = format!("missing key `{key}` in {}", self.title());
        let fault = Diagnostic::error(self.document.codes.missing, self.span(), message);
        self.report_missing(key, fault.with_help(help));
    }

    /// The same with a diagnostic of the caller's.
    pub fn report_missing(&self, key: &str, diagnostic: Diagnostic) {
        self.allow(&[key]);
        self.missing
            .borrow_mut()
            .push((key.to_owned(), self.document.next_index()));
        self.report(diagnostic);
    }

    /// Reports an error in the value of a key, or in the table where the key is absent.
    pub fn fault(
        &self,
        key: &str,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Diagnostic::error(code, self.span_of(key), message).with_help(help));
    }

    /// Adds a diagnostic.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.document.report(diagnostic);
    }

    /// The parsed value of a string of this table; an error is reported at the string.
    pub fn parsed<T>(
        &self,
        text: &EmbeddedText,
        parsed: Result<T, impl fmt::Display>,
    ) -> Option<T> {
        parsed
            .map_err(|error| {
                let code = self.document.codes.value;
                self.report(Diagnostic::error(code, text.span(), error.to_string()));
            })
            .ok()
    }

    fn inner(&self, key: &str, table: &'a DeTable<'a>, span: Span) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self::new(self.document, table, span, path)
    }

    fn wrong_type<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        if self.document.is_broken(&value.span()) {
            return None;
        }
        let found = type_name(value.get_ref());
        let message = format!("`{key}`: expected {expected}, found {found}");
        self.report(Diagnostic::error(
            self.document.codes.kind,
            value.span(),
            message,
        ));
        None
    }
}

/// The type of a value with its article, for messages.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
