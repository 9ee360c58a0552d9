//! Errors in the command line: what users of other tools mean by their commands and options.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Commands of other tools, and the one that does the same.
const COMMANDS: [(&[&str], &str); 12] = [
    (
        &["validate", "lint", "verify", "vet", "syntax-check"],
        "check",
    ),
    (&["format"], "fmt"),
    (&["start", "daemon", "server", "listen", "up"], "serve"),
    (&["eval", "evaluate", "process", "dry-run", "exec"], "run"),
    (&["filter", "grep", "query"], "match"),
    (&["why", "debug"], "explain"),
    (&["logs", "log", "watch", "follow"], "tail"),
    (&["publish", "put-events", "ingest", "post"], "send"),
    (&["deadletters", "dead-letters", "dead-letter"], "dlq"),
    (&["queue", "deliveries"], "outbox"),
    (&["health", "ps", "info", "doctor"], "status"),
    (&["mute", "snooze"], "silence"),
];

/// Options of other tools, and the one that does the same where the command has it.
const OPTIONS: [(&[&str], &str); 6] = [
    (
        &["--strict", "--werror", "-W", "--fail-on-warnings"],
        "--deny-warnings",
    ),
    (&["--output", "--json", "-o", "-f"], "--format"),
    (&["--write", "--autofix"], "--fix"),
    (&["--file", "--configuration", "-c"], "--config"),
    (&["--time", "--at", "--now"], "--clock"),
    (&["--send", "--apply", "--no-dry-run"], "--deliver"),
];

/// Adds what was probably meant.
pub(crate) fn explain(error: &mut Error, definition: &Command, arguments: &[OsString]) {
    match error.kind() {
        ErrorKind::InvalidSubcommand => explain_command(error),
        ErrorKind::UnknownArgument => explain_option(error, definition, arguments),
        _ => {}
    }
}

fn explain_command(error: &mut Error) {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let known = COMMANDS
        .iter()
        .find(|(names, _)| names.contains(&name.as_str()));
    if let Some((_, meant)) = known {
        let meant = vec![(*meant).to_owned()];
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(meant),
        );
    }
}

fn explain_option(error: &mut Error, definition: &Command, arguments: &[OsString]) {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let option = option.clone();
    if !option.starts_with('-') {
        return;
    }
    // "to pass '--strict' as a value, use '-- --strict'" is hardly what is meant.
    error.remove(ContextKind::Suggested);
    if error.get(ContextKind::SuggestedArg).is_some() {
        return;
    }
    // The innermost command that is named.
    let mut command = definition;
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    let has = |long: &str| {
        let long = long.trim_start_matches('-');
        let mut known = command.get_arguments();
        known.any(|argument| argument.get_long() == Some(long) && !argument.is_hide_set())
    };
    let name = option
        .split_once('=')
        .map_or(option.as_str(), |(name, _)| name);
    let meant = OPTIONS
        .iter()
        .find(|(names, own)| names.contains(&name) && has(own));
    if let Some((_, meant)) = meant {
        let meant = ContextValue::String((*meant).to_owned());
        error.insert(ContextKind::SuggestedArg, meant);
        return;
    }
    let tip = match (name, command.get_name()) {
        ("--dry-run" | "-n" | "--check", "run" | "replay") => {
            "nothing is delivered without --deliver: remove the option"
        }
        ("--port" | "-p" | "--host" | "--listen" | "--bind", "serve") => {
            "the address is in the configuration: [http] with listen = \"127.0.0.1:8321\""
        }
        ("--rules" | "--rule" | "--events" | "--event" | "--input" | "-i", _) => {
            "rules and events are arguments without an option: RULES EVENTS"
        }
        _ => return,
    };
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
    error.insert(ContextKind::Suggested, tip);
}

/// What the shell or a changed order has probably made of a filter on the command line; `others`
/// are the arguments after it.
pub(crate) fn of_filter(text: &str, others: &[String]) -> Option<String> {
    const EXAMPLE: &str = "reflexarc match 'content.result == \"failed\"' events.ndjson";
    let is_file = |text: &str| {
        let ends = [".json", ".ndjson", ".jsonl", ".log", ".gz", ".zst"];
        ends.iter().any(|end| text.ends_with(end))
    };
    let is_operator = |text: &String| {
        matches!(
            text.as_str(),
            "==" | "="
                | "!="
                | "<"
                | "<="
                | ">="
                | "in"
                | "not"
                | "like"
                | "contains"
                | "matches"
                | "starts"
                | "ends"
                | "exists"
                | "is"
                | "and"
                | "or"
        )
    };
    if is_file(text) && !text.contains(' ') {
        return Some(format!(
            "the filter comes first, then the events: {EXAMPLE}"
        ));
    }
    if others.first().is_some_and(is_operator) {
        return Some(format!(
            "the shell has split the filter into arguments; put it in single quotes: {EXAMPLE}"
        ));
    }
    let has_lost_quotes = !text.contains(['"', '\'']) && text.contains(['=', '{', ':', '>', '<']);
    if has_lost_quotes || text.contains("\"\":") {
        return Some(format!(
            "the shell removes quotes and replaces `$`; put the filter in single quotes: {EXAMPLE}"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::command::Cli;

    #[test]
    fn every_meant_name_exists() {
        let definition = Cli::command();
        for (names, meant) in COMMANDS {
            assert!(definition.find_subcommand(meant).is_some(), "{meant}");
            for name in names {
                assert!(definition.find_subcommand(name).is_none(), "{name}");
            }
        }
        for (_, meant) in OPTIONS {
            let long = meant.trim_start_matches('-');
            let mut commands = definition.get_subcommands();
            let has = |command: &Command| {
                let mut known = command.get_arguments();
                known.any(|argument| argument.get_long() == Some(long))
            };
            assert!(commands.any(has), "{meant}");
        }
    }
}
