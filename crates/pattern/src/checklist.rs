//! One pattern, to be asked value by value by whoever holds an event that is no text.
//!
//! The matcher collects all values before it looks at any; for one pattern and a handful of values that costs more than
//! the looking. Here each value is tested where it is found and leaves nothing behind but a few ticks.

use std::ops::{BitOr, BitOrAssign};

use crate::value::{Scalar, Test};
use crate::{Alternative, Bound, Decimal, Field, Node, Path, Predicate, TextOp};

/// A pattern as a list of what to look for. It answers for events in which no used path leads into an object or array
/// that is an element of an array; other events need a [`crate::Matcher`].
///
/// ```
/// use reflexarc_pattern::{Checklist, Dialect, Matcher, Pattern, Ticks};
///
/// let pattern = Pattern::parse(r#"level == "WARN" and count > 2"#, Dialect::Reflexarc).expect("a pattern");
/// let matcher = Matcher::build([pattern.node()])?;
/// let list = Checklist::new(pattern.node(), matcher.paths()).expect("a small pattern");
/// let slot = |path| matcher.paths().iter().position(|used| used.as_str() == path).expect("a used path");
/// let ticks = list.string(slot("level"), "WARN") | list.integer(slot("count"), 3);
/// assert!(list.holds(ticks) && !list.holds(Ticks::default()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Checklist {
    /// Per slot.
    columns: Vec<Column>,
    formula: Formula,
}

/// What the values shown so far have settled; those of several values are joined by `|`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks(u64);

/// What is asked at one path.
#[derive(Debug, Default)]
struct Column {
    /// Ticked by any value.
    present: Ticks,
    fields: Vec<(Ticks, Vec<Vec<Check>>)>,
}

#[derive(Debug)]
enum Check {
    /// A range whose ends are whole numbers, for whole numbers; the test is for others.
    Whole {
        lower: i64,
        upper: i64,
        test: Test,
    },
    Other(Test),
}

#[derive(Debug)]
enum Formula {
    /// Every one of these is ticked.
    Ticked(Ticks),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Not(Box<Formula>),
}

impl Checklist {
    /// The list for a pattern; a slot is a position in `paths`. `None` when the pattern has too many fields for a list or
    /// one at none of the paths.
    pub fn new(pattern: &Node, paths: &[Path]) -> Option<Self> {
        let mut building = Building {
            paths,
            columns: Vec::new(),
            used: 0,
        };
        building.columns.resize_with(paths.len(), Column::default);
        let formula = building.formula(pattern)?;
        Some(Self {
            columns: building.columns,
            formula,
        })
    }

    /// What `null` settles.
    pub fn null(&self, slot: usize) -> Ticks {
        self.columns[slot].ask(|check| check.test().meets(&Scalar::Null))
    }

    /// What `true` or `false` settles.
    pub fn bool(&self, slot: usize, value: bool) -> Ticks {
        self.columns[slot].ask(|check| check.test().meets(&Scalar::Bool(value)))
    }

    /// What a string settles.
    pub fn string(&self, slot: usize, text: &str) -> Ticks {
        self.columns[slot].ask(|check| check.test().meets(&Scalar::String(text)))
    }

    /// What a whole number settles.
    pub fn integer(&self, slot: usize, value: i64) -> Ticks {
        let mut exact = None;
        self.columns[slot].ask(|check| match check {
            Check::Whole { lower, upper, .. } => (*lower..=*upper).contains(&value),
            Check::Other(test) => {
                let exact = exact.get_or_insert_with(|| Decimal::parse(&value.to_string()));
                exact
                    .clone()
                    .is_some_and(|exact| test.meets(&Scalar::Number(exact)))
            }
        })
    }

    /// What a number settles; `text` spells it as JSON does.
    pub fn number(&self, slot: usize, text: &str) -> Ticks {
        let Some(value) = Decimal::parse(text).map(Scalar::Number) else {
            return Ticks::default();
        };
        self.columns[slot].ask(|check| check.test().meets(&value))
    }

    /// The strings that the pattern names at a path.
    pub fn texts(&self, slot: usize) -> Vec<&str> {
        let mut texts = Vec::new();
        self.columns[slot]
            .tests()
            .for_each(|test| named(test, &mut texts));
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// What any string settles that is none of [`Checklist::texts`], where that is the same for all.
    pub fn other_text(&self, slot: usize) -> Option<Ticks> {
        let texts = self.texts(slot);
        let longest = texts
            .iter()
            .max_by_key(|text| text.len())
            .copied()
            .unwrap_or_default();
        let tells_only_names_apart = self.columns[slot].tests().all(by_name_alone);
        tells_only_names_apart.then(|| self.string(slot, &format!("{longest}x")))
    }

    /// Whether the event meets the pattern, once every value at its paths has been shown.
    pub fn holds(&self, ticks: Ticks) -> bool {
        self.formula.holds(ticks)
    }
}

impl BitOr for Ticks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ticks {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Column {
    fn ask(&self, mut meets: impl FnMut(&Check) -> bool) -> Ticks {
        let mut ticks = self.present;
        for (tick, alternatives) in &self.fields {
            if alternatives
                .iter()
                .any(|checks| checks.iter().all(&mut meets))
            {
                ticks |= *tick;
            }
        }
        ticks
    }

    fn tests(&self) -> impl Iterator<Item = &Test> {
        self.fields
            .iter()
            .flat_map(|(_, alternatives)| alternatives.iter().flatten().map(Check::test))
    }
}

impl Check {
    fn new(predicate: &Predicate) -> Self {
        let test = Test::new(predicate);
        let whole = match &test {
            Test::Number(number) => whole(number).map(|number| (number, number)),
            Test::Range(lower, upper) => {
                let ends = (
                    end(lower.as_ref(), i64::MIN, 1),
                    end(upper.as_ref(), i64::MAX, -1),
                );
                ends.0.zip(ends.1)
            }
            _ => None,
        };
        match whole {
            Some((lower, upper)) => Self::Whole { lower, upper, test },
            None => Self::Other(test),
        }
    }

    fn test(&self) -> &Test {
        match self {
            Self::Whole { test, .. } | Self::Other(test) => test,
        }
    }
}

impl Formula {
    fn holds(&self, ticks: Ticks) -> bool {
        match self {
            Self::Ticked(wanted) => ticks | *wanted == ticks,
            Self::All(parts) => parts.iter().all(|part| part.holds(ticks)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(ticks)),
            Self::Not(part) => !part.holds(ticks),
        }
    }
}

struct Building<'a> {
    paths: &'a [Path],
    columns: Vec<Column>,
    used: u32,
}

impl Building<'_> {
    fn formula(&mut self, node: &Node) -> Option<Formula> {
        Some(match node {
            Node::All(nodes) => {
                // Fields that only have to be ticked are one question.
                let (mut all, mut parts) = (Ticks::default(), Vec::new());
                for node in nodes {
                    match self.formula(node)? {
                        Formula::Ticked(ticks) => all |= ticks,
                        other => parts.push(other),
                    }
                }
                if parts.is_empty() {
                    Formula::Ticked(all)
                } else {
                    both(Formula::Ticked(all), parts)
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
        let met = self.tick()?;
        let checks =
            |Alternative(predicates): &Alternative| predicates.iter().map(Check::new).collect();
        self.columns[slot]
            .fields
            .push((met, alternatives.iter().map(checks).collect()));
        let absent = |Alternative(predicates): &Alternative| {
            !predicates.is_empty()
                && predicates
                    .iter()
                    .all(|predicate| *predicate == Predicate::Missing)
        };
        if !alternatives.iter().any(absent) {
            return Some(Formula::Ticked(met));
        }
        if self.columns[slot].present == Ticks::default() {
            self.columns[slot].present = self.tick()?;
        }
        let present = Formula::Ticked(self.columns[slot].present);
        Some(Formula::Any(vec![
            Formula::Ticked(met),
            Formula::Not(Box::new(present)),
        ]))
    }

    fn tick(&mut self) -> Option<Ticks> {
        let tick = 1u64.checked_shl(self.used)?;
        self.used += 1;
        Some(Ticks(tick))
    }
}

fn both(first: Formula, mut rest: Vec<Formula>) -> Formula {
    rest.insert(0, first);
    Formula::All(rest)
}

/// The texts that a test compares whole strings with.
fn named<'a>(test: &'a Test, texts: &mut Vec<&'a str>) {
    match test {
        Test::Text(TextOp::Equals, text) | Test::Address(text, _) => texts.push(text),
        Test::NoneOf(tests) => tests.iter().for_each(|test| named(test, texts)),
        _ => {}
    }
}

/// Whether the test answers alike for all strings that it does not name.
fn by_name_alone(test: &Test) -> bool {
    match test {
        Test::Exists
        | Test::Null
        | Test::Bool(_)
        | Test::Number(_)
        | Test::Range(..)
        | Test::Never => true,
        Test::Text(op, _) => *op == TextOp::Equals,
        Test::NoneOf(tests) => tests.iter().all(by_name_alone),
        _ => false,
    }
}

/// The whole number that lies at an end of a range or, where that is left out, beside it by `step`; `open` where the
/// range has no end.
fn end(bound: Option<&Bound>, open: i64, step: i64) -> Option<i64> {
    match bound {
        None => Some(open),
        Some(Bound {
            value,
            inclusive: true,
        }) => whole(value),
        Some(Bound {
            value,
            inclusive: false,
        }) => whole(value)?.checked_add(step),
    }
}

fn whole(number: &Decimal) -> Option<i64> {
    number.as_str().parse().ok()
}
