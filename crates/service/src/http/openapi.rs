//! `GET /openapi.json`: the description of this API.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The description, in `OpenAPI` 3.1.
pub(super) const DOCUMENT: &str = include_str!("../../openapi.json");

/// The document. Without a token, as it says nothing about this service but what it can do.
pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
