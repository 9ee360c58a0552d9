//! Errors about lookups that scripts, templates and filters name.

use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_pattern::Pattern;
use reflexarc_pattern::spanned::{Kind, SpannedNode};
use reflexarc_reaction::VariableField;

use crate::lookup::{LOOKUP, Lookups};

/// The errors about fields of `lookup` that a script or template reads, located in it.
pub(crate) fn check(fields: &[VariableField], lookups: &Lookups) -> Vec<Diagnostic> {
    let found = fields.iter().filter_map(|field| {
        let mut keys = field.path.split('.').zip(&field.keys);
        let (name, span) = keys.next()?;
        let lookup = match lookups.get(name, span.clone()) {
            Ok(lookup) => lookup,
            Err(error) => return Some(*error),
        };
        let (column, span) = keys.next()?;
        lookup.unknown_column(column, span.clone())
    });
    found.collect()
}

/// The errors about lookups in a filter, located in it.
pub(crate) fn lookups_in_filter(pattern: &Pattern) -> Vec<Diagnostic> {
    // A tree with spans is as much work as the filter was; nearly none has such a path.
    let mut found = Vec::new();
    if pattern.source().contains(LOOKUP)
        && let Some(spanned) = pattern.spanned()
    {
        add_lookups(spanned.tree(), &mut found);
    }
    found
}

fn add_lookups(node: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::All(parts) | Kind::Any(parts) => {
            for part in parts {
                add_lookups(part, found);
            }
        }
        Kind::Not(inner) => add_lookups(inner, found),
        Kind::Field(field) => {
            let path = field.path.as_str();
            if path.split('.').next() != Some(LOOKUP) {
                return;
            }
            let message = format!("a filter cannot use the lookup `{path}`");
            let error = Diagnostic::error(Code::LOOKUP_IN_FILTER, field.key.clone(), message);
            found.push(error.with_help(
                "filters see the event only; decide in the script: \
                 if lookup.vswitch?.zone != \"cn-hangzhou-h\" { skip(\"another zone\") }",
            ));
        }
    }
}
