//! Cloud Monitor: event rules with products, names, levels, keywords, a mute time, and contact
//! groups.

mod found;
mod target;

use reflexarc_event::{Json, catalogue};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::document::{Document, find, member, string, strings};
use super::rule_draft::{Relation, RuleDraft, rule_name};
use super::{Import, name_by_place};
use crate::exit::Failure;

/// Imports responses and requests. `targets` are those of rules that they do not name themselves.
pub(super) fn import(
    documents: &[Document],
    targets: &[(String, Vec<Document>)],
) -> Result<Import, Failure> {
    let mut found = found::find_all(documents, targets)?;
    let mut import = Import {
        incomplete: std::mem::take(&mut found.incomplete),
        ..Import::default()
    };
    for rule in &found.rules {
        let (is_unnamed, name) = match rule.name() {
            "" => (true, name_by_place(rule.file, rule.number)),
            name => (false, name.to_owned()),
        };
        let targets = found.targets.get(rule.name()).filter(|_| !is_unnamed);
        match import_rule(&name, rule.json, targets.map(Vec::as_slice)) {
            Ok(mut draft) => {
                if is_unnamed {
                    let (number, file) = (rule.number, rule.file);
                    let note = format!("the rule has no name; this is rule {number} of {file}");
                    draft.omissions.insert(0, note);
                }
                import.drafts.push(draft);
            }
            Err(reason) => import.skipped.push((name, reason)),
        }
    }
    Ok(import)
}

/// A rule with documents that have its targets.
pub(super) fn import_rule(
    name: &str,
    rule: &Json,
    targets: Option<&[&Json]>,
) -> Result<RuleDraft, String> {
    if string(rule, "EventType") == "CUSTOM" {
        return Err("custom events are not supported".to_owned());
    }
    let patterns = found::patterns(rule);
    if patterns.is_empty() {
        return Err("it has no EventPattern".to_owned());
    }
    if patterns
        .iter()
        .any(|pattern| !string(pattern, "SQLFilter").is_empty())
    {
        return Err("SQL filters are not supported".to_owned());
    }
    let mut alternatives: Vec<Node> = Vec::new();
    for pattern in &patterns {
        let alternative = Node::All(conditions(pattern));
        if !alternatives.contains(&alternative) {
            alternatives.push(alternative);
        }
    }
    let mut keywords: Option<(Relation, Vec<String>)> = None;
    let with_keywords: Vec<_> = patterns.iter().filter_map(|one| keywords_of(one)).collect();
    for (relation, mut words) in with_keywords.iter().cloned() {
        // A pattern has one keyword: any of several keywords are patterns that differ only there.
        let is_alike = with_keywords.len() == patterns.len() && alternatives.len() == 1;
        let is_any = relation == Relation::AnyOf;
        if patterns.len() > 1 && !(is_alike && is_any) {
            return Err("keywords of one of several patterns are not supported".to_owned());
        }
        match &mut keywords {
            Some((_, all)) => all.append(&mut words),
            None => keywords = Some((relation, words)),
        }
    }
    let mut all = vec![Node::Any(alternatives)];
    let group = find(rule, "GroupId").map(|group| {
        group
            .as_str()
            .map_or_else(|| group.to_string(), str::to_owned)
    });
    // The API has 0 for rules without an application group.
    let group = group.filter(|group| !matches!(group.as_str(), "" | "0" | "null"));
    let mut draft = RuleDraft {
        name: rule_name(name),
        description: match string(rule, "Description") {
            "" => format!("Cloud Monitor rule {name}"),
            description => description.to_owned(),
        },
        disabled: string(rule, "State").starts_with("DISABLE"),
        keywords,
        throttle: find(rule, "SilenceTime")
            .and_then(Json::as_i64)
            .and_then(|time| u64::try_from(time).ok()),
        ..RuleDraft::default()
    };
    draft.throttle = draft.throttle.filter(|seconds| *seconds > 0);
    if let Some(group) = group {
        all.push(one_of("groupId", [group.as_str()]));
        draft.omissions.push(
            "the application group is compared with `groupId`, which only Cloud Monitor sends"
                .to_owned(),
        );
    }
    draft.when = Pattern::from_node(simplified(all)).to_expression();
    for list in targets.into_iter().flatten().flat_map(|one| one.members()) {
        target::import_list(name, list, &mut draft);
    }
    match targets {
        None => draft
            .omissions
            .push("its targets are not imported; give them with --targets".to_owned()),
        Some(_) if draft.targets.is_empty() && draft.omissions.is_empty() => {
            draft.omissions.push("it has no targets".to_owned());
        }
        Some(_) => {}
    }
    Ok(draft)
}

/// The conditions of a pattern; `*` matches everything and is no condition.
fn conditions(pattern: &Json) -> Vec<Node> {
    let mut conditions = Vec::new();
    // Rules may have the product in lower case (`ecs`); events have it in upper case.
    let product = string(pattern, "Product");
    if !product.is_empty() && product != "*" {
        conditions.push(one_of("product", [product.to_uppercase().as_str()]));
    }
    let list = |key: &str| -> Vec<&str> {
        let found: Vec<&str> = strings(list_of(pattern, key)).collect();
        if found.contains(&"*") {
            Vec::new()
        } else {
            found
        }
    };
    let names = list("NameList");
    if !names.is_empty() {
        // `Instance:SystemFailure.Reboot` also means `Instance:SystemFailure.Reboot:Executing`: in
        // Cloud Monitor a name without a status matches every status.
        let wanted = names.iter().flat_map(|name| {
            let whole = Predicate::Text(TextOp::Equals, (*name).into());
            let with_status = Predicate::Text(TextOp::Prefix, format!("{name}:").into());
            let known = reflexarc_event::find_name(name);
            let may_have_status =
                known.is_none_or(|(entry, status)| status.is_none() && !entry.statuses.is_empty());
            std::iter::once(whole).chain(may_have_status.then_some(with_status))
        });
        conditions.push(field(
            "name",
            wanted.map(|test| Alternative(vec![test])).collect(),
        ));
    }
    let levels = list("LevelList");
    if !levels.is_empty() {
        let levels: Vec<String> = levels.iter().map(|level| level.to_uppercase()).collect();
        conditions.push(one_of("level", levels.iter().map(String::as_str)));
    }
    let statuses = list("StatusList");
    if !statuses.is_empty() {
        conditions.push(of_statuses(&statuses));
    }
    let types = list("EventTypeList");
    if !types.is_empty() {
        conditions.push(of_types(&types));
    }
    conditions
}

/// A list of a pattern: an array, in responses inside of an object with the same name.
fn list_of<'a>(pattern: &'a Json, key: &str) -> &'a Json {
    let list = member(pattern, &[key]);
    find(list, key).unwrap_or(list)
}

/// A condition on the status, such as `Executing`. It is the last part of the name; Cloud Monitor
/// sends it in `status`, too.
fn of_statuses(statuses: &[&str]) -> Node {
    let of_name = |status: &&str| {
        let suffix = Predicate::Text(TextOp::Suffix, format!(":{status}").into());
        Alternative(vec![suffix])
    };
    let names = field("name", statuses.iter().map(of_name).collect());
    Node::Any(vec![one_of("status", statuses.iter().copied()), names])
}

/// A condition on the type of event, such as `Maintenance`. Only Cloud Monitor sends `eventType`;
/// for other envelopes the condition lists the names of that type from the catalogue.
pub(in crate::command) fn of_types(types: &[&str]) -> Node {
    let of_type = catalogue().iter().filter(|entry| {
        entry
            .class
            .is_some_and(|class| types.contains(&class.as_str()))
    });
    let names = of_type.flat_map(|entry| {
        let whole = Predicate::Text(TextOp::Equals, entry.name.into());
        let with_status = Predicate::Text(TextOp::Prefix, format!("{}:", entry.name).into());
        std::iter::once(whole).chain((!entry.statuses.is_empty()).then_some(with_status))
    });
    let names = field("name", names.map(|test| Alternative(vec![test])).collect());
    Node::Any(vec![one_of("eventType", types.iter().copied()), names])
}

fn keywords_of(pattern: &Json) -> Option<(Relation, Vec<String>)> {
    // DescribeEventRuleAttribute has another name for the filter and for its list.
    let filter = match member(pattern, &["KeywordFilter"]) {
        Json::Null => member(pattern, &["KeywordFilterObj"]),
        filter => filter,
    };
    let list = list_of(filter, "Keywords");
    let list = find(list, "keyword").unwrap_or(list);
    let mut keywords: Vec<String> = strings(list).map(str::to_owned).collect();
    let custom = string(pattern, "CustomFilters");
    if !custom.is_empty() {
        keywords.push(custom.to_owned());
    }
    let relation = if string(filter, "Relation") == "NOT" {
        Relation::NoneOf
    } else {
        Relation::AnyOf
    };
    (!keywords.is_empty()).then_some((relation, keywords))
}

fn one_of<'a>(path: &str, values: impl IntoIterator<Item = &'a str>) -> Node {
    let tests = values
        .into_iter()
        .map(|value| Alternative(vec![Predicate::Text(TextOp::Equals, value.into())]));
    field(path, tests.collect())
}

fn field(path: &str, alternatives: Vec<Alternative>) -> Node {
    Node::Field(Field {
        path: Path::from_keys([path]),
        alternatives,
    })
}

/// Removes disjunctions of a single branch.
fn simplified(nodes: Vec<Node>) -> Node {
    let flat: Vec<Node> = nodes
        .into_iter()
        .flat_map(|node| match node {
            Node::Any(mut branches) if branches.len() == 1 => match branches.remove(0) {
                Node::All(inner) => inner,
                other => vec![other],
            },
            other => vec![other],
        })
        .collect();
    Node::All(flat)
}
