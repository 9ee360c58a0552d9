//! The examples, and what they print.

#[path = "../../examples/match.rs"]
#[expect(dead_code, reason = "the test calls `run`, not `main`")]
mod match_events;
#[path = "../../examples/own_state.rs"]
#[expect(dead_code, reason = "the test calls `run`, not `main`")]
mod own_state;
#[path = "../../examples/rules.rs"]
#[expect(dead_code, reason = "the test calls `run`, not `main`")]
mod rules;

#[test]
fn the_match_example_prints_patterns_and_an_explanation() {
    insta::assert_snapshot!(match_events::run().unwrap());
}

#[test]
fn the_rules_example_prints_tests_actions_and_an_explanation() {
    insta::assert_snapshot!(rules::run().unwrap());
}

#[test]
fn the_own_state_example_reports_every_third_failure() {
    insta::assert_snapshot!(own_state::run().unwrap());
}
