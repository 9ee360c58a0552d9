//! EventBridge: rules with event patterns and targets.

mod target;
mod transformation;

use std::collections::BTreeMap;

use reflexarc_diagnostic::FileDiagnostics;
use reflexarc_event::{Json, find_name};
use reflexarc_pattern::{Alternative, Dialect, Field, Node, Path, Pattern, Predicate, TextOp};

use super::rule_text::{Draft, Words, stem};
use super::{Import, at, text};
use crate::exit::Failure;

/// What `ListRules` and `ListTargets` answered.
pub(super) fn import(answers: &[Json]) -> Result<Import, Failure> {
    let rules: Vec<&Json> = answers
        .iter()
        .flat_map(|answer| at(answer, &["Data", "Rules"]).elements())
        .collect();
    let targets = answers
        .iter()
        .flat_map(|answer| at(answer, &["Data", "Targets"]).elements());
    let mut by_rule: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
    for target in targets {
        by_rule
            .entry(text(target, "RuleName"))
            .or_default()
            .push(target);
    }
    if rules.is_empty() {
        return Err(Failure::Invalid(
            "no rules here: ListRules answers with Data.Rules".to_owned(),
        ));
    }
    let mut import = Import::default();
    for rule in rules {
        let name = text(rule, "RuleName");
        // ListTargets says more of a target than ListRules does.
        let own = at(rule, &["Targets"]).elements().iter().collect();
        let targets = by_rule.get(name).cloned().unwrap_or(own);
        one(rule, &targets, &mut import);
    }
    Ok(import)
}

fn one(rule: &Json, targets: &[&Json], import: &mut Import) {
    let name = text(rule, "RuleName");
    let mut refuse = |why: &str| import.refused.push((name.to_owned(), why.to_owned()));
    if text(rule, "Status") == "DISABLE" {
        return refuse("it is disabled, and rules here are not");
    }
    let source = text(rule, "FilterPattern");
    let pattern = match Pattern::parse(source, Dialect::Alibaba) {
        Ok(pattern) => pattern,
        Err(diagnostics) => {
            let name = format!("FilterPattern of {name}");
            import.broken.push(FileDiagnostics {
                name,
                text: source.to_owned(),
                diagnostics,
            });
            return;
        }
    };
    let node = match native(pattern.node()) {
        Ok(node) => node,
        Err(why) => return refuse(&why),
    };
    let when = Pattern::from_node(node).to_expression();
    let empty = |name| Draft {
        name,
        description: described(rule),
        when: when.clone(),
        ..Draft::default()
    };
    let mut common = empty(stem(name));
    let mut own_words = Vec::new();
    for target in targets {
        let mut draft = empty(stem(&format!("{name}-{}", text(target, "Id"))));
        target::carry(target, &mut draft);
        if draft.notify.is_empty() || draft.words == Words::Default {
            common.notify.append(&mut draft.notify);
            common.targets.append(&mut draft.targets);
            common.losses.append(&mut draft.losses);
        } else {
            own_words.push(draft);
        }
    }
    // A rule says one thing to all; where targets had bodies of their own, each gets a rule.
    match (common.notify.is_empty(), own_words.as_mut_slice()) {
        (true, []) => return refuse("none of its targets has a counterpart here"),
        (true, [first, others @ ..]) => {
            first.losses.splice(0..0, common.losses);
            if others.is_empty() {
                first.name = common.name;
            }
        }
        (false, _) => import.drafts.push(common),
    }
    import.drafts.append(&mut own_words);
}

fn described(rule: &Json) -> String {
    match text(rule, "Description") {
        "" => format!("EventBridge rule {}", text(rule, "RuleName")),
        words => words.to_owned(),
    }
}

/// The same test of the native form; or why there is none.
fn native(node: &Node) -> Result<Node, String> {
    let all = |nodes: &[Node]| nodes.iter().map(native).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::All(nodes) => Node::All(all(nodes)?),
        Node::Any(nodes) => Node::Any(all(nodes)?),
        Node::Not(inner) => Node::Not(Box::new(native(inner)?)),
        Node::Field(field) => Node::Field(native_field(field)?),
    })
}

fn native_field(field: &Field) -> Result<Field, String> {
    let path = field.path.as_str();
    let renamed = |key: &str, alternatives| {
        Ok(Field {
            path: Path::from_keys([key]),
            alternatives,
        })
    };
    let same = field.alternatives.clone();
    match path {
        "type" => renamed("name", rewritten(field, name_tests)?),
        "source" => renamed("product", rewritten(field, product_tests)?),
        "subject" => renamed("resourceId", same),
        "aliyunaccountid" => renamed("userId", same),
        "aliyunregionid" => renamed("regionId", same),
        "data" => renamed("content", same),
        "time" | "specversion" | "datacontenttype" => Err(format!(
            "`{path}` is spelt otherwise in the native form, so its filter cannot be kept"
        )),
        _ => match path.strip_prefix("data.") {
            Some(rest) => Ok(Field {
                path: Path::from_keys(["content", rest]),
                alternatives: same,
            }),
            // `id` is called so in both; other attributes keep their names where the native form has no counterpart.
            None => Ok(field.clone()),
        },
    }
}

/// Every test of a value in other words; one test may become several, of which any will do.
fn rewritten(
    field: &Field,
    tests: impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Vec<Alternative>, String> {
    let mut alternatives = Vec::new();
    for Alternative(together) in &field.alternatives {
        let mut combined: Vec<Vec<Predicate>> = vec![Vec::new()];
        for predicate in together {
            let choices = match predicate {
                Predicate::AnythingBut(refused) => {
                    let refused = refused
                        .iter()
                        .map(&tests)
                        .collect::<Result<Vec<_>, _>>()?
                        .concat();
                    vec![Predicate::AnythingBut(refused)]
                }
                Predicate::Missing | Predicate::Exists | Predicate::Null => vec![predicate.clone()],
                other => tests(other)?,
            };
            combined = combined
                .iter()
                .flat_map(|before| {
                    choices.iter().map(move |choice| {
                        [before.as_slice(), std::slice::from_ref(choice)].concat()
                    })
                })
                .collect();
        }
        alternatives.extend(combined.into_iter().map(Alternative));
    }
    Ok(alternatives)
}

/// `type` has the prefix `ecs:` and no status; a name has no prefix and may end in a status.
fn name_tests(test: &Predicate) -> Result<Vec<Predicate>, String> {
    let Predicate::Text(op, value) = test else {
        return Err(unportable("type"));
    };
    match (op, value.strip_prefix("ecs:")) {
        (TextOp::Equals, Some(name)) => {
            let mut tests = vec![Predicate::Text(TextOp::Equals, name.into())];
            // What the catalogue does not know may have statuses.
            if find_name(name).is_none_or(|(entry, _)| !entry.statuses.is_empty()) {
                tests.push(Predicate::Text(TextOp::Prefix, format!("{name}:").into()));
            }
            Ok(tests)
        }
        (TextOp::Prefix, Some("")) => Ok(vec![Predicate::Exists]),
        (TextOp::Prefix, Some(name)) => Ok(vec![Predicate::Text(TextOp::Prefix, name.into())]),
        (TextOp::Equals | TextOp::Prefix, None) => {
            Err(format!("`{value}` is no type of ECS event"))
        }
        (TextOp::Suffix | TextOp::Contains, _) => Err(unportable("type")),
    }
}

/// `acs.ecs` is the product `ECS`.
fn product_tests(test: &Predicate) -> Result<Vec<Predicate>, String> {
    let Predicate::Text(op, value) = test else {
        return Err(unportable("source"));
    };
    match (op, value.strip_prefix("acs.")) {
        (TextOp::Equals, Some(product)) => Ok(vec![Predicate::Text(
            TextOp::Equals,
            product.to_uppercase().into(),
        )]),
        (TextOp::Prefix, Some("")) => Ok(vec![Predicate::Exists]),
        _ => Err(unportable("source")),
    }
}

fn unportable(path: &str) -> String {
    format!("this test of `{path}` has no counterpart in the native form")
}
