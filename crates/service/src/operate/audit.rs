//! Records of what operators do.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;

use super::operation::Operation;
use crate::store::{AuditEntry, AuditOutcome, AuditVia, NewAuditEntry, Store, StoreError};

/// The operator in records while no tokens are configured: someone on this machine.
const LOCAL: &str = "local";

/// Records an operation that a command performs on the store itself; `outcome` is
/// [`AuditOutcome::Begun`] if it goes on. Returns the number of the entry, for
/// [`Store::finish_audit`].
///
/// # Errors
/// If nothing was stored.
pub fn record_command(
    store: &dyn Store,
    by: &str,
    operation: &Operation,
    (outcome, count, message): (AuditOutcome, u64, &str),
    now: Timestamp,
) -> Result<i64, StoreError> {
    store.append_audit(NewAuditEntry {
        outcome,
        count,
        message: message.to_owned(),
        ..entry(by, AuditVia::Command, operation, now)
    })
}

/// An entry as `{"id", "at", "by", "via", "operation", "subject", "details", "command", "outcome",
/// "count", "message", "finished"}`.
pub fn audit_to_json(entry: &AuditEntry) -> Json {
    let details = Json::parse(&entry.details);
    let finished = entry.finished.map(|at| at.to_string());
    Json::object([
        ("id", Json::count(entry.id)),
        ("at", entry.at.to_string().into()),
        ("by", entry.by.as_str().into()),
        ("via", entry.via.as_str().into()),
        ("operation", entry.operation.as_str().into()),
        ("subject", entry.subject.as_str().into()),
        (
            "details",
            details.unwrap_or_else(|_| entry.details.as_str().into()),
        ),
        ("command", entry.command.as_str().into()),
        ("outcome", entry.outcome.as_str().into()),
        ("count", Json::count(entry.count)),
        ("message", entry.message.as_str().into()),
        ("finished", Json::optional(finished.as_deref())),
    ])
}

/// The record of an operation that begins.
pub(super) fn entry(
    by: &str,
    via: AuditVia,
    operation: &Operation,
    now: Timestamp,
) -> NewAuditEntry {
    let details = if let Some((_, ids)) = operation.selected() {
        let ids = Json::strings(ids.iter().map(DeliveryId::to_string));
        Json::object([("ids", ids)])
    } else {
        let fields = operation.fields().into_iter();
        // The name has a column of its own.
        let fields = fields.filter(|(name, _)| *name != "operation");
        Json::object(fields.map(|(name, value)| (name, value.into())))
    };
    NewAuditEntry {
        at: now,
        by: by.to_owned(),
        via,
        operation: operation.name().to_owned(),
        subject: operation.subject(),
        details: details.to_string(),
        command: operation.command(),
        outcome: AuditOutcome::Begun,
        count: 0,
        message: String::new(),
    }
}

/// The operator in records. Without tokens, requests are those of `anonymous`, and everyone who can
/// send them is on this machine.
pub(super) fn local_name(by: &str, is_open: bool) -> &str {
    if is_open && by == "anonymous" {
        LOCAL
    } else {
        by
    }
}
