//! The predicates of the patterns under analysis, each once.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::net::IpAddr;

use super::budget::Budget;
use super::formula::{AtomId, Formula};
use super::languages::Language;
use crate::value::{CompiledPredicate, Scalar};
use crate::{Predicate, TextOp};

/// All predicates, compiled when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    atoms: Vec<Atom>,
    ids: HashMap<Predicate, AtomId>,
}

#[derive(Debug)]
pub(super) struct Atom {
    pub(super) predicate: Predicate,
    compiled: OnceCell<CompiledPredicate>,
    /// `None` inside: it has no language, or one that is too large.
    language: OnceCell<Option<Language>>,
}

/// The type of the values that can satisfy a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// A string, by its characters.
    Text,
    /// A string that is an address, by its value.
    Address,
}

impl Atoms {
    /// The formula of a predicate. `Missing` concerns the absence of values, so no value satisfies
    /// it.
    pub(super) fn formula(&mut self, predicate: &Predicate) -> Formula {
        match predicate {
            Predicate::Missing => Formula::any([]),
            Predicate::Exists => Formula::all([]),
            Predicate::AnythingBut(excluded) => Formula::all(
                excluded
                    .iter()
                    .map(|predicate| self.formula(predicate).negated()),
            ),
            other => Formula::Atom(self.intern(other)),
        }
    }

    /// The formula of a predicate that [`Atoms::formula`] was called for already.
    pub(super) fn known_formula(&self, predicate: &Predicate) -> Option<Formula> {
        Some(match predicate {
            Predicate::Missing => Formula::any([]),
            Predicate::Exists => Formula::all([]),
            Predicate::AnythingBut(excluded) => {
                let excluded = excluded.iter().map(|one| self.known_formula(one));
                let excluded: Option<Vec<Formula>> = excluded.collect();
                Formula::all(excluded?.iter().map(Formula::negated))
            }
            other => Formula::Atom(*self.ids.get(other)?),
        })
    }

    pub(super) fn get(&self, id: AtomId) -> &Atom {
        &self.atoms[id]
    }

    fn intern(&mut self, predicate: &Predicate) -> AtomId {
        if let Some(&id) = self.ids.get(predicate) {
            return id;
        }
        let id = self.atoms.len();
        self.atoms.push(Atom {
            predicate: predicate.clone(),
            compiled: OnceCell::new(),
            language: OnceCell::new(),
        });
        self.ids.insert(predicate.clone(), id);
        id
    }
}

impl Atom {
    pub(super) fn matches(&self, value: &Scalar) -> bool {
        self.compiled
            .get_or_init(|| CompiledPredicate::new(&self.predicate))
            .matches(value)
    }

    /// The strings that satisfy it, if they are a language and the budget suffices.
    pub(super) fn language(&self, budget: &Budget) -> Option<&Language> {
        self.language
            .get_or_init(|| Language::of_predicate(&self.predicate, budget))
            .as_ref()
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.predicate {
            Predicate::Null => Kind::Null,
            Predicate::Bool(_) => Kind::Bool,
            Predicate::Number(_) | Predicate::Range { .. } => Kind::Number,
            Predicate::Cidr(_) => Kind::Address,
            _ if self.address().is_some() => Kind::Address,
            _ => Kind::Text,
        }
    }

    /// The address that values must be equal to, in any spelling.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match &self.predicate {
            Predicate::Text(TextOp::Equals, text)
            | Predicate::TextIgnoringCase(TextOp::Equals, text) => address_of(text),
            _ => None,
        }
    }

    /// The string that values must be equal to, character by character.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.predicate {
            Predicate::Text(TextOp::Equals, text) if address_of(text).is_none() => Some(text),
            _ => None,
        }
    }
}

pub(super) fn address_of(text: &str) -> Option<IpAddr> {
    reflexarc_event::parse_address(text)
}
