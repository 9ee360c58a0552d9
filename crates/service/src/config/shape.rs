//! What a configuration may contain, for schemas.

use std::path::Path;

use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets};
use reflexarc_diagnostic::toml::{ANY_NAME, Document, FaultCodes, TableShape, ValueShape};

use super::Config;
use super::parts::ErrorTracker;

/// The sections with tables whose keys depend on their `type`.
const TYPED: [&str; 2] = ["targets", "sources"];

/// The keys of configurations and what their values may be, recorded from what reads them.
///
/// ```
/// let shape = reflexarc_service::config::config_shape();
/// let targets = shape.table("targets").and_then(|targets| targets.table("*")).expect("a table");
/// assert!(targets.variants["email"].keys.contains_key("host"));
/// assert!(!targets.variants["file"].keys.contains_key("host"));
/// ```
pub fn config_shape() -> TableShape {
    let mut shape = recorded("");
    for section in TYPED {
        for name in types(&shape, section) {
            let with_type = recorded(&format!("[{section}.\"{ANY_NAME}\"]\ntype = \"{name}\"\n"));
            let variant = with_type
                .table(section)
                .and_then(|tables| tables.table(ANY_NAME));
            let tables = shape.table_mut(section);
            let table = tables.and_then(|tables| tables.table_mut(ANY_NAME));
            if let Some((table, variant)) = table.zip(variant.cloned()) {
                table.variants.insert(name.to_owned(), variant);
            }
        }
    }
    shape
}

/// The values that `type` may have in the tables of a section.
fn types(shape: &TableShape, section: &str) -> Vec<&'static str> {
    let table = shape
        .table(section)
        .and_then(|tables| tables.table(ANY_NAME));
    let shapes = table.and_then(|table| table.keys.get("type"));
    let words = shapes
        .into_iter()
        .flatten()
        .filter_map(|shape| match shape {
            ValueShape::Word(words) => Some(words.clone()),
            _ => None,
        });
    words.flatten().collect()
}

fn recorded(text: &str) -> TableShape {
    Document::recorded(text, FaultCodes::CONFIG, |document| {
        let context = ConfigContext::new(Path::new(""), Secrets::Skip);
        let root = ConfigTable::new(&context, document.root());
        Config::from_table(&root, &mut ErrorTracker::new(document));
    })
}
