//! Pictures of random and of very long timelines.

#[path = "../../../../tests/suite/plot_geometry.rs"]
mod plot_geometry;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_event::{EniStatus, Json};
use reflexarc_reaction::CallAnswer;

use self::plot_geometry::problems;
use super::super::open_matches::MatchStep;
use super::super::timeline::{Content, Entry};
use super::draw;

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// Ordinary names, long ones, Chinese ones, and any characters.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]",
        2 => "[a-zA-Z0-9-]{20,120}",
        2 => "[一-龥]{1,60}",
        1 => "(mW|WM|@ ){1,40}",
        1 => any::<String>(),
    ]
}

/// Much happens at the same instant, and sometimes nothing for days.
fn seconds() -> impl Strategy<Value = i64> {
    prop_oneof![5 => Just(0), 3 => 1_i64..100, 1 => 1_i64..1_000_000]
}

fn status() -> impl Strategy<Value = EniStatus> {
    prop::sample::select(vec![
        EniStatus::Creating,
        EniStatus::CreateFailed,
        EniStatus::Available,
        EniStatus::Attaching,
        EniStatus::InUse,
        EniStatus::Deleted,
    ])
}

fn request(action: String, code: Option<String>, rule: Option<String>) -> Content {
    Content::Request {
        action,
        request_id: String::new(),
        error: code.map(|code| (code, String::new())),
        rule,
        expected: None,
    }
}

fn content() -> impl Strategy<Value = Content> {
    let step = (0..3_i64, seconds()).prop_map(|(kind, seconds)| {
        let due = Some(after(seconds));
        match kind {
            0 => MatchStep::Opened { due },
            1 => MatchStep::Closed,
            _ => MatchStep::Pending { due },
        }
    });
    prop_oneof![
        (name(), prop::option::of(name()), prop::option::of(name()))
            .prop_map(|(action, code, rule)| request(action, code, rule)),
        status().prop_map(|to| Content::Status {
            from: None,
            to,
            instance: None,
        }),
        (name(), name()).prop_map(|(operation, reason)| Content::NoEvent {
            operation,
            request_id: String::new(),
            reason,
            is_refused: false,
        }),
        name().prop_map(|text| Content::Note { text }),
        (name(), name(), step).prop_map(|(rule, key, step)| Content::Match {
            rule,
            key: Json::from(key.as_str()).to_string(),
            name: None,
            step,
        }),
        (name(), name(), any::<bool>()).prop_map(|(target, code, ok)| Content::Answer {
            rule: "rule".to_owned(),
            target,
            operation: "Describe".to_owned(),
            parameters: Json::Null,
            answer: if ok {
                CallAnswer::ok(200, Json::Null)
            } else {
                CallAnswer::refused(400, code, "", Json::Null)
            },
        }),
    ]
}

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let entry = (seconds(), name(), prop::option::of(name()), content());
    vec(entry, 0..most).prop_map(|entries| {
        let mut now = 0;
        let entries = entries.into_iter();
        entries
            .map(|(seconds, account, interface, content)| {
                now += seconds;
                Entry {
                    at: after(now),
                    account: Some(account),
                    interface,
                    content,
                }
            })
            .collect()
    })
}

/// A request about an interface.
fn entry(second: i64, interface: &str, action: &str) -> Entry {
    Entry {
        at: after(second),
        account: Some("tenant".to_owned()),
        interface: Some(interface.to_owned()),
        content: request(action.to_owned(), None, None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_timelines_are_readable(
        entries in prop_oneof![entries(12), entries(400)],
        before in prop::collection::btree_map(name(), status(), 0..4),
        title in name(),
    ) {
        let svg = draw(&before, &entries, start(), &title);
        let problems = problems(&svg);
        prop_assert!(problems.is_empty(), "{problems:#?}");
    }
}

#[test]
fn marks_of_one_instant_are_counted() {
    let mut entries: Vec<Entry> = (0..200).map(|_| entry(0, "web", "Attach")).collect();
    entries.extend((0..100).map(|i| entry(5, "web", &format!("Action{i}"))));
    let svg = draw(&BTreeMap::new(), &entries, start(), "");
    assert!(problems(&svg).is_empty(), "{:#?}", problems(&svg));
    for text in [
        ">1×200</text>",
        ">+76</text>",
        ">two more marks, left out</text>",
        ">Timeline</text>",
    ] {
        assert!(svg.contains(text), "{text}\n{svg}");
    }
    // The legend has one more.
    assert_eq!(svg.matches("class=\"accepted\"").count(), 26);
}

#[test]
fn too_many_rows_and_notes_are_left_out() {
    let mut entries: Vec<Entry> = (0..100)
        .map(|i| entry(0, &format!("eni-{i}"), &format!("Action{i}")))
        .collect();
    let refused = request("Delete".to_owned(), Some("Forbidden".to_owned()), None);
    entries[99].content = refused;
    entries.extend((0..40).map(|i| entry(1 + i / 20, "eni-0", &format!("Other{i}"))));
    let svg = draw(&BTreeMap::new(), &entries, start(), "");
    assert!(problems(&svg).is_empty(), "{:#?}", problems(&svg));
    for text in [
        ">60 rows left out, because there are too many</text>",
        ">20 marks without a number, because there are too many notes</text>",
        // Those with problems are kept.
        ">eni-99</text>",
    ] {
        assert!(svg.contains(text), "{text}\n{svg}");
    }
}

#[test]
fn the_size_of_a_picture_is_bounded() {
    let entries: Vec<Entry> = (0_i64..100_000)
        .map(|i| entry(i / 4, &format!("eni-{}", i % 3000), &format!("Action{i}")))
        .collect();
    let svg = draw(&BTreeMap::new(), &entries, start(), "long");
    assert!(problems(&svg).is_empty(), "{:#?}", problems(&svg));
    assert!(svg.len() < 2_000_000, "{}", svg.len());
    assert!(
        svg.contains("the output of the command has all of them"),
        "{svg}"
    );
    // The beginning and the end are there.
    assert!(svg.contains(">0:01</text>") && svg.contains(">6:56:39</text>"));
}
