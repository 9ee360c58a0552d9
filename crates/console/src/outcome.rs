//! What became of an action, for the page after it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::secret::{Unavailable, random_text};

/// Largest number of outcomes that are remembered.
const MAX_OUTCOMES: usize = 256;

/// What a page says about the action before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) succeeded: bool,
    pub(crate) text: String,
    /// The background job that does it.
    pub(crate) job: Option<u64>,
}

/// The last outcomes. A page finds its own by the field `done` of its query: a random text, so that
/// no link can make a page say something.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<VecDeque<Entry>>);

struct Entry {
    id: String,
    /// Whose action it was.
    by: String,
    outcome: Outcome,
}

impl Outcomes {
    /// Remembers an outcome, and returns its id.
    pub(crate) fn add(&self, by: &str, outcome: Outcome) -> Result<String, Unavailable> {
        let id = random_text()?;
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == MAX_OUTCOMES {
            entries.pop_front();
        }
        entries.push_back(Entry {
            id: id.clone(),
            by: by.to_owned(),
            outcome,
        });
        Ok(id)
    }

    /// The outcome of an action of `by`.
    pub(crate) fn find(&self, by: &str, id: &str) -> Option<Outcome> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = entries.iter();
        let found = entries.find(|entry| entry.id == id && entry.by == by)?;
        Some(found.outcome.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_for_who_acted_and_their_number_is_bounded() {
        let outcomes = Outcomes::default();
        let outcome = |number: usize| Outcome {
            succeeded: true,
            text: number.to_string(),
            job: None,
        };
        let first = outcomes.add("ops", outcome(0)).unwrap();
        assert_eq!(outcomes.find("ops", &first), Some(outcome(0)));
        assert_eq!(outcomes.find("reader", &first), None);
        for number in 1..=MAX_OUTCOMES {
            outcomes.add("ops", outcome(number)).unwrap();
        }
        assert_eq!(outcomes.find("ops", &first), None);
        assert_eq!(outcomes.0.lock().unwrap().len(), MAX_OUTCOMES);
    }
}
