//! What texts become when the fixes of their diagnostics are applied, for the tests of the crates
//! that make diagnostics.

use reflexarc_diagnostic::Diagnostic;

/// As often as `check --fix` repeats.
const ROUNDS: usize = 16;

/// Asserts what each text becomes when the first fix is applied, then the first of what remains,
/// and so on: one without findings, or unchanged (`None`), and then with a finding that has no fix.
#[track_caller]
pub(crate) fn check(findings: impl Fn(&str) -> Vec<Diagnostic>, cases: &[(&str, Option<&str>)]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let mut fixed = (*text).to_owned();
        for _ in 0..ROUNDS {
            let fix = findings(&fixed).into_iter().find_map(|found| found.fix);
            let Some(fix) = fix else { break };
            fixed.replace_range(fix.span, &fix.replacement);
        }
        let found = (fixed != *text).then_some(fixed.as_str());
        let left = findings(&fixed);
        if found != *expected || left.is_empty() != expected.is_some() {
            wrong.push(format!(
                "{text}\n  became   {found:?}\n  expected {expected:?}\n  left {left:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
