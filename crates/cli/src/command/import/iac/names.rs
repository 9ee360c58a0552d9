//! File names of rules: the same name is common in different templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::rule_draft::rule_name;
use super::found::FoundRule;

/// Gives rules of the same name different ones: the name of the file before them, if that is not
/// enough also its folder, and a number at last.
pub(super) fn make_distinct(rules: &mut [FoundRule]) {
    for rule in rules.iter_mut() {
        rule.name = rule.name.trim().to_owned();
        if rule_name(&rule.name).trim_matches('-').is_empty() {
            rule.name.clone_from(&rule.address);
        }
    }
    for levels in [1, 2, 3] {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for rule in rules.iter() {
            *uses.entry(rule_name(&rule.name)).or_default() += 1;
        }
        if uses.values().all(|uses| *uses == 1) {
            return;
        }
        for rule in rules.iter_mut() {
            let is_shared = uses
                .get(&rule_name(&rule.name))
                .is_some_and(|uses| *uses > 1);
            let before = part(&rule.file, levels);
            if is_shared && let Some(before) = before {
                rule.name = format!("{before}-{}", rule.name);
            }
        }
    }
    let mut taken = BTreeSet::new();
    for rule in rules.iter_mut() {
        let name = rule.name.clone();
        let mut number = 1;
        while !taken.insert(rule_name(&rule.name)) {
            number += 1;
            // At the front: the end of a long name is cut.
            rule.name = format!("{number}-{name}");
        }
    }
}

/// A part of a path from its end: 1 is the name of the file without extension, 2 that of its
/// folder.
fn part(file: &str, level: usize) -> Option<String> {
    let mut path = Path::new(file);
    for _ in 1..level {
        path = path.parent()?;
    }
    let name = path.file_name()?.to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    (!stem.is_empty()).then(|| stem.to_owned())
}
