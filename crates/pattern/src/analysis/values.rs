//! Whether any value satisfies a formula.

use super::addresses::{self, Region};
use super::atoms::{Atom, Atoms, Kind};
use super::automaton;
use super::budget::Budget;
use super::formula::{AtomId, Formula};
use super::languages::Language;
use super::numbers;
use super::samples::samples;
use crate::value::Scalar;

/// The most automata in one search.
const MAX_LANGUAGES: usize = 12;

/// The most predicates without an automaton in one search: each doubles its work.
const MAX_OPAQUE: usize = 3;

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
    // Also the proof for the strings that `==` names: below, a string equals none of them unless
    // there are few.
    let mut literals = textual.iter().filter_map(|&id| atoms.get(id).literal());
    if !literals.all(is_excluded) {
        return false;
    }
    let samples = samples(textual.iter().map(|&id| atoms.get(id)));
    if !samples.iter().all(|text| is_excluded(text)) {
        return false;
    }
    let strings = Strings {
        formula,
        atoms,
        budget,
        textual: &textual,
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
        let Some(regions) = addresses::regions(about_addresses.into_iter()) else {
            return false;
        };
        regions
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
        let (mut accepted, mut opaque, mut unequal) = (Vec::new(), Vec::new(), Vec::new());
        for id in texts {
            let atom = self.atoms.get(id);
            // A long list of strings: they were looked at one by one, and any other string equals
            // none of them.
            if atom.literal().is_some() && self.textual.len() > MAX_LANGUAGES / 2 {
                unequal.push(id);
            } else if let Some(language) = atom.language() {
                accepted.push((id, language));
            } else {
                opaque.push(id);
            }
        }
        if accepted.len() > MAX_LANGUAGES || opaque.len() > MAX_OPAQUE {
            return false;
        }
        let region_language = match region.map(|region| Language::of_regexp(&region.spellings())) {
            Some(Some(language)) => Some(language),
            Some(None) => return false,
            None => None,
        };
        let Some(all_strings) = Language::all_strings() else {
            return false;
        };
        let required: Vec<&Language> = [Some(&all_strings), region_language.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let languages: Vec<&Language> = required
            .iter()
            .copied()
            .chain(accepted.iter().map(|(_, language)| *language))
            .collect();
        // Predicates without an automaton may hold or not; each combination must be excluded.
        (0..1_usize << opaque.len()).all(|combination| {
            let accepts = |truth: &[Option<bool>]| {
                let (in_required, in_accepted) = truth.split_at(required.len());
                if in_required.contains(&Some(false)) {
                    return Some(false);
                }
                let of_atom = |id: AtomId| {
                    if let Some(at) = accepted.iter().position(|(atom, _)| *atom == id) {
                        return in_accepted[at];
                    }
                    if let Some(at) = opaque.iter().position(|atom| *atom == id) {
                        return Some(combination >> at & 1 == 1);
                    }
                    if unequal.contains(&id) {
                        return Some(false);
                    }
                    fixed(id)
                };
                self.formula.evaluate(&of_atom, self.budget)
            };
            automaton::none_accepted(&languages, &accepts, self.budget)
        })
    }
}
