//! The command lines of operations exist.

use std::process::Command;

use clap::Parser;
use proptest::prelude::*;
use reflexarc_service::operate::Operation;

use super::Cli;

/// The words that a shell makes of a command line.
fn words(line: &str) -> Vec<String> {
    let script = format!("set -- {line}\nprintf '%s\\0' \"$@\"");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{line}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.strip_suffix('\0').unwrap().split('\0');
    words.map(str::to_owned).collect()
}

/// All operations, with this in all texts.
fn operations(text: &str, is_set: bool) -> Vec<Operation> {
    let id = "8b2a0000000000000000000000000001";
    let other = "8b2a0000000000000000000000000002";
    let flag = if is_set { "true" } else { "false" };
    let time = "2026-11-27T06:00:00.5Z";
    let filter = [
        ("target", text),
        ("rule", text),
        ("event", text),
        ("reason", text),
        ("since", time),
        ("until", time),
    ];
    let filter = if is_set { &filter[..] } else { &[] };
    let reason = ("reason", if is_set { text } else { "" });
    let parameters: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("redrive", vec![("id", id)]),
        ("drop", vec![("id", id)]),
        ("cancel", vec![("id", id)]),
        ("redrive_matching", filter.to_vec()),
        ("drop_matching", filter.to_vec()),
        (
            "cancel_matching",
            [filter, &[("status", "withheld")]].concat(),
        ),
        ("cancel_matching", filter.to_vec()),
        ("pause_target", vec![("target", text), reason]),
        ("resume_target", vec![("target", text)]),
        ("test_target", vec![("target", text)]),
        (
            "add_silence",
            vec![
                ("pattern", text),
                ("until", time),
                ("reason", text),
                ("owner", text),
                ("drop", flag),
                ("confirm", flag),
            ],
        ),
        (
            "add_silence",
            vec![
                ("pattern", text),
                ("for", "90m"),
                ("reason", text),
                ("from", time),
            ],
        ),
        ("end_silence", vec![("id", "-4"), ("drop", flag)]),
        (
            "acknowledge_incident",
            vec![("id", "7"), ("note", reason.1)],
        ),
        ("close_incident", vec![("id", "7"), reason]),
        ("close_pending", vec![("rule", text), ("key", ""), reason]),
        ("close_pending", vec![("rule", text), ("key", text), reason]),
        ("forget_state", vec![("rule", text)]),
        ("reload", vec![("force", flag)]),
        ("accept_clock", vec![]),
        ("redrive_selected", vec![("id", id), ("id", other)]),
        ("drop_selected", vec![("id", id)]),
        ("cancel_selected", vec![("id", id), ("id", other)]),
    ];
    let names: Vec<&str> = parameters.iter().map(|(name, _)| *name).collect();
    assert!(Operation::NAMES.iter().all(|name| names.contains(name)));
    let read = |(name, parameters): (&str, Vec<(&str, &str)>)| {
        let fields = [("operation", name)].into_iter().chain(parameters);
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Operation::from_fields(&fields.collect::<Vec<_>>()).unwrap()
    };
    parameters.into_iter().map(read).collect()
}

/// Whether the words are a command, with the text as one of them or the value of an option.
fn assert_is_command(operation: &Operation) {
    let line = operation.command();
    let words = words(&line);
    let parsed = Cli::try_parse_from(&words);
    assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
}

#[test]
fn each_operation_has_a_command() {
    for is_set in [true, false] {
        for operation in operations("network-team", is_set) {
            assert_is_command(&operation);
        }
        for operation in operations("-", is_set) {
            assert_is_command(&operation);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn hostile_texts_stay_one_argument(text in "[^\0]{0,3}[-'\"$`\\\\ ;\n~!*#=]{1,3}[^\0]{0,5}") {
        for operation in operations(&text, true) {
            assert_is_command(&operation);
        }
        let pause = &operations(&text, true)[7];
        let last = words(&pause.command());
        let is_there = last.contains(&text);
        prop_assert!(is_there, "{}", pause.command());
    }
}
