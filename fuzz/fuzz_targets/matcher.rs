//! Patterns and an event, as text or from generators: the matcher agrees with the reference
//! evaluator, each pattern alone and all together, from bytes and from a validated event; so do
//! explanations and patterns exported for AWS.
//!
//! Input that starts with `T` is text: one pattern per line, an empty line, the bytes of the event.
//! Other input seeds the generators.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reflexarc_event::{Event, Json};
use reflexarc_pattern::explain::explain;
use reflexarc_pattern::{Dialect, Matcher, Node, Pattern, Scratch, naive};

#[path = "../../crates/pattern/tests/suite/generate.rs"]
#[allow(dead_code, unreachable_pub)]
mod generate;

/// The reference evaluator is exponential: longer input is not worth its time.
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
        assert!(answer.is_err(), "the matcher accepts invalid JSON");
        return;
    };
    if !scratch.undecided().is_empty() {
        // The reference evaluator has no limit, and would search for minutes.
        return;
    }
    let expected: Vec<u32> = (0u32..)
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
        (Ok(()), &expected),
        "{:?} on {tree}",
        texts()
    );
    // Events within the limits of `Event` are also matched without validating them again.
    let validated = Event::from_json(&*event).ok();
    if let Some(validated) = &validated {
        all.matching(validated, &mut scratch, &mut found);
        assert_eq!(found, expected, "{:?} on {tree}", texts());
    }
    for (id, node) in (0u32..).zip(&nodes) {
        let expected = expected.contains(&id);
        let alone = Matcher::build([node]).expect("one of several patterns fits alone");
        assert_eq!(
            alone.has_match_bytes(&event, &mut scratch),
            Ok(expected),
            "{:?} on {tree}",
            texts()
        );
        if let Some(validated) = &validated {
            let found = alone.has_match(validated, &mut scratch);
            assert_eq!(found, expected, "{:?} on {tree}", texts());
        }
        assert_eq!(
            explain(node, &tree).matched(),
            expected,
            "{:?} on {tree}",
            texts()
        );
        if let Ok(exported) = Pattern::from_node(node.clone()).export(Dialect::Aws) {
            let again =
                Pattern::parse(&exported, Dialect::Aws).expect("exported patterns are valid");
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
    // A seed, not the bytes themselves: at their end a generator that rejects numbers would draw
    // the same one forever.
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
