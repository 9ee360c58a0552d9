//! Patterns and an event, as text or made by the generators: the matcher gives the answers of the plain evaluator, each
//! pattern alone and all of them together, and so do every explanation and every pattern exported for AWS.
//!
//! Input that starts with `T` is text: one pattern a line, an empty line, the bytes of the event. Anything else feeds
//! the generators.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reflexarc_event::Json;
use reflexarc_pattern::explain::explain;
use reflexarc_pattern::{Dialect, Matcher, Node, Pattern, Scratch, naive};

#[path = "../../crates/pattern/tests/suite/generate.rs"]
#[allow(dead_code, unreachable_pub)]
mod generate;

/// The plain evaluator is exponential: longer input is not worth its time.
const LONGEST: usize = 2_048;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > LONGEST {
        return;
    }
    let Some((nodes, event)) = (match bytes.strip_prefix(b"T") {
        Some(text) => read(text),
        None => generated(bytes),
    }) else {
        return;
    };
    let tree = Json::parse(&event);
    let mut scratch = Scratch::new();
    let mut found = Vec::new();
    let Ok(all) = Matcher::build(&nodes) else {
        return;
    };
    let answer = all.matching_bytes(&event, &mut scratch, &mut found);
    let Ok(tree) = tree else {
        assert!(answer.is_err(), "the matcher accepts what is no JSON");
        return;
    };
    let plainly: Vec<u32> = (0u32..)
        .zip(&nodes)
        .filter(|(_, node)| naive::matches(node, &tree))
        .map(|(id, _)| id)
        .collect();
    let texts = || {
        nodes
            .iter()
            .map(|node| Pattern::from_node(node.clone()).to_json())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (answer, &found),
        (Ok(()), &plainly),
        "{:?} on {tree}",
        texts()
    );
    for (id, node) in (0u32..).zip(&nodes) {
        let expected = plainly.contains(&id);
        let alone = Matcher::build([node]).expect("what fits among others fits alone");
        assert_eq!(
            alone.has_match_bytes(&event, &mut scratch),
            Ok(expected),
            "{:?} on {tree}",
            texts()
        );
        assert_eq!(
            explain(node, &tree).matched(),
            expected,
            "{:?} on {tree}",
            texts()
        );
        if let Ok(exported) = Pattern::from_node(node.clone()).export(Dialect::Aws) {
            let again =
                Pattern::parse(&exported, Dialect::Aws).expect("what is exported is accepted");
            assert_eq!(
                naive::matches(again.node(), &tree),
                expected,
                "{exported} on {tree}"
            );
        }
    }
});

fn read(text: &[u8]) -> Option<(Vec<Node>, Vec<u8>)> {
    let end = text.windows(2).position(|pair| pair == b"\n\n")?;
    let patterns = std::str::from_utf8(&text[..end]).ok()?;
    let parsed = patterns
        .lines()
        .map(|line| Pattern::parse(line, Dialect::Reflexarc).map(|pattern| pattern.node().clone()));
    Some((
        parsed.collect::<Result<_, _>>().ok()?,
        text[end + 2..].to_vec(),
    ))
}

fn generated(bytes: &[u8]) -> Option<(Vec<Node>, Vec<u8>)> {
    // A seed, not the bytes themselves: where those end, a generator that draws again until it likes a number never stops.
    let Some(seed) = bytes.first_chunk::<32>() else {
        return None;
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (
        proptest::collection::vec(generate::nodes(), 1..4),
        generate::event_texts(),
    );
    let (nodes, event) = strategy.new_tree(&mut runner).ok()?.current();
    Some((nodes, event.into_bytes()))
}
