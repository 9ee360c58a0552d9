//! Whether any value satisfies a formula.

use std::cell::OnceCell;

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
        let texts = self.textual.iter().copied();
        let texts = texts.filter(|&id| kind(self.atoms, id) == Kind::Text);
        let (mut accepted, mut opaque, mut literals) = (Vec::new(), Vec::new(), Vec::new());
        for id in texts {
            let atom = self.atoms.get(id);
            if atom.literal().is_some() {
                literals.push(id);
            } else if let Some(language) = atom.language(self.budget) {
                accepted.push((id, language));
            } else {
                opaque.push(id);
            }
        }
        // Each predicate without an automaton doubles the work.
        let combinations = u32::try_from(opaque.len())
            .ok()
            .and_then(|opaque| 1_usize.checked_shl(opaque));
        let Some(combinations) = combinations else {
            return false;
        };
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
        // Predicates without an automaton may hold or not; each combination must be excluded.
        let is_excluded = |excluded: Option<&Language>| {
            let languages = required.iter().copied().chain(excluded);
            let languages = languages.chain(accepted.iter().map(|(_, language)| *language));
            let languages: Vec<&Language> = languages.collect();
            (0..combinations).all(|combination| {
                let accepts = |truth: &[Option<bool>]| {
                    let (in_required, truth) = truth.split_at(required.len());
                    let (in_excluded, in_accepted) = truth.split_at(excluded.iter().count());
                    if in_required.contains(&Some(false)) || in_excluded.contains(&Some(true)) {
                        return Some(false);
                    }
                    let of_atom = |id: AtomId| {
                        if let Some(at) = accepted.iter().position(|(atom, _)| *atom == id) {
                            return in_accepted[at];
                        }
                        if let Some(at) = opaque.iter().position(|atom| *atom == id) {
                            return Some(combination >> at & 1 == 1);
                        }
                        // The strings that `==` names were looked at one by one; no other string
                        // equals one of them.
                        if literals.contains(&id) {
                            return Some(false);
                        }
                        fixed(id)
                    };
                    self.formula.evaluate(&of_atom, self.budget)
                };
                self.budget.spend(1) && automaton::none_accepted(&languages, &accepts, self.budget)
            })
        };
        // Mostly no string at all is left. Where one is, it may be one that `==` names, as in
        // `matches "x|y" and not in ["x", "y"]`; an automaton for a long list is expensive.
        is_excluded(None)
            || !literals.is_empty()
                && self
                    .literal_strings(&literals)
                    .is_some_and(|language| is_excluded(Some(language)))
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
