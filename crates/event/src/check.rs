//! What looks wrong in an event.

mod addresses;
mod eni;
mod envelope;
mod places;

use std::collections::BTreeMap;

use crate::json::{Json, Outline};
use crate::normalize::native_form;
use crate::reading::is_masked;
use crate::{Envelope, Event};
use places::{Places, Step};
use reflexarc_diagnostic::{Code, Diagnostic, Span, truncate};

/// Everything that looks wrong in the event, in the order of its bytes; spans point into [`Event::bytes`].
///
/// Nothing found here keeps an event from being matched: the reader is tolerant, and warnings and hints are for whoever
/// writes events or wonders why a rule stays silent. Events of AWS and of unknown shapes are only searched for duplicate
/// keys. At most [`crate::Limits::findings`] are given.
pub fn check(event: &Event) -> Vec<Diagnostic> {
    let outline = Outline::read(event.bytes(), event.limits().depth).unwrap_or_default();
    let mut found = Vec::new();
    duplicates(&outline, event.limits().findings, &mut found);
    if !matches!(event.envelope(), Envelope::Aws | Envelope::Other) {
        let native = match native_form(event) {
            Ok(native) => native.unwrap_or_else(|| event.clone()),
            Err(error) => {
                // The checks look at the native form; without it there is nothing more to check.
                found.insert(0, error.diagnostic());
                return found;
            }
        };
        let mut checked = Checked {
            event,
            native: native.tree(),
            places: Places::new(event.envelope(), outline),
            found,
        };
        checked.masked();
        checked.envelope();
        checked.addresses();
        checked.eni();
        found = checked.found;
    }
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
    found.truncate(event.limits().findings);
    found
}

/// An event under examination.
struct Checked<'a> {
    event: &'a Event,
    /// The native form, which the checks look at; the places lead back to the bytes.
    native: &'a Json,
    places: Places,
    found: Vec<Diagnostic>,
}

impl Checked<'_> {
    fn warning(
        &self,
        code: Code,
        path: &[Step<'_>],
        message: impl Into<String>,
        help: &str,
    ) -> Diagnostic {
        Diagnostic::warning(code, self.places.value(path), message).with_help(help)
    }

    fn hint(
        &self,
        code: Code,
        path: &[Step<'_>],
        message: impl Into<String>,
        help: &str,
    ) -> Diagnostic {
        Diagnostic::hint(code, self.places.value(path), message).with_help(help)
    }

    /// The diagnostic with `text` as the fix for the value at the path, where that value can be replaced.
    fn mended(&self, diagnostic: Diagnostic, path: &[Step<'_>], text: &str) -> Diagnostic {
        if self.places.is_plain(path) {
            diagnostic.with_fix(self.places.value(path), Json::from(text).to_string())
        } else {
            diagnostic
        }
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Whether more findings are wanted.
    fn wants_more(&self) -> bool {
        self.found.len() < self.event.limits().findings.saturating_mul(2)
    }

    /// Every masked text at the top level and in the content.
    fn masked(&mut self) {
        let native = self.native;
        for key in [
            "id",
            "resourceId",
            "userId",
            "regionId",
            "eventTime",
            "instanceName",
        ] {
            self.masked_at(native.get(key), &[Step::Key(key)]);
        }
        for (key, value) in native.get("content").map_or(&[][..], Json::members) {
            let path = [Step::Key("content"), Step::Key(key)];
            self.masked_at(Some(value), &path);
            for (index, element) in value.elements().iter().enumerate() {
                self.masked_at(Some(element), &[path[0], path[1], Step::Index(index)]);
            }
        }
    }

    fn masked_at(&mut self, value: Option<&Json>, path: &[Step<'_>]) {
        if let Some(text) = value
            .and_then(Json::as_str)
            .filter(|text| is_masked(text) && self.wants_more())
        {
            self.add(self.hidden(path, text));
        }
    }

    fn hidden(&self, path: &[Step<'_>], text: &str) -> Diagnostic {
        let help = "a masked value matches no address and no id, and nothing is filed under it";
        self.hint(
            Code::MASKED_VALUE,
            path,
            format!("`{}` is masked: `{}`", named(path), shown(text)),
            help,
        )
    }

    /// The text at the path; says so when there is a value of another kind. `None` also for a masked text.
    fn text(&mut self, path: &[Step<'_>]) -> Option<String> {
        self.text_of(at(self.native, path)?, path)
    }

    /// The same for a value that has been found already.
    fn text_of(&mut self, value: &Json, path: &[Step<'_>]) -> Option<String> {
        match value {
            Json::Null => None,
            Json::String(text) if text.is_empty() => None,
            // Said once for all of them.
            Json::String(text) if is_masked(text) => None,
            Json::String(text) => Some(text.clone()),
            other => {
                let message = format!(
                    "`{}` should be a string, but is {}",
                    named(path),
                    other.kind()
                );
                self.add(self.warning(Code::WRONG_TYPE, path, message, "write a string"));
                None
            }
        }
    }
}

fn duplicates(at: &Outline, limit: usize, found: &mut Vec<Diagnostic>) {
    let mut keys: BTreeMap<&str, Span> = BTreeMap::new();
    for member in &at.members {
        if found.len() >= limit {
            return;
        }
        if let Some(first) = keys.insert(&member.key, member.key_span.clone()) {
            let message = format!("the key `{}` appears twice", shown(&member.key));
            found.push(
                Diagnostic::warning(Code::DUPLICATE_KEY, member.key_span.clone(), message)
                    .with_label(first, "this value is ignored")
                    .with_help("keep one of them"),
            );
        }
        duplicates(&member.value, limit, found);
    }
    at.elements
        .iter()
        .for_each(|element| duplicates(element, limit, found));
}

fn at<'a>(tree: &'a Json, path: &[Step<'_>]) -> Option<&'a Json> {
    path.iter().try_fold(tree, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.elements().get(*index),
    })
}

/// The path as people write it: the last key and what follows.
fn named(path: &[Step<'_>]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(key) => name = shown(key),
            Step::Index(index) => name = format!("{name}[{index}]"),
        }
    }
    name
}

/// A text of the event, short enough for a message.
fn shown(text: &str) -> String {
    truncate(text, 80).into_owned()
}

/// The candidate that is most like `word`, if one is so like it that a slip is likely.
fn alike<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 200 {
        return None;
    }
    let word = word.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        (
            strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase()),
            candidate,
        )
    });
    scored
        .filter(|(score, _)| *score >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
