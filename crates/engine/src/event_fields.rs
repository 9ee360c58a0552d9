//! Warnings about misspelt fields of ECS events, and fields of envelopes, in scripts and templates.

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_reaction::VariableField;

use crate::vocabulary::{EnvelopeField, FieldName, FilterVocabulary};

/// The warnings about the fields that a script or template reads, whose keys are located in it.
/// `filter` is that of the rule: it may be about events that have other fields.
pub(crate) fn check(fields: &[VariableField], filter: &FilterVocabulary<'_>) -> Vec<Diagnostic> {
    // A path that the filter names is spelt in the same way twice, often for one kind of the events
    // that it selects: `name == "Automation:RequestSent" and requestId exists or name == …`.
    let unnamed = fields.iter().filter(|field| !filter.names(&field.path));
    unnamed
        .filter_map(|field| {
            if let Some(envelope) = filter.envelope_field(&field.path) {
                // A script for events in several forms has a default for those without the field.
                return (!field.may_be_missing).then(|| of_envelope(field, envelope))?;
            }
            match filter.field_name(&field.path) {
                FieldName::Misspelt(meant) => misspelt(field, meant),
                FieldName::Known | FieldName::Unknown => None,
            }
        })
        .collect()
}

fn of_envelope(field: &VariableField, envelope: EnvelopeField) -> Option<Diagnostic> {
    let span = field.keys.first()?;
    let found = Diagnostic::warning(Code::ENVELOPE_FIELD, span.clone(), envelope.message());
    Some(match envelope.native {
        Some(native) => {
            let found = found.with_help(format!("in the native form it is `event.{native}`"));
            if envelope.is_same_value {
                found.with_fix(span.clone(), native)
            } else {
                found
            }
        }
        None => found.with_help("the native form does not have it"),
    })
}

fn misspelt(field: &VariableField, meant: &str) -> Option<Diagnostic> {
    let whole: Span = field.keys.first()?.start..field.keys.last()?.end;
    let message = format!("ECS events have no `{}`", field.path);
    let warning = Diagnostic::warning(Code::MISSPELT_FIELD, whole, message)
        .with_help(format!("write `event.{meant}`"));
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
