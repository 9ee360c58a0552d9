//! From the tree of a pattern to the words of its program (see `program` for their layout).

// Example. `level in ["WARN", "CRITICAL"] and zone (is missing or != "cn-hangzhou-a")`, where the
// second field has two alternatives. Paths get slots (level 0, zone 1), predicates get ids in the
// order of first use:
//
//     0: level equals "WARN"    1: level equals "CRITICAL"    2: zone equals "cn-hangzhou-a"
//
//     IN     slot 0, predicates 0, 1           the first field
//     ANY
//       MISSING  slot 1                        the alternative `is missing`
//       OUT      slot 1, predicate 2           the alternative `!=`
//
// The conjunction itself has no operation: a program is a list of operations that must all hold.
//
// A field is compiled in two steps. Each alternative becomes conjunctions of literals (a predicate,
// or its negation), so that only one level is left below a field. Then the most specific operation
// is chosen: IN and OUT compare ids only, FIELD applies literals one by one.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use reflexarc_event::{parse_address, unmapped_network};

use super::event_view::as_str;
use super::limits::{BuildError, MatcherLimits};
use super::network::{network, octets};
use super::predicates::{Bounds, Class, Predicates, SEPARATOR};
use super::program::{Opcode, close, negative, open, positive};
use super::trie::TrieBuilder;
use crate::regexp::CompiledRegexp;
use crate::{Alternative, Bound, Decimal, Field, Node, Predicate, TextOp, Wildcard};

/// The state that all patterns share while they are compiled.
pub(super) struct Compiler {
    pub(super) trie: TrieBuilder,
    pub(super) predicates: Predicates,
    /// How often patterns use each predicate.
    pub(super) uses: Vec<u32>,
    pub(super) words: Vec<u32>,
    /// The texts of the regular expressions by number, for finding texts that a value must contain;
    /// empty where case is ignored, because the value then need not contain the text as written.
    pub(super) regexp_texts: Vec<Box<str>>,
    /// The number of each regular expression; `None` if it does not compile.
    regexps: HashMap<(Box<str>, bool), Option<u32>, FixedState>,
    limits: MatcherLimits,
}

/// A predicate, compiled.
enum Compiled<'p> {
    /// Every value satisfies it.
    Always,
    /// No value satisfies it.
    Never,
    /// It is the predicate with this id.
    Is(u32),
    /// It is satisfied by values that satisfy none of these.
    NoneOf(&'p [Predicate]),
}

impl Compiler {
    pub(super) fn new(limits: MatcherLimits) -> Self {
        Self {
            trie: TrieBuilder::new(),
            predicates: Predicates::new(),
            uses: Vec::new(),
            words: Vec::new(),
            regexp_texts: Vec::new(),
            regexps: HashMap::default(),
            limits,
        }
    }

    /// Appends the operations of a pattern, all of which must hold.
    pub(super) fn pattern(&mut self, pattern: u32, node: &Node) -> Result<(), BuildError> {
        let start = self.words.len();
        self.conjunction(node, 1, pattern)?;
        // Checked after each pattern, so at most one pattern's memory is spent beyond the limit,
        // and the size of one pattern is limited by the parser.
        let longest = u32::MAX as usize;
        if self.words.len() > longest || self.bytes() > self.limits.bytes {
            self.words.truncate(start);
            return Err(BuildError::TooLarge {
                pattern,
                limit: self.limits.bytes,
            });
        }
        if self.predicates.regexp_bytes() > self.limits.regexp_bytes {
            return Err(BuildError::RegexpsTooLarge {
                pattern,
                limit: self.limits.regexp_bytes,
            });
        }
        Ok(())
    }

    /// The approximate size of the finished matcher, without regular expressions.
    fn bytes(&self) -> usize {
        // Twice the words: `build` lays the program out again, with a few words more for each rule.
        2 * size_of_val(&*self.words) + self.predicates.bytes() - self.predicates.regexp_bytes()
            + self.trie.bytes()
    }

    /// Appends the operations of a conjunction, without a head: nested ones are opened, so that
    /// each of their fields can be chosen for indexing.
    fn conjunction(&mut self, node: &Node, depth: usize, pattern: u32) -> Result<(), BuildError> {
        match node {
            Node::All(nodes) if depth <= self.limits.depth => nodes
                .iter()
                .try_for_each(|node| self.conjunction(node, depth + 1, pattern)),
            _ => self.operation(node, depth, pattern),
        }
    }

    fn operation(&mut self, node: &Node, depth: usize, pattern: u32) -> Result<(), BuildError> {
        if depth > self.limits.depth {
            return Err(BuildError::TooDeep {
                pattern,
                limit: self.limits.depth,
            });
        }
        let (nodes, opcode) = match node {
            Node::Field(field) => {
                self.field(field);
                return Ok(());
            }
            Node::All(nodes) => {
                let head = open(&mut self.words);
                nodes
                    .iter()
                    .try_for_each(|node| self.conjunction(node, depth + 1, pattern))?;
                close(&mut self.words, head, Opcode::All);
                return Ok(());
            }
            Node::Any(nodes) => (&nodes[..], Opcode::Any),
            Node::Not(node) => (std::slice::from_ref(&**node), Opcode::Not),
        };
        let head = open(&mut self.words);
        nodes
            .iter()
            .try_for_each(|node| self.operation(node, depth + 1, pattern))?;
        close(&mut self.words, head, opcode);
        Ok(())
    }

    fn field(&mut self, Field { path, alternatives }: &Field) {
        let slot = self.trie.slot(path);
        let accepts_missing = alternatives.iter().any(Alternative::is_missing);
        let present = alternatives.iter().filter(|one| !one.is_missing());
        // The alternatives of values as conjunctions of literals. An empty conjunction accepts
        // every value, so beside it no other matters.
        let mut conjunctions: Vec<Vec<u32>> = present
            .flat_map(|one| self.alternative(slot, &one.0))
            .collect();
        if conjunctions.iter().any(Vec::is_empty) {
            conjunctions = vec![Vec::new()];
        }
        match (accepts_missing, conjunctions.is_empty()) {
            (true, true) => self.missing(slot),
            (true, false) => {
                let head = open(&mut self.words);
                self.missing(slot);
                self.present(slot, &conjunctions);
                close(&mut self.words, head, Opcode::Any);
            }
            // No value and no absence: ANY of nothing never holds.
            (false, true) => {
                let head = open(&mut self.words);
                close(&mut self.words, head, Opcode::Any);
            }
            (false, false) => self.present(slot, &conjunctions),
        }
    }

    fn missing(&mut self, slot: u32) {
        let head = open(&mut self.words);
        self.words.push(slot);
        close(&mut self.words, head, Opcode::Missing);
    }

    fn present(&mut self, slot: u32, alternatives: &[Vec<u32>]) {
        let exact = |literal: u32| self.predicates.get(literal >> 1).class.is_exact();
        let only = |literal: &u32| literal & 1 == 0 && exact(*literal);
        let one_of = alternatives
            .iter()
            .all(|literals| matches!(&literals[..], [literal] if only(literal)));
        let none_of = |literals: &[u32]| {
            !literals.is_empty() && literals.iter().all(|&l| l & 1 == 1 && exact(l))
        };
        let head;
        if one_of {
            head = open(&mut self.words);
            self.words.push(slot);
            self.words
                .extend(alternatives.iter().flatten().map(|literal| literal >> 1));
            close(&mut self.words, head, Opcode::In);
        } else if let [literals] = alternatives
            && none_of(literals)
        {
            head = open(&mut self.words);
            self.words.push(slot);
            self.words
                .extend(literals.iter().map(|literal| literal >> 1));
            close(&mut self.words, head, Opcode::Out);
        } else {
            head = open(&mut self.words);
            self.words.push(slot);
            for literals in alternatives {
                self.words.push(
                    u32::try_from(literals.len()).expect("the limits keep alternatives short"),
                );
                self.words.extend_from_slice(literals);
            }
            close(&mut self.words, head, Opcode::Field);
        }
    }

    /// The conjunctions of literals that an alternative is equivalent to; none if no value
    /// satisfies it.
    // One alternative gives several conjunctions only for `anything-but` inside `anything-but`,
    // which trees may have that were not parsed from text.
    fn alternative(&mut self, slot: u32, predicates: &[Predicate]) -> Vec<Vec<u32>> {
        let mut conjunctions = vec![Vec::new()];
        for predicate in predicates {
            match self.predicate(slot, predicate) {
                Compiled::Always => {}
                Compiled::Never => return Vec::new(),
                Compiled::Is(id) => conjunctions
                    .iter_mut()
                    .for_each(|literals| literals.push(positive(id))),
                Compiled::NoneOf(inner) => {
                    for excluded in inner {
                        conjunctions = self.exclude(slot, excluded, conjunctions);
                    }
                }
            }
        }
        conjunctions
    }

    /// Adds "and does not satisfy `excluded`" to each conjunction.
    fn exclude(
        &mut self,
        slot: u32,
        excluded: &Predicate,
        mut conjunctions: Vec<Vec<u32>>,
    ) -> Vec<Vec<u32>> {
        match self.predicate(slot, excluded) {
            Compiled::Never => conjunctions,
            Compiled::Always => Vec::new(),
            Compiled::Is(id) => {
                for literals in &mut conjunctions {
                    literals.push(negative(id));
                }
                conjunctions
            }
            // De Morgan: not to satisfy "none of a, b" is to satisfy a or b. So each conjunction is
            // repeated, once with a and once with b.
            Compiled::NoneOf(inner) => {
                let mut all = Vec::new();
                for predicate in inner {
                    let wanted = match self.predicate(slot, predicate) {
                        Compiled::Never | Compiled::NoneOf(_) => continue,
                        Compiled::Always => None,
                        Compiled::Is(id) => Some(positive(id)),
                    };
                    all.extend(
                        conjunctions
                            .iter()
                            .map(|literals| literals.iter().copied().chain(wanted).collect()),
                    );
                }
                all
            }
        }
    }

    /// Compiles a predicate.
    fn predicate<'p>(&mut self, slot: u32, predicate: &'p Predicate) -> Compiled<'p> {
        if let Some(address) = single_address(predicate) {
            let (bytes, length) = octets(address);
            return self.interned(Class::Address, slot, &bytes[..length]);
        }
        let (class, bytes) = match predicate {
            Predicate::Missing => return Compiled::Never,
            Predicate::Exists => return Compiled::Always,
            Predicate::AnythingBut(predicates) => return Compiled::NoneOf(predicates),
            Predicate::Null => (Class::Null, Vec::new()),
            Predicate::Bool(true) => (Class::True, Vec::new()),
            Predicate::Bool(false) => (Class::False, Vec::new()),
            Predicate::Number(number) => (Class::Number, sort_key(number.as_str())),
            Predicate::Range { lower, upper } => {
                (Class::Range, range(lower.as_ref(), upper.as_ref()))
            }
            Predicate::Text(op, text) => {
                let class = match op {
                    TextOp::Equals => Class::String,
                    TextOp::Prefix => Class::Prefix,
                    TextOp::Suffix => Class::Suffix,
                    TextOp::Contains => Class::Contains,
                };
                return self.interned(class, slot, text.as_bytes());
            }
            Predicate::TextIgnoringCase(op, text) => {
                let class = match op {
                    TextOp::Equals => Class::EqualsIgnoringCase,
                    TextOp::Prefix => Class::PrefixIgnoringCase,
                    TextOp::Suffix => Class::SuffixIgnoringCase,
                    TextOp::Contains => Class::ContainsIgnoringCase,
                };
                return self.interned(class, slot, text.as_bytes());
            }
            Predicate::Wildcard {
                wildcard,
                ignoring_case,
            } => wildcard_class(wildcard, *ignoring_case),
            Predicate::Regexp {
                regexp,
                ignoring_case,
            } => match self.regexp(&regexp.0, *ignoring_case) {
                Some(number) => (Class::Regexp, number.to_le_bytes().to_vec()),
                None => return Compiled::Never,
            },
            Predicate::Cidr(net) => {
                let net = unmapped_network(*net).unwrap_or(*net);
                let (bytes, length) = network(net.addr(), net.prefix_len());
                (Class::Network, bytes[..length].to_vec())
            }
        };
        self.interned(class, slot, &bytes)
    }

    fn interned<'p>(&mut self, class: Class, slot: u32, bytes: &[u8]) -> Compiled<'p> {
        let id = self.predicates.intern(class, slot, bytes);
        self.uses.resize(self.predicates.all().len(), 0);
        self.uses[id as usize] += 1;
        Compiled::Is(id)
    }

    /// The number of a regular expression; `None` if it does not compile, so that no value matches.
    fn regexp(&mut self, text: &str, ignoring_case: bool) -> Option<u32> {
        let key = (text.into(), ignoring_case);
        if let Some(&known) = self.regexps.get(&key) {
            return known;
        }
        // Parsing a pattern has compiled it before; as in `CompiledPredicate`, it never matches in
        // a tree that was made otherwise.
        let number = CompiledRegexp::new(text, ignoring_case).ok().map(|regexp| {
            self.regexp_texts.push(if ignoring_case {
                "".into()
            } else {
                text.into()
            });
            self.predicates.add_regexp(regexp)
        });
        self.regexps.insert(key, number);
        number
    }
}

/// The address that a predicate compares with: an exact text that is one, with or without case, or
/// a network of a single address.
// Case decides nothing about an address: `== "2001:DB8::1"` accepts `2001:db8::1` as well.
fn single_address(predicate: &Predicate) -> Option<IpAddr> {
    match predicate {
        Predicate::Text(TextOp::Equals, text)
        | Predicate::TextIgnoringCase(TextOp::Equals, text) => parse_address(text),
        Predicate::Cidr(net) => {
            let net = unmapped_network(*net).unwrap_or(*net);
            (net.prefix_len() == net.max_prefix_len()).then_some(net.addr())
        }
        _ => None,
    }
}

/// Most wildcards have stars at their ends only and are a prefix, suffix or `contains`, which have
/// faster indexes: `a*` is a prefix, `*a` a suffix, `*a*` contains `a`.
fn wildcard_class(wildcard: &Wildcard, ignoring_case: bool) -> (Class, Vec<u8>) {
    let pieces: Vec<&[u8]> = wildcard
        .pieces
        .iter()
        .map(|piece| piece.as_bytes())
        .collect();
    let (class, bytes) = match &pieces[..] {
        [] => (Class::String, Vec::new()),
        // A wildcard compares characters, also of an address, while a string in the table that is
        // an address is found by its value. So `like "10.0.0.1"` is not an exact string.
        [whole] if !ignoring_case && is_address(whole) => (Class::Wildcard, whole.to_vec()),
        [whole] => (Class::String, whole.to_vec()),
        [prefix, []] => (Class::Prefix, prefix.to_vec()),
        [[], suffix] => (Class::Suffix, suffix.to_vec()),
        [[], middle, []] => (Class::Contains, middle.to_vec()),
        pieces => (Class::Wildcard, pieces.join(&SEPARATOR)),
    };
    let class = match class {
        same if !ignoring_case => same,
        Class::String => Class::EqualsIgnoringCase,
        Class::Prefix => Class::PrefixIgnoringCase,
        Class::Suffix => Class::SuffixIgnoringCase,
        Class::Contains => Class::ContainsIgnoringCase,
        _ => Class::WildcardIgnoringCase,
    };
    (class, bytes)
}

fn is_address(text: &[u8]) -> bool {
    as_str(text).is_some_and(|text| parse_address(text).is_some())
}

fn range(lower: Option<&Bound>, upper: Option<&Bound>) -> Vec<u8> {
    let form = |bound: Option<&Bound>| {
        bound.map(|bound| (sort_key(bound.value.as_str()), bound.inclusive))
    };
    let (lower, upper) = (form(lower), form(upper));
    Bounds {
        lower: lower
            .as_ref()
            .map(|(bytes, inclusive)| (&bytes[..], *inclusive)),
        upper: upper
            .as_ref()
            .map(|(bytes, inclusive)| (&bytes[..], *inclusive)),
    }
    .write()
}

fn sort_key(number: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Decimal::write_sort_key(number.as_bytes(), &mut bytes);
    bytes
}
