//! Reading a TOML table key by key; every wrong key and every wrong type becomes a diagnostic.

use jiff::SignedDuration;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::Json;
use reflexarc_reaction::parse_duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::embedded::Embedded;

/// A table of a rule file, with what it is called in messages and where its faults are collected.
pub(crate) struct Keys<'a> {
    file: &'a str,
    table: &'a DeTable<'a>,
    place: Span,
    name: &'static str,
    faults: &'a mut Vec<Diagnostic>,
}

impl<'a> Keys<'a> {
    /// Opens a table that may hold the keys `known`; any other key is a fault. `name` is what the table is, with its
    /// article: "a rule", "a test".
    pub(crate) fn open(
        file: &'a str,
        table: &'a DeTable<'a>,
        place: Span,
        name: &'static str,
        known: &[&str],
        faults: &'a mut Vec<Diagnostic>,
    ) -> Self {
        let mut strangers: Vec<_> = table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .collect();
        strangers.sort_by_key(|key| key.span().start);
        for key in strangers {
            faults.push(unknown_key(key.span(), key.get_ref(), name, known));
        }
        Self {
            file,
            table,
            place,
            name,
            faults,
        }
    }

    /// Opens a table inside this one, as [`Keys::open`] does.
    pub(crate) fn inner<'b>(
        &'b mut self,
        table: &'b DeTable<'b>,
        place: Span,
        name: &'static str,
        known: &[&str],
    ) -> Keys<'b> {
        Keys::open(self.file, table, place, name, known, self.faults)
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> Span {
        self.place.clone()
    }

    /// Whether the key is there, of whatever type.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether an unknown key was taken for a misspelling of this one.
    pub(crate) fn is_misspelt(&self, key: &str) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.fix.as_ref().is_some_and(|fix| fix.replacement == key))
    }

    /// Where the value of a key stands, or the table where the key is missing.
    pub(crate) fn span_of(&self, key: &str) -> Span {
        self.table
            .get(key)
            .map_or_else(|| self.place(), Spanned::span)
    }

    /// Adds a fault.
    pub(crate) fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &str) -> Option<Embedded> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Embedded::new(self.file, value.span(), text)),
            _ => self.wrong(key, "a string"),
        }
    }

    /// A whole number from `least` on.
    pub(crate) fn count(&mut self, key: &str, least: u32) -> Option<u32> {
        let number = match self.table.get(key)?.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= least => Some(number),
            _ => self.wrong(key, &format!("a whole number from {least} on")),
        }
    }

    /// A boolean, or an array of booleans; one boolean alone stands for any number of them.
    pub(crate) fn booleans(&mut self, key: &str) -> Option<Vec<bool>> {
        let one = |value: &DeValue<'_>| match value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        };
        let values = match self.table.get(key)?.get_ref() {
            DeValue::Array(elements) => elements
                .iter()
                .map(|element| one(element.get_ref()))
                .collect(),
            value => one(value).map(|value| vec![value]),
        };
        if values.is_none() {
            return self.wrong(key, "true, false or an array of them");
        }
        values
    }

    /// A string, or an array of strings.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<Embedded>> {
        let value = self.table.get(key)?;
        let file = self.file;
        let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Some(Embedded::new(file, value.span(), text)),
            _ => None,
        };
        let texts = match value.get_ref() {
            DeValue::Array(elements) => elements.iter().map(one).collect(),
            _ => one(value).map(|text| vec![text]),
        };
        if texts.is_none() {
            return self.wrong(key, "a string or an array of strings");
        }
        texts
    }

    /// A length of time above zero, such as `"90s"`, `"10m"`, `"1h 30m"`.
    pub(crate) fn duration(&mut self, key: &str) -> Option<SignedDuration> {
        let text = self.text(key)?;
        match parse_duration(text.text()) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.fault(Diagnostic::error(
                    Code::RULE_VALUE,
                    text.whole(),
                    format!("`{key}`: {why}"),
                ));
                None
            }
        }
    }

    /// The table at a key.
    pub(crate) fn table(&mut self, key: &str) -> Option<(&'a DeTable<'a>, Span)> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some((table, value.span())),
            _ => self.wrong(key, "a table"),
        }
    }

    /// An array of tables, `[[key]]`.
    pub(crate) fn tables(&mut self, key: &str) -> Option<Vec<(&'a DeTable<'a>, Span)>> {
        let value = self.table.get(key)?;
        let tables = match value.get_ref() {
            DeValue::Array(elements) => elements
                .iter()
                .map(|element| match element.get_ref() {
                    DeValue::Table(table) => Some((table, element.span())),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if tables.is_none() {
            return self.wrong(key, "an array of tables");
        }
        tables
    }

    /// The table at a key as JSON.
    pub(crate) fn json_table(&mut self, key: &str) -> Option<Vec<(String, Json)>> {
        let (table, _) = self.table(key)?;
        Some(members(table))
    }

    /// An array of tables as JSON, each with none but the keys `known`; any key where `known` is empty.
    pub(crate) fn json_tables(
        &mut self,
        key: &str,
        name: &'static str,
        known: &[&str],
    ) -> Option<Vec<Json>> {
        let tables = self.tables(key)?;
        if !known.is_empty() {
            for (table, place) in &tables {
                self.inner(table, place.clone(), name, known);
            }
        }
        Some(
            tables
                .into_iter()
                .map(|(table, _)| Json::Object(members(table)))
                .collect(),
        )
    }

    fn wrong<T>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let value = self.table.get(key)?;
        let message = format!(
            "`{key}` of {} is {wanted}, but this is {}",
            self.name,
            kind(value.get_ref())
        );
        self.faults
            .push(Diagnostic::error(Code::RULE_TYPE, value.span(), message));
        None
    }
}

/// A TOML table as a JSON object, members by their place in the file.
pub(crate) fn members(table: &DeTable<'_>) -> Vec<(String, Json)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
        .collect()
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Json::from(number),
            Err(_) => Json::from(number.to_string()),
        },
        // TOML knows floats that JSON does not: `inf`, `nan`, `1_000.5`, `+1.0`.
        DeValue::Float(number) => {
            let text = number.as_str().trim_start_matches('+').replace('_', "");
            match Json::parse(&text) {
                Ok(number @ Json::Number(_)) => number,
                _ => Json::from(text),
            }
        }
        DeValue::Boolean(value) => Json::from(*value),
        DeValue::Datetime(time) => Json::from(time.to_string()),
        DeValue::Array(elements) => Json::Array(
            elements
                .iter()
                .map(|element| json(element.get_ref()))
                .collect(),
        ),
        DeValue::Table(table) => Json::Object(members(table)),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn unknown_key(span: Span, key: &str, table: &str, known: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(
        Code::RULE_KEY,
        span.clone(),
        format!("{table} has no key `{key}`"),
    );
    match nearest(key, known.iter().copied()) {
        Some(name) => fault
            .with_help(format!("did you mean `{name}`?"))
            .with_fix(span, name),
        None => fault.with_help(format!("the keys of {table}: {}", known.join(", "))),
    }
}
