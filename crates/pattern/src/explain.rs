//! Explains why a pattern matches an event or does not.
//!
//! An explanation has the shape of the pattern's tree, with a result, the values found and hints at
//! every node. It is data: [`Explanation::render`] gives text, [`Explanation::to_json`] JSON.
//! It comes from the reference evaluator, not from the matcher, whose index keeps no trace of the
//! conditions that did not match.

mod characters;
mod explainer;
mod hint;
mod json;
mod key_index;
mod location;
mod missing;
mod nearest;
mod render;
mod rewrite;
mod similar_key;
mod suggestion;
mod syntax_as_key;

use std::cell::Cell;

use reflexarc_event::Json;

pub use hint::Hint;
pub use location::{Location, Step};

use crate::field_values::{ElementChoice, FieldValues};
use crate::naive::{Goal, Steps};
use crate::{Node, Path, PatternLimits};
use key_index::KeyIndex;
use similar_key::SimilarKeys;

/// The result of every node of a pattern for one event.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Pattern, explain::explain};
///
/// let pattern: Pattern = "count > 2".parse()?;
/// let explanation = explain(pattern.node(), &Json::parse(r#"{"count": 3}"#)?);
/// assert!(explanation.matched() && explanation.root.matched);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The whole pattern.
    pub root: Part,
}

/// One node of the pattern with its result.
///
/// Below a conjunction over the fields of array elements (see [`Test::All`]), results are those for
/// the element in question: a field may fail there although another element has a matching value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Whether the node matches; false too if that is undecided.
    pub matched: bool,
    /// Whether it is undecided if the node matches, because the event has too many combinations of
    /// array elements. The results of its children are then those without a choice of elements.
    pub undecided: bool,
    /// The kind of node, with its children.
    pub test: Test,
}

/// The kind of a node.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::explain::{Test, explain};
///
/// let pattern: Pattern = "a == 1 and b == 2".parse()?;
/// let explanation = explain(pattern.node(), &Json::parse(r#"{"a": 1}"#)?);
/// let Test::All { parts, .. } = explanation.root.test else { panic!("a conjunction") };
/// assert_eq!(parts.iter().map(|part| part.matched).collect::<Vec<_>>(), [true, false]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A conjunction, within one choice of array elements.
    All {
        /// Every conjunct.
        parts: Vec<Part>,
        /// If several parts have paths through one array: the element that met all of them, or the
        /// one that met most.
        element: Option<Location>,
    },
    /// A disjunction.
    Any {
        /// Every branch.
        parts: Vec<Part>,
    },
    /// A negation.
    Not {
        /// The negated node.
        part: Box<Part>,
    },
    /// A condition on the value at a path.
    Field(FieldTest),
}

/// The result of one field of the pattern.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::explain::{Test, explain};
///
/// let pattern: Pattern = "count > 2".parse()?;
/// let explanation = explain(pattern.node(), &Json::parse(r#"{"count": 1}"#)?);
/// let Test::Field(test) = &explanation.root.test else { panic!("a field") };
/// assert_eq!((test.expected.as_str(), test.found[0].value.as_str()), ("count > 2", "1"));
/// assert!(test.met_by.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldTest {
    /// The path of the field.
    pub path: Path,
    /// The condition, as an expression; of a long list the first eight values and the number of the
    /// others.
    pub expected: String,
    /// The values at the path in text order, at most the first eight.
    pub found: Vec<Found>,
    /// The number of values at the path.
    pub count: usize,
    /// The first value that meets the condition; `None` if none does, or if the field matches
    /// because it is missing.
    pub met_by: Option<Found>,
    /// The value closest to meeting the condition; `None` if the field matches or has no value.
    pub nearest: Option<NearMiss>,
    /// Likely reasons for an unexpected result.
    pub hints: Vec<Hint>,
}

/// A value in the event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The location of the value.
    pub location: Location,
    /// The value as JSON, truncated after 200 characters.
    pub value: String,
}

/// The value closest to meeting a condition.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::explain::{Test, explain};
///
/// let pattern: Pattern = r#"result in ["failed", "unknown"]"#.parse()?;
/// let explanation = explain(pattern.node(), &Json::parse(r#"{"result": "faild"}"#)?);
/// let Test::Field(test) = explanation.root.test else { panic!("a field") };
/// let nearest = test.nearest.expect("a value at the path");
/// assert_eq!(nearest.found.location.to_string(), "result");
/// assert_eq!(nearest.suggested, Some(Json::from("failed")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearMiss {
    /// The value.
    pub found: Found,
    /// The alternative that it is closest to, as an expression.
    pub expected: String,
    /// A value that would meet the alternative at this location; `None` if the alternative
    /// requires a missing field, or if none was found (for some regular expressions, and for
    /// contradictory conditions).
    pub suggested: Option<Json>,
}

/// Explains the result of a pattern for an event.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate, TextOp, explain};
///
/// let failed = Alternative(vec![Predicate::Text(TextOp::Equals, "failed".into())]);
/// let path = Path::from_keys(["content", "result"]);
/// let node = Node::Field(Field { path, alternatives: vec![failed] });
/// let event = Json::parse(r#"{"content": {"result": "Failed"}}"#)?;
///
/// let explanation = explain::explain(&node, &event);
/// assert!(!explanation.matched());
/// assert_eq!(explanation.render(false), r#"✗ content.result == "failed"
///     content.result is "Failed"
///     hint: the value differs only in case; add `ignoring case`
/// "#);
/// # Ok::<(), reflexarc_event::JsonError>(())
/// ```
pub fn explain(node: &Node, event: &Json) -> Explanation {
    explain_within(node, event, PatternLimits::DEFAULT.explain_steps)
}

/// As [`explain`], with another limit of steps than [`PatternLimits::explain_steps`].
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::explain::explain_within;
///
/// let pattern: Pattern = "a.b == 1 and a.c == 2".parse()?;
/// let event = Json::parse(r#"{"a": [{"b": 1, "c": 3}, {"b": 4, "c": 2}]}"#)?;
/// assert!(!explain_within(pattern.node(), &event, 1_000).undecided());
/// let explanation = explain_within(pattern.node(), &event, 3);
/// assert!(explanation.undecided() && !explanation.matched());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explain_within(node: &Node, event: &Json, steps: usize) -> Explanation {
    let values = FieldValues::of(node, event);
    let field_steps = Steps::new(steps);
    let goal = Goal::of(node, &values, &field_steps);
    // A search among fields that were not all looked up would answer wrongly.
    let steps = Steps::new(if field_steps.are_left() { steps } else { 0 });
    let explainer = explainer::Explainer {
        event,
        steps,
        field_steps,
        failed: Cell::new(0),
        values: &values,
        key_index: &KeyIndex::new(event),
        similar_keys: &SimilarKeys::new(event),
    };
    Explanation {
        root: explainer.part(node, &goal, &ElementChoice::new()),
    }
}

impl Explanation {
    /// Whether the pattern matches the event: equal to [`crate::naive::matches`], and false if it
    /// is undecided.
    pub fn matched(&self) -> bool {
        self.root.matched
    }

    /// Whether it is undecided if the pattern matches, as after [`PatternLimits::explain_steps`].
    pub fn undecided(&self) -> bool {
        self.root.undecided
    }

    /// Adds what the caller knows about fields that fail, such as that the event was converted; of
    /// hints about other paths only the caller's remain.
    ///
    /// ```
    /// use reflexarc_event::Json;
    /// use reflexarc_pattern::explain::{Hint, explain};
    /// use reflexarc_pattern::{Path, Pattern};
    ///
    /// let pattern: Pattern = "data.a == 1".parse()?;
    /// let moved = Hint::MovedTo(Path::from_keys(["content.a"]));
    /// let explanation = explain(pattern.node(), &Json::parse(r#"{"content": {"a": 1}}"#)?)
    ///     .with_hints(|field| (field.count == 0).then(|| moved.clone()));
    /// assert!(explanation.render(false).contains("in which this field is content.a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_hints(mut self, hint: impl Fn(&FieldTest) -> Option<Hint>) -> Self {
        add_hints(&mut self.root, &hint);
        self
    }

    /// The explanation as JSON: `matched` and `test` for each node, `undecided` where that is true,
    /// and the fields of its kind.
    ///
    /// ```
    /// use reflexarc_event::Json;
    /// use reflexarc_pattern::{Pattern, explain::explain};
    ///
    /// let pattern: Pattern = "count > 2".parse()?;
    /// let explanation = explain(pattern.node(), &Json::parse(r#"{"count": 3}"#)?);
    /// assert_eq!(explanation.to_json().get("matched"), Some(&Json::Bool(true)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> Json {
        json::part(&self.root)
    }

    /// The explanation as text: a line for each node, marked ✓, ✗ or ? and indented by two spaces
    /// per level. By default only nodes that failed, and of a disjunction the first three; with
    /// `all` every node.
    ///
    /// ```
    /// use reflexarc_event::Json;
    /// use reflexarc_pattern::{Pattern, explain::explain};
    ///
    /// let pattern: Pattern = "a == 1 and b == 2".parse()?;
    /// let explanation = explain(pattern.node(), &Json::parse(r#"{"a": 1, "b": 3}"#)?);
    /// assert!(!explanation.render(false).contains("a == 1"));
    /// assert!(explanation.render(true).contains("✓ a == 1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, all: bool) -> String {
        render::explanation(self, all)
    }
}

fn add_hints(part: &mut Part, hint: &impl Fn(&FieldTest) -> Option<Hint>) {
    match &mut part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            for part in parts {
                add_hints(part, hint);
            }
        }
        Test::Not { part } => add_hints(part, hint),
        Test::Field(field) => {
            if part.matched {
                return;
            }
            let Some(hint) = hint(field) else { return };
            // The caller knows where the field is; a similar key elsewhere is only a guess.
            if matches!(hint, Hint::MovedTo(_) | Hint::Removed) {
                let is_guess = |hint: &Hint| {
                    matches!(
                        hint,
                        Hint::OtherPath(_) | Hint::KeyCase(_) | Hint::SimilarKey(_)
                    )
                };
                field.hints.retain(|hint| !is_guess(hint));
            }
            field.hints.insert(0, hint);
        }
    }
}
