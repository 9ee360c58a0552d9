//! The cases in `tests/corpus/events`: `valid` ones have no findings, `tolerant` ones have some,
//! `broken` ones are rejected. A `.form` is a form, a `.document` a document that may contain
//! events, anything else JSON.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::Code;
use reflexarc_event::{Document, Event, EventError, check};

use crate::envelopes::round_trip;

fn cases(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/corpus/events")
        .join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "{folder} has only {} cases", paths.len());
    let read = |path: PathBuf| {
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            std::fs::read(&path).unwrap(),
        )
    };
    paths.into_iter().map(read).collect()
}

fn event(name: &str, bytes: &[u8]) -> Result<Event, EventError> {
    match Path::new(name).extension().and_then(|it| it.to_str()) {
        Some("form") => Event::from_form(bytes),
        Some("document") => Document::read(bytes)?.into_events().remove(0),
        _ => Event::from_json(bytes),
    }
}

/// Envelope and findings, each drawn into the event.
fn report(name: &str, event: &Event) -> String {
    let text = std::str::from_utf8(event.bytes()).unwrap();
    let mut report = event.envelope().to_string();
    for diagnostic in check(event) {
        report.push_str("\n\n");
        report.push_str(&diagnostic.render(name, text, false));
    }
    report
}

#[test]
fn valid_events_have_no_findings() {
    for (name, bytes) in cases("valid") {
        let event = event(&name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(check(&event).is_empty(), "{}", report(&name, &event));
        insta::assert_snapshot!(
            format!("valid-{name}"),
            crate::envelopes::native(&event).tree()
        );
        round_trip(&event);
    }
}

#[test]
fn tolerated_events_have_findings() {
    for (name, bytes) in cases("tolerant") {
        let event = event(&name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!check(&event).is_empty(), "{name} has no findings");
        insta::assert_snapshot!(format!("tolerant-{name}"), report(&name, &event));
        round_trip(&event);
    }
}

#[test]
fn broken_events_are_rejected_with_a_position() {
    for (name, bytes) in cases("broken") {
        let error = event(&name, &bytes).expect_err(&name);
        let drawn = error
            .diagnostic()
            .render(&name, &String::from_utf8_lossy(&bytes), false);
        let position = error
            .position(&bytes)
            .map_or_else(|| "no place".to_owned(), |position| position.to_string());
        insta::assert_snapshot!(
            format!("broken-{name}"),
            format!("{error}\n{position}\n\n{drawn}")
        );
    }
}

#[test]
fn every_event_code_has_a_case() {
    // These two need events too large to keep as files; `json.rs` makes them.
    let mut found = BTreeSet::from([Code::EVENT_TOO_LARGE, Code::EVENT_TOO_DEEP]);
    for (name, bytes) in cases("tolerant").iter().chain(&cases("broken")) {
        match event(name, bytes) {
            Ok(event) => found.extend(check(&event).iter().map(|diagnostic| diagnostic.code)),
            Err(error) => found.extend([error.diagnostic().code]),
        }
    }
    let ours: BTreeSet<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|code| code.number() < 100)
        .collect();
    assert_eq!(found, ours);
}

#[test]
fn fixes_remove_their_findings() {
    let mut fixed = 0;
    for (name, bytes) in cases("tolerant") {
        let event = event(&name, &bytes).unwrap();
        for diagnostic in check(&event) {
            let Some(fix) = &diagnostic.fix else { continue };
            let mut text = String::from_utf8(event.bytes().to_vec()).unwrap();
            text.replace_range(fix.span.clone(), &fix.replacement);
            let again = check(&Event::from_json(text).unwrap());
            let still = again
                .iter()
                .any(|other| other.message == diagnostic.message);
            assert!(
                !still,
                "{name}: the fix for {:?} leaves it",
                diagnostic.message
            );
            fixed += 1;
        }
    }
    assert!(fixed > 5, "only {fixed} fixes");
}
