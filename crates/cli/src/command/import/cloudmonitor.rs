//! Cloud Monitor: event rules with products, names, levels, keywords, a mute time, and contacts.

use reflexarc_event::{Json, catalogue};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::rule_text::{Draft, Relation, quoted, stem};
use super::{Import, at, text, texts};
use crate::exit::Failure;

/// What `DescribeEventRuleList` answered, and `DescribeEventRuleTargetList` for some rules.
pub(super) fn import(answer: &Json, targets: &[(String, Json)]) -> Result<Import, Failure> {
    let rules = at(answer, &["EventRules", "EventRule"]).elements();
    if rules.is_empty() {
        let message = "no rules here: DescribeEventRuleList answers with EventRules.EventRule";
        return Err(Failure::Invalid(message.to_owned()));
    }
    if let Some((stray, _)) = targets
        .iter()
        .find(|(name, _)| !rules.iter().any(|rule| text(rule, "Name") == name))
    {
        return Err(Failure::Usage(format!(
            "--targets names the rule `{stray}`, which is not in the list"
        )));
    }
    let mut import = Import::default();
    for rule in rules {
        let name = text(rule, "Name");
        let own = targets
            .iter()
            .find(|(named, _)| named == name)
            .map(|(_, targets)| targets);
        match one(rule, own) {
            Ok(draft) => import.drafts.push(draft),
            Err(why) => import.refused.push((name.to_owned(), why)),
        }
    }
    Ok(import)
}

fn one(rule: &Json, targets: Option<&Json>) -> Result<Draft, String> {
    if text(rule, "State") == "DISABLED" {
        return Err("it is disabled, and rules here are not".to_owned());
    }
    if text(rule, "EventType") == "CUSTOM" {
        return Err("it is about custom events, which do not come this way".to_owned());
    }
    let patterns = at(rule, &["EventPattern", "EventPattern"]).elements();
    let mut keywords: Option<(Relation, Vec<String>)> = None;
    let mut alternatives = Vec::new();
    for pattern in patterns {
        if !text(pattern, "SQLFilter").is_empty() {
            return Err("its SQL filter has no counterpart".to_owned());
        }
        let own = keywords_of(pattern);
        if own.is_some() && patterns.len() > 1 {
            return Err(
                "keywords that belong to one of several patterns have no counterpart".to_owned(),
            );
        }
        keywords = keywords.or(own);
        alternatives.push(Node::All(tests(pattern)));
    }
    let mut all = vec![Node::Any(alternatives)];
    let group = rule.get("GroupId").map(|group| {
        group
            .as_str()
            .map_or_else(|| group.to_string(), str::to_owned)
    });
    let group = group.filter(|group| !matches!(group.as_str(), "" | "0" | "null"));
    let mut draft = Draft {
        name: stem(text(rule, "Name")),
        description: match text(rule, "Description") {
            "" => format!("Cloud Monitor rule {}", text(rule, "Name")),
            words => words.to_owned(),
        },
        keywords,
        mute: rule
            .get("SilenceTime")
            .and_then(Json::as_i64)
            .and_then(|time| u64::try_from(time).ok()),
        ..Draft::default()
    };
    draft.mute = draft.mute.filter(|seconds| *seconds > 0);
    if let Some(group) = group {
        all.push(one_of("groupId", [group.as_str()]));
        draft.losses.push(
            "the application group is compared with `groupId`, which only Cloud Monitor sends"
                .to_owned(),
        );
    }
    draft.when = Pattern::from_node(simplified(all)).to_expression();
    for target in targets.into_iter().flat_map(Json::members) {
        carry_targets(target, &mut draft);
    }
    if draft.notify.is_empty() {
        return Err(
            "it has no target that has a counterpart here; name its targets with --targets"
                .to_owned(),
        );
    }
    Ok(draft)
}

/// What a pattern asks for; `*` asks for nothing.
fn tests(pattern: &Json) -> Vec<Node> {
    let mut tests = Vec::new();
    let product = text(pattern, "Product");
    if !product.is_empty() && product != "*" {
        tests.push(one_of("product", [product.to_uppercase().as_str()]));
    }
    let list = |key: &str| -> Vec<&str> {
        let found: Vec<&str> = texts(at(pattern, &[key, key])).collect();
        if found.contains(&"*") {
            Vec::new()
        } else {
            found
        }
    };
    let names = list("NameList");
    if !names.is_empty() {
        // A name without its status stands for all of them.
        let wanted = names.iter().flat_map(|name| {
            let whole = Predicate::Text(TextOp::Equals, (*name).into());
            let with_status = Predicate::Text(TextOp::Prefix, format!("{name}:").into());
            let known = reflexarc_event::find_name(name);
            let may_have_status =
                known.is_none_or(|(entry, status)| status.is_none() && !entry.statuses.is_empty());
            std::iter::once(whole).chain(may_have_status.then_some(with_status))
        });
        tests.push(field(
            "name",
            wanted.map(|test| Alternative(vec![test])).collect(),
        ));
    }
    let levels = list("LevelList");
    if !levels.is_empty() {
        let levels: Vec<String> = levels.iter().map(|level| level.to_uppercase()).collect();
        tests.push(one_of("level", levels.iter().map(String::as_str)));
    }
    let types = list("EventTypeList");
    if !types.is_empty() {
        tests.push(of_types(&types));
    }
    tests
}

/// Only Cloud Monitor says what type an event is; for the others the catalogue does.
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
    let filter = at(pattern, &["KeywordFilter"]);
    let mut words: Vec<String> = texts(at(filter, &["Keywords", "Keywords"]))
        .map(str::to_owned)
        .collect();
    let custom = text(pattern, "CustomFilters");
    if !custom.is_empty() {
        words.push(custom.to_owned());
    }
    let relation = if text(filter, "Relation") == "NOT" {
        Relation::NoneOf
    } else {
        Relation::AnyOf
    };
    (!words.is_empty()).then_some((relation, words))
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

/// A conjunction or disjunction of one is that one.
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

fn carry_targets((kind, list): &(String, Json), draft: &mut Draft) {
    let targets = list
        .members()
        .iter()
        .flat_map(|(_, targets)| targets.elements());
    for one in targets {
        let id = text(one, "Id");
        match kind.as_str() {
            "ContactParameters" => {
                let group = text(one, "ContactGroupName");
                let name = stem(group);
                let level = one.get("Level").map(Json::to_string).unwrap_or_default();
                if level.contains('2') || level.contains('3') {
                    let dropped = if level.contains('2') {
                        "telephone and SMS"
                    } else {
                        "SMS"
                    };
                    draft
                        .losses
                        .push(format!("contact group {group}: {dropped}"));
                }
                let table = format!(
                    "# Contact group {group}: DingTalk and e-mail; for both make two targets and name both in `notify`.\n\
                     [targets.{}]\ntype = \"email\"\nhost = \"\"     # your mail server\nfrom = \"\"\nto = []     # who is in the \
                     group",
                    quoted(&name)
                );
                draft.targets.push(table);
                draft.notify.push(name);
            }
            "WebhookParameters" => {
                let name = stem(&format!("{}-{id}", draft.name));
                if text(one, "Method").eq_ignore_ascii_case("GET") {
                    draft.losses.push(format!(
                        "webhook {id}: it was called with GET and will be called with POST"
                    ));
                }
                let table = format!(
                    "[targets.{}]\ntype = \"webhook\"\nurl = {}",
                    quoted(&name),
                    quoted(text(one, "Url"))
                );
                draft.targets.push(table);
                draft.notify.push(name);
            }
            _ => draft.losses.push(format!(
                "target {id} of {kind} has no counterpart and was left out"
            )),
        }
    }
}
