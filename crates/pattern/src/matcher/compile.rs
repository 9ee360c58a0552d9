//! From the tree of a pattern to the words of its program.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::limits::{BuildError, MatcherLimits};
use super::network::network;
use super::predicates::{Bounds, Class, Predicates, SEPARATOR};
use super::program::{Opcode, close, met, open, unmet};
use super::trie::TrieBuilder;
use crate::regexp::CompiledRegexp;
use crate::value::address;
use crate::{Alternative, Bound, Decimal, Field, Node, Predicate, TextOp, Wildcard};

/// What the patterns share while they are compiled.
pub(super) struct Compiler {
    pub(super) trie: TrieBuilder,
    pub(super) predicates: Predicates,
    /// How often each predicate occurs.
    pub(super) uses: Vec<u32>,
    pub(super) words: Vec<u32>,
    /// The regular expressions by their numbers; empty where case is ignored, which tells nothing of the text.
    pub(super) regexp_texts: Vec<Box<str>>,
    regexps: HashMap<(Box<str>, bool), Option<u32>, FixedState>,
    limits: MatcherLimits,
}

/// What one predicate comes to.
enum Test<'p> {
    /// Every value meets it.
    Always,
    /// No value meets it.
    Never,
    /// Values meet it or not.
    Is(u32),
    /// Values meet it that meet none of these.
    But(&'p [Predicate]),
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

    /// About how many bytes the matcher will take.
    fn bytes(&self) -> usize {
        // The program is laid out anew at the end, with a few words more for each rule.
        2 * size_of_val(&*self.words) + self.predicates.bytes() - self.predicates.regexp_bytes()
            + self.trie.bytes()
    }

    /// The operations of a conjunction, without a head.
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
        let may_miss = alternatives.iter().any(Alternative::is_missing);
        let present = alternatives.iter().filter(|one| !one.is_missing());
        let mut conjunctions: Vec<Vec<u32>> = present
            .flat_map(|one| self.alternative(slot, &one.0))
            .collect();
        if conjunctions.iter().any(Vec::is_empty) {
            conjunctions = vec![Vec::new()];
        }
        match (may_miss, conjunctions.is_empty()) {
            (true, true) => self.missing(slot),
            (true, false) => {
                let head = open(&mut self.words);
                self.missing(slot);
                self.present(slot, &conjunctions);
                close(&mut self.words, head, Opcode::Any);
            }
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
                    u32::try_from(literals.len()).expect("the budget keeps alternatives short"),
                );
                self.words.extend_from_slice(literals);
            }
            close(&mut self.words, head, Opcode::Field);
        }
    }

    /// The conjunctions of literals that an alternative comes to: none if no value meets it.
    fn alternative(&mut self, slot: u32, predicates: &[Predicate]) -> Vec<Vec<u32>> {
        let mut conjunctions = vec![Vec::new()];
        for predicate in predicates {
            match self.test(slot, predicate, false) {
                Test::Always => {}
                Test::Never => return Vec::new(),
                Test::Is(id) => conjunctions
                    .iter_mut()
                    .for_each(|literals| literals.push(met(id))),
                Test::But(inner) => {
                    for excluded in inner {
                        conjunctions = self.exclude(slot, excluded, conjunctions);
                    }
                }
            }
        }
        conjunctions
    }

    /// Each conjunction with "and does not meet `excluded`".
    fn exclude(
        &mut self,
        slot: u32,
        excluded: &Predicate,
        mut conjunctions: Vec<Vec<u32>>,
    ) -> Vec<Vec<u32>> {
        match self.test(slot, excluded, true) {
            Test::Never => conjunctions,
            Test::Always => Vec::new(),
            Test::Is(id) => {
                for literals in &mut conjunctions {
                    literals.push(unmet(id));
                }
                conjunctions
            }
            // Not to meet "none of these" is to meet one of them.
            Test::But(inner) => {
                let mut all = Vec::new();
                for predicate in inner {
                    let met_too = match self.test(slot, predicate, true) {
                        Test::Never | Test::But(_) => continue,
                        Test::Always => None,
                        Test::Is(id) => Some(met(id)),
                    };
                    all.extend(
                        conjunctions
                            .iter()
                            .map(|literals| literals.iter().copied().chain(met_too).collect()),
                    );
                }
                all
            }
        }
    }

    /// `textual`: exact strings compare by their characters alone, as they do inside `anything-but`.
    fn test<'p>(&mut self, slot: u32, predicate: &'p Predicate, textual: bool) -> Test<'p> {
        let (class, bytes) = match predicate {
            Predicate::Missing => return Test::Never,
            Predicate::Exists => return Test::Always,
            Predicate::AnythingBut(predicates) => return Test::But(predicates),
            Predicate::Null => (Class::Null, Vec::new()),
            Predicate::Bool(true) => (Class::True, Vec::new()),
            Predicate::Bool(false) => (Class::False, Vec::new()),
            Predicate::Number(number) => (Class::Number, sortable_form(number.as_str())),
            Predicate::Range { lower, upper } => {
                (Class::Range, range(lower.as_ref(), upper.as_ref()))
            }
            Predicate::Text(TextOp::Equals, text) => match address::read(text).filter(|_| !textual)
            {
                Some(address) => {
                    let (bytes, length) =
                        network(address, if address.is_ipv4() { 32 } else { 128 });
                    (Class::Network, bytes[..length].to_vec())
                }
                None => return self.interned(Class::String, slot, text.as_bytes()),
            },
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
                None => return Test::Never,
            },
            Predicate::Cidr(net) => {
                let (bytes, length) = network(net.addr(), net.prefix_len());
                (Class::Network, bytes[..length].to_vec())
            }
        };
        self.interned(class, slot, &bytes)
    }

    fn interned<'p>(&mut self, class: Class, slot: u32, bytes: &[u8]) -> Test<'p> {
        let id = self.predicates.intern(class, slot, bytes);
        self.uses.resize(self.predicates.all().len(), 0);
        self.uses[id as usize] += 1;
        Test::Is(id)
    }

    /// The number of a regular expression; `None` when it is none, and no value can match it.
    fn regexp(&mut self, text: &str, ignoring_case: bool) -> Option<u32> {
        let key = (text.into(), ignoring_case);
        if let Some(&known) = self.regexps.get(&key) {
            return known;
        }
        let number = CompiledRegexp::new(text, ignoring_case).ok().map(|regexp| {
            self.regexp_texts.push(if ignoring_case {
                "".into()
            } else {
                text.into()
            });
            self.predicates.keep_regexp(regexp)
        });
        self.regexps.insert(key, number);
        number
    }
}

/// Most wildcards have one star at an end and are something simpler.
fn wildcard_class(wildcard: &Wildcard, ignoring_case: bool) -> (Class, Vec<u8>) {
    let pieces: Vec<&[u8]> = wildcard
        .pieces
        .iter()
        .map(|piece| piece.as_bytes())
        .collect();
    let (class, bytes) = match &pieces[..] {
        [] => (Class::String, Vec::new()),
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

fn range(lower: Option<&Bound>, upper: Option<&Bound>) -> Vec<u8> {
    let form = |bound: Option<&Bound>| {
        bound.map(|bound| (sortable_form(bound.value.as_str()), bound.inclusive))
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

fn sortable_form(number: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Decimal::write_sort_key(number.as_bytes(), &mut bytes);
    bytes
}
