//! Reading TOML with locations: every unknown key, wrong type and invalid value of a file becomes
//! a diagnostic, and reading goes on, so that an author sees all of them at once.
//!
//! A [`Document`] is a file's text and what was found in it; a [`TableReader`] reads one table of
//! it key by key. The same reader serves rule files, the service's configuration and scenarios;
//! they differ only in the diagnostic codes that they use ([`FaultCodes`]).
//!
//! ```
//! use reflexarc_diagnostic::toml::{Document, FaultCodes};
//!
//! let text = "listen = 8321\ntimeuot = \"30s\"";
//! let document = Document::parse(text, "the file", FaultCodes::CONFIG);
//! let root = document.root();
//! assert_eq!(root.string("listen"), None);
//! assert_eq!(root.duration("timeout"), None);
//! root.finish();
//!
//! let messages: Vec<_> = document.into_diagnostics().into_iter().map(|d| d.message).collect();
//! assert_eq!(
//!     messages,
//!     ["`listen`: expected a string, found a number", "unknown key `timeuot` in the file"],
//! );
//! ```

mod advice;
mod embedded;
mod shape;
mod syntax_help;
mod table;

use std::cell::{Cell, RefCell};

pub use ::toml::Spanned;
pub use ::toml::de::{DeTable, DeValue};

pub use self::advice::{Advice, ForeignKey, Meant, ValueKind, WrongValue};
pub use self::embedded::EmbeddedText;
use self::shape::Recorder;
pub use self::shape::{ANY_NAME, TableShape, ValueShape, ValueShapes};
pub use self::table::TableReader;
use crate::{Code, Diagnostic, Severity, Span};

/// The codes under which the faults of one kind of file are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultCodes {
    /// The text is not TOML.
    pub syntax: Code,
    /// An unknown key.
    pub key: Code,
    /// A value of another type than expected.
    pub kind: Code,
    /// A value of the right type that is not valid.
    pub value: Code,
    /// A key without which the table means nothing.
    pub missing: Code,
}

impl FaultCodes {
    /// The codes of rule files.
    pub const RULE: Self = Self {
        syntax: Code::RULE_TOML,
        key: Code::RULE_KEY,
        kind: Code::RULE_TYPE,
        value: Code::RULE_VALUE,
        missing: Code::RULE_VALUE,
    };

    /// The codes of the service's configuration.
    pub const CONFIG: Self = Self {
        syntax: Code::CONFIG_TOML,
        key: Code::CONFIG_KEY,
        kind: Code::CONFIG_TYPE,
        value: Code::CONFIG_VALUE,
        missing: Code::CONFIG_MISSING,
    };

    /// The codes of scenario files; one code covers all that is wrong with tables and types.
    pub const SCENARIO: Self = Self {
        syntax: Code::SCENARIO_TOML,
        key: Code::SCENARIO_TOML,
        kind: Code::SCENARIO_TOML,
        value: Code::SCENARIO_VALUE,
        missing: Code::SCENARIO_TOML,
    };
}

/// A TOML file as far as it can be read, and the diagnostics collected while reading it.
///
/// ```
/// use reflexarc_diagnostic::toml::{Document, FaultCodes};
///
/// let document = Document::parse("listen = 1\nstore", "the configuration", FaultCodes::CONFIG);
/// assert!(document.has_syntax_errors());
/// assert!(document.root().has("listen"));
/// assert_eq!(document.into_diagnostics()[0].code.to_string(), "RA0601");
/// ```
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    /// What messages call the top-level table: "the configuration".
    title: &'static str,
    codes: FaultCodes,
    advice: &'static Advice,
    table: DeTable<'a>,
    /// What tables contain that are not there while keys are recorded.
    empty: DeTable<'a>,
    /// Set while keys are recorded.
    recorder: Option<Recorder>,
    /// The spans of the syntax errors.
    syntax_errors: Vec<Span>,
    /// `None`: retracted, because a misspelling of the same key explains more.
    diagnostics: RefCell<Vec<Option<Diagnostic>>>,
    error_count: Cell<usize>,
}

impl<'a> Document<'a> {
    /// Parses the text. Syntax errors become diagnostics, and the tables that could be recovered
    /// are readable nevertheless. `title` is what messages call the top-level table.
    pub fn parse(text: &'a str, title: &'static str, codes: FaultCodes) -> Self {
        // Recoverable: a syntax error on one line does not hide a misspelt key on another.
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut syntax_errors: Vec<Span> = Vec::new();
        let mut found = Vec::new();
        let span_of = |error: &::toml::de::Error| error.span().unwrap_or(text.len()..text.len());
        // They come in the order in which the parser's stages find them.
        let mut errors: Vec<_> = errors.iter().map(|error| (span_of(error), error)).collect();
        errors.sort_by_key(|(span, _)| span.start);
        // Errors before this place follow from one that was reported: `when = a == 1` is three.
        let mut explained = 0;
        for (span, error) in errors {
            if span.start >= explained || syntax_errors.is_empty() {
                let message = error.message().trim().replace('\n', ", ");
                let (diagnostic, end) = syntax_help::explain(text, &span, &message, codes.syntax);
                explained = end.max(span.start + 1);
                found.push(Some(diagnostic));
            }
            syntax_errors.push(span);
        }
        Self {
            text,
            title,
            codes,
            advice: &Advice::NONE,
            table: table.into_inner(),
            empty: DeTable::new(),
            recorder: None,
            syntax_errors,
            error_count: Cell::new(found.len()),
            diagnostics: RefCell::new(found),
        }
    }

    /// What `read` reads: the keys of the file with what their values may be. It is run on the
    /// text, in which tables that are missing seem to be there: without keys, and as if every key
    /// were there, down to each depth. `text` has what decides which keys are read, such as a `type`.
    ///
    /// ```
    /// use reflexarc_diagnostic::toml::{Document, FaultCodes, ValueShape};
    ///
    /// let shape = Document::recorded("", FaultCodes::CONFIG, |document| {
    ///     let http = document.root().table("http").expect("any table");
    ///     http.required_string("listen", "the address");
    ///     http.integer::<u16>("port", 1..=9);
    /// });
    /// let http = shape.table("http").expect("a table");
    /// assert_eq!(http.keys["port"], [ValueShape::Integer(1, 9)]);
    /// assert!(http.required.contains(&vec!["listen".to_owned()]));
    /// ```
    pub fn recorded(text: &'a str, codes: FaultCodes, read: impl Fn(&Document<'a>)) -> TableShape {
        let mut shape = TableShape::default();
        let mut present_above = 0;
        while present_above <= shape.depth() {
            let mut document = Self::parse(text, "the file", codes);
            document.recorder = Some(Recorder {
                present_above,
                root: RefCell::default(),
            });
            read(&document);
            if let Some(recorder) = document.recorder {
                shape.merge(recorder.root.into_inner());
            }
            present_above += 1;
        }
        shape
    }

    /// The document with what its readers know about mistakes of authors.
    #[must_use]
    pub fn with_advice(mut self, advice: &'static Advice) -> Self {
        self.advice = advice;
        self
    }

    /// Whether the text is not TOML. A key that is missing then may only be unreadable.
    pub fn has_syntax_errors(&self) -> bool {
        !self.syntax_errors.is_empty()
    }

    /// Whether a value is what was recovered of a syntax error, and not what the author wrote.
    fn is_broken(&self, value: &Span) -> bool {
        let mut errors = self.syntax_errors.iter();
        errors.any(|error| error.start <= value.end && value.start <= error.end)
    }

    /// The top-level table.
    pub fn root(&self) -> TableReader<'_> {
        TableReader::new(self, &self.table, 0..0, String::new(), Vec::new())
    }

    /// How many errors have been reported so far. It never falls: an error that was retracted
    /// counts too, because the one that replaced it is about the same table.
    pub fn error_count(&self) -> usize {
        self.error_count.get()
    }

    /// Adds a diagnostic about the file.
    pub fn report(&self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.error_count.set(self.error_count.get() + 1);
        }
        self.diagnostics.borrow_mut().push(Some(diagnostic));
    }

    /// The diagnostics, by location in the file.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics: Vec<_> = self
            .diagnostics
            .into_inner()
            .into_iter()
            .flatten()
            .collect();
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        diagnostics
    }

    /// The number that the next diagnostic will have, for [`Document::retract`].
    fn next_index(&self) -> usize {
        self.diagnostics.borrow().len()
    }

    fn retract(&self, index: usize) {
        self.diagnostics.borrow_mut()[index] = None;
    }
}
