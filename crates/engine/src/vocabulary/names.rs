//! Misspelt event names.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use reflexarc_diagnostic::nearest;
use reflexarc_event::{catalogue, find_name};
use reflexarc_pattern::{Predicate, TextOp};

/// What CloudEvents put before a name in their `type`.
const TYPE_PREFIX: &str = "ecs:";
/// The status that Cloud Monitor gives events that have none.
const NORMAL: &str = ":Normal";

/// Every name, without and with each of its statuses.
pub(super) fn all() -> &'static BTreeSet<String> {
    // Made once: most filters compare a name, and rule sets have thousands of filters.
    static ALL: OnceLock<BTreeSet<String>> = OnceLock::new();
    ALL.get_or_init(|| with_statuses().collect())
}

fn with_statuses() -> impl Iterator<Item = String> {
    catalogue().iter().flat_map(|entry| {
        let with_status = entry
            .statuses
            .iter()
            .map(|status| format!("{}:{status}", entry.name));
        std::iter::once(entry.name.to_owned()).chain(with_status)
    })
}

/// The names without status that the alternatives allow; `None` if they allow others, too.
pub(super) fn required(alternatives: &[&Predicate]) -> Option<Vec<&'static str>> {
    let known = |predicate: &&Predicate| match predicate {
        Predicate::Text(TextOp::Equals, text) => {
            let name = find_name(text).map(|(entry, _)| entry.name);
            name.map(|name| vec![name])
        }
        Predicate::Text(TextOp::Prefix, prefix) => {
            let names = catalogue().iter().map(|entry| entry.name);
            let names: Vec<&str> = names.filter(|name| name.starts_with(&**prefix)).collect();
            (!names.is_empty()).then_some(names)
        }
        _ => None,
    };
    let names: Option<Vec<Vec<&str>>> = alternatives.iter().map(known).collect();
    Some(names?.concat())
}

/// Whether the text is the first part of names, the resource.
pub(super) fn is_resource(text: &str) -> bool {
    let mut resources = catalogue()
        .iter()
        .filter_map(|entry| entry.name.split_once(':'));
    resources.any(|(resource, _)| resource == text)
}

/// The name that a text means that is not one.
pub(super) fn meant(text: &str) -> Option<String> {
    let is_name = |text: &str| find_name(text).is_some();
    // What may stand around a name elsewhere.
    let bare = text.strip_prefix(TYPE_PREFIX).unwrap_or(text);
    let bare = bare.strip_suffix(NORMAL).unwrap_or(bare);
    if bare != text && is_name(bare) {
        return Some(bare.to_owned());
    }
    let names = all();
    let simple = |text: &str| text.to_lowercase();
    if let Some(same) = names.iter().find(|name| simple(name) == simple(bare)) {
        return Some(same.clone());
    }
    without_resource(bare).or_else(|| slip(bare, names))
}

/// The name of an event whose resource is missing: `NetworkInterfaceOperateCompleted`.
fn without_resource(text: &str) -> Option<String> {
    let events = || {
        let names = catalogue().iter().map(|entry| entry.name);
        names.filter_map(|name| Some((name, name.split_once(':')?.1)))
    };
    // A short event, such as `StateChange`, is one of several resources, or a word of its own.
    let event = nearest(text, events().map(|(_, event)| event)).filter(|_| text.len() >= 8)?;
    let mut named = events().filter(|(_, other)| *other == event);
    let (name, _) = named.next()?;
    named.next().is_none().then(|| name.to_owned())
}

/// The only name of which every part is the same or misspelt, with the fewest misspelt ones.
// Part by part, because names differ in one part only: `SystemFailure.Start` is not
// `SystemFailure.Stop`, although only three of its characters differ.
fn slip(text: &str, names: &BTreeSet<String>) -> Option<String> {
    let parts =
        |name: &str| -> Vec<String> { name.split([':', '.', '/']).map(str::to_owned).collect() };
    let written = parts(text);
    let misspelt = |name: &&String| {
        let right = parts(name);
        if right.len() != written.len() || right.len() < 2 {
            return None;
        }
        let differing = written
            .iter()
            .zip(&right)
            .filter(|(one, other)| one != other);
        let mut count = 0;
        for (one, other) in differing {
            nearest(one, [other.as_str()])?;
            count += 1;
        }
        Some(count)
    };
    let mut found: Vec<(usize, &String)> = names
        .iter()
        .filter_map(|name| Some((misspelt(&name)?, name)))
        .collect();
    found.sort();
    match found[..] {
        [(_, name)] => Some(name.clone()),
        [(least, name), (next, _), ..] if least < next => Some(name.clone()),
        // `PrivateIPAssigne` is nearest to one of several, if not equally near.
        [(least, _), ..] => {
            let equal = found.iter().filter(|(count, _)| *count == least);
            nearest(text, equal.map(|(_, name)| name.as_str())).map(str::to_owned)
        }
        [] => None,
    }
}
