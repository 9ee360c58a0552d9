//! What `EventBridge` and Cloud Monitor have in common, and ECS does not: an answer says in its body
//! whether the request was accepted, and the gateway before the services checks parameters.

use reflexarc_event::Json;

use super::authentication::is_credential;
use super::{Parameters, RpcResponse, response};
use crate::ApiError;

/// The HTTP status of an error that the service itself reports: only the body says that it is one.
pub(super) const IN_BODY: u16 = 200;

/// An action: its name, its parameters, and what performs it for an account.
pub(super) struct Action<S> {
    pub(super) name: &'static str,
    /// The names of all parameters; of lists without numbers and members.
    pub(super) parameters: &'static [&'static str],
    pub(super) perform: fn(&mut S, &str, &Parameters) -> Answered,
}

/// The members of an answer besides those that every answer has.
pub(super) type Answered = Result<Vec<(&'static str, Json)>, ApiError>;

/// A parameter that must be there, and the code of the gateway where it is not.
#[derive(Clone, Copy)]
pub(super) struct Required {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
}

/// Performs an action out of a table.
pub(super) fn perform<S>(
    actions: &[Action<S>],
    service: &mut S,
    account: &str,
    action: &str,
    parameters: &Parameters,
) -> Answered {
    let Some(found) = actions.iter().find(|known| known.name == action) else {
        let message = "Specified api is not found, please check your url and method.";
        return Err(ApiError::new(404, "InvalidAction.NotFound", message));
    };
    for (name, value) in parameters.iter() {
        let base = name.split_once('.').map_or(name, |(base, _)| base);
        let is_common = is_credential(base) || matches!(base, "RegionId" | "ClientToken");
        // The gateway ignores what it does not know. Here a misspelled name is an error, since
        // nothing would show that it has no effect.
        if !is_common && !found.parameters.contains(&base) {
            return Err(unsupported(name, value));
        }
    }
    (found.perform)(service, account, parameters)
}

/// The response with the members of an answer, or with the error.
pub(super) fn respond(
    answered: Answered,
    success: &'static str,
    request_id: String,
    host: &str,
) -> RpcResponse {
    let (status, code, message, members) = match answered {
        Ok(members) => (200, "", String::new(), members),
        Err(error) if error.status != IN_BODY => return response::error(&error, request_id, host),
        Err(error) => (IN_BODY, error.code, error.message, Vec::new()),
    };
    let is_accepted = code.is_empty();
    let common = [
        ("RequestId", request_id.as_str().into()),
        ("Code", if is_accepted { success } else { code }.into()),
        (
            "Message",
            if is_accepted { "success" } else { &message }.into(),
        ),
        ("Success", is_accepted.into()),
    ];
    RpcResponse {
        status,
        code,
        body: Json::object(common.into_iter().chain(members)),
        message,
        request_id,
    }
}

impl Required {
    /// The value.
    pub(super) fn of<'p>(&self, parameters: &'p Parameters) -> Result<&'p str, ApiError> {
        parameters.optional(self.name).ok_or_else(|| self.missing())
    }

    /// The values of a list.
    pub(super) fn list<'p>(&self, parameters: &'p Parameters) -> Result<Vec<&'p str>, ApiError> {
        let values = parameters.list(self.name);
        if values.is_empty() {
            return Err(self.missing());
        }
        Ok(values)
    }

    /// The error of the gateway where it is missing.
    pub(super) fn missing(&self) -> ApiError {
        let message = format!("{} is mandatory for this action.", self.name);
        ApiError::new(400, self.code, message)
    }
}

/// The error for a parameter, or a value of it, that has no effect here.
pub(super) fn unsupported(name: &str, value: &str) -> ApiError {
    let (name, value) = (
        reflexarc_diagnostic::truncate(name, 64),
        reflexarc_diagnostic::truncate(value, 64),
    );
    let message = format!("The parameter {name} with the value {value} is not supported here.");
    ApiError::new(400, "UnsupportedParameter", message)
}
