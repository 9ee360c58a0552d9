//! What the tests of a rule exercise.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::NativeEvent;
use reflexarc_pattern::{Field, Node, Pattern, naive};

use crate::rule::{Response, Rule};

/// How much of a rule its tests exercise.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("a.toml", r#"
///     when = 'id == 1'
///     notify = ["team"]
///     [[test]]
///     name = "another id does not match"
///     event = '{"id": 2}'
///     matches = false
/// "#)])?;
/// let coverage = &rules.test("")[0].coverage;
/// assert_eq!((coverage.covered(), coverage.total()), (1, 2));
/// assert!(!coverage.is_full(), "no event matches");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// The leaves of `when`, in order: each alternative of each field on its own.
    pub leaves: Vec<LeafCoverage>,
    /// The lines of `then` with a statement, and whether it ran; by line of the rule file, from 1.
    pub lines: BTreeMap<usize, bool>,
}

/// One leaf of a filter. It is evaluated by itself: which array element other fields require to
/// be the same does not count.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("a.toml", r#"
///     when = 'id in [1, 2]'
///     notify = ["team"]
///     [[test]]
///     name = "1 matches"
///     event = '{"id": 1}'
///     matches = true
/// "#)])?;
/// let leaves = &rules.test("")[0].coverage.leaves;
/// assert_eq!(leaves[0].expression, "id == 1");
/// assert!(leaves[0].seen_true && !leaves[0].seen_false);
/// assert!(!leaves[1].seen_true && leaves[1].seen_false);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafCoverage {
    /// The leaf as an expression.
    pub expression: String,
    /// Whether some event matched it.
    pub seen_true: bool,
    /// Whether some event did not match it.
    pub seen_false: bool,
}

impl Coverage {
    /// Whether every leaf has been both true and false, and every line has run.
    pub fn is_full(&self) -> bool {
        self.leaves
            .iter()
            .all(|leaf| leaf.seen_true && leaf.seen_false)
            && self.lines.values().all(|run| *run)
    }

    /// The number of things to exercise: two for each leaf, one for each line.
    pub fn total(&self) -> usize {
        2 * self.leaves.len() + self.lines.len()
    }

    /// The number of things that the tests have exercised.
    pub fn covered(&self) -> usize {
        let leaves = self
            .leaves
            .iter()
            .map(|leaf| usize::from(leaf.seen_true) + usize::from(leaf.seen_false));
        leaves.sum::<usize>() + self.lines.values().filter(|run| **run).count()
    }
}

/// Records coverage while tests run.
pub(crate) struct CoverageRecorder {
    nodes: Vec<Node>,
    leaves: Vec<LeafCoverage>,
    /// The lines of the script that ran, from 1.
    pub(crate) executed_lines: RefCell<BTreeSet<usize>>,
}

impl CoverageRecorder {
    pub(crate) fn new(rule: &Rule) -> Self {
        let mut nodes = Vec::new();
        collect_leaves(rule.pattern().node(), &mut nodes);
        let leaf = |node: &Node| LeafCoverage {
            expression: Pattern::from_node(node.clone()).to_expression(),
            seen_true: false,
            seen_false: false,
        };
        Self {
            leaves: nodes.iter().map(leaf).collect(),
            nodes,
            executed_lines: RefCell::default(),
        }
    }

    /// Records which leaves match an event.
    pub(crate) fn record(&mut self, event: &NativeEvent) {
        // Each leaf on its own. In `list.a == 1 and list.b == 2`, which must hold for one element
        // of `list`, an event with both in different elements makes both leaves true and the filter
        // false. A leaf that was never false alone certainly has no test that it decides.
        for (node, leaf) in self.nodes.iter().zip(&mut self.leaves) {
            if naive::matches(node, event.tree()) {
                leaf.seen_true = true;
            } else {
                leaf.seen_false = true;
            }
        }
    }

    pub(crate) fn finish(self, rule: &Rule) -> Coverage {
        let mut lines = BTreeMap::new();
        if let Response::Script { reaction, source } = &rule.response {
            let executed = self.executed_lines.into_inner();
            // Lines are those of the script; reports need those of the file.
            for line in reaction.lines() {
                let start: usize = source
                    .text()
                    .split_inclusive('\n')
                    .take(line - 1)
                    .map(str::len)
                    .sum();
                let (line_of_file, _) = rule.line_and_column(source.locate(&(start..start)).start);
                // Several lines of a script are one line of the file where a basic string writes
                // its line breaks as `\n`. Such a line counts as run only if all of them ran.
                let run = lines.entry(line_of_file).or_insert(true);
                *run = *run && executed.contains(&line);
            }
        }
        Coverage {
            leaves: self.leaves,
            lines,
        }
    }
}

/// Splits a filter into its leaves: `a == 1 and b in [2, 3]` has `a == 1`, `b == 2` and `b == 3`.
fn collect_leaves(node: &Node, found: &mut Vec<Node>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            for node in nodes {
                collect_leaves(node, found);
            }
        }
        Node::Not(node) => collect_leaves(node, found),
        Node::Field(field) => found.extend(field.alternatives.iter().map(|alternative| {
            Node::Field(Field {
                path: field.path.clone(),
                alternatives: vec![alternative.clone()],
            })
        })),
    }
}
