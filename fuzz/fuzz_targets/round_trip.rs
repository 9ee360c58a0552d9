//! Prints trees from the generators of the property tests in both notations and parses them again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reflexarc_pattern::{Dialect, Pattern};

#[path = "../../crates/pattern/tests/suite/generate.rs"]
#[allow(dead_code, unreachable_pub)]
mod generate;

fuzz_target!(|bytes: &[u8]| {
    // The bytes are a seed and not the random numbers themselves: a generator that rejects numbers
    // and draws again would never end once the bytes are used up.
    let Some(seed) = bytes.first_chunk::<32>() else {
        return;
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let Ok(node) = generate::nodes().new_tree(&mut runner) else {
        return;
    };
    let pattern = Pattern::from_node(node.current());
    for text in [pattern.to_expression(), pattern.to_json()] {
        let again = Pattern::parse(&text, Dialect::Reflexarc)
            .unwrap_or_else(|errors| panic!("{text} is rejected: {errors:?}"));
        assert_eq!(again.node(), pattern.node(), "{text}");
    }
});
