//! From a value of the native form back to the bytes that it was converted from.

use crate::json::{Member, Outline};
use crate::{Envelope, cloudevent, history, webhook};
use reflexarc_diagnostic::Span;

/// One step of a path into a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathStep<'a> {
    Key(&'a str),
    Index(usize),
}

/// Maps paths in the native form to spans in the event.
pub(super) struct SourceMap {
    envelope: Envelope,
    outline: Outline,
}

impl SourceMap {
    pub(super) fn new(envelope: Envelope, outline: Outline) -> Self {
        Self { envelope, outline }
    }

    /// The span of the value at a path of the native form. For a value in JSON text it is that of
    /// the text; for a missing value, that of the key of the object that should have it, or the
    /// first byte.
    pub(super) fn value(&self, path: &[PathStep<'_>]) -> Span {
        self.find(path).map_or(0..1, |found| match found {
            Found::Value(span) | Found::Within(span) => span,
        })
    }

    /// The span of the key of the member at a path of the native form, or that of its value if
    /// there is no key.
    pub(super) fn key(&self, path: &[PathStep<'_>]) -> Span {
        let origins = self.origins(path);
        let keyed = origins
            .iter()
            .find_map(|origin| walk(&self.outline, origin)?.key);
        keyed.map_or_else(|| self.value(path), |member| member.key_span.clone())
    }

    /// The span of the value of a top-level member of the event itself.
    pub(super) fn raw(&self, key: &str) -> Span {
        self.outline
            .member(key)
            .map_or(0..1, |member| member.value.span.clone())
    }

    /// Whether the value is the same in the event as in the native form, and there only once, so
    /// that it can be replaced in the event.
    pub(super) fn is_replaceable(&self, path: &[PathStep<'_>]) -> bool {
        let translated = match self.envelope {
            Envelope::CloudEvent => path.first() != Some(&PathStep::Key("content")),
            Envelope::CloudMonitor | Envelope::CloudMonitorRecord => true,
            _ => false,
        };
        !translated && matches!(self.find(path), Some(Found::Value(_)))
    }

    // For {"alert": {"eventContentMap": {"eniId": 5}}}, the native path content.eniId comes from
    // alert.eventContentMap.eniId. If eniId were missing, the nearest ancestor there, the key
    // "eventContentMap", is where to report it.
    fn find(&self, path: &[PathStep<'_>]) -> Option<Found> {
        let origins = self.origins(path);
        let whole = origins
            .iter()
            .find_map(|origin| walk(&self.outline, origin));
        if let Some(whole) = whole {
            return Some(Found::Value(whole.value.span.clone()));
        }
        let part = origins.iter().find_map(|origin| {
            let nearest = (1..origin.len())
                .rev()
                .find_map(|length| walk(&self.outline, &origin[..length]))?;
            let is_text = nearest.value.members.is_empty() && nearest.value.elements.is_empty();
            Some(match nearest.key {
                Some(member) if !is_text => member.key_span.clone(),
                _ => nearest.value.span.clone(),
            })
        });
        part.map(Found::Within)
    }

    /// The paths in the event from which the value can come, preferred ones first.
    fn origins<'a>(&self, path: &[PathStep<'a>]) -> Vec<Vec<PathStep<'a>>> {
        let [PathStep::Key(key), rest @ ..] = path else {
            return vec![path.to_vec()];
        };
        let own = [*key];
        let starts: Vec<Vec<&str>> = match self.envelope {
            Envelope::CloudEvent => cloudevent::origin(key)
                .into_iter()
                .map(|key| vec![key])
                .chain([own.to_vec()])
                .collect(),
            Envelope::CloudMonitor => webhook::origins(key)
                .iter()
                .map(|path| path.to_vec())
                .chain([own.to_vec()])
                .collect(),
            Envelope::CloudMonitorRecord => history::origin(key)
                .into_iter()
                .map(|key| vec![key])
                .chain([own.to_vec()])
                .collect(),
            _ => vec![own.to_vec()],
        };
        let stepped = |start: Vec<&'a str>| {
            start
                .into_iter()
                .map(PathStep::Key)
                .chain(rest.iter().copied())
                .collect()
        };
        starts.into_iter().map(stepped).collect()
    }
}

enum Found {
    /// The value itself.
    Value(Span),
    /// The nearest ancestor that is there.
    Within(Span),
}

struct Target<'a> {
    key: Option<&'a Member>,
    value: &'a Outline,
}

fn walk<'a>(outline: &'a Outline, path: &[PathStep<'_>]) -> Option<Target<'a>> {
    path.iter().try_fold(
        Target {
            key: None,
            value: outline,
        },
        |at, step| match step {
            PathStep::Key(key) => at.value.member(key).map(|member| Target {
                key: Some(member),
                value: &member.value,
            }),
            PathStep::Index(index) => at
                .value
                .elements
                .get(*index)
                .map(|value| Target { key: None, value }),
        },
    )
}
