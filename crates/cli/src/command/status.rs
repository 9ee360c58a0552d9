//! `reflexarc status`: what is wrong with a running service, and a summary of it.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_service::security::Role;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::output::delivery::field;
use crate::output::table::time_of;
use crate::output::text::{plural, printable_str};
use crate::output::{Format, Output, Paint};
use crate::service_args::{ServiceArgs, refused};

/// Longer lines are hard to read.
const MAX_COLUMNS: usize = 100;
/// Without a terminal: a report by mail or in a ticket.
const DEFAULT_COLUMNS: usize = 80;
/// Names in a line of the summary; `--format json` has all.
const MAX_NAMES: usize = 10;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The list has all that an operator must see, the worst first: dead letters, exhausted retries and \
unknown targets, rules that fail, are full or are absent, targets that fail or are paused, queues \
that lag, and the state of the store, the clock and the machine. Each entry has since when, how \
often, the subject (a target, a rule), the detail, and what to do. `critical` means that alerts are \
lost or late, or that events are refused. An occurrence such as a failed reaction stays in the list \
for an hour.

The service answers `GET /status`, which is printed by --format json. A token with the role `read` \
is required.

Exit codes:
  0 nothing is wrong
  1 something is wrong
  5 the service refused the request or cannot be reached

Examples:
  reflexarc status
  reflexarc status --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    service: ServiceArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the list and the summary.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let remote = args.service.remote(Role::Read)?;
    let status = tokio_runtime()?
        .block_on(remote.status())
        .map_err(refused)?;
    let problems = status.get("problems").map_or(&[][..], Json::elements);
    match args.format {
        Format::Json | Format::Ndjson => output.json(&status)?,
        Format::Human => print(&status, problems, output)?,
    }
    Ok(if problems.is_empty() {
        Exit::Done
    } else {
        Exit::Negative
    })
}

fn print(status: &Json, problems: &[Json], output: &mut Output) -> Result<(), Failure> {
    let columns = terminal_size::terminal_size();
    let columns = columns.map_or(DEFAULT_COLUMNS, |(width, _)| width.0.into());
    let columns = columns.clamp(20, MAX_COLUMNS);
    if problems.is_empty() {
        output.line(output.paint(Paint::Green, "nothing is wrong"))?;
    } else {
        output.line(plural(problems.len() as u64, "problem"))?;
    }
    for problem in problems {
        output.line("")?;
        print_problem(problem, columns, output)?;
    }
    output.line("")?;
    for (name, value) in summary(status) {
        let indent = " ".repeat(14);
        let first = format!("{name:<14}");
        output.line(wrap(&value, columns, &first, &indent))?;
    }
    Ok(())
}

fn print_problem(problem: &Json, columns: usize, output: &mut Output) -> Result<(), Failure> {
    let severity = field(problem, "severity");
    let paint = if severity == "critical" {
        Paint::Red
    } else {
        Paint::Yellow
    };
    let (name, subject) = (field(problem, "problem"), field(problem, "subject"));
    let heading = [name.as_str(), subject.as_str()].join(" ");
    output.line(format_args!(
        "{}  {}",
        output.paint(paint, &severity),
        output.paint(Paint::Bold, heading.trim_end())
    ))?;
    let count = problem.get("count").and_then(Json::as_i64).unwrap_or(1);
    let since = format!("since {}, count {count}", since(problem));
    for text in [since, field(problem, "detail")] {
        if !text.is_empty() {
            output.line(wrap(&text, columns, "  ", "  "))?;
        }
    }
    output.line(wrap(&field(problem, "action"), columns, "  → ", "    "))
}

/// When a problem began, and how long ago that was.
fn since(problem: &Json) -> String {
    let text = field(problem, "since");
    let Ok(began) = text.parse::<Timestamp>() else {
        return text;
    };
    let ago = Timestamp::now().duration_since(began);
    let ago = SignedDuration::from_secs(ago.as_secs().max(0));
    format!("{} ({ago:#})", time_of(&text))
}

/// The lines of the summary, each with its name.
fn summary(status: &Json) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("rules", rules(status)),
        ("targets", targets(status)),
        ("pending", pending(status)),
        ("dead letters", dead_letters(status)),
        ("incidents", incidents(status)),
        ("silences", silences(status)),
        ("store", store(status)),
        ("clock", clock(status)),
    ];
    if let Some(heartbeat) = status.get("heartbeat").filter(|beat| **beat != Json::Null) {
        lines.push(("heartbeat", describe_heartbeat(heartbeat)));
    }
    let sources = status.get("sources").map_or(&[][..], Json::elements);
    lines.extend(
        sources
            .iter()
            .map(|source| ("source", describe_source(source))),
    );
    if let Some(nodes) = status.get("nodes") {
        if nodes.get("error").is_some() {
            lines.push(("nodes", field(nodes, "error")));
        }
        let nodes = nodes.elements().iter();
        lines.extend(nodes.map(|node| ("node", describe_node(node))));
    }
    let restart = texts(status.get("restart"));
    if !restart.is_empty() {
        let value = format!("needed for changes of {}", listed(&restart));
        lines.push(("restart", value));
    }
    lines
}

fn rules(status: &Json) -> String {
    let mut text = field(status, "rules");
    let disabled = texts(status.get("disabled"));
    if !disabled.is_empty() {
        text = format!("{text}, of these disabled: {}", listed(&disabled));
    }
    text
}

/// How many targets are in each state, and the names of those to which nothing is sent now.
fn targets(status: &Json) -> String {
    let states = status.get("target_states").map_or(&[][..], Json::elements);
    let in_state = |wanted: &str| -> Vec<String> {
        let found = states.iter().filter(|one| field(one, "state") == wanted);
        found.map(|one| field(one, "target")).collect()
    };
    let mut parts = vec![format!("{} working", in_state("closed").len())];
    for state in ["half_open", "open", "paused"] {
        let names = in_state(state);
        if !names.is_empty() {
            parts.push(format!("{} {state} ({})", names.len(), listed(&names)));
        }
    }
    format!("{}: {}", states.len(), parts.join(", "))
}

fn pending(status: &Json) -> String {
    let Some(pending) = status.get("pending") else {
        return "unknown".to_owned();
    };
    if pending.get("error").is_some() {
        return field(pending, "error");
    }
    let rules = pending.get("rules").map_or(&[][..], Json::elements);
    let waiting: Vec<_> = rules
        .iter()
        .filter_map(|rule| Some((field(rule, "rule"), rule.get("pending")?.as_i64()?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let keys: i64 = waiting.iter().map(|(_, count)| count).sum();
    let keys = plural(keys.unsigned_abs(), "key");
    if waiting.is_empty() {
        return keys;
    }
    let rules = plural(waiting.len() as u64, "rule");
    let next = pending.get("next_deadline").and_then(Json::as_str);
    let next = next.map_or_else(String::new, |next| {
        format!(", next deadline {}", time_of(next))
    });
    format!("{keys} of {rules}{next}")
}

fn dead_letters(status: &Json) -> String {
    let Some(letters) = status.get("dead_letters") else {
        return "unknown".to_owned();
    };
    if letters.get("error").is_some() {
        return field(letters, "error");
    }
    let mut text = field(letters, "count");
    if let Some(Json::Object(targets)) = letters.get("targets")
        && !targets.is_empty()
    {
        let counts = targets.iter().map(|(target, count)| {
            let target = printable_str(target);
            format!("{target} {count}")
        });
        text = format!("{text} ({})", listed(&counts.collect::<Vec<_>>()));
    }
    let dropped = letters.get("dropped").and_then(Json::as_i64).unwrap_or(0);
    if dropped > 0 {
        text = format!("{text}, {dropped} dropped since the start");
    }
    text
}

/// How many incidents are open, with their rules.
fn incidents(status: &Json) -> String {
    let Some(incidents) = status.get("incidents") else {
        return "unknown".to_owned();
    };
    if incidents.get("error").is_some() {
        return field(incidents, "error");
    }
    let rules = incidents.elements();
    let open = rules.iter().filter_map(|rule| rule.get("open")?.as_i64());
    let open: i64 = open.sum();
    let counts = rules
        .iter()
        .map(|rule| format!("{} {}", field(rule, "rule"), field(rule, "open")));
    let counts: Vec<_> = counts.collect();
    if counts.is_empty() {
        return "0 open".to_owned();
    }
    format!("{open} open ({})", listed(&counts))
}

/// How many silences are active, and how many deliveries they and inhibitions withhold.
fn silences(status: &Json) -> String {
    let Some(silences) = status.get("silences") else {
        return "unknown".to_owned();
    };
    if silences.get("error").is_some() {
        return field(silences, "error");
    }
    let active = field(silences, "active");
    match silences.get("withheld").and_then(Json::as_i64) {
        Some(withheld) if withheld > 0 => {
            let withheld = plural_of(withheld, "delivery", "deliveries");
            format!("{active} active; {withheld} withheld")
        }
        _ => format!("{active} active"),
    }
}

fn plural_of(count: i64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

fn store(status: &Json) -> String {
    let Some(store) = status.get("store") else {
        return "unknown".to_owned();
    };
    match store.get("error").and_then(Json::as_str) {
        Some(error) => format!("not ready: {}", printable_str(error)),
        None => "ready".to_owned(),
    }
}

fn clock(status: &Json) -> String {
    let Some(clock) = status.get("clock") else {
        return "unknown".to_owned();
    };
    let now = time_of(&field(clock, "now"));
    match clock.get("suspected_jump") {
        Some(jump) if *jump != Json::Null => format!("{now}; {}", field(jump, "detail")),
        _ => now,
    }
}

fn describe_heartbeat(heartbeat: &Json) -> String {
    let every = field(heartbeat, "every");
    let last = match heartbeat.get("last_ping").and_then(Json::as_str) {
        Some(last) => format!("last sent {}", time_of(last)),
        None => "none sent yet".to_owned(),
    };
    let mut text = format!("every {every}, {last}");
    let withheld = heartbeat.get("withheld").map_or(&[][..], Json::elements);
    let withheld: Vec<String> = withheld
        .iter()
        .map(|one| format!("{}: {}", field(one, "part"), field(one, "detail")))
        .collect();
    if !withheld.is_empty() {
        text = format!("{text}; withheld because of {}", withheld.join(", "));
    }
    if let Some(error) = heartbeat.get("error").and_then(Json::as_str) {
        text = format!("{text}; the last one failed: {}", printable_str(error));
    }
    text
}

/// `web-1:8321 (this one): live, seen 1 s ago, version 0.1.0, rules 3f2a5b6c7d8e`.
fn describe_node(node: &Json) -> String {
    let own = match node.get("own") {
        Some(Json::Bool(true)) => " (this one)",
        _ => "",
    };
    let rules: String = field(node, "rules").chars().take(12).collect();
    format!(
        "{}{own}: {}, seen {} s ago, version {}, rules {rules}",
        field(node, "name"),
        field(node, "state"),
        field(node, "silent_seconds"),
        field(node, "version"),
    )
}

/// `events: connected, 12 messages wait, 3 unacknowledged, last one 2026-11-27 03:00:00Z`.
fn describe_source(source: &Json) -> String {
    let is_connected = source.get("connected") == Some(&Json::Bool(true));
    let state = if is_connected {
        "connected"
    } else {
        "not connected"
    };
    let mut text = format!("{}: {state}", field(source, "name"));
    let count = |key: &str| source.get(key).filter(|count| **count != Json::Null);
    if let (Some(pending), Some(unacknowledged)) = (count("pending"), count("ack_pending")) {
        text = format!("{text}, {pending} messages wait, {unacknowledged} unacknowledged");
    }
    if let Some(last) = source.get("last_message").and_then(Json::as_str) {
        text = format!("{text}, last one {}", time_of(last));
    }
    let differences = texts(source.get("differences"));
    if !differences.is_empty() {
        text = format!("{text}; the consumer's {}", differences.join(", "));
    }
    if let Some(error) = source.get("error").and_then(Json::as_str) {
        text = format!("{text}; {}", printable_str(error));
    }
    text
}

fn texts(list: Option<&Json>) -> Vec<String> {
    let elements = list.map_or(&[][..], Json::elements);
    let texts = elements.iter().filter_map(Json::as_str);
    texts.map(printable_str).collect()
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names.get(..MAX_NAMES).unwrap_or(names).join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn wrap(text: &str, columns: usize, first: &str, rest: &str) -> String {
    // Between words only: a command that is copied must not be cut at a hyphen.
    let options = textwrap::Options::new(columns)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false)
        .initial_indent(first)
        .subsequent_indent(rest);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_and_lists_are_cut() {
        let text = wrap("check the receiver, then send again", 20, "  → ", "    ");
        assert_eq!(text, "  → check the\n    receiver, then\n    send again");
        let names: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
        assert!(listed(&names).ends_with("t9 and 2 more"));
        assert_eq!(listed(&names[..2]), "t0, t1");
    }

    #[test]
    fn the_summary_reads_what_the_service_answers() {
        let status = Json::parse(
            r#"{"problems": [], "rules": 3, "disabled": ["old"], "target_states":
            [{"target": "a", "state": "closed"}, {"target": "b", "state": "paused"}],
            "pending": {"next_deadline": "2026-11-27T03:00:00Z", "rules":
            [{"rule": "x", "pending": 2}, {"rule": "y", "pending": 0}]},
            "store": {"ready": false, "error": "the disk is full"},
            "dead_letters": {"count": 5, "targets": {"mail": 4, "chat": 1}, "dropped": 2},
            "clock": {"now": "2026-11-27T02:00:00Z", "suspected_jump": null},
            "incidents": [{"rule": "zone-down", "open": 2}],
            "silences": {"active": 1, "withheld": 3, "targets": {"mail": 3}, "next_release": null},
            "heartbeat": {"every": "1m", "last_ping": null, "error": "HTTP 500",
            "withheld": [{"part": "timers", "detail": "late"}]},
            "sources": [{"name": "a", "connected": true, "error": null, "pending": 12,
            "ack_pending": 3, "last_message": "2026-11-27T01:00:00Z",
            "differences": ["ack_wait is 5s instead of 30s"]},
            {"name": "b", "connected": false, "error": "no server", "pending": null}], "restart": ["log"]}"#,
        )
        .unwrap();
        let lines = summary(&status);
        let expected = [
            ("rules", "3, of these disabled: old"),
            ("targets", "2: 1 working, 1 paused (b)"),
            (
                "pending",
                "2 keys of 1 rule, next deadline 2026-11-27 03:00:00Z",
            ),
            (
                "dead letters",
                "5 (mail 4, chat 1), 2 dropped since the start",
            ),
            ("incidents", "2 open (zone-down 2)"),
            ("silences", "1 active; 3 deliveries withheld"),
            ("store", "not ready: the disk is full"),
            ("clock", "2026-11-27 02:00:00Z"),
            (
                "heartbeat",
                "every 1m, none sent yet; withheld because of timers: late; the last one failed: \
                 HTTP 500",
            ),
            (
                "source",
                "a: connected, 12 messages wait, 3 unacknowledged, last one 2026-11-27 01:00:00Z; \
                 the consumer's ack_wait is 5s instead of 30s",
            ),
            ("source", "b: not connected; no server"),
            ("restart", "needed for changes of log"),
        ];
        let found: Vec<_> = lines
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        assert_eq!(found, expected);
    }
}
