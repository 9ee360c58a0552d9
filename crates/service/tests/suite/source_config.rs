//! The configuration of `[sources]`. What they take is tested with a real server, in
//! `tests/python/service`.

use std::path::Path;

use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

fn read(keys: &str) -> Result<Config, String> {
    let none = |_: &str| None;
    let text = format!("[sources.events]\n{keys}");
    let config = Config::read(&text, Path::new("."), Secrets::Resolve(&none));
    config.map_err(|invalid| invalid.to_string())
}

const VALID: &str = "type = \"jetstream\"\nurl = \"localhost\"\nstream = \"EVENTS\"\n";

#[cfg(not(feature = "cluster"))]
#[test]
fn a_build_without_the_feature_says_so() {
    let error = read(VALID).err().unwrap();
    assert!(
        error.contains("this program was built without JetStream"),
        "{error}"
    );
    assert!(error.contains("--features cluster"), "{error}");
}

#[test]
fn unknown_types_are_reported() {
    let error = read("type = \"kafka\"\nurl = \"a\"").err().unwrap();
    assert!(
        error.contains("kafka") && error.contains("jetstream"),
        "{error}"
    );
    let error = read("url = \"a\"").err().unwrap();
    assert!(error.contains("missing key `type`"), "{error}");
}

#[cfg(feature = "cluster")]
#[test]
fn every_fault_is_reported() {
    for (keys, message) in [
        ("max_ack_pending = 0", "max_ack_pending"),
        ("batch = 100000", "batch"),
        ("ack_wait = \"1s\"", "`ack_wait` is out of range"),
        ("consumer = \"a.b\"", "invalid name `a.b`"),
        ("subjects = [\"a..b\"]", "invalid subject `a..b`"),
        (
            "reject_subject = \"a.*\"",
            "invalid subject `a.*` to publish to",
        ),
        (
            "subjects = [\"events.>\"]\nreject_subject = \"events.rejects\"",
            "is one of `subjects`",
        ),
        ("reject = \"a\"", "unknown key `reject`"),
    ] {
        let error = read(&format!("{VALID}{keys}")).err();
        let error = error.unwrap_or_else(|| panic!("{keys}"));
        assert!(error.contains(message), "{keys}: {error}");
    }
    let error = read("type = \"jetstream\"").err().unwrap();
    assert!(error.contains("missing key `url`"), "{error}");
    assert!(error.contains("missing key `stream`"), "{error}");
}

#[cfg(feature = "cluster")]
#[test]
fn changed_sources_need_a_restart() {
    let settings = |keys: &str| read(&format!("{VALID}{keys}")).unwrap().restart_settings();
    let running = settings("");
    assert!(running.differences(&settings("")).is_empty());
    assert_eq!(running.differences(&settings("batch = 10")), ["sources"]);
    let without = running.differences(&Config::default().restart_settings());
    assert!(without.contains(&"sources".to_owned()), "{without:?}");
}
