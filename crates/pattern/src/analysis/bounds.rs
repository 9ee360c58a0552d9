//! Each limit of the analysis is reached: then nothing is claimed.

use super::{hints, warnings};
use crate::{Dialect, PatternLimits, syntax};

/// Warnings and hints under these limits, as messages.
fn found(text: &str, limits: &PatternLimits) -> Vec<String> {
    let parsed = syntax::parse(text, Dialect::Reflexarc, &PatternLimits::DEFAULT);
    let tree = parsed.tree.expect("a valid text");
    let warnings = warnings(&tree, &|_| false, limits);
    let found = warnings.into_iter().chain(hints(&tree, &|_| false, limits));
    found.map(|one| one.message).collect()
}

/// Patterns about which something is said, each for another reason.
const TEXTS: [&str; 8] = [
    "a (> 5 and < 3)",
    "a == 1 and not (a == 1)",
    r#"a (starts with "x" and ends with "y" and like "z*")"#,
    r#"a (matches "x+" and not matches "x.*")"#,
    r#"a (in cidr "10.0.0.0/8" and not in cidr "10.0.0.0/9" and == "10.1.1.1")"#,
    "a == 1 or b == 2 or not (a == 1)",
    r#"a starts with "x" or a starts with "xy""#,
    "a == 1 and b == 2 and not (a == 1 and b == 2)",
];

#[test]
fn fewer_steps_prove_less_and_nothing_else() {
    for text in TEXTS {
        let all = found(text, &PatternLimits::DEFAULT);
        assert!(!all.is_empty(), "{text}");
        let mut limits = PatternLimits::DEFAULT;
        for steps in [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] {
            limits.analysis_steps = steps;
            let some = found(text, &limits);
            assert!(steps > 2 || some.is_empty(), "{text} {steps}: {some:?}");
            // An incomplete search for what is to blame has another message.
            assert!(some.len() <= all.len(), "{text} {steps}: {some:?} {all:?}");
        }
    }
}

#[test]
fn automata_end_at_the_limit_of_bytes() {
    let mut limits = PatternLimits::DEFAULT;
    limits.analysis_bytes = 1_000;
    let text = r#"a (matches "[a-z]*1[a-z]*2" and not matches "[a-z0-9]*")"#;
    assert_eq!(found(text, &PatternLimits::DEFAULT).len(), 1);
    assert_eq!(found(text, &limits), Vec::<String>::new());
    // Numbers need none.
    assert_eq!(found("a (> 5 and < 3)", &limits).len(), 1);
}

#[test]
fn case_distinctions_end_at_the_limit_of_depth() {
    // Each of the four cases has a contradiction, after two choices.
    let text = "(a == 1 or b == 1) and (c == 1 or d == 1) and not (a == 1) and not (b == 1) \
                and not (c == 1) and not (d == 1)";
    let text = &format!("{text} and e == 1");
    let whole = |limits: &PatternLimits| {
        let found = found(text, limits);
        found.iter().any(|one| one.contains("exclude each other"))
    };
    let mut limits = PatternLimits::DEFAULT;
    assert!(whole(&limits));
    limits.depth = 0;
    assert!(!whole(&limits));
}

#[test]
fn many_conditions_do_not_hide_a_contradiction() {
    let apart: Vec<String> = (0..500).map(|n| format!("f{n} == {n}")).collect();
    let text = format!("{} and not (f7 == 7)", apart.join(" and "));
    let found = found(&text, &PatternLimits::DEFAULT);
    assert_eq!(found.len(), 1, "{found:?}");
    let excluded: Vec<String> = (0..200).map(|n| format!("!= \"x{n}\"")).collect();
    let text = format!("a ({} and == \"x150\")", excluded.join(" and "));
    let found = self::found(&text, &PatternLimits::DEFAULT);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn strings_are_compared_one_by_one_however_many() {
    let letters: Vec<String> = ('a'..='j').map(|c| format!("\"{c}\"")).collect();
    let text = format!(r#"a (matches "[a-j]" and not in [{}])"#, letters.join(", "));
    assert_eq!(found(&text, &PatternLimits::DEFAULT).len(), 1);
    let text = format!(r#"a (matches "[a-k]" and not in [{}])"#, letters.join(", "));
    assert_eq!(found(&text, &PatternLimits::DEFAULT).len(), 0);
}
