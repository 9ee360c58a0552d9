//! The strict writer of ENI notifications.

use std::fmt::Display;

use super::{EniNotification, EniStatus, Operation, OperationResult};
use crate::json::Json;
use crate::parsed::is_masked;
use crate::{ENI_OPERATION_COMPLETED, Event, EventError, Level, Limits, Parsed, time};

/// Why a notification cannot be written: written events are complete, unmasked and consistent.
///
/// ```
/// use reflexarc_event::{EniNotification, WriteError};
///
/// let error = EniNotification::default().write().expect_err("nothing to write");
/// assert_eq!(error, WriteError::Missing { field: "id" });
/// assert_eq!(error.to_string(), "missing `id`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A required value is missing.
    #[error("missing `{field}`")]
    Missing {
        /// The member's name in the event.
        field: &'static str,
    },
    /// A value is masked.
    #[error("`{field}` is masked: `{text}`")]
    Masked {
        /// The member's name in the event.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// A value is not valid for its member.
    #[error("invalid `{field}`: `{text}`")]
    Invalid {
        /// The member's name in the event.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// The level does not follow from the result.
    #[error("expected level {} for result {result}, found {level}", .result.level())]
    Level {
        /// The level to be written.
        level: Level,
        /// The result to be written.
        result: OperationResult,
    },
    /// The status does not follow from operation and result.
    #[error("status {status} does not follow from {operation} with result {result}")]
    Status {
        /// The operation to be written.
        operation: Operation,
        /// The result to be written.
        result: OperationResult,
        /// The status to be written.
        status: EniStatus,
    },
    /// The ARN does not have the region and the id of the ENI.
    #[error("resource id `{arn}` does not identify ENI {eni_id} in {region}")]
    Arn {
        /// The resource id to be written.
        arn: String,
        /// The region to be written.
        region: String,
        /// The ENI id to be written.
        eni_id: String,
    },
    /// The event would exceed [`Limits::DEFAULT`].
    #[error(transparent)]
    Event(#[from] EventError),
}

impl EniNotification {
    /// Writes the event in the native form: documented spellings, plural keys, arrays (omitted if
    /// empty), prefixes without host bits, the time in +0800 to the millisecond, `ver` 1.0.
    /// Everything but the addresses is required.
    ///
    /// # Errors
    /// If a value is missing, masked or invalid, or if level, status or ARN contradict the others.
    ///
    /// ```
    /// use reflexarc_event::{Arn, EniNotification, EniStatus, Level, Operation, OperationResult};
    /// use reflexarc_event::parse_time;
    ///
    /// let notification = EniNotification {
    ///     id: "e-1".to_owned().into(),
    ///     resource_id: "acs:ecs:cn-hangzhou:1690704567890130:eni/eni-1".parse::<Arn>()?.into(),
    ///     level: Level::Info.into(),
    ///     user_id: "1690704567890130".to_owned().into(),
    ///     event_time: parse_time("2026-11-25T10:00:00Z")?.into(),
    ///     region_id: "cn-hangzhou".to_owned().into(),
    ///     eni_id: "eni-1".to_owned().into(),
    ///     operation: Operation::Attach.into(),
    ///     eni_status: EniStatus::InUse.into(),
    ///     result: OperationResult::Success.into(),
    ///     request_id: "r-1".to_owned().into(),
    ///     ..EniNotification::default()
    /// };
    /// let event = notification.write()?;
    /// let time = event.tree().get("eventTime").and_then(|time| time.as_str());
    /// assert_eq!(time, Some("20261125T180000.000+0800"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self) -> Result<Event, WriteError> {
        let id = text(&self.id, "id")?;
        let arn = required(&self.resource_id, "resourceId")?;
        let level = *required(&self.level, "level")?;
        let user_id = text(&self.user_id, "userId")?;
        let event_time = *required(&self.event_time, "eventTime")?;
        let region = text(&self.region_id, "regionId")?;
        let eni_id = text(&self.eni_id, "eniId")?;
        let operation = *required(&self.operation, "operation")?;
        let status = *required(&self.eni_status, "eniStatus")?;
        let result = *required(&self.result, "result")?;
        let request_id = text(&self.request_id, "requestId")?;
        // The checks below keep rehearsals honest: an event that the cloud would never send would
        // exercise rules in ways that cannot happen.
        if level != result.level() {
            return Err(WriteError::Level { level, result });
        }
        if !operation.resulting_statuses(result).contains(&status) {
            return Err(WriteError::Status {
                operation,
                result,
                status,
            });
        }
        if is_masked(&arn.to_string()) {
            return Err(WriteError::Masked {
                field: "resourceId",
                text: arn.to_string(),
            });
        }
        if arn.service != "ecs" || arn.kind != "eni" || arn.id != eni_id || arn.region != region {
            let (region, eni_id) = (region.to_owned(), eni_id.to_owned());
            return Err(WriteError::Arn {
                arn: arn.to_string(),
                region,
                eni_id,
            });
        }
        let mut content = vec![
            ("eniId".to_owned(), eni_id.into()),
            ("operation".to_owned(), operation.as_str().into()),
            ("eniStatus".to_owned(), status.as_str().into()),
            ("result".to_owned(), result.as_str().into()),
            ("requestId".to_owned(), request_id.into()),
        ];
        if !matches!(self.primary_private_ip, Parsed::Missing) {
            let address = required(&self.primary_private_ip, "primaryPrivateIp")?;
            content.push(("primaryPrivateIp".to_owned(), address.to_string().into()));
        }
        list(
            &mut content,
            "secondaryPrivateIps",
            &self.secondary_private_ips,
            |address| *address,
        )?;
        list(
            &mut content,
            "ipv4Prefixes",
            &self.ipv4_prefixes,
            ipnet::Ipv4Net::trunc,
        )?;
        list(&mut content, "ipv6s", &self.ipv6s, |address| *address)?;
        list(
            &mut content,
            "ipv6Prefixes",
            &self.ipv6_prefixes,
            ipnet::Ipv6Net::trunc,
        )?;
        let event = [
            ("ver", "1.0".into()),
            ("id", id.into()),
            ("product", "ECS".into()),
            ("resourceId", arn.to_string().into()),
            ("level", level.as_str().into()),
            ("name", ENI_OPERATION_COMPLETED.into()),
            ("userId", user_id.into()),
            ("eventTime", time::compact(event_time).into()),
            ("regionId", region.into()),
            ("content", Json::Object(content)),
        ];
        let tree = event
            .map(|(key, value): (_, Json)| (key.to_owned(), value))
            .into_iter()
            .collect();
        Ok(Event::from_tree_within(tree, &Limits::DEFAULT)?)
    }
}

fn required<'a, T>(value: &'a Parsed<T>, field: &'static str) -> Result<&'a T, WriteError> {
    match value {
        Parsed::Value(value) => Ok(value),
        Parsed::Missing => Err(WriteError::Missing { field }),
        Parsed::Masked(text) => Err(WriteError::Masked {
            field,
            text: text.clone(),
        }),
        Parsed::Invalid(text) => Err(WriteError::Invalid {
            field,
            text: text.clone(),
        }),
    }
}

/// A text that is neither empty nor masked, also if it was not parsed from an event.
fn text<'a>(value: &'a Parsed<String>, field: &'static str) -> Result<&'a str, WriteError> {
    match required(value, field)?.as_str() {
        "" => Err(WriteError::Missing { field }),
        text if is_masked(text) => Err(WriteError::Masked {
            field,
            text: text.to_owned(),
        }),
        text => Ok(text),
    }
}

fn list<T, U: Display>(
    content: &mut Vec<(String, Json)>,
    field: &'static str,
    values: &[Parsed<T>],
    canonical: impl Fn(&T) -> U,
) -> Result<(), WriteError> {
    let texts = values
        .iter()
        .map(|value| required(value, field).map(|value| canonical(value).to_string().into()));
    let texts = texts.collect::<Result<Vec<Json>, _>>()?;
    if !texts.is_empty() {
        content.push((field.to_owned(), Json::Array(texts)));
    }
    Ok(())
}
