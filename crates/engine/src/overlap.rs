//! Rules that can match only what another rule with the same target matches.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, Span};
use reflexarc_pattern::{Node, Pattern};

use crate::RuleSetLimits;
use crate::rule::Rule;

/// Hints about rules whose every event also matches another rule with a target in common: the
/// target gets each of these events twice.
pub(crate) fn hints(rules: &[&Rule], limits: &RuleSetLimits) -> Vec<FileDiagnostics> {
    let targets: Vec<BTreeMap<String, Span>> = rules
        .iter()
        .map(|rule| rule.message_targets().into_iter().collect())
        .collect();
    let mut by_target: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, targets) in targets.iter().enumerate() {
        for target in targets.keys() {
            by_target.entry(target).or_default().push(at);
        }
    }
    let mut search = Search {
        rules,
        targets: &targets,
        limits,
        compared: BTreeSet::new(),
        found: BTreeMap::new(),
    };
    for (&target, members) in &by_target {
        for &at in members {
            for &other in members.iter().filter(|other| **other != at) {
                let Some(hint) = search.compare(at, other, target) else {
                    continue;
                };
                // One hint a rule: it says what to look at, and more of them say no more.
                search.found.entry(at).or_insert(hint);
            }
        }
    }
    let file = |(at, hint): (usize, Diagnostic)| {
        let rule = rules[at];
        let mut diagnostics = vec![hint];
        rule.allowed.remove_from(&mut diagnostics);
        FileDiagnostics {
            name: rule.file().to_owned(),
            text: rule.text().to_owned(),
            diagnostics,
        }
    };
    let files = search.found.into_iter().map(file);
    files.filter(|file| !file.diagnostics.is_empty()).collect()
}

struct Search<'r> {
    rules: &'r [&'r Rule],
    /// The targets of each rule, with their locations.
    targets: &'r [BTreeMap<String, Span>],
    limits: &'r RuleSetLimits,
    /// The pairs that were compared, for one of their targets.
    compared: BTreeSet<(usize, usize)>,
    /// The first finding about each rule.
    found: BTreeMap<usize, Diagnostic>,
}

impl Search<'_> {
    /// The hint that the rule matches only what the other one matches.
    fn compare(&mut self, at: usize, other: usize, target: &str) -> Option<Diagnostic> {
        // A rule set may have 200,000 rules with one target, which are 4 × 10^10 pairs.
        if self.found.contains_key(&at)
            || self.compared.len() >= self.limits.compared_rules
            || !self.compared.insert((at, other))
        {
            return None;
        }
        let [rule, broader] = [at, other].map(|at| self.rules[at]);
        // A rule with a time window reacts to other things than its events.
        if rule.window.is_some() || broader.window.is_some() {
            return None;
        }
        let steps = self.limits.comparison_steps;
        let implies =
            |one: &Rule, other: &Rule| one.pattern().implies_within(other.pattern(), steps);
        // A rule that matches nothing implies every other; it has a warning of its own.
        let nothing = Pattern::from_node(Node::Any(Vec::new()));
        if !implies(rule, broader) || rule.pattern().implies_within(&nothing, steps) {
            return None;
        }
        let name = broader.name();
        let message = if implies(broader, rule) {
            // Of two rules that match the same events, one is reported.
            if other > at {
                return None;
            }
            format!("matches the same events as `{name}`, which has the same target `{target}`")
        } else {
            format!(
                "every event that matches also matches `{name}`, which has the same target \
                 `{target}`"
            )
        };
        let span = rule.filter_span(&(0..rule.pattern().source().len()));
        let hint = Diagnostic::hint(Code::OVERLAPPING_RULES, span, message);
        let hint = match self.targets[at].get(target) {
            Some(span) => hint.with_label(span.clone(), "gets each of these events twice"),
            None => hint,
        };
        Some(hint.with_help(format!(
            "exclude these events in `{name}`, merge the rules, or write allow = [\"{}\"] if the \
             target shall get both",
            Code::OVERLAPPING_RULES
        )))
    }
}
