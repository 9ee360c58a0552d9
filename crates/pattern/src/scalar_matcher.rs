//! One pattern against an event that is not JSON text, value by value.
//!
//! The [`crate::Matcher`] first collects all values of an event and then evaluates rules. For one
//! pattern and a handful of values, collecting costs more than testing. This evaluator tests each
//! value as it is visited and keeps nothing but one bit for each field of the pattern.
//!
//! It exists for Python dicts only, and for its measured gain: on a dict with 19 fields and a
//! pattern of four, visiting the values with the matcher took 3.3–3.8 times the same predicate
//! written by hand in Python, this takes 1.0–1.1 times. The figures are those of `python/benches/RESULTS.md`, measured by `compare.py` beside it.

// Example. `level == "WARN" and (count > 2 or host is missing)` becomes
//
//     bit 0: a value at `level` equals "WARN"      bit 2: a value at `host` satisfies nothing
//     bit 1: a value at `count` is above 2         bit 3: there is a value at `host`
//
//     bit 0 and (bit 1 or (bit 2 or not bit 3))
//
// Each visited value yields the bits of the fields it satisfies, and the bits of all values joined
// by `|` decide the formula. That is exact only where no two fields need to lie in one array
// element: which value set a bit is forgotten. So events with objects or arrays inside arrays are
// left to the matcher.

use std::ops::{BitOr, BitOrAssign};

use crate::value::{CompiledPredicate, Scalar};
use crate::{Alternative, Bound, Decimal, Field, Node, Path, TextOp};

/// A pattern, compiled for evaluation value by value. It supports events in which no path of the
/// pattern passes through an object or array that is an element of an array; other events need a
/// [`crate::Matcher`].
///
/// ```
/// use reflexarc_pattern::{Dialect, FieldSet, Matcher, Pattern, ScalarMatcher};
///
/// let text = r#"level == "WARN" and count > 2"#;
/// let pattern = Pattern::parse(text, Dialect::Reflexarc)?;
/// let paths = Matcher::build([pattern.node()])?.paths().to_vec();
/// let matcher = ScalarMatcher::new(pattern.node(), &paths).expect("a small pattern");
/// let slot = |path| paths.iter().position(|used| used.as_str() == path).expect("a used path");
/// let fields = matcher.string(slot("level"), "WARN") | matcher.integer(slot("count"), 3);
/// assert!(matcher.matches(fields) && !matcher.matches(FieldSet::default()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ScalarMatcher {
    /// By slot.
    columns: Vec<Column>,
    formula: Formula,
}

/// The fields of a pattern that values satisfy; sets of several values are joined by `|`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet(u64);

/// The fields of one path.
#[derive(Debug, Default)]
struct Column {
    /// The bit that every value at the path sets; empty where no field accepts missing values.
    present: FieldSet,
    fields: Vec<(FieldSet, Vec<Vec<Check>>)>,
}

#[derive(Debug)]
enum Check {
    /// An exact number or a range with integer bounds: compared without a decimal for integers, by
    /// `predicate` for other values.
    // Most numbers in events are integers, and making a `Decimal` of one allocates.
    Integer {
        lower: i64,
        upper: i64,
        predicate: CompiledPredicate,
    },
    Other(CompiledPredicate),
}

#[derive(Debug)]
enum Formula {
    /// All of these fields are satisfied.
    Satisfied(FieldSet),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Not(Box<Formula>),
}

impl ScalarMatcher {
    /// Compiles a pattern; a slot is a position in `paths`. `None` if the pattern needs more than
    /// 64 bits or uses a path that is not among `paths`.
    pub fn new(pattern: &Node, paths: &[Path]) -> Option<Self> {
        let mut builder = Builder {
            paths,
            columns: Vec::new(),
            bits: 0,
        };
        builder.columns.resize_with(paths.len(), Column::default);
        let formula = builder.formula(pattern)?;
        Some(Self {
            columns: builder.columns,
            formula,
        })
    }

    /// The fields that `null` at a path satisfies.
    pub fn null(&self, slot: usize) -> FieldSet {
        self.columns[slot].satisfied(|check| check.predicate().matches(&Scalar::Null))
    }

    /// The fields that `true` or `false` at a path satisfies.
    pub fn bool(&self, slot: usize, value: bool) -> FieldSet {
        self.columns[slot].satisfied(|check| check.predicate().matches(&Scalar::Bool(value)))
    }

    /// The fields that a string at a path satisfies.
    pub fn string(&self, slot: usize, text: &str) -> FieldSet {
        self.columns[slot].satisfied(|check| check.predicate().matches(&Scalar::String(text)))
    }

    /// The fields that an integer at a path satisfies.
    pub fn integer(&self, slot: usize, value: i64) -> FieldSet {
        // Made for the first check that needs it, then reused.
        let mut exact = None;
        self.columns[slot].satisfied(|check| match check {
            Check::Integer { lower, upper, .. } => (*lower..=*upper).contains(&value),
            Check::Other(predicate) => {
                let exact = exact.get_or_insert_with(|| value.to_string().parse::<Decimal>());
                exact
                    .clone()
                    .is_ok_and(|exact| predicate.matches(&Scalar::Number(exact)))
            }
        })
    }

    /// The fields that a number at a path satisfies; `text` is its JSON text.
    pub fn number(&self, slot: usize, text: &str) -> FieldSet {
        // A JSON number always parses; other text is no number, which no condition accepts.
        let Ok(value) = text.parse().map(Scalar::Number) else {
            return FieldSet::default();
        };
        self.columns[slot].satisfied(|check| check.predicate().matches(&value))
    }

    /// The strings that the pattern compares whole values at a path with, ascending.
    pub fn exact_strings(&self, slot: usize) -> Vec<&str> {
        let mut texts = Vec::new();
        self.columns[slot]
            .predicates()
            .for_each(|predicate| exact_strings(predicate, &mut texts));
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The fields that every string satisfies that is not one of [`Self::exact_strings`]; `None` if
    /// that depends on the string.
    ///
    /// ```
    /// use reflexarc_pattern::{FieldSet, Path, Pattern, ScalarMatcher};
    ///
    /// let pattern: Pattern = r#"level in ["WARN", "CRITICAL"]"#.parse()?;
    /// let matcher = ScalarMatcher::new(pattern.node(), &[Path::from_keys(["level"])]);
    /// let matcher = matcher.expect("a small pattern");
    /// assert_eq!(matcher.exact_strings(0), ["CRITICAL", "WARN"]);
    /// assert_eq!(matcher.other_string(0), Some(FieldSet::default()));
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn other_string(&self, slot: usize) -> Option<FieldSet> {
        // Where all predicates compare whole strings, any string that differs from all of them is
        // representative. The longest one with a character more certainly differs.
        let texts = self.exact_strings(slot);
        let longest = texts
            .iter()
            .max_by_key(|text| text.len())
            .copied()
            .unwrap_or_default();
        let exact_only = self.columns[slot].predicates().all(is_exact_only);
        exact_only.then(|| self.string(slot, &format!("{longest}x")))
    }

    /// Whether the event matches, given the fields that the values at all used paths satisfy.
    pub fn matches(&self, satisfied: FieldSet) -> bool {
        self.formula.holds(satisfied)
    }
}

impl BitOr for FieldSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for FieldSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Column {
    fn satisfied(&self, mut satisfies: impl FnMut(&Check) -> bool) -> FieldSet {
        let mut satisfied = self.present;
        for (bit, alternatives) in &self.fields {
            if alternatives
                .iter()
                .any(|checks| checks.iter().all(&mut satisfies))
            {
                satisfied |= *bit;
            }
        }
        satisfied
    }

    fn predicates(&self) -> impl Iterator<Item = &CompiledPredicate> {
        self.fields
            .iter()
            .flat_map(|(_, alternatives)| alternatives.iter().flatten().map(Check::predicate))
    }
}

impl Check {
    fn new(predicate: &crate::Predicate) -> Self {
        let predicate = CompiledPredicate::new(predicate);
        let bounds = match &predicate {
            CompiledPredicate::Number(number) => as_integer(number).map(|number| (number, number)),
            CompiledPredicate::Range(lower, upper) => {
                let bounds = (
                    integer_bound(lower.as_ref(), i64::MIN, 1),
                    integer_bound(upper.as_ref(), i64::MAX, -1),
                );
                bounds.0.zip(bounds.1)
            }
            _ => None,
        };
        match bounds {
            Some((lower, upper)) => Self::Integer {
                lower,
                upper,
                predicate,
            },
            None => Self::Other(predicate),
        }
    }

    fn predicate(&self) -> &CompiledPredicate {
        match self {
            Self::Integer { predicate, .. } | Self::Other(predicate) => predicate,
        }
    }
}

impl Formula {
    fn holds(&self, satisfied: FieldSet) -> bool {
        match self {
            Self::Satisfied(fields) => satisfied | *fields == satisfied,
            Self::All(parts) => parts.iter().all(|part| part.holds(satisfied)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(satisfied)),
            Self::Not(part) => !part.holds(satisfied),
        }
    }
}

struct Builder<'a> {
    paths: &'a [Path],
    columns: Vec<Column>,
    /// How many bits are in use.
    bits: u32,
}

impl Builder<'_> {
    fn formula(&mut self, node: &Node) -> Option<Formula> {
        Some(match node {
            Node::All(nodes) => {
                // Fields directly in a conjunction are joined into one mask: most patterns are a
                // conjunction of fields and then take a single comparison.
                let (mut mask, mut parts) = (FieldSet::default(), Vec::new());
                for node in nodes {
                    match self.formula(node)? {
                        Formula::Satisfied(fields) => mask |= fields,
                        other => parts.push(other),
                    }
                }
                if parts.is_empty() {
                    Formula::Satisfied(mask)
                } else {
                    parts.insert(0, Formula::Satisfied(mask));
                    Formula::All(parts)
                }
            }
            Node::Any(nodes) => Formula::Any(
                nodes
                    .iter()
                    .map(|node| self.formula(node))
                    .collect::<Option<_>>()?,
            ),
            Node::Not(node) => Formula::Not(Box::new(self.formula(node)?)),
            Node::Field(field) => self.field(field)?,
        })
    }

    fn field(&mut self, Field { path, alternatives }: &Field) -> Option<Formula> {
        let slot = self.paths.iter().position(|used| used == path)?;
        let satisfied = self.next_bit()?;
        let checks =
            |Alternative(predicates): &Alternative| predicates.iter().map(Check::new).collect();
        self.columns[slot]
            .fields
            .push((satisfied, alternatives.iter().map(checks).collect()));
        if !alternatives.iter().any(Alternative::is_missing) {
            return Some(Formula::Satisfied(satisfied));
        }
        if self.columns[slot].present == FieldSet::default() {
            self.columns[slot].present = self.next_bit()?;
        }
        let present = Formula::Satisfied(self.columns[slot].present);
        Some(Formula::Any(vec![
            Formula::Satisfied(satisfied),
            Formula::Not(Box::new(present)),
        ]))
    }

    fn next_bit(&mut self) -> Option<FieldSet> {
        let bit = 1u64.checked_shl(self.bits)?;
        self.bits += 1;
        Some(FieldSet(bit))
    }
}

/// The texts that a predicate compares whole strings with.
fn exact_strings<'a>(predicate: &'a CompiledPredicate, texts: &mut Vec<&'a str>) {
    match predicate {
        CompiledPredicate::Text(TextOp::Equals, text) | CompiledPredicate::Address(text, _) => {
            texts.push(text);
        }
        CompiledPredicate::NoneOf(none) => none.iter().for_each(|one| exact_strings(one, texts)),
        _ => {}
    }
}

/// Whether the predicate gives one answer for all strings that it does not name.
fn is_exact_only(predicate: &CompiledPredicate) -> bool {
    match predicate {
        CompiledPredicate::Exists
        | CompiledPredicate::Null
        | CompiledPredicate::Bool(_)
        | CompiledPredicate::Number(_)
        | CompiledPredicate::Range(..)
        | CompiledPredicate::Never => true,
        CompiledPredicate::Text(op, _) => *op == TextOp::Equals,
        CompiledPredicate::NoneOf(none) => none.iter().all(is_exact_only),
        // An address has other spellings, and the rest look inside the string.
        _ => false,
    }
}

/// The outermost integer that a bound lets in: the bound itself or, if it is exclusive, the integer
/// `step` away from it; `open` without a bound. `None` if the bound is not an integer.
fn integer_bound(bound: Option<&Bound>, open: i64, step: i64) -> Option<i64> {
    match bound {
        None => Some(open),
        Some(Bound {
            value,
            inclusive: true,
        }) => as_integer(value),
        Some(Bound {
            value,
            inclusive: false,
        }) => as_integer(value)?.checked_add(step),
    }
}

fn as_integer(number: &Decimal) -> Option<i64> {
    number.as_str().parse().ok()
}
