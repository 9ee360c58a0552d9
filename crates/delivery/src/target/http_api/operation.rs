//! Operations as templates: `GET /enis/{id}`, and what its parameters make of it.

use percent_encoding::percent_decode_str;
use reflexarc_event::Json;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::http::percent_encode;

/// The methods that an operation may have.
pub(super) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A request as an operation and its parameters describe it.
pub(super) struct OperationRequest {
    pub(super) method: Method,
    /// The path below the base URL, encoded.
    pub(super) path: String,
    /// The query, encoded, without that of the base URL; empty for none.
    pub(super) query: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Json>,
}

/// An operation that was read.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

/// Headers that are not a parameter's: they say where a request goes, who sends it, and where it
/// ends.
const RESERVED_HEADERS: [&str; 11] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Whether an operation changes nothing, by its method.
pub(super) fn is_read(operation: &str) -> bool {
    operation.starts_with("GET ") || operation.starts_with("HEAD ")
}

/// Whether a text is an operation: a method and a path.
pub(super) fn check_operation(text: &str) -> Result<(), String> {
    read(text).map(drop)
}

impl OperationRequest {
    /// The request of an operation with these parameters.
    ///
    /// A name in `{}` is replaced in path or query. `query` and `headers` are maps for the query
    /// and the headers, `body` is the body. All others become the query of GET, HEAD and DELETE,
    /// and the members of the body otherwise:
    ///
    /// ```text
    /// "GET /enis/{id}"   { id: "eni-1", full: true }           GET /enis/eni-1?full=true
    /// "PUT /enis/{id}"   { id: "eni-1", name: "a" }            PUT /enis/eni-1  {"name":"a"}
    /// "POST /search"     { query: { page: 2 }, body: ["a"] }   POST /search?page=2  ["a"]
    /// ```
    ///
    /// An error for what the request cannot have, and for what has no value.
    pub(super) fn build(operation: &str, parameters: &Json) -> Result<Self, String> {
        let Json::Object(members) = parameters else {
            let found = parameters.kind();
            return Err(format!("expected an object of parameters, found {found}"));
        };
        let read = read(operation)?;
        let mut placeholders = Vec::new();
        let path = fill(read.path, members, &mut placeholders)?;
        check_segments(&path)?;
        let mut query = Vec::new();
        if let Some(template) = read.query {
            query.push(fill(template, members, &mut placeholders)?);
        }
        let (mut headers, mut body, mut others) = (Vec::new(), None, Vec::new());
        for (name, value) in members {
            match name.as_str() {
                name if placeholders.contains(&name) => {}
                "query" => {
                    for (key, value) in map("query", value)? {
                        add_query(key, value, &mut query)?;
                    }
                }
                "headers" => {
                    for (key, value) in map("headers", value)? {
                        headers.push(header(key, value)?);
                    }
                }
                "body" => body = Some(value.clone()),
                _ => others.push((name, value)),
            }
        }
        if matches!(read.method, "GET" | "HEAD" | "DELETE") {
            for (name, value) in others {
                add_query(name, value, &mut query)?;
            }
        } else if body.is_some() && !others.is_empty() {
            let name = others[0].0;
            return Err(format!(
                "the parameter `{name}` has no place beside `body`; put it into `body` or `query`"
            ));
        } else if !others.is_empty() {
            let members = others.into_iter();
            body = Some(Json::object(
                members.map(|(name, value)| (name.as_str(), value.clone())),
            ));
        }
        if body.is_some() && matches!(read.method, "GET" | "HEAD") {
            return Err(format!("a {} request has no body", read.method));
        }
        Ok(Self {
            method: method(read.method)?,
            path,
            query: query.join("&"),
            headers,
            body,
        })
    }

    /// The address below a base URL, whose path and query are kept.
    pub(super) fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        url.set_path(&format!(
            "{}{}",
            base.path().trim_end_matches('/'),
            self.path
        ));
        let queries = [base.query().unwrap_or_default(), &self.query];
        let queries: Vec<&str> = queries
            .into_iter()
            .filter(|query| !query.is_empty())
            .collect();
        let query = queries.join("&");
        url.set_query((!query.is_empty()).then_some(&query));
        url
    }
}

fn read(text: &str) -> Result<Operation<'_>, String> {
    let fault = || {
        format!(
            "invalid operation `{text}`: expected a method and a path, such as `GET /enis/{{id}}`"
        )
    };
    let (method, rest) = text.split_once(' ').ok_or_else(fault)?;
    let is_path = rest.starts_with('/') && !rest.contains(['#', ' ', '\\']);
    if !METHODS.contains(&method) || !is_path {
        return Err(fault());
    }
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Ok(Operation {
        method,
        path,
        query,
    })
}

fn method(name: &str) -> Result<Method, String> {
    Method::from_bytes(name.as_bytes()).map_err(|_| format!("invalid method `{name}`"))
}

/// The template with its placeholders replaced, percent-encoded: a value stays in its place, and
/// `a/b?c` in `/enis/{id}` is `/enis/a%2Fb%3Fc`.
fn fill<'a>(
    template: &'a str,
    parameters: &[(String, Json)],
    placeholders: &mut Vec<&'a str>,
) -> Result<String, String> {
    // Only the template is searched for braces: a value with braces stays text.
    let mut filled = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else {
            return Err(format!(
                "missing `}}` in the operation after `{}`",
                &rest[..start]
            ));
        };
        let name = &rest[start + 1..start + length];
        let value = parameters.iter().find(|(key, _)| key == name);
        let Some((_, value)) = value else {
            return Err(format!("missing parameter `{name}`"));
        };
        let text = scalar(name, value)?;
        // `DELETE /enis/` may be another operation than `DELETE /enis/{id}`.
        if text.is_empty() {
            return Err(format!("the parameter `{name}` is empty"));
        }
        filled.push_str(&rest[..start]);
        filled.push_str(&percent_encode(&text));
        placeholders.push(name);
        rest = &rest[start + length + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// URLs have no segments `.` and `..`: `/enis/../users` would be `/users`, however it is encoded.
fn check_segments(path: &str) -> Result<(), String> {
    for segment in path.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if matches!(decoded.as_ref(), "." | "..") {
            return Err(format!("the path {path} has the segment `{decoded}`"));
        }
    }
    Ok(())
}

fn scalar(name: &str, value: &Json) -> Result<String, String> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Number(digits) => Ok(digits.to_string()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Null => Err(format!("the parameter `{name}` has no value")),
        other => Err(format!(
            "the parameter `{name}`: expected a string or number, found {}",
            other.kind()
        )),
    }
}

fn map<'a>(name: &str, value: &'a Json) -> Result<&'a [(String, Json)], String> {
    match value {
        Json::Object(members) => Ok(members),
        other => Err(format!(
            "the parameter `{name}`: expected a map, found {}; \
             write query: #{{ {name}: … }} for a parameter of that name",
            other.kind()
        )),
    }
}

/// `a=1`, and `a=1&a=2` for an array.
fn add_query(name: &str, value: &Json, query: &mut Vec<String>) -> Result<(), String> {
    let values = match value {
        // Without its filter an operation would apply to everything.
        Json::Array(elements) if elements.is_empty() => {
            return Err(format!("the parameter `{name}` is an empty array"));
        }
        Json::Array(elements) => elements.as_slice(),
        one => std::slice::from_ref(one),
    };
    for value in values {
        let text = scalar(name, value)?;
        query.push(format!(
            "{}={}",
            percent_encode(name),
            percent_encode(&text)
        ));
    }
    Ok(())
}

fn header(name: &str, value: &Json) -> Result<(HeaderName, HeaderValue), String> {
    let text = scalar(name, value)?;
    let (Ok(header), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) else {
        return Err(format!("invalid header `{name}`"));
    };
    if RESERVED_HEADERS.contains(&header.as_str()) {
        return Err(format!("the header `{name}` is set by the target"));
    }
    Ok((header, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(operation: &str, parameters: &str) -> Result<String, String> {
        let parameters = Json::parse(parameters).unwrap();
        let request = OperationRequest::build(operation, &parameters)?;
        let base = Url::parse("https://cmdb.example.com/api/?v=1").unwrap();
        let body = request.body.as_ref().map(|body| format!(" {body}"));
        let headers = request.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!(" {name}: {}", value.to_str().unwrap()))
            .collect();
        Ok(format!(
            "{} {}{}{}",
            request.method,
            request.url(&base),
            body.unwrap_or_default(),
            headers.concat()
        ))
    }

    #[test]
    fn parameters_go_into_path_query_body_and_headers() {
        for (operation, parameters, expected) in [
            (
                "GET /enis/{id}",
                r#"{"id": "eni-1", "full": true, "tag": ["a", 2]}"#,
                "GET https://cmdb.example.com/api/enis/eni-1?v=1&full=true&tag=a&tag=2",
            ),
            (
                "PUT /enis/{id}",
                r#"{"id": "eni-1", "name": "a", "ips": []}"#,
                r#"PUT https://cmdb.example.com/api/enis/eni-1?v=1 {"name":"a","ips":[]}"#,
            ),
            (
                "POST /search?kind={kind}",
                r#"{"kind": "a&b", "query": {"page": 2}, "body": ["a"], "headers": {"X-T": "n"}}"#,
                "POST https://cmdb.example.com/api/search?v=1&kind=a%26b&page=2 [\"a\"] x-t: n",
            ),
            (
                "DELETE /enis/{id}",
                r#"{"id": "../a/b?c#d 网", "body": null}"#,
                "DELETE https://cmdb.example.com/api/enis/..%2Fa%2Fb%3Fc%23d%20%E7%BD%91?v=1 null",
            ),
            (
                "POST /enis/{id}/detach",
                r#"{"id": 7}"#,
                "POST https://cmdb.example.com/api/enis/7/detach?v=1",
            ),
        ] {
            assert_eq!(built(operation, parameters).unwrap(), expected);
        }
    }

    #[test]
    fn requests_that_cannot_be_built_are_errors() {
        for (operation, parameters, message) in [
            ("GET /enis/{id}", "{}", "missing parameter `id`"),
            (
                "GET /enis/{id}",
                r#"{"id": ""}"#,
                "the parameter `id` is empty",
            ),
            (
                "GET /enis/{id}",
                r#"{"id": null}"#,
                "the parameter `id` has no value",
            ),
            (
                "GET /a/{id}",
                r#"{"id": ".."}"#,
                "the path /a/.. has the segment `..`",
            ),
            (
                "GET /{a}{b}",
                r#"{"a": ".", "b": "."}"#,
                "the path /.. has the segment `..`",
            ),
            (
                "GET /a/%2e%2e/b",
                "{}",
                "the path /a/%2e%2e/b has the segment `..`",
            ),
            ("GET /a", r#"{"body": 1}"#, "a GET request has no body"),
            (
                "GET /a",
                r#"{"x": {"y": 1}}"#,
                "the parameter `x`: expected a string or number, found an object",
            ),
            (
                "GET /a",
                r#"{"x": []}"#,
                "the parameter `x` is an empty array",
            ),
            (
                "POST /a",
                r#"{"body": 1, "x": 1}"#,
                "the parameter `x` has no place beside `body`; put it into `body` or `query`",
            ),
            (
                "GET /a",
                r#"{"headers": {"Host": "b"}}"#,
                "the header `Host` is set by the target",
            ),
            (
                "GET /a",
                r#"{"headers": {"X": "a\r\nb: c"}}"#,
                "invalid header `X`",
            ),
            ("GET /{a", "{}", "missing `}` in the operation after `/`"),
        ] {
            assert_eq!(built(operation, parameters).unwrap_err(), message);
        }
        for operation in [
            "",
            "GET",
            "get /a",
            "GET a",
            "TRACE /a",
            "GET /a b",
            "GET //a#b",
        ] {
            let error = built(operation, "{}").unwrap_err();
            assert!(error.starts_with("invalid operation"), "{error}");
        }
    }
}
