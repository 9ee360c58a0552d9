//! `reflexarc check --fix`: apply the fixes of findings to the rule files.

use std::path::PathBuf;

use reflexarc::{Rule, RuleSet, Tables};
use reflexarc_diagnostic::{Code, Diagnostic, Fix, Severity, remove_allowed};
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
    /// Whether more fixes could be applied.
    is_unfinished: bool,
}

/// What is done with fixed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They replace the files.
    Write,
    /// Their differences are printed.
    Diff,
}

/// The findings in a file.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<Diagnostic>,
    /// Errors of the rule, without those that only a service would report.
    errors: usize,
    /// Errors at which reading the filter or the script stops.
    stops: usize,
}

/// Finds what is wrong in a file, given its path and text.
type Find<'a> = &'a dyn Fn(&str, &str) -> Findings;

/// What [`run`] did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Fixes applied, or available with [`Mode::Diff`].
    pub(super) fixes: usize,
    /// Whether fixes are left after the last round.
    pub(super) is_unfinished: bool,
}

/// Fixes the rule files, also what the service of a dialect would report. Each fix is reported on
/// stderr. Findings with the codes in `allowed` are not fixed.
pub(super) fn run(
    paths: &[PathBuf],
    mode: Mode,
    (dialect, allowed): (Option<Dialect>, &[Code]),
    output: &mut Output,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let tables = Tables::load(paths);
    let find = |name: &str, text: &str| {
        let mut findings = findings(name, text, &tables, dialect);
        remove_allowed(&mut findings.found, |code| allowed.contains(&code));
        findings
    };
    // Every file, not only those with findings of their own: an error in one file hides the hints
    // of the others.
    for (name, text) in RuleSet::read_texts(paths) {
        let fixed = fix(&name, text.clone(), &find);
        for line in &fixed.rejected {
            output.status(line);
        }
        if fixed.applied.is_empty() {
            continue;
        }
        outcome.fixes += fixed.applied.len();
        match mode {
            Mode::Write => {
                rewrite(&name, &fixed.text)?;
                for line in &fixed.applied {
                    output.status(line);
                }
            }
            Mode::Diff => crate::output::diff::print(&name, &text, &fixed.text, output)?,
        }
        if fixed.is_unfinished {
            outcome.is_unfinished = true;
            output.status(&format!(
                "{name}: fixes are left after {MAX_ROUNDS} rounds; run the command again"
            ));
        }
    }
    let verb = if mode == Mode::Write {
        "applied"
    } else {
        "available"
    };
    let count = outcome.fixes;
    let noun = if count == 1 { "fix" } else { "fixes" };
    output.status(&format!("{count} {noun} {verb}"));
    Ok(outcome)
}

/// Applies the fixes of all findings in the file, then those of the findings that remain.
fn fix(name: &str, text: String, find: Find<'_>) -> FixedFile {
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
            return fixed;
        }
    }
    let mut more = FixedFile {
        text: fixed.text.clone(),
        ..FixedFile::default()
    };
    apply_round(name, &mut more, find);
    fixed.is_unfinished = !more.applied.is_empty();
    fixed
}

/// Applies the fixes that do not overlap, from the end of the file to its beginning, so that the
/// spans of the remaining ones stay valid.
fn apply_round(name: &str, fixed: &mut FixedFile, find: Find<'_>) {
    let Findings {
        found,
        mut errors,
        mut stops,
    } = find(name, &fixed.text);
    let original = fixed.text.clone();
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
        let is_toml = after
            .found
            .iter()
            .all(|found| found.code != Code::RULE_TOML);
        let harm = if !is_toml && found.iter().all(|found| found.code != Code::RULE_TOML) {
            Some("the file would not be valid TOML")
        } else if after.errors > errors {
            Some("the file would have more errors")
        } else if after.stops > stops {
            Some("the filter or the script could not be read")
        } else {
            None
        };
        if let Some(reason) = harm {
            let line = format!("not fixed: {place} ({reason})");
            fixed.rejected.push(line);
            continue;
        }
        (errors, stops) = (after.errors, after.stops);
        limit = fix.span.start;
        fixed.text = candidate;
        applied.push(format!("fixed: {place}"));
    }
    applied.reverse();
    fixed.applied.append(&mut applied);
}

/// The findings in one file on its own: errors, warnings and hints, and what the service of a
/// dialect would report.
fn findings(name: &str, text: &str, tables: &Tables, dialect: Option<Dialect>) -> Findings {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut of_dialect = Vec::new();
    match RuleSet::compile_with_tables([(name, text)], tables) {
        Ok(rules) => {
            // Not about the tables that only other rules use.
            let files = rules.warnings().iter().filter(|file| file.name == name);
            found.extend(files.flat_map(|file| file.diagnostics.clone()));
            let hints = rules
                .rules()
                .flat_map(|rule: &Rule| rule.check(Dialect::Reflexarc));
            found.extend(hints.filter(|found| found.severity == Severity::Hint));
            if let Some(dialect) = dialect {
                of_dialect.extend(rules.rules().flat_map(|rule| rule.check(dialect)));
            }
        }
        // A fault in a table has no fix in the rule.
        Err(error) => {
            let files = error.files().iter().filter(|file| file.name == name);
            found.extend(files.flat_map(|file| file.diagnostics.clone()));
        }
    }
    let errors = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let is_stop = |found: &&Diagnostic| {
        matches!(
            found.code,
            Code::SYNTAX | Code::UNCLOSED | Code::INVALID_STRING | Code::SCRIPT_SYNTAX
        )
    };
    let stops = found.iter().filter(is_stop).count();
    found.extend(of_dialect);
    Findings {
        found,
        errors,
        stops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fixed(text: &str) -> FixedFile {
        fix("r.toml", text.to_owned(), &|name, text| {
            findings(name, text, &Tables::default(), None)
        })
    }

    #[test]
    fn fixes_that_break_the_file_are_left_out() {
        /// Findings of the file, and one more whose fix does harm.
        fn with_harmful(name: &str, text: &str) -> Findings {
            let mut findings = findings(name, text, &Tables::default(), None);
            let end = text.len();
            for replacement in ["'", "level = 5\n"] {
                let harmful = Diagnostic::warning(Code::RULE_VALUE, 0..4, replacement);
                findings.found.push(harmful.with_fix(end..end, replacement));
            }
            findings
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
    fn fixes_without_end_are_reported() {
        /// A finding that every fix makes anew.
        fn endless(_: &str, text: &str) -> Findings {
            let warning = Diagnostic::warning(Code::RULE_VALUE, 0..1, "too short");
            Findings {
                found: vec![warning.with_fix(text.len()..text.len(), "#")],
                ..Findings::default()
            }
        }
        let result = fix("r.toml", "#".to_owned(), &endless);
        assert!(result.is_unfinished);
        assert_eq!(result.applied.len(), MAX_ROUNDS);
        assert!(!fixed("when = 'a = 1'\nnotify = 't'\n").is_unfinished);
    }

    #[test]
    fn a_file_without_findings_is_unchanged() {
        let text = "when = 'a == 1'\nnotify = 't'\n";
        let result = fixed(text);
        assert_eq!((result.text.as_str(), result.applied.len()), (text, 0));
    }
}
