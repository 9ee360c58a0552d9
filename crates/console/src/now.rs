//! `/`: what needs attention now.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use reflexarc_service::ServiceHandle;

use crate::page::html;

#[derive(Template)]
#[template(path = "now.html")]
struct Now {
    now: String,
    rules: usize,
}

/// The page.
pub(crate) async fn show(State(handle): State<ServiceHandle>) -> Response {
    html(&Now {
        now: handle.now().to_string(),
        rules: handle.rules().len(),
    })
}
