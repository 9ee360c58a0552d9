//! The examples of the reference are valid, and their tests pass.

use reflexarc::{REFERENCE, RuleSetLimits};

use crate::rules;

#[test]
fn every_example_is_valid_and_passes_its_tests() {
    let examples: Vec<_> = REFERENCE
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 11);
    let mut tests = 0;
    for example in examples {
        let rules = rules(&[("example.toml", example)]);
        assert_eq!(rules.warnings(), []);
        for test in rules.test("").iter().flat_map(|report| &report.tests) {
            assert!(test.passed(), "{}: {:?}", test.name, test.mismatches);
            tests += 1;
        }
    }
    assert_eq!(tests, 10);
}

#[test]
fn limits_are_those_of_the_code() {
    let RuleSetLimits { hops, derived, .. } = RuleSetLimits::DEFAULT;
    let text = REFERENCE.replace('\n', " ");
    assert!(text.contains(&format!("at most {hops} hops")), "{hops}");
    assert!(
        text.contains(&format!("and {derived} emitted events")),
        "{derived}"
    );
}
