//! Misspelt values.

use std::borrow::Cow;
use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::{CatalogueField, Json, catalogue_fields, find_name};
use reflexarc_pattern::spanned::SpannedField;
use reflexarc_pattern::{Predicate, TextOp};

use super::subject::Subject;
use super::{Comparisons, names};

/// Words for a value that are not near to it, with the value if one is evidently meant.
const OTHER_WORDS: [(&str, &str, &str); 18] = [
    ("level", "WARNING", "WARN"),
    ("level", "INFORMATION", "INFO"),
    ("level", "CRIT", "CRITICAL"),
    ("product", "acs.ecs", "ECS"),
    ("product", "acs:ecs", "ECS"),
    ("content.result", "fail", "failed"),
    ("content.result", "failure", "failed"),
    ("content.result", "succeeded", "success"),
    ("content.result", "succeed", "success"),
    ("content.result", "successful", "success"),
    ("content.eniStatus", "Attached", "InUse"),
    ("content.eniStatus", "Detached", "Available"),
    ("content.eniStatus", "Deletion in progress", "Deleting"),
    ("content.eniStatus", "Deletion in progress.", "Deleting"),
    (
        "content.eniStatus",
        "The resource has been deleted",
        "Deleted",
    ),
    (
        "content.eniStatus",
        "The resource has been deleted.",
        "Deleted",
    ),
    ("content.eventStatus", "Cancelled", "Canceled"),
    ("content.operation", "AttachEni", "AttachNetworkInterface"),
];

/// The shortest part of a value that is compared; shorter ones are parts of too many words.
const SHORTEST_PART: usize = 5;

/// One text that a field is compared with.
pub(super) struct Literal {
    op: TextOp,
    text: String,
    ignoring_case: bool,
    span: Span,
    /// The bytes between its quotes, if they are the text as it is.
    plain: Option<Span>,
}

/// The texts of a field, excluded ones too.
pub(super) fn literals(field: &SpannedField, source: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    for spanned in field.predicates() {
        let predicates = match &spanned.predicate {
            Predicate::AnythingBut(excluded) => &excluded[..],
            other => std::slice::from_ref(other),
        };
        let texts = predicates.iter().filter_map(text);
        found.extend(texts.map(|(op, text, ignoring_case)| {
            let plain = plain_span(source, &spanned.span, op, &text);
            Literal {
                op,
                span: plain.clone().unwrap_or_else(|| spanned.span.clone()),
                plain,
                text,
                ignoring_case,
            }
        }));
    }
    found
}

/// The text of a predicate, how it is compared, and whether case is ignored. A wildcard with stars
/// at its ends only is a prefix, suffix or part.
pub(super) fn text(predicate: &Predicate) -> Option<(TextOp, String, bool)> {
    Some(match predicate {
        Predicate::Text(op, text) => (*op, text.to_string(), false),
        Predicate::TextIgnoringCase(op, text) => (*op, text.to_string(), true),
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        } => {
            let pieces: Vec<&str> = wildcard.pieces.iter().map(|piece| &**piece).collect();
            let (op, text) = match pieces[..] {
                [text] => (TextOp::Equals, text),
                [text, ""] => (TextOp::Prefix, text),
                ["", text] => (TextOp::Suffix, text),
                ["", text, ""] => (TextOp::Contains, text),
                _ => return None,
            };
            (op, text.to_owned(), *ignoring_case)
        }
        _ => return None,
    })
}

/// Whether ECS events may have a value whose text a predicate accepts or nearly accepts.
pub(super) fn may_match(predicate: &Predicate, path: &str, comparisons: &Comparisons) -> bool {
    match text(predicate) {
        None => false,
        Some((op, text, ignoring_case)) => {
            let values = values(path, &[]);
            is_value(op, &text, ignoring_case, path, &values)
                || path == "name" && names::is_resource(&text)
                || comparisons.take() && meant(op, &text, ignoring_case, path, &values).is_some()
        }
    }
}

/// Whether a text is a value of the field, or nearly.
pub(super) fn is_known(literal: &Literal, path: &str, comparisons: &Comparisons) -> bool {
    let values = values(path, &[]);
    let Literal {
        op,
        text,
        ignoring_case,
        ..
    } = literal;
    !values.is_empty()
        && (is_value(*op, text, *ignoring_case, path, &values)
            || comparisons.take() && meant(*op, text, *ignoring_case, path, &values).is_some())
}

/// The finding about a misspelt value.
pub(super) fn finding(
    literal: &Literal,
    path: &str,
    subject: &Subject,
    comparisons: &Comparisons,
) -> Option<Diagnostic> {
    let values = values(path, subject.names());
    let Literal {
        op,
        text,
        ignoring_case,
        ..
    } = literal;
    if values.is_empty()
        || is_value(*op, text, *ignoring_case, path, &values)
        || !comparisons.take()
    {
        return None;
    }
    if *op == TextOp::Equals && path == "name" && names::is_resource(text) {
        let message = format!("no `{path}` of ECS events is `{text}`, but many begin with it");
        let warning = Diagnostic::warning(Code::MISSPELT_VALUE, literal.span.clone(), message);
        return Some(warning.with_help(format!("compare the beginning: \"{text}:\"")));
    }
    let meant = meant(*op, text, *ignoring_case, path, &values).or_else(|| {
        abbreviated(text, &values).filter(|_| *op == TextOp::Equals && subject.is_ecs())
    })?;
    let what = match op {
        TextOp::Equals => "is",
        TextOp::Prefix => "begins with",
        TextOp::Suffix => "ends with",
        TextOp::Contains => "contains",
    };
    let message = format!("no `{path}` of ECS events {what} `{text}`");
    let warning = Diagnostic::warning(Code::MISSPELT_VALUE, literal.span.clone(), message)
        .with_help(format!("write `{meant}`"));
    Some(match &literal.plain {
        Some(span) => warning.with_fix(span.clone(), meant),
        None => warning,
    })
}

/// The values of a field, in the events of these names if there are any; empty if there are many.
fn values(path: &str, names: &[&str]) -> Cow<'static, BTreeSet<String>> {
    if path == "name" {
        return Cow::Borrowed(names::all());
    }
    let of_path = || catalogue_fields().iter().filter(|field| field.path == path);
    let is_of_names = |field: &&CatalogueField| names.iter().any(|name| field.is_of(name));
    let has_names = of_path().any(|field| is_of_names(&field));
    let fields = of_path().filter(|field| !has_names || is_of_names(field));
    let values = fields.flat_map(|field| field.values);
    Cow::Owned(values.map(|value| (*value).to_owned()).collect())
}

/// Whether a predicate with this text accepts one of the values.
fn is_value(
    op: TextOp,
    text: &str,
    ignoring_case: bool,
    path: &str,
    values: &BTreeSet<String>,
) -> bool {
    if op == TextOp::Equals && !ignoring_case {
        return values.contains(text) || path == "name" && find_name(text).is_some();
    }
    let simple = |text: &str| {
        if ignoring_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    };
    let wanted = simple(text);
    values.iter().any(|value| {
        let value = simple(value);
        match op {
            TextOp::Equals => value == wanted,
            TextOp::Prefix => value.starts_with(&wanted),
            TextOp::Suffix => value.ends_with(&wanted),
            TextOp::Contains => value.contains(&wanted),
        }
    })
}

/// The text that is meant by one that no value has.
fn meant(
    op: TextOp,
    text: &str,
    ignoring_case: bool,
    path: &str,
    values: &BTreeSet<String>,
) -> Option<String> {
    if op != TextOp::Equals {
        return part(op, text, values);
    }
    if path == "name" {
        return names::meant(text);
    }
    let same = values.iter().find(|value| value.eq_ignore_ascii_case(text));
    if let Some(same) = same.filter(|_| !ignoring_case) {
        return Some(same.clone());
    }
    let other_word = OTHER_WORDS.iter().find(|(of, word, value)| {
        *of == path && word.eq_ignore_ascii_case(text) && values.contains(*value)
    });
    if let Some((.., value)) = other_word {
        return Some((*value).to_owned());
    }
    // The result of a disk operation in a filter for interfaces, and the reverse.
    let success = ["success", "accomplished"]
        .into_iter()
        .find(|value| values.contains(*value));
    if path == "content.result" && matches!(text, "success" | "accomplished") {
        return success.map(str::to_owned);
    }
    nearest(text, values.iter().map(String::as_str)).map(str::to_owned)
}

/// The only value that begins with a text: `Attach` for `AttachNetworkInterface`.
fn abbreviated(text: &str, values: &BTreeSet<String>) -> Option<String> {
    let text = text.to_lowercase();
    let mut found = values
        .iter()
        .filter(|value| value.to_lowercase().starts_with(&text));
    let only = found.next().filter(|_| text.len() > 3)?;
    found.next().is_none().then(|| only.clone())
}

/// The part of a value that a misspelt part means.
fn part(op: TextOp, text: &str, values: &BTreeSet<String>) -> Option<String> {
    let length = text.chars().count();
    if length < SHORTEST_PART {
        return None;
    }
    // Parts with up to two characters more or less, so that a missing or a doubled letter is found:
    // for the prefix `NetworkInterfce` those of 13 to 17, of which `NetworkInterface` is nearest.
    let mut parts: BTreeSet<String> = BTreeSet::new();
    for value in values {
        let characters: Vec<char> = value.chars().collect();
        let lengths = length.saturating_sub(2)..=(length + 2).min(characters.len());
        for length in lengths.filter(|length| *length > 0) {
            let starts = match op {
                TextOp::Equals | TextOp::Prefix => 0..=0,
                TextOp::Suffix => characters.len() - length..=characters.len() - length,
                TextOp::Contains => 0..=characters.len() - length,
            };
            parts.extend(starts.map(|start| characters[start..start + length].iter().collect()));
        }
    }
    nearest(text, parts.iter().map(String::as_str)).map(str::to_owned)
}

/// The bytes of a text in quotes, if they are in the span once and are the text as it is. Around
/// the text may be the stars of the wildcard that it is a part of.
fn plain_span(source: &str, within: &Span, op: TextOp, text: &str) -> Option<Span> {
    let wildcard = match op {
        TextOp::Equals => None,
        TextOp::Prefix => Some(format!("\"{text}*\"")),
        TextOp::Suffix => Some(format!("\"*{text}\"")),
        TextOp::Contains => Some(format!("\"*{text}*\"")),
    };
    let spellings = [Some(format!("\"{text}\"")), wildcard];
    let source = &source[within.clone()];
    let mut places = spellings
        .iter()
        .flatten()
        .flat_map(|spelling| source.match_indices(spelling));
    let (at, quoted) = places.next()?;
    let start = within.start + at + quoted.find(text)?;
    let is_plain = Json::from(text).to_string().len() == text.len() + 2;
    (places.next().is_none() && is_plain).then(|| start..start + text.len())
}
