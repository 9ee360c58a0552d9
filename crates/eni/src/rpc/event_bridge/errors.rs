//! Errors of `EventBridge`.

use reflexarc_diagnostic::truncate;

use crate::ApiError;
use crate::rpc::service_answer::IN_BODY;

pub(super) fn unknown_bus(name: &str) -> ApiError {
    let name = truncate(name, 128);
    error(
        "EventBusNotExist",
        format!("The event bus [{name}] not existed!"),
    )
}

pub(super) fn unknown_rule(bus: &str, name: &str) -> ApiError {
    let name = truncate(name, 128);
    let message = format!("The event rule [{name}] of event bus [{bus}] not existed!");
    error("EventRuleNotExisted", message)
}

pub(super) fn unknown_target(bus: &str, rule: &str, id: &str) -> ApiError {
    let id = truncate(id, 128);
    let message = format!(
        "The event target [{id}] of event rule [{rule}] on eventbus [{bus}] is not existed!"
    );
    error("EventTargetNotExist", message)
}

/// A list is longer than the quota.
pub(super) fn quota(code: &'static str, what: &str, count: usize, limit: usize) -> ApiError {
    let message = format!(
        "The current count of {what} is [{count}], which will exceed the limit quota [{limit}]"
    );
    error(code, message)
}

/// A parameter that is not JSON of the expected form.
pub(super) fn invalid_json(parameter: &str, reason: &str) -> ApiError {
    let message = format!("The Json attribute is invalid: {parameter}: {reason}");
    error("JsonAttributeInvalid", message)
}

pub(super) fn error(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(IN_BODY, code, message)
}

/// Checks a name: 1 to 127 letters, digits, `-` and `_`, of which the first is a letter or a digit,
/// and no reserved name.
pub(super) fn check_name(code: &'static str, what: &str, name: &str) -> Result<(), ApiError> {
    let is_first = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_valid = name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'));
    if is_first && is_valid && name.len() <= 127 && !name.starts_with("eventbridge-reserved-") {
        return Ok(());
    }
    let name = truncate(name, 64);
    Err(error(code, format!("The {what} name [{name}] is invalid!")))
}
