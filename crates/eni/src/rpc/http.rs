//! HTTP requests and responses, as far as the API uses them.

use super::RpcResponse;

/// An HTTP request.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The path; the API has only `/`.
    pub path: String,
    /// The query string, without the `?` and still encoded; may be empty.
    pub query: String,
    /// Names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body: a form, or empty.
    pub body: Vec<u8>,
    /// The address of the client; may be empty.
    pub source_address: String,
}

/// An HTTP response with a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The request's id. It is in the body, and the API repeats it in the header
    /// `x-acs-request-id`.
    pub request_id: String,
    /// The JSON document.
    pub body: String,
}

impl HttpRequest {
    /// The first header with that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl From<RpcResponse> for HttpResponse {
    fn from(response: RpcResponse) -> Self {
        Self {
            status: response.status,
            request_id: response.request_id,
            body: response.body.to_string(),
        }
    }
}
