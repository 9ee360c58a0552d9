//! Why a pattern matches an event, or what keeps it from matching.
//!
//! The explanation follows the tree of the pattern. It is plain data; [`Explanation::render`] draws it as text and
//! [`Explanation::to_json`] as JSON. It is made by the plain evaluator, never from the matcher's index.

mod explainer;
mod hint;
mod json;
mod key_index;
mod location;
mod nearest;
mod render;
mod similar_key;
mod suggestion;

use reflexarc_event::Json;

pub use hint::Hint;
pub use location::{Location, Step};

use crate::field_values::{ElementChoice, FieldValues};
use crate::naive::Goal;
use crate::{Node, Path};
use key_index::KeyIndex;
use similar_key::SimilarKeys;

/// How a pattern fares with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The whole pattern.
    pub root: Part,
}

/// One node of the pattern.
///
/// Where the part above chose elements of arrays (see [`Test::All`]), its parts are judged within that choice: a part may
/// fail although other elements would let it hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whether it holds.
    pub matched: bool,
    /// What it asks for.
    pub test: Test,
}

/// What a part asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// All of the parts, within one choice of array elements.
    All {
        /// Every conjunct.
        parts: Vec<Part>,
        /// Where several parts cross one array: the element that all of them met, or the one that came closest.
        element: Option<Location>,
    },
    /// One of the parts.
    Any {
        /// Every branch.
        parts: Vec<Part>,
    },
    /// That the part does not hold.
    Not {
        /// What must not hold.
        part: Box<Part>,
    },
    /// A value at a path.
    Field(FieldTest),
}

/// How one field of the pattern fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTest {
    /// Where it looks.
    pub path: Path,
    /// The whole test, as an expression.
    pub expected: String,
    /// The values at the path in the order of the text, no more than the first eight.
    pub found: Vec<Found>,
    /// How many values there are.
    pub count: usize,
    /// The first value that meets the test, when one does; nothing where absence meets it.
    pub met_by: Option<Found>,
    /// What came closest, when the test fails and there is a value.
    pub nearest: Option<NearMiss>,
    /// What the author may have overlooked.
    pub hints: Vec<Hint>,
}

/// A value in the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub location: Location,
    /// Its JSON text, cut after 200 characters.
    pub value: String,
}

/// The value that came closest to meeting a test, and the alternative that it came closest to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The value.
    pub found: Found,
    /// The alternative, as an expression.
    pub expected: String,
    /// A value that would meet the alternative if it stood there; nothing where absence is asked for, or where no such
    /// value was found (for some regular expressions and for tests that contradict each other).
    pub suggested: Option<Json>,
}

/// Explains how the pattern fares with the event.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate, TextOp, explain};
///
/// let failed = Alternative(vec![Predicate::Text(TextOp::Equals, "failed".into())]);
/// let node = Node::Field(Field { path: Path::from_keys(["content", "result"]), alternatives: vec![failed] });
/// let event = Json::parse(r#"{"content": {"result": "Failed"}}"#)?;
///
/// let explanation = explain::explain(&node, &event);
/// assert!(!explanation.matched());
/// assert_eq!(explanation.render(false), r#"✗ content.result == "failed"
///     content.result is "Failed"
///     hint: it differs only in case; add `ignoring case`
/// "#);
/// # Ok::<(), reflexarc_event::JsonError>(())
/// ```
pub fn explain(node: &Node, event: &Json) -> Explanation {
    let places = FieldValues::of(node, event);
    let goal = Goal::of(node, &places);
    let explainer = explainer::Explainer {
        places: &places,
        elsewhere: &KeyIndex::new(event),
        near_keys: &SimilarKeys::new(event),
    };
    Explanation {
        root: explainer.part(node, &goal, &ElementChoice::new()),
    }
}

impl Explanation {
    /// Whether the pattern matches the event; always what [`crate::naive::matches`] says.
    pub fn matched(&self) -> bool {
        self.root.matched
    }

    /// The explanation as JSON: `matched` and `test` for each part, and the fields of its kind.
    pub fn to_json(&self) -> Json {
        json::part(&self.root)
    }

    /// The explanation as text, one line a part, ✓ or ✗ before it, indented by two spaces a level. Only what failed,
    /// and of many failed branches the first few; `all` gives every part.
    pub fn render(&self, all: bool) -> String {
        render::explanation(self, all)
    }
}
