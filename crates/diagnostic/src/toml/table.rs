//! Reading one table key by key.

mod values;

use std::cell::RefCell;
use std::fmt;

use super::shape::{Recorder, Route};
use super::{
    ANY_NAME, DeTable, DeValue, Document, EmbeddedText, Meant, Spanned, ValueKind, ValueShapes,
};
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
    /// The same for what is recorded.
    route: Route,
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
        route: Route,
    ) -> Self {
        Self {
            document,
            table,
            span,
            path,
            route,
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
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut listed = std::collections::BTreeSet::new();
        known.retain(|key| listed.insert(*key));
        for key in self.table.keys() {
            if known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", key.get_ref(), self.title());
            let fault = Diagnostic::error(self.document.codes.key, key.span(), message);
            let name = key.get_ref().as_ref();
            let foreign = self.document.advice.meant(&self.path, name, &known);
            self.document
                .report(match (foreign, nearest(name, known.iter().copied())) {
                    (Some(Meant::Help(help)), _) => fault.with_help(help),
                    (Some(Meant::Instead(own, help)), _) => {
                        self.retract_missing(own);
                        fault.with_help(help)
                    }
                    (Some(Meant::Key(own)), _) => {
                        let help = format!("`{own}` is the key for it");
                        self.renamed(fault.with_help(help), key.span(), own)
                    }
                    (None, Some(own)) => {
                        let help = format!("did you mean `{own}`?");
                        self.renamed(fault.with_help(help), key.span(), own)
                    }
                    (None, None) if known.is_empty() => fault,
                    (None, None) => {
                        fault.with_help(format!("expected one of: {}", known.join(", ")))
                    }
                });
        }
    }

    /// The diagnostic about a key that is meant to be `own`.
    fn renamed(&self, fault: Diagnostic, key: Span, own: &str) -> Diagnostic {
        // `wehn = …` is one mistake, not an unknown `wehn` and a missing `when`.
        self.retract_missing(own);
        // A table has each key once.
        if self.table.contains_key(own) {
            return fault;
        }
        fault.with_fix(key, own)
    }

    fn retract_missing(&self, key: &str) {
        for (missing, index) in self.missing.borrow().iter() {
            if missing == key {
                self.document.retract(*index);
            }
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
        for key in keys {
            self.declare(key, Vec::new());
        }
        self.known
            .borrow_mut()
            .extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// Declares what the value of a key may be that is not read by one of the methods for that; of
    /// any key with [`ANY_NAME`].
    pub fn declare(&self, key: &str, shapes: ValueShapes) {
        if let Some(recorder) = self.recorder() {
            recorder.key(&self.route, key, shapes);
        }
    }

    /// Declares that the table may have any keys.
    pub fn declare_open(&self) {
        if let Some(recorder) = self.recorder() {
            recorder.open(&self.route);
        }
    }

    /// Whether the keys are recorded, see [`Document::recorded`]. Then no key has a value, and a
    /// reader goes on where it would otherwise end.
    pub fn is_recording(&self) -> bool {
        self.recorder().is_some()
    }

    /// The value of a key, of whatever type.
    pub fn lookup(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut known = self.known.borrow_mut();
        if !known.iter().any(|other| other == key) {
            known.push(key.to_owned());
        }
        self.declare(key, Vec::new());
        self.table.get(key)
    }

    /// Whether the key is present, with a value of whatever type.
    pub fn has(&self, key: &str) -> bool {
        let is_present = self.lookup(key).is_some();
        let recorder = self.recorder();
        is_present || recorder.is_some_and(|recorder| self.route.len() < recorder.present_above)
    }

    /// A table inside this one.
    pub fn table(&self, key: &str) -> Option<Self> {
        if self.is_recording() && !self.table.contains_key(key) {
            return Some(self.recorded_table(key, false));
        }
        let value = self.lookup(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.inner(key, table, value.span(), false)),
            _ => self.wrong_type(key, value, "a table"),
        }
    }

    /// The tables of an array, `[[key]]`; elements of another type are reported and left out.
    pub fn tables(&self, key: &str) -> Vec<Self> {
        if self.is_recording() {
            return vec![self.recorded_table(key, true)];
        }
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
                DeValue::Table(table) => Some(self.inner(key, table, element.span(), true)),
                _ => self.wrong_type(key, element, "an array of tables"),
            });
        tables.collect()
    }

    /// One table, or those of an array; a value of another type is reported as no table.
    pub fn table_or_tables(&self, key: &str) -> Vec<Self> {
        if self.is_recording() {
            return vec![
                self.recorded_table(key, false),
                self.recorded_table(key, true),
            ];
        }
        match self.lookup(key).map(Spanned::get_ref) {
            Some(DeValue::Array(_)) => self.tables(key),
            _ => self.table(key).into_iter().collect(),
        }
    }

    /// The keys of a table whose keys are names, each with its location.
    pub fn names(&self) -> Vec<(String, Span)> {
        if self.is_recording() && self.table.is_empty() {
            return vec![(ANY_NAME.to_owned(), 0..0)];
        }
        let names = self.table.keys();
        let names = names.map(|name| (name.get_ref().to_string(), name.span()));
        names.collect()
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
        if let Some(value) = self.lookup(key)
            && let DeValue::Array(elements) = value.get_ref()
        {
            let name = elements.iter().find_map(|element| match element.get_ref() {
                DeValue::Table(table) => table.get("name")?.get_ref().as_str(),
                _ => None,
            });
            let name = name.unwrap_or("NAME");
            let message = format!("`{key}`: expected a table, found an array");
            let help = format!("write the name in the header: [{key}.{name}]");
            self.fault(key, self.document.codes.kind, message, help);
            return Vec::new();
        }
        let Some(outer) = self.table(key) else {
            return Vec::new();
        };
        if self.is_recording() && outer.table.is_empty() {
            let table = outer.recorded_table(ANY_NAME, false);
            return vec![(ANY_NAME.to_owned(), table)];
        }
        let named = outer.table.iter().filter_map(|(name, value)| {
            let name = (name.get_ref().to_string(), name.span());
            match value.get_ref() {
                DeValue::Table(table) => {
                    let reader = outer.inner(&name.0, table, name.1, false);
                    Some((name.0, reader))
                }
                _ if self.document.advice.top_level.contains(&name.0.as_str()) => {
                    outer.misplaced(&name.0, name.1)
                }
                _ => outer.wrong_type(&name.0, value, "a table"),
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

    /// Reports that one of several keys is missing; messages name the first one.
    pub fn missing_one_of(&self, keys: &[&str], help: &str) {
        if let Some(recorder) = self.recorder() {
            recorder.required(&self.route, keys);
            return;
        }
        if let Some(first) = keys.first() {
            self.missing(first, help);
        }
    }

    /// The same with a diagnostic of the caller's.
    pub fn report_missing(&self, key: &str, diagnostic: Diagnostic) {
        if let Some(recorder) = self.recorder() {
            recorder.required(&self.route, &[key]);
        }
        self.report_absent(key, diagnostic);
    }

    /// The same for a key that may be missing.
    pub fn report_absent(&self, key: &str, diagnostic: Diagnostic) {
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

    fn inner(&self, key: &str, table: &'a DeTable<'a>, span: Span, in_array: bool) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        let mut route = self.route.clone();
        route.push((key.to_owned(), in_array));
        Self::new(self.document, table, span, path, route)
    }

    /// A table that is not there, whose keys are recorded.
    fn recorded_table(&self, key: &str, in_array: bool) -> Self {
        let table = self.inner(key, &self.document.empty, 0..0, in_array);
        if let Some(recorder) = self.recorder() {
            recorder.table(&table.route);
        }
        table
    }

    fn recorder(&self) -> Option<&'a Recorder> {
        self.document.recorder.as_ref()
    }

    /// Reports a key of the top-level table inside of this one.
    fn misplaced<T>(&self, key: &str, span: Span) -> Option<T> {
        let message = format!(
            "`{key}` is a key of {}, and is inside {} here",
            self.document.title,
            self.title()
        );
        let fault = Diagnostic::error(self.document.codes.kind, span, message);
        self.report(fault.with_help(
            "move it above the first line that begins with `[`: in TOML, all that is below such a \
             line belongs to it",
        ));
        None
    }

    fn wrong_type<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        if self.document.is_broken(&value.span()) {
            return None;
        }
        let found = type_name(value.get_ref());
        let message = format!("`{key}`: expected {expected}, found {found}");
        let fault = Diagnostic::error(self.document.codes.kind, value.span(), message);
        self.report(self.with_right_value(fault, key, value, expected));
        None
    }

    /// The diagnostic with the right value, where what was written shows it.
    fn with_right_value(
        &self,
        fault: Diagnostic,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) -> Diagnostic {
        let span = value.span();
        let written = self.document.text.get(span.clone()).unwrap_or_default();
        let advice = self.document.advice;
        if let Some(right) =
            kind(value.get_ref()).and_then(|kind| advice.value(&self.path, key, kind))
        {
            let fault = fault.with_help(right.help);
            return match right.fix {
                Some(fix) => fault.with_fix(span, fix.replacen("{}", written, 1)),
                None => fault,
            };
        }
        let text = value.get_ref().as_str().unwrap_or_default().trim();
        let is_number = text.parse::<u64>().is_ok();
        match value.get_ref() {
            DeValue::String(_) if expected == "an integer" && is_number => {
                fault.with_help("remove the quotes").with_fix(span, text)
            }
            DeValue::String(_)
                if expected.starts_with("true") && matches!(text, "true" | "false") =>
            {
                fault.with_help("remove the quotes").with_fix(span, text)
            }
            // `[test]`, the header of one table.
            DeValue::Table(_)
                if expected == "an array of tables"
                    && written.starts_with('[')
                    && !written.starts_with("[[")
                    && written.ends_with(']') =>
            {
                let right = format!("[{written}]");
                let help = format!("write {right}: there may be several");
                fault.with_help(help).with_fix(span, right)
            }
            _ => fault,
        }
    }
}

/// The type of a value, for advice.
fn kind(value: &DeValue<'_>) -> Option<ValueKind> {
    match value {
        DeValue::String(_) => Some(ValueKind::String),
        DeValue::Integer(_) | DeValue::Float(_) => Some(ValueKind::Number),
        DeValue::Boolean(_) => Some(ValueKind::Boolean),
        DeValue::Array(_) => Some(ValueKind::Array),
        DeValue::Table(_) => Some(ValueKind::Table),
        DeValue::Datetime(_) => None,
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
