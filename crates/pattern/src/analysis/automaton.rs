//! The search for a string that a boolean combination of languages accepts.

use std::collections::{HashSet, VecDeque};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::Cache;
use regex_automata::{Anchored, Input};

use super::budget::Budget;
use super::languages::Language;

/// Whether it is proven that there is no string for which `accepts` holds. `accepts` gets the truth
/// of each language, `None` where it is not known yet.
// A breadth-first search through the product automaton: a state is one state of each automaton.
// Example: `starts with "ab"` and not `starts with "a"`, written as the states after each byte:
//
//     ""     (start, start)
//     "a"    (after a, accepting for ever)    the second language now holds whatever follows, so
//                                             the conjunction cannot: this branch is cut
//     "b"    (dead, dead)                     the first language cannot hold any more: cut
//
// and no state is left, so there is no such string.
pub(super) fn none_accepted(
    languages: &[&Language],
    accepts: &dyn Fn(&[Option<bool>]) -> Option<bool>,
    budget: &Budget,
) -> bool {
    search(languages, accepts, budget).is_some_and(|found| !found)
}

/// Whether a string is accepted; `None` if the search was given up.
fn search(
    languages: &[&Language],
    accepts: &dyn Fn(&[Option<bool>]) -> Option<bool>,
    budget: &Budget,
) -> Option<bool> {
    let mut caches: Vec<Cache> = languages
        .iter()
        .map(|language| language.automaton.create_cache())
        .collect();
    let input = Input::new("").anchored(Anchored::Yes);
    let mut start = Vec::with_capacity(languages.len());
    for (language, cache) in languages.iter().zip(&mut caches) {
        // Errors here and below mean a full cache: the answer is then not known, `None`.
        start.push(language.automaton.start_state_forward(cache, &input).ok()?);
    }
    let bytes = representative_bytes(languages);
    let cost: usize = languages.iter().map(|language| language.cost).sum();
    let mut seen: HashSet<Vec<LazyStateID>> = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    let mut truth = vec![None; languages.len()];
    while let Some(states) = queue.pop_front() {
        // The string may end here.
        for (i, language) in languages.iter().enumerate() {
            let end = language
                .automaton
                .next_eoi_state(&mut caches[i], states[i])
                .ok()?;
            truth[i] = Some(end.is_match());
        }
        if accepts(&truth) != Some(false) {
            return Some(true);
        }
        // Or it may go on: a language whose automaton is dead accepts nothing that follows.
        for (known, state) in truth.iter_mut().zip(&states) {
            *known = state.is_dead().then_some(false);
        }
        if accepts(&truth) == Some(false) {
            continue;
        }
        for &byte in &bytes {
            if !budget.spend(cost) {
                return None;
            }
            let mut next = Vec::with_capacity(states.len());
            for (i, language) in languages.iter().enumerate() {
                let state = language
                    .automaton
                    .next_state(&mut caches[i], states[i], byte)
                    .ok()?;
                if state.is_quit() {
                    return None;
                }
                next.push(state);
            }
            if !seen.contains(&next) {
                seen.insert(next.clone());
                queue.push_back(next);
            }
        }
        // In the set and in the queue.
        let state_bytes = 2 * languages.len() * size_of::<LazyStateID>();
        let bytes: usize = caches.iter().map(Cache::memory_usage).sum();
        if bytes + seen.len() * state_bytes > budget.bytes {
            return None;
        }
    }
    Some(false)
}

/// A byte of each class of bytes that no automaton distinguishes.
fn representative_bytes(languages: &[&Language]) -> Vec<u8> {
    let mut classes = HashSet::new();
    (0..=u8::MAX)
        .filter(|&byte| {
            let class: Vec<u8> = languages
                .iter()
                .map(|language| language.automaton.byte_classes().get(byte))
                .collect();
            classes.insert(class)
        })
        .collect()
}
