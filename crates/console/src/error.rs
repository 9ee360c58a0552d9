//! Error pages.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use reflexarc_service::StoreError;

use crate::page::{Page, html_with};
use crate::secret::Unavailable;

/// A page that cannot be shown, or something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageError {
    status: StatusCode,
    message: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    page: Page,
    status: u16,
    message: String,
}

impl PageError {
    /// 400: a field is invalid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: what is asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 403: the login may not do this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 409: the state of what it is about does not allow it.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Any other.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<Unavailable> for PageError {
    fn from(_: Unavailable) -> Self {
        let message = "the system has no random numbers; sessions cannot be protected";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let title = match self.status {
            StatusCode::BAD_REQUEST => "Invalid request",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
            StatusCode::CONFLICT => "Not possible now",
            StatusCode::PAYLOAD_TOO_LARGE => "Too large",
            StatusCode::REQUEST_TIMEOUT => "Timeout",
            StatusCode::TOO_MANY_REQUESTS => "Too many requests",
            StatusCode::SERVICE_UNAVAILABLE => "Not available",
            _ => "Error",
        };
        let status = self.status;
        let page = ErrorPage {
            page: Page::bare(title),
            status: status.as_u16(),
            message: self.message,
        };
        let mut response = html_with(status, &page);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, 10.into());
        }
        response
    }
}

/// 404 of a path that no page has.
pub(crate) async fn unknown_path() -> PageError {
    PageError::not_found("The console has no page at this address.")
}

/// 405.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> PageError {
    let message = format!("{method} is not allowed for {}", uri.path());
    PageError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
