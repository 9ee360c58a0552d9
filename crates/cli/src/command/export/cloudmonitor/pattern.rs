//! Filters as patterns of Cloud Monitor: products, names, levels and types of events.

use reflexarc_event::{Level, catalogue, find_name};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::super::LIMITS;
use crate::command::import::cloudmonitor::of_types;

/// The filter of a rule. An event matches if it matches one of the patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MonitorFilter {
    pub(super) patterns: Vec<MonitorPattern>,
    /// The application group.
    pub(super) group: Option<String>,
    /// Conditions that the service does not have.
    pub(super) left_out: Vec<LeftOut>,
    /// Where the service selects other events, in words.
    pub(super) notes: Vec<String>,
}

/// A condition that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The path that it is about, if it is one.
    pub(super) path: Option<String>,
    /// The condition in backticks.
    pub(super) text: String,
}

/// What an event has to be. An empty list means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MonitorPattern {
    pub(super) product: String,
    pub(super) names: Vec<String>,
    pub(super) levels: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) keyword: Option<String>,
}

/// Conditions that hold together.
#[derive(Debug, Clone, Default)]
struct Branch {
    products: Option<Vec<String>>,
    names: Option<Vec<String>>,
    levels: Option<Vec<String>>,
    types: Option<Vec<String>>,
}

impl MonitorFilter {
    /// The filter for a node; an event also has to contain one of the keywords, if there are any.
    ///
    /// # Errors
    /// If the service would need too many patterns.
    pub(super) fn of(node: &Node, keywords: Option<&[String]>) -> Result<Self, Vec<LeftOut>> {
        let mut filter = Self::default();
        let parts = match node {
            Node::All(parts) => parts.clone(),
            other => vec![other.clone()],
        };
        let (group, parts): (Vec<Node>, Vec<Node>) = parts.into_iter().partition(|part| {
            matches!(part, Node::Field(field) if field.path.as_str() == "groupId"
                && one_text(field).is_some())
        });
        filter.group = match group.as_slice() {
            [Node::Field(field)] => one_text(field).map(str::to_owned),
            _ => None,
        };
        for (index, part) in group.iter().enumerate() {
            if index > 0 {
                filter.leave_out(part);
            }
        }
        let branches = filter.branches(&Node::All(parts)).ok_or_else(|| {
            let text = format!(
                "a filter with so many alternatives: at most {}",
                LIMITS.parts
            );
            vec![LeftOut { path: None, text }]
        })?;
        for branch in branches {
            filter.add(branch, keywords);
        }
        if filter.patterns.len() > LIMITS.cloudmonitor_values {
            let most = LIMITS.cloudmonitor_values;
            let text = format!("a filter that needs more than {most} patterns");
            return Err(vec![LeftOut { path: None, text }]);
        }
        Ok(filter)
    }

    /// The disjunctive normal form; `None` if it is too large.
    fn branches(&mut self, node: &Node) -> Option<Vec<Branch>> {
        if let Some(types) = types_of(node) {
            let types = Some(types);
            return Some(vec![Branch {
                types,
                ..Branch::default()
            }]);
        }
        match node {
            Node::All(parts) => {
                let mut combined = vec![Branch::default()];
                for part in parts {
                    let choices = self.branches(part)?;
                    if combined.len().saturating_mul(choices.len()) > LIMITS.cloudmonitor_values {
                        return None;
                    }
                    let pairs = combined
                        .iter()
                        .flat_map(|one| choices.iter().map(move |other| (one, other)));
                    combined = pairs.map(|(one, other)| one.and(other)).collect();
                }
                Some(combined)
            }
            Node::Any(parts) => {
                let branches = parts.iter().map(|part| self.branches(part));
                let branches: Vec<Branch> = branches.collect::<Option<Vec<_>>>()?.concat();
                (branches.len() <= LIMITS.cloudmonitor_values).then_some(branches)
            }
            Node::Field(_) | Node::Not(_) => {
                let condition = match node {
                    Node::Field(field) => self.condition(field),
                    _ => None,
                };
                if condition.is_none() {
                    self.leave_out(node);
                }
                Some(vec![condition.unwrap_or_default()])
            }
        }
    }

    /// The condition of a field; `None` if the service does not have it.
    fn condition(&mut self, field: &Field) -> Option<Branch> {
        let mut branch = Branch::default();
        match field.path.as_str() {
            // Every event has them.
            "product" | "name" | "level" if is_any(field) => {}
            "product" => branch.products = Some(texts(field)?),
            "level" => {
                let levels = texts(field)?;
                let is_known = |level: &String| {
                    level
                        .parse::<Level>()
                        .is_ok_and(|known| known.as_str() == level)
                };
                branch.levels = Some(levels).filter(|levels| levels.iter().all(is_known));
                branch.levels.as_ref()?;
            }
            "eventType" => branch.types = Some(texts(field)?),
            "name" => branch.names = Some(self.names(field)?),
            _ => return None,
        }
        Some(branch)
    }

    /// The names that a field lists; a name without its status means it with any.
    fn names(&mut self, field: &Field) -> Option<Vec<String>> {
        let one = |alternative: &Alternative| match alternative.0.as_slice() {
            [Predicate::Text(op @ (TextOp::Equals | TextOp::Prefix), text)] => {
                Some((*op, text.to_string()))
            }
            _ => None,
        };
        let listed: Vec<(TextOp, String)> =
            field.alternatives.iter().map(one).collect::<Option<_>>()?;
        let has =
            |op: TextOp, text: &str| listed.iter().any(|(own, one)| *own == op && one == text);
        let mut names: Vec<String> = Vec::new();
        for (op, text) in &listed {
            let found = match op {
                TextOp::Equals => {
                    let may_have_status = find_name(text).is_some_and(|(entry, status)| {
                        status.is_none() && !entry.statuses.is_empty()
                    });
                    if may_have_status && !has(TextOp::Prefix, &format!("{text}:")) {
                        self.notes
                            .push(format!("Cloud Monitor also sends `{text}` with a status"));
                    }
                    vec![text.clone()]
                }
                _ => match text
                    .strip_suffix(':')
                    .filter(|name| has(TextOp::Equals, name))
                {
                    // As imports write a name in any status.
                    Some(_) => continue,
                    None => self.documented(text)?,
                },
            };
            for name in found {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Some(names)
    }

    /// The documented names that begin with a text, with those of their statuses that do.
    fn documented(&mut self, start: &str) -> Option<Vec<String>> {
        let names = catalogue().iter().flat_map(|entry| {
            let statuses = entry
                .statuses
                .iter()
                .map(|status| format!("{}:{status}", entry.name));
            if entry.name.starts_with(start) {
                vec![entry.name.to_owned()]
            } else {
                statuses.filter(|name| name.starts_with(start)).collect()
            }
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return None;
        }
        let count = names.len();
        self.notes.push(format!(
            "names that begin with `{start}` become the {count} that are documented"
        ));
        Some(names)
    }

    fn add(&mut self, branch: Branch, keywords: Option<&[String]>) {
        let products = branch.products.unwrap_or_else(|| {
            let note = "Cloud Monitor compares the product: it is ECS".to_owned();
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            vec!["ECS".to_owned()]
        });
        let names = branch.names.unwrap_or_default();
        let mut lists: Vec<Vec<String>> = names
            .chunks(LIMITS.cloudmonitor_values)
            .map(<[String]>::to_vec)
            .collect();
        if lists.is_empty() {
            lists.push(Vec::new());
        }
        let keywords: Vec<Option<String>> = match keywords {
            Some(keywords) => keywords.iter().cloned().map(Some).collect(),
            None => vec![None],
        };
        for product in products {
            for names in &lists {
                for keyword in &keywords {
                    let pattern = MonitorPattern {
                        product: product.clone(),
                        names: names.clone(),
                        levels: branch.levels.clone().unwrap_or_default(),
                        types: branch.types.clone().unwrap_or_default(),
                        keyword: keyword.clone(),
                    };
                    if !self.patterns.contains(&pattern) {
                        self.patterns.push(pattern);
                    }
                }
            }
        }
    }

    fn leave_out(&mut self, node: &Node) {
        let path = match node {
            Node::Field(field) => Some(field.path.as_str().to_owned()),
            _ => None,
        };
        let text = format!("`{}`", Pattern::from_node(node.clone()).to_expression());
        let left_out = LeftOut { path, text };
        if !self.left_out.contains(&left_out) {
            self.left_out.push(left_out);
        }
    }
}

impl Branch {
    /// Both together: an event has one product, name, level and type.
    fn and(&self, other: &Self) -> Self {
        let both = |one: &Option<Vec<String>>, other: &Option<Vec<String>>| match (one, other) {
            (Some(one), Some(other)) => {
                let both = one.iter().filter(|value| other.contains(value));
                Some(both.cloned().collect())
            }
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        Self {
            products: both(&self.products, &other.products),
            names: both(&self.names, &other.names),
            levels: both(&self.levels, &other.levels),
            types: both(&self.types, &other.types),
        }
    }
}

/// The types of events that a node selects as imports write them: by `eventType`, which only Cloud
/// Monitor sends, or by the documented names of that type.
fn types_of(node: &Node) -> Option<Vec<String>> {
    const TYPES: [&str; 3] = ["StatusNotification", "Exception", "Maintenance"];
    let Node::Any(parts) = node else { return None };
    let event_type = Path::from_keys(["eventType"]);
    let is_type = |node: &&Node| matches!(node, Node::Field(field) if field.path == event_type);
    let Node::Field(field) = parts.iter().find(is_type)? else {
        return None;
    };
    let types = texts(field)?;
    let known: Vec<&str> = types.iter().map(String::as_str).collect();
    let is_known = known.iter().all(|one| TYPES.contains(one));
    let made = Pattern::from_node(of_types(&known));
    (is_known && made.node() == node).then_some(types)
}

/// Whether any value satisfies the field.
fn is_any(field: &Field) -> bool {
    let mut alternatives = field.alternatives.iter();
    alternatives.any(|Alternative(predicates)| *predicates == [Predicate::Exists])
}

fn one_text(field: &Field) -> Option<&str> {
    match field.alternatives.as_slice() {
        [Alternative(predicates)] => match predicates.as_slice() {
            [Predicate::Text(TextOp::Equals, text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The texts of a field that lists texts and compares with nothing else.
fn texts(field: &Field) -> Option<Vec<String>> {
    let text = |Alternative(predicates): &Alternative| match predicates.as_slice() {
        [Predicate::Text(TextOp::Equals, text)] => Some(text.to_string()),
        _ => None,
    };
    field.alternatives.iter().map(text).collect()
}

#[cfg(test)]
mod tests;
