//! The JSON parser compared with `serde_json`, and its limits.

use proptest::prelude::*;
use reflexarc_event::{Envelope, Event, EventError, Json, JsonError, JsonErrorKind, Limits, check};

/// The same document as `serde_json` has it, where the last member of a key counts.
fn as_serde(json: &Json) -> serde_json::Value {
    match json {
        Json::Null => serde_json::Value::Null,
        Json::Bool(value) => (*value).into(),
        Json::Number(text) => serde_json::from_str(text).unwrap(),
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => elements.iter().map(as_serde).collect(),
        Json::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), as_serde(value)))
            .collect(),
    }
}

fn trees() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i64>().prop_map(Json::from),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|text| Json::parse(text).unwrap()),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        number,
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(Json::from_iter),
        ]
    })
}

/// Text that is nearly JSON.
fn near_json() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\\",
        "\\u12",
        "1",
        "-",
        "0",
        "01",
        "1.5",
        "1.",
        ".5",
        "1e5",
        "1e",
        "-0",
        "+1",
        "true",
        "tru",
        "false",
        "null",
        "NaN",
        " ",
        "\n",
        "\t",
        "\u{b}",
        "é",
        "😀",
        "\u{0}",
        "\u{7f}",
        "//",
        "{\"a\":1}",
        "[1,2]",
        "\u{feff}",
    ]);
    prop::collection::vec(scrap, 0..10).prop_map(|scraps| scraps.concat())
}

proptest! {
    #[test]
    fn written_trees_are_parsed_again(tree in trees()) {
        prop_assert_eq!(&Json::parse(tree.to_string()).unwrap(), &tree);
        prop_assert_eq!(&Json::parse(serde_json::to_string_pretty(&tree).unwrap()).unwrap(), &tree);
    }

    #[test]
    fn valid_texts_are_parsed_as_by_serde_json(tree in trees()) {
        let text = tree.to_string();
        let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(as_serde(&Json::parse(&text).unwrap()), theirs);
    }

    #[test]
    fn texts_are_rejected_as_by_serde_json(text in near_json()) {
        let ours = Json::parse(&text);
        let theirs = serde_accepts(text.as_bytes());
        prop_assert!(theirs.is_none_or(|theirs| theirs == ours.is_ok()), "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn bytes_are_rejected_as_by_serde_json(
        bytes in prop::collection::vec(any::<u8>(), 0..12),
        quoted in any::<bool>(),
    ) {
        let bytes = if quoted { [b"\"", bytes.as_slice(), b"\""].concat() } else { bytes };
        let ours = Json::parse(&bytes);
        let agree = serde_accepts(&bytes).is_none_or(|theirs| theirs == ours.is_ok());
        prop_assert!(agree, "{:?}", ours);
    }

    #[test]
    fn error_offsets_are_the_first_invalid_byte(text in near_json()) {
        if let Err(error) = Json::parse(&text) {
            prop_assert!(error.offset <= text.len());
            let cut = Json::parse(&text.as_bytes()[..error.offset]);
            // Everything before the fault was well-formed as far as it went.
            let ends = cut.is_err_and(|cut| {
                matches!(cut.kind, JsonErrorKind::UnexpectedEnd | JsonErrorKind::Empty)
            });
            let trailing = error.kind == JsonErrorKind::TrailingText;
            prop_assert!(ends || trailing || in_a_token(error), "{:?}", error);
        }
    }
}

/// Errors whose offset is the start of an invalid token, not the byte that makes it invalid.
fn in_a_token(error: JsonError) -> bool {
    matches!(
        error.kind,
        JsonErrorKind::LoneSurrogate
            | JsonErrorKind::InvalidEscape
            | JsonErrorKind::ExpectedCommaOrEnd
    )
}

/// Whether `serde_json` takes the text, unless it stops at a number that does not fit a double,
/// which no text is faulted for here.
fn serde_accepts(bytes: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

#[test]
fn events_are_limited_to_a_mebibyte() {
    let fits = |length: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(length - 9));
    assert_eq!(fits(100).len(), 100);
    let limit = Limits::DEFAULT.bytes;
    assert_eq!(limit, 1_048_576);
    assert!(Event::from_json(fits(limit)).is_ok());
    assert_eq!(
        Event::from_json(fits(limit + 1)).unwrap_err(),
        EventError::TooLarge {
            bytes: limit + 1,
            limit
        }
    );
    let error = Event::from_json(fits(2 * limit)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the event has 2097152 bytes, more than the 1048576 allowed"
    );
    let drawn = error
        .diagnostic()
        .render("big.json", &fits(2 * limit), false);
    assert!(
        drawn.starts_with("error[RA0001]: ") && drawn.len() < 2_000,
        "{} bytes",
        drawn.len()
    );
    assert!(matches!(
        Event::from_form(fits(limit + 1).as_bytes()),
        Err(EventError::TooLarge { .. })
    ));
}

#[test]
fn events_are_limited_to_128_levels() {
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let arrays = |levels: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    assert!(Event::from_json(objects(128)).is_ok() && Event::from_json(arrays(128)).is_ok());
    for levels in [129, 200] {
        // The fault is the bracket that opens the level too many.
        for (text, offset) in [(objects(levels), 128 * 5), (arrays(levels), 5 + 127)] {
            let error = JsonError {
                kind: JsonErrorKind::TooDeep { limit: 128 },
                offset,
            };
            assert_eq!(Event::from_json(text).unwrap_err(), EventError::Json(error));
        }
    }
    // A document that is nothing but brackets does not exhaust the stack.
    assert!(Event::from_json("[".repeat(1_000_000)).is_err());
    assert!(Event::from_json("{\"a\":".repeat(200_000)).is_err());
}

#[test]
fn findings_are_limited() {
    let many = format!("{{{}\"a\":0}}", "\"a\":0,".repeat(50_000));
    let found = check(&Event::from_json(many).unwrap());
    assert_eq!(found.len(), Limits::DEFAULT.findings + 1);
    assert_eq!(found.last().unwrap().message, "more findings are not shown");
    let prefixes = "\"10.0.0.1/8\",".repeat(20_000);
    let many = format!(
        r#"{{"product":"ECS","name":"NetworkInterface:PrivateIPAssigned",
            "content":{{"ipv4Prefixes":[{prefixes}""]}}}}"#
    );
    let found = check(&Event::from_json(many).unwrap());
    assert_eq!(found.len(), Limits::DEFAULT.findings + 1);
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].span.start <= pair[1].span.start)
    );
}

#[test]
fn events_of_many_members_are_converted_quickly() {
    // Thirty thousand keys: anything quadratic would take minutes.
    let members = |count| {
        (0..count)
            .map(|i| format!("\"k{i}\":0,"))
            .collect::<Vec<_>>()
            .concat()
    };
    let (members, fewer) = (members(30_000), members(20_000));
    let prefixes = "\"10.0.0.0/28\",".repeat(20_000);
    let shapes = [
        format!(r#"{{{members}"product":"ECS","name":"a:b","content":"{{}}"}}"#),
        format!(r#"{{{members}"specversion":"1.0","type":"t","source":"s"}}"#),
        format!(r#"{{{members}"alert":{{"eventContentMap":{{"a":1}},"eventRawContent":"{{}}"}}}}"#),
        format!(r#"{{"alert":{{"eventContentMap":{{{members}"a":1}},"eventRawContent":"{{}}"}}}}"#),
        format!(
            r#"{{"product":"ECS","name":"NetworkInterface:PrivateIPAssigned",
                "content":{{"ipv4Prefixes":[{prefixes}""],{fewer}"a":1}}}}"#
        ),
    ];
    for text in shapes {
        let event = Event::from_json(text).unwrap();
        let native = crate::envelopes::native(&event);
        let again = crate::envelopes::native(&native.to_cloudevent());
        assert_eq!(
            crate::envelopes::members(&again),
            crate::envelopes::members(&native)
        );
        check(&event);
    }
}

#[test]
fn native_events_are_not_copied() {
    let event = &crate::envelopes::examples()[0];
    assert_eq!(event.envelope(), Envelope::Native);
    assert!(std::ptr::eq(
        event.bytes(),
        crate::envelopes::native(event).bytes()
    ));
}

#[test]
fn escaped_keys_are_decoded() {
    let event = Event::from_json(r#"{"\u006eame": "A:B", "\u0063ontent": {}}"#).unwrap();
    assert_eq!(event.envelope(), Envelope::Native);
    assert_eq!(event.tree().get("name").and_then(Json::as_str), Some("A:B"));
}

#[test]
fn digits_and_duplicate_keys_are_kept() {
    let text = r#"{"a":1.50,"a":-0,"b":[1e400,123456789012345678901234567890]}"#;
    assert_eq!(Json::parse(text).unwrap().to_string(), text);
    assert_eq!(
        serde_json::to_string(&Json::parse(text).unwrap()).unwrap(),
        text
    );
    assert_eq!(
        Json::parse(text).unwrap().get("a").unwrap().to_string(),
        "-0"
    );
}
