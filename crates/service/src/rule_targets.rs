//! Whether every target that a rule names exists and takes what the rule has for it: otherwise its
//! first alert would be undeliverable.

use reflexarc::{FileDiagnostics, InvalidFiles, Rule, RuleSet, Span};
use reflexarc_delivery::config::{KnownTarget, TargetInput};
use reflexarc_diagnostic::{Code, Diagnostic, nearest};

/// Checks that the targets that enabled rules name by literals are among `known`, and take calls
/// where they are called, and messages where they are notified or sent to. A name that a script
/// computes can only be seen when it runs.
///
/// ```
/// use reflexarc::RuleSet;
/// use reflexarc_delivery::config::KnownTarget;
/// use reflexarc_service::check_targets;
///
/// let rules = RuleSet::compile([("a.toml", "when = 'a exists'\nnotify = ['network-taem']")])?;
/// let known = [KnownTarget::named("network-team")];
/// let error = check_targets(&rules, &known).expect_err("it is misspelt");
/// assert!(error.to_string().contains("a.toml:2:11"));
/// assert!(error.to_string().contains("did you mean `network-team`?"));
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
///
/// # Errors
/// With a diagnostic for each place where a rule names another target, or one that takes no such
/// action.
pub fn check_targets(rules: &RuleSet, known: &[KnownTarget]) -> Result<(), InvalidFiles> {
    let files = findings(rules, |rule| {
        let named = rule.targets().into_iter();
        let unknown = named.filter(|(name, _)| find(known, name).is_none());
        let mut found: Vec<Diagnostic> = unknown
            .map(|(name, span)| unknown_target(&name, span, known))
            .collect();
        found.extend(wrong_inputs(rule, known));
        found.sort_by_key(|found| found.span.start);
        found
    });
    if files.is_empty() {
        Ok(())
    } else {
        Err(InvalidFiles::new(files))
    }
}

/// What is found in the enabled rules, by file.
//
// A disabled rule sends and calls nothing; its targets may not exist yet.
fn findings(rules: &RuleSet, find: impl Fn(&Rule) -> Vec<Diagnostic>) -> Vec<FileDiagnostics> {
    let enabled = rules.rules().filter(|rule| rule.enabled());
    let files = enabled.map(|rule| FileDiagnostics {
        name: rule.file().to_owned(),
        text: rule.text().to_owned(),
        diagnostics: find(rule),
    });
    files.filter(|file| !file.diagnostics.is_empty()).collect()
}

fn find<'k>(known: &'k [KnownTarget], name: &str) -> Option<&'k KnownTarget> {
    known.iter().find(|target| target.name == name)
}

/// Calls of targets for messages, and messages to targets for calls.
fn wrong_inputs(rule: &Rule, known: &[KnownTarget]) -> Vec<Diagnostic> {
    let input = |name: &str| find(known, name).map(|target| target.input);
    let calls = rule.calls().into_iter();
    let calls = calls.filter_map(|call| {
        let Some(TargetInput::Messages(kind)) = input(&call.target) else {
            return None;
        };
        let message = format!("`{}` is of type {kind}, which takes no calls", call.target);
        let help = "name a target of type alibaba or http, or use `send`";
        Some((call.target_span, message, help))
    });
    let messages = rule.message_targets().into_iter();
    let messages = messages.filter_map(|(name, span)| {
        let Some(TargetInput::Calls(kind)) = input(&name) else {
            return None;
        };
        let message = format!("`{name}` is of type {kind}, which takes calls only");
        let help = "use `call`, or name a target for messages and documents";
        Some((span, message, help))
    });
    let found = calls.chain(messages);
    found
        .map(|(span, message, help)| {
            Diagnostic::error(Code::WRONG_TARGET, span, message).with_help(help)
        })
        .collect()
}

/// Without a fix, although the nearest name is known: an alert that goes to the wrong people
/// because a program guessed is worse than one more look at the file.
fn unknown_target(name: &str, span: Span, known: &[KnownTarget]) -> Diagnostic {
    let table = if is_bare_key(name) {
        format!("[targets.{name}]")
    } else {
        format!("[targets.{name:?}]")
    };
    let names: Vec<&str> = known.iter().map(|target| target.name.as_str()).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => format!("no targets are configured; add {table}"),
        None => format!(
            "the configuration has: {}; or add {table}",
            names.join(", ")
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
