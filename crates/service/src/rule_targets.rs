//! Whether every target that a rule names exists: otherwise its first alert would be undeliverable.

use reflexarc::{FileDiagnostics, InvalidFiles, Rule, RuleSet, Span};
use reflexarc_diagnostic::{Code, Diagnostic, nearest};

/// Checks that the targets that enabled rules name by literals are among `known`. A name that a
/// script computes can only be seen when it runs.
///
/// ```
/// use reflexarc::RuleSet;
/// use reflexarc_service::check_targets;
///
/// let rules = RuleSet::compile([("a.toml", "when = 'a exists'\nnotify = ['network-taem']")])?;
/// let error = check_targets(&rules, &["network-team".to_owned()]).expect_err("it is misspelt");
/// assert!(error.to_string().contains("a.toml:2:11"));
/// assert!(error.to_string().contains("did you mean `network-team`?"));
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
///
/// # Errors
/// With a diagnostic for each place where a rule names another target.
pub fn check_targets(rules: &RuleSet, known: &[String]) -> Result<(), InvalidFiles> {
    let files: Vec<FileDiagnostics> = rules
        .rules()
        // A disabled rule sends nothing; its targets may not exist yet.
        .filter(|rule| rule.enabled())
        .filter_map(|rule| unknown_targets(rule, known))
        .collect();
    if files.is_empty() {
        Ok(())
    } else {
        Err(InvalidFiles::new(files))
    }
}

fn unknown_targets(rule: &Rule, known: &[String]) -> Option<FileDiagnostics> {
    let named = rule.targets().into_iter();
    let diagnostics: Vec<Diagnostic> = named
        .filter(|(name, _)| !known.contains(name))
        .map(|(name, span)| unknown_target(&name, span, known))
        .collect();
    (!diagnostics.is_empty()).then(|| FileDiagnostics {
        name: rule.file().to_owned(),
        text: rule.text().to_owned(),
        diagnostics,
    })
}

/// Without a fix, although the nearest name is known: an alert that goes to the wrong people
/// because a program guessed is worse than one more look at the file.
fn unknown_target(name: &str, span: Span, known: &[String]) -> Diagnostic {
    let table = if is_bare_key(name) {
        format!("[targets.{name}]")
    } else {
        format!("[targets.{name:?}]")
    };
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => format!("no targets are configured; add {table}"),
        None => format!(
            "the configuration has: {}; or add {table}",
            known.join(", ")
        ),
    };
    Diagnostic::error(
        Code::UNKNOWN_TARGET,
        span,
        format!("unknown target `{name}`"),
    )
    .with_help(help)
}

fn is_bare_key(name: &str) -> bool {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    !name.is_empty() && name.chars().all(is_bare)
}
