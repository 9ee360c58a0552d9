//! The statuses of names in the catalogue.

use reflexarc_event::CatalogueEntry;

/// Each name with a status, and the status.
pub(super) fn names(entry: &CatalogueEntry) -> impl Iterator<Item = (String, &'static str)> {
    let name = entry.name;
    let statuses = entry.statuses.iter();
    statuses.map(move |status| (format!("{name}:{status}"), *status))
}
