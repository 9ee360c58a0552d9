//! Whether any value satisfies a formula.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::addresses::{self, Region};
use super::atoms::{Atom, Atoms, Kind};
use super::automaton;
use super::budget::Budget;
use super::formula::{AtomId, Formula};
use super::languages::Language;
use super::numbers;
use super::samples::samples;
use crate::value::Scalar;

/// Whether it is proven that no value satisfies the formula.
pub(super) fn none_satisfies(formula: &Formula, atoms: &Atoms, budget: &Budget) -> bool {
    let is_excluded = |value: &Scalar| evaluate(formula, value, atoms, budget) == Some(false);
    is_excluded(&Scalar::Null)
        && is_excluded(&Scalar::Bool(true))
        && is_excluded(&Scalar::Bool(false))
        && numbers::none_satisfies(formula, atoms, budget)
        && no_string_satisfies(formula, atoms, budget)
}

/// The truth of the formula for one value.
pub(super) fn evaluate(
    formula: &Formula,
    value: &Scalar,
    atoms: &Atoms,
    budget: &Budget,
) -> Option<bool> {
    formula.evaluate(&|atom| Some(atoms.get(atom).matches(value)), budget)
}

fn no_string_satisfies(formula: &Formula, atoms: &Atoms, budget: &Budget) -> bool {
    let is_about_strings = |atom: AtomId| matches!(kind(atoms, atom), Kind::Text | Kind::Address);
    let undecided = |atom: AtomId| (!is_about_strings(atom)).then_some(false);
    if let Some(holds) = formula.evaluate(&undecided, budget) {
        return !holds;
    }
    let used: Vec<AtomId> = formula.atoms().into_iter().collect();
    let textual: Vec<AtomId> = used
        .into_iter()
        .filter(|&id| is_about_strings(id))
        .collect();
    let is_excluded =
        |text: &str| evaluate(formula, &Scalar::String(text), atoms, budget) == Some(false);
    // Also the proof for the strings that `==` names: below, only other strings are looked for.
    let mut literals = textual.iter().filter_map(|&id| atoms.get(id).literal());
    if !literals.all(is_excluded) {
        return false;
    }
    let mut samples = samples(textual.iter().map(|&id| atoms.get(id)));
    if !samples.all(|text| is_excluded(&text)) {
        return false;
    }
    let strings = Strings {
        formula,
        atoms,
        budget,
        textual: &textual,
        literals: OnceCell::new(),
    };
    strings.are_excluded()
}

fn kind(atoms: &Atoms, atom: AtomId) -> Kind {
    atoms.get(atom).kind()
}

/// What decides a predicate about the characters of strings.
enum Role {
    /// The automaton with this number.
    Language(usize),
    /// Nothing; the number among those.
    Opaque(usize),
    /// Equality with one string.
    Literal,
}

/// The predicates about the characters of strings.
#[derive(Default)]
struct Texts<'a> {
    roles: HashMap<AtomId, Role>,
    languages: Vec<&'a Language>,
    literals: Vec<AtomId>,
    /// How many have no automaton.
    opaque: usize,
}

/// A formula, and its predicates about strings.
struct Strings<'a> {
    formula: &'a Formula,
    atoms: &'a Atoms,
    budget: &'a Budget,
    textual: &'a [AtomId],
    /// The strings that `==` names; `None` inside if the budget does not suffice.
    literals: OnceCell<Option<Language>>,
}

impl Strings<'_> {
    /// Strings that are no address, then the addresses of each region.
    fn are_excluded(&self) -> bool {
        let about_addresses: Vec<&Atom> = self
            .textual
            .iter()
            .map(|&id| self.atoms.get(id))
            .filter(|atom| atom.kind() == Kind::Address)
            .collect();
        if !self.region_is_excluded(None) {
            return false;
        }
        if about_addresses.is_empty() {
            return true;
        }
        addresses::regions(about_addresses.into_iter())
            .iter()
            .all(|region| self.region_is_excluded(Some(region)))
    }

    /// Whether no string satisfies the formula that is an address of the region, or that is no
    /// address. `None` stands for both: an address that is in no network, which is weaker.
    fn region_is_excluded(&self, region: Option<&Region>) -> bool {
        let representative = region.map(|region| region.first.to_string());
        let address_truth = |atom: &Atom| {
            representative
                .as_deref()
                .is_some_and(|text| atom.matches(&Scalar::String(text)))
        };
        // The truth of everything but the texts.
        let fixed = |id: AtomId| {
            let atom = self.atoms.get(id);
            match atom.kind() {
                Kind::Text => None,
                Kind::Address => Some(address_truth(atom)),
                Kind::Null | Kind::Bool | Kind::Number => Some(false),
            }
        };
        if let Some(holds) = self.formula.evaluate(&fixed, self.budget) {
            return !holds;
        }
        let region_language =
            region.map(|region| Language::of_regexp(&region.spellings(), self.budget));
        let region_language = match &region_language {
            Some(None) => return false,
            Some(Some(language)) => Some(language),
            None => None,
        };
        let Some(all_strings) = Language::all_strings(self.budget) else {
            return false;
        };
        let required: Vec<&Language> = [Some(&all_strings), region_language]
            .into_iter()
            .flatten()
            .collect();
        let texts = self.texts();
        // Mostly no string at all is left. Where one is, it may be one that `==` names, as in
        // `matches "x|y" and not in ["x", "y"]`; an automaton for a long list is expensive.
        self.none_is_left(&texts, &required, None, &fixed)
            || !texts.literals.is_empty()
                && self
                    .literal_strings(&texts.literals)
                    .is_some_and(|named| self.none_is_left(&texts, &required, Some(named), &fixed))
    }

    /// Whether no string satisfies the formula that is in all of the required languages and not in
    /// the excluded one. `fixed` is the truth of everything but the texts.
    fn none_is_left(
        &self,
        texts: &Texts<'_>,
        required: &[&Language],
        excluded: Option<&Language>,
        fixed: &dyn Fn(AtomId) -> Option<bool>,
    ) -> bool {
        let languages = required.iter().copied().chain(excluded);
        let languages: Vec<&Language> = languages.chain(texts.languages.iter().copied()).collect();
        // A predicate without an automaton may hold or not, whatever the others do, so each of them
        // doubles the work.
        let opaque = u32::try_from(texts.opaque).unwrap_or(u32::MAX);
        let Some(combinations) = 1_usize.checked_shl(opaque) else {
            return false;
        };
        (0..combinations).all(|combination| {
            let accepts = |truth: &[Option<bool>]| {
                let (in_required, truth) = truth.split_at(required.len());
                let (in_excluded, in_language) = truth.split_at(excluded.iter().count());
                if in_required.contains(&Some(false)) || in_excluded.contains(&Some(true)) {
                    return Some(false);
                }
                let truth = |id: AtomId| match texts.roles.get(&id) {
                    Some(Role::Language(at)) => in_language[*at],
                    Some(Role::Opaque(at)) => Some(combination >> at & 1 == 1),
                    // The strings that `==` names were looked at one by one; no other string equals
                    // one of them.
                    Some(Role::Literal) => Some(false),
                    None => fixed(id),
                };
                self.formula.evaluate(&truth, self.budget)
            };
            self.budget.spend(1) && automaton::none_accepted(&languages, &accepts, self.budget)
        })
    }

    /// The predicates about the characters of strings.
    fn texts(&self) -> Texts<'_> {
        let mut texts = Texts::default();
        for &id in self.textual {
            let atom = self.atoms.get(id);
            if atom.kind() != Kind::Text {
                continue;
            }
            let role = if atom.literal().is_some() {
                texts.literals.push(id);
                Role::Literal
            } else if let Some(language) = atom.language(self.budget) {
                texts.languages.push(language);
                Role::Language(texts.languages.len() - 1)
            } else {
                texts.opaque += 1;
                Role::Opaque(texts.opaque - 1)
            };
            texts.roles.insert(id, role);
        }
        texts
    }

    fn literal_strings(&self, literals: &[AtomId]) -> Option<&Language> {
        let texts = literals
            .iter()
            .filter_map(|&id| self.atoms.get(id).literal());
        self.literals
            .get_or_init(|| Language::of_literals(texts, self.budget))
            .as_ref()
    }
}
