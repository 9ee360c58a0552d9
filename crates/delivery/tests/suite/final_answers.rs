//! Which answers are final, for each kind of target, as they are configured.

use std::path::Path;

use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_reaction::Message;

use crate::email::mail_server;
use crate::queue::deliver;
use crate::receiver::{Receiver, Reply};
use crate::robot::error;
use crate::samples::notify;

/// How often each delivery is attempted again.
const RETRIES: &str = "retry = [\"1ms\", \"1ms\"]\n";
const ALWAYS: [&str; 3] = ["450 busy"; 3];
const NEVER: [&str; 3] = ["550 no such mailbox"; 3];

/// The target `t` of this table.
fn target(table: &str) -> TargetConfig {
    let text = format!("[targets.t]\n{table}");
    let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
    let secrets = |_: &str| Some("secret".to_owned());
    let context = ConfigContext::new(Path::new("/nonexistent"), Secrets::Resolve(&secrets));
    let root = ConfigTable::new(&context, document.root());
    let mut targets = targets(&root);
    root.finish();
    let messages = document.into_diagnostics();
    assert!(messages.is_empty(), "{text}\n{messages:?}");
    targets.remove(0)
}

/// The outcome of the last attempt, and how many there were.
async fn outcome(table: &str) -> (&'static str, usize) {
    let target = target(table);
    let settled = deliver(
        &*target.target,
        &target.policy,
        notify(Message::new("text")),
    )
    .await;
    assert!(settled.dead_letter.is_some(), "{table}");
    let attempts = settled.attempts;
    (attempts[attempts.len() - 1].outcome, attempts.len())
}

/// The table of a target whose receiver always gives this answer.
async fn answering(kind: &str, answer: i64) -> String {
    match kind {
        "webhook" => {
            let status = u16::try_from(answer).unwrap();
            let receiver = Receiver::with([], move |_, _| Some(Reply::status(status))).await;
            let url = receiver.url;
            format!("type = \"webhook\"\nurl = \"{url}\"\nallow = [\"127.0.0.0/8\"]\n")
        }
        "dingtalk" => {
            let receiver = Receiver::with([], move |_, _| {
                let status = u16::try_from(answer).ok().filter(|status| *status < 1_000);
                Some(status.map_or_else(|| error(answer, "no"), Reply::status))
            })
            .await;
            let url = receiver.url;
            format!("type = \"dingtalk\"\nendpoint = \"{url}\"\ntoken = {{ env = \"T\" }}\n")
        }
        "email" => {
            let answers = if answer < 500 { &ALWAYS } else { &NEVER };
            let (_, port) = mail_server(&[("a@example.com", answers)]).await;
            format!(
                "type = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\nprotection = \"none\"\n\
                 from = \"b@example.com\"\nto = [\"a@example.com\"]\n"
            )
        }
        _ => format!("type = \"command\"\nargv = [\"sh\", \"-c\", \"exit {answer}\"]\n"),
    }
}

#[tokio::test]
async fn final_answers_of_each_kind_are_configurable() {
    // Kind, answer, its outcome by default, and whether it is attempted again by default.
    for (kind, answer, by_default, is_retried) in [
        ("webhook", 401, "misconfigured", false),
        ("webhook", 403, "misconfigured", false),
        ("webhook", 404, "misconfigured", false),
        ("webhook", 407, "misconfigured", false),
        ("webhook", 422, "refused", false),
        ("webhook", 500, "failed", true),
        ("webhook", 503, "failed", true),
        ("dingtalk", 40_035, "refused", false),
        ("dingtalk", 502, "failed", true),
        ("email", 550, "refused", false),
        ("email", 450, "failed", true),
        ("command", 65, "refused", false),
        ("command", 78, "misconfigured", false),
        ("command", 1, "failed", true),
    ] {
        let table = answering(kind, answer).await;
        let attempts = |is_retried| if is_retried { 3 } else { 1 };
        let name = format!("{kind} {answer}");
        let usual = outcome(&format!("{table}{RETRIES}")).await;
        assert_eq!(usual, (by_default, attempts(is_retried)), "{name}");
        // The other way round.
        let table = answering(kind, answer).await;
        let (key, expected) = if is_retried {
            ("final_statuses", "refused")
        } else {
            ("retry_statuses", "failed")
        };
        let changed = outcome(&format!("{table}{RETRIES}{key} = [{answer}]\n")).await;
        assert_eq!(
            changed,
            (expected, attempts(!is_retried)),
            "{name} in {key}"
        );
        // What is said of another answer changes nothing.
        let table = answering(kind, answer).await;
        let other = if kind == "command" { 2 } else { 599 };
        let same = outcome(&format!("{table}{RETRIES}{key} = [{other}]\n")).await;
        assert_eq!(same, usual, "{name}");
        // One attempt.
        let table = answering(kind, answer).await;
        assert_eq!(
            outcome(&format!("{table}retry = []\n")).await,
            (by_default, 1),
            "{name} once"
        );
    }
}
