//! The JSON notation: joining the keys of an object. Of two constraints of one path the later one in the text wins,
//! separately in each way through the `$or`s.

use std::collections::{HashMap, HashSet};

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use crate::Path;
use crate::spanned::{SpannedField, SpannedNode};

/// What one member of an object asks for.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Field(SpannedField, Span),
    Or(Span, Vec<Vec<Item>>),
    /// `$and` and `$not`, which neither override nor are overridden.
    Whole(SpannedNode),
}

impl TreeBuilder<'_> {
    pub(super) fn warn_overridden(&mut self, path: &str, earlier: Span, later: Span) {
        let warning = Diagnostic::warning(
            Code::PATH_TWICE,
            later.clone(),
            format!("`{path}` is constrained twice"),
        )
        .with_label(earlier.clone(), "this one does not count")
        .with_label(later, "the later one wins")
        .with_help("to ask for both, put them into `\"$and\": [{…}, {…}]`");
        if self.overridden.insert(earlier.start) {
            self.push(warning);
        }
    }

    /// Joins the items of one object, so that of two for one path the later one wins.
    pub(super) fn tree(&mut self, span: Span, items: Vec<Item>) -> Option<SpannedNode> {
        let mut parts = Vec::new();
        for group in self.groups(items) {
            let part = match group.as_slice() {
                [_] => self.single(group),
                _ => self.expand(&span, &group),
            };
            parts.extend(part);
        }
        if parts.is_empty() {
            None
        } else {
            Some(SpannedNode::all(span, parts))
        }
    }

    /// One item that shares no path with another.
    fn single(&mut self, group: Vec<Item>) -> Option<SpannedNode> {
        match group.into_iter().next()? {
            Item::Field(field, span) => Some(SpannedNode::field(span, field)),
            Item::Whole(tree) => Some(tree),
            Item::Or(span, branches) => {
                let branches: Vec<_> = branches
                    .into_iter()
                    .filter_map(|items| self.tree(span.clone(), items))
                    .collect();
                if branches.is_empty() {
                    None
                } else {
                    Some(SpannedNode::any(span, branches))
                }
            }
        }
    }

    /// Items that share paths, written as every way through their `$or`s, in each of which the later field wins.
    fn expand(&mut self, span: &Span, items: &[Item]) -> Option<SpannedNode> {
        let (count, tests) = expansion_size(items);
        if count > self.limits.combinations || tests > self.limits.expanded_tests {
            let message = format!(
                "paths constrained both inside and outside `$or` make more than {} combinations",
                self.limits.combinations
            );
            self.error(Code::TOO_MANY, span.clone(), message).help =
                Some("constrain each path once, or join the constraints by `$and`".into());
            return None;
        }
        let mut ways = ways(items);
        for way in &mut ways {
            self.override_earlier(way);
        }
        let branches = ways.into_iter().map(|way| {
            let parts = way.into_iter().filter_map(|item| match item {
                Item::Field(field, span) => Some(SpannedNode::field(span, field)),
                Item::Whole(tree) => Some(tree),
                Item::Or(..) => None,
            });
            SpannedNode::all(span.clone(), parts.collect())
        });
        Some(SpannedNode::any(span.clone(), branches.collect()))
    }

    /// Drops each field whose path comes again later, with a warning.
    fn override_earlier(&mut self, way: &mut Vec<Item>) {
        let mut last: HashMap<Path, (usize, Span)> = HashMap::new();
        let mut dropped = HashSet::new();
        for (at, item) in way.iter().enumerate() {
            if let Item::Field(field, _) = item
                && let Some((earlier, span)) =
                    last.insert(field.path.clone(), (at, field.key.clone()))
            {
                dropped.insert(earlier);
                self.warn_overridden(field.path.as_str(), span, field.key.clone());
            }
        }
        let mut at = 0;
        way.retain(|_| {
            at += 1;
            !dropped.contains(&(at - 1))
        });
    }

    /// The items in groups that share paths, each group where its first item stands.
    fn groups(&mut self, mut items: Vec<Item>) -> Vec<Vec<Item>> {
        self.override_earlier(&mut items);
        let mut group_of: HashMap<Path, usize> = HashMap::new();
        let mut groups: Vec<Vec<(usize, Item)>> = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let mut paths = Vec::new();
            collect_paths(&item, &mut paths);
            let mut shared: Vec<usize> = paths
                .iter()
                .filter_map(|path| group_of.get(path).copied())
                .collect();
            shared.sort_unstable();
            shared.dedup();
            let target = shared.first().copied().unwrap_or(groups.len());
            if target == groups.len() {
                groups.push(Vec::new());
            }
            for &other in shared.iter().skip(1) {
                let moved = std::mem::take(&mut groups[other]);
                for (_, item) in &moved {
                    let mut paths = Vec::new();
                    collect_paths(item, &mut paths);
                    group_of.extend(paths.into_iter().map(|path| (path, target)));
                }
                groups[target].extend(moved);
            }
            group_of.extend(paths.into_iter().map(|path| (path, target)));
            groups[target].push((at, item));
        }
        for group in &mut groups {
            group.sort_by_key(|(at, _)| *at);
        }
        groups.retain(|group| !group.is_empty());
        groups
            .into_iter()
            .map(|group| group.into_iter().map(|(_, item)| item).collect())
            .collect()
    }
}

/// Every way through the `$or`s, as lists without `$or`.
fn ways(items: &[Item]) -> Vec<Vec<Item>> {
    let mut done: Vec<Vec<Item>> = vec![Vec::new()];
    for item in items {
        match item {
            Item::Or(_, branches) => {
                let choices: Vec<Vec<Item>> =
                    branches.iter().flat_map(|branch| ways(branch)).collect();
                done = done
                    .iter()
                    .flat_map(|way| {
                        choices
                            .iter()
                            .map(|choice| [way.as_slice(), choice.as_slice()].concat())
                    })
                    .collect();
            }
            plain => done.iter_mut().for_each(|way| way.push(plain.clone())),
        }
    }
    done
}

/// How many ways there are through the `$or`s.
pub(super) fn combinations(items: &[Item]) -> usize {
    items.iter().fold(1, |count: usize, item| match item {
        Item::Or(_, branches) => count.saturating_mul(
            branches
                .iter()
                .map(|branch| combinations(branch))
                .fold(0, usize::saturating_add),
        ),
        _ => count,
    })
}

/// How many ways there are through the `$or`s, and how many tests they hold together.
fn expansion_size(items: &[Item]) -> (usize, usize) {
    items
        .iter()
        .fold((1, 0), |(count, tests): (usize, usize), item| {
            let (more, inside) = match item {
                Item::Or(_, branches) => branches.iter().map(|branch| expansion_size(branch)).fold(
                    (0, 0),
                    |(c, t): (usize, usize), (more, inside)| {
                        (c.saturating_add(more), t.saturating_add(inside))
                    },
                ),
                Item::Field(field, _) => (
                    1,
                    field
                        .alternatives
                        .iter()
                        .map(|alternative| alternative.predicates.len())
                        .sum(),
                ),
                Item::Whole(tree) => (1, tree.fields().len()),
            };
            let tests = tests
                .saturating_mul(more)
                .saturating_add(inside.saturating_mul(count));
            (count.saturating_mul(more), tests)
        })
}

fn collect_paths(item: &Item, paths: &mut Vec<Path>) {
    match item {
        Item::Field(field, _) => paths.push(field.path.clone()),
        Item::Or(_, branches) => branches
            .iter()
            .flatten()
            .for_each(|item| collect_paths(item, paths)),
        Item::Whole(_) => {}
    }
}
