//! What looks wrong in an event.

use crate::json::{Json, Outline, Position};
use crate::{Code, Diagnostic, Envelope, Event, Span, catalogue};

/// Everything that looks wrong in the event, in the order of its bytes; spans point into [`Event::bytes`].
///
/// Nothing found here keeps an event from being matched: the reader is tolerant, and warnings and hints are for whoever
/// writes events or wonders why a rule stays silent.
pub fn check(event: &Event) -> Vec<Diagnostic> {
    let outline = Outline::read(event.bytes(), event.limits().depth).unwrap_or_default();
    let mut found = Vec::new();
    duplicates(&outline, &mut found);
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
    found
}

fn duplicates(at: &Outline, found: &mut Vec<Diagnostic>) {
    let mut keys: std::collections::HashMap<&str, Span> = std::collections::HashMap::new();
    for member in &at.members {
        if let Some(first) = keys.insert(&member.key, member.key_span.clone()) {
            found.push(
                Diagnostic::warning(
                    Code::DUPLICATE_KEY,
                    member.key_span.clone(),
                    format!("the key `{}` appears twice", member.key),
                )
                .with_label(first, "this value is ignored")
                .with_help("keep one of them"),
            );
        }
        duplicates(&member.value, found);
    }
    at.elements.iter().for_each(|element| duplicates(element, found));
}
