//! Fixes of rule files: what a file becomes when they are applied.

use reflexarc::{Diagnostic, RuleSet};

use crate::fixed_texts;

fn findings(text: &str) -> Vec<Diagnostic> {
    match RuleSet::compile([("a.toml", text)]) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            files.flat_map(|file| file.diagnostics.clone()).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

#[track_caller]
fn check(cases: &[(&str, Option<&str>)]) {
    fixed_texts::check(findings, cases);
}

#[test]
fn keys_and_words_of_rule_files_are_fixed_in_their_meaning() {
    let rule = "when = 'a == 1'\nnotify = 't'\n";
    let with = |line: &str| format!("{rule}{line}\n");
    let owned = [
        ("level = 'wran'", Some("level = \"warn\"")),
        ("level = 'Critical'", Some("level = \"critical\"")),
        ("level = 'warning'", Some("level = \"warn\"")),
        ("level = 'error'", None),
        ("level = 'inf'", Some("level = \"info\"")),
        ("level = 'low'", None),
        ("levle = 'warn'", Some("level = 'warn'")),
        ("enabeld = false", Some("enabled = false")),
        ("disabled = true", None),
        ("enable = false", Some("enabled = false")),
        ("descripton = 'a'", Some("description = 'a'")),
        ("label = { a = 'b' }", Some("labels = { a = 'b' }")),
        (
            "one = { key = 'content.eniId', within = '1h' }",
            Some("once = { key = 'content.eniId', within = '1h' }"),
        ),
        ("twice = { key = 'content.eniId', within = '1h' }", None),
        ("x = 1", None),
    ];
    let cases: Vec<(String, Option<String>)> = owned
        .iter()
        .map(|(line, right)| (with(line), right.map(with)))
        .collect();
    let cases: Vec<(&str, Option<&str>)> = cases
        .iter()
        .map(|(text, right)| (text.as_str(), right.as_deref()))
        .collect();
    check(&cases);
    check(&[
        (
            "wehn = 'a == 1'\nnotify = 't'\n",
            Some("when = 'a == 1'\nnotify = 't'\n"),
        ),
        (
            "when = 'a == 1'\nnotfy = 't'\n",
            Some("when = 'a == 1'\nnotify = 't'\n"),
        ),
        (
            "when = 'a == 1'\nthne = 'log(1)'\n",
            Some("when = 'a == 1'\nthen = 'log(1)'\n"),
        ),
        ("when = 'a == 1'\nelse = 'log(1)'\n", None),
    ]);
}

#[test]
fn fields_of_events_in_rule_files_are_fixed() {
    check(&[
        (
            "when = 'content.opration == \"AttachNetworkInterface\"'\nnotify = 't'\n",
            Some("when = 'content.operation == \"AttachNetworkInterface\"'\nnotify = 't'\n"),
        ),
        (
            "when = 'content.result == \"fail\"'\nnotify = 't'\n",
            Some("when = 'content.result == \"failed\"'\nnotify = 't'\n"),
        ),
        (
            "when = \"content.result == \\\"faild\\\"\"\nnotify = 't'\n",
            Some("when = \"content.result == \\\"failed\\\"\"\nnotify = 't'\n"),
        ),
        (
            "when = 'content.result == \"failed\"'\nthen = 'log(event.content.opration)'\n",
            Some("when = 'content.result == \"failed\"'\nthen = 'log(event.content.operation)'\n"),
        ),
        (
            "when = 'content.result == \"failed\"'\nnotify = 't'\n\
             once = { key = 'event.content.eniId', within = '1h' }\n",
            Some(
                "when = 'content.result == \"failed\"'\nnotify = 't'\n\
                 once = { key = 'content.eniId', within = '1h' }\n",
            ),
        ),
        (
            "when = 'content.result == \"failed\"'\nnotify = 't'\n\
             message = { text = '{{ evnt.id }}' }\n",
            Some(
                "when = 'content.result == \"failed\"'\nnotify = 't'\n\
                 message = { text = '{{ event.id }}' }\n",
            ),
        ),
    ]);
}

#[test]
fn keys_inside_other_tables_are_moved_above_them() {
    let step = "[[followed_by]]\nwhen = 'id == 1'\nwithin = '2m'\n";
    let top = "when = 'id == 2'\nby = []\n";
    let message = "message.title = 'a'\nmessage.text = 'b'\n";
    check(&[
        (
            &format!("{top}\n{step}then = 'log(1)'"),
            Some(&format!("{top}\nthen = 'log(1)'\n\n{step}")),
        ),
        // Comments go with what they are about, and all keys are moved at once.
        (
            &format!("{top}\n# The step.\n{step}\n# Who.\nnotify = ['t'] # x\n{message}{step}"),
            Some(&format!(
                "{top}\n# Who.\nnotify = ['t'] # x\n{message}\n# The step.\n{step}\n{step}"
            )),
        ),
        // Above the first table, of whatever name; several lines are one value.
        (
            &format!("{top}[labels]\na = 'b'\n{step}then = \'\'\'\nlog(1);\n\'\'\'\n"),
            Some(&format!(
                "{top}then = \'\'\'\nlog(1);\n\'\'\'\n\n[labels]\na = 'b'\n{step}"
            )),
        ),
        (
            "when = 'id == 2'\r\n[batch]\r\nwithin = '1m'\r\nnotify = 't'\r\n",
            Some("when = 'id == 2'\r\nnotify = 't'\r\n\r\n[batch]\r\nwithin = '1m'\r\n"),
        ),
        // Below a test, and below its steps.
        (
            "when = 'id == 2'\n[[test]]\nname = 'a'\n[[test.step]]\nevent = '{}'\n\
             matches = false\nnotify = 't'\n",
            Some(
                "when = 'id == 2'\nnotify = 't'\n\n[[test]]\nname = 'a'\n[[test.step]]\n\
                 event = '{}'\nmatches = false\n",
            ),
        ),
        // It may be a label.
        (
            "when = 'id == 2'\nnotify = 't'\n[labels]\nteam = 'a'\nby = 'b'\n",
            None,
        ),
        // It would be there twice.
        (
            &format!("{top}then = 'log(1)'\n{step}then = 'log(2)'\n"),
            None,
        ),
        // It is no line of its own, or a table.
        (
            "when = 'id == 2'\nby = []\n\
             followed_by = { when = 'id == 1', within = '2m', then = 'log(1)' }\n",
            None,
        ),
        (
            &format!("{top}notify = 't'\n{step}[followed_by.message]\ntitle = 'a'\n"),
            None,
        ),
    ]);
}
