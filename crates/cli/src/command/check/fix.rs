//! `reflexarc check --fix`: apply the fixes of findings to the rule files.

use std::path::PathBuf;

use reflexarc::{Rule, RuleSet};
use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, Fix, Severity};
use reflexarc_event::Position;
use reflexarc_pattern::Dialect;

use crate::exit::Failure;
use crate::output::Output;
use crate::output::rewrite::rewrite;

/// How often a file is fixed again: an applied fix can uncover the next finding, for example when
/// the parser of a filter stops at the first error.
const MAX_ROUNDS: usize = 16;

/// A file with fixes applied.
#[derive(Debug, Default)]
struct FixedFile {
    text: String,
    /// A line for each applied fix.
    applied: Vec<String>,
    /// A line for each fix that was left out because it would do harm.
    rejected: Vec<String>,
}

/// What is done with fixed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They replace the files.
    Write,
    /// Their differences are printed.
    Diff,
}

/// The findings in a file, given its path and text.
type FindingsOf<'a> = &'a dyn Fn(&str, &str) -> Vec<Diagnostic>;

/// Fixes the rule files, and returns the number of fixes. Each of them is reported on stderr.
/// Findings with the codes in `allowed` are not fixed.
pub(super) fn run(
    paths: &[PathBuf],
    mode: Mode,
    allowed: &[Code],
    output: &mut Output,
) -> Result<usize, Failure> {
    let find = |name: &str, text: &str| {
        let mut found = findings(name, text);
        super::remove_allowed(&mut found, allowed);
        found
    };
    let mut count = 0;
    for (name, text) in files_with_findings(paths) {
        let fixed = fix(&name, text.clone(), &find);
        for line in &fixed.rejected {
            output.status(line);
        }
        if fixed.applied.is_empty() {
            continue;
        }
        count += fixed.applied.len();
        match mode {
            Mode::Write => {
                rewrite(&name, &fixed.text)?;
                for line in &fixed.applied {
                    output.status(line);
                }
            }
            Mode::Diff => crate::output::diff::print(&name, &text, &fixed.text, output)?,
        }
    }
    let verb = if mode == Mode::Write {
        "applied"
    } else {
        "available"
    };
    let noun = if count == 1 { "fix" } else { "fixes" };
    output.status(&format!("{count} {noun} {verb}"));
    Ok(count)
}

/// Path and text of the files that may have fixes.
fn files_with_findings(paths: &[PathBuf]) -> Vec<(String, String)> {
    let text_of = |file: &FileDiagnostics| (file.name.clone(), file.text.clone());
    let mut files: Vec<_> = match RuleSet::load_all(paths) {
        Ok(rules) => rules
            .rules()
            .map(|rule| (rule.file().to_owned(), rule.text().to_owned()))
            .collect(),
        // A file that cannot be read has no text.
        Err(error) => error.files().iter().map(text_of).collect(),
    };
    files.retain(|(_, text)| !text.is_empty());
    files.sort();
    files.dedup_by(|a, b| a.0 == b.0);
    files
}

/// Applies the fixes of all findings in the file, then those of the findings that remain.
fn fix(name: &str, text: String, find: FindingsOf) -> FixedFile {
    let mut fixed = FixedFile {
        text,
        ..FixedFile::default()
    };
    for _ in 0..MAX_ROUNDS {
        let before = fixed.applied.len();
        // Only the last round knows which fixes stay out: others may have made room for them.
        fixed.rejected.clear();
        apply_round(name, &mut fixed, find);
        if fixed.applied.len() == before {
            break;
        }
    }
    fixed
}

/// Applies the fixes that do not overlap, from the end of the file to its beginning, so that the
/// spans of the remaining ones stay valid.
fn apply_round(name: &str, fixed: &mut FixedFile, find: FindingsOf) {
    let found = find(name, &fixed.text);
    let original = fixed.text.clone();
    let mut errors = count_errors(&found);
    let mut fixes: Vec<(&Diagnostic, &Fix)> = found
        .iter()
        .filter_map(|finding| Some((finding, finding.fix.as_ref()?)))
        .collect();
    fixes.sort_by_key(|(_, fix)| std::cmp::Reverse((fix.span.start, fix.span.end)));
    // Everything from here on has been changed or rejected.
    let mut limit = usize::MAX;
    let mut applied = Vec::new();
    for (finding, fix) in fixes {
        // An insertion at the start of the next fix touches it: the order of the two is unknown.
        if fix.span.end >= limit && limit != usize::MAX {
            continue;
        }
        let Some(old) = fixed.text.get(fix.span.clone()) else {
            continue;
        };
        if old == fix.replacement {
            continue;
        }
        let line = Position::of(original.as_bytes(), finding.span.start).line;
        let place = format!("{name}:{line}: {}: {}", finding.code, finding.message);
        let mut candidate = fixed.text.clone();
        candidate.replace_range(fix.span.clone(), &fix.replacement);
        let after = find(name, &candidate);
        if after.iter().any(|found| found.code == Code::RULE_TOML) {
            let reason = "the file would not be valid TOML";
            fixed
                .rejected
                .push(format!("not fixed: {place} ({reason})"));
            continue;
        }
        let remaining = count_errors(&after);
        if remaining > errors {
            let reason = "the file would have more errors";
            fixed
                .rejected
                .push(format!("not fixed: {place} ({reason})"));
            continue;
        }
        errors = remaining;
        limit = fix.span.start;
        fixed.text = candidate;
        applied.push(format!("fixed: {place}"));
    }
    applied.reverse();
    fixed.applied.append(&mut applied);
}

/// The findings in one file on its own: errors, warnings and hints.
fn findings(name: &str, text: &str) -> Vec<Diagnostic> {
    match RuleSet::compile([(name, text)]) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            let mut found: Vec<_> = files.flat_map(|file| file.diagnostics.clone()).collect();
            let hints = rules
                .rules()
                .flat_map(|rule: &Rule| rule.check(Dialect::Reflexarc));
            found.extend(hints.filter(|found| found.severity == Severity::Hint));
            found
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

fn count_errors(found: &[Diagnostic]) -> usize {
    found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fixed(text: &str) -> FixedFile {
        fix("r.toml", text.to_owned(), &findings)
    }

    #[test]
    fn fixes_that_break_the_file_are_left_out() {
        /// Findings of the file, and one more whose fix does harm.
        fn with_harmful(name: &str, text: &str) -> Vec<Diagnostic> {
            let mut found = findings(name, text);
            let end = text.len();
            for replacement in ["'", "level = 5\n"] {
                let harmful = Diagnostic::warning(Code::RULE_VALUE, 0..4, replacement);
                found.push(harmful.with_fix(end..end, replacement));
            }
            found
        }
        let text = "when = 'a = 1'\nnotify = 't'\n";
        let result = fix("r.toml", text.to_owned(), &with_harmful);
        assert_eq!(result.text, text.replace("a = 1", "a == 1"));
        assert_eq!(
            result.rejected,
            [
                "not fixed: r.toml:1: RA0404: ' (the file would not be valid TOML)",
                "not fixed: r.toml:1: RA0404: level = 5\n (the file would have more errors)",
            ]
        );
    }

    #[test]
    fn fixes_in_basic_strings_are_escaped() {
        let text = r#"when = "{\"a\": [{\"prefxi\": \"x\"}]}"
notify = "t"
"#;
        let result = fixed(text);
        assert_eq!(result.text, text.replace("prefxi", "prefix"));
        assert_eq!(result.applied.len(), 1, "{result:?}");
    }

    #[test]
    fn later_rounds_fix_what_earlier_ones_uncover() {
        let result = fixed("when = 'a = \"x\" && b = \"y\"'\nnotify = 't'\n");
        assert_eq!(
            result.text,
            "when = 'a == \"x\" and b == \"y\"'\nnotify = 't'\n"
        );
        assert_eq!(
            (result.applied.len(), result.rejected.len()),
            (3, 0),
            "{result:?}"
        );
    }

    #[test]
    fn a_file_without_findings_is_unchanged() {
        let text = "when = 'a == 1'\nnotify = 't'\n";
        let result = fixed(text);
        assert_eq!((result.text.as_str(), result.applied.len()), (text, 0));
    }
}
