//! Diagnostics: what is wrong in a text, where, and how to fix it, as plain data.

use std::ops::Range;

use crate::Code;
use crate::render::clamped;

/// A half-open range of byte offsets into the text of a diagnostic.
pub type Span = Range<usize>;

/// The severity of a diagnostic, most severe first.
///
/// ```
/// use reflexarc_diagnostic::Severity;
///
/// assert!(Severity::Error < Severity::Warning);
/// assert_eq!(Severity::Hint.as_str(), "hint");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The text is rejected.
    Error,
    /// The text is accepted, but probably does not mean what its author intends.
    Warning,
    /// For information; never changes the outcome of a check.
    Hint,
}

/// One finding about a text.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic, Severity};
///
/// let finding = Diagnostic::warning(Code::RULE_VALUE, 7..11, "unknown level `loud`")
///     .with_label(0..5, "of this rule")
///     .with_help("expected one of: info, warn, critical");
/// assert_eq!(finding.severity, Severity::Warning);
/// assert_eq!(finding.labels.len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// The severity.
    pub severity: Severity,
    /// What is wrong, in lower case and without a full stop, as rustc writes it.
    pub message: String,
    /// Where it is wrong.
    pub span: Span,
    /// Annotations of this and other spans.
    pub labels: Vec<Label>,
    /// How to fix it, in the imperative.
    pub help: Option<String>,
    /// An edit that fixes it and keeps the meaning that the author intended.
    pub fix: Option<Fix>,
}

/// An annotation of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The annotated bytes.
    pub span: Span,
    /// The annotation.
    pub message: String,
}

/// An edit: replace `span` by `replacement`.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic};
///
/// let mut text = "result = 1".to_owned();
/// let finding = Diagnostic::error(Code::SYNTAX, 7..8, "unexpected `=`").with_fix(7..8, "==");
/// if let Some(fix) = finding.fix {
///     text.replace_range(fix.span, &fix.replacement);
/// }
/// assert_eq!(text, "result == 1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fix {
    /// The bytes to replace; empty for an insertion.
    pub span: Span,
    /// The text to insert instead.
    pub replacement: String,
}

impl Severity {
    /// The word for it: `error`, `warning` or `hint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        }
    }
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    /// A warning at `span`.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    /// A hint at `span`.
    pub fn hint(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Hint, span, message)
    }

    /// Adds help on how to fix it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds an annotation of a span.
    #[must_use]
    pub fn with_label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            message: message.into(),
        });
        self
    }

    /// Adds an edit that fixes it.
    #[must_use]
    pub fn with_fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix {
            span,
            replacement: replacement.into(),
        });
        self
    }

    /// The diagnostic in one line: code, line and column, and message. `text` is the text that it
    /// is about; lines and columns count from 1, and columns count characters.
    ///
    /// ```
    /// use reflexarc_diagnostic::{Code, Diagnostic};
    ///
    /// let text = "level == \"WARN\" and\ncount = 2";
    /// let finding = Diagnostic::error(Code::SYNTAX, 26..27, "unexpected `=`");
    /// assert_eq!(finding.summary(text), "RA0101 at 2:7: unexpected `=`");
    /// ```
    pub fn summary(&self, text: &str) -> String {
        let before = &text[..clamped(text, &self.span).start];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        format!("{} at {line}:{column}: {}", self.code, self.message)
    }

    /// Moves every span by `offset` bytes, for a text that is part of a larger file.
    ///
    /// ```
    /// use reflexarc_diagnostic::{Code, Diagnostic};
    ///
    /// let finding = Diagnostic::error(Code::SYNTAX, 2..3, "unexpected `=`").with_fix(2..3, "==");
    /// let moved = finding.shifted(100);
    /// assert_eq!(moved.span, 102..103);
    /// assert_eq!(moved.fix.map(|fix| fix.span), Some(102..103));
    /// ```
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> Self {
        let shift = |span: &mut Span| *span = span.start + offset..span.end + offset;
        shift(&mut self.span);
        self.labels
            .iter_mut()
            .for_each(|label| shift(&mut label.span));
        if let Some(fix) = &mut self.fix {
            shift(&mut fix.span);
        }
        self
    }

    fn new(code: Code, severity: Severity, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            span,
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }
}
