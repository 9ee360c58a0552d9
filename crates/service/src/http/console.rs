//! The console's pages, behind the same guard as the API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::connections::Connection;
use super::guard::{admit, end_request};
use super::{AppState, HttpError};

/// Largest number of connections to the console at one time: a browser has six, and a stream for
/// each open page.
pub(crate) const CONSOLE_CONNECTIONS: usize = 128;

/// What a browser is allowed to do with a response: load files of the console, and show it in no
/// frame. No script or style within a page runs, whatever an event has in its fields.
const PROTECTION: [(HeaderName, &str); 8] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // For browsers of before 2016, which ignore `frame-ancestors`.
    (X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: with it, forms are posted with `Origin: null`, which the guard refuses.
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// What the guard of the console needs.
struct ConsoleGuard {
    state: Arc<AppState>,
    hosts: Vec<String>,
}

/// The console's routes, reachable only under the names of the loopback interface and `hosts`.
pub(crate) fn console_router(pages: Router, state: Arc<AppState>, hosts: Vec<String>) -> Router {
    let guard = Arc::new(ConsoleGuard { state, hosts });
    pages.layer(from_fn_with_state(guard, guarded))
}

/// Checks host, origin and number of requests before a page sees the request.
async fn guarded(
    State(guard): State<Arc<ConsoleGuard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.set_working();
    }
    let (parts, body) = request.into_parts();
    let admitted = admit(&guard.state, connection.clone(), &parts, Some(&guard.hosts));
    let wants_json = wants_json(&parts.headers);
    request = Request::from_parts(parts, body);
    let mut response = match admitted {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(error) if wants_json => error.into_response(),
        Err(error) => error_page(error),
    };
    protect(response.headers_mut());
    end_request(connection.as_deref(), &response);
    response
}

/// Whether a client asks for JSON, and not for pages as a browser does.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepts = |kind| accepted.iter().any(|value| value.contains(kind));
    accepts("application/json") && !accepts("text/html")
}

/// An error as a page, with the status and the headers that it has as JSON.
fn error_page(error: HttpError) -> Response {
    let message = escaped(&error.message);
    let mut response = error.into_response();
    let status = response.status();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{status} · reflexarc</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/console.css\">\n</head>\n\
         <body>\n<main>\n<h1>{status}</h1>\n<p>{message}</p>\n</main>\n</body>\n</html>\n"
    );
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    *response.body_mut() = page.into();
    response
}

/// A text for HTML: messages contain what the request had in its headers.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Adds what protects a browser to a response.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The files of the console have their own.
    let cached = headers.entry(CACHE_CONTROL);
    cached.or_insert(HeaderValue::from_static("no-store"));
}
