//! Fixes of findings about events: what an event becomes when they are applied.

use reflexarc_event::{Event, NativeEvent, check};

/// As often as a person would check again.
const ROUNDS: usize = 16;

/// The event after the first fix, then the first of what remains, and so on.
fn fixed(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let event =
            Event::from_json(text.as_str()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Some(fix) = check(&event).into_iter().find_map(|found| found.fix) else {
            return text;
        };
        text.replace_range(fix.span, &fix.replacement);
    }
    panic!("fixes without end: {text}");
}

/// An event of a network interface with these members of its content.
fn event(content: &str) -> String {
    let name = "NetworkInterface:NetworkInterfaceOperateCompleted";
    format!(r#"{{"product":"ECS","name":"{name}","content":{{{content}}}}}"#)
}

/// Asserts what the content becomes; `None`: it stays as it is. What rules see of a value in
/// another spelling stays the same.
fn check_content(cases: &[(&str, Option<&str>)]) {
    for (content, expected) in cases {
        let (before, after) = (event(content), fixed(&event(content)));
        assert_eq!(after, event(expected.unwrap_or(content)), "{content}");
        let keys = |text: &str| {
            let native = NativeEvent::from_json(text).expect("a native form");
            let content = native.tree().get("content").expect("content").members();
            content
                .iter()
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&before), keys(&after), "{content}");
    }
}

#[test]
fn singular_names_of_lists_are_fixed() {
    check_content(&[
        (
            r#""ipv4Prefix":["10.0.0.0/28"]"#,
            Some(r#""ipv4Prefixes":["10.0.0.0/28"]"#),
        ),
        (
            r#""secondaryPrivateIp":["10.0.0.1"],"ipv6":["::1"],"ipv6Prefix":["::/80"]"#,
            Some(r#""secondaryPrivateIps":["10.0.0.1"],"ipv6s":["::1"],"ipv6Prefixes":["::/80"]"#),
        ),
        // The plural, too: a fix would make a key that the event has twice.
        (
            r#""ipv4Prefix":["10.0.0.0/28"],"ipv4Prefixes":["10.0.0.16/28"]"#,
            None,
        ),
        (r#""ipv6s":[],"ipv6":["::1"]"#, None),
    ]);
}

#[test]
fn host_bits_of_prefixes_are_removed() {
    check_content(&[
        (
            r#""ipv4Prefixes":["10.0.0.5/28","10.0.0.16/28"]"#,
            Some(r#""ipv4Prefixes":["10.0.0.0/28","10.0.0.16/28"]"#),
        ),
        (
            r#""ipv4Prefix":" 10.0.0.5/28 ""#,
            Some(r#""ipv4Prefixes":"10.0.0.0/28""#),
        ),
        (
            r#""ipv6Prefixes":["2001:db8::1/80"]"#,
            Some(r#""ipv6Prefixes":["2001:db8::/80"]"#),
        ),
        (r#""ipv4Prefixes":["10.0.0.0/33"]"#, None),
        (r#""ipv4Prefixes":["10.0.0.0"]"#, None),
    ]);
}

#[test]
fn words_of_operations_are_fixed() {
    check_content(&[
        (
            r#""operation":"AttachNetworkInterfaces","result":"failed""#,
            Some(r#""operation":"AttachNetworkInterface","result":"failed""#),
        ),
        (
            r#""operation":"attachNetworkInterface","result":"SUCCESS","eniStatus":"inuse""#,
            Some(r#""operation":"AttachNetworkInterface","result":"success","eniStatus":"InUse""#),
        ),
        (
            r#""result":"faild","eniStatus":"Availabel""#,
            Some(r#""result":"failed","eniStatus":"Available""#),
        ),
        (
            r#""result":"ok","eniStatus":"Gone","operation":"Fly""#,
            None,
        ),
    ]);
}

#[test]
fn levels_and_names_are_fixed() {
    for (text, expected) in [
        (
            r#"{"product":"ECS","name":"Disk:Stald","level":"warn","content":{}}"#,
            r#"{"product":"ECS","name":"Disk:Stalled","level":"WARN","content":{}}"#,
        ),
        (
            r#"{"product":"ECS","name":"Disk:Stalld","level":"Critical","content":{}}"#,
            r#"{"product":"ECS","name":"Disk:Stalled","level":"CRITICAL","content":{}}"#,
        ),
    ] {
        assert_eq!(fixed(text), expected);
    }
    for text in [
        r#"{"product":"ECS","name":"Disk:Burning","level":"HIGH"}"#,
        r#"{"product":"RDS","name":"Disk:Stalld","level":"WARN"}"#,
    ] {
        assert_eq!(fixed(text), text);
    }
}
