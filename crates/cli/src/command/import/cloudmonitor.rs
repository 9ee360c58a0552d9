//! Cloud Monitor: event rules with products, names, levels, keywords, a mute time, and contact
//! groups.

use reflexarc_event::{Json, catalogue};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::rule_draft::{Relation, RuleDraft, quoted, rule_name};
use super::{Import, member, name_by_place, string, strings};
use crate::exit::Failure;

/// Imports the response of `DescribeEventRuleList`, with those of `DescribeEventRuleTargetList` for
/// some of its rules. `file` is the name of the file of the response.
pub(super) fn import(
    file: &str,
    response: &Json,
    targets: &[(String, Json)],
) -> Result<Import, Failure> {
    let rules = member(response, &["EventRules", "EventRule"]).elements();
    if rules.is_empty() {
        let message = "no rules found: expected EventRules.EventRule of DescribeEventRuleList";
        return Err(Failure::Invalid(message.to_owned()));
    }
    if let Some((unknown, _)) = targets
        .iter()
        .find(|(name, _)| !rules.iter().any(|rule| string(rule, "Name") == name))
    {
        return Err(Failure::Usage(format!(
            "--targets: unknown rule `{unknown}`"
        )));
    }
    let mut import = Import::default();
    for (rule, number) in rules.iter().zip(1..) {
        let name = string(rule, "Name");
        let rule_targets = targets
            .iter()
            .find(|(named, _)| named == name)
            .map(|(_, targets)| targets);
        let is_unnamed = name.trim().is_empty();
        let name = if is_unnamed {
            name_by_place(file, number)
        } else {
            name.to_owned()
        };
        match import_rule(&name, rule, rule_targets) {
            Ok(mut draft) => {
                if is_unnamed {
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

fn import_rule(name: &str, rule: &Json, targets: Option<&Json>) -> Result<RuleDraft, String> {
    if string(rule, "EventType") == "CUSTOM" {
        return Err("custom events are not supported".to_owned());
    }
    let patterns = member(rule, &["EventPattern", "EventPattern"]).elements();
    let mut keywords: Option<(Relation, Vec<String>)> = None;
    let mut alternatives = Vec::new();
    for pattern in patterns {
        if !string(pattern, "SQLFilter").is_empty() {
            return Err("SQL filters are not supported".to_owned());
        }
        let pattern_keywords = keywords_of(pattern);
        if pattern_keywords.is_some() && patterns.len() > 1 {
            return Err("keywords of one of several patterns are not supported".to_owned());
        }
        keywords = keywords.or(pattern_keywords);
        alternatives.push(Node::All(conditions(pattern)));
    }
    let mut all = vec![Node::Any(alternatives)];
    let group = rule.get("GroupId").map(|group| {
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
        throttle: rule
            .get("SilenceTime")
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
    for target in targets.into_iter().flat_map(Json::members) {
        import_target(target, &mut draft);
    }
    if targets.is_none() {
        let omission = "its targets are not imported; give them with --targets";
        draft.omissions.push(omission.to_owned());
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
        let found: Vec<&str> = strings(member(pattern, &[key, key])).collect();
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
    let types = list("EventTypeList");
    if !types.is_empty() {
        conditions.push(of_types(&types));
    }
    conditions
}

/// A condition on the type of event, such as `Maintenance`. Only Cloud Monitor sends `eventType`;
/// for other envelopes the condition lists the names of that type from the catalogue.
fn of_types(types: &[&str]) -> Node {
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
    let filter = member(pattern, &["KeywordFilter"]);
    let mut keywords: Vec<String> = strings(member(filter, &["Keywords", "Keywords"]))
        .map(str::to_owned)
        .collect();
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

fn import_target((kind, list): &(String, Json), draft: &mut RuleDraft) {
    let targets = list
        .members()
        .iter()
        .flat_map(|(_, targets)| targets.elements());
    for one in targets {
        let id = string(one, "Id");
        match kind.as_str() {
            "ContactParameters" => {
                let group = string(one, "ContactGroupName");
                let name = rule_name(group);
                let level = one.get("Level").map(Json::to_string).unwrap_or_default();
                // Level 2 notifies by telephone, SMS, e-mail and DingTalk, level 3 without
                // telephone, level 4 only by e-mail and DingTalk.
                if level.contains('2') || level.contains('3') {
                    let omitted = if level.contains('2') {
                        "telephone and SMS"
                    } else {
                        "SMS"
                    };
                    draft
                        .omissions
                        .push(format!("contact group {group}: {omitted} not imported"));
                }
                let table = format!(
                    "# Contact group {group} has DingTalk and e-mail. \
                     For both, define two targets and name both in `notify`.\n\
                     [targets.{}]\ntype = \"email\"\n\
                     host = \"\"     # the mail server\nfrom = \"\"\n\
                     to = []     # the members of the group",
                    quoted(&name)
                );
                draft.targets.push(table);
                draft.notify.push(name);
            }
            "WebhookParameters" => {
                let name = rule_name(&format!("{}-{id}", draft.name));
                if string(one, "Method").eq_ignore_ascii_case("GET") {
                    draft
                        .omissions
                        .push(format!("webhook {id}: called with POST instead of GET"));
                }
                let table = format!(
                    "[targets.{}]\ntype = \"webhook\"\nurl = {}",
                    quoted(&name),
                    quoted(string(one, "Url"))
                );
                draft.targets.push(table);
                draft.notify.push(name);
            }
            _ => draft.omissions.push(format!(
                "target {id} of type {kind} is not supported and omitted"
            )),
        }
    }
}
