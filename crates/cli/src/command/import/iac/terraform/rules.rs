//! The rules of a module, and of the modules that it calls.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use hcl_edit::expr::Expression;

use super::super::found::{Filter, FoundRule, Settings};
use super::super::limits::IacLimits;
use super::super::value::Value;
use super::evaluate::{Bindings, Scope, pairs, source};
use super::files::ModuleFiles;
use super::module::{Block, Item, Module};
use super::{registry, requests};

/// Modules by their folders, without links in the paths.
pub(in super::super) type Modules = BTreeMap<PathBuf, Module>;

/// What is the same for all modules.
pub(in super::super) struct Context<'a> {
    pub(in super::super) modules: &'a Modules,
    pub(in super::super) settings: &'a Settings,
    pub(in super::super) files: &'a ModuleFiles,
    pub(in super::super) limits: &'a IacLimits,
    /// What is left of the limit of evaluation.
    pub(in super::super) left: Cell<usize>,
}

/// The rules of all modules. A module that another one calls is read with the arguments of its
/// calls, not by itself.
pub(in super::super) fn rules(context: &Context<'_>) -> Vec<FoundRule> {
    let mut called = Vec::new();
    for module in context.modules.values() {
        for call in &module.calls {
            called.extend(source_folder(module, call, context.files));
        }
    }
    let mut found = Vec::new();
    let roots = context
        .modules
        .values()
        .filter(|module| !called.contains(&module.folder));
    for module in roots {
        context.left.set(context.limits.evaluation);
        read(module, BTreeMap::new(), "", 0, context, &mut found);
    }
    found
}

fn read(
    module: &Module,
    arguments: BTreeMap<String, Value>,
    prefix: &str,
    depth: usize,
    context: &Context<'_>,
    found: &mut Vec<FoundRule>,
) {
    let scope = Scope::new(
        module,
        arguments,
        context.settings,
        context.files,
        context.limits,
        &context.left,
    );
    for resource in &module.resources {
        let [kind, name] = resource.labels.as_slice() else {
            continue;
        };
        let known = matches!(
            kind.as_str(),
            "aws_cloudwatch_event_rule" | "alicloud_event_bridge_rule" | "alicloud_cms_event_rule"
        );
        if !known {
            continue;
        }
        for (index, bound) in instances(resource, &scope) {
            if found.len() > context.limits.patterns {
                return;
            }
            let reader = Reader {
                resource,
                scope: &scope,
                bound: &bound,
            };
            let filter = match kind.as_str() {
                "aws_cloudwatch_event_rule" => reader.aws(name),
                "alicloud_event_bridge_rule" => {
                    requests::eventbridge(&|key| reader.attribute_or_blocks(key))
                }
                _ => requests::cloud_monitor(&|key| reader.attribute_or_blocks(key)),
            };
            let texts = |keys: &[&str]| {
                keys.iter()
                    .map(|key| reader.text(key))
                    .find(|text| !text.is_empty())
            };
            let state = reader.text("state");
            found.push(FoundRule {
                file: resource.file.clone(),
                line: resource.line,
                address: format!("{prefix}{kind}.{name}{index}"),
                name: texts(&["name", "rule_name", "name_prefix"]).unwrap_or_else(|| name.clone()),
                description: reader.text("description"),
                disabled: state.starts_with("DISABLE") || reader.text("is_enabled") == "false",
                filter,
            });
        }
    }
    for call in &module.calls {
        let Some(folder) = source_folder(module, call, context.files) else {
            registry::read(call, prefix, &scope, found);
            continue;
        };
        let Some(callee) = context.modules.get(&folder) else {
            continue;
        };
        if depth >= MAX_CALLS {
            continue;
        }
        for (index, bound) in instances(call, &scope) {
            let mut arguments = BTreeMap::new();
            for item in &call.body {
                if let Item::Attribute(name, value) = item
                    && callee.variables.contains_key(name)
                {
                    arguments.insert(name.clone(), scope.value(value, &bound));
                }
            }
            let name = call.labels.first().map_or("", String::as_str);
            let prefix = format!("{prefix}module.{name}{index}.");
            read(callee, arguments, &prefix, depth + 1, context, found);
        }
    }
}

/// Calls of modules within one another. Modules cannot call themselves, but code may be wrong.
const MAX_CALLS: usize = 8;

fn source_folder(module: &Module, call: &Block, files: &ModuleFiles) -> Option<PathBuf> {
    let source = call.attribute("source")?.as_str()?.to_owned();
    if source.starts_with("./") || source.starts_with("../") {
        files.folder(module, &source)
    } else {
        None
    }
}

/// The instances that `count` and `for_each` make: the index in the address, and what `count` and
/// `each` are.
fn instances(block: &Block, scope: &Scope<'_>) -> Vec<(String, Vec<(String, Value)>)> {
    let single = || vec![(String::new(), Vec::new())];
    if let Some(count) = block.attribute("count") {
        let number = scope.value(count, &[]);
        let number = number.to_text().and_then(|text| text.parse::<usize>().ok());
        let bound = |index: Value| vec![("count".to_owned(), object("index", index))];
        return match number {
            Some(1) => vec![(String::new(), bound(Value::Number("0".to_owned())))],
            // Rules that are switched off by default are imported, as disabled rules are.
            Some(0) | None => {
                let reason = "`count.index` is not known before deployment";
                vec![(String::new(), bound(Value::Unknown(reason.to_owned())))]
            }
            Some(number) => (0..number.min(scope.limits.patterns + 1))
                .map(|index| {
                    let value = Value::Number(index.to_string());
                    (format!("[{index}]"), bound(value))
                })
                .collect(),
        };
    }
    let Some(for_each) = block.attribute("for_each") else {
        return single();
    };
    let each = |key: Value, value: Value| {
        let members = [("key".to_owned(), key), ("value".to_owned(), value)];
        vec![("each".to_owned(), Value::map(members))]
    };
    let collection = scope.value(for_each, &[]);
    match pairs(&collection) {
        Ok(pairs) => pairs
            .into_iter()
            .map(|(key, value)| {
                // The elements of a set are keys and values.
                let key = match &collection {
                    Value::List(_) => value.clone(),
                    _ => key,
                };
                let index = format!("[\"{}\"]", key.to_text().unwrap_or_default());
                (index, each(key, value))
            })
            .collect(),
        Err(reason) => {
            let reason = format!("`for_each` is not known: {reason}");
            let unknown = || Value::Unknown(reason.clone());
            vec![(String::new(), each(unknown(), unknown()))]
        }
    }
}

fn object(key: &str, value: Value) -> Value {
    Value::map([(key.to_owned(), value)])
}

/// Reads the attributes of an instance of a resource.
struct Reader<'a> {
    resource: &'a Block,
    scope: &'a Scope<'a>,
    bound: Bindings<'a>,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Option<Value> {
        let expression = self.resource.attribute(key)?;
        let value = self.scope.value(expression, self.bound);
        Some(value).filter(|value| !matches!(value, Value::Null))
    }

    /// The text of an attribute; empty if it is absent or not known.
    fn text(&self, key: &str) -> String {
        let text = self.value(key).and_then(|value| value.to_text());
        text.unwrap_or_default()
    }

    fn aws(&self, name: &str) -> Filter {
        let schedule = self.value("schedule_expression").map(|schedule| {
            schedule
                .to_text()
                .unwrap_or_else(|| "known after deployment".to_owned())
        });
        match (self.value("event_pattern"), schedule) {
            (Some(pattern), schedule) => Filter::Aws {
                pattern,
                targets: self.aws_targets(name),
                schedule,
            },
            (None, Some(schedule)) => Filter::Schedule(schedule),
            (None, None) => Filter::Unreadable("it has no event_pattern".to_owned()),
        }
    }

    /// The targets in the module that name the rule.
    fn aws_targets(&self, name: &str) -> Vec<String> {
        let reference = format!("aws_cloudwatch_event_rule.{name}");
        let is_of_rule = |rule: &Expression| {
            let text = source(rule);
            text.match_indices(&reference).any(|(at, _)| {
                // Not of a rule whose name only begins like this one's.
                let next = text[at + reference.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_' && next != '-')
            })
        };
        let targets = self.scope.module.resources.iter().filter(|resource| {
            resource
                .labels
                .first()
                .is_some_and(|kind| kind == "aws_cloudwatch_event_target")
                && resource.attribute("rule").is_some_and(is_of_rule)
        });
        targets
            .map(|target| {
                let text = |key: &str| {
                    let expression = target.attribute(key)?;
                    let value = self.scope.value(expression, self.bound).to_text();
                    Some(value.unwrap_or_else(|| source(expression)))
                };
                let arn = text("arn").unwrap_or_default();
                match text("target_id") {
                    Some(id) => format!("{id}: {arn}"),
                    None => arn,
                }
            })
            .collect()
    }

    /// An attribute, or the blocks of a name as a list: `targets { … }`.
    fn attribute_or_blocks(&self, name: &str) -> Option<Value> {
        let blocks = self.resource.body.iter().filter_map(|item| match item {
            Item::Block(kind, body) if kind == name => Some(self.block(body)),
            _ => None,
        });
        let blocks: Vec<Value> = blocks.collect();
        self.value(name)
            .or_else(|| (!blocks.is_empty()).then_some(Value::List(blocks)))
    }

    fn block(&self, body: &[Item]) -> Value {
        let mut members: Vec<(String, Value)> = Vec::new();
        for item in body {
            match item {
                Item::Attribute(name, value) => {
                    members.push((name.clone(), self.scope.value(value, self.bound)));
                }
                Item::Block(name, body) => {
                    let value = self.block(body);
                    let earlier = members.iter_mut().find(|(key, _)| key == name);
                    match earlier {
                        Some((_, Value::List(parts))) => parts.push(value),
                        _ => members.push((name.clone(), Value::List(vec![value]))),
                    }
                }
            }
        }
        Value::map(members)
    }
}
