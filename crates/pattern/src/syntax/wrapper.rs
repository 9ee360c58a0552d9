//! JSON notation: a pattern inside a request or another file, and keys in another API's spelling:
//! `{"EventPattern": {…}}`, `{"detailType": […]}`.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::json::{Member, Value, ValueKind};
use crate::Dialect;

/// Keys that hold a pattern in requests and templates; no event has them.
const WRAPPERS: [&str; 4] = [
    "eventpattern",
    "filterpattern",
    "eventfilter",
    "filtercriteria",
];

/// Keys that may hold a pattern, and may be fields.
const POSSIBLE_WRAPPERS: [&str; 5] = ["pattern", "filter", "filters", "rulepattern", "when"];

/// Keys beside a pattern in requests and templates.
const COMPANIONS: [&str; 26] = [
    "name",
    "rulename",
    "description",
    "state",
    "status",
    "enabled",
    "eventbusname",
    "eventbus",
    "eventbusarn",
    "targets",
    "eventtargets",
    "rolearn",
    "scheduleexpression",
    "tags",
    "arn",
    "rulearn",
    "id",
    "ruleid",
    "managedby",
    "createdby",
    "level",
    "notify",
    "then",
    "requestid",
    "type",
    "destination",
];

/// Keys at the top of events; an object that has one of them is a pattern.
const EVENT_KEYS: [&str; 18] = [
    "source",
    "detail-type",
    "detail",
    "account",
    "region",
    "resources",
    "time",
    "id",
    "version",
    "type",
    "subject",
    "data",
    "name",
    "content",
    "product",
    "resourceId",
    "regionId",
    "$or",
];

/// The keys of `PutEvents`, where events have others.
const ENTRY_KEYS: [(&str, &str); 7] = [
    ("Source", "source"),
    ("Detail", "detail"),
    ("Resources", "resources"),
    ("Time", "time"),
    ("Account", "account"),
    ("Region", "region"),
    ("Id", "id"),
];

impl TreeBuilder<'_> {
    /// Reports a pattern inside something else. True if that is all there is to say about the text,
    /// because it would be rejected.
    pub(super) fn is_wrapped(&mut self, members: &[Member], span: &Span) -> bool {
        self.check_entry_keys(members);
        let Some((member, is_certain)) = wrapper(members) else {
            return false;
        };
        let pattern = match &member.value.kind {
            ValueKind::Object(_) => self.source_of(&member.value).to_owned(),
            ValueKind::String(text) => text.clone(),
            _ => return false,
        };
        let is_text = matches!(member.value.kind, ValueKind::String(_));
        if is_text && !pattern.trim_start().starts_with('{') {
            return false;
        }
        let is_evident = is_certain || is_text || has_event_key(&member.value);
        // The text inside is parsed once more; it is smaller, so this ends.
        let inner = super::parse(&pattern, self.dialect, self.limits);
        let is_pattern = inner.tree.is_some() && inner.diagnostics.is_empty();
        let key = &member.key;
        let message = format!("pattern inside `{key}`");
        let is_rejected = members.iter().any(|member| {
            !matches!(
                member.value.kind,
                ValueKind::Object(_) | ValueKind::Array(_)
            )
        });
        let found = if is_rejected {
            Diagnostic::error(Code::WRAPPED_PATTERN, member.key_span.clone(), message)
        } else {
            Diagnostic::warning(Code::WRAPPED_PATTERN, member.key_span.clone(), message)
                .with_label(member.key_span.clone(), "parsed as a path")
        };
        let found = found.with_help(format!("write what is inside `{key}` only"));
        self.push(if is_pattern && is_evident {
            found.with_fix(span.clone(), pattern)
        } else {
            found
        });
        is_rejected
    }

    /// Reports a text that is a pattern in a string: `"{\"source\": …}"`, or in single quotes as in
    /// a shell. False for any other text.
    pub(super) fn is_quoted(&mut self, text: &str) -> bool {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let span = start..start + trimmed.len();
        let pattern = match trimmed.chars().next() {
            Some('"') if trimmed.len() > 1 && trimmed.ends_with('"') => {
                super::string_literal::decode(self.source, &span).ok()
            }
            Some('\'') => trimmed
                .strip_prefix('\'')
                .and_then(|text| text.strip_suffix('\''))
                .map(str::to_owned),
            _ => None,
        };
        let Some(pattern) = pattern.filter(|pattern| pattern.trim_start().starts_with('{')) else {
            return false;
        };
        let inner = super::parse(&pattern, self.dialect, self.limits);
        if inner.tree.is_none() {
            return false;
        }
        self.push(
            Diagnostic::error(
                Code::WRAPPED_PATTERN,
                span.clone(),
                "pattern inside a string",
            )
            .with_help("write what is inside the quotes only")
            .with_fix(span, pattern),
        );
        true
    }

    /// Warns of keys in the spelling of a request or an SDK: `detailType`, and beside it `Source`.
    fn check_entry_keys(&mut self, members: &[Member]) {
        if self.dialect == Dialect::Alibaba || !members.iter().any(is_detail_type) {
            return;
        }
        for member in members {
            let meant = if is_detail_type(member) {
                Some("detail-type")
            } else {
                let entry = ENTRY_KEYS.iter().find(|(key, _)| *key == member.key);
                entry.map(|(_, meant)| *meant)
            };
            let Some(meant) = meant else { continue };
            let span = member.key_span.clone();
            let message = format!("events have `{meant}`, not `{}`", member.key);
            self.push(
                Diagnostic::warning(Code::WRAPPED_PATTERN, span.clone(), message)
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_fix(span, format!("\"{meant}\"")),
            );
        }
    }
}

/// The member that holds a pattern, and whether its key can be nothing else.
fn wrapper(members: &[Member]) -> Option<(&Member, bool)> {
    let is_in = |names: &[&str], key: &str| names.contains(&plain(key).as_str());
    let holds = |member: &&Member| is_in(&WRAPPERS, &member.key);
    if let Some(member) = members.iter().find(holds) {
        let others = members.iter().filter(|other| !is_in(&WRAPPERS, &other.key));
        let is_alone = others.clone().all(|other| is_in(&COMPANIONS, &other.key));
        return is_alone.then_some((member, true));
    }
    let may_hold = |member: &&Member| is_in(&POSSIBLE_WRAPPERS, &member.key);
    if let Some(member) = members.iter().find(may_hold) {
        let mut others = members.iter().filter(|other| other.key != member.key);
        return others
            .all(|other| is_in(&COMPANIONS, &other.key))
            .then_some((member, false));
    }
    // `{"Properties": {"EventPattern": {…}}}`, a resource of a template.
    let nested = |member: &Member| match &member.value.kind {
        ValueKind::Object(inner) => inner.iter().any(|inner| is_in(&WRAPPERS, &inner.key)),
        _ => false,
    };
    let outer = members.iter().find(|member| nested(member))?;
    match &outer.value.kind {
        ValueKind::Object(inner) => wrapper(inner),
        _ => None,
    }
}

fn has_event_key(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Object(members) => members
            .iter()
            .any(|member| EVENT_KEYS.contains(&member.key.as_str())),
        _ => false,
    }
}

fn is_detail_type(member: &Member) -> bool {
    plain(&member.key) == "detailtype" && member.key != "detail-type"
}

/// The key in lower case, without what separates its words.
fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}
