//! The test message of a target, sent once and directly: no queue or retry is between the test and
//! its result.

use jiff::Timestamp;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallRequest, CallSettings, Delivery, shorten};
use reflexarc_event::EventIdentity;
use reflexarc_reaction::{Action, Message};

use crate::telemetry::Redactor;

/// How much of the answer to a test is shown, in bytes.
const TEST_BODY_BYTES: usize = 500;

/// Sends a message that is marked as a test, or, where a target takes calls, calls an operation
/// that changes nothing. Returns what the receiver answered, without secrets.
///
/// # Errors
/// Why it was not delivered, without secrets.
pub async fn test_target(queue: &TargetConfig, redactor: &Redactor) -> Result<String, String> {
    let result = match &queue.calls {
        Some(calls) => test_call(queue, calls, redactor).await,
        None => test_message(queue).await,
    };
    match result {
        Ok(answer) => Ok(redactor.redact(&answer)),
        Err(reason) => Err(redactor.redact(&reason)),
    }
}

async fn test_message(queue: &TargetConfig) -> Result<String, String> {
    let batch = test_delivery(&queue.name);
    match tokio::time::timeout(queue.timeout, queue.target.send(&batch)).await {
        Ok(Ok(receipt)) => Ok(format!("delivered: {}", receipt.response)),
        Ok(Err(error)) => Err(format!("{}: {}", error.outcome(), error.reason())),
        Err(_) => Err(format!("no response within {:?}", queue.timeout)),
    }
}

/// Calls an operation that changes nothing.
async fn test_call(
    queue: &TargetConfig,
    calls: &CallSettings,
    redactor: &Redactor,
) -> Result<String, String> {
    let (operation, parameters) = calls.api.test_call()?;
    let request = CallRequest {
        id: test_delivery(&queue.name)[0].id,
        operation: &operation,
        parameters: &parameters,
    };
    let called = tokio::time::timeout(queue.timeout, calls.api.call(&request)).await;
    match called {
        Ok(Ok(answer)) if answer.ok => {
            let status = answer.status.unwrap_or_default();
            // Before it is cut: a part of a secret would not be recognised.
            let body = redactor.redact(&answer.body.to_string());
            let body = shorten(&body, TEST_BODY_BYTES);
            Ok(format!("answered: {operation}: HTTP {status} {body}"))
        }
        Ok(Ok(answer)) => Err(format!("{operation}: {}: {}", answer.code, answer.message)),
        Ok(Err(error)) => Err(format!("{operation}: {error}")),
        Err(_) => Err(format!(
            "{operation}: no response within {:?}",
            queue.timeout
        )),
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
