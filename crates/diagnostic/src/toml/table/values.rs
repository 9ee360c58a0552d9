//! Reading the values of keys: strings, booleans, integers, durations, times, choices.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};

use super::TableReader;
use crate::toml::{DeValue, EmbeddedText, Spanned, ValueShape};
use crate::{Diagnostic, nearest, parse_duration};

impl<'a> TableReader<'a> {
    /// A string.
    pub fn string(&self, key: &str) -> Option<String> {
        self.embedded(key).map(EmbeddedText::into_text)
    }

    /// A string with the location of each of its bytes.
    pub fn embedded(&self, key: &str) -> Option<EmbeddedText> {
        self.declare(key, vec![ValueShape::Text]);
        self.text(key)
    }

    /// A string whose shape the caller declares.
    fn text(&self, key: &str) -> Option<EmbeddedText> {
        let value = self.lookup(key)?;
        // Reading `content.result` of `when = content.result == 1` would report what is not
        // written.
        if self.document.is_broken(&value.span()) {
            return None;
        }
        self.embedded_value(value)
            .or_else(|| self.wrong_type(key, value, "a string"))
    }

    /// A string that must be present; `help` says what to write.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let document = Document::parse("", "the configuration", FaultCodes::CONFIG);
    /// assert_eq!(document.root().required_string("store", "name a folder"), None);
    /// let found = document.into_diagnostics();
    /// assert_eq!(found[0].message, "missing key `store` in the configuration");
    /// assert_eq!(found[0].help.as_deref(), Some("name a folder"));
    /// ```
    pub fn required_string(&self, key: &str, help: &str) -> Option<String> {
        if !self.has(key) {
            self.missing(key, help);
        }
        self.string(key)
    }

    /// A string, or an array of strings.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let text = "one = \"team\"\nmany = [\"team\", \"mail\"]";
    /// let document = Document::parse(text, "the rule", FaultCodes::RULE);
    /// let count = |key| document.root().strings(key).map(|texts| texts.len());
    /// assert_eq!((count("one"), count("many"), count("none")), (Some(1), Some(2), None));
    /// ```
    pub fn strings(&self, key: &str) -> Option<Vec<EmbeddedText>> {
        self.declare_one_or_many(key, ValueShape::Text);
        self.read_strings(key)
    }

    /// A string or an array of strings, at least one.
    pub fn nonempty_strings(&self, key: &str) -> Option<Vec<EmbeddedText>> {
        self.declare_one_or_many(key, ValueShape::Text);
        self.read_nonempty_strings(key)
    }

    fn read_nonempty_strings(&self, key: &str) -> Option<Vec<EmbeddedText>> {
        let texts = self.read_strings(key)?;
        if texts.is_empty() {
            let message = format!("`{key}` is empty");
            let help = "list at least one, or remove the key";
            self.fault(key, self.document.codes.value, message, help);
            return None;
        }
        Some(texts)
    }

    /// A boolean.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.declare(key, vec![ValueShape::Boolean]);
        let value = self.lookup(key)?;
        boolean(value).or_else(|| self.wrong_type(key, value, "true or false"))
    }

    /// A boolean, or an array of booleans.
    pub fn booleans(&self, key: &str) -> Option<Vec<bool>> {
        self.declare_one_or_many(key, ValueShape::Boolean);
        self.one_or_many(key, "true, false or an array of them", boolean)
    }

    /// An integer within a range.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let document = Document::parse("workers = 900", "the configuration", FaultCodes::CONFIG);
    /// assert_eq!(document.root().integer::<u32>("workers", 1..=1_000), Some(900));
    /// assert_eq!(document.root().integer::<u32>("workers", 1..=64), None);
    /// assert_eq!(document.into_diagnostics()[0].message, "`workers` is out of range");
    /// ```
    pub fn integer<T: TryFrom<u64>>(&self, key: &str, range: RangeInclusive<u64>) -> Option<T> {
        self.declare(key, vec![ValueShape::Integer(*range.start(), *range.end())]);
        let value = self.lookup(key)?;
        let DeValue::Integer(digits) = value.get_ref() else {
            return self.wrong_type(key, value, "an integer");
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            // An upper bound that only comes from the type of the number is of no use to the
            // author.
            let help = if *range.end() >= u64::from(u32::MAX) {
                format!("expected at least {}", range.start())
            } else {
                format!("expected {} to {}", range.start(), range.end())
            };
            let message = format!("`{key}` is out of range");
            self.fault(key, self.document.codes.value, message, help);
        }
        number
    }

    /// An integer or an array of integers, each within a range.
    pub fn integers<T: TryFrom<u64>>(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Vec<T>> {
        self.declare_one_or_many(key, ValueShape::Integer(*range.start(), *range.end()));
        let numbers = self.one_or_many(key, "an integer or an array of integers", |value| {
            let DeValue::Integer(digits) = value.get_ref() else {
                return None;
            };
            let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
            let number = number.filter(|number| range.contains(number));
            // `None` within: an integer, but not one of the range.
            Some(number.and_then(|number| T::try_from(number).ok()))
        })?;
        let numbers: Option<Vec<T>> = numbers.into_iter().collect();
        if numbers.is_none() {
            let message = format!("`{key}` is out of range");
            let help = format!("expected {} to {}", range.start(), range.end());
            self.fault(key, self.document.codes.value, message, help);
        }
        numbers
    }

    /// A duration longer than zero, such as `"90s"`.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let document = Document::parse("timeout = \"90s\"", "the file", FaultCodes::CONFIG);
    /// let timeout = document.root().duration("timeout");
    /// assert_eq!(timeout.map(|timeout| timeout.as_secs()), Some(90));
    /// ```
    pub fn duration(&self, key: &str) -> Option<SignedDuration> {
        self.declare(key, vec![ValueShape::Duration]);
        // A number could be seconds or milliseconds: there is no fix, only how to write it.
        if let Some(value) = self.lookup(key)
            && let DeValue::Integer(_) | DeValue::Float(_) = value.get_ref()
        {
            let message = format!("`{key}`: expected a duration, found a number");
            let written = self.document.text.get(value.span()).unwrap_or("10");
            let help = format!("write a string with a unit: \"{written}s\", \"{written}m\" …");
            self.fault(key, self.document.codes.kind, message, help);
            return None;
        }
        let text = self.text(key)?;
        self.parse_duration(&text)
    }

    /// A string of this table as a duration longer than zero.
    pub fn parse_duration(&self, text: &EmbeddedText) -> Option<SignedDuration> {
        self.parsed(text, parse_duration(text.text()))
    }

    /// A point in time: a TOML date with time and offset, or a string that spells one.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let text = "from = 2027-01-01T08:00:00+08:00";
    /// let document = Document::parse(text, "the scenario", FaultCodes::SCENARIO);
    /// let from = document.root().timestamp("from");
    /// assert_eq!(from.map(|from| from.to_string()).as_deref(), Some("2027-01-01T00:00:00Z"));
    /// ```
    pub fn timestamp(&self, key: &str) -> Option<Timestamp> {
        const EXAMPLE: &str = "write it as 2027-01-01T00:00:00Z";
        self.declare(key, vec![ValueShape::Time]);
        let value = self.lookup(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => return self.wrong_type(key, value, "a date with time and offset"),
        };
        let timestamp = text.parse().ok();
        if timestamp.is_none() {
            let message = format!("`{key}`: expected a date with time and offset, found `{text}`");
            self.fault(key, self.document.codes.value, message, EXAMPLE);
        }
        timestamp
    }

    /// One of these words, with what it stands for.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes};
    ///
    /// let document = Document::parse("log = \"jsno\"", "the configuration", FaultCodes::CONFIG);
    /// let choices = [("json", true), ("text", false)];
    /// assert_eq!(document.root().choice("log", &choices), None);
    /// let help = document.into_diagnostics()[0].help.clone();
    /// assert_eq!(help.as_deref(), Some("did you mean \"json\"?"));
    /// ```
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&'static str, T)]) -> Option<T> {
        self.declare(key, vec![word(choices)]);
        let text = self.text(key)?;
        self.choose(key, &text, choices)
    }

    /// A string that should be one of these words, which the caller checks.
    pub fn word(&self, key: &str, words: &[&'static str]) -> Option<String> {
        self.declare(key, vec![ValueShape::Word(words.to_vec())]);
        self.text(key).map(EmbeddedText::into_text)
    }

    /// One or several of these words, at least one. `name` is what messages call a value; values
    /// that are none of the words are reported and left out.
    pub fn choices<T: Copy>(
        &self,
        key: &str,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Option<Vec<T>> {
        self.declare_one_or_many(key, word(choices));
        let texts = self.read_nonempty_strings(key)?;
        let chosen = texts.iter();
        let chosen = chosen.filter_map(|text| self.choose(name, text, choices));
        Some(chosen.collect())
    }

    /// A string of this table as one of these words, with what it stands for. `name` is what
    /// messages call the value.
    pub fn choose<T: Copy>(
        &self,
        name: &str,
        text: &EmbeddedText,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == text.text());
        if found.is_none() {
            let message = format!("unknown {name} \"{}\"", text.text());
            let fault = Diagnostic::error(self.document.codes.value, text.span(), message);
            let words = choices.iter().map(|(word, _)| *word);
            let foreign = self.document.advice.word(name, text.text());
            self.report(if let Some(word) = foreign {
                let quoted: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
                let help = format!("write \"{word}\", which is one of {}", quoted.join(", "));
                fault
                    .with_help(help)
                    .with_fix(text.span(), format!("\"{word}\""))
            } else if let Some(word) = nearest(text.text(), words.clone()) {
                fault
                    .with_help(format!("did you mean \"{word}\"?"))
                    .with_fix(text.span(), format!("\"{word}\""))
            } else {
                let quoted: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
                fault.with_help(format!("expected one of: {}", quoted.join(", ")))
            });
        }
        found.map(|(_, value)| *value)
    }

    fn embedded_value(&self, value: &Spanned<DeValue<'_>>) -> Option<EmbeddedText> {
        let text = value.get_ref().as_str()?;
        Some(EmbeddedText::new(self.document.text, value.span(), text))
    }

    fn read_strings(&self, key: &str) -> Option<Vec<EmbeddedText>> {
        self.one_or_many(key, "a string or an array of strings", |value| {
            self.embedded_value(value)
        })
    }

    fn declare_one_or_many(&self, key: &str, shape: ValueShape) {
        self.declare(key, vec![shape.clone(), ValueShape::Array(vec![shape])]);
    }

    /// The elements of an array, or the one value that is no array. The first element of another
    /// type is reported where it is.
    fn one_or_many<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Spanned<DeValue<'a>>) -> Option<T>,
    ) -> Option<Vec<T>> {
        // One value need not be written as an array of one: `notify = "team"`.
        let value = self.lookup(key)?;
        let elements: &[Spanned<DeValue<'a>>] = match value.get_ref() {
            DeValue::Array(elements) => elements,
            _ => std::slice::from_ref(value),
        };
        elements
            .iter()
            .map(|element| read(element).or_else(|| self.wrong_type(key, element, expected)))
            .collect()
    }
}

/// The shape of a value that is one of these words.
fn word<T>(choices: &[(&'static str, T)]) -> ValueShape {
    ValueShape::Word(choices.iter().map(|(word, _)| *word).collect())
}

fn boolean(value: &Spanned<DeValue<'_>>) -> Option<bool> {
    value.get_ref().as_bool()
}
