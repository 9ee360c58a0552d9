use axum::http::HeaderValue;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &'static str)| {
        (
            name.parse::<axum::http::HeaderName>().unwrap(),
            HeaderValue::from_static(value),
        )
    };
    pairs.iter().map(header).collect()
}

/// An event's id, or index, line and code of its error.
type Element = Result<String, (usize, Option<usize>, String)>;

fn read(content_type: &'static str, body: &str) -> Vec<Element> {
    let headers = headers(&[("content-type", content_type)]);
    let elements = read_body(&headers, body.as_bytes(), 4).unwrap();
    let parts = |error: ElementError| (error.element, error.line, error.code.to_string());
    elements
        .into_iter()
        .map(|element| element.map(|incoming| incoming.name.id).map_err(parts))
        .collect()
}

#[test]
fn each_content_type_gives_its_events() {
    let cloudevent = r#"{"specversion":"1.0","id":"c","source":"acs.ecs",
        "type":"ecs:Disk:Stalled","data":{}}"#;
    assert_eq!(read("application/json", r#"{"id":"1"}"#), [Ok("1".into())]);
    assert_eq!(
        read("", r#" [{"id":"1"}, {"id":"2"}]"#),
        [Ok("1".into()), Ok("2".into())]
    );
    assert_eq!(
        read("application/cloudevents+json; charset=utf-8", cloudevent),
        [Ok("c".into())]
    );
    assert_eq!(
        read(
            "application/cloudevents-batch+json",
            &format!("[{cloudevent}]")
        ),
        [Ok("c".into())]
    );
    assert_eq!(read("application/cloudevents-batch+json", "[]"), []);
    assert_eq!(
        read("application/x-ndjson", "{\"id\":\"1\"}\r\n\n{\"id\":\"2\"}"),
        [Ok("1".into()), Ok("2".into())]
    );
    let form = "batchId=b&alert=%7B%22traceId%22%3A%22f%22%2C\
                %22eventName%22%3A%22Disk%3AStalled%22%2C\
                %22product%22%3A%22ECS%22%7D";
    assert_eq!(
        read("application/x-www-form-urlencoded", form),
        [Ok("f".into())]
    );
    assert_eq!(
        read_query("token=x&data=%7B%22id%22%3A%229%22%7D")[0]
            .as_ref()
            .unwrap()
            .name
            .id,
        "9"
    );
    assert!(read_query("token=x")[0].is_err());
}

#[test]
fn json_is_read_whatever_the_content_type_says() {
    let forms = ["", "text/plain", "application/x-www-form-urlencoded"];
    let others = [
        "application/octet-stream",
        "image/png",
        "text/xml; charset=utf-8",
    ];
    for content_type in forms.into_iter().chain(others).chain(["application/json"]) {
        assert_eq!(
            read(content_type, r#" {"id":"1"}"#),
            [Ok("1".into())],
            "{content_type}"
        );
        assert_eq!(
            read(content_type, r#"[{"id":"1"},{"id":"2"}]"#),
            [Ok("1".into()), Ok("2".into())],
            "{content_type}"
        );
        assert_eq!(
            read(content_type, "{\n  \"id\": \"1\"\n}\n"),
            [Ok("1".into())],
            "{content_type}"
        );
    }
    for content_type in forms.into_iter().chain(others) {
        assert_eq!(
            read(content_type, "{\"id\":\"1\"}\n{\"id\":\"2\"}"),
            [Ok("1".into()), Ok("2".into())],
            "{content_type}"
        );
        assert_eq!(
            read(content_type, r#"{"id":}"#),
            [Err((0, Some(1), "RA0002".into()))],
            "{content_type}"
        );
    }
    // A form where it is expected, and the event as the only name of a form.
    for content_type in forms {
        let form = "data=%7B%22id%22%3A%229%22%7D";
        assert_eq!(read(content_type, form), [Ok("9".into())], "{content_type}");
        let encoded = "%7B%22id%22%3A%229%22%7D";
        assert_eq!(
            read(content_type, encoded),
            [Ok("9".into())],
            "{content_type}"
        );
    }
}

#[test]
fn events_are_taken_out_of_documents() {
    let records = r#"{"Records":[{"id":"1"},{"id":"2"}]}"#;
    let both = [Ok("1".into()), Ok("2".into())];
    assert_eq!(read("application/json", records), both);
    assert_eq!(read("application/x-ndjson", records), both);
    assert_eq!(read("application/json", &format!("[{records}]")), both);
    let message = Json::from(r#"{"id":"3"}"#).to_string();
    let notification = format!(r#"{{"TopicName":"t","Message":{message}}}"#);
    assert_eq!(read("text/plain", &notification), [Ok("3".into())]);
    // Errors name the element of the request, also after elements that contain several.
    let lines = format!("{records}\n{{\"id\":7\n");
    assert_eq!(
        read("application/x-ndjson", &lines)[2],
        Err((1, Some(2), "RA0002".into()))
    );
    // The limit of four holds for the events, not for the elements.
    let many = format!("{records}\n{records}\n{records}\n");
    let headers = headers(&[("content-type", "application/x-ndjson")]);
    let refused = read_body(&headers, many.as_bytes(), 4).unwrap_err();
    assert_eq!(refused, BodyError::TooManyEvents(4));
}

#[test]
fn an_invalid_element_is_reported_with_its_position() {
    let found = read("application/json", r#"[{"id":"1"}, 7, {"id":"3"}]"#);
    assert_eq!(found[1], Err((1, None, "RA0005".into())));
    assert!(found[0].is_ok() && found[2].is_ok());
    let found = read("application/x-ndjson", "{\"id\":\"1\"}\n\n{\"id\":\n");
    assert_eq!(found[1], Err((1, Some(3), "RA0002".into())));
}

#[test]
fn unknown_types_and_invalid_batches_are_refused() {
    let refused = |content_type, body: &str| {
        read_body(
            &headers(&[("content-type", content_type)]),
            body.as_bytes(),
            2,
        )
        .unwrap_err()
        .to_string()
    };
    for content_type in ["image/png", "application/octet-stream", "text/csv"] {
        let message = refused(content_type, "x,y");
        let expected = format!("unknown content type {content_type}; expected JSON");
        assert!(message.starts_with(&expected), "{message}");
    }
    assert!(refused("application/json", "[1,").starts_with("the batch is not a JSON array: EOF"));
    assert_eq!(
        refused("application/json", "[{},{},{}]"),
        "more than 2 events in one request"
    );
    assert_eq!(
        refused("application/x-ndjson", "{}\n{}\n{}"),
        "more than 2 events in one request"
    );
}

#[test]
fn other_formats_are_named_whatever_the_type_says() {
    let xml = r#"<?xml version="1.0"?><Notification xmlns="http://mns.aliyuncs.com/doc/v1/">"#;
    let utf16: Vec<u8> = "{}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for kind in [
        "text/xml",
        "application/json",
        "",
        "text/plain; charset=utf-8",
    ] {
        let refused = |body: &[u8]| {
            let body = read_body(&headers(&[("content-type", kind)]), body, 2);
            body.unwrap_err().to_string()
        };
        assert!(
            refused(xml.as_bytes()).contains("`NotifyContentFormat`"),
            "{kind}"
        );
        assert!(refused(&utf16).contains("UTF-16"), "{kind}");
        assert!(refused(b"BZh91").contains("bzip2"), "{kind}");
    }
    for kind in ["", "application/json", "application/x-www-form-urlencoded"] {
        let headers = headers(&[("content-type", kind)]);
        let marked = "\u{feff}{\"id\":\"1\"}\n";
        let found = read_body(&headers, marked.as_bytes(), 2).unwrap();
        assert_eq!(found[0].as_ref().unwrap().name.id, "1", "{kind}");
        let found = read_body(&headers, b"null", 2)
            .unwrap()
            .remove(0)
            .unwrap_err();
        assert_eq!(
            found.message, "expected a JSON object, found null",
            "{kind}"
        );
        if kind != "application/json" {
            assert_eq!(
                read_body(&headers, b" \n", 2).unwrap_err(),
                BodyError::Empty
            );
        }
    }
    // A form of something else names what it has.
    let alarm = "userId=1&alertName=cpu&metricName=CPUUtilization";
    let form = Event::from_form(alarm.as_bytes()).unwrap_err().to_string();
    assert!(
        form.contains("`alertName`") && form.contains("metric"),
        "{form}"
    );
}

#[test]
fn binary_mode_is_converted_to_structured_mode() {
    let ce = [
        ("ce-specversion", "1.0"),
        ("ce-id", "b%20c"),
        ("ce-source", "/x"),
        ("ce-type", "t%"),
        ("ce-ext", "%e4%bd%a0"),
        ("ce-latin", "%e9%2"),
    ];
    let read = |content_type, body: &[u8]| {
        let mut pairs = ce.to_vec();
        pairs.push(("content-type", content_type));
        let mut elements = read_body(&headers(&pairs), body, 1).unwrap();
        elements
            .remove(0)
            .map(|incoming| incoming.native.original().tree().clone())
    };
    let json = read("application/json", br#"{"a":1.0}"#).unwrap();
    for (key, value) in [
        ("id", "\"b c\""),
        ("type", "\"t%\""),
        ("ext", "\"你\""),
        ("latin", "\"%e9%2\""),
        ("data", r#"{"a":1.0}"#),
    ] {
        assert_eq!(json.get(key).unwrap().to_string(), value);
    }
    assert_eq!(
        read("text/csv", b"1,2")
            .unwrap()
            .get("data")
            .unwrap()
            .as_str(),
        Some("1,2")
    );
    assert_eq!(
        read("image/png", b"\xff\x00")
            .unwrap()
            .get("data_base64")
            .unwrap()
            .as_str(),
        Some("/wA=")
    );
    assert!(read("application/json", b"{").is_err());
}

#[test]
fn values_of_an_event_are_bounded() {
    let read = |body: String| {
        read_body(&HeaderMap::new(), body.as_bytes(), 10)
            .unwrap()
            .remove(0)
    };
    let array = |count: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; count].join(","));
    assert!(read(array(MAX_VALUES)).is_ok());
    let refused = read(array(MAX_VALUES + 1)).unwrap_err();
    assert!(
        refused.message.contains("more than the 100000 values"),
        "{}",
        refused.message
    );
    // A table as text is one value.
    let text = format!(
        r#"{{"a":"{}\\","b":[1,2]}}"#,
        "1,\\\"".repeat(MAX_VALUES + 1)
    );
    assert!(read(text).is_ok());
}
