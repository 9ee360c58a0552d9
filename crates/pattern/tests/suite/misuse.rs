//! Filters in the spelling of other languages: each error is at its word, with the right spelling.

use std::fmt::Write as _;

use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_pattern::{Dialect, Pattern};

/// Misuses of the expression notation that have one right spelling.
const EXPRESSIONS: &str = include_str!("../misuse/expressions.txt");
/// Misuses that have no spelling in a filter.
const INEXPRESSIBLE: &str = include_str!("../misuse/inexpressible.txt");

/// Misuses of JSON notation.
const JSON: &str = include_str!("../misuse/json.txt");

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("## "))
}

fn errors(text: &str) -> Vec<Diagnostic> {
    match Pattern::parse(text, Dialect::Reflexarc) {
        // An operator as a key is a path; the warning says what is meant.
        Ok(pattern) => {
            let warnings = pattern.warnings().to_vec();
            assert!(
                !warnings.is_empty(),
                "accepted: {text} as {}",
                pattern.to_expression()
            );
            warnings
        }
        Err(error) => {
            let found = error.into_diagnostics();
            found
                .into_iter()
                .filter(|found| found.severity == Severity::Error)
                .collect()
        }
    }
}

/// The errors of a text that may be a filter.
fn errors_of(text: &str) -> Vec<Diagnostic> {
    match Pattern::parse(text, Dialect::Reflexarc) {
        Ok(_) => Vec::new(),
        Err(error) => error.into_diagnostics(),
    }
}

/// Each text with its errors: code, line and column, message, help, and the text with the fix.
fn table<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut table = String::new();
    for text in texts {
        writeln!(table, "{text}").expect("text");
        for error in errors(text) {
            writeln!(table, "    {}", error.summary(text)).expect("text");
            if let Some(help) = &error.help {
                writeln!(table, "        help: {help}").expect("text");
            }
            if let Some(fix) = &error.fix {
                let mut fixed = text.to_owned();
                fixed.replace_range(fix.span.clone(), &fix.replacement);
                writeln!(table, "        fix: {fixed}").expect("text");
            }
        }
    }
    table
}

/// The texts in backticks.
fn quoted(help: &str) -> impl Iterator<Item = &str> {
    help.split('`').skip(1).step_by(2)
}

#[test]
fn misuses_of_expressions_have_one_spelling_each() {
    insta::assert_snapshot!(table(lines(EXPRESSIONS)));
    for text in lines(EXPRESSIONS) {
        let found = errors(text);
        let helps = found.iter().filter_map(|error| error.help.as_ref());
        let mut spellings = helps.flat_map(|help| quoted(help));
        let has_right = spellings.any(|spelling| spelling.parse::<Pattern>().is_ok());
        let is_fixed = found.iter().any(|error| error.fix.is_some());
        assert!(has_right || is_fixed, "{text}\n{found:#?}");
    }
}

#[test]
fn misuses_of_json_have_one_spelling_each() {
    insta::assert_snapshot!(table(lines(JSON)));
    for text in lines(JSON) {
        let found = errors(text);
        assert!(
            found
                .iter()
                .all(|error| error.help.is_some() || error.fix.is_some()),
            "{text}"
        );
    }
}

#[test]
fn what_a_filter_cannot_express_is_said() {
    insta::assert_snapshot!(table(lines(INEXPRESSIBLE)));
    assert!(lines(INEXPRESSIBLE).all(|text| errors(text).iter().any(|error| error.help.is_some())));
}

#[test]
fn errors_are_at_a_word_and_not_on_the_last_line() {
    for text in lines(EXPRESSIONS).chain(lines(INEXPRESSIBLE)) {
        let in_file = format!("\n# comment\n{text}\n   \n# end\n\n");
        for error in errors(&in_file) {
            let at = &in_file[error.span.clone()];
            let is_in_text = error.span.start >= 11 && error.span.end <= 11 + text.len();
            assert!(
                is_in_text && !at.trim().is_empty(),
                "{text}: {error:?} at {at:?}"
            );
        }
    }
}

#[test]
fn misuses_whose_errors_all_have_fixes_become_filters() {
    let all = [EXPRESSIONS, INEXPRESSIBLE, JSON].map(lines);
    for original in all.into_iter().flatten() {
        let mut text = original.to_owned();
        // As `check --fix`: all fixes of a report at once, and again.
        for _ in 0..8 {
            let found = errors_of(&text);
            let mut fixes: Vec<_> = found.iter().filter_map(|one| one.fix.clone()).collect();
            if fixes.len() < found.len() {
                break;
            }
            fixes.sort_by_key(|fix| std::cmp::Reverse(fix.span.start));
            for fix in fixes {
                text.replace_range(fix.span, &fix.replacement);
            }
        }
        let remaining = errors_of(&text);
        let is_unfixed = text == original && !remaining.is_empty();
        assert!(
            is_unfixed || remaining.is_empty(),
            "{original} became {text}: {remaining:#?}"
        );
    }
}

#[test]
fn independent_errors_are_all_reported() {
    let count = |text: &str| errors(text).len();
    assert_eq!(count("len(a) > 2 and b = 1 and c == 1"), 2);
    assert_eq!(
        count("startsWith(a, \"x\") or (b in (1, 2) and not c) or d strats with \"x\""),
        4
    );
    assert_eq!(count("a == \"x\" or \"y\" or \"z\""), 1);
    assert_eq!(count("a == 1 and and b == 2"), 1);
    assert_eq!(count("a between 1 and 5 and b between 2 and 3"), 2);
    assert_eq!(count("a == 1 AND len(b) > 1"), 2);
}
