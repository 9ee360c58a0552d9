//! `reflexarc target`: list the targets, send a test message to one, pause and resume one.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallSettings, ChangeLimit};
use reflexarc_diagnostic::format_duration;
use reflexarc_event::Json;
use reflexarc_service::operate::{Operation, test_target};
use reflexarc_service::security::Role;
use reflexarc_service::store::AuditOutcome;
use reflexarc_service::{Config, Store};

use super::audited;
use crate::config_args::{ConfigArgs, store_failure, tokio_runtime};
use crate::exit::{Exit, Failure};
use crate::output::table::Table;
use crate::output::{Format, Output};
use crate::service_args::{ServiceArgs, refused};

/// Subcommands of `target`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Target {
    /// Print the targets of the configuration with their states in the running service
    #[command(after_help = "\
States: closed (calls are made), open (the receiver fails or has requested a pause; no calls until \
the next probe), half_open (one call decides), paused (by an operator). They are read from the \
service at the address of the configuration, with a token with the role `read`, and omitted where \
none is running there.

Exit codes:
  0 listed
  1 no targets are configured
  3 invalid configuration")]
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Output format
        #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
        format: Format,
        /// The same as --format json
        #[arg(long)]
        json: bool,
    },
    /// Stop all calls of a target; its deliveries wait in the outbox until it is resumed
    #[command(after_help = "\
The pause lasts until `reflexarc target resume`, through reloads and restarts. While it lasts, \
`problems` in `/status` has it. A token with the role `operate` is required.

Exit codes:
  0 paused
  5 the service refused the request or cannot be reached")]
    Pause {
        /// Name of the target
        name: String,
        /// Why; shown in lists and in `problems`
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// End the pause of a target, or that of its circuit breaker: the next delivery is attempted
    #[command(after_help = "\
A token with the role `operate` is required.

Exit codes:
  0 resumed
  5 the service refused the request or cannot be reached")]
    Resume {
        /// Name of the target
        name: String,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Send a message that is marked as a test, and print the response of the receiver
    #[command(after_help = "\
A target that takes calls (types alibaba and http) gets no message: an operation that it allows and \
that changes nothing is called, such as DescribeNetworkInterfaces or GET /, and the answer is printed.

Exit codes:
  0 delivered, or answered without an error
  3 invalid configuration, or unknown target
  5 not delivered")]
    Test {
        /// Name of the target
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Lists the targets, changes one, or sends the test message.
pub(crate) fn run(args: &Target, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Target::List {
            config,
            format,
            json,
        } => list(config, if *json { Format::Json } else { *format }, output),
        Target::Pause {
            name,
            reason,
            service,
        } => change(name, Change::Pause(reason.as_deref()), service, output),
        Target::Resume { name, service } => change(name, Change::Resume, service, output),
        Target::Test { name, config } => test(name, config, output),
    }
}

fn list(config: &ConfigArgs, format: Format, output: &mut Output) -> Result<Exit, Failure> {
    let mut queues = config.load_with_blank_secrets()?.queues;
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    let exit = if queues.is_empty() {
        Exit::Negative
    } else {
        Exit::Done
    };
    // Before the table: a failure is reported above it.
    let states = if queues.is_empty() {
        Vec::new()
    } else {
        states(config, output)
    };
    if format == Format::Human {
        print_table(&queues, &states, output)?;
        print_calls(&queues, output)?;
        if queues.is_empty() {
            output.status("no targets are configured");
        }
        return Ok(exit);
    }
    output.begin(format)?;
    for queue in &queues {
        let mut document = Json::object([
            ("target", queue.name.as_str().into()),
            ("type", queue.target.kind().into()),
            ("endpoint", queue.target.endpoint().into()),
        ]);
        if let (Json::Object(members), Some(calls)) = (&mut document, &queue.calls) {
            members.push(("calls".to_owned(), calls_json(calls)));
        }
        let state = state_of(&states, &queue.name);
        if let (Json::Object(members), Some(Json::Object(state))) = (&mut document, state) {
            // Without the name, which is there.
            members.extend(state.iter().filter(|(key, _)| key != "target").cloned());
        }
        output.element(format, &document)?;
    }
    output.end(format)?;
    Ok(exit)
}

/// What a target lets rules call.
fn calls_json(calls: &CallSettings) -> Json {
    Json::object([
        ("allow", Json::strings(calls.api.allowed())),
        ("dry_run", calls.api.is_dry_run().into()),
        (
            "max_changes",
            Json::object([
                ("per_minute", Json::count(calls.changes.per_minute)),
                ("per_day", Json::count(calls.changes.per_day)),
            ]),
        ),
        ("expires", format_duration(calls.expires).into()),
    ])
}

/// Prints what the targets that take calls let rules call; nothing where none does.
fn print_calls(queues: &[TargetConfig], output: &mut Output) -> Result<(), Failure> {
    let mut taking = queues
        .iter()
        .filter_map(|queue| Some((queue, queue.calls.as_ref()?)))
        .peekable();
    if taking.peek().is_none() {
        return Ok(());
    }
    output.line("")?;
    let mut table = Table::new(["TARGET", "ALLOWED CALLS", "CHANGES", "EXPIRES"]);
    for (queue, calls) in taking {
        let ChangeLimit {
            per_minute,
            per_day,
        } = calls.changes;
        let changes = if calls.api.is_dry_run() {
            "dry run".to_owned()
        } else {
            format!("at most {per_minute} a minute, {per_day} a day")
        };
        let expires = format_duration(calls.expires);
        let allowed = calls.api.allowed().join(", ");
        table.row([&queue.name, &allowed, &changes, &expires], output)?;
    }
    table.finish(output)?;
    Ok(())
}

/// Prints the targets; with their states where these are known.
fn print_table(
    queues: &[TargetConfig],
    states: &[Json],
    output: &mut Output,
) -> Result<(), Failure> {
    if states.is_empty() {
        let mut table = Table::new(["TARGET", "TYPE", "ENDPOINT"]);
        for queue in queues {
            let endpoint = queue.target.endpoint();
            table.row([&queue.name, queue.target.kind(), &endpoint], output)?;
        }
        table.finish(output)?;
        return Ok(());
    }
    let mut table = Table::new([
        "TARGET",
        "TYPE",
        "ENDPOINT",
        "STATE",
        "SINCE",
        "NEXT CALL",
        "REASON",
    ]);
    for queue in queues {
        let (kind, endpoint) = (queue.target.kind(), queue.target.endpoint());
        let state = state_of(states, &queue.name);
        let shown = |key| state.and_then(|state| text(state, key)).unwrap_or("-");
        let [name, since, next, reason] = ["state", "since", "next_call", "reason"].map(shown);
        // Calls that only read go on, so that the state says nothing of it.
        let stopped = state.and_then(|state| text(state, "changes_stopped"));
        let stopped = stopped.map(|detail| format!("no more changes until resumed: {detail}"));
        let reason = stopped
            .as_deref()
            .filter(|_| reason == "-")
            .unwrap_or(reason);
        let row = [&queue.name, kind, &endpoint, name, since, next, reason];
        table.row(row, output)?;
    }
    table.finish(output)?;
    Ok(())
}

fn state_of<'a>(states: &'a [Json], target: &str) -> Option<&'a Json> {
    let mut states = states.iter();
    states.find(|state| text(state, "target") == Some(target))
}

/// The states of the targets in the running service; none where it cannot be reached.
fn states(config: &ConfigArgs, output: &mut Output) -> Vec<Json> {
    let found = config.service().remote(Role::Read).and_then(|remote| {
        let states = tokio_runtime()?.block_on(remote.targets());
        states.map_err(refused)
    });
    found.unwrap_or_else(|failure| {
        output.status(&format!("the states are unknown: {failure}"));
        Vec::new()
    })
}

/// What happens to a target in the running service.
#[derive(Clone, Copy)]
enum Change<'a> {
    Pause(Option<&'a str>),
    Resume,
}

fn change(
    name: &str,
    change: Change<'_>,
    service: &ServiceArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let remote = service.remote(Role::Operate)?;
    let changed = tokio_runtime()?.block_on(async {
        match change {
            Change::Pause(reason) => remote.pause(name, reason).await,
            Change::Resume => remote.resume(name).await,
        }
    });
    let state = changed.map_err(refused)?;
    let done = match change {
        Change::Pause(_) => "paused",
        Change::Resume => "resumed",
    };
    let state = text(&state, "state").unwrap_or("unknown");
    output.line(format_args!("{done}: {name} is {state}"))?;
    Ok(Exit::Done)
}

fn text<'a>(state: &'a Json, key: &str) -> Option<&'a str> {
    state.get(key).and_then(Json::as_str)
}

fn test(name: &str, args: &ConfigArgs, output: &mut Output) -> Result<Exit, Failure> {
    let config = args.load()?;
    let Some(queue) = config.queues.iter().find(|queue| queue.name == name) else {
        let names: Vec<&str> = config
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect();
        return Err(Failure::Invalid(format!(
            "unknown target `{name}`; the configuration defines: {}",
            names.join(", ")
        )));
    };
    let runtime = tokio_runtime()?;
    let record = begin_test(args, &config, name, output);
    let result = runtime.block_on(test_target(queue, &config.redactor));
    runtime.shutdown_background();
    if let Some((store, id)) = record {
        let ended = match &result {
            Ok(response) => (AuditOutcome::Done, 1, response.as_str()),
            Err(reason) => (AuditOutcome::Failed, 0, reason.as_str()),
        };
        audited::finish(&*store, id, ended, output);
    }
    let response = result.map_err(Failure::Runtime)?;
    output.line(response)?;
    Ok(Exit::Done)
}

/// Records that the test begins, where there is a store.
fn begin_test(
    args: &ConfigArgs,
    config: &Config,
    name: &str,
    output: &mut Output,
) -> Option<(Arc<dyn Store>, i64)> {
    // Targets are tested before the first start too.
    if matches!(config.store.has_store(), Ok(false)) {
        return None;
    }
    let operation = Operation::TestTarget {
        target: name.to_owned(),
    };
    let begun = args.open_store().and_then(|(_, store)| {
        let id = audited::begin(&*store, &operation, Timestamp::now()).map_err(store_failure)?;
        Ok((store, id))
    });
    begun
        .map_err(|failure| audited::not_recorded(&failure, output))
        .ok()
}
