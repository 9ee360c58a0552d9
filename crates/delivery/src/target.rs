//! Targets: the receivers of deliveries, one module for each kind.

pub mod alibaba;
mod api_request;
mod call_target;
pub mod chat;
mod command;
pub mod dingtalk;
pub mod email;
mod file;
pub mod http_api;
#[cfg(feature = "cluster")]
pub mod jetstream;
pub mod pagerduty;
mod post;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;

use jiff::SignedDuration;
use reflexarc_event::Json;

use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};

pub(crate) use api_request::denied_text;
pub use call_target::CallTarget;
pub use command::CommandTarget;
pub use file::FileTarget;

/// A send that is under way.
pub type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<Receipt, SendError>> + Send + 'a>>;

/// A receiver of deliveries.
///
/// A target only sends and classifies the response. Timeouts, retries, rate limits and dead letters
/// are the caller's: they are the same for every kind of target.
///
/// ```
/// use reflexarc_delivery::{Delivery, Preview, Receipt, SendError, SendFuture, Target};
/// use reflexarc_event::Json;
///
/// /// Counts deliveries and accepts them.
/// struct Counter;
///
/// impl Target for Counter {
///     fn kind(&self) -> &'static str {
///         "counter"
///     }
///
///     fn endpoint(&self) -> String {
///         "this process".to_owned()
///     }
///
///     fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
///         let body = Json::from(batch.len() as i64);
///         Ok(Preview { summary: "a number".into(), body, part: None })
///     }
///
///     fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
///         let response = format!("{} counted", batch.len());
///         Box::pin(async move { Ok(Receipt::complete(response)) })
///     }
/// }
///
/// let target: Box<dyn Target> = Box::new(Counter);
/// assert!(target.rate_limit().is_none());
/// assert_eq!(target.preview(&[])?.body, Json::from(0));
/// # Ok::<(), SendError>(())
/// ```
pub trait Target: Send + Sync {
    /// Its type, as in the configuration.
    fn kind(&self) -> &'static str;

    /// Where it sends, for people: a host with its port, a program or a file. No path or query of a
    /// URL, which may hold a token.
    fn endpoint(&self) -> String;

    /// Renders what [`Target::send`] would send, with the same code; sends nothing.
    ///
    /// # Errors
    /// When sending would fail before anything is sent, such as when a template fails.
    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError>;

    /// Sends these deliveries in one call; more than one only where [`Target::max_batch`] or
    /// [`Target::group_size`] allows it.
    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a>;

    /// The receiver's rate limit; `None` when it has none.
    fn rate_limit(&self) -> Option<RateLimit> {
        None
    }

    /// How many of the first of `waiting`, which is never empty, fit into one call; at least 1. It
    /// is used when more deliveries wait than the rate limit allows calls.
    fn max_batch(&self, waiting: &[Delivery]) -> usize {
        // Receivers that identify deliveries by id, or programs that read one, cannot merge them.
        let _ = waiting;
        1
    }

    /// How many deliveries one call may carry that stay apart: each arrives as it would alone, in
    /// their order, and the outcome is that of all. Where a call costs much and a delivery little.
    fn group_size(&self) -> usize {
        1
    }

    /// Whether it tells its receiver that an incident was acknowledged: then it gets deliveries of
    /// the phase [`Phase::Acknowledged`](crate::Phase::Acknowledged).
    fn acknowledges(&self) -> bool {
        false
    }
}

/// What a receiver would get, without secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// One line: a subject, a title, or the beginning of a document.
    pub summary: String,
    /// The body where it is JSON, else its parts as members of an object.
    pub body: Json,
    /// The part of the delivery that this is, when more parts follow.
    pub part: Option<String>,
}

/// At most `calls` calls within any period of length `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of calls, at least 1.
    pub calls: usize,
    /// The length of the period.
    pub per: SignedDuration,
}
