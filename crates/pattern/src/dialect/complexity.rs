//! The complexity of the wildcards of one path. AWS rejects patterns above a limit.

// Definition: the largest number of prefixes of the path's wildcards that one string matches, over
// all non-empty strings. `*ab*` has the prefixes `*`, `*a`, `*ab` and `*ab*`; the string `aba`
// matches three of them (`*`, `*a` and `*ab*`), and no string matches more. In terms of an NFA: the
// largest number of states that are active at once.
//
// The library of the service searches for that string by trying all of them, which is exponential.
// Here two cases cover all strings:
//
// 1. Strings that are a prefix of the literal start of some wildcard (before its first `*`). There
//    are as many as the wildcards have literal characters, so each one is tried: `ab*c` has `a` and
//    `ab`.
// 2. Longer strings. A `*` that has been passed stays active for ever, so a string can be extended
//    through all pieces of all wildcards whose literal start it has, until every one of their
//    stars is active. What remains is to choose how the string ends: it should end in as many
//    prefixes of pieces as possible at once. `*ab*ad` has two stars, and a string that ends in `a`
//    ends in a prefix of `ab` and of `ad`: 2 + 2 = 4. `most_prefixes` computes that number with an
//    Aho-Corasick automaton over the pieces.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::spanned::SpannedField;
use crate::{Dialect, Path, PatternLimits, Predicate, Wildcard};

/// The largest complexity that the service accepts.
// Observed. The documentation's example of a wildcard that is too complex,
// `*:*:*:*:*:event-bus/*`, has 11 by the definition above.
const LIMIT: usize = 10;

/// Reports the paths whose wildcards are too complex.
pub(crate) fn check(fields: &[&SpannedField], found: &mut Vec<Diagnostic>) {
    let mut by_path: BTreeMap<&Path, (&SpannedField, BTreeSet<Vec<Token>>)> = BTreeMap::new();
    for field in fields {
        for spanned in field.predicates() {
            if let Predicate::Wildcard {
                wildcard,
                ignoring_case: false,
            } = &spanned.predicate
            {
                by_path
                    .entry(&field.path)
                    .or_insert_with(|| (field, BTreeSet::new()))
                    .1
                    .insert(tokens(wildcard));
            }
        }
    }
    for (path, (field, wildcards)) in by_path {
        if complexity(&wildcards.into_iter().collect::<Vec<_>>()) > LIMIT {
            let message = format!(
                "the wildcards of `{path}` are too complex for {}",
                Dialect::Aws.title()
            );
            found.push(
                Diagnostic::error(Code::DIALECT_LIMIT, field.key.clone(), message)
                    .with_help("use fewer `*`, and fewer repeated characters after them"),
            );
        }
    }
}

/// One element of a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Byte(u8),
    Star,
}

fn tokens(wildcard: &Wildcard) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (i, piece) in wildcard.pieces.iter().enumerate() {
        if i > 0 {
            tokens.push(Token::Star);
        }
        tokens.extend(piece.bytes().map(Token::Byte));
    }
    tokens
}

/// The complexity of distinct wildcards together: exact up to [`LIMIT`], above it any larger
/// number.
fn complexity(wildcards: &[Vec<Token>]) -> usize {
    let starts: Vec<usize> = wildcards
        .iter()
        .map(|tokens| {
            tokens
                .iter()
                .position(|token| *token == Token::Star)
                .unwrap_or(tokens.len())
        })
        .collect();
    let mut most = 0;
    let mut steps = 0;
    // A depth-first search over the trie of the literal starts.
    let all: Vec<usize> = (0..wildcards.len()).collect();
    let mut open = vec![Candidate {
        length: 0,
        literal: all,
        started: Vec::new(),
        active: Vec::new(),
    }];
    while let Some(candidate) = open.pop() {
        let Candidate {
            length,
            literal,
            mut started,
            mut active,
        } = candidate;
        let (at_star, longer): (Vec<usize>, Vec<usize>) = literal
            .iter()
            .partition(|&&wildcard| starts[wildcard] == length);
        // Case 1: the string itself. A wildcard whose literal start ends here has two prefixes that
        // match, with and without its `*`.
        if length > 0 {
            most = most.max(
                literal.len()
                    + active.len()
                    + at_star
                        .iter()
                        .filter(|&&w| length < wildcards[w].len())
                        .count(),
            );
        }
        for wildcard in at_star {
            if length < wildcards[wildcard].len() {
                started.push(wildcard);
                active.push((wildcard, length + 1));
            }
        }
        // Case 2: all longer strings that leave the literal starts here.
        let stars = started
            .iter()
            .flat_map(|&w| &wildcards[w])
            .filter(|token| **token == Token::Star)
            .count();
        if most.max(stars) > LIMIT {
            return most.max(stars);
        }
        if !started.is_empty() {
            let pieces: Vec<&[Token]> = started
                .iter()
                .flat_map(|&w| wildcards[w][starts[w] + 1..].split(|token| *token == Token::Star))
                .collect();
            steps += 1 + pieces.iter().map(|piece| piece.len()).sum::<usize>();
            if steps > PatternLimits::DEFAULT.complexity_steps {
                return LIMIT + 1;
            }
            most = most.max(stars + most_prefixes(&pieces));
        }
        let mut by_byte: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for wildcard in longer {
            if let Token::Byte(byte) = wildcards[wildcard][length] {
                by_byte.entry(byte).or_default().push(wildcard);
            }
        }
        for (byte, literal) in by_byte {
            let active = step(wildcards, &active, byte);
            open.push(Candidate {
                length: length + 1,
                literal,
                started: started.clone(),
                active,
            });
        }
    }
    most
}

/// A string and the prefixes of wildcards that it matches.
struct Candidate {
    /// The length of the string in bytes.
    length: usize,
    /// The wildcards whose literal start begins with the string.
    literal: Vec<usize>,
    /// The wildcards whose first `*` the string has reached.
    started: Vec<usize>,
    /// The prefixes of those that match: wildcard and number of tokens.
    active: Vec<(usize, usize)>,
}

/// The prefixes that match after one more byte.
fn step(wildcards: &[Vec<Token>], active: &[(usize, usize)], byte: u8) -> Vec<(usize, usize)> {
    // For `*ab*` with the active prefixes `*` and `*a` (lengths 1 and 2), the byte `b` leads to `*`
    // (a star stays), `*ab` and `*ab*` (3 and 4): a star matches nothing, too, so the prefix with
    // the star is active at once.
    let mut next = BTreeSet::new();
    for &(wildcard, length) in active {
        let tokens = &wildcards[wildcard];
        if tokens[length - 1] == Token::Star {
            next.insert((wildcard, length));
        }
        if tokens.get(length) == Some(&Token::Byte(byte)) {
            next.insert((wildcard, length + 1));
            if tokens.get(length + 1) == Some(&Token::Star) {
                next.insert((wildcard, length + 2));
            }
        }
    }
    next.into_iter().collect()
}

/// The largest number of non-empty prefixes of the pieces that one string ends in.
// An Aho-Corasick trie: a node is a prefix of some pieces, and its link leads to the longest
// proper suffix that is also in the trie. A string that ends in a node ends in the node of its
// link, too, so the numbers add up along the links. For `ab`, `bc` the node `ab` links to `b`:
// a string that ends in `ab` ends in prefixes of both pieces.
fn most_prefixes(pieces: &[&[Token]]) -> usize {
    let mut nodes = vec![TrieNode::default()];
    for piece in pieces {
        let mut at = 0;
        for token in *piece {
            let fresh = nodes.len();
            let next = *nodes[at].next.entry(*token).or_insert(fresh);
            if next == fresh {
                nodes.push(TrieNode::default());
            }
            nodes[next].count += 1;
            at = next;
        }
    }
    let mut most = 0;
    // Breadth first: a link leads to a shorter prefix, whose count must be final already.
    let mut queue: VecDeque<usize> = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        let children: Vec<(Token, usize)> = nodes[at]
            .next
            .iter()
            .map(|(token, next)| (*token, *next))
            .collect();
        for (token, child) in children {
            let mut end = at;
            let mut link = 0;
            while end != 0 {
                end = nodes[end].link;
                if let Some(&next) = nodes[end].next.get(&token) {
                    link = next;
                    break;
                }
            }
            nodes[child].link = link;
            nodes[child].count += nodes[link].count;
            most = most.max(nodes[child].count);
            queue.push_back(child);
        }
    }
    most
}

/// A prefix of pieces.
#[derive(Default)]
struct TrieNode {
    next: BTreeMap<Token, usize>,
    /// How many pieces have the prefix; plus, once the link is known, the count at the link.
    count: usize,
    link: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complexity_of(texts: &[&str]) -> usize {
        let wildcards: BTreeSet<_> = texts
            .iter()
            .map(|text| tokens(&Wildcard::parse(text).expect("a wildcard")))
            .collect();
        complexity(&wildcards.into_iter().collect::<Vec<_>>())
    }

    /// The definition, over all strings of the letters `a` and `b`.
    // Strings after which the same prefixes match go on alike, so one of them is enough, and there
    // are finitely many sets of prefixes. A bound on the length would be too short for some: with
    // `aa*aa*a` and `aab*ab*ab*` the shortest string with the most prefixes is `aabaababaa`.
    fn by_definition(texts: &[&str]) -> usize {
        let wildcards: BTreeSet<_> = texts
            .iter()
            .map(|text| tokens(&Wildcard::parse(text).expect("a wildcard")))
            .collect();
        let wildcards: Vec<_> = wildcards.into_iter().collect();
        let begin = |w: usize| {
            if wildcards[w].first() == Some(&Token::Star) {
                vec![(w, 0), (w, 1)]
            } else {
                vec![(w, 0)]
            }
        };
        let longer = |live: &[(usize, usize)], byte: u8| {
            let (none, some): (Vec<_>, Vec<_>) = live.iter().partition(|(_, length)| *length == 0);
            let mut next = step(&wildcards, &some, byte);
            for (w, _) in none {
                if wildcards[w].first() == Some(&Token::Byte(byte)) {
                    next.push((w, 1));
                    if wildcards[w].get(1) == Some(&Token::Star) {
                        next.push((w, 2));
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            next
        };
        let mut most = 0;
        let mut seen = BTreeSet::new();
        let mut open: Vec<Vec<(usize, usize)>> =
            vec![(0..wildcards.len()).flat_map(begin).collect()];
        while let Some(live) = open.pop() {
            for next in [b'a', b'b'].map(|byte| longer(&live, byte)) {
                if seen.insert(next.clone()) {
                    most = most.max(next.len());
                    open.push(next);
                }
            }
        }
        most
    }

    #[test]
    fn complexity_of_single_wildcards() {
        for (text, expected) in [
            ("*", 1),
            ("ab", 1),
            ("ab*", 2),
            ("*ab", 2),
            ("*aa", 3),
            ("a*bb", 3),
            ("*ab*ad", 4),
            ("*a*a*a*a*a", 10),
        ] {
            assert_eq!(complexity_of(&[text]), expected, "{text}");
        }
        assert_eq!(complexity_of(&["*:*:*:*:*:event-bus/*"]), 11);
    }

    #[test]
    fn wildcards_of_one_path_are_counted_together() {
        assert_eq!(complexity_of(&["ab*c", "x*xx"]), 3);
        assert_eq!(complexity_of(&["*abc", "*abcde"]), 4);
        assert_eq!(complexity_of(&["a*aax", "aaa*x"]), 5);
        assert_eq!(complexity_of(&["ab*cd", "ab*wx", "ab*yz"]), 6);
        assert_eq!(complexity_of(&["ab*c", "ab*c"]), 2);
        let long = ["aa*aa*a", "aab*ab*ab*"];
        assert_eq!((complexity_of(&long), by_definition(&long)), (10, 10));
    }

    #[test]
    fn large_wildcards_are_rejected_quickly() {
        assert!(complexity_of(&[&"*a".repeat(10_000)]) > LIMIT);
        assert!(complexity_of(&[&format!("*{}", "ab".repeat(20_000))]) > LIMIT);
        let many: Vec<String> = (0..10_000).map(|i| format!("{i}*")).collect();
        assert!(complexity_of(&many.iter().map(String::as_str).collect::<Vec<_>>()) > LIMIT);
    }

    proptest! {
        #[test]
        fn complexity_equals_the_definition(
            texts in proptest::collection::vec("[ab]{0,3}(\\*[ab]{1,3}){0,3}\\*?", 1..4),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (short, long) = (complexity_of(&texts), by_definition(&texts));
            prop_assert!(short == long || short.min(long) > LIMIT, "{} {}", short, long);
        }
    }
}
