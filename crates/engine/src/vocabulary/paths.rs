//! Misspelt paths.

use std::sync::LazyLock;

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::{CatalogueField, catalogue_fields};
use reflexarc_pattern::spanned::SpannedField;

use super::subject::Subject;
use super::{Check, Comparisons};

/// What the catalogue says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    Known,
    Misspelt(Meant),
    /// Below a field that has no fields: `content.eniId.value`.
    Below(&'static str),
    Unknown,
}

/// The field that a misspelt path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) path: &'static str,
    certainty: Certainty,
}

/// How likely a path is a mistake and not a field of other events. In a filter that is certainly
/// about ECS events each of them is a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// No other events are likely to have the field: `content.opration`.
    Certain,
    /// It is one if a value of the field is compared: `lvel == "WARN"`.
    WithValue,
    /// Even then other events may have it: `result == "failed"`, without `content.`.
    Possible,
    /// Other events may well have it: `names`, `region`.
    InEcsEvents,
}

impl Meant {
    /// Whether the path is a mistake where no value is compared with it.
    pub(super) fn is_likely(&self, subject: &Subject) -> bool {
        subject.is_ecs() || self.certainty == Certainty::Certain
    }
}

/// The path of the member in which events have their details.
const CONTENT: &str = "content.";

/// Fields that occur in ECS events only; others, like `content.result`, are common words.
const SPECIFIC: [&str; 14] = [
    "content.eniId",
    "content.eniStatus",
    "content.primaryPrivateIp",
    "content.secondaryPrivateIps",
    "content.ipv4Prefixes",
    "content.ipv6s",
    "content.ipv6Prefixes",
    "content.ecsInstanceId",
    "content.ecsInstanceName",
    "content.executeStartTime",
    "content.executeFinishTime",
    "content.creditSpecification",
    "content.sourceDedicatedHostId",
    "content.destinationDedicatedHostId",
];

/// The simplified names of a field.
struct Simplified {
    path: String,
    /// Without `content.`, for a field of the content.
    key: Option<String>,
}

/// Names of a field in the API, in other envelopes and in common speech.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("content.networkInterfaceId", "content.eniId"),
    ("content.secondaryPrivateIp", "content.secondaryPrivateIps"),
    ("content.ipv4Prefix", "content.ipv4Prefixes"),
    ("content.ipv6Prefix", "content.ipv6Prefixes"),
    ("content.ipv6", "content.ipv6s"),
    ("region", "regionId"),
    ("accountId", "userId"),
    ("timestamp", "eventTime"),
    ("severity", "level"),
    ("eventName", "name"),
    ("arn", "resourceId"),
];

/// Looks up a path.
pub(super) fn lookup(path: &str, comparisons: &Comparisons) -> Lookup {
    if find(|known| known == path).is_some() {
        return Lookup::Known;
    }
    // A filter names few paths, and each of them is looked up for every conjunction around it.
    if let Some(found) = comparisons.paths.borrow().get(path) {
        return *found;
    }
    if !comparisons.take() {
        return Lookup::Unknown;
    }
    let found = compare(path);
    comparisons
        .paths
        .borrow_mut()
        .insert(path.to_owned(), found);
    found
}

/// Compares a path that the catalogue does not have with all that it has.
fn compare(path: &str) -> Lookup {
    if is_in_open_object(path) {
        return Lookup::Known;
    }
    if let Some(field) = below(path) {
        return Lookup::Below(field);
    }
    let meant = other_spelling(path)
        .or_else(|| other_name(path))
        .or_else(|| other_level(path))
        .or_else(|| slip(path));
    meant.map_or(Lookup::Unknown, Lookup::Misspelt)
}

/// Whether a field occurs in ECS events only.
pub(super) fn is_specific(path: &str) -> bool {
    SPECIFIC.contains(&path)
}

/// Whether the path begins like in other languages, of which the filter language warns already.
pub(super) fn is_root_of_others(path: &str) -> bool {
    ["event.", "$event.", "$.", "@."]
        .iter()
        .any(|root| path.starts_with(root))
}

/// The finding about a misspelt path; `None` if the filter may mean a field of other events.
/// `confirmed` says that a value of the field is compared.
pub(super) fn finding(
    meant: &Meant,
    field: &SpannedField,
    check: &Check<'_>,
    subject: &Subject,
    confirmed: bool,
) -> Option<Diagnostic> {
    let path = meant.path;
    let message = format!("ECS events have no `{}`", field.path);
    let (span, edit) = locate(field, path, check);
    let finding = match meant.certainty {
        _ if subject.is_ecs() => Diagnostic::warning,
        Certainty::Certain => Diagnostic::warning,
        Certainty::WithValue if confirmed => Diagnostic::warning,
        Certainty::Possible if confirmed => Diagnostic::hint,
        _ => return None,
    }(Code::MISSPELT_FIELD, span, message);
    let finding = finding.with_help(format!("write `{path}`"));
    Some(match edit {
        Some((span, replacement)) => finding.with_fix(span, replacement),
        None => finding,
    })
}

/// The finding about a path below a field that has no fields.
pub(super) fn finding_below(
    parent: &str,
    field: &SpannedField,
    subject: &Subject,
) -> Option<Diagnostic> {
    if !(is_specific(parent) || subject.is_ecs()) {
        return None;
    }
    let message = format!("`{parent}` of ECS events has no fields");
    let counts = ["length", "len", "size", "count"];
    let help = if field
        .path
        .segments()
        .last()
        .is_some_and(|key| counts.contains(&key))
    {
        format!("compare the number of values in the script: `event.{parent}.len() > 2`")
    } else {
        format!("write `{parent}`; a condition holds if any value of a list satisfies it")
    };
    Some(Diagnostic::warning(Code::MISSPELT_FIELD, field.key.clone(), message).with_help(help))
}

/// The field that has no fields and that the path leads below.
fn below(path: &str) -> Option<&'static str> {
    let parent = |known: &'static str| {
        let has_fields = known == "resource" || OBJECTS.contains(&known);
        !has_fields && is_below(path, known)
    };
    find(parent).map(|field| field.path)
}

/// Whether the path leads into an object whose fields are not documented, such as the parameters of
/// a call: `content.requestParameters.InstanceId`.
fn is_in_open_object(path: &str) -> bool {
    let mut objects = OBJECTS.iter();
    objects.any(|object| {
        let is_open = || find(|known| is_below(known, object)).is_none();
        is_below(path, object) && is_open()
    })
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// The objects of the catalogue.
static OBJECTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let objects = catalogue_fields()
        .iter()
        .filter(|field| field.shape.is_none());
    objects.map(|field| field.path).collect()
});

/// Another spelling of the same words: `regionID`, `content.eni_id`.
fn other_spelling(path: &str) -> Option<Meant> {
    let simple = simplified(path);
    let field = find_simplified(|known| known.path == simple)?;
    // `Name` and `STATUS` are fields of many events.
    let is_common = !field.path.contains('.') && !field.path.contains(char::is_uppercase);
    let certainty = if is_common {
        Certainty::WithValue
    } else {
        Certainty::Certain
    };
    Some(Meant {
        path: field.path,
        certainty,
    })
}

fn other_name(path: &str) -> Option<Meant> {
    let simple = simplified(path);
    let (_, meant) = OTHER_NAMES
        .iter()
        .find(|(name, _)| simplified(name) == simple)?;
    let certainty = if path.starts_with(CONTENT) {
        Certainty::Certain
    } else {
        Certainty::InEcsEvents
    };
    Some(Meant {
        path: meant,
        certainty,
    })
}

/// A field of the content without `content.`, or of the event with it.
fn other_level(path: &str) -> Option<Meant> {
    if let Some(key) = path.strip_prefix(CONTENT) {
        let field = find(|known| known == key)?;
        return Some(Meant {
            path: field.path,
            certainty: Certainty::InEcsEvents,
        });
    }
    let simple = simplified(path);
    let field = find_simplified(|known| known.key.as_ref() == Some(&simple))?;
    let certainty = if is_specific(field.path) {
        Certainty::Certain
    } else {
        Certainty::Possible
    };
    Some(Meant {
        path: field.path,
        certainty,
    })
}

/// A slip of the keyboard in one of the keys.
fn slip(path: &str) -> Option<Meant> {
    let keys: Vec<&str> = path.split('.').collect();
    let (known, written): (Vec<&'static CatalogueField>, &str) = match keys[..] {
        [key] => (fields(|known| !known.contains('.')), key),
        [root, key] if root == "content" || nearest(root, ["content"]).is_some() => {
            (fields(|known| known.starts_with(CONTENT)), key)
        }
        _ => return None,
    };
    let name = |field: &&'static CatalogueField| -> &'static str {
        field.path.strip_prefix(CONTENT).unwrap_or(field.path)
    };
    let names: Vec<&'static str> = known.iter().map(name).collect();
    let meant = names
        .iter()
        .copied()
        .find(|name| *name == written)
        .or_else(|| nearest(written, names.iter().copied()))?;
    let field = known.into_iter().find(|field| name(field) == meant)?;
    // `names` and `operations` are words of their own, and a short word has many neighbours.
    let is_plural = format!("{meant}s") == written || format!("{written}s") == meant;
    let certainty = if is_plural {
        Certainty::InEcsEvents
    } else if written.chars().count() < 5 && !is_swapped(written, meant) {
        Certainty::WithValue
    } else {
        Certainty::Certain
    };
    Some(Meant {
        path: field.path,
        certainty,
    })
}

/// Whether the two have the same letters: `naem` and `name`.
fn is_swapped(one: &str, other: &str) -> bool {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    letters(one) == letters(other)
}

/// Where the mistake is, and the edit that corrects it.
fn locate(field: &SpannedField, meant: &str, check: &Check<'_>) -> (Span, Option<(Span, String)>) {
    let key = field.key.clone();
    let written: Vec<&str> = field.path.segments().collect();
    let right: Vec<&str> = meant.split('.').collect();
    let differing: Vec<usize> = (0..written.len().min(right.len()))
        .filter(|&at| written[at] != right[at])
        .collect();
    let edit = match (&written[..], &right[..]) {
        // `content.` is missing. In JSON notation a key with a dot is the same path.
        ([only], [_, _]) => check
            .locate(only, &key)
            .map(|span| (span, meant.to_owned())),
        ([root, last], [_]) if !check.is_json => check
            .locate(&format!("{root}.{last}"), &key)
            .map(|span| (span, meant.to_owned())),
        _ if written.len() == right.len() => match differing[..] {
            [at] => {
                let whole = 0..check.source.len();
                // In JSON notation the span of the key is that of the innermost one.
                let inner = check.locate(written[at], &key);
                let outer = || {
                    let quoted = format!("\"{}\"", written[at]);
                    let span = check.locate(&quoted, &whole).filter(|_| check.is_json)?;
                    Some(span.start + 1..span.end - 1)
                };
                inner
                    .or_else(outer)
                    .map(|span| (span, right[at].to_owned()))
            }
            _ => None,
        },
        _ => None,
    };
    let span = edit.as_ref().map_or(key, |(span, _)| span.clone());
    (span, edit)
}

fn find(is_meant: impl Fn(&'static str) -> bool) -> Option<&'static CatalogueField> {
    catalogue_fields().iter().find(|field| is_meant(field.path))
}

/// The field whose simplified names are meant.
fn find_simplified(is_meant: impl Fn(&Simplified) -> bool) -> Option<&'static CatalogueField> {
    // Made once: most filters have paths that the catalogue does not have.
    static SIMPLIFIED: LazyLock<Vec<Simplified>> = LazyLock::new(|| {
        let simplify = |field: &CatalogueField| Simplified {
            path: simplified(field.path),
            key: field.path.strip_prefix(CONTENT).map(simplified),
        };
        catalogue_fields().iter().map(simplify).collect()
    });
    let at = SIMPLIFIED.iter().position(is_meant)?;
    catalogue_fields().get(at)
}

fn fields(is_wanted: impl Fn(&'static str) -> bool) -> Vec<&'static CatalogueField> {
    let mut fields: Vec<&'static CatalogueField> = Vec::new();
    for field in catalogue_fields()
        .iter()
        .filter(|field| is_wanted(field.path))
    {
        // A field whose values differ by event has several entries.
        if fields.iter().all(|other| other.path != field.path) {
            fields.push(field);
        }
    }
    fields
}

/// The path in small letters, without what separates words.
fn simplified(path: &str) -> String {
    let letters = path.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}
