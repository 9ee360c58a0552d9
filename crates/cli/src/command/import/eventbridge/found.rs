//! The rules and targets in documents of EventBridge, of Alibaba Cloud and of AWS.

use std::collections::BTreeMap;

use reflexarc_event::Json;

use super::super::document::{Document, find, member, string};
use crate::exit::Failure;

/// What documents contain.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) rules: Vec<FoundRule<'a>>,
    /// Targets that are listed apart from their rules, by the name of the rule.
    pub(super) targets: BTreeMap<String, Vec<&'a Json>>,
    /// Lists of which a page is missing.
    pub(super) incomplete: Vec<String>,
}

/// A rule in a document.
#[derive(Debug)]
pub(super) struct FoundRule<'a> {
    pub(super) file: &'a str,
    /// Its number in the document.
    pub(super) number: usize,
    pub(super) cloud: Cloud,
    pub(super) json: &'a Json,
}

/// Whose EventBridge it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    Alibaba,
    Aws,
}

impl FoundRule<'_> {
    /// The name; empty if it has none.
    pub(super) fn name(&self) -> &str {
        let key = match self.cloud {
            Cloud::Alibaba => "RuleName",
            Cloud::Aws => "Name",
        };
        string(self.json, key).trim()
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
    let mut pages = BTreeMap::new();
    for document in documents {
        read(document, &mut found, &mut unnamed)?;
        count_page(document, &mut pages);
    }
    if found.rules.is_empty() {
        return Err(Failure::Invalid(EXPECTED_RULES.to_owned()));
    }
    drop_copies(&mut found.rules);
    for (rule, documents) in targets {
        if !found.rules.iter().any(|found| found.name() == rule) {
            return Err(Failure::Usage(format!("--targets: unknown rule `{rule}`")));
        }
        let data = documents.iter().map(|document| data(&document.body));
        let targets = data.flat_map(|data| targets_of(data).elements());
        found
            .targets
            .entry(rule.clone())
            .or_default()
            .extend(targets);
    }
    // Targets without the name of a rule can only be those of the only rule.
    for (file, target) in unnamed {
        match found.rules.as_slice() {
            [only] if !only.name().is_empty() => {
                let name = only.name().to_owned();
                found.targets.entry(name).or_default().push(target);
            }
            _ => {
                let note = format!(
                    "{file}: its targets do not name their rule; \
                     pass the file as --targets RULE={file}"
                );
                if !found.incomplete.contains(&note) {
                    found.incomplete.push(note);
                }
            }
        }
    }
    let missing = pages
        .into_iter()
        .filter(|(_, pages)| pages.open > pages.last);
    found.incomplete.extend(missing.map(|(what, pages)| {
        format!(
            "{}: the list of {what} goes on after NextToken; pass its other pages, too",
            pages.file
        )
    }));
    Ok(found)
}

const EXPECTED_RULES: &str = "no rules found: expected Data.Rules of ListRules, Data of GetRule, \
    or requests of CreateRule; of AWS Rules of ListRules, or DescribeRule";

/// Pages of a list.
#[derive(Debug, Default)]
struct Pages<'a> {
    file: &'a str,
    /// Pages with a token for the next one.
    open: usize,
    /// Pages without: the last of each list.
    last: usize,
}

fn count_page<'a>(document: &'a Document, pages: &mut BTreeMap<&'static str, Pages<'a>>) {
    let data = data(&document.body);
    for what in ["Rules", "Targets"] {
        if find(data, what).is_none() {
            continue;
        }
        let page = pages.entry(if what == "Rules" { "rules" } else { "targets" });
        let page = page.or_default();
        // Each list of targets has pages of its own. The last page of one does not make up for
        // that of another, but there is nothing by which to tell them apart.
        if string(data, "NextToken").is_empty() {
            page.last += 1;
        } else {
            page.open += 1;
            page.file = &document.file;
        }
    }
}

fn read<'a>(
    document: &'a Document,
    found: &mut Found<'a>,
    unnamed: &mut Vec<(&'a str, &'a Json)>,
) -> Result<(), Failure> {
    let (file, data) = (document.file.as_str(), data(&document.body));
    let mut add = |number, cloud, json| {
        found.rules.push(FoundRule {
            file,
            number,
            cloud,
            json,
        });
    };
    if let Some(rules) = find(data, "Rules") {
        for (rule, number) in rules.elements().iter().zip(1..) {
            add(number, cloud_of(rule).unwrap_or(Cloud::Alibaba), rule);
        }
        return Ok(());
    }
    if let Some(cloud) = cloud_of(data) {
        add(1, cloud, data);
        return Ok(());
    }
    if find(data, "Targets").is_some() {
        let of_request = match string(data, "RuleName") {
            "" => string(data, "Rule"),
            name => name,
        };
        for target in targets_of(data).elements() {
            let name = match string(target, "RuleName") {
                "" => of_request,
                name => name,
            };
            if name.is_empty() {
                unnamed.push((file, target));
            } else {
                found
                    .targets
                    .entry(name.to_owned())
                    .or_default()
                    .push(target);
            }
        }
        return Ok(());
    }
    Err(Failure::Invalid(format!("{file}: {EXPECTED_RULES}")))
}

/// Whose rule it is; `None` if it is none.
fn cloud_of(json: &Json) -> Option<Cloud> {
    let has = |key| find(json, key).is_some();
    if has("FilterPattern") || (has("RuleName") && (has("EventTargets") || has("Status"))) {
        Some(Cloud::Alibaba)
    } else if has("Name") && (has("EventPattern") || has("ScheduleExpression") || has("State")) {
        Some(Cloud::Aws)
    } else {
        None
    }
}

/// `Data` of a response of Alibaba Cloud; requests and AWS do not have it.
fn data(body: &Json) -> &Json {
    find(body, "Data").unwrap_or(body)
}

fn targets_of(data: &Json) -> &Json {
    member(data, &["Targets"])
}

/// Drops rules that occur twice, as in `ListRules` and `GetRule`: the longer copy has more about
/// its targets.
fn drop_copies(rules: &mut Vec<FoundRule<'_>>) {
    let mut kept: Vec<FoundRule<'_>> = Vec::new();
    for rule in std::mem::take(rules) {
        let is_copy = |other: &&mut FoundRule<'_>| {
            let same = |key| find(other.json, key) == find(rule.json, key);
            !rule.name().is_empty()
                && other.name() == rule.name()
                && other.cloud == rule.cloud
                && same("EventBusName")
                && same("FilterPattern")
                && same("EventPattern")
        };
        match kept.iter_mut().find(is_copy) {
            Some(other) => {
                if rule.json.to_string().len() > other.json.to_string().len() {
                    *other = rule;
                }
            }
            None => kept.push(rule),
        }
    }
    *rules = kept;
}
