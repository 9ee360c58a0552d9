//! `reflexarc target`: list the targets of the configuration, and send a test message to one.

use jiff::Timestamp;
use reflexarc_delivery::Delivery;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Action, Message};

use crate::config_args::{ConfigArgs, tokio_runtime};
use crate::exit::{Exit, Failure};
use crate::output::table::Table;
use crate::output::{Format, Output};

/// Subcommands of `target`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Target {
    /// Print the targets of the configuration: names, types and endpoints
    #[command(after_help = "\
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
    /// Send a message that is marked as a test, and print the response of the receiver
    #[command(after_help = "\
Exit codes:
  0 delivered
  3 invalid configuration, or unknown target
  5 not delivered")]
    Test {
        /// Name of the target
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Lists the targets, or sends the test message.
pub(crate) fn run(args: &Target, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Target::List {
            config,
            format,
            json,
        } => list(config, if *json { Format::Json } else { *format }, output),
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
    if format == Format::Human {
        let mut table = Table::new(["TARGET", "TYPE", "ENDPOINT"]);
        for queue in &queues {
            let endpoint = queue.target.endpoint();
            table.row([&queue.name, queue.target.kind(), &endpoint], output)?;
        }
        if !table.finish(output)? {
            output.status("no targets are configured");
        }
        return Ok(exit);
    }
    output.begin(format)?;
    for queue in &queues {
        let document = Json::object([
            ("target", queue.name.as_str().into()),
            ("type", queue.target.kind().into()),
            ("endpoint", queue.target.endpoint().into()),
        ]);
        output.element(format, &document)?;
    }
    output.end(format)?;
    Ok(exit)
}

fn test(name: &str, config: &ConfigArgs, output: &mut Output) -> Result<Exit, Failure> {
    let config = config.load()?;
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
    // The target is called directly: no queue, retry or rate limit is between the test and its
    // result.
    let runtime = tokio_runtime()?;
    let batch = test_delivery(name);
    let sent = runtime
        .block_on(async { tokio::time::timeout(queue.timeout, queue.target.send(&batch)).await });
    runtime.shutdown_background();
    match sent {
        Ok(Ok(receipt)) => {
            output.line(format_args!(
                "delivered: {}",
                config.redactor.redact(&receipt.response)
            ))?;
            Ok(Exit::Done)
        }
        Ok(Err(error)) => {
            let reason = config.redactor.redact(error.reason());
            Err(Failure::Runtime(format!("{}: {reason}", error.outcome())))
        }
        Err(_) => Err(Failure::Runtime(format!(
            "no response within {:?}",
            queue.timeout
        ))),
    }
}

/// A delivery that is in no store: it belongs to no event, and the time makes its id unique.
fn test_delivery(target: &str) -> Vec<Delivery> {
    let now = Timestamp::now();
    let event = EventIdentity {
        source: "reflexarc".into(),
        id: format!("test-{}", now.as_microsecond()),
        ..EventIdentity::default()
    };
    let text = format!("This is a manual test of the target {target}. No action is required.");
    let message = Message::new(text).with_title("Test message from reflexarc");
    let action = Action::notify(target, message);
    Delivery::for_actions(&event, [("test", &action)], now)
}
