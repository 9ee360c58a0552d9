//! Errors of compiling and of running.

use std::fmt;

use reflexarc_diagnostic::Diagnostic;

use crate::SourceLocation;

/// Why a script or a template cannot be compiled. Displayed, it is one line per error.
///
/// ```
/// use reflexarc_reaction::{Reaction, ReactionLimits};
///
/// let error = Reaction::compile(r#"notify("t", evnt.name)"#, &ReactionLimits::DEFAULT)
///     .expect_err("`evnt` is unknown");
/// assert_eq!(error.diagnostics()[0].message, "unknown variable `evnt`");
/// assert_eq!(error.diagnostics()[0].span, 12..16);
/// assert_eq!(error.diagnostics()[0].help.as_deref(), Some("did you mean `event`?"));
/// assert!(error.to_string().ends_with(" at 1:13: unknown variable `evnt`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    source: Box<str>,
    diagnostics: Vec<Diagnostic>,
}

/// Why a reaction failed. A failed reaction has no effects.
///
/// ```
/// # use reflexarc_event::Event;
/// # use reflexarc_reaction::{Input, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent};
/// use jiff::Timestamp;
/// use reflexarc_reaction::ReactionError;
///
/// let reaction = Reaction::compile("let n = 0;\nloop { n += 1 }", &ReactionLimits::DEFAULT)?;
/// # let event = ScriptEvent::new(&Event::from_json("{}")?);
/// # let rule = RuleInfo::named("endless");
/// let error = reaction
///     .run(&Input::new(&event, &rule, Timestamp::UNIX_EPOCH), &NoState)
///     .expect_err("the loop has no end");
/// assert!(matches!(error, ReactionError::Limit { limit: "operations", .. }));
/// assert_eq!(error.message(), "the script runs more than 50,000 operations");
/// assert_eq!(error.at().map(|location| location.line), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReactionError {
    /// The script made an error, or threw one.
    #[error("{}{message}", prefix(.at.as_ref()))]
    Script {
        /// The error; for a call it names the function and the arguments that it expects.
        message: String,
        /// The location in the source.
        at: Option<SourceLocation>,
        /// The innermost function of the script in which it happened.
        function: Option<String>,
    },
    /// The script exceeded a limit. It cannot catch this error.
    #[error("{}{message} (limit `{limit}`)", prefix(.at.as_ref()))]
    Limit {
        /// The field of [`ReactionLimits`](crate::ReactionLimits).
        limit: &'static str,
        /// The error, with the value of the limit.
        message: String,
        /// The location in the source.
        at: Option<SourceLocation>,
        /// The innermost function of the script in which it happened.
        function: Option<String>,
    },
}

impl CompileError {
    pub(crate) fn new(source: &str, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            source: source.into(),
            diagnostics,
        }
    }

    /// What is wrong, by location; never empty. Spans are bytes of the source.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The diagnostics, owned.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            f.write_str(&diagnostic.summary(&self.source))?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

impl ReactionError {
    /// The error without its location.
    pub fn message(&self) -> &str {
        match self {
            Self::Script { message, .. } | Self::Limit { message, .. } => message,
        }
    }

    /// The location in the source.
    pub fn at(&self) -> Option<SourceLocation> {
        match self {
            Self::Script { at, .. } | Self::Limit { at, .. } => *at,
        }
    }
}

fn prefix(at: Option<&SourceLocation>) -> String {
    at.map(|location| format!("{location}: "))
        .unwrap_or_default()
}
