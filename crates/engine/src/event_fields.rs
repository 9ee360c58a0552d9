//! Warnings about misspelt fields of ECS events, and fields of envelopes, in scripts and templates.

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_reaction::VariableField;

use crate::vocabulary::{EnvelopeField, FieldName, FilterVocabulary};

/// The filters of the events that a script or template reads, as far as they are known.
#[derive(Clone, Copy)]
pub(crate) struct EventFilters<'v, 'p> {
    /// That of `event`: `when` of the rule.
    pub(crate) event: Option<&'v FilterVocabulary<'p>>,
    /// That of `closing`.
    pub(crate) closing: Option<&'v FilterVocabulary<'p>>,
}

impl EventFilters<'_, '_> {
    /// The warnings about the fields that a script or template reads, whose keys are located in it.
    pub(crate) fn check(
        self,
        event_fields: &[VariableField],
        closing_fields: &[VariableField],
    ) -> Vec<Diagnostic> {
        let of_event = self
            .event
            .map(|filter| check("event", event_fields, filter));
        let of_closing = self
            .closing
            .map(|filter| check("closing", closing_fields, filter));
        let found = of_event.into_iter().chain(of_closing);
        found.flatten().collect()
    }
}

/// The warnings about the fields of a variable. `filter` is that of its events: it may be about
/// events that have other fields.
fn check(
    variable: &str,
    fields: &[VariableField],
    filter: &FilterVocabulary<'_>,
) -> Vec<Diagnostic> {
    // A path that the filter names is spelt in the same way twice, often for one kind of the events
    // that it selects: `name == "Automation:RequestSent" and requestId exists or name == …`.
    let unnamed = fields.iter().filter(|field| !filter.names(&field.path));
    unnamed
        .filter_map(|field| {
            if let Some(envelope) = filter.envelope_field(&field.path) {
                // A script for events in several forms has a default for those without the field.
                return (!field.may_be_missing).then(|| of_envelope(variable, field, envelope))?;
            }
            match filter.field_name(&field.path) {
                FieldName::Misspelt(meant) => misspelt(variable, field, meant),
                FieldName::Known | FieldName::Unknown => None,
            }
        })
        .collect()
}

fn of_envelope(
    variable: &str,
    field: &VariableField,
    envelope: EnvelopeField,
) -> Option<Diagnostic> {
    let span = field.keys.first()?;
    let found = Diagnostic::warning(Code::ENVELOPE_FIELD, span.clone(), envelope.message());
    Some(match envelope.native {
        Some(native) => {
            let found = found.with_help(format!("in the native form it is `{variable}.{native}`"));
            if envelope.is_same_value {
                found.with_fix(span.clone(), native)
            } else {
                found
            }
        }
        None => found.with_help("the native form does not have it"),
    })
}

fn misspelt(variable: &str, field: &VariableField, meant: &str) -> Option<Diagnostic> {
    let whole: Span = field.keys.first()?.start..field.keys.last()?.end;
    let message = format!("ECS events have no `{}`", field.path);
    let warning = Diagnostic::warning(Code::MISSPELT_FIELD, whole, message)
        .with_help(format!("write `{variable}.{meant}`"));
    // One key is edited, so that `?.` and spaces between the others stay.
    let (written, right) = (field.path.split('.'), meant.split('.'));
    if written.clone().count() != right.clone().count() {
        return Some(warning);
    }
    let keys = field.keys.iter().zip(written.zip(right));
    let mut different = keys.filter(|(_, (written, right))| written != right);
    Some(match (different.next(), different.next()) {
        (Some((span, (_, right))), None) => warning.with_fix(span.clone(), right),
        _ => warning,
    })
}
