//! The POST of a JSON document to a receiver's webhook.

use reflexarc_event::Json;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};

use crate::http::{BoundedResponse, is_egress_denied, request_error};
use crate::outcome::SendError;

/// Posts `body`, and returns the response whatever its status.
pub(super) async fn post_json(
    client: &Client,
    url: Url,
    body: &Json,
) -> Result<BoundedResponse, SendError> {
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.to_string());
    let response = request.send().await.map_err(|error| {
        let denied = is_egress_denied(&error);
        let reason = request_error(error);
        if denied {
            SendError::Misconfigured { reason }
        } else {
            SendError::transient(reason)
        }
    })?;
    Ok(BoundedResponse::read(response).await)
}
