//! How complex the wildcards of one path are: AWS refuses patterns where they are too much so.
//!
//! The complexity is the largest number of beginnings of wildcards that one and the same text can match, over all texts
//! of at least one byte: `*ab*` has the beginnings `*`, `*a`, `*ab`, `*ab*`, and `aba` matches three of them. Wildcards on
//! one path count together. The service's own library searches for the text, in exponential time where wildcards are
//! wide; here it is found in two ways, which together cover all texts:
//!
//! - A text that is a beginning of what stands before some wildcard's first `*`: there are few, and each is tried.
//! - Any longer text. It can be led through all pieces of all wildcards whose start it has, so that each of their stars
//!   is met for good; what remains is its end, which meets a beginning of each piece that it ends in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::spanned::SpannedField;
use crate::{Dialect, Path, Predicate, Wildcard};

/// The largest complexity that is taken.
const MOST: usize = 10;

/// Steps after which wildcards count as too complex without a closer look; no pattern of the service's size gets there.
const EFFORT: usize = 2_000_000;

/// Says which paths hold wildcards that are too complex together.
pub(crate) fn check(fields: &[&SpannedField], found: &mut Vec<Diagnostic>) {
    let mut by_path: BTreeMap<&Path, (&SpannedField, BTreeSet<Vec<Token>>)> = BTreeMap::new();
    for field in fields {
        for spanned in field
            .alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
        {
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
        if complexity(&wildcards.into_iter().collect::<Vec<_>>()) > MOST {
            let message = format!(
                "the wildcards of `{path}` are too complex for {}",
                Dialect::Aws.title()
            );
            found.push(
                Diagnostic::error(Code::DIALECT_LIMIT, field.key.clone(), message)
                    .with_help("use fewer `*`, and fewer repeated characters behind them"),
            );
        }
    }
}

/// One step of a wildcard.
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

/// The complexity of different wildcards together; exact up to [`MOST`], beyond that any larger number.
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
    let mut effort = 0;
    // Every text that begins some wildcard literally: the wildcards that begin so, and the live positions of those whose
    // literal start is over.
    let all: Vec<usize> = (0..wildcards.len()).collect();
    let mut open = vec![Text {
        length: 0,
        beginning: all,
        started: Vec::new(),
        live: Vec::new(),
    }];
    while let Some(text) = open.pop() {
        let Text {
            length,
            beginning,
            mut started,
            mut live,
        } = text;
        let (over, longer): (Vec<usize>, Vec<usize>) = beginning
            .iter()
            .partition(|&&wildcard| starts[wildcard] == length);
        if length > 0 {
            most = most.max(
                beginning.len()
                    + live.len()
                    + over
                        .iter()
                        .filter(|&&w| length < wildcards[w].len())
                        .count(),
            );
        }
        for wildcard in over {
            if length < wildcards[wildcard].len() {
                started.push(wildcard);
                live.push((wildcard, length + 1));
            }
        }
        let met = started
            .iter()
            .flat_map(|&w| &wildcards[w])
            .filter(|token| **token == Token::Star)
            .count();
        if most.max(met) > MOST {
            return most.max(met);
        }
        if !started.is_empty() {
            let pieces: Vec<&[Token]> = started
                .iter()
                .flat_map(|&w| wildcards[w][starts[w] + 1..].split(|token| *token == Token::Star))
                .collect();
            effort += 1 + pieces.iter().map(|piece| piece.len()).sum::<usize>();
            if effort > EFFORT {
                return MOST + 1;
            }
            most = most.max(met + deepest(&pieces));
        }
        let mut by_byte: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for wildcard in longer {
            if let Token::Byte(byte) = wildcards[wildcard][length] {
                by_byte.entry(byte).or_default().push(wildcard);
            }
        }
        for (byte, beginning) in by_byte {
            let live = step(wildcards, &live, byte);
            open.push(Text {
                length: length + 1,
                beginning,
                started: started.clone(),
                live,
            });
        }
    }
    most
}

/// A text, and which beginnings of wildcards match it.
struct Text {
    length: usize,
    /// Wildcards that begin with the text literally.
    beginning: Vec<usize>,
    /// Wildcards whose first `*` has been met.
    started: Vec<usize>,
    /// Their beginnings that match, by number of tokens.
    live: Vec<(usize, usize)>,
}

/// The beginnings that match after one more byte.
fn step(wildcards: &[Vec<Token>], live: &[(usize, usize)], byte: u8) -> Vec<(usize, usize)> {
    let mut next = BTreeSet::new();
    for &(wildcard, length) in live {
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

/// The largest number of non-empty beginnings of pieces that one text can end in: a walk over the tree of the pieces
/// with links from each text to the longest shorter end of it that is in the tree, too.
fn deepest(pieces: &[&[Token]]) -> usize {
    let mut nodes = vec![Piece::default()];
    for piece in pieces {
        let mut at = 0;
        for token in *piece {
            let fresh = nodes.len();
            let next = *nodes[at].next.entry(*token).or_insert(fresh);
            if next == fresh {
                nodes.push(Piece::default());
            }
            nodes[next].count += 1;
            at = next;
        }
    }
    let mut most = 0;
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

/// A beginning of pieces.
#[derive(Default)]
struct Piece {
    next: BTreeMap<Token, usize>,
    /// How many pieces begin so; once its link is known, also how many begin with an end of it.
    count: usize,
    link: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(texts: &[&str]) -> usize {
        let wildcards: BTreeSet<_> = texts
            .iter()
            .map(|text| tokens(&Wildcard::parse(text).expect("a wildcard")))
            .collect();
        complexity(&wildcards.into_iter().collect::<Vec<_>>())
    }

    /// By the definition, over all texts of up to nine letters.
    fn by_definition(texts: &[&str]) -> usize {
        let wildcards: BTreeSet<_> = texts
            .iter()
            .map(|text| tokens(&Wildcard::parse(text).expect("a wildcard")))
            .collect();
        let wildcards: Vec<_> = wildcards.into_iter().collect();
        let mut most = 0;
        let begin = |w: usize| {
            if wildcards[w].first() == Some(&Token::Star) {
                vec![(w, 0), (w, 1)]
            } else {
                vec![(w, 0)]
            }
        };
        let mut texts: Vec<Vec<(usize, usize)>> =
            vec![(0..wildcards.len()).flat_map(begin).collect()];
        for _ in 0..9 {
            let longer = |live: &Vec<(usize, usize)>| {
                [b'a', b'b'].map(|byte| {
                    let (none, some): (Vec<_>, Vec<_>) =
                        live.iter().partition(|(_, length)| *length == 0);
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
                })
            };
            let next: BTreeSet<Vec<(usize, usize)>> = texts.iter().flat_map(longer).collect();
            most = next.iter().map(Vec::len).max().unwrap_or(0).max(most);
            texts = next.into_iter().collect();
        }
        most
    }

    #[test]
    fn single_wildcards() {
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
            assert_eq!(of(&[text]), expected, "{text}");
        }
        assert_eq!(of(&["*:*:*:*:*:event-bus/*"]), 11);
    }

    #[test]
    fn wildcards_of_one_path_count_together_where_one_text_meets_both() {
        assert_eq!(of(&["ab*c", "x*xx"]), 3);
        assert_eq!(of(&["*abc", "*abcde"]), 4);
        assert_eq!(of(&["a*aax", "aaa*x"]), 5);
        assert_eq!(of(&["ab*cd", "ab*wx", "ab*yz"]), 6);
        assert_eq!(of(&["ab*c", "ab*c"]), 2);
    }

    #[test]
    fn wide_wildcards_take_no_time() {
        assert!(of(&[&"*a".repeat(10_000)]) > MOST);
        assert!(of(&[&format!("*{}", "ab".repeat(20_000))]) > MOST);
        let many: Vec<String> = (0..10_000).map(|i| format!("{i}*")).collect();
        assert!(of(&many.iter().map(String::as_str).collect::<Vec<_>>()) > MOST);
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_definition_says(
            texts in proptest::collection::vec("[ab]{0,3}(\\*[ab]{1,2}){0,2}\\*?", 1..3),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (short, long) = (of(&texts), by_definition(&texts));
            prop_assert!(short == long || short.min(long) > MOST, "{} {}", short, long);
        }
    }
}
