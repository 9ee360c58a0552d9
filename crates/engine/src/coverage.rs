//! What the tests of a rule have exercised.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::NativeEvent;
use reflexarc_pattern::{Field, Node, Pattern, naive};

use crate::rule::{Response, Rule};

/// How far the tests of one rule go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The leaves of `when`, in order: each alternative of each field on its own.
    pub leaves: Vec<Leaf>,
    /// The lines of `then` that hold a statement, and whether it ran; by line of the rule file, from 1.
    pub lines: BTreeMap<usize, bool>,
}

/// One leaf of a filter. It is judged by itself: which array element other fields have chosen does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The leaf as an expression.
    pub expression: String,
    /// Whether some event met it.
    pub seen_true: bool,
    /// Whether some event did not meet it.
    pub seen_false: bool,
}

impl Coverage {
    /// Whether every leaf has been seen true and false, and every line has run.
    pub fn is_full(&self) -> bool {
        self.leaves
            .iter()
            .all(|leaf| leaf.seen_true && leaf.seen_false)
            && self.lines.values().all(|run| *run)
    }

    /// How many things there are to exercise: two a leaf, one a line.
    pub fn total(&self) -> usize {
        2 * self.leaves.len() + self.lines.len()
    }

    /// How many of them the tests have exercised.
    pub fn covered(&self) -> usize {
        let leaves = self
            .leaves
            .iter()
            .map(|leaf| usize::from(leaf.seen_true) + usize::from(leaf.seen_false));
        leaves.sum::<usize>() + self.lines.values().filter(|run| **run).count()
    }
}

/// Looks on while tests run.
pub(crate) struct Watch {
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    /// Which lines of the script ran, from 1.
    pub(crate) ran: RefCell<BTreeSet<usize>>,
}

impl Watch {
    pub(crate) fn new(rule: &Rule) -> Self {
        let mut nodes = Vec::new();
        leaves(rule.pattern().node(), &mut nodes);
        let leaf = |node: &Node| Leaf {
            expression: Pattern::from_node(node.clone()).to_expression(),
            seen_true: false,
            seen_false: false,
        };
        Self {
            leaves: nodes.iter().map(leaf).collect(),
            nodes,
            ran: RefCell::default(),
        }
    }

    /// Takes note of an event.
    pub(crate) fn event(&mut self, event: &NativeEvent) {
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
            let ran = self.ran.into_inner();
            for line in reaction.lines() {
                let start: usize = source
                    .text()
                    .split_inclusive('\n')
                    .take(line - 1)
                    .map(str::len)
                    .sum();
                let (line_of_file, _) = rule.line_and_column(source.locate(&(start..start)).start);
                // Two lines of a script share one of the file where a basic string spells its line breaks `\n`.
                let run = lines.entry(line_of_file).or_insert(true);
                *run = *run && ran.contains(&line);
            }
        }
        Coverage {
            leaves: self.leaves,
            lines,
        }
    }
}

fn leaves(node: &Node, found: &mut Vec<Node>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| leaves(node, found)),
        Node::Not(node) => leaves(node, found),
        Node::Field(field) => found.extend(field.alternatives.iter().map(|alternative| {
            Node::Field(Field {
                path: field.path.clone(),
                alternatives: vec![alternative.clone()],
            })
        })),
    }
}
