//! From a member of the native form back to the bytes it came from.

use crate::json::{Member, Outline};
use crate::{Envelope, cloudevent, webhook};
use reflexarc_diagnostic::Span;

/// One step into a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The outline of an event and how its native form maps onto it.
pub(super) struct Places {
    envelope: Envelope,
    outline: Outline,
}

impl Places {
    pub(super) fn new(envelope: Envelope, outline: Outline) -> Self {
        Self { envelope, outline }
    }

    /// Where the value at a path of the native form stands. What is inside JSON text stands where the text does; what is
    /// missing, where the key of the object does that should have it, or at the first byte.
    pub(super) fn value(&self, path: &[Step<'_>]) -> Span {
        self.find(path).map_or(0..1, |found| match found {
            Found::Value(span) | Found::Within(span) => span,
        })
    }

    /// Where the key of the member at a path of the native form stands; where its value does when there is no key.
    pub(super) fn key(&self, path: &[Step<'_>]) -> Span {
        let origins = self.origins(path);
        let keyed = origins
            .iter()
            .find_map(|origin| walk(&self.outline, origin)?.key);
        keyed.map_or_else(|| self.value(path), |member| member.key_span.clone())
    }

    /// Where the value of a top-level member of the event itself stands.
    pub(super) fn raw(&self, key: &str) -> Span {
        self.outline
            .member(key)
            .map_or(0..1, |member| member.value.span.clone())
    }

    /// Whether the value stands in the bytes as it does in the native form, and only once, so that it may be replaced there.
    pub(super) fn is_plain(&self, path: &[Step<'_>]) -> bool {
        let translated = match self.envelope {
            Envelope::CloudEvent => path.first() != Some(&Step::Key("content")),
            Envelope::CloudMonitor => true,
            _ => false,
        };
        !translated && matches!(self.find(path), Some(Found::Value(_)))
    }

    fn find(&self, path: &[Step<'_>]) -> Option<Found> {
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

    /// The paths in the event that may lead to the value, best first.
    fn origins<'a>(&self, path: &[Step<'a>]) -> Vec<Vec<Step<'a>>> {
        let [Step::Key(key), rest @ ..] = path else {
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
            _ => vec![own.to_vec()],
        };
        let stepped = |start: Vec<&'a str>| {
            start
                .into_iter()
                .map(Step::Key)
                .chain(rest.iter().copied())
                .collect()
        };
        starts.into_iter().map(stepped).collect()
    }
}

enum Found {
    /// The value itself.
    Value(Span),
    /// Something that the value is in, or is missing from.
    Within(Span),
}

struct Reached<'a> {
    key: Option<&'a Member>,
    value: &'a Outline,
}

fn walk<'a>(outline: &'a Outline, path: &[Step<'_>]) -> Option<Reached<'a>> {
    path.iter().try_fold(
        Reached {
            key: None,
            value: outline,
        },
        |at, step| match step {
            Step::Key(key) => at.value.member(key).map(|member| Reached {
                key: Some(member),
                value: &member.value,
            }),
            Step::Index(index) => at
                .value
                .elements
                .get(*index)
                .map(|value| Reached { key: None, value }),
        },
    )
}
