//! Files that the pages load: one style sheet and two scripts, in the binary.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

const CSS: &str = include_str!("../assets/console.css");
/// htmx 2.0.11, unchanged; its license is beside it.
const HTMX: &str = include_str!("../assets/htmx.min.js");

/// One of the files.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", CSS),
        "htmx.min.js" => ("text/javascript; charset=utf-8", HTMX),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    (
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=3600")],
        text,
    )
        .into_response()
}
