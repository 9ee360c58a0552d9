//! Records of what operators do.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;

use super::operation::Operation;
use crate::nodes::Nodes;
use crate::store::{
    AuditEntry, AuditFilter, AuditOutcome, AuditVia, NewAuditEntry, Store, StoreError,
};

/// The operator in records while no tokens are configured: any user of this machine.
const LOCAL: &str = "local";
/// Records of each operation that are looked at for those that a process before has not ended.
const RECENT: usize = 100;
/// Age at which a command that has not ended does not run any more.
const COMMAND_TIME: SignedDuration = SignedDuration::from_hours(24);

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

/// Ends the records of operations that an earlier process has begun and not ended. Of what changed
/// many deliveries, it is known how far it came; of others not whether they were done. What another
/// node may have begun is left alone.
pub(crate) fn end_interrupted(
    store: &dyn Store,
    nodes: &Nodes,
    now: Timestamp,
) -> Result<(), StoreError> {
    let others_since = nodes.oldest_other();
    for operation in Operation::NAMES {
        let filter = AuditFilter {
            operation: Some(operation.to_owned()),
            ..AuditFilter::default()
        };
        let (outcome, message) = if operation.ends_with("_matching") {
            let message = "the process ended before; the rest was left as it was";
            (AuditOutcome::Failed, message)
        } else {
            let message = "the process ended before the outcome was recorded; it may have been \
                           done or not";
            (AuditOutcome::Unknown, message)
        };
        for entry in store.audit_page(&filter, None, RECENT)? {
            // A command works without the service, and may still do so.
            let by_other = entry.via == AuditVia::Command
                || others_since.is_some_and(|since| entry.at >= since);
            let may_run = by_other && now.duration_since(entry.at) < COMMAND_TIME;
            if entry.outcome == AuditOutcome::Begun && !may_run {
                store.finish_audit(entry.id, outcome, entry.count, message, now)?;
            }
        }
    }
    Ok(())
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
