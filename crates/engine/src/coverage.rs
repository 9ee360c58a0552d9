//! What the tests of a rule exercise.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::NativeEvent;
use reflexarc_pattern::{Field, Node, Pattern, naive};

use crate::FiringReason;
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
    /// The leaves of `when`, and then of the filters of the time window, in order: each alternative
    /// of each field on its own.
    pub leaves: Vec<LeafCoverage>,
    /// The lines of `then`, `resolved` and `answered` with a statement, and whether it ran; by line
    /// of the rule file, from 1.
    pub lines: BTreeMap<usize, bool>,
    /// What became of matches; `None` for a rule without a time window.
    pub window: Option<WindowCoverage>,
}

/// What became of the matches of a time window in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowCoverage {
    /// Whether one fired.
    pub fired: bool,
    /// Whether there was a test in which `when` matched and nothing fired.
    pub not_fired: bool,
    /// Whether one was resolved; `None` for a rule without `resolved`.
    pub resolved: Option<bool>,
}

impl WindowCoverage {
    /// Each thing to exercise with its name, and whether it was.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let resolved = self.resolved.map(|resolved| ("resolved", resolved));
        let parts = [("fired", self.fired), ("not fired", self.not_fired)];
        parts.into_iter().chain(resolved)
    }
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
            && self.window_parts().all(|(_, exercised)| exercised)
    }

    /// The number of things to exercise: two for each leaf, one for each line, and two or three for
    /// a time window.
    pub fn total(&self) -> usize {
        2 * self.leaves.len() + self.lines.len() + self.window_parts().count()
    }

    /// The number of things that the tests have exercised.
    pub fn covered(&self) -> usize {
        let leaves = self
            .leaves
            .iter()
            .map(|leaf| usize::from(leaf.seen_true) + usize::from(leaf.seen_false));
        let parts = self.window_parts().filter(|(_, exercised)| *exercised);
        leaves.sum::<usize>() + self.lines.values().filter(|run| **run).count() + parts.count()
    }

    fn window_parts(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.window.iter().flat_map(WindowCoverage::parts)
    }
}

/// The lines of the scripts of a rule that ran, from 1.
#[derive(Debug, Default)]
pub(crate) struct ExecutedLines {
    pub(crate) then: RefCell<BTreeSet<usize>>,
    pub(crate) resolved: RefCell<BTreeSet<usize>>,
    pub(crate) answered: RefCell<BTreeSet<usize>>,
}

/// Records coverage while tests run.
pub(crate) struct CoverageRecorder {
    nodes: Vec<Node>,
    leaves: Vec<LeafCoverage>,
    pub(crate) executed_lines: ExecutedLines,
    window: Option<WindowCoverage>,
}

impl CoverageRecorder {
    pub(crate) fn new(rule: &Rule) -> Self {
        let mut nodes = Vec::new();
        for (_, pattern) in rule.filters() {
            collect_leaves(pattern.node(), &mut nodes);
        }
        let leaf = |node: &Node| LeafCoverage {
            expression: Pattern::from_node(node.clone()).to_expression(),
            seen_true: false,
            seen_false: false,
        };
        Self {
            leaves: nodes.iter().map(leaf).collect(),
            nodes,
            executed_lines: ExecutedLines::default(),
            window: rule.window.as_ref().map(|window| WindowCoverage {
                fired: false,
                not_fired: false,
                resolved: window.resolved.is_some().then_some(false),
            }),
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

    /// Records what became of matches in one test: the firings, and whether an event could have
    /// begun one.
    pub(crate) fn record_matches(&mut self, firings: &[FiringReason], has_matched: bool) {
        let Some(window) = &mut self.window else {
            return;
        };
        let has_fired = firings.contains(&FiringReason::Fired);
        window.fired |= has_fired;
        window.not_fired |= has_matched && !has_fired;
        if let Some(resolved) = &mut window.resolved {
            *resolved |= firings.contains(&FiringReason::Resolved);
        }
    }

    pub(crate) fn finish(self, rule: &Rule) -> Coverage {
        let mut lines = BTreeMap::new();
        let ExecutedLines {
            then,
            resolved,
            answered,
        } = self.executed_lines;
        let of_window = rule.window.as_ref();
        let of_window = of_window.and_then(|window| window.resolved.as_ref());
        let scripts = [
            (Some(&rule.response), then),
            (of_window, resolved),
            (rule.answered.as_ref(), answered),
        ];
        for (response, executed) in scripts {
            let Some(Response::Script { reaction, source }) = response else {
                continue;
            };
            let executed = executed.into_inner();
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
            window: self.window,
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
