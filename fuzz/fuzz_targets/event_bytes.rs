//! Any bytes, parsed as an event: the parser accepts exactly what `serde_json` accepts, with the
//! same meaning, and every event can be checked and converted without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reflexarc_event::{Event, Json, JsonErrorKind, NativeEvent};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let ours = Json::parse(bytes);
    let theirs = serde_json::from_slice::<Value>(bytes);
    match (&ours, &theirs) {
        (Ok(json), Ok(value)) => {
            let written = json.to_string();
            assert_eq!(
                Json::parse(&written).as_ref(),
                Ok(json),
                "written JSON is parsed again"
            );
            // This key is how serde_json keeps the digits of a number; as a key of an event it
            // confuses only serde_json.
            if !written.contains("$serde_json::private") {
                assert_eq!(
                    serde_json::from_str::<Value>(&written).ok().as_ref(),
                    Some(value),
                    "{written}"
                );
            }
        }
        (Err(error), Ok(_)) => assert!(
            matches!(error.kind, JsonErrorKind::TooDeep { .. }),
            "rejected: {error}"
        ),
        (Ok(_), Err(error)) => {
            let message = error.to_string();
            let known = ["recursion limit", "$serde_json::private"];
            assert!(
                known.iter().any(|known| message.contains(known))
                    || String::from_utf8_lossy(bytes).contains("$serde_json"),
                "accepted, but: {message}"
            );
        }
        (Err(_), Err(_)) => {}
    }
    if let Ok(event) = Event::from_json(bytes) {
        let _ = reflexarc_event::check(&event);
        let _ = event.envelope();
        let _ = NativeEvent::new(event.clone());
        let _ = event.to_cloudevent();
    }
});
