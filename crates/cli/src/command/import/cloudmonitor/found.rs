//! The rules and targets in documents of Cloud Monitor.

use std::collections::BTreeMap;

use reflexarc_event::Json;

use super::super::document::{Document, find, member, string};
use crate::exit::Failure;

/// What documents contain.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) rules: Vec<FoundRule<'a>>,
    /// Documents with the targets of a rule, by its name.
    pub(super) targets: BTreeMap<String, Vec<&'a Json>>,
    /// What cannot be imported because a document is missing or does not say what it belongs to.
    pub(super) incomplete: Vec<String>,
}

/// A rule in a document.
#[derive(Debug)]
pub(super) struct FoundRule<'a> {
    pub(super) file: &'a str,
    /// Its number in the document.
    pub(super) number: usize,
    pub(super) json: &'a Json,
}

impl FoundRule<'_> {
    /// The name; empty if it has none.
    pub(super) fn name(&self) -> &str {
        name(self.json)
    }
}

/// Finds the rules and targets. `targets` are documents whose targets belong to a rule that is
/// named beside them.
pub(super) fn find_all<'a>(
    documents: &'a [Document],
    targets: &'a [(String, Vec<Document>)],
) -> Result<Found<'a>, Failure> {
    let mut found = Found::default();
    let mut unnamed = Vec::new();
    for Document { file, body } in documents {
        // What `export cloudmonitor` writes: two requests for a rule.
        let requests = ["PutEventRule", "PutEventRuleTargets"];
        let requests = requests.iter().filter_map(|name| find(body, name));
        let parts: Vec<&Json> = requests.collect();
        let parts = if parts.is_empty() { vec![body] } else { parts };
        for part in parts {
            read(file, part, &mut found, &mut unnamed)?;
        }
    }
    if found.rules.is_empty() {
        return Err(Failure::Invalid(EXPECTED_RULES.to_owned()));
    }
    for (rule, documents) in targets {
        if !found.rules.iter().any(|found| found.name() == rule) {
            return Err(Failure::Usage(format!("--targets: unknown rule `{rule}`")));
        }
        let bodies = documents.iter().map(|document| &document.body);
        found
            .targets
            .entry(rule.clone())
            .or_default()
            .extend(bodies);
    }
    // Targets without the name of a rule can only be those of the only rule.
    for (file, body) in unnamed {
        match found.rules.as_slice() {
            [only] if !only.name().is_empty() => {
                let name = only.name().to_owned();
                found.targets.entry(name).or_default().push(body);
            }
            _ => found.incomplete.push(format!(
                "{file}: its targets do not name their rule; \
                 pass the file as --targets RULE={file}"
            )),
        }
    }
    note_missing_pages(documents, &mut found);
    Ok(found)
}

/// The patterns of a rule: an array, in responses inside of an object, or a single one.
pub(super) fn patterns(rule: &Json) -> Vec<&Json> {
    let mut pattern = member(rule, &["EventPattern"]);
    if let Some(inner) = find(pattern, "EventPattern") {
        pattern = inner;
    }
    match pattern {
        Json::Array(patterns) => patterns.iter().collect(),
        Json::Object(_) => vec![pattern],
        _ => Vec::new(),
    }
}

const EXPECTED_RULES: &str = "no rules found: expected EventRules.EventRule of \
    DescribeEventRuleList, Result of DescribeEventRuleAttribute, or requests of PutEventRule";

fn read<'a>(
    file: &'a str,
    body: &'a Json,
    found: &mut Found<'a>,
    unnamed: &mut Vec<(&'a str, &'a Json)>,
) -> Result<(), Failure> {
    if let Some(list) = find(body, "EventRules") {
        let list = find(list, "EventRule").unwrap_or(list);
        for (json, number) in list.elements().iter().zip(1..) {
            found.rules.push(FoundRule { file, number, json });
        }
        return Ok(());
    }
    let rule = find(body, "Result").unwrap_or(body);
    if find(rule, "EventPattern").is_some() {
        found.rules.push(FoundRule {
            file,
            number: 1,
            json: rule,
        });
        return Ok(());
    }
    // A request of PutEventRuleTargets may have no targets.
    if find(body, "RuleName").is_some() || body.members().iter().any(|(key, _)| is_targets(key)) {
        match string(body, "RuleName") {
            "" => unnamed.push((file, body)),
            name => found.targets.entry(name.to_owned()).or_default().push(body),
        }
        return Ok(());
    }
    Err(Failure::Invalid(format!("{file}: {EXPECTED_RULES}")))
}

fn is_targets(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "");
    ["contact", "webhook", "mns", "fc", "sls", "openapi"]
        .iter()
        .any(|kind| key == format!("{kind}parameters"))
}

/// Compares the number of rules with `Total`, which every page of the list has.
fn note_missing_pages(documents: &[Document], found: &mut Found<'_>) {
    let lists = documents
        .iter()
        .filter(|document| find(&document.body, "EventRules").is_some());
    let total = |document: &Document| find(&document.body, "Total").and_then(Json::as_i64);
    let total = lists.filter_map(total).max();
    let read = found.rules.len();
    if let Some(total) = total.and_then(|total| usize::try_from(total).ok())
        && total > read
    {
        found.incomplete.push(format!(
            "the list has {total} rules, of which {read} are given; pass its other pages, too"
        ));
    }
}

fn name(rule: &Json) -> &str {
    let name = match string(rule, "Name") {
        "" => string(rule, "RuleName"),
        name => name,
    };
    name.trim()
}
