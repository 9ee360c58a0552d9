//! Findings about the templates of a mail, with their places.

use std::fmt;

use reflexarc_diagnostic::{Code, Diagnostic};

/// A finding about one of the templates of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateFinding {
    /// `subject`, `text` or `html`.
    pub template: &'static str,
    /// The line in the template, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, located in the template.
    pub diagnostic: Diagnostic,
}

/// Templates that cannot be used: the errors of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidTemplates {
    /// The errors, and the warnings about the same templates.
    pub findings: Vec<TemplateFinding>,
}

impl TemplateFinding {
    pub(super) fn new(template: &'static str, source: &str, diagnostic: Diagnostic) -> Self {
        let before = &source[..diagnostic.span.start];
        let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
        Self {
            template,
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            diagnostic,
        }
    }

    /// The error of a template that cannot be parsed.
    pub(super) fn syntax(template: &'static str, source: &str, error: &minijinja::Error) -> Self {
        let end = source.len();
        let span = error.range().unwrap_or(end..end);
        // Without the place that minijinja appends, which counts other columns.
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        let error = Diagnostic::error(Code::RULE_TEMPLATE, span, message)
            .with_help("templates have the syntax of minijinja, like Jinja's");
        Self::new(template, source, error)
    }
}

/// `template subject: line 1, column 4: unknown variable`.
impl fmt::Display for TemplateFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            template,
            line,
            column,
            diagnostic,
        } = self;
        let message = &diagnostic.message;
        write!(
            f,
            "template {template}: line {line}, column {column}: {message}"
        )
    }
}

impl fmt::Display for InvalidTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.findings.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidTemplates {}
