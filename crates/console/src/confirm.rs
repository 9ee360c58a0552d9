//! `/confirm` and `/perform`: every action, with how much it changes and the command that does the
//! same, before it is done.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::operate::{
    Operation, OperationError, OperationErrorKind, OperationLimits, OperationPreview, Via,
};

use crate::Console;
use crate::error::PageError;
use crate::fields::Fields;
use crate::outcome::Outcome;
use crate::page::{Page, Screen, html_with};
use crate::parts;
use crate::session::{OperatorForm, Session, own_path};

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    page: Page,
    /// What it does, on the button.
    verb: &'static str,
    /// Whether it cannot be undone.
    is_final: bool,
    /// Whether there is anything to do.
    is_possible: bool,
    preview: Option<OperationPreview>,
    /// Up to which time deliveries are selected.
    until: Option<Timestamp>,
    command: String,
    hidden: Vec<(&'static str, String)>,
    inputs: Vec<Input>,
    error: Option<String>,
    /// Further lines about the error, such as diagnostics of files.
    details: Vec<String>,
    next: String,
}

/// What the operator may add.
struct Input {
    name: &'static str,
    label: &'static str,
    value: String,
    kind: InputKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputKind {
    Text { bytes: usize },
    Check { is_checked: bool },
}

/// The fields of forms and links that are not parameters of the operation.
const OWN_FIELDS: [&str; 3] = ["csrf", "next", "done"];

/// The page before an operation.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    if !session.operates() {
        let message = "This needs a token with the role operate.";
        return Err(PageError::forbidden(message));
    }
    let operation = operation_of(&fields)?;
    let next = own_path(fields.get("next")).to_owned();
    match session.handle().preview(&operation).await {
        Ok(preview) => {
            // With the time of the preview: what comes to match later is not in its count.
            let page = Confirm::new(&session, &preview.operation, next).with_preview(preview);
            Ok(html_with(StatusCode::OK, &page))
        }
        Err(error) => Ok(refused(&session, &operation, next, &error)),
    }
}

/// Performs an operation, and goes to the page that it was begun on.
pub(crate) async fn perform(
    State(console): State<Console>,
    form: OperatorForm,
) -> Result<Response, PageError> {
    let OperatorForm { session, fields } = form;
    let operation = operation_of(&fields)?;
    let next = own_path(fields.get("next")).to_owned();
    let handle = session.handle();
    let performed = handle
        .perform(session.name(), Via::Console, operation.clone())
        .await;
    match performed {
        Ok(performed) => {
            let outcome = Outcome {
                succeeded: true,
                text: format!("{}: {}", past(&operation), performed.summary),
                job: performed.job,
            };
            let id = console.shared.outcomes.add(session.name(), outcome)?;
            let separator = if next.contains('?') { '&' } else { '?' };
            Ok(Redirect::to(&format!("{next}{separator}done={id}")).into_response())
        }
        Err(error) => Ok(refused(&session, &operation, next, &error)),
    }
}

/// The operation that the fields name.
fn operation_of(fields: &Fields) -> Result<Operation, PageError> {
    let parameters = fields.pairs().iter();
    let parameters = parameters.filter(|(name, _)| !OWN_FIELDS.contains(&name.as_str()));
    let parameters: Vec<_> = parameters.cloned().collect();
    Operation::from_fields(&parameters).map_err(|error| PageError::invalid(error.to_string()))
}

/// The page with the reason why an operation was not done, where it can be tried again.
fn refused(
    session: &Session,
    operation: &Operation,
    next: String,
    error: &OperationError,
) -> Response {
    let status = match error.kind {
        OperationErrorKind::Invalid => StatusCode::BAD_REQUEST,
        OperationErrorKind::NotFound => StatusCode::NOT_FOUND,
        OperationErrorKind::Conflict => StatusCode::CONFLICT,
        OperationErrorKind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
        OperationErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
        OperationErrorKind::NotDelivered => StatusCode::BAD_GATEWAY,
        OperationErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut page = Confirm::new(session, operation, next);
    // What does not exist, or has ended, is not there the second time either.
    page.is_possible = !matches!(
        error.kind,
        OperationErrorKind::NotFound | OperationErrorKind::Conflict
    );
    page.error = Some(error.message.clone());
    page.details = details(error);
    html_with(status, &page)
}

/// The members of an error as lines: `{"file", "diagnostics"}` of a reload, and others as they are.
fn details(error: &OperationError) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &error.members {
        if *name == "files" {
            let diagnostics = value.elements().iter().filter_map(|file| {
                let found = file.get("diagnostics")?.elements().iter();
                Some(found.filter_map(Json::as_str).map(str::to_owned))
            });
            lines.extend(diagnostics.flatten());
        } else if let Some(text) = value.as_str() {
            lines.push(format!("{name}: {text}"));
        } else if !matches!(value, Json::Null) {
            lines.push(format!("{name}: {value}"));
        }
    }
    lines
}

impl Confirm {
    fn new(session: &Session, operation: &Operation, next: String) -> Self {
        let inputs = inputs(operation);
        let hidden = operation.fields().into_iter();
        let is_hidden = |name: &str| !inputs.iter().any(|input| input.name == name);
        let hidden = hidden.filter(|(name, _)| is_hidden(name)).collect();
        let verb = verb(operation);
        Self {
            page: session.page(screen(operation), verb),
            verb,
            is_final: matches!(
                operation.name(),
                "drop" | "drop_selected" | "drop_matching" | "forget_state"
            ),
            is_possible: true,
            preview: None,
            until: operation
                .bulk()
                .and_then(|(_, filter)| filter.finished_until),
            command: operation.command(),
            hidden,
            inputs,
            error: None,
            details: Vec::new(),
            next,
        }
    }

    fn with_preview(mut self, preview: OperationPreview) -> Self {
        if preview.count == 0 {
            match &preview.operation {
                // Something is silenced before it happens.
                Operation::AddSilence(request) => self.inputs.push(Input::check(
                    "confirm",
                    "Add it although it matches nothing now",
                    request.confirm,
                )),
                _ => self.is_possible = false,
            }
            self.hidden.retain(|(name, _)| *name != "confirm");
        }
        self.preview = Some(preview);
        self
    }
}

impl Input {
    fn text(name: &'static str, label: &'static str, value: Option<&String>, bytes: usize) -> Self {
        Self {
            name,
            label,
            value: value.cloned().unwrap_or_default(),
            kind: InputKind::Text { bytes },
        }
    }

    fn check(name: &'static str, label: &'static str, is_checked: bool) -> Self {
        Self {
            name,
            label,
            value: "true".to_owned(),
            kind: InputKind::Check { is_checked },
        }
    }
}

/// What may be added to an operation on the page before it.
fn inputs(operation: &Operation) -> Vec<Input> {
    const LIMITS: OperationLimits = OperationLimits::LIMITS;
    match operation {
        Operation::PauseTarget { reason, .. }
        | Operation::CloseIncident { reason, .. }
        | Operation::ClosePending { reason, .. } => {
            let label = "Reason (optional, shown in lists)";
            vec![Input::text("reason", label, reason.as_ref(), LIMITS.reason)]
        }
        Operation::AcknowledgeIncident { note, .. } => {
            let label = "Note (optional): what is done about it";
            vec![Input::text("note", label, note.as_ref(), LIMITS.note)]
        }
        Operation::EndSilence { drops, .. } => {
            let label = "Drop what it withholds instead of sending it";
            vec![Input::check("drop", label, *drops)]
        }
        Operation::Reload { force } => {
            let label = "Also if most of the rules are removed by it";
            vec![Input::check("force", label, *force)]
        }
        _ => Vec::new(),
    }
}

/// What an operation does, as a title and on its button.
fn verb(operation: &Operation) -> &'static str {
    match operation {
        Operation::Redrive { .. } => "Redrive the dead letter",
        Operation::Drop { .. } => "Drop the dead letter",
        Operation::Cancel { .. } => "Cancel the delivery",
        Operation::RedriveSelected { .. } => "Redrive the selected dead letters",
        Operation::DropSelected { .. } => "Drop the selected dead letters",
        Operation::CancelSelected { .. } => "Cancel the selected deliveries",
        Operation::RedriveMatching { .. } => "Redrive all that match",
        Operation::DropMatching { .. } => "Drop all that match",
        Operation::CancelMatching { .. } => "Cancel all that match",
        Operation::PauseTarget { .. } => "Pause the target",
        Operation::ResumeTarget { .. } => "Resume the target",
        Operation::TestTarget { .. } => "Send a test message",
        Operation::AddSilence(_) => "Add the silence",
        Operation::EndSilence { .. } => "End the silence",
        Operation::AcknowledgeIncident { .. } => "Acknowledge the incident",
        Operation::CloseIncident { .. } => "Close the incident",
        Operation::ClosePending { .. } => "Close the pending match",
        Operation::ForgetState { .. } => "Remove the state",
        Operation::Reload { .. } => "Reload rules and configuration",
        Operation::AcceptClock => "Accept the clock",
        _ => "Perform",
    }
}

/// What has been done.
fn past(operation: &Operation) -> &'static str {
    match operation {
        Operation::RedriveMatching { .. } => "Redriving",
        Operation::DropMatching { .. } => "Dropping",
        Operation::CancelMatching { .. } => "Cancelling",
        _ => "Done",
    }
}

/// The screen that an operation belongs to.
fn screen(operation: &Operation) -> Screen {
    match operation {
        Operation::Redrive { .. }
        | Operation::Drop { .. }
        | Operation::Cancel { .. }
        | Operation::RedriveSelected { .. }
        | Operation::DropSelected { .. }
        | Operation::CancelSelected { .. }
        | Operation::RedriveMatching { .. }
        | Operation::DropMatching { .. }
        | Operation::CancelMatching { .. } => Screen::DeadLetters,
        Operation::PauseTarget { .. }
        | Operation::ResumeTarget { .. }
        | Operation::TestTarget { .. } => Screen::Targets,
        Operation::AddSilence(_) | Operation::EndSilence { .. } => Screen::Silences,
        Operation::AcknowledgeIncident { .. }
        | Operation::CloseIncident { .. }
        | Operation::ClosePending { .. } => Screen::Pending,
        Operation::ForgetState { .. } | Operation::Reload { .. } => Screen::Rules,
        _ => Screen::Now,
    }
}
