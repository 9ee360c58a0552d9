//! The console's pages, behind the same guard as the API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::AppState;
use super::connections::Connection;
use super::guard::admit;

/// Largest number of connections to the console at one time: a browser has six, and a stream for
/// each open page.
pub(crate) const CONSOLE_CONNECTIONS: usize = 128;

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
    request = Request::from_parts(parts, body);
    let response = match admitted {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    if let Some(connection) = &connection {
        connection.end_request();
    }
    response
}
