//! Documents that contain events: what is taken out of them, and what stays as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use reflexarc_event::{Document, Envelope, Event, EventError, Json, Limits, NativeEvent};

const DISK: &str = r#"{"id":"1","product":"ECS","name":"Disk:Stalled:Executing","content":{}}"#;

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// The text of each event, or its error.
fn events(document: &str) -> Vec<String> {
    let events = Document::read(document).unwrap().into_events();
    let text = |event: Event| String::from_utf8(event.bytes().to_vec()).unwrap();
    events
        .into_iter()
        .map(|event| event.map_or_else(|error| error.to_string(), text))
        .collect()
}

/// Every notification and message that can have `message` as its text.
fn wrappers(message: &str) -> Vec<String> {
    let text = quoted(message);
    let base64 = quoted(&STANDARD.encode(message));
    vec![
        format!(
            r#"{{"TopicOwner":"1","TopicName":"ecs","Subscriber":"1","SubscriptionName":"s",
                "MessageId":"A","MessageMD5":"B","Message":{text},"PublishTime":"1449556920975"}}"#
        ),
        format!(r#"{{"TopicName":"ecs","MessageMD5":"B","Message":{base64}}}"#),
        format!(r#"{{"MessageId":"A","MessageBody":{text},"ReceiptHandle":"1"}}"#),
        format!(r#"{{"MessageId":"A","MessageBody":{base64}}}"#),
        format!(r#"{{"Messages":[{{"MessageId":"A","Body":{text}}}]}}"#),
        format!(
            r#"{{"Type":"Notification","MessageId":"A","TopicArn":"arn:aws:sns:x",
                "Message":{text}}}"#
        ),
        format!(r#"{{"Records":[{{"messageId":"A","body":{text},"eventSource":"aws:sqs"}}]}}"#),
        format!(
            r#"{{"Records":[{{"EventSource":"aws:sns",
                "Sns":{{"TopicArn":"t","Message":{text}}}}}]}}"#
        ),
        format!(r#"{{"statusCode":200,"headers":{{}},"body":{{"Records":[{message}]}}}}"#),
    ]
}

#[test]
fn notifications_and_messages_give_their_event() {
    for document in wrappers(DISK) {
        assert_eq!(events(&document), [DISK], "{document}");
        let identity = |text: &str| NativeEvent::from_json(text).unwrap().identity();
        assert_eq!(identity(&document), identity(DISK), "{document}");
    }
}

#[test]
fn wrapped_events_keep_their_own_envelope() {
    for (text, envelope) in [
        (
            r#"{"specversion":"1.0","id":"1","source":"acs.ecs","type":"ecs:Disk:Stalled"}"#,
            Envelope::CloudEvent,
        ),
        (
            r#"{"detail-type":"x","source":"aws.ec2","detail":{}}"#,
            Envelope::Aws,
        ),
        (
            r#"{"alert":{"eventName":"Disk:Stalled"}}"#,
            Envelope::CloudMonitor,
        ),
    ] {
        for document in wrappers(text) {
            let event = Document::read(document)
                .unwrap()
                .into_events()
                .remove(0)
                .unwrap();
            assert_eq!(event.envelope(), envelope, "{text}");
        }
    }
}

#[test]
fn documents_can_be_nested() {
    for outer in wrappers(DISK) {
        for document in wrappers(&outer) {
            assert_eq!(events(&document), [DISK], "{document}");
        }
    }
    let both = format!("[{DISK},{DISK}]");
    assert_eq!(events(&wrappers(&both)[0]), [DISK, DISK]);
}

#[test]
fn lists_of_apis_give_their_elements() {
    let (one, two) = (
        r#"{"eventID":"1","eventName":"RunInstances"}"#,
        r#"{"eventID":"2"}"#,
    );
    for document in [
        format!(r#"{{"Records":[{one},{two}]}}"#),
        format!(r#"{{"RequestId":"R","NextToken":"N","Events":[{one},{two}]}}"#),
        format!(r#"{{"Events":[{one},{two}],"StartTime":"2026-01-02T00:00:00Z"}}"#),
        format!(r#"{{"RequestId":"R","SystemEvents":{{"SystemEvent":[{one},{two}]}}}}"#),
        format!(r#"{{"Code":"200","SystemEvents":[{one},{two}]}}"#),
        format!(
            r#"{{"InstanceSystemEventSet":{{"InstanceSystemEventType":[{one},{two}]}},
                "PageSize":2}}"#
        ),
        format!(
            r#"{{"headers":{{}},"statusCode":200,
                "body":{{"Events":[{one},{two}],"RequestId":""}}}}"#
        ),
        format!(
            r#"{{"Events":[{{"EventId":"1","CloudTrailEvent":{}}},
                {{"EventId":"2","CloudTrailEvent":{}}}]}}"#,
            quoted(one),
            quoted(two)
        ),
    ] {
        assert_eq!(events(&document), [one, two], "{document}");
    }
    assert_eq!(events(r#"{"Records":[]}"#), Vec::<String>::new());
}

#[test]
fn documents_without_events_say_what_to_do() {
    let confirmation = r#"{"Type":"SubscriptionConfirmation","TopicArn":"arn:aws:sns:x:1:t",
        "Message":"You have chosen to subscribe","SubscribeURL":"https://sns.x.amazonaws.com/?a"}"#;
    let record = r#"{"InstanceId":"i-1","EventId":"e-1","EventType":{"Code":34,
        "Name":"SystemMaintenance.Reboot"},"EventCycleStatus":{"Code":24,"Name":"Executed"}}"#;
    let history = format!(
        r#"{{"RequestId":"R","InstanceSystemEventSet":{{"InstanceSystemEventType":[{record}]}}}}"#
    );
    for (document, part) in [
        (confirmation, "open https://sns.x.amazonaws.com/?a"),
        (record, "DescribeSystemEventAttribute"),
        (&history, "DescribeSystemEventAttribute"),
    ] {
        let events = Document::read(document).unwrap().into_events();
        assert_eq!(events.len(), 1, "{document}");
        let error = events[0].as_ref().unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.diagnostic().code.to_string(), "RA0029");
    }
    // The others of a list are read.
    let mixed = format!(r#"{{"InstanceSystemEventSet":[{record},{{"name":"a"}}]}}"#);
    let events = Document::read(mixed).unwrap().into_events();
    assert_eq!(events.iter().filter(|event| event.is_ok()).count(), 1);
}

#[test]
fn other_events_stay_as_they_are() {
    for text in [
        r#"{"Message":"{\"a\":1}"}"#,
        r#"{"TopicName":"t","Message":"plain text"}"#,
        r#"{"TopicName":"t","Message":{"a":1}}"#,
        r#"{"TopicName":"t","Message":"bm8ganNvbg=="}"#,
        r#"{"Type":"SubscriptionConfirmation","TopicArn":"t","Message":"You have chosen"}"#,
        r#"{"Records":[1,2]}"#,
        r#"{"Records":[{"a":1}],"source":"mine"}"#,
        r#"{"Events":[{"a":1}],"source":"mine"}"#,
        r#"{"body":"{\"a\":1}"}"#,
        r#"{"body":{"Records":[{}]}}"#,
        r#"{"SystemEvents":5}"#,
        r#"{"name":"A:B","content":{},"TopicName":"t","Message":"{}"}"#,
    ] {
        assert_eq!(events(text), [text]);
        assert_eq!(
            NativeEvent::from_json(text).unwrap().bytes(),
            text.as_bytes()
        );
    }
}

#[test]
fn invalid_elements_are_errors_of_their_own() {
    let document = wrappers(r#"[{"a":1},{"b":5},7,{"c":}]"#).remove(0);
    assert_eq!(
        events(&document),
        ["event 1 of the document: expected a JSON value (byte 24)"],
        "the text as a whole is not JSON"
    );
    let document = wrappers(r#"[{"a":1},7,{"c":3}]"#).remove(0);
    let found = events(&document);
    assert_eq!(
        found,
        [
            r#"{"a":1}"#,
            "event 2 of the document: expected a JSON object, found a number",
            r#"{"c":3}"#
        ]
    );
    let errors = events_of(&document);
    let diagnostic = errors[1].as_ref().unwrap_err().diagnostic();
    assert_eq!(diagnostic.code.to_string(), "RA0005");
    assert!(diagnostic.help.is_some());
}

#[test]
fn one_event_is_expected_where_one_is_converted() {
    let count = |text: &str| match NativeEvent::from_json(text) {
        Err(EventError::SeveralEvents { count }) => count,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(r#"{"Records":[]}"#), 0);
    assert_eq!(count(r#"{"Records":[{"a":1},{"a":2}]}"#), 2);
    let one = NativeEvent::from_json(format!(r#"{{"Records":[{DISK}]}}"#)).unwrap();
    assert_eq!(one.bytes(), DISK.as_bytes());
}

#[test]
fn documents_are_bounded() {
    let limits = Limits {
        bytes: 100,
        document_bytes: 400,
        contained: 5,
        ..Limits::DEFAULT
    };
    let read = |count: usize| {
        let records = vec![r#"{"a":"0123456789"}"#; count].join(",");
        Document::read_within(format!(r#"{{"Records":[{records}]}}"#), &limits)
            .map(Document::into_events)
    };
    assert_eq!(
        read(5)
            .unwrap()
            .iter()
            .filter(|event| event.is_ok())
            .count(),
        5
    );
    // Longer than an event, which only a list may be.
    let full = read(9).unwrap();
    assert_eq!(full.len(), 6, "five events and one error");
    assert_eq!(
        full[5].clone().unwrap_err(),
        EventError::TooManyEvents { limit: 5 }
    );
    assert!(matches!(
        read(40),
        Err(EventError::TooLarge { limit: 100, .. })
    ));
    let long = Document::read_within(format!(r#"{{"a":"{}"}}"#, "x".repeat(200)), &limits);
    assert!(matches!(long, Err(EventError::TooLarge { limit: 100, .. })));
    let long_element = format!(r#"{{"Records":[{{"a":"{}"}}]}}"#, "x".repeat(200));
    let events = Document::read_within(long_element, &limits)
        .unwrap()
        .into_events();
    assert!(matches!(
        &events[0],
        Err(EventError::Contained { number: 1, .. })
    ));
    let nested = |lists: usize| {
        let mut text = DISK.to_owned();
        for _ in 0..lists {
            text = format!(r#"{{"Records":[{text}]}}"#);
        }
        events_of(&text)
    };
    let limit = Limits::DEFAULT.nesting;
    assert!(matches!(&nested(limit)[..], [Ok(_)]));
    let too_nested = nested(limit + 1);
    assert!(
        matches!(&too_nested[..], [Err(EventError::TooNested { limit: 8 })]),
        "{too_nested:?}"
    );
}

fn events_of(document: &str) -> Vec<Result<Event, EventError>> {
    Document::read(document).unwrap().into_events()
}

#[test]
fn records_of_the_history_are_native_events() {
    let record = r#"{"Content":"{\"diskId\":\"d-1\"}","GroupId":"0","Id":"7E","InstanceName":"web",
        "Level":"CRITICAL","Name":"Disk:Stalled","Product":"ECS","RegionId":"cn-hangzhou",
        "ResourceId":"acs:ecs:cn-hangzhou:1:disk/d-1","Status":"Executing","Time":1507171295000,
        "Extra":1}"#;
    let document = format!(r#"{{"Success":true,"SystemEvents":{{"SystemEvent":[{record}]}}}}"#);
    let event = events_of(&document).remove(0).unwrap();
    assert_eq!(event.envelope().as_str(), "Cloud Monitor history");
    let native = NativeEvent::new(event.clone()).unwrap();
    let expected = r#"{"id":"7E","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:disk/d-1",
        "level":"CRITICAL","name":"Disk:Stalled:Executing",
        "eventTime":"20171005T104135.000+0800","regionId":"cn-hangzhou",
        "content":{"diskId":"d-1"},"status":"Executing","groupId":"0","instanceName":"web",
        "Extra":1}"#;
    assert_eq!(native.tree(), &Json::parse(expected).unwrap());
    crate::envelopes::round_trip(&event);
    let pushed = NativeEvent::from_json(
        r#"{"id":"7E","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:disk/d-1",
            "name":"Disk:Stalled","status":"Executing","content":{},"ruleName":"r",
            "eventTime":"20171005T104135.000+0800"}"#,
    );
    assert_eq!(
        native.identity(),
        pushed.unwrap().identity(),
        "as Cloud Monitor pushes it"
    );
}

#[test]
fn audit_records_have_an_identity() {
    for (record, id) in [
        (
            r#"{"eventID":"a","eventSource":"ec2.amazonaws.com","eventName":"RunInstances",
                "eventTime":"2026-01-02T03:04:05Z"}"#,
            "a",
        ),
        (
            r#"{"eventId":"b","eventSource":"ecs-cn-hangzhou.aliyuncs.com",
                "eventName":"RunInstances","eventTime":"2026-01-02T03:04:05Z"}"#,
            "b",
        ),
    ] {
        let identity = NativeEvent::from_json(record).unwrap().identity().unwrap();
        assert_eq!(
            (identity.id.as_str(), identity.name.as_str()),
            (id, "RunInstances")
        );
        assert_eq!(identity.time, "2026-01-02T03:04:05Z");
        assert!(identity.source.starts_with("ec"), "{}", identity.source);
    }
    let other = NativeEvent::from_json(r#"{"eventId":"b"}"#).unwrap();
    assert_eq!(other.identity(), None);
}

#[test]
fn forms_are_read_wherever_documents_are() {
    let form = "alert=%7B%22eventName%22%3A%22Disk%3AStalled%22%7D&time=1715650212345&userId=7";
    let expected = r#"{"alert":{"eventName":"Disk:Stalled"},"time":1715650212345,"userId":"7"}"#;
    assert_eq!(events(form), [expected]);
    assert_eq!(events(&format!("\n{form}")), [expected]);
    assert_eq!(events("%7B%22a%22%3A+1%7D"), [r#"{"a": 1}"#]);
    assert_eq!(
        events("token=x&data=%7B%22id%22%3A%229%22%7D"),
        [r#"{"id":"9"}"#]
    );
    for other in ["a=1&b=2", "=1", "alert", "a b=alert=1"] {
        assert!(Document::read(other).is_err(), "{other}");
    }
}

#[test]
fn captured_parameters_of_forms_are_webhooks() {
    let alert = quoted(r#"{"eventName":"Disk:Stalled","eventContentMap":{"diskId":"d-1"}}"#);
    let native = |text: String| NativeEvent::from_json(text).unwrap().tree().to_string();
    let json = native(
        r#"{"alert":{"eventName":"Disk:Stalled","eventContentMap":{"diskId":"d-1"}},
            "userInfo":{"a":1},"time":1715650212345,"strategyName":"s"}"#
            .to_owned(),
    );
    let rest = r#""userInfo":"{\"a\":1}","time":"1715650212345","strategyName":"s""#;
    assert_eq!(native(format!(r#"{{"alert":{alert},{rest}}}"#)), json);
    let lists = r#""userInfo":["{\"a\":1}"],"time":["1715650212345"],"strategyName":["s"]"#;
    assert_eq!(native(format!(r#"{{"alert":[{alert}],{lists}}}"#)), json);
    for other in [
        r#"{"alert":"{broken","time":"1"}"#,
        r#"{"alert":"text"}"#,
        r#"{"alert":[]}"#,
    ] {
        assert_eq!(native(other.to_owned()), other);
    }
}

proptest! {
    /// What is put into documents comes out of them, in order and unchanged.
    #[test]
    fn every_wrapped_event_comes_out(
        values in prop::collection::vec("[a-zé\"\\\\ {}]{0,6}", 1..5),
        way in 0..9usize,
    ) {
        let texts: Vec<String> =
            values.iter().map(|value| format!(r#"{{"x":{}}}"#, quoted(value))).collect();
        let message = format!(r#"{{"Records":[{}]}}"#, texts.join(","));
        prop_assert_eq!(events(&wrappers(&message)[way]), texts);
    }
}
