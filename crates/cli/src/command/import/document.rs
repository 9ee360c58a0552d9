//! Documents of an API: responses as the service, its command line or its SDKs write them, and
//! requests.

use reflexarc_event::Json;

use crate::exit::Failure;

/// A request, or the body of a response.
#[derive(Debug)]
pub(super) struct Document {
    /// The name of its file.
    pub(super) file: String,
    /// What the service answers, without the HTTP response around it.
    pub(super) body: Json,
}

/// The documents of a file: one, or an array of them. A response of an SDK
/// (`{"headers": …, "statusCode": …, "body": …}`) is its body, which may be JSON in a string.
pub(super) fn documents(file: &str, json: Json) -> Result<Vec<Document>, Failure> {
    let mut found = Vec::new();
    collect(file, json, &mut found)?;
    Ok(found)
}

/// A member; `RuleName` is also found as `ruleName` and `rule_name`, which are the spellings of
/// programs that print what an SDK returned.
pub(super) fn find<'a>(json: &'a Json, key: &str) -> Option<&'a Json> {
    let other_spelling = || {
        let mut members = json.members().iter().rev();
        members.find(|(found, _)| same_name(found, key))
    };
    json.get(key)
        .or_else(|| other_spelling().map(|(_, value)| value))
}

/// A string member; empty if it is absent.
pub(super) fn string<'a>(json: &'a Json, key: &str) -> &'a str {
    find(json, key).and_then(Json::as_str).unwrap_or_default()
}

/// The member at a path of keys; null if it is absent.
pub(super) fn member<'a>(json: &'a Json, path: &[&str]) -> &'a Json {
    path.iter()
        .fold(json, |json, key| find(json, key).unwrap_or(&Json::Null))
}

/// The strings in an array.
pub(super) fn strings(array: &Json) -> impl Iterator<Item = &str> {
    array.elements().iter().filter_map(Json::as_str)
}

fn collect(file: &str, json: Json, found: &mut Vec<Document>) -> Result<(), Failure> {
    let json = match json {
        Json::Array(elements) => {
            for element in elements {
                collect(file, element, found)?;
            }
            return Ok(());
        }
        // A response body that was written as a string of JSON.
        Json::String(text) => {
            let inner = Json::parse(&text).map_err(|error| {
                Failure::Invalid(format!("{file}: the text is not JSON: {error}"))
            })?;
            return collect(file, inner, found);
        }
        json => json,
    };
    if let (Some(status), Some(body)) = (find(&json, "statusCode"), find(&json, "body")) {
        let is_error = status.as_i64().is_some_and(|status| status >= 400);
        if is_error && !matches!(body, Json::Object(_) | Json::String(_)) {
            let message = format!("{file}: the service answered with HTTP status {status}");
            return Err(Failure::Invalid(message));
        }
        let body = body.clone();
        return collect(file, body, found);
    }
    if let Some(error) = service_error(&json) {
        return Err(Failure::Invalid(format!("{file}: {error}")));
    }
    found.push(Document {
        file: file.to_owned(),
        body: json,
    });
    Ok(())
}

/// The error that a response reports.
fn service_error(body: &Json) -> Option<String> {
    // AWS: `{"Error": {"Code": …}}` or `{"__type": …, "message": …}`.
    let error = find(body, "Error").filter(|error| !error.members().is_empty());
    let scope = error.unwrap_or(body);
    let code = match find(scope, "Code").or_else(|| scope.get("__type"))? {
        Json::String(code) => code.clone(),
        code @ Json::Number(_) => code.to_string(),
        _ => return None,
    };
    let failed = find(body, "Success").is_some_and(|success| *success == Json::Bool(false));
    let succeeded = matches!(
        code.to_ascii_lowercase().as_str(),
        "" | "success" | "ok" | "200"
    );
    if succeeded && !failed {
        return None;
    }
    let mut text = format!("the service answered with the error `{code}`");
    for (before, key, after) in [(": ", "Message", ""), (" (request ", "RequestId", ")")] {
        let value = match string(scope, key) {
            "" => string(body, key),
            value => value,
        };
        if !value.is_empty() {
            text += &format!("{before}{value}{after}");
        }
    }
    Some(text)
}

fn same_name(found: &str, wanted: &str) -> bool {
    let letters = |text: &str| {
        text.bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<u8>>()
    };
    letters(found) == letters(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let found = documents("a.json", Json::parse(text).unwrap());
        let bodies = |found: Vec<Document>| found.iter().map(|one| one.body.to_string()).collect();
        found.map(bodies).map_err(|error| error.to_string())
    }

    #[test]
    fn responses_of_sdks_are_unwrapped() {
        let body = r#"{"Code":"Success","Data":{}}"#;
        let quoted = Json::from(body).to_string();
        for text in [
            body.to_owned(),
            format!("[{body}]"),
            format!(r#"{{"headers": {{"a": "b"}}, "statusCode": 200, "body": {body}}}"#),
            format!(r#"{{"headers": {{}}, "status_code": 200, "body": {quoted}}}"#),
            Json::from(quoted.as_str()).to_string(),
        ] {
            assert_eq!(read(&text), Ok(vec![body.to_owned()]), "{text}");
        }
        assert_eq!(read("[{}, [{}]]").unwrap().len(), 2);
    }

    #[test]
    fn errors_of_the_service_are_reported_with_their_code() {
        for (text, message) in [
            (
                r#"{"Code": "EventBusNotExist", "Message": "no bus", "RequestId": "R", "Success": false}"#,
                "`EventBusNotExist`: no bus (request R)",
            ),
            (
                r#"{"statusCode": 403, "body": {"Code": "Forbidden.RAM", "Message": "denied"}}"#,
                "`Forbidden.RAM`: denied",
            ),
            (r#"{"Code": 500, "Message": "internal"}"#, "`500`: internal"),
            (
                r#"{"Error": {"Code": "AccessDeniedException", "Message": "denied"}}"#,
                "`AccessDeniedException`: denied",
            ),
            (
                r#"{"__type": "ResourceNotFoundException", "message": "Rule a does not exist"}"#,
                "`ResourceNotFoundException`: Rule a does not exist",
            ),
        ] {
            let expected = format!("a.json: the service answered with the error {message}");
            assert_eq!(read(text), Err(expected), "{text}");
        }
        let status = read(r#"{"statusCode": 502, "body": null}"#);
        let expected = "a.json: the service answered with HTTP status 502";
        assert_eq!(status, Err(expected.to_owned()));
    }

    #[test]
    fn members_are_found_in_every_spelling() {
        for text in [
            r#"{"RuleName": "a"}"#,
            r#"{"ruleName": "a"}"#,
            r#"{"rule_name": "a"}"#,
        ] {
            assert_eq!(string(&Json::parse(text).unwrap(), "RuleName"), "a");
        }
        let json = Json::parse(r#"{"RuleName": "a", "rulename": "b"}"#).unwrap();
        assert_eq!(string(&json, "RuleName"), "a");
    }
}
