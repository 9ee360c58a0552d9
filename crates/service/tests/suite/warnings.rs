//! Every warning and error in the log of the service has a sign in `/status`, or a reason why not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The begin of a message, and the problem that is listed with it.
const SIGNS: &[(&str, &str)] = &[
    ("a problem", "every problem"),
    ("further occurrences of a problem", "every problem"),
    ("dead letter:", "dead_letters"),
    ("more dead letters;", "dead_letters"),
    ("the target does not accept deliveries", "target_failing"),
    ("the target still does not accept", "target_failing"),
    ("panic while sending;", "target_failing"),
    ("an operator paused the target", "target_paused"),
    ("a rule floods the target", "flood"),
    ("refused a request to /events", "requests_refused"),
    ("refused elements of a request", "requests_refused"),
    ("a rule may not do what is intended", "rule_noted"),
    ("a reaction failed;", "reaction_failed"),
    ("a call failed, and its rule", "call_failed"),
    ("the target has made as many changes", "changes_stopped"),
    ("a rule keeps failing;", "reaction_failed"),
    ("cannot read the store", "store_unreadable"),
    ("a part of the store cannot be read", "store_parts_damaged"),
    ("the index of ids is damaged", "store_parts_damaged"),
    ("an index of events is damaged", "store_parts_damaged"),
    ("a removed event was damaged", "store_parts_damaged"),
    ("the disk is full; gave up the reserve", "store_full"),
    ("invalid rules or configuration", "reload_refused"),
    ("reload refused;", "reload_refused"),
    ("the reload failed;", "reload_refused"),
    ("cannot send traces;", "traces_dropped"),
    ("cannot raise the limit of open files", "descriptors_low"),
    ("no heartbeat is sent until these make", "stalled"),
    ("a source takes no messages;", "source_failing"),
    ("cannot publish a rejected message;", "source_failing"),
    ("rejected a message of a source", "messages_rejected"),
];

/// The begin of a message without a sign of its own, and why.
const REASONS: &[(&str, &str)] = &[
    ("requests did not finish within", "the service ends"),
    (
        "sends did not finish within",
        "the service ends; they are repeated",
    ),
    (
        "cannot release the lock of the store",
        "the service ends, and the system releases it",
    ),
    (
        "these settings take effect only at a restart",
        "`restart` in /status lists them",
    ),
    (
        "a reload removed rules",
        "rule_gone lists those that have state or deliveries",
    ),
    (
        "calls of removed or disabled rules",
        "each is answered RuleGone: call_failed",
    ),
    (
        "a reload closed pending keys",
        "the reload's response and reflexarc_rule_pending_closed_total count them",
    ),
    (
        "the configuration has a warning",
        "the author's, who sees it in `config check`",
    ),
    (
        "[budgets.rules] names rules",
        "the author's, who sees it in `config check`",
    ),
    (
        "cannot check the store; trying again",
        "the next attempt reports damage",
    ),
    (
        "the event of a match is damaged",
        "the check of the store reports damage, and the reaction fails",
    ),
    (
        "cannot read the newest event",
        "the check of the store reports damage",
    ),
    (
        "the time that the state has reached is damaged",
        "the check of the store reports damage",
    ),
    (
        "a silence withholds nothing",
        "after a downgrade; what it was to withhold is sent",
    ),
    (
        "the targets of an incident are damaged",
        "the message about its end is recorded as not sent, with the reason",
    ),
    (
        "too many open incidents of rules with `inhibits`",
        "what is not inhibited is sent; reflexarc_incidents_open counts them",
    ),
    (
        "copies of these events are no longer recognised",
        "once, at an upgrade",
    ),
    (
        "cannot create the reserve file",
        "only a comfort: store_full comes when it matters",
    ),
];

#[test]
fn every_warning_has_a_sign_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut messages = BTreeSet::new();
    for sources in ["service", "store", "delivery"] {
        for file in files(&root.join("crates").join(sources).join("src")) {
            messages.extend(logged(&std::fs::read_to_string(file).unwrap()));
        }
    }
    assert!(messages.len() > 25, "{messages:?}");
    let table = || SIGNS.iter().chain(REASONS);
    for message in &messages {
        let is_known = table().any(|(begin, _)| message.starts_with(begin));
        assert!(
            is_known,
            "a sign in `problems`, or a reason why not: {message}"
        );
    }
    for (begin, _) in table() {
        let is_used = messages.iter().any(|message| message.starts_with(begin));
        assert!(is_used, "no message begins with {begin}");
    }
    let documentation = std::fs::read_to_string(root.join("deploy/README.md")).unwrap();
    for (begin, sign) in SIGNS.iter().filter(|(_, sign)| *sign != "every problem") {
        let row = format!("\n| `{sign}` |");
        assert!(
            documentation.contains(&row),
            "{begin}: {sign} is not documented"
        );
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The messages of `tracing::warn!` and `tracing::error!`: the last literal of each call.
fn logged(source: &str) -> Vec<String> {
    let calls = source
        .split("tracing::warn!(")
        .skip(1)
        .chain(source.split("tracing::error!(").skip(1));
    calls
        .map(|call| {
            // Up to the parenthesis that closes it, which is the first one at the end of a line or
            // before a comma of a match arm.
            let end = call
                .find(");")
                .or_else(|| call.find("),"))
                .unwrap_or(call.len());
            let literals: Vec<&str> = call[..end].split('"').collect();
            let last = literals.len().saturating_sub(2);
            let text = literals.get(last).copied().unwrap_or_default();
            let lines: Vec<&str> = text.split("\\\n").map(str::trim_start).collect();
            lines.concat()
        })
        .collect()
}
