//! The matcher gives the answers of the plain evaluator, for any set of patterns at once, and refuses what is no JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_event::{Json, Limits};
use reflexarc_pattern::{Matcher, Node, Scratch, naive};

use crate::generate;

fn matcher(patterns: &[Node]) -> Matcher {
    Matcher::build(patterns).expect("few patterns")
}

fn ids(matcher: &Matcher, event: &str, scratch: &mut Scratch) -> Vec<u32> {
    let mut out = vec![7];
    matcher.matching(event.as_bytes(), scratch, &mut out).expect("valid JSON");
    assert_eq!(matcher.has_match(event.as_bytes(), scratch), Ok(!out.is_empty()));
    out
}

fn plainly(patterns: &[Node], event: &str) -> Vec<u32> {
    let event = Json::parse(event).expect("valid JSON");
    (0..).zip(patterns).filter(|(_, pattern)| naive::matches(pattern, &event)).map(|(id, _)| id).collect()
}

proptest! {
    #[test]
    fn equals_the_plain_evaluator(
        patterns in vec(generate::nodes(), 1..12), events in vec(generate::event_texts(), 1..6),
    ) {
        let matcher = matcher(&patterns);
        let mut scratch = Scratch::new();
        for event in &events {
            prop_assert_eq!(ids(&matcher, event, &mut scratch), plainly(&patterns, event), "{}", event);
        }
        for (id, pattern) in patterns.iter().enumerate() {
            let alone = Matcher::build([pattern]).expect("one pattern");
            for event in &events {
                let found = !ids(&alone, event, &mut scratch).is_empty();
                prop_assert_eq!(found, !plainly(std::slice::from_ref(pattern), event).is_empty(), "{} {}", id, event);
            }
        }
    }

    #[test]
    fn refuses_exactly_what_reading_refuses(
        event in generate::event_texts(), edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..3),
        pattern in generate::nodes(),
    ) {
        let mut bytes = event.into_bytes();
        for (place, byte, edit) in edits {
            let at = place.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"\"\\{}[],:0e\x01\xc3"[usize::from(byte) % 12]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let matcher = matcher(&[pattern]);
        let found = matcher.matching(&bytes, &mut Scratch::new(), &mut Vec::new());
        prop_assert_eq!(found, Json::parse(&bytes).map(drop), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn depth_is_bounded_where_no_pattern_looks() {
    let depth = Limits::DEFAULT.depth;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let none = matcher(&[]);
    assert_eq!(none.matching(deep(depth).as_bytes(), &mut Scratch::new(), &mut Vec::new()), Ok(()));
    let error = none.matching(deep(depth + 1).as_bytes(), &mut Scratch::new(), &mut Vec::new());
    assert_eq!(error, Json::parse(deep(depth + 1)).map(drop));
    assert!(error.is_err());
}
