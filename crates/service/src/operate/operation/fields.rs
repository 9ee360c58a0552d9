//! Operations as the fields of a form or of a query, and back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_diagnostic::{format_duration, nearest, parse_duration};

use super::{Operation, OperationLimits, SilenceRequest, SilenceSpan};
use crate::store::{DeliveryFilter, DeliveryStatus};

/// Why fields are not an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOperation(pub(crate) String);

/// The fields that are left to be read.
struct Fields<'a> {
    values: BTreeMap<&'a str, &'a str>,
    /// The values of `id`, which may be repeated.
    ids: Vec<&'a str>,
}

const LIMITS: OperationLimits = OperationLimits::LIMITS;

impl Operation {
    /// Reads an operation: `operation` is its name, the other fields are its parameters. Empty
    /// fields count as missing, as forms send them.
    ///
    /// # Errors
    /// If a field is missing, unknown, invalid or repeated, but for the `id` of selected
    /// deliveries. Unknown ones are errors because a misspelt condition would select more
    /// deliveries than meant: remove what is not a parameter, such as a token, before.
    pub fn from_fields(fields: &[(String, String)]) -> Result<Self, InvalidOperation> {
        let mut fields = Fields::new(fields)?;
        let name = fields.text("operation", LIMITS.text)?;
        let operation = match name.as_str() {
            "redrive" => Self::Redrive { id: fields.id()? },
            "drop" => Self::Drop { id: fields.id()? },
            "cancel" => Self::Cancel { id: fields.id()? },
            "redrive_selected" => Self::RedriveSelected { ids: fields.ids()? },
            "drop_selected" => Self::DropSelected { ids: fields.ids()? },
            "cancel_selected" => Self::CancelSelected { ids: fields.ids()? },
            "redrive_matching" => Self::RedriveMatching {
                filter: fields.filter(DeliveryStatus::Dead)?,
            },
            "drop_matching" => Self::DropMatching {
                filter: fields.filter(DeliveryStatus::Dead)?,
            },
            "cancel_matching" => {
                let status = fields.pending_status()?;
                let filter = fields.filter(status)?;
                Self::CancelMatching { filter }
            }
            "pause_target" => Self::PauseTarget {
                target: fields.text("target", LIMITS.text)?,
                reason: fields.optional("reason", LIMITS.reason)?,
            },
            "resume_target" => Self::ResumeTarget {
                target: fields.text("target", LIMITS.text)?,
            },
            "test_target" => Self::TestTarget {
                target: fields.text("target", LIMITS.text)?,
            },
            "add_silence" => Self::AddSilence(fields.silence()?),
            "end_silence" => Self::EndSilence {
                id: fields.number()?,
                drops: fields.flag("drop")?,
            },
            "acknowledge_incident" => Self::AcknowledgeIncident {
                id: fields.number()?,
                note: fields.optional("note", LIMITS.note)?,
            },
            "close_incident" => Self::CloseIncident {
                id: fields.number()?,
                reason: fields.optional("reason", LIMITS.reason)?,
            },
            "close_pending" => Self::ClosePending {
                rule: fields.text("rule", LIMITS.text)?,
                key: fields.key()?,
                reason: fields.optional("reason", LIMITS.reason)?,
            },
            "forget_state" => Self::ForgetState {
                rule: fields.text("rule", LIMITS.text)?,
            },
            "reload" => Self::Reload {
                force: fields.flag("force")?,
            },
            "accept_clock" => Self::AcceptClock,
            _ => return Err(unknown_operation(&name)),
        };
        let mut unknown = fields.values.into_keys();
        let unknown = unknown.next().or((!fields.ids.is_empty()).then_some("id"));
        match unknown {
            None => Ok(operation),
            Some(unknown) => {
                let message = format!("unknown field `{unknown}` of the operation {name}");
                Err(InvalidOperation(message))
            }
        }
    }

    /// The fields from which [`Operation::from_fields`] reads the same operation.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("operation", self.name().to_owned())];
        match self {
            Self::Redrive { id } | Self::Drop { id } | Self::Cancel { id } => {
                fields.push(("id", id.to_string()));
            }
            Self::RedriveSelected { ids }
            | Self::DropSelected { ids }
            | Self::CancelSelected { ids } => {
                fields.extend(ids.iter().map(|id| ("id", id.to_string())));
            }
            Self::RedriveMatching { filter }
            | Self::DropMatching { filter }
            | Self::CancelMatching { filter } => filter_fields(filter, &mut fields),
            Self::PauseTarget { target, reason } => {
                fields.push(("target", target.clone()));
                push(&mut fields, "reason", reason.as_ref());
            }
            Self::ResumeTarget { target } | Self::TestTarget { target } => {
                fields.push(("target", target.clone()));
            }
            Self::AddSilence(request) => silence_fields(request, &mut fields),
            Self::EndSilence { id, drops } => {
                fields.push(("id", id.to_string()));
                push(&mut fields, "drop", drops.then_some("true"));
            }
            Self::AcknowledgeIncident { id, note } => {
                fields.push(("id", id.to_string()));
                push(&mut fields, "note", note.as_ref());
            }
            Self::CloseIncident { id, reason } => {
                fields.push(("id", id.to_string()));
                push(&mut fields, "reason", reason.as_ref());
            }
            Self::ClosePending { rule, key, reason } => {
                fields.push(("rule", rule.clone()));
                fields.push(("key", key.clone()));
                push(&mut fields, "reason", reason.as_ref());
            }
            Self::ForgetState { rule } => fields.push(("rule", rule.clone())),
            Self::Reload { force } => push(&mut fields, "force", force.then_some("true")),
            Self::AcceptClock => {}
        }
        fields
    }
}

fn push(
    fields: &mut Vec<(&'static str, String)>,
    name: &'static str,
    value: Option<impl ToString>,
) {
    fields.extend(value.map(|value| (name, value.to_string())));
}

fn filter_fields(filter: &DeliveryFilter, fields: &mut Vec<(&'static str, String)>) {
    let is_withheld = filter.status == DeliveryStatus::Withheld;
    push(fields, "status", is_withheld.then_some("withheld"));
    push(fields, "target", filter.target.as_ref());
    push(fields, "rule", filter.rule.as_ref());
    push(fields, "event", filter.event.as_ref());
    push(fields, "reason", filter.reason.as_ref());
    push(fields, "since", filter.since);
    push(fields, "until", filter.finished_until);
}

fn silence_fields(request: &SilenceRequest, fields: &mut Vec<(&'static str, String)>) {
    fields.push(("pattern", request.pattern.clone()));
    push(fields, "from", request.from);
    match request.end {
        SilenceSpan::Until(until) => push(fields, "until", Some(until)),
        SilenceSpan::For(lasts) => push(fields, "for", Some(format_duration(lasts))),
    }
    push(fields, "owner", request.owner.as_ref());
    fields.push(("reason", request.reason.clone()));
    push(fields, "drop", request.drops.then_some("true"));
    push(fields, "confirm", request.confirm.then_some("true"));
}

impl<'a> Fields<'a> {
    fn new(fields: &'a [(String, String)]) -> Result<Self, InvalidOperation> {
        let (mut values, mut ids) = (BTreeMap::new(), Vec::new());
        for (name, value) in fields {
            if name == "id" {
                ids.push(value.as_str());
            } else if values.insert(name.as_str(), value.as_str()).is_some() {
                return Err(repeated(name));
            }
        }
        Ok(Self { values, ids })
    }

    /// The text of a field as it is, at most so many bytes of it.
    fn take(&mut self, name: &str, limit: usize) -> Result<Option<String>, InvalidOperation> {
        let value = if name == "id" {
            if self.ids.len() > 1 {
                return Err(repeated(name));
            }
            self.ids.pop()
        } else {
            self.values.remove(name)
        };
        let Some(text) = value else {
            return Ok(None);
        };
        if text.len() > limit {
            let message = format!("`{name}` is longer than {limit} bytes");
            return Err(InvalidOperation(message));
        }
        // No command line could have it.
        if text.contains('\0') {
            return Err(InvalidOperation(format!("invalid `{name}`: it has a NUL")));
        }
        Ok(Some(text.to_owned()))
    }

    fn optional(&mut self, name: &str, limit: usize) -> Result<Option<String>, InvalidOperation> {
        let text = self.take(name, limit)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn text(&mut self, name: &str, limit: usize) -> Result<String, InvalidOperation> {
        let text = self.optional(name, limit)?;
        text.ok_or_else(|| InvalidOperation(format!("missing `{name}`")))
    }

    /// A key, which may be the empty text.
    fn key(&mut self) -> Result<String, InvalidOperation> {
        let key = self.take("key", LIMITS.text)?;
        key.ok_or_else(|| InvalidOperation("missing `key`".to_owned()))
    }

    fn id(&mut self) -> Result<DeliveryId, InvalidOperation> {
        delivery_id(&self.text("id", LIMITS.text)?)
    }

    /// The selected deliveries, each once.
    fn ids(&mut self) -> Result<Vec<DeliveryId>, InvalidOperation> {
        let found = std::mem::take(&mut self.ids);
        let found: Vec<_> = found.into_iter().filter(|id| !id.is_empty()).collect();
        if found.is_empty() {
            let message = "no delivery is selected; select at least one";
            return Err(InvalidOperation(message.to_owned()));
        }
        if found.len() > LIMITS.ids {
            let (most, found) = (LIMITS.ids, found.len());
            let message = format!(
                "{found} deliveries are selected, more than {most}; select fewer, or change all \
                 that match a filter"
            );
            return Err(InvalidOperation(message));
        }
        let mut ids: Vec<DeliveryId> = Vec::with_capacity(found.len());
        for id in found {
            let id = delivery_id(id)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    fn number(&mut self) -> Result<i64, InvalidOperation> {
        let text = self.text("id", LIMITS.text)?;
        let message = || format!("invalid `id`: expected a number, found `{text}`");
        text.parse().map_err(|_| InvalidOperation(message()))
    }

    fn flag(&mut self, name: &str) -> Result<bool, InvalidOperation> {
        match self.optional(name, LIMITS.text)?.as_deref() {
            None | Some("false") => Ok(false),
            // `on` is what browsers send for a checked box.
            Some("true" | "on") => Ok(true),
            Some(other) => Err(InvalidOperation(format!(
                "invalid `{name}`: expected true or false, found `{other}`"
            ))),
        }
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>, InvalidOperation> {
        let Some(text) = self.optional(name, LIMITS.text)? else {
            return Ok(None);
        };
        let message = format!("invalid `{name}`: expected a timestamp, found `{text}`");
        let time = text.parse().map_err(|_| InvalidOperation(message))?;
        Ok(Some(time))
    }

    fn pending_status(&mut self) -> Result<DeliveryStatus, InvalidOperation> {
        match self.optional("status", LIMITS.text)?.as_deref() {
            None | Some("pending") => Ok(DeliveryStatus::Pending),
            Some("withheld") => Ok(DeliveryStatus::Withheld),
            Some(other) => Err(InvalidOperation(format!(
                "invalid `status`: expected pending or withheld, found `{other}`"
            ))),
        }
    }

    fn filter(&mut self, status: DeliveryStatus) -> Result<DeliveryFilter, InvalidOperation> {
        Ok(DeliveryFilter {
            target: self.optional("target", LIMITS.text)?,
            rule: self.optional("rule", LIMITS.text)?,
            event: self.optional("event", LIMITS.text)?,
            reason: self.optional("reason", LIMITS.reason)?,
            since: self.time("since")?,
            finished_until: self.time("until")?,
            ..DeliveryFilter::of(status)
        })
    }

    fn silence(&mut self) -> Result<SilenceRequest, InvalidOperation> {
        let lasts = self.optional("for", LIMITS.text)?;
        let end = match (self.time("until")?, lasts) {
            (Some(until), None) => SilenceSpan::Until(until),
            (None, Some(lasts)) => {
                let lasts = parse_duration(&lasts);
                let message = |error| InvalidOperation(format!("invalid `for`: {error}"));
                SilenceSpan::For(lasts.map_err(message)?)
            }
            _ => return Err(InvalidOperation("expected `until` or `for`".to_owned())),
        };
        Ok(SilenceRequest {
            pattern: self.text("pattern", LIMITS.text)?,
            from: self.time("from")?,
            end,
            owner: self.optional("owner", LIMITS.reason)?,
            reason: self.text("reason", LIMITS.reason)?,
            drops: self.flag("drop")?,
            confirm: self.flag("confirm")?,
        })
    }
}

fn delivery_id(text: &str) -> Result<DeliveryId, InvalidOperation> {
    let id = text.parse();
    id.map_err(|error: reflexarc_delivery::InvalidDeliveryId| InvalidOperation(error.to_string()))
}

fn repeated(name: &str) -> InvalidOperation {
    InvalidOperation(format!("`{name}` is given twice"))
}

fn unknown_operation(name: &str) -> InvalidOperation {
    let hint = nearest(name, Operation::NAMES);
    let hint = hint.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    });
    InvalidOperation(format!("unknown operation `{name}`{hint}"))
}
