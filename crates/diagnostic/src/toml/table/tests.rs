//! Reading tables, with and without faults.

use super::super::{Document, FaultCodes};
use jiff::SignedDuration;

use super::*;

/// The diagnostics of reading `text`, each with the text that it marks.
fn faults(text: &str, read: impl FnOnce(TableReader<'_>)) -> Vec<(String, String)> {
    let document = Document::parse(text, "the file", FaultCodes::CONFIG);
    read(document.root());
    let diagnostics = document.into_diagnostics().into_iter();
    diagnostics
        .map(|found| (found.message, text[found.span].to_owned()))
        .collect()
}

fn fault(message: &str, marked: &str) -> (String, String) {
    (message.to_owned(), marked.to_owned())
}

#[test]
fn unknown_keys_are_reported_with_path() {
    let text = "[http.tls]\nkee = 1\n[[test]]\nextra = 2";
    let found = faults(text, |root| {
        let http = root.table("http").unwrap();
        let tls = http.table("tls").unwrap();
        assert!(!tls.has("key"));
        tls.finish();
        root.tables("test")
            .into_iter()
            .for_each(TableReader::finish);
        root.finish();
    });
    let expected = [
        fault("unknown key `kee` in `http.tls`", "kee"),
        fault("unknown key `extra` in `test`", "extra"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_misspelt_key_is_not_also_missing() {
    let read = |root: TableReader<'_>| {
        root.required_string("url", "where to post");
        root.required_string("token", "the bearer token");
        root.finish();
    };
    let found = faults("tokne = \"x\"", read);
    let missing = fault("missing key `url` in the file", "");
    assert_eq!(
        found,
        [missing, fault("unknown key `tokne` in the file", "tokne")]
    );
}

#[test]
fn wrong_types_and_values_are_marked() {
    let text =
        "a = 1\nb = [\"x\", 2]\nc = 70000\nd = \"soon\"\nd2 = 10\ne = \"tomorrow\"\nf = \"blu\"";
    let found = faults(text, |root| {
        assert_eq!(root.string("a"), None);
        assert_eq!(root.strings("b"), None);
        assert_eq!(root.integer::<u16>("c", 1..=65_535), None);
        assert_eq!(root.duration("d"), None);
        assert_eq!(root.duration("d2"), None);
        assert_eq!(root.timestamp("e"), None);
        assert_eq!(root.choice("f", &[("blue", 1), ("red", 2)]), None);
        root.finish();
    });
    let expected = [
        fault("`a`: expected a string, found a number", "1"),
        fault(
            "`b`: expected a string or an array of strings, found a number",
            "2",
        ),
        fault("`c` is out of range", "70000"),
        fault(
            "invalid duration `soon`; write it as 90s, 10m, 1h30m, 24h or 7d",
            "\"soon\"",
        ),
        fault("`d2`: expected a duration, found a number", "10"),
        fault(
            "`e`: expected a date with time and offset, found `tomorrow`",
            "\"tomorrow\"",
        ),
        fault("unknown f \"blu\"", "\"blu\""),
    ];
    assert_eq!(found, expected);
}

#[test]
fn valid_values_are_read() {
    let text = "a = 'x'\nb = ['x', 'y']\nc = 0x10\nd = '90s'\ne = 2027-01-01T00:00:00Z\n\
                f = 'red'\ng = true\n[t.one]\n";
    let found = faults(text, |root| {
        assert_eq!(root.string("a").as_deref(), Some("x"));
        assert_eq!(root.strings("b").map(|texts| texts.len()), Some(2));
        assert_eq!(root.strings("a").map(|texts| texts.len()), Some(1));
        assert_eq!(root.integer("c", 0..=16), Some(16_u8));
        assert_eq!(root.duration("d"), Some(SignedDuration::from_secs(90)));
        assert_eq!(root.timestamp("e"), "2027-01-01T00:00:00Z".parse().ok());
        assert_eq!(root.choice("f", &[("blue", 1), ("red", 2)]), Some(2));
        assert_eq!(root.booleans("g"), Some(vec![true]));
        let names: Vec<_> = root
            .named_tables("t")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["one"]);
        root.finish();
    });
    assert_eq!(found, []);
}

#[test]
fn texts_without_quotes_are_one_error_each() {
    let text = "when = a.b == \"x\"\nnotify = network-team\nc = 1\n";
    let document = Document::parse(text, "the rule", FaultCodes::RULE);
    let root = document.root();
    assert!(root.embedded("when").is_none());
    assert!(root.strings("notify").is_none());
    assert_eq!(root.integer::<u8>("c", 0..=9), Some(1));
    root.finish();
    let found = document.into_diagnostics();
    let help: Vec<_> = found.iter().map(|found| found.help.as_deref()).collect();
    assert_eq!(
        help,
        [
            Some("put the text in quotes: when = 'a.b == \"x\"'"),
            Some("put the text in quotes: notify = 'network-team'"),
        ],
        "{found:?}"
    );
}

#[test]
fn syntax_errors_leave_the_rest_readable() {
    let found = faults("a = \nb = 7", |root| {
        assert_eq!(root.string("b"), None);
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].0.starts_with("invalid TOML: "), "{found:?}");
}
