//! Whether the service can evaluate every rule: it keeps no matches of time windows.

use reflexarc::{FileDiagnostics, InvalidFiles, Rule, RuleSet};
use reflexarc_diagnostic::{Code, Diagnostic};

/// Checks that no enabled rule has a time window.
///
/// ```
/// use reflexarc::RuleSet;
/// use reflexarc_service::check_windows;
///
/// let text = "when = 'a exists'\ncount = { at_least = 2, within = '1m' }\nnotify = ['team']";
/// let rules = RuleSet::compile([("a.toml", text)])?;
/// let error = check_windows(&rules).expect_err("it counts").to_string();
/// assert!(error.contains("a.toml:2:9"), "{error}");
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
///
/// # Errors
/// With a diagnostic for each such rule.
//
// Its store has no table for matches, and nothing would fire deadlines. Evaluated all the same, a
// rule that waits for what does not happen would never react, which looks like all being well.
pub fn check_windows(rules: &RuleSet) -> Result<(), InvalidFiles> {
    let files: Vec<FileDiagnostics> = rules
        .rules()
        // A disabled rule is not evaluated.
        .filter(|rule| rule.enabled())
        .filter_map(refused)
        .collect();
    if files.is_empty() {
        Ok(())
    } else {
        Err(InvalidFiles::new(files))
    }
}

fn refused(rule: &Rule) -> Option<FileDiagnostics> {
    let (window, span) = rule.window().zip(rule.window_span())?;
    let fault = Diagnostic::error(
        Code::SERVICE_WINDOW,
        span,
        format!("`{}` is not supported by the service yet", window.key()),
    );
    let help = "`reflexarc test`, `run` and `simulate` evaluate this rule; the store of the service \
                keeps no matches yet: move the file out of the rules of the service, or set \
                `enabled = false`";
    Some(FileDiagnostics {
        name: rule.file().to_owned(),
        text: rule.text().to_owned(),
        diagnostics: vec![fault.with_help(help)],
    })
}
