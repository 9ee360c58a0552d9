//! `/faults`, beside the ECS API: injects faults into a simulated cloud.
//!
//! It is no part of the API and has no authentication, so it is available on a loopback address
//! only, and not to web pages of other origins.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use reflexarc_eni::{Cloud, Fault};
use reflexarc_event::Json;
use reflexarc_service::security::{AccessRules, RequestDenied};

use super::shared_cloud::SharedCloud;

/// `GET` lists the active faults, `POST` adds one, `DELETE` removes all.
pub(super) fn routes() -> Router<Arc<SharedCloud>> {
    let faults = get(list).post(add).delete(clear);
    Router::new().route("/faults", faults.layer(from_fn(refuse_foreign_pages)))
}

async fn refuse_foreign_pages(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match AccessRules::default().check(&parts, false) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(denied @ (RequestDenied::HostCount(_) | RequestDenied::InvalidHost)) => {
            error(StatusCode::BAD_REQUEST, &denied.to_string())
        }
        Err(denied) => error(StatusCode::FORBIDDEN, &denied.to_string()),
    }
}

async fn list(State(cloud): State<Arc<SharedCloud>>) -> Response {
    let faults = cloud.update(|cloud| cloud.faults().iter().map(Fault::to_json).collect());
    json(StatusCode::OK, &Json::Array(faults))
}

async fn add(State(cloud): State<Arc<SharedCloud>>, headers: HeaderMap, body: Bytes) -> Response {
    // A web page can make a browser post forms and plain text to any address without a preflight
    // request, but not JSON.
    if !is_json(&headers) {
        let message = "the Content-Type must be application/json";
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let fault = match Json::parse(&body) {
        Ok(json) => Fault::from_json(&json).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let fault = match fault {
        Ok(fault) => fault,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    let added = fault.to_json();
    match cloud.update(|cloud| cloud.inject(fault)) {
        Ok(()) => json(StatusCode::CREATED, &added),
        Err(too_many) => error(StatusCode::CONFLICT, &too_many.to_string()),
    }
}

async fn clear(State(cloud): State<Arc<SharedCloud>>) -> StatusCode {
    cloud.update(Cloud::clear_faults);
    StatusCode::NO_CONTENT
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json"))
}

fn error(status: StatusCode, message: &str) -> Response {
    let members = [("error".to_owned(), Json::from(message))];
    json(status, &members.into_iter().collect())
}

fn json(status: StatusCode, json: &Json) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, json.to_string()).into_response()
}
