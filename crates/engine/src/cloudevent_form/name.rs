//! Names with a status, such as `Disk:Stalled:Executing`, as conditions on `type` and
//! `data.eventStatus`.

use reflexarc_event::{CatalogueEntry, Event, Json, catalogue};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::shift::convert;
use super::status;

/// The condition on `type` and `data.eventStatus` for one on `name`; `None` if no status of the
/// catalogue makes a difference, and `type` alone has the same predicates.
///
/// The type is that of the name without its status. So for each name with statuses, the field says
/// of `base` and of each `base:status` whether it matches. Where all agree, the condition on `type`
/// says the same. Where they do not, the type gets a branch of its own:
///
/// ```text
/// name in ["Disk:Stalled:Executing", "Disk:New"]
///     type == "ecs:Disk:New" or type == "ecs:Disk:Stalled" and data.eventStatus == "Executing"
/// ```
pub(super) fn with_statuses(
    field: &Field,
    shifted: &impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Option<Node>, String> {
    // An alternative that only names with a listed status satisfy is in the branches.
    let is_within = |Alternative(predicates): &Alternative| match predicates.as_slice() {
        [Predicate::Text(TextOp::Equals | TextOp::Prefix, text)] => is_within_status(text),
        _ => false,
    };
    let whole = Pattern::from_node(Node::Field(field.clone()));
    let mut rest: Vec<Alternative> = field.alternatives.clone();
    rest.retain(|alternative| !is_within(alternative));
    let mut branches: Vec<Branch> = Vec::new();
    for entry in catalogue().iter().filter(|one| !one.statuses.is_empty()) {
        let base = matches(&whole, entry.name);
        let statuses = status::names(entry).map(|(name, _)| matches(&whole, &name));
        let statuses: Vec<bool> = statuses.collect();
        if statuses.iter().any(|status| *status != base) {
            add_branch(&mut branches, entry, base, &statuses);
        }
    }
    if branches.is_empty() {
        if rest.len() == field.alternatives.len() {
            return Ok(None);
        }
        return Ok(type_field(&rest, shifted)?.map(Node::Field));
    }
    // What the branches decide is taken out of the rest: first where it is listed, then from
    // whatever else matches it.
    let own = |text: &str| {
        let mut types = branches.iter().flat_map(|branch| &branch.types);
        types.any(|one| *one == text)
    };
    rest.retain(|Alternative(predicates)| match predicates.as_slice() {
        [Predicate::Text(TextOp::Equals, text)] => !own(text),
        _ => true,
    });
    let all_types = branches.iter().flat_map(|branch| branch.types.clone());
    let others = Pattern::from_node(Node::Field(Field {
        path: field.path.clone(),
        alternatives: rest.clone(),
    }));
    let taken = all_types.filter(|name| !rest.is_empty() && matches(&others, name));
    let taken = taken.map(|name| Predicate::Text(TextOp::Equals, name.into()));
    let taken: Vec<Predicate> = taken.collect();
    if !taken.is_empty() {
        for Alternative(predicates) in rest.iter_mut().filter(|one| !one.is_missing()) {
            predicates.push(Predicate::AnythingBut(taken.clone()));
        }
    }
    let mut parts: Vec<Node> = type_field(&rest, shifted)?
        .map(Node::Field)
        .into_iter()
        .collect();
    for branch in branches {
        let names = branch.types.iter();
        let names = names.map(|name| Predicate::Text(TextOp::Equals, (*name).into()));
        let names: Vec<_> = names.map(|one| Alternative(vec![one])).collect();
        let status = Node::Field(branch.status_field());
        let kind = type_field(&names, shifted)?.map(Node::Field);
        parts.push(Node::All(kind.into_iter().chain([status]).collect()));
    }
    Ok(match parts.len() {
        1 => parts.pop(),
        _ => Some(Node::Any(parts)),
    })
}

/// Names of which the same statuses match.
struct Branch {
    types: Vec<&'static str>,
    /// Whether the name without a status matches.
    base: bool,
    /// The statuses that differ from `base`.
    statuses: Vec<&'static str>,
}

impl Branch {
    fn status_field(&self) -> Field {
        let equal = |status: &&str| Predicate::Text(TextOp::Equals, (*status).into());
        let statuses = self.statuses.iter().map(equal);
        let alternatives = if self.base {
            let other = Predicate::AnythingBut(statuses.collect());
            vec![
                Alternative(vec![Predicate::Missing]),
                Alternative(vec![other]),
            ]
        } else {
            statuses.map(|one| Alternative(vec![one])).collect()
        };
        Field {
            path: Path::from_keys(["data", "eventStatus"]),
            alternatives,
        }
    }
}

fn add_branch(branches: &mut Vec<Branch>, entry: &CatalogueEntry, base: bool, statuses: &[bool]) {
    let differing = entry.statuses.iter().zip(statuses);
    let differing = differing.filter(|(_, status)| **status != base);
    let statuses: Vec<&'static str> = differing.map(|(status, _)| *status).collect();
    let same = |branch: &&mut Branch| branch.base == base && branch.statuses == statuses;
    match branches.iter_mut().find(same) {
        Some(branch) => branch.types.push(entry.name),
        None => branches.push(Branch {
            types: vec![entry.name],
            base,
            statuses,
        }),
    }
}

/// Whether an event of this name matches.
fn matches(pattern: &Pattern, name: &str) -> bool {
    let event = Json::from_iter([("name".to_owned(), Json::from(name))]).to_string();
    Event::from_json(event).is_ok_and(|event| pattern.matches(&event))
}

/// Whether the text goes beyond a name with statuses: `Disk:Stalled:` and what begins with it.
fn is_within_status(text: &str) -> bool {
    let mut ends = text.match_indices(':').map(|(at, _)| &text[..at]);
    ends.any(|name| {
        let mut entries = catalogue().iter();
        entries.any(|entry| entry.name == name && !entry.statuses.is_empty())
    })
}

fn type_field(
    alternatives: &[Alternative],
    shifted: &impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Option<Field>, String> {
    let converted = alternatives.iter().map(|one| convert(one, shifted));
    let alternatives = converted.collect::<Result<Vec<_>, _>>()?.concat();
    Ok((!alternatives.is_empty()).then(|| Field {
        path: Path::from_keys(["type"]),
        alternatives,
    }))
}
