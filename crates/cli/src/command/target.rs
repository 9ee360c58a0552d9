//! `reflexarc target test`: a marked message to one target.

use jiff::Timestamp;
use reflexarc_delivery::{Delivery, DeliveryId, EventName};
use reflexarc_reaction::{Action, Level, Message};

use crate::configured::{Configured, runtime};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `target`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Send a message that is marked as a test, and show what the receiver says
    #[command(after_help = "\
Exit codes: 0 taken · 3 invalid configuration, or no such target · 5 not taken")]
    Test {
        /// The target's name
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
}

/// Sends the test message.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let What::Test { name, configured } = &args.what;
    let config = configured.load()?;
    let Some(queue) = config.queues.iter().find(|queue| queue.name == *name) else {
        let known: Vec<&str> = config
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect();
        return Err(Failure::Invalid(format!(
            "there is no target `{name}`; there are: {}",
            known.join(", ")
        )));
    };
    let now = Timestamp::now();
    let event = EventName {
        source: "reflexarc".into(),
        id: format!("test-{}", now.as_microsecond()),
    };
    let message = Message {
        title: "Test message of reflexarc".into(),
        text: format!("This is a test of the target {name}, sent by hand. There is nothing to do."),
        level: Level::Info,
        at: Vec::new(),
        link: None,
    };
    let delivery = Delivery {
        id: DeliveryId::derive(&event, "test", 0, None),
        event,
        resource: String::new(),
        rule: "test".into(),
        target: name.clone(),
        action: Action::Notify {
            target: name.clone(),
            message,
        },
        created: now,
        replay: None,
        attempt: 1,
        since: now,
        taken: Vec::new(),
    };
    let runtime = runtime()?;
    let batch = [delivery];
    let sent = runtime
        .block_on(async { tokio::time::timeout(queue.timeout, queue.target.send(&batch)).await });
    runtime.shutdown_background();
    match sent {
        Ok(Ok(receipt)) => {
            output.line(format_args!(
                "taken: {}",
                config.redactor.redact(&receipt.answer)
            ))?;
            Ok(Exit::Done)
        }
        Ok(Err(error)) => {
            let words = config.redactor.redact(error.reason());
            Err(Failure::Runtime(format!("{}: {words}", error.outcome())))
        }
        Err(_) => Err(Failure::Runtime(format!(
            "no answer within {:?}",
            queue.timeout
        ))),
    }
}
