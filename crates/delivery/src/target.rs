//! Where deliveries go. One file for each kind of receiver; all they share is this trait.

mod command;
mod dingtalk;
mod email;
mod file;
mod webhook;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::delivery::{Delivery, Receipt, SendError};

pub use command::Command;
pub use dingtalk::{DingTalk, Format};
pub use email::{Email, Protection, Server, TemplateError, Templates};
pub use file::Lines;
pub use webhook::{Webhook, signing_key};

/// A send on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, SendError>> + Send + 'a>>;

/// A receiver of deliveries. Its queue sees to timeouts, retries and dead letters; a target only sends and judges what
/// the receiver says.
pub trait Target: Send + Sync {
    /// Its type, as the configuration calls it.
    fn kind(&self) -> &'static str;

    /// What [`Target::send`] would bring to the receiver, made by the same code; nothing is sent.
    ///
    /// # Errors
    /// Where sending would fail before anything is sent, as from a template that does not suit.
    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError>;

    /// Sends these deliveries in one call. There is more than one only where [`Target::pack`] says that they fit.
    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a>;

    /// How many calls the receiver takes in which time; `None` when nobody counts.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// How many of the first of `waiting` (never empty) go into one call when there are more than the pace allows calls:
    /// at least one.
    fn pack(&self, waiting: &[Delivery]) -> usize {
        let _ = waiting;
        1
    }
}

/// What a receiver would get. There are no secrets in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// One line: a subject, a title, or the beginning of a document.
    pub summary: String,
    /// The body, where it is JSON; else its parts.
    pub body: Json,
    /// The part of the delivery that it is, when there is more to send.
    pub part: Option<String>,
}

/// At most `calls` calls in any stretch of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many calls, at least 1.
    pub calls: usize,
    /// In which time.
    pub per: Duration,
}

/// What a delivery is about, in a line: a message's title or first line, or a document.
fn gist(delivery: &Delivery) -> String {
    match &delivery.action {
        Action::Notify { message, .. } if message.title.is_empty() => {
            message.text.lines().next().unwrap_or_default().to_owned()
        }
        Action::Notify { message, .. } => message.title.clone(),
        Action::Send { payload, .. } => payload.to_string(),
    }
}

/// The first `limit` bytes of a receiver's words, cut at a character, with a sign that there was more.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", cut(text, limit), text.len())
}

/// The first `limit` bytes at most, cut at a character.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
