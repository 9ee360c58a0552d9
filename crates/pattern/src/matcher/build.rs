//! From compiled patterns to the finished matcher: every rule indexed, the programs laid out in the
//! order of their use.
//!
//! The rules indexed under one predicate form a *posting list*: its number, how many entries it
//! has, then the entries. An entry is a head word (`length << 1`, plus one for a reference) and its
//! words: the rule, how many words the predicate implies, and the operations, implied ones first. A
//! rule in several posting lists is stored once, before the lists, under a number of its own, and
//! its entries are references to it.

// Example. Rule 0 is `level == "WARN" and zone == "a"` and rule 1 is `zone in ["b", "c"]`; rule 0
// is indexed under `level == "WARN"`, rule 1 under both of its zones. Let A, B, C, W be the ids of
// the predicates, s and t the slots of `zone` and `level`. The code is
//
//     rule 1, stored once:    0 | head(len 6), rule 1, implied 4, IN head, s, B, C
//     list of W:              list 0, 1 entry | head(len 8), rule 0, implied 3, IN head, t, W,
//                                               IN head, s, A
//     list of B:              list 1, 1 entry | head(len 1, reference), position of rule 1
//     list of C:              list 2, 1 entry | head(len 1, reference), position of rule 1
//
// The numbers of lists and of rules stored once index the stamps in `search`, which keep an event
// from visiting either twice. Copying rule 1 into both lists instead would verify it twice for an
// event with both zones, and one value list of a thousand texts would be copied a thousand times.

use super::access::{AccessPath, UsageCounts};
use super::compile::Compiler;
use super::index::SlotIndex;
use super::limits::{BuildError, MatcherLimits};
use super::predicates::Class;
use super::{Matcher, NONE};
use crate::Node;

/// Builds a matcher.
// Of a slice: with any iterator, each caller's crate would compile the whole build again.
pub(super) fn build(patterns: &[&Node], limits: MatcherLimits) -> Result<Matcher, BuildError> {
    let mut compiler = Compiler::new(limits);
    let mut rules: Vec<(usize, usize)> = Vec::new();
    for node in patterns {
        let pattern = u32::try_from(rules.len())
            .ok()
            .filter(|&pattern| pattern != NONE);
        let too_many = BuildError::TooLarge {
            pattern: NONE,
            limit: limits.bytes,
        };
        let start = compiler.words.len();
        compiler.pattern(pattern.ok_or(too_many)?, node)?;
        rules.push((start, compiler.words.len()));
    }
    Ok(finish(compiler, &rules, limits))
}

fn finish(mut compiler: Compiler, rules: &[(usize, usize)], limits: MatcherLimits) -> Matcher {
    let words = std::mem::take(&mut compiler.words);
    let trie = std::mem::replace(&mut compiler.trie, super::trie::TrieBuilder::new()).finish();
    let counts = UsageCounts::new(&compiler, trie.slots());
    // (predicate, rule), later sorted so that the entries of a posting list come together.
    let mut indexed: Vec<(u32, u32)> = Vec::with_capacity(rules.len());
    let mut implied: Vec<(u32, u32)> = Vec::with_capacity(rules.len());
    let mut code: Vec<u32> = Vec::with_capacity(words.len() + 4 * rules.len());
    let mut references: Vec<u32> = vec![NONE; rules.len()];
    let mut shared = 0;
    for (rule, &(start, end)) in rules.iter().enumerate() {
        let access = counts.choose(&mut compiler, &words[start..end]);
        if access.predicates.len() > 1 {
            references[rule] = word(code.len());
            code.push(shared);
            shared += 1;
            entry(&mut code, rule, &words[start..end], access.implied);
        }
        indexed.extend(
            access
                .predicates
                .iter()
                .map(|&predicate| (predicate, word(rule))),
        );
        let AccessPath {
            implied: (from, to),
            ..
        } = access;
        implied.push((word(from), word(to)));
    }
    indexed.sort_unstable();
    let mut lists = 0;
    for list in indexed.chunk_by(|one, other| one.0 == other.0) {
        compiler
            .predicates
            .set_postings(list[0].0, word(code.len()));
        code.extend([lists, word(list.len())]);
        lists += 1;
        for &(_, rule) in list {
            let rule = rule as usize;
            if references[rule] == NONE {
                let ((start, end), (from, to)) = (rules[rule], implied[rule]);
                entry(
                    &mut code,
                    rule,
                    &words[start..end],
                    (from as usize, to as usize),
                );
            } else {
                code.extend([1 << 1 | 1, references[rule]]);
            }
        }
    }
    code.shrink_to_fit();
    compiler.predicates.finish(trie.slots());
    let predicates = compiler.predicates;
    // Only predicates with postings go into the indexes: the others are verified, not looked up.
    let mut by_slot: Vec<Vec<u32>> = vec![Vec::new(); trie.slots()];
    let (mut absent, mut always) = (Vec::new(), None);
    for (predicate, id) in predicates
        .all()
        .iter()
        .zip(0..)
        .filter(|(predicate, _)| predicate.postings != NONE)
    {
        match predicate.class {
            Class::Absent => absent.push(id),
            Class::Always => always = Some(id),
            _ => by_slot[predicate.slot as usize].push(id),
        }
    }
    let mut groups = 0;
    let indexes = by_slot.iter();
    let indexes = indexes
        .map(|ids| SlotIndex::build(ids, &predicates, &compiler.regexp_texts, &mut groups))
        .collect();
    Matcher {
        trie,
        predicates,
        indexes,
        code,
        absent,
        always,
        patterns: rules.len(),
        lists,
        shared,
        search_steps: limits.search_steps,
    }
}

/// Appends an entry. The implied words go first, so that one number says where to start: a search
/// that may leave them out starts behind them, one that may not starts at the beginning.
fn entry(code: &mut Vec<u32>, rule: usize, words: &[u32], (from, to): (usize, usize)) {
    code.extend([word(words.len() + 2) << 1, word(rule), word(to - from)]);
    code.extend_from_slice(&words[from..to]);
    code.extend_from_slice(&words[..from]);
    code.extend_from_slice(&words[to..]);
}

fn word(count: usize) -> u32 {
    u32::try_from(count).expect("the limits keep the code below 2^32 words")
}
