//! The strict writer.

use std::fmt::Display;

use super::{EniNotification, EniStatus, Operation, OperationResult};
use crate::json::Json;
use crate::reading::is_masked;
use crate::{ENI_OPERATION_COMPLETED, Event, EventError, Level, Limits, Reading, time};

/// Why a notification cannot be written: an event that we write is complete, unmasked and of one mind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A required value is missing.
    #[error("`{field}` is missing")]
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
    /// A value is none that the member can have.
    #[error("`{field}` cannot be `{text}`")]
    Unknown {
        /// The member's name in the event.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// The level does not go with the result.
    #[error("an operation with the result {result} has the level {}, not {level}", .result.level())]
    Level {
        /// The level to be written.
        level: Level,
        /// The result to be written.
        result: OperationResult,
    },
    /// The state does not follow from operation and result.
    #[error("{operation} with the result {result} does not leave an ENI {status}")]
    Status {
        /// The operation to be written.
        operation: Operation,
        /// The result to be written.
        result: OperationResult,
        /// The state to be written.
        status: EniStatus,
    },
    /// The resource id names something else than region and ENI id do.
    #[error("the resource id `{arn}` does not name the ENI {eni_id} in {region}")]
    Arn {
        /// The resource id to be written.
        arn: String,
        /// The region to be written.
        region: String,
        /// The ENI id to be written.
        eni_id: String,
    },
    /// It would be larger than an event may be.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl EniNotification {
    /// Writes the event in the native form: code words only, plural keys, arrays (left out when empty), prefixes as
    /// networks, the time in +0800 to the millisecond, `ver` 1.0. Everything but the addresses is required.
    ///
    /// # Errors
    /// When something is missing, masked or unknown, or when level, state or resource id contradict the rest.
    pub fn write(&self) -> Result<Event, WriteError> {
        let id = text(&self.id, "id")?;
        let arn = clear(&self.resource_id, "resourceId")?;
        let level = *clear(&self.level, "level")?;
        let user_id = text(&self.user_id, "userId")?;
        let event_time = *clear(&self.event_time, "eventTime")?;
        let region = text(&self.region_id, "regionId")?;
        let eni_id = text(&self.eni_id, "eniId")?;
        let operation = *clear(&self.operation, "operation")?;
        let status = *clear(&self.eni_status, "eniStatus")?;
        let result = *clear(&self.result, "result")?;
        let request_id = text(&self.request_id, "requestId")?;
        if level != result.level() {
            return Err(WriteError::Level { level, result });
        }
        if !operation.leaves(result).contains(&status) {
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
        if !matches!(self.primary_private_ip, Reading::Missing) {
            let address = clear(&self.primary_private_ip, "primaryPrivateIp")?;
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

fn clear<'a, T>(value: &'a Reading<T>, field: &'static str) -> Result<&'a T, WriteError> {
    match value {
        Reading::Clear(value) => Ok(value),
        Reading::Missing => Err(WriteError::Missing { field }),
        Reading::Masked(text) => Err(WriteError::Masked {
            field,
            text: text.clone(),
        }),
        Reading::Unknown(text) => Err(WriteError::Unknown {
            field,
            text: text.clone(),
        }),
    }
}

/// A text that says something and hides nothing, also when it was not read from an event.
fn text<'a>(value: &'a Reading<String>, field: &'static str) -> Result<&'a str, WriteError> {
    match clear(value, field)?.as_str() {
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
    values: &[Reading<T>],
    canonical: impl Fn(&T) -> U,
) -> Result<(), WriteError> {
    let texts = values
        .iter()
        .map(|value| clear(value, field).map(|value| canonical(value).to_string().into()));
    let texts = texts.collect::<Result<Vec<Json>, _>>()?;
    if !texts.is_empty() {
        content.push((field.to_owned(), Json::Array(texts)));
    }
    Ok(())
}
