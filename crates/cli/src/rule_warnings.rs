//! The warnings about rules that a command draws before it uses them.

use reflexarc::RuleSet;

use crate::output::Output;

/// Most rules of a set whose warnings are drawn: they take longer than loading the rules, about a
/// second for so many, and `serve` and `run` should not wait for more of them.
const MOST_RULES: usize = 10_000;

/// Draws the warnings about the rules to stderr; for a large set, that they are not computed.
pub(crate) fn draw(rules: &RuleSet, output: &mut Output) {
    match note(rules.len(), MOST_RULES) {
        Some(note) => output.status(&note),
        None => output.diagnostics(rules.warnings()),
    }
}

/// Warns that there is no rule: a command that has nothing to do succeeds.
pub(crate) fn draw_emptiness(rules: &RuleSet, output: &mut Output) {
    if rules.is_empty() {
        output.status("warning: no rules found; a rule is a file whose name ends in `.toml`");
    }
}

/// What is written in place of the warnings about so many rules.
fn note(rules: usize, most: usize) -> Option<String> {
    (rules > most).then(|| {
        format!("the {rules} rules were not checked for warnings; run `reflexarc check` for them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sets_have_a_note_in_place_of_warnings() {
        assert_eq!(note(2, 2), None);
        let note = note(3, 2).expect("a note");
        assert!(note.starts_with("the 3 rules were not checked"), "{note}");
    }
}
