//! Checks rule files and applies every fix. A text that is no rule file becomes the filter of one,
//! in each kind of TOML string. A fix leaves TOML as TOML, its own finding is gone, and the parser
//! of the filter stops nowhere where it did not stop before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reflexarc::RuleSet;
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_diagnostic::{Code, Diagnostic};

fuzz_target!(|text: &str| {
    // Each fix is a file to check again, so a long text would be slow without showing more.
    if text.len() > 4096 {
        return;
    }
    for file in rule_files(text) {
        check_fixes(&file);
    }
});

/// The text itself if it looks like a rule file, otherwise rules with it as the filter.
fn rule_files(text: &str) -> Vec<String> {
    if text.contains("when") {
        return vec![text.to_owned()];
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    let strings = [
        format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r")),
        format!("\"\"\"\n{escaped}\"\"\""),
        format!("'{text}'"),
        format!("'''\n{text}'''"),
    ];
    let rule = |string: String| format!("when = {string}\nnotify = \"team\"\n");
    strings
        .into_iter()
        .map(rule)
        .filter(|file| is_toml(file))
        .collect()
}

fn check_fixes(file: &str) {
    let before = findings(file);
    let was_toml = is_toml(file);
    for finding in &before {
        let _ = finding.render("rule.toml", file, false);
        let Some(fix) = &finding.fix else { continue };
        let mut fixed = file.to_owned();
        fixed.replace_range(fix.span.clone(), &fix.replacement);
        assert!(
            !was_toml || is_toml(&fixed),
            "{finding:?}\nbreaks the file:\n{file}\n{fixed}"
        );
        let after = findings(&fixed);
        let is_same = |other: &&Diagnostic| {
            other.code == finding.code
                && other.message == finding.message
                && other.span.start == finding.span.start
                && other.fix.as_ref() == Some(fix)
        };
        assert!(
            after.iter().find(is_same).is_none(),
            "{finding:?}\nstays after its fix:\n{file}\n{fixed}"
        );
        assert!(
            stops(&after) <= stops(&before),
            "{finding:?}\ncauses a syntax error:\n{file}\n{fixed}\n{after:?}"
        );
    }
}

/// The number of errors after which a filter cannot be read.
fn stops(found: &[Diagnostic]) -> usize {
    found
        .iter()
        .filter(|found| matches!(found.code, Code::UNCLOSED | Code::INVALID_STRING))
        .count()
}

fn findings(file: &str) -> Vec<Diagnostic> {
    match RuleSet::compile([("rule.toml", file)]) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            files.flat_map(|file| file.diagnostics.clone()).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

fn is_toml(file: &str) -> bool {
    !Document::parse(file, "the rule", FaultCodes::RULE).has_syntax_errors()
}
