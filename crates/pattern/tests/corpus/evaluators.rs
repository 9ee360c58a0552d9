//! One pattern and one event, with every evaluator.

use reflexarc_event::{Event, Json};
use reflexarc_pattern::explain::explain;
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch, naive};

use crate::scalar_answer;

/// What an evaluator found.
pub(crate) struct Answer {
    pub(crate) evaluator: &'static str,
    /// Whether the event matches, or what went wrong.
    pub(crate) found: Result<bool, String>,
}

/// The answers of all evaluators that support the event. `event` is the tree of `text`.
pub(crate) fn answers(pattern: &Pattern, text: &str, event: &Json) -> Vec<Answer> {
    let node = pattern.node();
    let mut answers = vec![
        answered("naive", naive::matches(node, event)),
        answered("explain", explain(node, event).matched()),
        matcher_alone(pattern, text),
        printed("expression", pattern, &pattern.to_expression(), event),
        printed("json", pattern, &pattern.to_json(), event),
    ];
    // The printers write the reflexarc dialect.
    if pattern.dialect() == Dialect::Reflexarc {
        answers.push(printed("format", pattern, &pattern.format(), event));
    }
    answers.extend(
        scalar_answer::answer(node, event).map(|matched| answered("scalar matcher", matched)),
    );
    // Events are objects; patterns can be evaluated against any JSON document.
    if let Ok(event) = Event::from_json(text) {
        answers.push(answered("pattern", pattern.matches(&event)));
    }
    answers
}

/// A match or no match, in words.
pub(crate) fn in_words(matched: bool) -> &'static str {
    if matched { "a match" } else { "no match" }
}

fn answered(evaluator: &'static str, matched: bool) -> Answer {
    Answer {
        evaluator,
        found: Ok(matched),
    }
}

fn matcher_alone(pattern: &Pattern, text: &str) -> Answer {
    let found = Matcher::build([pattern.node()])
        .map_err(|error| error.to_string())
        .and_then(|matcher| {
            matcher
                .has_match_bytes(text.as_bytes(), &mut Scratch::new())
                .map_err(|error| error.to_string())
        });
    Answer {
        evaluator: "matcher alone",
        found,
    }
}

/// Parsing what was printed gives the same tree, which has the same answer.
fn printed(evaluator: &'static str, pattern: &Pattern, text: &str, event: &Json) -> Answer {
    let found = match Pattern::parse(text, Dialect::Reflexarc) {
        Err(error) => Err(format!("{text} is rejected: {error}")),
        Ok(again) if again.node() != pattern.node() => Err(format!("{text} is another pattern")),
        Ok(again) => Ok(naive::matches(again.node(), event)),
    };
    Answer { evaluator, found }
}
