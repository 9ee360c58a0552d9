//! Checks of events: findings about what is probably wrong.

mod addresses;
mod eni;
mod envelope;
mod source_map;

use std::collections::BTreeMap;

use crate::Event;
use crate::canonical::canonicalize;
use crate::json::{Json, Outline};
use crate::normalize::converted;
use crate::parsed::is_masked;
use reflexarc_diagnostic::{Code, Diagnostic, Span, truncate};
use source_map::{PathStep, SourceMap};

/// Findings about an event in the order of its bytes, at most [`crate::Limits::findings`] and one
/// that says that there are others; spans are in [`Event::bytes`].
///
/// Warnings and hints do not keep an event from being matched. They are for people who write
/// events, or debug why a rule does not match. Events of AWS and of unknown form, and
/// CloudEvents of others than Alibaba Cloud, are only checked for duplicate keys.
///
/// ```
/// use reflexarc_event::{Event, check};
///
/// let text = r#"{
///     "product": "ECS", "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
///     "content": {"operation": "AttachNetworkInterfaces"}
/// }"#;
/// let findings = check(&Event::from_json(text)?);
/// let unknown = findings.iter().find(|finding| finding.code.to_string() == "RA0011");
/// let fix = unknown.and_then(|finding| finding.fix.as_ref()).map(|fix| fix.replacement.as_str());
/// assert_eq!(fix, Some("\"AttachNetworkInterface\""));
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
pub fn check(event: &Event) -> Vec<Diagnostic> {
    // The event has been read with the same limits, so its outline can be read too.
    let outline = Outline::read(event.bytes(), event.limits().depth).unwrap_or_default();
    let mut found = Vec::new();
    // One more than are kept shows that there are more.
    let most = event.limits().findings;
    duplicates(&outline, most.saturating_add(1), &mut found);
    if event.has_native_form() {
        let native = match converted(event) {
            Ok(native) => native.unwrap_or_else(|| event.clone()),
            Err(error) => {
                // The checks look at the native form; without it there is nothing more to check.
                found.insert(0, error.diagnostic());
                return found;
            }
        };
        let mut checker = Checker {
            event,
            native: native.tree(),
            canonical: canonicalize(native.tree()),
            source_map: SourceMap::new(event.envelope(), outline),
            found,
        };
        checker.check_masked_values();
        checker.check_envelope();
        checker.check_addresses();
        checker.check_eni_operation();
        found = checker.found;
    }
    // Checks run by topic; people read findings from the top of the event to the bottom.
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
    if found.len() > most {
        found.truncate(most);
        let end = found.last().map_or(0, |last| last.span.end);
        let message = "more findings are not shown";
        found.push(Diagnostic::hint(Code::TOO_MANY_FINDINGS, end..end, message));
    }
    found
}

/// The checks of one event.
struct Checker<'a> {
    event: &'a Event,
    /// The native form, which is what is checked.
    native: &'a Json,
    /// The native form with canonical values, if it has other ones.
    canonical: Option<Json>,
    /// From the native form back to the bytes of the event.
    source_map: SourceMap,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn warning(
        &self,
        code: Code,
        path: &[PathStep<'_>],
        message: impl Into<String>,
        help: &str,
    ) -> Diagnostic {
        Diagnostic::warning(code, self.source_map.value(path), message).with_help(help)
    }

    fn hint(
        &self,
        code: Code,
        path: &[PathStep<'_>],
        message: impl Into<String>,
        help: &str,
    ) -> Diagnostic {
        Diagnostic::hint(code, self.source_map.value(path), message).with_help(help)
    }

    /// The diagnostic with `text` as the fix for the value at the path, if that value can be
    /// replaced.
    fn with_fix(&self, diagnostic: Diagnostic, path: &[PathStep<'_>], text: &str) -> Diagnostic {
        if self.source_map.is_replaceable(path) {
            diagnostic.with_fix(self.source_map.value(path), Json::from(text).to_string())
        } else {
            diagnostic
        }
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Whether there is room for more findings: twice the limit, of which the first ones in the
    /// order of the bytes are kept.
    fn has_room(&self) -> bool {
        self.found.len() < self.event.limits().findings.saturating_mul(2)
    }

    /// Reports every masked text at the top level and in the content.
    fn check_masked_values(&mut self) {
        let native = self.native;
        for key in [
            "id",
            "resourceId",
            "userId",
            "regionId",
            "eventTime",
            "instanceName",
        ] {
            self.check_masked(native.get(key), &[PathStep::Key(key)]);
        }
        for (key, value) in native.get("content").map_or(&[][..], Json::members) {
            let path = [PathStep::Key("content"), PathStep::Key(key)];
            self.check_masked(Some(value), &path);
            for (index, element) in value.elements().iter().enumerate() {
                self.check_masked(Some(element), &[path[0], path[1], PathStep::Index(index)]);
            }
        }
    }

    fn check_masked(&mut self, value: Option<&Json>, path: &[PathStep<'_>]) {
        if let Some(text) = value
            .and_then(Json::as_str)
            .filter(|text| is_masked(text) && self.has_room())
        {
            self.add(self.masked_value(path, text));
        }
    }

    fn masked_value(&self, path: &[PathStep<'_>], text: &str) -> Diagnostic {
        let help = "a masked value never equals the real one";
        self.hint(
            Code::MASKED_VALUE,
            path,
            format!("masked value of `{}`: `{}`", named(path), shown(text)),
            help,
        )
    }

    /// The text at the path, `None` also if it is masked. Reports a value of another type.
    fn text(&mut self, path: &[PathStep<'_>]) -> Option<String> {
        self.text_of(at(self.native, path)?, path)
    }

    /// As [`Checker::text`], for a value that is known already.
    fn text_of(&mut self, value: &Json, path: &[PathStep<'_>]) -> Option<String> {
        match value {
            Json::Null => None,
            Json::String(text) if text.is_empty() => None,
            // Reported by `check_masked_values`.
            Json::String(text) if is_masked(text) => None,
            Json::String(text) => Some(text.clone()),
            other => {
                let Some(text) = self.canonical_text(path) else {
                    return self.wrong_type(other, path);
                };
                let message = format!(
                    "{} is accepted as `{}` for `{}`",
                    other.kind(),
                    shown(&text),
                    named(path)
                );
                let help = "rules see the string";
                self.add(self.hint(Code::TOLERATED_SPELLING, path, message, help));
                Some(text)
            }
        }
    }

    fn wrong_type(&mut self, value: &Json, path: &[PathStep<'_>]) -> Option<String> {
        let message = format!(
            "expected a string for `{}`, found {}",
            named(path),
            value.kind()
        );
        self.add(self.warning(Code::WRONG_TYPE, path, message, "write a string"));
        None
    }
}

impl Checker<'_> {
    /// The text that rules see at a path.
    fn canonical_text(&self, path: &[PathStep<'_>]) -> Option<String> {
        let canonical = at(self.canonical.as_ref()?, path)?;
        canonical.as_str().map(str::to_owned)
    }
}

fn duplicates(at: &Outline, limit: usize, found: &mut Vec<Diagnostic>) {
    let mut keys: BTreeMap<&str, Span> = BTreeMap::new();
    for member in &at.members {
        if found.len() >= limit {
            return;
        }
        if let Some(first) = keys.insert(&member.key, member.key_span.clone()) {
            let message = format!("duplicate key `{}`", shown(&member.key));
            found.push(
                Diagnostic::warning(Code::DUPLICATE_KEY, member.key_span.clone(), message)
                    .with_label(first, "this value is ignored")
                    .with_help("remove one of them"),
            );
        }
        duplicates(&member.value, limit, found);
    }
    at.elements
        .iter()
        .for_each(|element| duplicates(element, limit, found));
}

fn at<'a>(tree: &'a Json, path: &[PathStep<'_>]) -> Option<&'a Json> {
    path.iter().try_fold(tree, |value, step| match step {
        PathStep::Key(key) => value.get(key),
        PathStep::Index(index) => value.elements().get(*index),
    })
}

/// The path for messages: the last key and the indexes after it.
fn named(path: &[PathStep<'_>]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            PathStep::Key(key) => name = shown(key),
            PathStep::Index(index) => name = format!("{name}[{index}]"),
        }
    }
    name
}

/// A text of the event, truncated for messages.
fn shown(text: &str) -> String {
    truncate(text, 80).into_owned()
}
