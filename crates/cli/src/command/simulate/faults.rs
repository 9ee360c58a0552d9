//! `/faults`, beside the ECS API: lets the next operations of a listening cloud fail or hang.
//!
//! It is no part of the API and knows no accounts, so it is there on a loopback address only.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use reflexarc_eni::Fault;
use reflexarc_event::Json;

use super::listen::Service;

/// `GET` lists the faults that wait, `POST` adds one, `DELETE` takes all back.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/faults", get(list).post(add).delete(clear))
}

async fn list(State(service): State<Arc<Service>>) -> Response {
    let faults = service.with_cloud(|cloud| {
        cloud
            .faults()
            .iter()
            .map(Fault::to_json)
            .collect::<Vec<_>>()
    });
    json(StatusCode::OK, &Json::Array(faults))
}

async fn add(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    // A web page can make a browser post other types here without asking.
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind
        .split(';')
        .next()
        .is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json"))
    {
        return refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a fault is posted as application/json",
        );
    }
    let fault = match Json::parse(&body) {
        Ok(json) => Fault::from_json(&json),
        Err(error) => Err(error.to_string()),
    };
    let fault = match fault {
        Ok(fault) => fault,
        Err(words) => return refusal(StatusCode::BAD_REQUEST, &words),
    };
    let written = fault.to_json();
    match service.with_cloud(|cloud| cloud.inject(fault)) {
        Ok(()) => json(StatusCode::CREATED, &written),
        Err(full) => refusal(StatusCode::CONFLICT, &full.to_string()),
    }
}

async fn clear(State(service): State<Arc<Service>>) -> StatusCode {
    service.with_cloud(reflexarc_eni::Cloud::clear_faults);
    StatusCode::NO_CONTENT
}

fn refusal(status: StatusCode, words: &str) -> Response {
    json(
        status,
        &[("error".to_owned(), Json::from(words))]
            .into_iter()
            .collect(),
    )
}

fn json(status: StatusCode, json: &Json) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        json.to_string(),
    )
        .into_response()
}
